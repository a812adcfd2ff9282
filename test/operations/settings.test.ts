import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { ChatClient, invite } from '../support/chat-client.ts'
import { gather, settle } from '../support/meeting-fixture.ts'
import { createRole } from '../support/database.ts'
import { openServerFixture } from '../support/server-fixture.ts'
import { manage } from '../support/manage.ts'
import { appendMessage, initMessage, DocumentClient } from '../support/document-client.ts'

/** What a role, a database or a server may be set to, and what would spoil what is read or end what is under way. */
const perverse = {
  bytea_output: 'escape',
  datestyle: 'German, DMY',
  intervalstyle: 'sql_standard',
  extra_float_digits: '-15',
  standard_conforming_strings: 'off',
  array_nulls: 'off',
  client_encoding: 'LATIN1',
  default_transaction_isolation: 'serializable',
  // Not so short that what a session begins with would be cut off by it.
  statement_timeout: '3000',
  lock_timeout: '1',
  idle_in_transaction_session_timeout: '3000',
  idle_session_timeout: '300',
  transaction_timeout: '3000',
  exit_on_error: 'on',
  xmloption: 'document',
  lc_monetary: 'C',
}

test('however the role is set, all doors say and keep what they are told', async (t) => {
  const fixture = await openServerFixture(t)
  const { sql } = fixture.db
  // Set for this role alone, or the test could not read either.
  const { role, url } = await createRole(fixture.db, 'superuser')
  const known = await sql<{ name: string }[]>`
    select lower(name) as name from pg_settings where lower(name) = any(${Object.keys(perverse)}::text[])`
  for (const { name } of known)
    await sql.unsafe(`alter role ${role} set ${name} to '${perverse[name as keyof typeof perverse]}'`)
  const password = 'secret'.repeat(4)
  const credentials = ['-document-user', 'app', '-document-password', password]
  const plenum = await fixture.start({
    database: url,
    flags: ['-rate', '0', '-chat', '-document', ...credentials],
  })

  const meeting = await gather(sql, plenum, 3, { state: 1, allowrejoin: true })
  const [chair, ann] = await meeting.enterAll(0, 1)
  const words = `a \\ back'slash, Ünïcödé 漢字 😀 and NULL`
  ann.say(words)
  await chair.line(words)
  chair.send({ type: 'newpoll', question: words, answers: ['yes', 'no \\'], minutes: 1 })
  for (const member of [chair, ann]) await member.next('poll', ({ data }) => data?.question === words)
  for (const member of [chair, ann]) member.send({ type: 'vote', question: words, vote: 1 })
  await ann.line('All attendees have voted, poll has completed.')

  const chatter = await new ChatClient(plenum, await invite(sql, 'Ann', 1)).entered()
  chatter.say(words)
  const { time } = await chatter.hears(words)
  assert.ok(Math.abs(Date.parse(time) - Date.now()) < 600_000, time)

  const bytes = Buffer.from(Array.from({ length: 256 }, (_, n) => n))
  const open = async (): Promise<DocumentClient> => {
    const client = await new DocumentClient(plenum).opened()
    t.after(() => client.leave())
    client.send(initMessage('a document'))
    return client
  }
  const first = await open()
  await first.hears('append')
  first.send(appendMessage(0, bytes))
  assert.equal((await first.hears('answer')).status, 1)
  first.leave()

  // Longer than its sessions were to be idle.
  await wait(500)
  await settle(ann, chair)
  assert.deepEqual((await (await open()).hears('append')).data, bytes)
  const dumped = await manage(
    plenum,
    { method: 'dumpDocument', documentID: 'a document' },
    { user: 'app', password },
  )
  assert.deepEqual(dumped.body, bytes)
  const newcomer = await meeting.enter(2)
  await settle(newcomer, ann, chair)
  const troubles = plenum.logs.filter(
    ({ level, event }) => ['warn', 'error'].includes(String(level)) && event !== 'documentsPublic',
  )
  assert.deepEqual(troubles, [])
  assert.ok((await meeting.texts()).includes(words))
})
