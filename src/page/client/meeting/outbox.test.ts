import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as box from './outbox.ts'
import type { Moment, Outbox } from './outbox.ts'
import type { Command } from './protocol.ts'

const say = (message: string): Command => ({ type: 'message', message })
const vote = (poll: number, vote: number): Command => ({ type: 'vote', poll, question: 'q', vote })
const ids = (outbox: Outbox) => outbox.map(({ id }) => id)
const due = (outbox: Outbox, now: number) => box.due(outbox, at(now))?.id ?? null
const hour = 3_600_000
/** The steady clock of a page begins with the page, the server's is years ahead. */
const at = (steady: number): Moment => ({ steady, server: 1_773_000_000_000 + steady })

test('what waits keeps its order: nothing overtakes what is to be tried again later', () => {
  let outbox: Outbox = []
  for (const id of ['a', 'b', 'c']) outbox = box.enqueue(outbox, id, say(id), at(0))
  assert.equal(due(outbox, 10), 'a')
  outbox = box.sent(outbox, 'a', at(10))
  assert.equal(due(outbox, 20), null)
  outbox = box.again(outbox, 'a', at(20))
  assert.equal(due(outbox, 30), null)
  assert.equal(due(outbox, 5000), 'a')
  assert.equal(due(box.answered(outbox, 'a'), 5000), 'b')
})

test('of votes that were not sent the last one counts', () => {
  let outbox = box.enqueue([], 'a', vote(8, 0), at(0))
  outbox = box.enqueue(outbox, 'b', vote(8, 1), at(1))
  assert.deepEqual(ids(outbox), ['b'])
  outbox = box.enqueue(box.sent(outbox, 'b', at(2)), 'c', vote(8, 0), at(3))
  assert.deepEqual(ids(outbox), ['b', 'c'])
  assert.deepEqual(ids(box.lateVotes(outbox, 9)), ['c'])
  assert.deepEqual(ids(box.lateVotes(outbox, 8)), [])
})

test('what was sent is not sent again on the same connection, and is on the next one', () => {
  let outbox = box.sent(box.enqueue([], 'a', say('a'), at(0)), 'a', at(5))
  assert.equal(due(outbox, 10), null)
  assert.equal(box.waitingSince(outbox), 5)
  outbox = box.entered(box.lost(outbox), at(20), hour)
  assert.equal(due(outbox, 20), 'a')
})

test('what the server may have forgotten asks first, and so does a chair’s command after a minute', () => {
  let outbox = box.sent(box.enqueue([], 'old', say('old'), at(0)), 'old', at(0))
  outbox = box.enqueue(outbox, 'new', say('new'), at(hour))
  outbox = box.enqueue(outbox, 'finish', { type: 'finish' }, at(hour - 100_000))
  outbox = box.entered(box.lost(outbox), at(hour + 1), hour)
  assert.deepEqual(
    outbox.map(({ id, asks }) => [id, asks]),
    [
      ['old', true],
      ['new', false],
      ['finish', true],
    ],
  )
  assert.equal(due(outbox, hour + 2), 'new')
  const insisted = box.insisted(outbox, 'old', 'other', at(hour + 3))
  assert.equal(due(insisted, hour + 3), 'other')
  assert.deepEqual(ids(box.answered(insisted, 'new')), ['other', 'finish'])
})
