import assert from 'node:assert/strict'
import { mock, test } from 'node:test'
import { appendMessage, cut, initMessage, understand } from '../../test/support/document-client.ts'
import { readServerFrames } from '../../test/support/raw-connection.ts'
import type { Metrics } from '../edge/metrics.ts'
import type { Socket } from '../edge/socket.ts'
import { Budget } from './budget.ts'
import { DocumentClient } from './client.ts'

const megabyte = 2 ** 20

/** A client, and what came of it. */
function play() {
  const told: string[] = []
  const seen = { paused: false, ended: false, entered: 0 }
  const budget = new Budget(Infinity)
  const socket: Socket = {
    id: 0,
    remote: '',
    request: '',
    protocol: '',
    unsentBytes: 0,
    write(frames) {
      for (const { payload } of readServerFrames(Buffer.concat(frames)).frames) {
        const heard = understand(payload)
        told.push(heard.type === 'error' ? heard.text : heard.type)
      }
    },
    allowBacklog: () => undefined,
    drained: () => Promise.resolve(),
    pause: () => (seen.paused = true),
    resume: () => (seen.paused = false),
    end: () => (seen.ended = true),
    destroy: () => undefined,
  }
  const client = new DocumentClient(socket, {
    maxMessage: 16 * megabyte,
    budget,
    metrics: { rejected: () => undefined } as unknown as Metrics,
    clock: () => Date.now(),
    join: () => seen.entered++,
  })
  const everyone = { read: true, write: true, admin: false }
  const grant = (whole: () => void): void =>
    client.grant({ type: 'access', document: 'd', user: null, permissions: everyone, leftMs: null }, whole)
  return { client, told, seen, budget, grant }
}

test('who comes is asked who they are before more than the beginning of their init message is read', (t) => {
  mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'] })
  t.after(() => mock.timers.reset())
  const { client, seen, budget, grant } = play()
  const frames = cut(initMessage('a name', { data: Buffer.alloc(megabyte) }), 20)
  let read = 0
  while (!seen.paused) client.frame(frames[read++] ?? Buffer.alloc(0))
  assert.deepEqual([read, seen.entered, client.init.id.toString()], [2, 1, 'a name'])
  assert.equal(budget.bytes, 1024)
  let isWhole = false
  grant(() => (isWhole = true))
  assert.deepEqual([seen.paused, isWhole], [false, false])
  for (const frame of frames.slice(read)) client.frame(frame)
  assert.ok(isWhole)
  assert.equal(client.init.data.length, megabyte)
  client.close()
  assert.equal(budget.bytes, 0)
})

test('a message has a minute, and another for each MiB of it; what is more than the pace waits', (t) => {
  mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'] })
  t.after(() => mock.timers.reset())
  const { client, seen, told, budget, grant } = play()
  client.frame(initMessage('d'))
  grant(() => undefined)
  client.live()
  const message = appendMessage(0, Buffer.alloc(8 * megabyte))
  const frames = cut(message, megabyte)
  client.part(frames[0]!.subarray(0, 1000))
  client.frame(frames[0]!.subarray(1000))
  mock.timers.tick(60_000)
  assert.ok(!seen.ended)
  for (const frame of frames.slice(1, 6)) client.frame(frame)
  assert.ok(seen.paused)
  mock.timers.tick(1100)
  assert.ok(!seen.paused)
  mock.timers.tick(60_000)
  assert.ok(!seen.ended)
  client.frame(frames[6]!.subarray(0, 1000))
  mock.timers.tick(60_000)
  assert.deepEqual([seen.ended, told], [true, ['a message was not complete in time']])
  assert.equal(budget.bytes, 0)
})

test('messages that wait are counted with what they cost', (t) => {
  mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'] })
  t.after(() => mock.timers.reset())
  const { client, seen, told, budget } = play()
  client.frame(initMessage('d'))
  const segment = Buffer.alloc(64 * 1024, appendMessage(0, 'x'))
  let count = 0
  while (!seen.ended && count < 10_000) {
    client.frame(segment.subarray(0, 15))
    count++
  }
  assert.ok(count > 1000 && count < 2500, `${count} messages`)
  assert.deepEqual(told, ['too much came before the document was open'])
  assert.equal(budget.bytes, 0)
})
