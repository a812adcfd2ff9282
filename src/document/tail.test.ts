import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Tail } from '../hub/tail.ts'
import { bytesSince } from './tail.ts'

/** The newest bytes of a document that has this length at first. */
function tailOf(length: number) {
  const tail = new Tail<Buffer>(null, length)
  let end = length
  return {
    append(data: Buffer): void {
      end += data.length
      tail.append(end, data)
    },
    covers: (offset: number) => tail.covers(offset),
    since: (offset: number) => bytesSince(tail, offset, end),
  }
}

test('from each offset since its beginning on, the bytes that are behind it', () => {
  const tail = tailOf(10)
  for (const text of ['abc', '', 'd', 'efgh']) tail.append(Buffer.from(text))
  for (let offset = 10; offset <= 18; offset++)
    assert.equal(tail.since(offset).toString(), 'abcdefgh'.slice(offset - 10))
  assert.deepEqual(
    [9, 10, 18].map((offset) => tail.covers(offset)),
    [false, true, true],
  )
})

test('it is bounded, and says what it lacks', () => {
  const tail = tailOf(0)
  for (let n = 0; n < 200; n++) tail.append(Buffer.alloc(10_000, n))
  let from = 2_000_000
  while (tail.covers(from - 1)) from -= 1
  assert.ok(from > 2_000_000 - 600 * 1024 && from < 2_000_000 - 200 * 1024)
  assert.equal(tail.since(from).length, 2_000_000 - from)
  tail.append(Buffer.alloc(1024 * 1024))
  assert.equal(tail.covers(2_000_000), false)
  assert.equal(tail.covers(2_000_000 + 1024 * 1024), true)
})
