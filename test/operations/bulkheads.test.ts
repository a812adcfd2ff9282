import assert from 'node:assert/strict'
import { after, suite, test, type TestContext } from 'node:test'
import type { Sql } from 'postgres'
import { ChatClient, invite } from '../support/chat-client.ts'
import { createDatabase } from '../support/database.ts'
import { gather, settle } from '../support/meeting-fixture.ts'
import { holdTransaction } from '../support/held-transaction.ts'
import type { Member } from '../support/meeting-client.ts'
import { startPlenum } from '../support/server.ts'
import type { Plenum, PlenumOptions } from '../support/server.ts'
import { appendMessage, initMessage, DocumentClient } from '../support/document-client.ts'

const open = { state: 1, allowrejoin: true } as const

// Each test holds locks of its own, so that one server and one database do for all.
const db = await createDatabase()
const { sql } = db
const started: Plenum[] = []
after(async () => {
  await Promise.all(started.map((plenum) => plenum.kill()))
  await db.drop()
})

async function start(options: Partial<PlenumOptions> = {}): Promise<Plenum> {
  const plenum = await startPlenum({
    database: db.url,
    poll: 0.5,
    flags: ['-rate', '0', '-chat', '-document'],
    ...options,
  })
  started.push(plenum)
  return plenum
}

const plenum = await start()
const numbers = (count: number): number[] => Array.from({ length: count }, (_, n) => n + 1)

let lastRoom = 0
/** One who is in a chat room where nobody else is. */
async function chat(to = plenum): Promise<{ room: number; chatter: ChatClient }> {
  const room = ++lastRoom
  return { room, chatter: await new ChatClient(to, await invite(sql, `user ${room}`, room)).entered() }
}

/** Somebody says this many lines and is told each of them. */
async function talk(speaker: Member, what: string, count = 10): Promise<void> {
  for (const n of numbers(count)) {
    speaker.say(`${what} ${n}`)
    await speaker.line(`${what} ${n}`)
  }
}

async function isReady(to = plenum): Promise<void> {
  assert.deepEqual(await to.get('/readyz').then(({ status, body }) => [status, body]), [200, 'ok\n'])
}

const linesOf = async (sql: Sql, room: number): Promise<string[]> => {
  const rows = await sql<{ message: string }[]>`
    select message from chat.log where room = ${room} order by message_id`
  return rows.map(({ message }) => message)
}

/** A document with one connection that has it open. */
async function draw(t: TestContext, id: string): Promise<DocumentClient> {
  const client = await new DocumentClient(plenum).opened()
  t.after(() => client.leave())
  client.send(initMessage(id))
  await client.hears('append')
  return client
}

suite('who holds locks holds up who needs them, and nobody else', { concurrency: 3 }, () => {
  test('an application holds ten chat rooms: their lines are stored when it lets go', async () => {
    const rooms = await Promise.all(numbers(10).map(() => chat()))
    const other = await chat()
    const meeting = await gather(sql, plenum, 2, open)
    const [ann, bob] = await meeting.enterAll(0, 1)
    const held = await holdTransaction(db.url, async (tx) => {
      for (const { room } of rooms) await tx`select chat.new_message(${room}::int, now(), 'app', 'held')`
    })
    for (const { chatter } of rooms) chatter.say('hi')
    await held.waitedFor()
    await talk(ann, 'meanwhile')
    await isReady()
    for (const n of numbers(3)) {
      other.chatter.say(`elsewhere ${n}`)
      await other.chatter.hears(`elsewhere ${n}`)
    }
    // Who comes now is let in.
    await chat()
    for (const { chatter } of rooms) chatter.say('ho')
    await held.commit()
    for (const { room, chatter } of rooms) {
      await chatter.hears('ho')
      assert.deepEqual(await linesOf(sql, room), ['held', 'hi', 'ho'])
      assert.deepEqual([chatter.messages, chatter.errors], [['held', 'hi', 'ho'], []])
    }
    await settle(ann, bob)
  })

  test('the site holds the rows of nine meetings: a tenth talks, and theirs go on when it lets go', async () => {
    const meetings = await Promise.all(numbers(9).map(() => gather(sql, plenum, 2, open)))
    const people = await Promise.all(meetings.map((meeting) => meeting.enterAll(0, 1)))
    const tenth = await gather(sql, plenum, 3, open)
    const [ann, bob] = await tenth.enterAll(0, 1)
    const ids = meetings.map(({ id }) => id)
    const held = await holdTransaction(
      db.url,
      (tx) => tx`select from membership_meeting where id = any(${ids}::int[]) for update`,
    )
    for (const [chair] of people) chair.say('waits')
    await held.waitedFor()
    await talk(ann, 'meanwhile')
    await tenth.enter(2)
    await isReady()
    for (const [, member] of people) member.say('waits behind it')
    await held.rollback()
    for (const [chair, member] of people) await settle(chair, member)
    await settle(ann, bob)
    for (const [n, meeting] of meetings.entries()) {
      assert.deepEqual((await meeting.texts()).slice(-2), ['waits', 'waits behind it'])
      for (const member of people[n] ?? [])
        assert.deepEqual(
          member.frames.filter(({ type }) => type === 'error'),
          [],
        )
    }
  })

  test('somebody holds ten documents: others are written to, and these when he lets go', async (t) => {
    const ids = numbers(10).map((n) => `held ${n}`)
    const clients = await Promise.all(ids.map((id) => draw(t, id)))
    const other = await draw(t, 'free')
    const meeting = await gather(sql, plenum, 2, open)
    const [ann, bob] = await meeting.enterAll(0, 1)
    const held = await holdTransaction(
      db.url,
      (tx) => tx`select from plenum.document where id = any(${ids}::text[]) for update`,
    )
    for (const client of clients) client.send(appendMessage(0, 'change'))
    await held.waitedFor()
    await talk(ann, 'meanwhile')
    await isReady()
    for (const n of numbers(3)) {
      other.send(appendMessage(n - 1, 'x'))
      await other.hears('answer', n)
    }
    await draw(t, 'new')
    await held.rollback()
    for (const client of clients) {
      assert.deepEqual(await client.hears('answer'), { type: 'answer', status: 1, length: 6 })
      assert.equal(client.closeCode, null)
    }
    await settle(ann, bob)
  })
})

test('what waits for a lock for too long is refused in words, and what is said after it is stored', async () => {
  await plenum.kill()
  const url = new URL(db.url)
  url.searchParams.set('statement_timeout', '1000')
  const impatient = await start({ database: url.href })
  const { room, chatter } = await chat(impatient)
  const meeting = await gather(sql, impatient, 2, open)
  const [ann, bob] = await meeting.enterAll(0, 1)
  const held = await holdTransaction(db.url, async (tx) => {
    await tx`select chat.new_message(${room}::int, now(), 'app', 'held')`
    await tx`select from membership_meeting where id = ${meeting.id} for update`
  })
  chatter.say('in vain')
  ann.say('in vain')
  assert.equal((await ann.next('error')).msg, 'The meeting database is not available, please try again')
  await chatter.refused(/may not have been stored/)
  await held.commit()
  chatter.say('at last')
  await chatter.hears('at last')
  assert.deepEqual(await linesOf(sql, room), ['held', 'at last'])
  await settle(bob, ann)
  assert.equal((await meeting.texts()).includes('in vain'), false)
})
