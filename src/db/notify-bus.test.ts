import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { busContract } from '../../test/support/bus-contract.ts'
import { createDatabase, type Database } from '../../test/support/database.ts'
import { openTcpProxy } from '../../test/support/tcp-proxy.ts'
import { until } from '../../test/support/until.ts'
import type { HeardMessage } from '../hub/bus.ts'
import { type DatabaseOptions, parseDatabaseUrl } from './conninfo.ts'
import { NotifyBus } from './notify-bus.ts'

let db: Database

before(async () => {
  db = await createDatabase()
})
after(() => db.drop())

const optionsOf = (url: string): DatabaseOptions =>
  parseDatabaseUrl(url, {}, { osUser: '', home: '', readFile: () => null })

const open = (url = db.url): NotifyBus => new NotifyBus(optionsOf(url), { timezone: null })

/** Which of our connections listen, by their last statement. */
const listening = () => db.sql<{ query: string }[]>`
  select query from pg_stat_activity 
  where datname = current_database() and pid <> pg_backend_pid() and query like '%isten "%'`

busContract('NOTIFY', async () => {
  const url = new URL(db.url)
  const target = Number(url.port)
  let network = await openTcpProxy(target)
  const { port } = network
  url.port = String(port)
  url.hostname = '127.0.0.1'
  const [here, there] = [open(url.href), open()]
  let isUp = true
  return {
    here,
    there,
    async lose() {
      isUp = false
      await network.close()
    },
    async restore() {
      network = await openTcpProxy(target, port)
      isUp = true
    },
    async close() {
      await Promise.all([here.close(), there.close()])
      if (isUp) await network.close()
      isUp = false
    },
  }
})

test('what another program notifies of is heard, with its number or without one', async (t) => {
  const bus = open()
  t.after(() => bus.close())
  const heard: HeardMessage[] = []
  let isBack = false
  bus.subscribe('nodejschat', {
    heard: (message) => void heard.push(message),
    back: () => (isBack = true),
    lost: () => undefined,
  })
  await until('it listens', () => isBack)
  const payloads = ['4711', '', 'hello', '12x', '13 body', '99999999999999999999']
  for (const payload of payloads) await db.sql`select pg_notify('nodejschat', ${payload})`
  await until('all is heard', () => heard.length === payloads.length)
  assert.deepEqual(
    heard.map(({ seq, body }) => [seq, body]),
    [
      [4711, ''],
      [null, ''],
      [null, 'hello'],
      [null, '12x'],
      [13, 'body'],
      [null, '99999999999999999999'],
    ],
  )
})

test('it listens to what somebody subscribes to, on one connection, and to nothing else', async (t) => {
  const bus = open()
  t.after(() => bus.close())
  const told: string[] = []
  const join = (topic: string) =>
    bus.subscribe(topic, {
      heard: () => undefined,
      back: () => void told.push(topic),
      lost: () => undefined,
    })
  const first = join('one')
  join('two')
  await until('both listen', () => told.length === 2)
  const [connection, ...others] = await listening()
  assert.deepEqual([connection?.query, others], ['listen "one";listen "two"', []])
  first()
  await until('one is left', async () => (await listening())[0]?.query === 'listen "two";unlisten "one"')
})

test('a connection that the server ends is made again at once', async (t) => {
  const bus = open()
  t.after(() => bus.close())
  const told: string[] = []
  bus.subscribe('room', {
    heard: ({ seq }) => void told.push(String(seq)),
    back: () => void told.push('back'),
    lost: () => void told.push('lost'),
  })
  await until('it listens', () => told.length === 1)
  await db.sql`
    select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and query like 'listen "room"%'`
  await until('it listens again', () => told.length === 3)
  await bus.publish('room', { seq: 5, body: '' })
  await until('it hears', () => told.length === 4)
  // Nothing follows of the first connection.
  await wait(50)
  assert.deepEqual(told, ['back', 'lost', 'back', '5'])
})
