import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { TestContext } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import type { Sql } from 'postgres'
import type { Postgres } from '../../demo/postgres.ts'
import { createCluster } from '../../test/support/database.ts'
import { parseDatabaseUrl } from './conninfo.ts'
import { Lease } from './lease.ts'
import { openPool } from './pool.ts'
import { lockSpace, locks, migrate } from './schema.ts'

let pg: Postgres
let sql: Sql

const open = (): Sql =>
  openPool(parseDatabaseUrl(pg.url('postgres'), {}, { osUser: '', home: '', readFile: () => null }), {
    max: 1,
    timezone: null,
  })

before(async () => {
  pg = (await createCluster()).postgres
  sql = open()
  await migrate(sql)
})

after(async () => {
  await sql?.end({ timeout: 1 })
  await pg?.remove()
})

type Event = ['gained', string] | ['lost'] | ['waits', string]

/** A process, as far as the lease goes. Its first `failures` attempts to serve fail. */
function start(t: TestContext, failures = 0) {
  const events: Event[] = []
  const lease = new Lease(open(), {
    async gained(epoch) {
      events.push(['gained', epoch])
      if (failures-- > 0) throw new Error('injected')
    },
    lost: () => events.push(['lost']),
    waits: (reason) => events.push(['waits', reason]),
  })
  t.after(() => lease.close())
  const epochs = (): string[] => events.flatMap(([type, what]) => (type === 'gained' && what ? [what] : []))
  return { lease, events, epochs }
}

async function until(what: string, look: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = performance.now() + 20_000; !(await look()); await wait(20))
    if (performance.now() > end) throw new Error(`not within 20 s: ${what}`)
}

const holders = async (): Promise<number> => {
  const rows = await sql`
    select from pg_locks where locktype = 'advisory' and classid = ${lockSpace} and objid = ${locks.meetings}
      and objsubid = 2 and granted`
  return rows.length
}

test('who cannot begin to serve gives the lock back and says why; later it serves, with an epoch of its own', async (t) => {
  const { lease, events, epochs } = start(t, 2)
  await until('it says why', () => events.some(([type]) => type === 'waits'))
  assert.equal(lease.waitsFor, 'the meetings cannot be served: injected')
  assert.equal(await holders(), 0)
  await until('it serves', () => lease.waitsFor === null)
  const [first, second, third] = epochs().map(Number) as [number, number, number]
  assert.deepEqual([second, third, epochs().length], [first + 1, first + 2, 3])
  assert.equal(events.filter(([type]) => type === 'lost').length, 0)
})

test('while one fails to begin another one can serve', async (t) => {
  const failing = start(t, Infinity)
  await until('it has tried', () => failing.events.some(([type]) => type === 'waits'))
  const other = start(t)
  await until('the other one serves', () => other.lease.waitsFor === null)
  const tries = failing.epochs().length
  await until('the first one waits for it', () => /another Plenum process/.test(failing.lease.waitsFor ?? ''))
  assert.ok(failing.epochs().length - tries <= 1)
  assert.deepEqual(
    other.events.map(([type]) => type),
    ['gained'],
  )
})

test('what is left of an older epoch takes nothing away from the one that is held', async (t) => {
  const { lease, events, epochs } = start(t, 1)
  await until('it serves', () => lease.waitsFor === null)
  const [old = '', held = ''] = epochs()
  lease.fenced(old)
  assert.equal(lease.waitsFor, null)
  assert.equal(events.filter(([type]) => type === 'lost').length, 0)
  lease.fenced(held)
  assert.equal(events.filter(([type]) => type === 'lost').length, 1)
  assert.match(lease.waitsFor ?? '', /another Plenum process/)
  lease.fenced(held)
  assert.equal(events.filter(([type]) => type === 'lost').length, 1, 'it is told once')
})
