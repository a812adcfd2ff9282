import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { Sql } from 'postgres'
import { openPostgres } from '../../demo/postgres.ts'
import type { Postgres } from '../../demo/postgres.ts'
import { leaveOutRows } from '../../test/support/refuse.ts'
import { parseDatabaseUrl } from '../db/conninfo.ts'
import { isRefused } from '../db/failure.ts'
import { codeOf, openPool } from '../db/pool.ts'
import { leftOutState, migrate } from '../db/schema.ts'
import {
  addToken,
  createDocument,
  deleteDocument,
  findDocument,
  openDocument,
  readBytes,
  type Store,
  updateUser,
  writeDocument,
} from './store.ts'

const folder = mkdtempSync(join(tmpdir(), 'plenum-documents-'))
let pg: Postgres
let sql: Sql
let store: Store

before(async () => {
  pg = await openPostgres({ folder, durable: false })
  const options = parseDatabaseUrl(pg.url('postgres'), {}, { osUser: '', home: '', readFile: () => null })
  sql = openPool(options, { max: 2, timezone: null })
  store = { sql, epoch: '1' }
  await migrate(sql)
  await sql`insert into plenum.lease (door, epoch) values ('meetings', 1)`
})

after(async () => {
  await sql?.end({ timeout: 1 })
  await pg?.stop('immediate')
  rmSync(folder, { recursive: true, force: true })
})

/** Everything of the documents but when they were used. */
const picture = async (): Promise<unknown> =>
  sql`
    select (select json_agg(json_build_array(number, id, length) order by number) from plenum.document) documents,
      (select json_agg(json_build_array(document, at, md5(data)) order by document, at) from plenum.document_part) parts,
      (select json_agg(k order by document, name) from plenum.document_key k) keys,
      (select json_agg(t order by hash) from plenum.document_token t) tokens,
      (select json_agg(json_build_array(id, permissions) order by id) from plenum.document_user) users`

async function isRefusedWhole(what: string, work: () => Promise<unknown>, condition = 'true'): Promise<void> {
  const before = await picture()
  const allow = await leaveOutRows(sql, what, condition)
  try {
    await assert.rejects(work, (error) => isRefused(error) && codeOf(error) === leftOutState, what)
    assert.deepEqual(await picture(), before, what)
  } finally {
    await allow()
  }
}

const long = randomBytes(3 * 1024 * 1024)
const key = { name: Buffer.from('name'), value: Buffer.from('value'), version: 1 }
const isPart = 'insert on plenum.document_part'

test('what a trigger leaves out of a document is a refusal, and all of the write is undone', async () => {
  const data = Buffer.from('text')
  const lengthOf = async (id: string): Promise<number | undefined> => (await findDocument(sql, id))?.length
  await isRefusedWhole('insert on plenum.document', () => createDocument(store, 'a', data, null))
  await isRefusedWhole(isPart, () => createDocument(store, 'a', data, null))
  await isRefusedWhole(isPart, () => createDocument(store, 'a', long, null), 'new.at > 0')
  assert.equal(await createDocument(store, 'a', data, null), true)
  assert.equal(await createDocument(store, 'a', data, null), false)

  await isRefusedWhole('update on plenum.document', () => openDocument(store, 'a'))
  assert.equal(await openDocument(store, 'none'), null)
  const { number = '' } = (await openDocument(store, 'a')) ?? {}
  const append = (what: Buffer, length = 4) =>
    writeDocument(store, number, { length, data: what, keys: [key], quotaBytes: 0 })
  await isRefusedWhole('update on plenum.document', () => append(data))
  await isRefusedWhole(isPart, () => append(data))
  await isRefusedWhole(isPart, () => append(long), 'new.at > 1100000')
  await isRefusedWhole('insert on plenum.document_key', () => append(data))
  assert.equal(await append(data, 3), false)
  assert.equal(await append(long), true)
  assert.equal(await lengthOf('a'), 4 + long.length)
  assert.deepEqual(await readBytes(sql, number, 4, 4 + long.length), long)

  await isRefusedWhole('delete on plenum.document', () => deleteDocument(store, 'a'), 'old.length > 0')
  await deleteDocument(store, 'a')
  assert.equal(await lengthOf('a'), undefined)
  assert.equal(await deleteDocument(store, 'a'), 0)
})

test('so is what it leaves out of tokens and of what users may do', async () => {
  const expiresAt = new Date(Date.now() + 60_000)
  const token = { token: Buffer.from('t'), document: 'b', user: 'u', permissions: 'rw', expiresAt }
  const add = () => addToken(store, { ...token, contents: Buffer.from('text') })
  await isRefusedWhole('insert on plenum.document_token', add)
  await isRefusedWhole(isPart, add)
  assert.equal(await add(), true)
  assert.equal(await add(), false)
  const change = () => updateUser(store, 'u', 'r')
  await isRefusedWhole('insert on plenum.document_user', change)
  await isRefusedWhole('update on plenum.document_token', change)
  await change()
})
