import assert from 'node:assert/strict'
import { test } from 'node:test'
import { castVote, endingLines, foldText, type Poll, tally } from './poll.ts'
import { reject } from './rejection.ts'

const poll = (votes: [number, number][] = []): Poll => ({
  id: 1,
  question: 'Tea or coffee?',
  answers: ['Tea', 'Coffee'],
  votes: new Map(votes),
  endsAt: 100,
})
const vote = (answer: number | null, question = 'Tea or coffee?', poll: number | null = null) => ({
  by: 7,
  question,
  poll,
  answer,
})

test('a first vote, a change and the same vote again', () => {
  assert.deepEqual(castVote(poll(), vote(1), 'Eve', 0), { answer: 1, line: 'Eve voted Coffee' })
  assert.deepEqual(castVote(poll([[7, 0]]), vote(1), 'Eve', 0), {
    answer: 1,
    line: 'Eve changed their vote to Coffee',
  })
  assert.equal(castVote(poll([[7, 1]]), vote(1), 'Eve', 0), null)
})

test('a vote at the deadline is refused', () => {
  assert.deepEqual(castVote(poll(), vote(1), 'Eve', 100), reject('There is no active poll'))
  assert.ok(castVote(poll(), vote(1), 'Eve', 99))
})

test('the question is compared as the browser renders it', () => {
  assert.ok(castVote(poll(), vote(0, '  Tea \n or\tcoffee? '), 'Eve', 0))
  assert.deepEqual(
    castVote(poll(), vote(0, 'Tea?'), 'Eve', 0),
    reject('Vote for the wrong question received'),
  )
})

test('a vote that names another poll is not for this one, whatever its question', () => {
  assert.ok(castVote(poll(), vote(0, 'Tea or coffee?', 1), 'Eve', 0))
  assert.deepEqual(
    castVote(poll(), vote(0, 'Tea or coffee?', 2), 'Eve', 0),
    reject('Vote for the wrong question received'),
  )
})

test('an answer that the poll does not have is refused', () => {
  for (const answer of [-1, 2, null, 2 ** 53])
    assert.deepEqual(castVote(poll(), vote(answer), 'Eve', 0), reject('Invalid vote'))
})

test('the tally is as long as the answers', () => {
  assert.deepEqual(tally(poll()), [0, 0])
  assert.deepEqual(
    tally(
      poll([
        [1, 1],
        [2, 1],
      ]),
    ),
    [0, 2],
  )
})

test('the lines that end a poll', () => {
  assert.deepEqual(endingLines(poll([[1, 1]]), 'voted'), [
    'All attendees have voted, poll has completed.',
    'Answer "Tea": 0 votes',
    'Answer "Coffee": 1 vote',
  ])
  assert.equal(endingLines(poll(), 'time')[0], 'Poll has completed')
  assert.deepEqual(endingLines(poll(), 'aborted'), ['The current poll has been aborted'])
})

test('white space is folded', () => assert.equal(foldText(' a \t b\n\nc\u00a0 d '), 'a b c d'))
