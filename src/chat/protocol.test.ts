import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isRejection, reject } from '../hub/rejection.ts'
import {
  ackFrame,
  authenticatedFrame,
  closeCodes,
  errorFrame,
  lineFrames,
  parseRequest,
  pongFrame,
  refusals,
} from './protocol.ts'

/** What a frame asks for; a refusal as its text. */
function understood(text: string, ids = false): { id: string | null; command: unknown } {
  const { id, command } = parseRequest(text, ids)
  return { id, command: isRejection(command) ? command.text : command }
}
const saying = (message: string) => ({ type: 'say', message })

test('what is no JSON object is refused in words, with ids and without', () => {
  for (const ids of [true, false])
    for (const [text, why] of [
      ['', 'Invalid JSON'],
      ['hi', 'Invalid JSON'],
      ['{"message":"hi"', 'Invalid JSON'],
      ['{"message":"hi"}{"message":"hi"}', 'Invalid JSON'],
      ['['.repeat(10_000), 'Invalid JSON'],
      ['null', 'A JSON object is expected'],
      ['"hi"', 'A JSON object is expected'],
      ['7', 'A JSON object is expected'],
      ['true', 'A JSON object is expected'],
      ['["hi"]', 'A JSON object is expected'],
      ['{}', 'Invalid or no message'],
      ['{"Message":"hi"}', 'Invalid or no message'],
      ['{"__proto__":{"message":"hi"}}', 'Invalid or no message'],
      ['{"message":1e999}', 'Invalid or no message'],
    ] as const)
      assert.deepEqual(understood(text, ids), { id: null, command: why }, text.slice(0, 40))
})

test('what is said: a text or a number, cleaned but not trimmed', () => {
  const cases: [message: unknown, expected: unknown][] = [
    ['hi', saying('hi')],
    ['  hi\n\tthere ', saying('  hi\n\tthere ')],
    ['a\u0000b\u0007\u000b\r\u001b\u007f\u009fc', saying('abc')],
    ['half \ud83d', saying('half \ufffd')],
    [5, saying('5')],
    [-0.5, saying('-0.5')],
    [0, saying('0')],
    ['x'.repeat(10_000), saying('x'.repeat(10_000))],
    ['😀'.repeat(10_000), saying('😀'.repeat(10_000))],
    ['x'.repeat(10_001), 'Message too long, at most 10000 characters'],
    ['😀'.repeat(10_001), 'Message too long, at most 10000 characters'],
    ['', 'The message is empty'],
    [' \n\u3000', 'The message is empty'],
    ['\u0000\u0007', 'The message is empty'],
    [null, 'Invalid or no message'],
    [true, 'Invalid or no message'],
    [['hi'], 'Invalid or no message'],
    [{ text: 'hi' }, 'Invalid or no message'],
  ]
  for (const [message, command] of cases)
    assert.deepEqual(understood(JSON.stringify({ message, session_key: 'k' })), { id: null, command })
})

test('only clients that ask for ids may give them, and ping', () => {
  const ping = '{"ping":true}'
  assert.deepEqual(understood(ping, true), { id: null, command: { type: 'ping' } })
  assert.deepEqual(understood('{"ping":true,"message":"hi","id":"a b"}', true), {
    id: null,
    command: { type: 'ping' },
  })
  assert.deepEqual(understood(ping), { id: null, command: 'Invalid or no message' })
  for (const wrong of ['{"ping":1}', '{"ping":"true"}', '{"ping":false}'])
    assert.deepEqual(understood(wrong, true), { id: null, command: 'Invalid or no message' })
  for (const id of ['a', 'q3J9', '_-', 'x'.repeat(64)]) {
    const text = JSON.stringify({ message: 'hi', id })
    assert.deepEqual(understood(text, true), { id, command: saying('hi') })
    assert.deepEqual(understood(text), { id: null, command: saying('hi') })
    assert.deepEqual(understood(JSON.stringify({ message: '', id }), true), {
      id,
      command: 'The message is empty',
    })
  }
  for (const id of ['', 'a b', 'é', 'x'.repeat(65), 'a\n', 7, true, ['a'], {}]) {
    const text = JSON.stringify({ message: 'hi', id })
    assert.deepEqual(understood(text, true), { id: null, command: 'Invalid id' }, text)
    assert.deepEqual(understood(text), { id: null, command: saying('hi') }, text)
  }
  assert.deepEqual(understood('{"message":"hi","id":null}', true), { id: null, command: saying('hi') })
})

/** An unmasked text frame in one piece (RFC 6455, 5.2). */
function textFrame(text: string): Buffer {
  const payload = Buffer.from(text)
  assert.ok(payload.length < 126)
  return Buffer.concat([Buffer.from([0x81, payload.length]), payload])
}

test('each frame, byte for byte', () => {
  const who = { user: 'Alice', room: 7, now: 1773518400000 }
  const cases: [frame: Buffer, text: string][] = [
    [authenticatedFrame(who, false), '{"authenticated":true}'],
    [
      authenticatedFrame({ ...who, key: 'secret' } as typeof who, true),
      '{"authenticated":true,"user":"Alice","room":7,"now":1773518400000}',
    ],
    [errorFrame(reject('Invalid id'), null), '{"error":"Invalid id"}'],
    [errorFrame(reject('Invalid id'), 'a'), '{"error":"Invalid id","id":"a"}'],
    [errorFrame(refusals.busy, null), '{"error":"The chat is very busy, please try again"}'],
    [
      errorFrame(refusals.busy, 'q3J9'),
      '{"error":"The chat is very busy, please try again","id":"q3J9","again":true}',
    ],
    [ackFrame('q3J9'), '{"ack":"q3J9"}'],
    [pongFrame(1773518430000), '{"pong":true,"now":1773518430000}'],
  ]
  for (const [frame, text] of cases) assert.deepEqual(frame, textFrame(text), text)
})

test('a line is a frame, with its id for those who ask for it', () => {
  const bare = '{"time":"2016-08-08T17:20:32.421Z","user":"Bob","message":"hi"}'
  const tricky = `{"time":"2016-08-08T17:20:32.421Z","user":"B","message":"a,\\"id\\":1}"}`
  const withId = (line: string, id: number): string => `${line.slice(0, -1)},"id":${id}}`
  assert.equal(JSON.parse(tricky).message, 'a,"id":1}')
  const lines = [withId(bare, 4711), withId(tricky, 4712)]
  assert.deepEqual(lineFrames(lines, true), Buffer.concat(lines.map(textFrame)))
  assert.deepEqual(lineFrames(lines, false), Buffer.concat([bare, tricky].map(textFrame)))
  assert.deepEqual(lineFrames([], true), Buffer.alloc(0))
})

test('what may be tried again is known, and how connections end', () => {
  assert.deepEqual(
    Object.values(refusals).map(({ text, again }) => [text, again]),
    [
      ['Only text frames of UTF-8 are understood', false],
      ['You are sending too fast', true],
      ['The chat is very busy, please try again', true],
      ['The database is not available: the message may not have been stored', true],
    ],
  )
  assert.deepEqual(closeCodes, {
    stopping: 1012,
    unavailable: 1013,
    badRequest: 4400,
    unknownKey: 4401,
    refused: 4500,
  })
})
