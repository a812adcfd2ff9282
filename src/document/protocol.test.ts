import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { readServerFrames } from '../../test/support/wire.ts'
import { appendMessage, cut, initMessage, setKeyMessage, understand } from '../../test/support/zwibbler.ts'
import { Cutter, encodeKeys, frameMessage, Joiner, keysHead, parseCommand, parseInit } from './protocol.ts'

const megabyte = 1024 * 1024
const bytes = fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array))

/** The messages that a server's websocket frames carry. */
const payloads = (frames: Buffer): Buffer[] => readServerFrames(frames).frames.map(({ payload }) => payload)

/** Joins frames as a client does. */
const joined = (frames: readonly Buffer[]): Buffer =>
  Buffer.concat(frames.map((frame, index) => (index === 0 ? frame : frame.subarray(2))))

test('a message is joined again, wherever it was cut: at every border, and byte by byte', () => {
  const message = initMessage('doc1', { data: 'Hi' })
  for (let at = 2; at <= message.length; at++) {
    const joiner = new Joiner(megabyte)
    const first = Buffer.from(message.subarray(0, at))
    first[1] = 1
    assert.deepEqual(joiner.push(first), { type: 'incomplete' })
    const last = joiner.push(Buffer.concat([Buffer.from([0xff, 0]), message.subarray(at)]))
    assert.equal(last.type, 'message')
    if (last.type === 'message') assert.deepEqual(parseInit(last.bytes), parseInit(message))
  }
  const joiner = new Joiner(megabyte)
  const pieces = [Buffer.from([message[0] ?? 0, 1])]
  for (const byte of message.subarray(2)) pieces.push(Buffer.from([0xff, 1, byte]))
  for (const piece of pieces) assert.deepEqual(joiner.push(piece), { type: 'incomplete' })
  assert.ok(joiner.heldBytes <= 1024)
  const last = joiner.push(Buffer.from([0xff, 0]))
  assert.equal(last.type, 'message')
  if (last.type === 'message') assert.deepEqual(parseInit(last.bytes), parseInit(message))
  assert.equal(joiner.heldBytes, 0)
})

test('what breaks the rules of continuation is a fault, and so is a frame of one byte or none', () => {
  for (const frames of [
    [Buffer.from([0xff, 0])],
    [Buffer.from([4, 1]), Buffer.from([4, 0])],
    [Buffer.alloc(0)],
    [Buffer.from([1])],
  ]) {
    const joiner = new Joiner(megabyte)
    assert.equal(frames.map((frame) => joiner.push(frame)).at(-1)?.type, 'fault')
  }
})

test('a message that is too long is told of once, at its end, and nothing of it is kept', () => {
  const joiner = new Joiner(100)
  const frames = cut(appendMessage(0, Buffer.alloc(500)), 64)
  const results = frames.map((frame) => joiner.push(frame))
  assert.equal(joiner.heldBytes, 0)
  assert.deepEqual(results.pop(), { type: 'tooLong', kind: 5, limit: 100 })
  assert.ok(results.every(({ type }) => type === 'incomplete'))
  assert.equal(joiner.push(appendMessage(0, 'x')).type, 'message')
  assert.equal(joiner.push(appendMessage(0, Buffer.alloc(100))).type, 'tooLong')
})

test('there are few lengths of frames: a client gets the longest that it takes', () => {
  const asked = [0, 1, 64, 4096, 16_383, 16_384, 102_399, 102_400, 262_143, 262_144, 2 ** 32 - 1]
  assert.deepEqual(
    asked.map((longest) => {
      const init = parseInit(initMessage('d', { longest }))
      return init.type === 'init' ? init.longest : null
    }),
    [102_400, 4096, 4096, 4096, 4096, 16_384, 65_536, 102_400, 102_400, 262_144, 262_144],
  )
})

test('init is read as it was written, in both versions', () => {
  const cases = fc.record({
    id: fc.uint8Array({ minLength: 1, maxLength: 255 }),
    version: fc.constantFrom(2, 3),
    offset: fc.bigInt(0n, 2n ** 64n - 1n),
    longest: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
    data: bytes,
  })
  fc.assert(
    fc.property(cases, ({ id, version, offset, longest, data }) => {
      const init = parseInit(initMessage(Buffer.from(id), { version, offset, longest, data }))
      assert.ok(init.type === 'init')
      assert.deepEqual([...init.id], [...id])
      assert.deepEqual(init.data, data)
      assert.equal(init.version, version)
      assert.equal(init.offset, offset > BigInt(Number.MAX_SAFE_INTEGER) ? Infinity : Number(offset))
      assert.ok(init.longest >= 4096 && (longest < 4096 || init.longest <= longest))
    }),
  )
})

test('whatever bytes come, they are a command or a fault', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 2, maxLength: 60 }), (array) => {
      const message = Buffer.from(array)
      assert.ok(['append', 'setKey', 'broadcast', 'fault'].includes(parseCommand(message).type))
      assert.ok(['init', 'fault'].includes(parseInit(message).type))
    }),
    { numRuns: 2000 },
  )
  const key = setKeyMessage({ old: 1, version: 2 ** 32 - 1, name: 'name', value: 'value' })
  for (let length = 2; length < key.length; length++)
    assert.equal(parseCommand(key.subarray(0, length)).type, 'fault')
  const parsed = parseCommand(Buffer.concat([key, Buffer.from('behind')]))
  assert.ok(parsed.type === 'setKey')
  assert.deepEqual([parsed.newVersion, parsed.value.toString()], [2 ** 32 - 1, 'value'])
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
    const cutter = new Cutter(head, 100)
    const frames: Buffer[] = []
    for (let at = 0; at < data.length; at += page) frames.push(cutter.push(data.subarray(at, at + page)))
    frames.push(cutter.end(Buffer.alloc(0)))
    assert.deepEqual(Buffer.concat(frames), frameMessage(head, data, 100), `pages of ${page}`)
  }
})

test('keys are written one behind the other', () => {
  const keys = ['a', 'bc'].map((name, index) => ({
    name: Buffer.from(name),
    value: Buffer.from(name.repeat(index)),
    version: 2 ** 32 - 1 - index,
  }))
  assert.deepEqual(understand(Buffer.concat([keysHead, encodeKeys(keys)])), {
    type: 'keys',
    keys: [
      { name: 'a', value: '', version: 2 ** 32 - 1 },
      { name: 'bc', value: 'bc', version: 2 ** 32 - 2 },
    ],
  })
})
