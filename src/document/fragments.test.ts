import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { readServerFrames } from '../../test/support/raw-connection.ts'
import { appendMessage, cut, hex, initMessage, setKeyMessage } from '../../test/support/document-client.ts'
import { Fragmenter, frameMessage, Reassembler } from './fragments.ts'
import { parseInit } from './protocol.ts'

const megabyte = 1024 * 1024

/** The messages that a server's websocket frames carry. */
const payloads = (frames: Buffer): Buffer[] => readServerFrames(frames).frames.map(({ payload }) => payload)

/** Joins frames as a client does. */
const joined = (frames: readonly Buffer[]): Buffer =>
  Buffer.concat(frames.map((frame, index) => (index === 0 ? frame : frame.subarray(2))))

test('a message is joined again, wherever it was cut: at every border, and byte by byte', () => {
  const message = initMessage('doc1', { data: 'Hi' })
  for (let at = 2; at <= message.length; at++) {
    const reassembler = new Reassembler(megabyte)
    const first = Buffer.from(message.subarray(0, at))
    first[1] = 1
    assert.deepEqual(reassembler.push(first), { type: 'incomplete' })
    const last = reassembler.push(Buffer.concat([Buffer.from([0xff, 0]), message.subarray(at)]))
    assert.equal(last.type, 'message')
    if (last.type === 'message') assert.deepEqual(parseInit(last.bytes), parseInit(message))
  }
  const reassembler = new Reassembler(megabyte)
  const pieces = [Buffer.from([message[0] ?? 0, 1])]
  for (const byte of message.subarray(2)) pieces.push(Buffer.from([0xff, 1, byte]))
  for (const piece of pieces) assert.deepEqual(reassembler.push(piece), { type: 'incomplete' })
  assert.ok(reassembler.heldBytes <= 1024)
  const last = reassembler.push(Buffer.from([0xff, 0]))
  assert.equal(last.type, 'message')
  if (last.type === 'message') assert.deepEqual(parseInit(last.bytes), parseInit(message))
  assert.equal(reassembler.heldBytes, 0)
})

test('what breaks the rules of continuation is a fault, and so is a frame of one byte or none', () => {
  for (const frames of [
    [Buffer.from([0xff, 0])],
    [Buffer.from([4, 1]), Buffer.from([4, 0])],
    [Buffer.alloc(0)],
    [Buffer.from([1])],
  ]) {
    const reassembler = new Reassembler(megabyte)
    assert.equal(frames.map((frame) => reassembler.push(frame)).at(-1)?.type, 'fault')
  }
})

test('a message that is too long is told of once, at its end, and nothing of it is kept', () => {
  const reassembler = new Reassembler(100)
  const frames = cut(appendMessage(0, Buffer.alloc(500)), 64)
  const results = frames.map((frame) => reassembler.push(frame))
  assert.equal(reassembler.heldBytes, 0)
  assert.deepEqual(results.pop(), { type: 'tooLong', kind: 5, limit: 100 })
  assert.ok(results.every(({ type }) => type === 'incomplete'))
  assert.equal(reassembler.push(appendMessage(0, 'x')).type, 'message')
  assert.equal(reassembler.push(appendMessage(0, Buffer.alloc(100))).type, 'tooLong')
})

test('no frame is longer than the client takes, and together they are the message', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 2, maxLength: 700 }),
      fc.integer({ min: 64, max: 300 }),
      (array, longest) => {
        const message = Buffer.from(array)
        message[1] = 0
        const frames = payloads(frameMessage(message.subarray(0, 2), message.subarray(2), longest))
        assert.ok(frames.every(({ length }) => length <= longest))
        assert.deepEqual(
          frames.map((frame) => frame[1]),
          frames.map((_, index) => Number(index < frames.length - 1)),
        )
        const again = joined(frames)
        again[1] = 0
        assert.deepEqual(again, message)
      },
    ),
  )
})

test('a message that comes in pages is cut as if it had come at once', () => {
  const head = Buffer.from([5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
  const data = Buffer.from(Array.from({ length: 1000 }, (_, index) => index % 256))
  for (const page of [1, 7, 50, 64, 98, 100, 999, 1000]) {
    const fragmenter = new Fragmenter(head, 100)
    const frames: Buffer[] = []
    for (let at = 0; at < data.length; at += page) frames.push(fragmenter.push(data.subarray(at, at + page)))
    frames.push(fragmenter.end(Buffer.alloc(0)))
    assert.deepEqual(Buffer.concat(frames), frameMessage(head, data, 100), `pages of ${page}`)
  }
})

test('a broadcast has 64 KiB at most, whatever other messages may have', () => {
  const reassembler = new Reassembler(megabyte)
  const full = Buffer.concat([hex('04 00 00010000'), Buffer.alloc(64 * 1024)])
  assert.equal(reassembler.push(full).type, 'message')
  const more = Buffer.concat([full, Buffer.alloc(1)])
  assert.deepEqual(reassembler.push(more), { type: 'tooLong', kind: 4, limit: 64 * 1024 + 6 })
  const frames = cut(more, 1000)
  assert.deepEqual(frames.map((frame) => reassembler.push(frame)).at(-1), {
    type: 'tooLong',
    kind: 4,
    limit: 64 * 1024 + 6,
  })
  assert.deepEqual(new Reassembler(100).push(full), { type: 'tooLong', kind: 4, limit: 100 })
})

test('a frame that comes in parts is that frame, wherever it was parted', () => {
  const message = setKeyMessage({ old: 1, version: 2, name: 'name', value: 'value' })
  for (let first = 0; first <= message.length; first++)
    for (const second of [0, 1, 5]) {
      const reassembler = new Reassembler(megabyte)
      const end = Math.min(message.length, first + second)
      assert.equal(reassembler.part(message.subarray(0, first)), null)
      assert.equal(reassembler.part(message.subarray(first, end)), null)
      const joined = reassembler.push(message.subarray(end))
      assert.ok(joined.type === 'message', `${first} ${second}: ${joined.type}`)
      assert.deepEqual(joined.bytes, message)
    }
})

test('parts too are refused that break the rules, and what is given up is kept no more', () => {
  assert.equal(new Reassembler(megabyte).part(hex('ff 00 64'))?.text, 'a continuation of no message')
  const reassembler = new Reassembler(megabyte)
  reassembler.push(hex('02 01 00'))
  assert.equal(reassembler.part(hex('04'))?.text, undefined)
  assert.equal(reassembler.part(hex('00'))?.text, 'a message began before the last one had ended')
  const held = new Reassembler(megabyte)
  held.push(Buffer.concat([hex('02 01'), Buffer.alloc(5000)]))
  assert.ok(held.heldBytes >= 5000)
  assert.equal(held.begun.length, 5002)
  held.clear()
  assert.equal(held.heldBytes, 0)
})
