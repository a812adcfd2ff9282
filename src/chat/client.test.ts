import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RecordingSocket } from '../../test/support/recording-socket.ts'
import type { Metrics } from '../edge/metrics.ts'
import { ChatClient } from './client.ts'

function play({ ids = false, joined = true, ratePerSecond = 5 } = {}) {
  const socket = new RecordingSocket()
  const said: string[] = []
  const time = { now: 0 }
  const client = new ChatClient(
    socket,
    { key: 'k', ids, after: null, since: null, limit: null },
    {
      ratePerSecond: () => ratePerSecond,
      clock: () => time.now,
      metrics: { rejected: () => undefined } as unknown as Metrics,
    },
  )
  const room = {
    say: (_: ChatClient, message: string, id: string | null) => void said.push(`${message} ${id}`),
    ended: (_: ChatClient, how: string) => void said.push(how),
    dismissed: (_: ChatClient, code: number) => void said.push(`dismissed ${code}`),
  }
  const join = (): void => client.join({ key: 'k', user: 'Alice', room: 7 }, room)
  if (joined) join()
  socket.heard()
  const send = (message: unknown): void => client.frame(Buffer.from(JSON.stringify(message)), false)
  return { client, socket, said, send, join, time }
}

test('what comes before it has joined is ignored, and counts for nothing', () => {
  const { client, socket, said, send, join } = play({ joined: false })
  for (let n = 0; n < 50; n++) send({ message: 'early' })
  assert.equal(client.identity, null)
  join()
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
  const { client, socket, said, send } = play({ ids: true })
  client.frame(Buffer.from([0xff, 0xfe]), false)
  client.frame(Buffer.from('{"message":"hi"}'), true)
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
  const { client, socket, said, send } = play()
  client.end(4401)
  assert.deepEqual([client.open, socket.endedBy], [false, 4401])
  send({ message: 'hi' })
  client.frame(Buffer.from('{'), false)
  client.ended('left')
  client.end(1012)
  assert.deepEqual([said, socket.heard(), socket.endedBy], [['dismissed 4401', 'left'], [], 4401])
})

test('clients that ask for ids are told who they are, and nothing of their key', () => {
  const { socket, join } = play({ ids: true, joined: false })
  join()
  const [first = ''] = socket.heard()
  assert.match(first, /^\{"authenticated":true,"user":"Alice","room":7,"now":\d{13}\}$/)
})
