import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  appendMessage,
  type Bytes,
  framesOf,
  initMessage,
  Joiner,
  parseMessage,
  setKeyMessage,
} from './protocol.ts'

const hex = (bytes: Bytes): string => Buffer.from(bytes).toString('hex')
const bytes = (text: string): Bytes => Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'))

test("what is sent is what the protocol's examples have", () => {
  assert.equal(
    hex(initMessage('d', 0, Buffer.from('hi'))),
    '01000003000000000000000000000000000000000000000001646869',
  )
  assert.equal(hex(appendMessage(2, Buffer.from('abc'))), '0500000000000000000000000002616263')
  assert.equal(
    hex(setKeyMessage({ name: 'cur', value: '10,10', oldVersion: 0, version: 1, request: 7 })),
    '03000007000000000000000001000000036375720000000531302c3130',
  )
})

test("what is heard is what the protocol's examples mean", () => {
  assert.deepEqual(parseMessage(bytes('05 00 00000000 0000000000000002 58595a')), {
    type: 'append',
    offset: 2,
    data: bytes('58595a'),
  })
  assert.deepEqual(parseMessage(bytes('81 00 0001 0000000000000005')), {
    type: 'answer',
    result: 'accepted',
    length: 5,
  })
  assert.deepEqual(
    parseMessage(bytes('82 00 00000001 00000003 637572 00000001 31 00000002 00000001 6b 00000000')),
    {
      type: 'keys',
      keys: [
        { name: 'cur', value: '1', version: 1 },
        { name: 'k', value: '', version: 2 },
      ],
    },
  )
  assert.deepEqual(parseMessage(bytes('80 00 0001 646f6573206e6f74206578697374')), {
    type: 'error',
    code: 1,
    text: 'does not exist',
  })
  assert.deepEqual(parseMessage(bytes('04 00 00000001 78')), { type: 'other' })
})

test('a long message goes in frames that the other side takes, and comes together again', () => {
  for (const length of [0, 102_386, 102_387, 102_387 + 102_398, 300_000]) {
    const message = appendMessage(
      7,
      Uint8Array.from({ length }, (_, index) => index % 251),
    )
    const frames = framesOf(message)
    const joiner = new Joiner()
    const joined = frames.map((frame) => joiner.push(frame))
    assert.ok(frames.every((frame) => frame.length <= 102_400))
    assert.ok(joined.slice(0, -1).every((message) => message === null))
    const whole = joined.at(-1)
    assert.ok(whole)
    // The first frame says that more follows.
    if (frames.length > 1) whole[1] = 0
    assert.deepEqual(whole, message)
  }
})
