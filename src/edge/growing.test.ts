import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GrowingBuffer, owned } from './growing.ts'

test('parts of any size are joined, in no more than twice the memory and never more than there may be', () => {
  const growing = new GrowingBuffer(100_000)
  let text = ''
  for (let n = 0; text.length < 90_000; n++) {
    const part = String(n).repeat((n % 7) + 1)
    text += part
    growing.append(Buffer.from(part))
    assert.ok(growing.capacity <= Math.max(1024, 2 * text.length) && growing.capacity <= 100_000)
  }
  assert.equal(growing.view.toString(), text)
  assert.equal(growing.take().toString(), text)
  assert.deepEqual([growing.length, growing.capacity], [0, 0])
  growing.append(Buffer.from('x'))
  assert.equal(growing.take().toString(), 'x')
})

test('what is kept does not keep a larger buffer', () => {
  const large = Buffer.alloc(64 * 1024, 'x')
  assert.equal(owned(large.subarray(0, 10)).buffer.byteLength, 10)
  assert.equal(owned(large.subarray(0, 10)).toString(), 'xxxxxxxxxx')
  assert.equal(owned(large).buffer, large.buffer)
})
