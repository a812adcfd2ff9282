import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, suite, test, type TestContext } from 'node:test'
import { sign } from 'hono/jwt'
import { ChatClient, invite } from '../support/chat-client.ts'
import { createDatabase } from '../support/database.ts'
import { elsewhere, farewell, gather, settle } from '../support/meeting-fixture.ts'
import type { MeetingFixture } from '../support/meeting-fixture.ts'
import { openServerFixture } from '../support/server-fixture.ts'
import { holdTransaction } from '../support/held-transaction.ts'
import { type Fields, manage, type ManageAnswer } from '../support/manage.ts'
import type { Member } from '../support/meeting-client.ts'
import { leaveOutRows, refuseWrites } from '../support/refused-writes.ts'
import { startPlenum } from '../support/server.ts'
import { until } from '../support/until.ts'
import {
  appendMessage,
  broadcastMessage,
  initMessage,
  setKeyMessage,
  DocumentClient,
} from '../support/document-client.ts'

const credentials = { user: 'app', password: 'secret of the app' }
const documents = [
  '-document',
  '-document-user',
  credentials.user,
  '-document-password',
  credentials.password,
]
const options = { poll: 0.5, flags: ['-rate', '0', '-behindproxy', '-chat', ...documents] }
const db = await createDatabase()
const { sql } = db
const plenum = await startPlenum({ database: db.url, grace: 0, ...options })
after(async () => {
  await plenum.kill()
  await db.drop()
})

const refused = 'The database refuses this: please change it, or tell the organisers'
const unopened = 'The database refuses this document: please tell the organisers'
const unwritable = 'The database lacks one of these characters: please leave it out'
const keptOut = 'The meeting database refuses to let you in. Please tell the organisers.'
const open = { state: 1, allowrejoin: true } as const
const newer = { protocols: ['plenum.v1'] }
const draft = { type: 'newpoll', question: 'Shall we?', answers: ['yes', 'no'], minutes: 5 }

const errorsOf = (member: Member): string[] =>
  member.frames.flatMap((frame) => (frame.type === 'error' ? [frame.msg] : []))

/** Lets commands pile up while `work` sends them: they share a commit as soon as it is done. */
async function together(meeting: MeetingFixture, work: () => Promise<void>): Promise<void> {
  const held = await holdTransaction(db.url, (tx) => tx`lock membership_meetingmessagelog in exclusive mode`)
  const [first] = [await meeting.connect(0, elsewhere())]
  await held.waitedFor()
  await work()
  await held.commit()
  await first.next('messages')
}

const viewChanges = (member: Member, from: number): string[] =>
  member.frames.slice(from).flatMap(({ type }) => (['users', 'status', 'poll'].includes(type) ? [type] : []))

suite('what the database refuses of one', () => {
  test('is told to them alone, and the lines of others are said in their order', async () => {
    const meeting = await gather(sql, plenum, 4, open)
    const speakers = await meeting.enterAll(1, 2, 3)
    const [bad, good, watcher] = speakers
    const allow = await refuseWrites(
      sql,
      'insert on membership_meetingmessagelog',
      "new.message like 'forbidden%'",
    )
    const numbers = Array.from({ length: 15 }, (_, n) => n)
    await together(meeting, async () => {
      for (const n of numbers) {
        bad.say(`forbidden ${n}`)
        await bad.caughtUp()
        good.say(`allowed ${n}`)
        await good.caughtUp()
      }
    })
    await until('all are answered', () => errorsOf(bad).length === numbers.length)
    await settle(good, bad, watcher)
    assert.deepEqual(new Set(errorsOf(bad)), new Set([refused]))
    assert.deepEqual([...errorsOf(good), ...errorsOf(watcher)], [])
    const wanted = numbers.map((n) => `allowed ${n}`)
    assert.deepEqual(
      (await meeting.texts()).filter((text) => /forbidden|allowed/.test(text)),
      wanted,
    )
    assert.deepEqual(
      watcher.texts().filter((text) => text.startsWith('allowed')),
      wanted,
    )
    const ofIt = plenum.logs.filter((line) => line['meeting'] === meeting.id)
    assert.deepEqual(
      ofIt.filter(({ event }) => event === 'viewDistrusted' || event === 'viewReadAnew'),
      [],
    )
    assert.match(String(ofIt.find(({ event }) => event === 'notStored')?.['error']), /^P0001/)
    await allow()
    bad.say('forbidden no more')
    await good.line('forbidden no more')
  })

  test('without an error, by a trigger that leaves lines out or changes them, is told as it is', async () => {
    const meeting = await gather(sql, plenum, 3, open)
    const [bad, good] = await Promise.all([meeting.enter(1, newer), meeting.enter(2, newer)])
    await sql.unsafe(`
      create function filter_lines() returns trigger language plpgsql as $$ begin
        if new.message like 'skipped%' then return null; end if;
        new.message := replace(new.message, 'rude', '****');
        return new;
      end $$;
      create trigger filter_lines before insert on membership_meetingmessagelog
        for each row execute function filter_lines()`)
    await together(meeting, async () => {
      for (const n of [1, 2, 3]) {
        bad.send({ type: 'message', message: `skipped ${n}`, id: `s${n}` })
        await bad.caughtUp()
        good.send({ type: 'message', message: `rude ${n}`, id: `r${n}` })
        await good.caughtUp()
      }
    })
    for (const n of [1, 2, 3]) {
      assert.deepEqual(await bad.next('error'), { type: 'error', msg: refused, id: `s${n}` })
      await good.next('ack', ({ data }) => data.id === `r${n}`)
      await bad.line(`**** ${n}`)
    }
    await sql`drop function filter_lines cascade`
    // Nor is it remembered as done.
    bad.send({ type: 'message', message: 'skipped no more', id: 's1' })
    await good.line('skipped no more')
    const told = good.lines().filter(({ message }) => /skipped|rude|\*/.test(message))
    const stored = (await meeting.record()).filter(({ text }) => /skipped|rude|\*/.test(text))
    assert.deepEqual(
      told.map(({ id, message, from }) => ({ id, text: message, sender: from })),
      stored,
    )
  })

  test('is answered in plenum.v1 by an error without "again", and what follows is done', async () => {
    const meeting = await gather(sql, plenum, 2, open)
    const member = await meeting.enter(1, newer)
    await sql.unsafe(
      `alter table membership_meetingmessagelog add constraint short check (length(message) < 2000)`,
    )
    const from = member.frames.length
    member.send({ type: 'message', message: 'x'.repeat(2000), id: 'long' })
    member.send({ type: 'message', message: 'short', id: 'short' })
    assert.deepEqual(await member.next('error'), { type: 'error', msg: refused, id: 'long' })
    await member.next('ack', ({ data }) => data.id === 'short')
    assert.deepEqual(viewChanges(member, from), [])
    const { error, table, constraint } = await plenum.logged(
      (line) => line.event === 'notStored' && line['meeting'] === meeting.id,
    )
    assert.match(String(error), /^23514/)
    assert.deepEqual([table, constraint], ['membership_meetingmessagelog', 'short'])
    await sql`alter table membership_meetingmessagelog drop constraint short`
    // Not remembered as done.
    member.send({ type: 'message', message: 'x'.repeat(2000), id: 'long' })
    await member.next('ack', ({ data }) => data.id === 'long')
  })

  test('of votes leaves the others, and the poll', async () => {
    const meeting = await gather(sql, plenum, 4, open)
    const chair = await meeting.enter(0)
    const voters = await meeting.enterAll(1, 2, 3)
    chair.send(draft)
    await voters[2].next('poll', ({ data }) => data !== null)
    const allow = await refuseWrites(sql, 'insert on plenum.vote', `new.member_id = ${meeting.user(2)}`)
    const held = await holdTransaction(
      db.url,
      (tx) => tx`select from plenum.poll where meeting_id = ${meeting.id} for update`,
    )
    for (const voter of voters) {
      voter.send({ type: 'vote', question: draft.question, vote: 1 })
      await voter.caughtUp()
    }
    await held.commit()
    assert.equal((await voters[1].next('error')).msg, refused)
    await chair.next('poll', ({ data }) => data?.tally[1] === 2)
    assert.deepEqual([...errorsOf(voters[0]), ...errorsOf(voters[2])], [])
    await allow()
    voters[1].send({ type: 'vote', question: draft.question, vote: 0 })
    await chair.next('poll', ({ data }) => data?.tally[0] === 1)
  })

  test("of the chair's commands is told at once, and changes nothing", async () => {
    const meeting = await gather(sql, plenum, 3)
    const [chair, member] = await meeting.enterAll(0, 1)
    const denied = async (what: string, command: object): Promise<void> => {
      for (const refuse of [() => refuseWrites(sql, what, 'true', '42501'), () => leaveOutRows(sql, what)]) {
        const allow = await refuse()
        chair.send(command)
        assert.equal((await chair.next('error')).msg, refused)
        await allow()
      }
    }
    await denied('update on membership_meeting', { type: 'open' })
    assert.equal(await meeting.state(), 0)
    chair.send({ type: 'open' })
    await member.line('This meeting is now open')
    await denied('insert on plenum.poll', draft)
    await denied('insert on plenum.ban', { type: 'kick', user: meeting.user(1), canrejoin: false })
    chair.send(draft)
    await member.next('poll', ({ data }) => data !== null)
    await denied('update on plenum.poll', { type: 'abortpoll' })
    await denied('update on membership_meeting', { type: 'finish' })
    chair.send({ type: 'finish' })
    await member.line('This meeting is now finished')
    assert.deepEqual(
      plenum.logs.filter(({ event, meeting: id }) => event === 'viewDistrusted' && id === meeting.id),
      [],
    )
  })

  test('of an entry keeps out that one, with a word, and nobody who comes at the same time', async () => {
    const meeting = await gather(sql, plenum, 6, open)
    const allow = await refuseWrites(
      sql,
      'insert on membership_meetingmessagelog',
      `new.message like 'Member ${meeting.name(5)} joined%'`,
    )
    const [unwritten, ...others] = await Promise.all(
      [5, 0, 1, 2, 3, 4].map((n) => meeting.connect(n, elsewhere())),
    )
    assert.equal(await farewell(unwritten!), keptOut)
    for (const other of others) await other.next('messages')
    await allow()
    await meeting.enter(5, elsewhere())
  })

  test('of a departure is tried again later, and others leave', async () => {
    const meeting = await gather(sql, plenum, 4, open)
    const [chair, stays, goes] = await meeting.enterAll(0, 1, 2)
    const allow = await refuseWrites(
      sql,
      'update on plenum.attendance',
      `new.member_id = ${meeting.user(1)} and new.left_at is not null`,
    )
    await Promise.all([stays.close(), goes.close()])
    await chair.line(`Member ${meeting.name(2)} left the meeting`)
    const from = chair.frames.length
    await settle(chair)
    await chair.quiet(1200, 'users', 'removeuser', 'error')
    assert.ok(chair.frames.slice(from).every(({ type }) => type === 'message'))
    // Who is still in the list comes back as one who was away.
    const back = await meeting.enter(1)
    await settle(chair, back)
    assert.ok(!(await meeting.texts()).includes(`Member ${meeting.name(1)} left the meeting`))
    await allow()
    await back.close()
    await chair.line(`Member ${meeting.name(1)} left the meeting`)
  })

  test('holds up nobody whom the site sends away', async () => {
    const meeting = await gather(sql, plenum, 3, open)
    const [chair, member] = await meeting.enterAll(0, 1)
    const allow = await refuseWrites(
      sql,
      'insert on membership_meetingmessagelog',
      `new.message = 'Member ${meeting.name(1)} left the meeting'`,
    )
    await sql`
      delete from membership_membermeetingkey
      where meeting_id = ${meeting.id} and member_id = ${meeting.user(1)}`
    assert.equal(await farewell(member), 'You are not allowed to enter this meeting')
    await settle(chair)
    await allow()
  })
})

suite('what a trigger leaves out of the chat', () => {
  test('is told to its speaker, not remembered as said, and the lines of others are stored', async (t) => {
    const enter = async (name: string): Promise<ChatClient> => {
      const chatter = new ChatClient(plenum, await invite(sql, name, 7), { query: 'ids=1' })
      t.after(() => chatter.leave())
      return await chatter.entered()
    }
    const [bad, good] = [await enter('Ada'), await enter('Bea')]
    const allowLines = await leaveOutRows(sql, 'insert on chat.log', `new."user" = 'Ada'`)
    t.after(allowLines)
    const held = await holdTransaction(db.url, (tx) => tx`lock chat.log in exclusive mode`)
    good.say('first', 'first')
    await held.waitedFor()
    for (const n of [1, 2, 3]) {
      bad.say(`left out ${n}`, `bad-${n}`)
      bad.ws.ping()
      await once(bad.ws, 'pong')
      good.say(`kept ${n}`, `good-${n}`)
      good.ws.ping()
      await once(good.ws, 'pong')
    }
    await held.commit()
    await until('all are answered', () => good.acks.length === 4 && bad.errors.length === 3)
    assert.deepEqual([new Set(bad.errors), bad.acks], [new Set([refused]), []])
    assert.ok(bad.frames.every(({ again }) => again === undefined))
    const known = await sql`select from plenum.chat_command where room = 7`
    assert.equal(known.length, 4)
    await allowLines()
    bad.say('left out no more', 'bad-1')
    await good.hears('left out no more')

    const allowIds = await leaveOutRows(sql, 'insert on plenum.chat_command')
    t.after(allowIds)
    bad.say('not remembered', 'new')
    await until('it is refused', () => bad.errors.length === 4)
    await allowIds()
    bad.say('remembered', 'new')
    bad.say('remembered', 'new')
    await until('it is known', () => bad.acks.filter((id) => id === 'new').length === 2)
    assert.deepEqual(
      (await sql`select message from chat.log where room = 7 order by message_id`).map(({ message }) =>
        String(message),
      ),
      ['first', 'kept 1', 'kept 2', 'kept 3', 'left out no more', 'remembered'],
    )
  })
})

suite('history that cannot be read', () => {
  const unexpected = (): number => plenum.logs.filter(({ event }) => event === 'unexpected').length

  test('of a meeting is told to who enters, who is out then; others stay, and it is asked for once', async (t) => {
    const meeting = await gather(sql, plenum, 4, open)
    const chair = await meeting.enter(0)
    await sql`
      insert into membership_meetingmessagelog (t, message, meeting_id, sender_id)
      select now() + interval '1 second', 'by one who has no name', ${meeting.id}, ${meeting.user(3)}`
    // What is read from the database is what the tail in memory does not have: so after a new view.
    await sql`update plenum.lease set epoch = epoch + 1 where door = ${`meeting ${meeting.id}`}`
    chair.say('again')
    await chair.line('again')
    await sql.unsafe(`
      alter table membership_member rename to stored_member;
      create view membership_member as
        select user_id, repeat(fullname, 1 / (user_id - ${meeting.user(3)})::int / 1000 + 1)::varchar fullname
        from stored_member`)
    let isRestored = false
    const restore = async (): Promise<void> => {
      if (isRestored) return
      isRestored = true
      await sql.unsafe('drop view membership_member; alter table stored_member rename to membership_member')
    }
    t.after(restore)
    const late = await meeting.connect(1, elsewhere())
    assert.equal(await farewell(late), keptOut)
    const withCode = await meeting.connect(2, newer)
    assert.equal((await withCode.next('disconnect')).data.message, keptOut)
    assert.equal((await withCode.closed).code, 4507)
    await settle(chair)
    const failed = plenum.logs.filter(({ event, meeting: id }) => event === 'readFailed' && id === meeting.id)
    assert.match(String(failed[0]?.['error']), /^22012/)
    await restore()
    await (await meeting.enter(1, elsewhere())).line('by one who has no name')
    assert.deepEqual([unexpected(), errorsOf(chair)], [0, []])
  })

  test('of the chat ends the connection with the code that says so; who needs none of it stays', async (t) => {
    await sql`select chat.new_message(8, now(), 'Ann', 'unreadable')`
    const [{ id } = { id: 0 }] = await sql<{ id: number }[]>`select max(message_id) id from chat.log`
    const ann = new ChatClient(plenum, await invite(sql, 'Ann', 8), { query: `ids=1&after=${id}` })
    t.after(() => ann.leave())
    await ann.entered()
    await sql.unsafe(`
      alter table chat.log rename to stored_log;
      create view chat.log as
        select message_id, room, "time" + interval '1 s' * (1 / (message_id - ${id}) / 1000) as "time", "user", message
        from chat.stored_log`)
    t.after(() => sql.unsafe('drop view chat.log; alter table chat.stored_log rename to log'))
    const bob = new ChatClient(plenum, await invite(sql, 'Bob', 8), { query: 'ids=1' })
    assert.equal(await bob.ended(), 4500)
    const { error } = await plenum.logged(({ event, room }) => event === 'chatReadFailed' && room === 8)
    assert.match(String(error), /^22012/)
    assert.deepEqual([ann.closeCode, unexpected()], [null, 0])
  })

  test('of a document, where bytes of it are missing, is said, and ends no other connection', async (t) => {
    const id = 'bytes-are-missing'
    const enter = async (fields: object): Promise<DocumentClient> => {
      const client = await new DocumentClient(plenum).opened()
      t.after(() => client.leave())
      client.send(initMessage(id, fields))
      return client
    }
    const ann = await enter({})
    await ann.hears('append')
    ann.send(appendMessage(0, 'what is there'))
    await ann.hears('answer')
    ann.leave()
    await sql`delete from plenum.document_part`
    const bob = await enter({ offset: 13 })
    await bob.hears('append')
    const late = await enter({})
    assert.deepEqual(await late.hears('error'), { type: 'error', code: 0, text: unopened })
    assert.equal(await late.ended(), 1006)
    assert.deepEqual([bob.closeCode, unexpected()], [null, 0])
  })
})

suite('what the database refuses of a document', () => {
  let last = 0
  const newId = (): string => `refused-${++last}`
  const containing = (what: string): string => `position('${what}'::bytea in new.data) > 0`
  const ask = (fields: Fields): Promise<ManageAnswer> => manage(plenum, fields, credentials)

  async function connect(t: TestContext, id: string, data = ''): Promise<DocumentClient> {
    const client = await new DocumentClient(plenum).opened()
    t.after(() => client.leave())
    client.send(initMessage(id, { data }))
    return client
  }

  async function enter(t: TestContext, id: string): Promise<DocumentClient> {
    const client = await connect(t, id)
    await client.hears('append')
    return client
  }

  test('is refused to its sender alone: others append in the same moment, and all stay', async (t) => {
    const id = newId()
    const [bad, good, third] = [await enter(t, id), await enter(t, id), await enter(t, id)]
    const allow = await refuseWrites(sql, 'insert on plenum.document_part', containing('forbidden'))
    t.after(allow)
    const held = await holdTransaction(
      db.url,
      (tx) => tx`select from plenum.document where id = ${id} for update`,
    )
    third.send(appendMessage(0, 'one '))
    await held.waitedFor()
    // These share a commit.
    bad.send(appendMessage(4, 'forbidden'), broadcastMessage('from the bad one'))
    bad.ws.ping()
    await once(bad.ws, 'pong')
    good.send(appendMessage(4, 'two '), setKeyMessage({ old: 0, version: 1, name: 'k', value: 'v' }))
    good.send(appendMessage(8, 'three'))
    await held.commit()
    assert.deepEqual(await bad.hears('error'), { type: 'error', code: 0, text: refused })
    assert.deepEqual(await bad.hears('answer'), { type: 'answer', status: 2, length: 4 })
    await good.hears('answer', 2)
    assert.deepEqual(good.all('answer'), [
      { type: 'answer', status: 1, length: 8 },
      { type: 'answer', status: 1, length: 13 },
    ])
    await until('others have heard', () => third.all('keys').length === 1 && third.all('append').length === 3)
    assert.deepEqual([...good.all('error'), ...third.all('error')], [])
    assert.equal((await ask({ method: 'dumpDocument', documentID: id })).body.toString(), 'one two three')
    const logged = await plenum.logged(({ event }) => event === 'documentWriteRefused')
    assert.match(String(logged['error']), /^P0001/)
    await allow()
    bad.send(appendMessage(13, ' forbidden'))
    assert.deepEqual(await bad.hears('answer', 2), { type: 'answer', status: 1, length: 23 })
    assert.deepEqual(
      [bad, good, third].map(({ closeCode }) => closeCode),
      [null, null, null],
    )
  })

  test('of keys is answered by a no, also where a yes would not be', async (t) => {
    const id = newId()
    const [one, other] = [await enter(t, id), await enter(t, id)]
    t.after(await refuseWrites(sql, 'insert on plenum.document_key', `new.name = 'bad'::bytea`, '42501'))
    const key = { old: 0, version: 0, value: 'v' }
    one.send(
      setKeyMessage({ ...key, request: 7, name: 'bad' }),
      setKeyMessage({ ...key, version: 1, request: 8, name: 'good' }),
    )
    await one.hears('keyAnswer', 2)
    assert.deepEqual(one.all('keyAnswer'), [
      { type: 'keyAnswer', status: 0, request: 7 },
      { type: 'keyAnswer', status: 1, request: 8 },
    ])
    assert.deepEqual(one.all('error'), [{ type: 'error', code: 0, text: refused }])
    const { keys } = await other.hears('keys')
    assert.deepEqual(
      keys.map(({ name }) => name),
      ['good'],
    )
    assert.deepEqual([one.closeCode, other.closeCode], [null, null])
  })

  test('that is to be opened, made or read is said, and the connection ends', async (t) => {
    const id = newId()
    t.after(await refuseWrites(sql, 'insert on plenum.document_part', containing('forbidden')))
    const maker = await connect(t, id, 'forbidden')
    assert.deepEqual(await maker.hears('error'), { type: 'error', code: 0, text: unopened })
    assert.equal(await maker.ended(), 1006)
    const reader = await enter(t, id)
    reader.send(appendMessage(0, 'what is there'))
    await reader.hears('answer')
    t.after(await refuseWrites(sql, 'update on plenum.document', `new.id = '${id}-closed'`))
    await ask({ method: 'createDocument', documentID: `${id}-closed`, contents: 'x' })
    const kept = await connect(t, `${id}-closed`)
    assert.deepEqual(await kept.hears('error'), { type: 'error', code: 0, text: unopened })
    assert.equal(await kept.ended(), 1006)
    await ask({ method: 'createDocument', documentID: `${id}-unread`, contents: 'x' })
    await sql`alter table plenum.document_part rename to document_part_elsewhere`
    const late = await connect(t, `${id}-unread`)
    assert.deepEqual(await late.hears('error'), { type: 'error', code: 0, text: unopened })
    assert.equal(await late.ended(), 1006)
    await sql`alter table plenum.document_part_elsewhere rename to document_part`
    assert.equal(reader.closeCode, null)
  })

  test('is said to applications as what it is', async (t) => {
    const id = newId()
    const says = async (fields: Fields): Promise<string> => {
      const { status, reason } = await ask({ documentID: id, userID: id, token: id, ...fields })
      return `${status} ${reason}`
    }
    const expiration = 'Fri, 01 Jan 2100 00:00:00 GMT'
    t.after(await refuseWrites(sql, 'insert on plenum.document_part', containing('forbidden')))
    t.after(await refuseWrites(sql, 'insert on plenum.document_token', `new.user_id = '${id}'`, '23514'))
    t.after(await refuseWrites(sql, 'insert on plenum.document_user', `new.id = '${id}'`, '42501'))
    assert.equal(await says({ method: 'createDocument', contents: 'forbidden' }), `400 ${refused}`)
    assert.equal(await says({ method: 'addToken', expiration }), `400 ${refused}`)
    assert.equal(await says({ method: 'updateUser' }), `500 ${refused}`)
    assert.equal(await says({ method: 'checkDocument' }), '404 Document does not exist')
  })
})

test('a row that cannot be read keeps out its member, with a word, and nobody who is looked up with them', async (t) => {
  const fixture = await openServerFixture(t, options)
  const server = await fixture.start()
  const meeting = await gather(fixture.db.sql, server, 8, open)
  await fixture.db.sql.unsafe(`
    alter table membership_member rename to stored_member;
    create view membership_member as
      select user_id, repeat(fullname, 1 / (user_id - ${meeting.user(3)})::int / 1000 + 1)::varchar fullname
      from stored_member`)
  const [unread, ...others] = await Promise.all(
    [3, 0, 1, 2, 4, 5, 6, 7].map((n) => meeting.connect(n, elsewhere())),
  )
  assert.equal(await farewell(unread!), keptOut)
  for (const other of others) await other.next('messages')
  const withCode = await meeting.connect(3, newer)
  assert.equal((await withCode.next('disconnect')).data.message, keptOut)
  assert.equal((await withCode.closed).code, 4507)
  const { status, body } = await server.get(`/meeting/${meeting.id}/${meeting.key(3)}/record`)
  assert.equal(status, 500)
  assert.match(body, /<h1>The record cannot be read<\/h1>/)
  assert.deepEqual(
    server.logs.filter(({ event }) => event === 'unexpected'),
    [],
  )
})

test('a meeting of which the database refuses to say what has changed keeps no other from being followed', async (t) => {
  const fixture = await openServerFixture(t, { ...options, poll: 0.1 })
  const server = await fixture.start()
  const meetings = [
    await gather(fixture.db.sql, server, 2, open),
    await gather(fixture.db.sql, server, 2, open),
  ]
  const chairs = [await meetings[0]!.enter(0), await meetings[1]!.enter(0)] as const
  const [unread, other] = meetings.map(({ id }) => id)
  await fixture.db.sql.unsafe(`
    alter table membership_meeting rename to stored_meeting;
    create view membership_meeting as
      select id, repeat(name, 1 / (id - ${unread})::int / 1000 + 1)::varchar name, dateandtime, allmembers, meetingtype,
        state, botname
      from stored_meeting`)
  const logged = await server.logged(({ event }) => event === 'notFollowed')
  assert.equal(logged['meeting'], unread)
  assert.match(String(logged['error']), /^22012/)
  await fixture.db.sql`update stored_meeting set state = 2 where id = ${other!}`
  await chairs[1].next('status', ({ data }) => data.isfinished)
  await fixture.db.sql.unsafe(
    'drop view membership_meeting; alter table stored_meeting rename to membership_meeting',
  )
  await fixture.db.sql`update membership_meeting set state = 2 where id = ${unread!}`
  await chairs[0].next('status', ({ data }) => data.isfinished)
  assert.deepEqual(
    server.logs.filter(({ event }) => event === 'databaseLost'),
    [],
  )
})

suite('a database whose encoding lacks what is said', () => {
  test('says so, of lines, polls and in the chat', async (t) => {
    const latin = await createDatabase(undefined, 'LATIN1')
    const server = await startPlenum({ database: latin.url, ...options })
    t.after(async () => {
      await server.kill()
      await latin.drop()
    })
    const meeting = await gather(latin.sql, server, 2, open)
    const [chair, member] = await meeting.enterAll(0, 1)
    for (const command of [
      { type: 'message', message: 'Děkuji 😀' },
      { ...draft, question: 'Děkuji?' },
      { ...draft, answers: ['yes', '😀'] },
    ]) {
      chair.send(command)
      assert.equal((await chair.next('error')).msg, unwritable)
    }
    member.say('naïve')
    await chair.line('naïve')
    assert.deepEqual(errorsOf(member), [])

    const speaker = await new ChatClient(server, await invite(latin.sql, 'Ada', 1)).entered()
    const other = await new ChatClient(server, await invite(latin.sql, 'Bea', 1)).entered()
    for (let n = 0; n < 5; n++) {
      speaker.say(`😀 ${n}`)
      other.say(`café ${n}`)
    }
    await until('the chat has answered', () => speaker.errors.length === 5 && other.messages.length === 5)
    assert.deepEqual(new Set(speaker.errors), new Set([unwritable]))
    assert.equal(server.logs.filter(({ event }) => event === 'chatNotStored').length, 1)
    assert.deepEqual(
      other.messages,
      Array.from({ length: 5 }, (_, n) => `café ${n}`),
    )
    assert.deepEqual(other.errors, [])
  })

  test('says so at the document door, of a name that was opened or is managed; others come in', async (t) => {
    const latin = await createDatabase(undefined, 'LATIN1')
    const key = 'k'.repeat(32)
    const flags = ['-document', '-document-jwtkey', key, '-document-user', 'app', '-document-password', key]
    const server = await startPlenum({ database: latin.url, flags })
    const clients: DocumentClient[] = []
    t.after(async () => {
      for (const client of clients) client.leave()
      await server.kill()
      await latin.drop()
    })
    const exp = Math.floor(Date.now() / 1000) + 600
    const open = async (claims: Record<string, unknown>): Promise<DocumentClient> => {
      const client = await new DocumentClient(server).opened()
      clients.push(client)
      client.send(initMessage(await sign({ p: 'rw', exp, ...claims }, key, 'HS256')))
      return client
    }
    const held = await holdTransaction(latin.url, (tx) => tx`lock plenum.document_token`)
    await open({ sub: 'first', u: 'Zoë' })
    await held.waitedFor()
    const [name, document, good] = await Promise.all([
      open({ sub: 'plan', u: '😀' }),
      open({ sub: 'plan 😀', u: 'Zoë' }),
      open({ sub: 'plan', u: 'Zoë' }),
    ])
    await held.commit()
    for (const client of [name, document]) {
      const { code, text } = await client.hears('error')
      assert.deepEqual([code, text], [0, unwritable])
    }
    await good.hears('append')
    const fields = { documentID: 'plan 😀', contents: 'x' }
    const who = { user: 'app', password: key }
    const made = await manage(server, { method: 'createDocument', ...fields }, who)
    assert.deepEqual([made.status, made.reason], [400, unwritable])
  })
})
