import assert from 'node:assert/strict'
import { test } from 'node:test'
import { excess, faultOf, holdOf, keep, move, remove } from './prepared.ts'
import type { Prepared } from './prepared.ts'
import { clockText, secondsLeft, sharesOf } from './results.ts'

const limits = { question: 500, answer: 200, answers: 5, minutes: 120 }
const prepared = (id: string): Prepared => ({
  id,
  question: id,
  answers: ['Yes', 'No'],
  minutes: 5,
  held: false,
})

test('prepared polls are kept, changed in their place, moved and removed', () => {
  const polls = ['a', 'b', 'c'].map(prepared)
  const ids = (list: readonly Prepared[]) => list.map(({ id }) => id).join('')
  assert.equal(ids(keep(polls, prepared('d'))), 'abcd')
  assert.equal(keep(polls, { ...prepared('b'), question: 'B' })[1]?.question, 'B')
  assert.equal(ids(move(polls, 'b', -1)), 'bac')
  assert.equal(ids(move(polls, 'b', 1)), 'acb')
  assert.equal(ids(move(polls, 'a', -1)), 'abc')
  assert.equal(ids(move(polls, 'c', 1)), 'abc')
  assert.equal(ids(remove(polls, 'b')), 'ac')
})

test('a draft is checked as the server would', () => {
  const fault = (question: string, answers: string[], minutes = 5) =>
    faultOf({ question, answers, minutes }, limits)
  assert.equal(fault('Accept?', ['Yes', 'No', '']), null)
  assert.deepEqual(fault('  ', ['Yes', 'No']), { type: 'question' })
  // At the field where it is mended.
  assert.deepEqual(fault('Accept?', ['Yes', ' ']), { type: 'answers', index: 1 })
  assert.deepEqual(fault('Accept?', ['', 'No']), { type: 'answers', index: 0 })
  assert.deepEqual(fault('Accept?', []), { type: 'answers', index: 0 })
  assert.deepEqual(fault('Accept?', ['Yes', ' Yes ']), { type: 'equal', index: 1 })
  assert.deepEqual(fault('Accept?', ['Yes', '', 'No', 'Yes']), { type: 'equal', index: 3 })
  assert.deepEqual(fault('Accept?', ['Yes', 'No'], 0), { type: 'minutes' })
  assert.deepEqual(fault('Accept?', ['Yes', 'No'], 1.5), { type: 'minutes' })
  assert.deepEqual(fault('é'.repeat(501), ['Yes', 'No']), { type: 'long' })
  assert.equal(fault('😀'.repeat(500), ['Yes', 'No']), null)
})

test('what has been held is what was asked in these words with these answers', () => {
  const polls = ['a', 'b'].map(prepared)
  const [, b] = polls
  assert.ok(b)
  assert.deepEqual(
    holdOf(polls, b).map(({ held }) => held),
    [false, true],
  )
  assert.deepEqual(holdOf(polls, { ...b, answers: ['other'] }), polls)
})

test('by how much a text is too long is counted as the server counts it', () => {
  assert.equal(excess('😀'.repeat(500), 500), 0)
  assert.equal(excess(`  ${'é '.repeat(250)}   é`, 500), 1)
  assert.equal(excess(`${' '.repeat(600)}short`, 500), 0)
})

test('shares are parts of all votes', () => {
  assert.deepEqual(
    sharesOf(['a', 'b', 'c'], [3, 1, 0]).map(({ part }) => part),
    [0.75, 0.25, 0],
  )
  assert.deepEqual(
    sharesOf(['a', 'b'], [0, 0]).map(({ part }) => part),
    [0, 0],
  )
})

test('the countdown ends at zero', () => {
  assert.equal(secondsLeft(60_000, 0), 60)
  assert.equal(secondsLeft(60_000, 59_500), 1)
  assert.equal(secondsLeft(60_000, 99_000), 0)
  assert.deepEqual([0, 9, 65, 3600, 7199].map(clockText), ['0:00', '0:09', '1:05', '1:00:00', '1:59:59'])
})
