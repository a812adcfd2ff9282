import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import type { Sql } from 'postgres'
import { openPostgres } from '../../demo/postgres.ts'
import type { Postgres } from '../../demo/postgres.ts'
import { leaveOutRows, refuseWrites } from '../../test/support/refused-writes.ts'
import { parseDatabaseUrl } from '../db/conninfo.ts'
import { isRefused } from '../db/failure.ts'
import { codeOf, openPool } from '../db/pool.ts'
import { leftOutState, migrate } from '../db/schema.ts'
import { documentSchema } from './schema.ts'
import { addToken, updateUser } from './store/access.ts'
import {
  createDocument,
  deleteDocument,
  findDocument,
  findExpiredDocuments,
  openDocument,
  purgeDocuments,
  readBytes,
  type Store,
  touchDocuments,
  writeDocument,
} from './store/documents.ts'
import { endSessions, writeSessions } from './store/sessions.ts'
import { Webhook } from './webhook.ts'

const folder = mkdtempSync(join(tmpdir(), 'plenum-documents-'))
let pg: Postgres
let sql: Sql
let store: Store

before(async () => {
  pg = await openPostgres({ folder, durable: false })
  const options = parseDatabaseUrl(pg.url('postgres'), {}, { osUser: '', home: '', readFile: () => null })
  sql = openPool(options, { max: 2, timezone: null })
  store = { sql, epoch: '1' }
  await migrate(sql, [documentSchema.migrations])
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

test('so is what it leaves out of a purge, of what is used, and of who is to be called', async () => {
  await createDocument(store, 'old', Buffer.alloc(0), 7)
  await createDocument(store, 'used', Buffer.alloc(0), null)
  const expiry = { olderThanMs: -1000, used: ['used', 'b'] }
  const { number = '' } = (await openDocument(store, 'old')) ?? {}
  await isRefusedWhole('update on plenum.document', () => touchDocuments(store, [number]))
  assert.deepEqual(await findExpiredDocuments(sql, expiry, [], 5), [number])
  assert.deepEqual(await findExpiredDocuments(sql, expiry, [number], 5), [])
  await isRefusedWhole('insert on plenum.document_session', () =>
    writeSessions(store, { used: [number], idle: [] }),
  )
  await writeSessions(store, { used: [number], idle: [] })
  await isRefusedWhole('update on plenum.document_session', () => endSessions(store, [number]))
  await isRefusedWhole(
    'delete on plenum.document',
    () => purgeDocuments(store, [number], expiry),
    'old.number > 0',
  )
  assert.deepEqual(await purgeDocuments(store, [number], expiry), { documents: 1, freed: 7 })
  assert.deepEqual(await purgeDocuments(store, [number], expiry), { documents: 0, freed: 0 })
  await deleteDocument(store, 'used')
})

test('an application is called once for a document of which the database takes no note, and for all others', async (t) => {
  const calls: string[] = []
  const application = createServer((request, response) => {
    let body = ''
    request.on('data', (chunk: Buffer) => (body += chunk.toString()))
    request.on('end', () => {
      calls.push(new URLSearchParams(body).get('documentID') ?? '')
      response.end()
    })
  }).listen(0, '127.0.0.1')
  await once(application, 'listening')
  t.after(() => application.close())
  const add = async (id: string): Promise<string> => {
    await createDocument(store, id, Buffer.alloc(0), null)
    return (await openDocument(store, id))?.number ?? ''
  }
  const [bad, good, refused] = [await add('bad'), await add('good'), await add('refused')]
  await writeSessions(store, { used: [], idle: [bad] })
  await sql`update plenum.document_session set due_at = now() - interval '1 s'`
  t.after(await refuseWrites(sql, 'insert on plenum.document_session', `new.document = ${refused}`))
  const allow = await refuseWrites(sql, 'delete on plenum.document_session', `old.document = ${bad}`)
  let now = 0
  const logged: string[] = []
  const { port } = application.address() as AddressInfo
  const options = { url: `http://127.0.0.1:${port}`, user: '', password: '' }
  const webhook = new Webhook(options, {
    store,
    retry: (work) => work(),
    clock: () => now,
    log: ({ event }) => logged.push(event),
    onFailed: () => {},
  })
  t.after(() => webhook.close())
  // In one batch with one that is refused.
  for (const number of [refused, good]) webhook.use(number, false)
  await webhook.flushed()
  const until = async (what: string, look: () => boolean | Promise<boolean>): Promise<void> => {
    for (const end = performance.now() + 30_000; !(await look()); await wait(20))
      assert.ok(performance.now() < end, `not within 30 s: ${what}`)
  }
  const due = async (): Promise<string[]> =>
    (
      await sql<{ number: string }[]>`select document::text as number from plenum.document_session order by 1`
    ).map(({ number }) => number)
  assert.deepEqual(await due(), [bad, good])
  await until('it is called', () => calls.length === 1)
  await sql`update plenum.document_session set due_at = now() - interval '1 s' where document = ${good}`
  await until('the other is called, and forgotten', async () => (await due()).length === 1)
  assert.deepEqual([calls, logged], [['bad', 'good'], ['webhookNotStored']])
  await allow()
  now += 11_000
  await until('note is taken', async () => (await due()).length === 0)
  assert.deepEqual(calls, ['bad', 'good'])
})
