import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Tail } from './tail.ts'

test('from each offset since its beginning on, the bytes that are behind it', () => {
  const tail = new Tail(10)
  for (const text of ['abc', '', 'd', 'efgh']) tail.append(Buffer.from(text))
  for (let offset = 10; offset <= 18; offset++)
    assert.equal(tail.since(offset).toString(), 'abcdefgh'.slice(offset - 10))
  assert.deepEqual(
    [9, 10, 18].map((offset) => tail.covers(offset)),
    [false, true, true],
  )
})

test('it is bounded, and says what it lacks', () => {
  const tail = new Tail(0)
  for (let n = 0; n < 200; n++) tail.append(Buffer.alloc(10_000, n))
  let from = 2_000_000
  while (tail.covers(from - 1)) from -= 1
  assert.ok(from > 2_000_000 - 600 * 1024 && from < 2_000_000 - 200 * 1024)
  assert.equal(tail.since(from).length, 2_000_000 - from)
  tail.append(Buffer.alloc(1024 * 1024))
  assert.equal(tail.covers(2_000_000), false)
  assert.equal(tail.covers(2_000_000 + 1024 * 1024), true)
})
