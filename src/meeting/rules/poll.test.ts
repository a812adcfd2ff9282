import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  ada,
  attendeeOf,
  bob,
  eve,
  meetingOf,
  onlyLooking,
  system,
  teaPoll,
} from '../../../test/support/view.ts'
import { reject } from '../../hub/rejection.ts'
import { vote as voteInTurn } from './commands.ts'
import {
  castVote,
  endingLines,
  foldText,
  missingVotes,
  type Poll,
  resultOf,
  tally,
  type Vote,
} from './poll.ts'
import type { Meeting } from './view.ts'

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

test('text that turns what stands beside it is left out of questions and answers', () =>
  assert.equal(foldText('a\u202eb \u2066 c\u200f'), 'ab c'))

test('each ending has its lines, and its result', () => {
  const { question, answers } = poll()
  const voted = poll([
    [1, 1],
    [2, 0],
    [3, 1],
  ])
  const sums = ['Answer "Tea": 1 vote', 'Answer "Coffee": 2 votes']
  const lines = {
    voted: ['All attendees have voted, poll has completed.', ...sums],
    time: ['Poll has completed', ...sums],
    finished: ['Poll has completed', ...sums],
    aborted: ['The current poll has been aborted'],
  }
  for (const ending of ['voted', 'time', 'finished', 'aborted'] as const) {
    assert.deepEqual(endingLines(voted, ending), lines[ending])
    const tally = ending === 'aborted' ? null : [1, 2]
    assert.deepEqual(resultOf(voted, ending), { id: 1, question, answers, tally, ending })
  }
})

test('whose vote is missing: of those who are in, who have not voted', () => {
  const voted = poll([
    [1, 0],
    [9, 1],
  ])
  assert.deepEqual(
    [[], [1], [2], [1, 2, 3], [9, 1]].map((ids) => missingVotes(voted, ids)),
    [0, 0, 1, 2, 0],
  )
})

/** Votes of members for answers of the poll, one after the other. */
const votes = (...cast: [by: number, answer: number | null][]): Vote[] =>
  cast.map(([by, answer]) => ({ by, question: 'Tea or coffee?', poll: null, answer }))

const take = (meeting: Meeting, cast: Vote[], now = 50_000) => {
  const { answers, change } = onlyLooking(meeting, (meeting) => voteInTurn(meeting, cast, now))
  return { answers: answers.map((answer) => answer?.text ?? null), ...change }
}

const people = [ada, bob, eve, attendeeOf(4)]

test('a run of votes is one write, each with its own answer', () => {
  const meeting = meetingOf({ attendees: people, poll: teaPoll([[2, 0]]) })
  assert.deepEqual(take(meeting, votes([1, 1], [2, 1], [3, 7])), {
    answers: [null, null, 'Invalid vote'],
    write: {
      lines: [system('Ada voted Coffee'), system('Bob changed their vote to Coffee')],
      votes: {
        poll: 5,
        cast: [
          { member: 1, answer: 1 },
          { member: 2, answer: 1 },
        ],
      },
    },
    facts: [
      {
        type: 'voted',
        votes: [
          { member: 1, answer: 1 },
          { member: 2, answer: 1 },
        ],
      },
    ],
  })
})

test('a run of votes in which nothing changes writes nothing', () => {
  const meeting = meetingOf({ attendees: people, poll: teaPoll([[1, 1]]) })
  const nothing = { write: { lines: [] }, facts: [] }
  assert.deepEqual(take(meeting, votes([1, 1], [2, null])), { answers: [null, 'Invalid vote'], ...nothing })
  const ended = 'There is no active poll'
  assert.deepEqual(take(meetingOf(), votes([1, 1], [2, 0])), { answers: [ended, ended], ...nothing })
  assert.deepEqual(take(meeting, votes([2, 0]), 100_000), { answers: [ended], ...nothing })
  assert.deepEqual(take(meeting, []), { answers: [], ...nothing })
})

test('a run of votes ends before a second vote of one member, and behind the last one that was missing', () => {
  const taken = (meeting: Meeting, ...cast: [number, number][]): number =>
    take(meeting, votes(...cast)).answers.length
  const polling = (...before: [number, number][]) => meetingOf({ attendees: people, poll: teaPoll(before) })
  assert.equal(taken(polling(), [1, 0], [2, 0], [1, 1], [3, 0]), 2)
  // Who says the same again has not voted twice.
  assert.equal(taken(polling([1, 0]), [1, 0], [1, 0], [2, 0]), 3)
  assert.equal(taken(polling(), [1, 7], [1, 0], [1, 1]), 2)
  assert.equal(taken(polling([3, 0], [4, 0]), [1, 0], [2, 0], [3, 1]), 2)
  // A changed vote is no missing one.
  assert.equal(taken(polling([1, 0], [2, 0], [3, 0]), [1, 1], [2, 1], [4, 1], [3, 1]), 3)
})
