import assert from 'node:assert/strict'
import { mock, test } from 'node:test'
import type { LogEntry } from './log.ts'
import { Refusals } from './refusals.ts'

test('of what strangers cause the first is logged at once, the others by their number, a line a minute', (t) => {
  mock.timers.enable({ apis: ['setTimeout'] })
  t.after(() => mock.timers.reset())
  const logged: LogEntry[] = []
  const counted: string[] = []
  const refusals = new Refusals({
    log: (entry) => logged.push(entry),
    count: (reason) => counted.push(reason),
  })
  const told = (): unknown[] =>
    logged
      .splice(0)
      .map((entry) => entry.event === 'requestRefused' && [entry.reason, entry.peer, entry.times])
  const refuse = (peer: string): void => refusals.refused('malformed', { listener: 'listen', peer })

  for (let n = 0; n < 1000; n++) refuse(`192.0.2.${n % 250}`)
  assert.deepEqual(told(), [['malformed', '192.0.2.0', 1]])
  // Another kind, and another listener, have lines of their own.
  refusals.refused('too slow', { listener: 'listen', peer: 'a' })
  refusals.refused('malformed', { listener: 'adminlisten', peer: 'b' })
  assert.deepEqual(told(), [
    ['too slow', 'a', 1],
    ['malformed', 'b', 1],
  ])
  mock.timers.tick(60_000)
  assert.deepEqual(told(), [['malformed', '192.0.2.249', 999]])
  for (let n = 0; n < 5; n++) refuse('c')
  assert.deepEqual(told(), [])
  mock.timers.tick(60_000)
  assert.deepEqual(told(), [['malformed', 'c', 5]])
  // After a minute without any it begins anew.
  mock.timers.tick(60_000)
  refuse('d')
  refuse('e')
  assert.deepEqual(told(), [['malformed', 'd', 1]])
  refusals.close()
  assert.deepEqual(told(), [['malformed', 'e', 1]])
  mock.timers.tick(60_000)
  assert.deepEqual(told(), [])
  assert.equal(counted.length, 1000 + 2 + 5 + 2)
})

test('a name that a client gives is logged without what could be a key', () => {
  const logged: LogEntry[] = []
  const refusals = new Refusals({ log: (entry) => logged.push(entry), count: () => undefined })
  refusals.refused('foreign host', { listener: 'listen', peer: '::1', host: `${'k'.repeat(54)}.example` })
  refusals.close()
  assert.deepEqual(logged, [
    {
      level: 'warn',
      event: 'requestRefused',
      reason: 'foreign host',
      listener: 'listen',
      peer: '::1',
      host: '….example',
      times: 1,
    },
  ])
})
