import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import type { Sql } from 'postgres'
import { pgeuSchema } from '../../demo/association.ts'
import { openPostgres } from '../../demo/postgres.ts'
import type { Postgres } from '../../demo/postgres.ts'
import { parseDatabaseUrl } from '../db/conninfo.ts'
import { openPool } from '../db/pool.ts'
import { migrate } from '../db/schema.ts'
import type { Metrics } from '../edge/metrics.ts'
import { Poller } from './poller.ts'
import { readMeeting } from './store.ts'

const folder = mkdtempSync(join(tmpdir(), 'plenum-store-'))
let pg: Postgres
let sql: Sql

before(async () => {
  pg = await openPostgres({ folder, durable: false })
  const options = parseDatabaseUrl(pg.url('postgres'), {}, { osUser: '', home: '', readFile: () => null })
  sql = openPool(options, { max: 2, timezone: null })
  await sql.unsafe(pgeuSchema)
  await migrate(sql)
})

after(async () => {
  await sql?.end({ timeout: 1 })
  await pg?.stop('immediate')
  rmSync(folder, { recursive: true, force: true })
})

async function addMeeting(lines: number): Promise<number> {
  const [meeting] = await sql<{ id: number }[]>`
    insert into membership_meeting (name, dateandtime, allmembers, meetingtype, state)
    values ('Meeting', now(), true, 1, 1) returning id::int`
  const id = meeting?.id ?? 0
  await sql`
    insert into membership_meetingmessagelog (t, message, meeting_id)
    select now() + n * interval '1 ms', 'line', ${id} from generate_series(1, ${lines}::int) n`
  return id
}

test('an old meeting is read without a look at the lines of those that came after it', async () => {
  const old = await addMeeting(30)
  await addMeeting(20_000)
  await sql`analyze membership_meetingmessagelog`
  const { rows, lastId } = await sql.begin(async (tx) => {
    const stored = await readMeeting(tx, old)
    // Of this transaction, what was taken from the table and from its indexes.
    const [read] = await tx<{ rows: number }[]>`
      select sum(pg_stat_get_xact_tuples_returned(c.oid))::int as rows from pg_class c
      where c.oid = 'membership_meetingmessagelog'::regclass
        or c.oid in (select indexrelid from pg_index where indrelid = 'membership_meetingmessagelog'::regclass)`
    return { rows: read?.rows ?? 0, lastId: stored?.lastLine.id }
  })
  const [last] = await sql<{ id: number }[]>`
    select max(id)::int id from membership_meetingmessagelog where meeting_id = ${old}`
  assert.equal(lastId, last?.id)
  assert.ok(rows >= 30 && rows < 200, `${rows} rows were read for a meeting of 30 lines`)
})

test('the ids of commands are forgotten at the beginning and every hour, of meetings too that nobody reads', async (t) => {
  const add = (ago: string, id: string): Promise<unknown> =>
    sql`insert into plenum.command (meeting_id, member_id, id, done_at) values (7, 1, ${id}, now() - ${ago}::text::interval)`
  const ids = async (): Promise<string[]> =>
    (await sql<{ id: string }[]>`select id from plenum.command order by id`).map(({ id }) => id)
  await sql`
    insert into plenum.command (meeting_id, member_id, id, done_at)
    select 7, 2, n::text, now() - interval '2 hours' from generate_series(1, 10001) n`
  await add('59 minutes', 'young')
  let now = 0
  let looks = 0
  const poller = new Poller({
    sql,
    retry: (work) => work(),
    clock: () => now,
    log: () => {},
    metrics: { databaseFailed: () => assert.fail('the database answers') } as unknown as Metrics,
    pollMs: 10,
    rooms: () => new Map(),
    open: () => assert.fail('no meeting is under way'),
    onZone: () => looks++,
  })
  t.after(() => poller.close())
  await poller.ready
  assert.deepEqual(await ids(), ['young'])
  await add('61 minutes', 'old')
  const until = async (look: () => boolean | Promise<boolean>): Promise<void> => {
    for (const end = performance.now() + 20_000; !(await look()); await wait(10))
      assert.ok(performance.now() < end, 'not within 20 s')
  }
  const before = looks
  await until(() => looks > before + 3)
  assert.deepEqual(await ids(), ['old', 'young'])
  now += 3_600_000
  await until(async () => (await ids()).length === 1)
  assert.deepEqual(await ids(), ['young'])
})
