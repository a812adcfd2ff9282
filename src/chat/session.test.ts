import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RecordingSocket } from '../../test/support/recording-socket.ts'
import type { Metrics } from '../edge/metrics.ts'
import { ChatSession } from './session.ts'

function play({ ids = false, admitted = true, ratePerSecond = 5 } = {}) {
  const socket = new RecordingSocket()
  const said: string[] = []
  const time = { now: 0 }
  const session = new ChatSession(
    socket,
    { key: 'k', ids, after: null, since: null, limit: null },
    {
      ratePerSecond: () => ratePerSecond,
      clock: () => time.now,
      metrics: { rejected: () => undefined } as unknown as Metrics,
    },
  )
  const room = {
    say: (_: ChatSession, message: string, id: string | null) => void said.push(`${message} ${id}`),
    ended: (_: ChatSession, how: string) => void said.push(how),
  }
  const admit = (): void => session.admit({ key: 'k', user: 'Alice', room: 7 }, room)
  if (admitted) admit()
  socket.heard()
  const send = (message: unknown): void => session.frame(Buffer.from(JSON.stringify(message)), false)
  return { session, socket, said, send, admit, time }
}

test('what comes before it has been admitted is ignored, and counts for nothing', () => {
  const { session, socket, said, send, admit } = play({ admitted: false })
  for (let n = 0; n < 50; n++) send({ message: 'early' })
  assert.equal(session.identity, null)
  admit()
  assert.deepEqual(socket.heard(), ['{"authenticated":true}'])
  for (let n = 0; n < 20; n++) send({ message: 'hi' })
  assert.equal(said.length, 20)
  assert.deepEqual(socket.heard(), [])
})

test('twenty at once, then five a second: others are refused, with their id where they have one', () => {
  for (const ids of [true, false]) {
    const { socket, said, send, time } = play({ ids })
    for (let n = 0; n < 21; n++) send({ message: 'hi', id: `n${n}` })
    assert.equal(said.length, 20)
    assert.deepEqual(socket.heard(), [
      ids
        ? '{"error":"You are sending too fast","id":"n20","again":true}'
        : '{"error":"You are sending too fast"}',
    ])
    time.now = 200
    send({ message: 'hi', id: 'last' })
    assert.equal(said.at(-1), ids ? 'hi last' : 'hi null')
  }
})

test('a ping is answered at once, above the rate too, and counts for it', () => {
  const { socket, said, send } = play({ ids: true })
  for (let n = 0; n < 30; n++) send({ ping: true })
  const heard = socket.heard()
  assert.equal(heard.length, 30)
  assert.ok(heard.every((text) => /^\{"pong":true,"now":\d{13}\}$/.test(text)))
  send({ message: 'hi' })
  assert.deepEqual(socket.heard(), ['{"error":"You are sending too fast"}'])
  assert.deepEqual(said, [])
})

test('what is wrong is answered while there is time for it', () => {
  const { session, socket, said, send } = play({ ids: true })
  session.frame(Buffer.from([0xff, 0xfe]), false)
  session.frame(Buffer.from('{"message":"hi"}'), true)
  send({ message: '', id: 'a' })
  assert.deepEqual(socket.heard(), [
    '{"error":"Only text frames of UTF-8 are understood"}',
    '{"error":"Only text frames of UTF-8 are understood"}',
    '{"error":"The message is empty","id":"a"}',
  ])
  for (let n = 0; n < 17; n++) send({ message: 'hi' })
  send({ message: '' })
  assert.deepEqual(socket.heard(), ['{"error":"You are sending too fast"}'])
  assert.equal(said.length, 17)
})

test('after its end nothing is looked at', () => {
  const { session, socket, said, send } = play()
  session.end(4401)
  assert.deepEqual([session.open, socket.endedBy], [false, 4401])
  send({ message: 'hi' })
  session.frame(Buffer.from('{'), false)
  session.ended('left')
  assert.deepEqual([said, socket.heard()], [['left'], []])
})

test('clients that ask for ids are told who they are, and nothing of their key', () => {
  const { socket, admit } = play({ ids: true, admitted: false })
  admit()
  const [first = ''] = socket.heard()
  assert.match(first, /^\{"authenticated":true,"user":"Alice","room":7,"now":\d{13}\}$/)
})
