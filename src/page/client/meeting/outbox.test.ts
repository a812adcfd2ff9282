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
  outbox = box.again(outbox, 'a', at(20), hour)
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
  assert.equal(box.isUnderWay(outbox), true)
  outbox = box.entered(box.lost(outbox), at(20), hour)
  assert.equal(box.isUnderWay(outbox), false)
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

test('what is tried in vain keeps back its own kind alone, until it is too old to be tried unseen', () => {
  let outbox = box.enqueue([], 'line', say('line'), at(0))
  outbox = box.enqueue(outbox, 'next', say('next'), at(1))
  outbox = box.enqueue(outbox, 'vote', vote(8, 0), at(2))
  outbox = box.enqueue(outbox, 'finish', { type: 'finish' }, at(3))
  let time = 10
  for (const tried of ['line', 'line', 'line']) {
    assert.equal(due(outbox, time), tried)
    outbox = box.sent(outbox, tried, at(time))
    assert.equal(due(outbox, time + 5000), null, 'one is under way')
    outbox = box.again(outbox, tried, at(time), hour)
    time += 2000
  }
  assert.equal(due(outbox, time), 'vote', 'it is overtaken once it is stuck')
  outbox = box.answered(outbox, 'vote')
  assert.equal(due(outbox, time), 'finish')
  outbox = box.answered(outbox, 'finish')
  assert.equal(due(outbox, time), null, 'what was said after it waits')
  assert.equal(due(outbox, time + 5000), 'line', 'and it is tried again within five seconds')
  outbox = box.again(box.sent(outbox, 'line', at(hour)), 'line', at(hour + 11), hour)
  assert.deepEqual([outbox[0]?.asks, due(outbox, hour + 12)], [true, 'next'])
})

test('a chair’s command that cannot be done asks after a minute', () => {
  let outbox = box.sent(box.enqueue([], 'finish', { type: 'finish' }, at(0)), 'finish', at(0))
  outbox = box.again(outbox, 'finish', at(59_000), hour)
  assert.equal(outbox[0]?.asks, false)
  outbox = box.again(box.sent(outbox, 'finish', at(60_000)), 'finish', at(61_000), hour)
  assert.equal(outbox[0]?.asks, true)
})
