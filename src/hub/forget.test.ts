import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Sql } from 'postgres'
import type { Postgres } from '../../demo/postgres.ts'
import { createCluster } from '../../test/support/database.ts'
import { leaveOutRows, refuseWrites } from '../../test/support/refused-writes.ts'
import { parseDatabaseUrl } from '../db/conninfo.ts'
import { codeOf, openPool } from '../db/pool.ts'
import { type ForgetOptions, forgetCommands } from './forget.ts'

let pg: Postgres
let sql: Sql

before(async () => {
  pg = (await createCluster()).postgres
  const options = parseDatabaseUrl(pg.url('postgres'), {}, { osUser: '', home: '', readFile: () => null })
  sql = openPool(options, { max: 2, timezone: null })
  await sql.unsafe('create schema plenum')
})

after(async () => {
  await sql?.end({ timeout: 1 })
  await pg?.remove()
})

for (const table of ['plenum.command', 'plenum.chat_command'] as const)
  test(`ids in ${table} that the database refuses to delete stay, all other old ones go`, async () => {
    await sql.unsafe(`
      create table ${table} (id text, done_at timestamptz);
      insert into ${table} select n::text, now() - interval '2 hours' from generate_series(1, 20001) n;
      insert into ${table} values ('young', now() - interval '59 minutes')`)
    const ids = async (): Promise<string[]> =>
      (await sql<{ id: string }[]>`select id from ${sql(table)} order by id`).map(({ id }) => id)
    let isClosed = false
    const options: ForgetOptions = {
      table,
      rememberedMs: 3_600_000,
      retry: (work) => work(),
      isClosed: () => isClosed,
    }
    const allow = await refuseWrites(sql, `delete on ${table}`, `old.id in ('7', '15000', '20001')`, '23001')
    const keep = await leaveOutRows(sql, `delete on ${table}`, `old.id = '8'`)
    const refused = await forgetCommands(sql, options)
    assert.equal(refused?.count, 3)
    assert.equal(codeOf(refused?.error), '23001')
    assert.deepEqual(await ids(), ['15000', '20001', '7', '8', 'young'])
    await Promise.all([allow(), keep()])
    isClosed = true
    assert.equal(await forgetCommands(sql, options), null)
    assert.equal((await ids()).length, 5)
    isClosed = false
    assert.equal(await forgetCommands(sql, options), null)
    assert.deepEqual(await ids(), ['young'])
    // What concerns all of them is not tried one by one.
    await assert.rejects(
      forgetCommands(sql, { ...options, table: 'plenum.none' as typeof table }),
      /does not exist/,
    )
  })
