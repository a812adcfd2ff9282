import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Tail } from './tail.ts'

test('what was said since the beginning is there, from any line on', () => {
  const tail = new Tail<string>(() => 0)
  tail.restart(100)
  for (const id of [103, 104, 109]) tail.append(id, `l${id}`)
  assert.deepEqual(tail.since(100), ['l103', 'l104', 'l109'])
  assert.deepEqual(tail.since(103), ['l104', 'l109'])
  assert.deepEqual(tail.since(105), ['l109'])
  assert.deepEqual(tail.since(109), [])
  assert.deepEqual(tail.since(2 ** 53), [])
  assert.deepEqual(
    [99, 100, 101, 2 ** 53].map((after) => tail.covers(after)),
    [false, true, true, true],
  )
  tail.restart(120)
  assert.equal(tail.covers(119), false)
  assert.deepEqual(tail.since(100), [])
})

test('only so much is kept, and it says from where on', () => {
  const tail = new Tail<string>(() => 0)
  const long = '.'.repeat(10_000)
  for (let id = 1; id <= 1000; id++) tail.append(id, long)
  assert.equal(tail.covers(0), false)
  let from = 999
  while (tail.covers(from - 1)) from--
  const kept = tail.since(from)
  assert.equal(kept.length, 1000 - from)
  assert.ok(kept.length >= 20 && kept.length <= 60, `${kept.length} lines are kept`)
})

test('it is bounded in lines too: a short one costs more than its length', () => {
  const tail = new Tail<string>(() => 0)
  for (let id = 1; id <= 30_000; id++) tail.append(id, '.')
  let from = 29_999
  while (tail.covers(from - 1)) from--
  assert.ok(from > 18_000 && from < 29_000, `from ${from} on`)
  assert.equal(tail.since(from).length, 30_000 - from)
  assert.equal(tail.newest, 30_000)
})

test('a line longer than all that is kept leaves nothing but where it ends', () => {
  const tail = new Tail<string>(() => 0)
  tail.append(6, '.'.repeat(600 * 1024))
  assert.equal(tail.covers(5), false)
  assert.equal(tail.covers(6), true)
  tail.append(7, 'seven')
  assert.deepEqual(tail.since(6), ['seven'])
})

test('what was said is told from memory for a few seconds only', () => {
  let now = 0
  const tail = new Tail<string>(() => now)
  tail.append(1, 'one')
  now = 3000
  tail.append(2, 'two')
  assert.equal(tail.covers(0), true)
  now = 6000
  assert.deepEqual([tail.covers(0), tail.covers(1), tail.since(1)], [false, true, ['two']])
  now = 9000
  assert.deepEqual([tail.covers(1), tail.covers(2), tail.since(0)], [false, true, []])
})

test('what never changes is told from memory for as long as there is room', () => {
  const tail = new Tail<Buffer>(null, 10)
  tail.append(13, Buffer.from('abc'))
  tail.append(15, Buffer.from('de'))
  assert.deepEqual([tail.covers(9), tail.covers(10)], [false, true])
  assert.equal(Buffer.concat(tail.since(12)).toString(), 'abcde')
  assert.equal(Buffer.concat(tail.since(13)).toString(), 'de')
  assert.deepEqual(tail.since(15), [])
})
