import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RecordingSocket } from '../../test/support/recording-socket.ts'
import type { Metrics } from '../edge/metrics.ts'
import { reject } from '../hub/rejection.ts'
import { Client } from './client.ts'

function play({ newer = false, isIn = true, ratePerSecond = 5 } = {}) {
  const socket = new RecordingSocket(newer ? 'plenum.v1' : '')
  const asked: string[] = []
  const time = { now: 0 }
  const client = new Client(socket, {
    ratePerSecond: () => ratePerSecond,
    clock: () => time.now,
    metrics: { rejected: () => undefined } as unknown as Metrics,
  })
  client.assign(
    {
      command: (_, command, id) =>
        void asked.push(`${command.type === 'say' ? command.text : command.type} ${id}`),
      ended: (_, how) => void asked.push(how),
      joined: () => undefined,
      dismissed: () => undefined,
    },
    { member: 1, first: 0 },
  )
  if (isIn) client.joined('joined')
  const send = (message: unknown): void => client.frame(Buffer.from(JSON.stringify(message)), false)
  return { client, socket, asked, send, time }
}
const line = (message: string, id?: string) => ({ type: 'message', message, id })

test('what comes before it has joined waits, up to 16 frames, and is done then in its order', () => {
  const { client, socket, asked, send } = play({ isIn: false })
  for (let n = 0; n < 16; n++) send(n === 3 ? { type: 'dance' } : line(`early ${n}`))
  assert.deepEqual([asked, socket.heard()], [[], []])
  client.joined('joined')
  assert.equal(asked.length, 15)
  assert.deepEqual([asked[0], asked[3], asked[14]], ['early 0 null', 'early 4 null', 'early 15 null'])
  assert.deepEqual(socket.heard(), ['{"type":"error","msg":"Unknown command"}'])
})

test('of more than that, or than 64 KiB of it, the rest is refused in one word', () => {
  for (const frames of [Array(20).fill('x'), Array(12).fill('x'.repeat(9000))]) {
    const { client, socket, asked, send } = play({ isIn: false })
    for (const text of frames) send(line(text))
    client.joined('joined')
    assert.equal(asked.length, frames.length === 20 ? 16 : 7)
    assert.deepEqual(socket.heard(), ['{"type":"error","msg":"You are sending too fast"}'])
  }
})

test('who is refused has said nothing', () => {
  const { client, socket, asked, send } = play({ isIn: false })
  send({ type: 'open' })
  client.disconnect('You are not allowed to enter this meeting', 0)
  client.joined('joined')
  send({ type: 'open' })
  assert.deepEqual(asked, [])
  const [frame = '', ...more] = socket.heard()
  assert.match(
    frame,
    /^\{"type":"disconnect","data":\{"id":-1,"time":"\d\d:\d\d:\d\d","date":"\d{4}-\d\d-\d\d","from":-1,"fromname":"","color":"sys","message":"You are not allowed to enter this meeting"\}\}$/,
  )
  assert.deepEqual(more, [])
})

test('times of a disconnect are those of the record', (t) => {
  t.mock.timers.enable({ apis: ['Date'], now: Date.UTC(2026, 2, 14, 23, 30, 1, 999) })
  for (const [utcOffset, expected] of [
    [0, ['23:30:01', '2026-03-14']],
    [3600, ['00:30:01', '2026-03-15']],
    [-12_600, ['20:00:01', '2026-03-14']],
  ] as const) {
    const { client, socket } = play()
    client.disconnect('This meeting no longer exists', utcOffset)
    const { data } = JSON.parse(socket.heard().join()) as { data: { time: string; date: string } }
    assert.deepEqual([data.time, data.date], expected)
  }
})

test('ends: newer clients get a code, the stock page none, for good or for now', () => {
  for (const [newer, codes] of [
    [true, [4000, 1012, 4505]],
    [false, [null, null, null]],
  ] as const) {
    const ends = [
      (client: Client) => client.close(),
      (client: Client) => client.close(1012),
      (client: Client) => client.disconnect('You have been forcibly disconnected from this meeting', 0),
    ]
    assert.deepEqual(
      ends.map((end) => {
        const { client, socket } = play({ newer })
        end(client)
        assert.equal(client.open, false)
        return socket.endedBy
      }),
      codes,
    )
  }
})

test('twenty commands at once, then five a second; newer clients are told which one was too fast', () => {
  for (const newer of [true, false]) {
    const { socket, asked, send, time } = play({ newer })
    for (let n = 0; n < 21; n++) send(line('hi', `n${n}`))
    assert.equal(asked.length, 20)
    assert.deepEqual(socket.heard(), [
      newer
        ? '{"type":"error","msg":"You are sending too fast","id":"n20","again":true}'
        : '{"type":"error","msg":"You are sending too fast"}',
    ])
    time.now = 199
    send(line('hi', 'early'))
    time.now = 200
    send(line('hi', 'late'))
    assert.deepEqual(asked.slice(20), [newer ? 'hi late' : 'hi null'])
  }
})

test('what is no text is refused; what is ignored is acknowledged where it has an id', () => {
  const { client, socket, asked, send } = play({ newer: true })
  client.frame(Buffer.from([0xc3]), false)
  client.frame(Buffer.from('{"type":"open"}'), true)
  send(line(' '))
  send(line(' ', 'a'))
  assert.equal(asked.length, 0)
  const heard = socket.heard()
  const notText = '{"type":"error","msg":"Only text frames of UTF-8 are understood"}'
  assert.deepEqual(heard.slice(0, 2), [notText, notText])
  assert.match(heard.slice(2).join(), /^\{"type":"ack","data":\{"id":"a","now":\d{13}\}\}$/)
})

test('who waits for its being decided hears of it once: joined, refused, ended', () => {
  const decisions = [
    (client: Client) => client.joined('joined'),
    (client: Client) => client.disconnect('This meeting no longer exists', 0),
    (client: Client) => client.close(),
    (client: Client) => client.ended('lost'),
  ]
  for (const decide of decisions) {
    const { client } = play({ isIn: false })
    let decided = 0
    client.whenDecided(() => decided++)
    decide(client)
    client.ended('lost')
    assert.equal(decided, 1)
  }
})

test('a rejection is answered with what it says', () => {
  const { client, socket } = play({ newer: true })
  client.reply(reject('Invalid vote'), 'a')
  client.reply(reject('Busy', { again: true }), null)
  assert.deepEqual(socket.heard(), [
    '{"type":"error","msg":"Invalid vote","id":"a"}',
    '{"type":"error","msg":"Busy"}',
  ])
})
