import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { ChatClient, invite } from '../support/chat-client.ts'
import { createDatabase } from '../support/database.ts'
import { gather, settle, shown } from '../support/meeting-fixture.ts'
import { holdTransaction } from '../support/held-transaction.ts'
import { openServerFixture } from '../support/server-fixture.ts'
import { join } from '../support/meeting-client.ts'
import { until } from '../support/until.ts'

const open = { state: 1, allowrejoin: true } as const
/** Every character that only says where text runs: UAX #9, 2.1 to 2.6. */
const marks = [
  0x061c, 0x200e, 0x200f, 0x202a, 0x202b, 0x202c, 0x202d, 0x202e, 0x2066, 0x2067, 0x2068, 0x2069,
].map((code) => String.fromCharCode(code))
const turned = marks.join('')
const hasMark = (text: string): boolean => marks.some((mark) => text.includes(mark))

suite('names that turn text around', { concurrency: 3 }, () => {
  test('have no such mark in anything that the system says', async (t) => {
    const fixture = await openServerFixture(t)
    const { sql } = fixture.db
    const plenum = await fixture.start()
    const meeting = await gather(sql, plenum, 3, { name: `Assembly${turned}` })
    const name = `${turned}שם${turned}`
    await sql`update membership_member set fullname = ${name} where user_id = ${meeting.user(1)}`
    await sql`update membership_membermeetingkey set proxyname = ${`P${turned}`}, proxyaccesskey = 'x'
      where meeting_id = ${meeting.id} and member_id = ${meeting.user(1)}`
    await sql`
      insert into membership_meetingmessagelog (t, message, meeting_id)
      values (now(), ${`${name} voted Yes`}, ${meeting.id})`
    const [chair, member] = await meeting.enterAll(0, 1)
    chair.send({ type: 'open' })
    await chair.line('This meeting is now open')
    chair.send({
      type: 'newpoll',
      question: `Yes${turned} or no?`,
      answers: [`Yes${turned}`, 'No'],
      minutes: 5,
    })
    const poll = await shown(member)
    assert.deepEqual([poll.question, poll.answers], ['Yes or no?', ['Yes', 'No']])
    // A page says what was sent; of an older one that may be the question as it was put.
    member.send({ type: 'vote', question: `Yes${turned} or no?`, vote: 0 })
    await chair.line('שם voted Yes')
    const said = `what I say ${turned}`
    member.say(said)
    chair.send({ type: 'kick', user: meeting.user(1), canrejoin: true })
    await chair.line('User שם has been disconnected by Member ' + String(meeting.user(0)))
    chair.send({ type: 'finish' })
    await chair.line('This meeting is now finished')

    const again = await meeting.enter(0)
    await settle(again)
    for (const { frames } of [chair, member, again])
      for (const frame of frames) {
        const lines = frame.type === 'message' ? [frame.data] : frame.type === 'messages' ? frame.data : []
        for (const line of lines) {
          assert.equal(hasMark(line.message), line.message === said, line.message)
          assert.ok(!hasMark(line.fromname))
        }
        if (lines.length === 0) assert.ok(!hasMark(JSON.stringify(frame)), JSON.stringify(frame))
      }
    assert.ok(again.texts().includes('שם voted Yes'))
    const stored = (await meeting.record()).filter(({ sender }) => sender === null).slice(1)
    assert.deepEqual(
      stored.filter(({ text }) => hasMark(text)),
      [],
    )
    for (const form of ['record', 'record.csv', 'record.polls.csv', 'record.json']) {
      const { status, body } = await plenum.get(`/meeting/${meeting.id}/${meeting.key(1)}/${form}`)
      assert.equal(status, 200)
      // In a member's own words they stay, and turn nothing else.
      assert.ok(!hasMark(body.replace(said, '')), form)
      assert.ok(
        form === 'record.polls.csv'
          ? body.includes('Yes or no?')
          : body.includes('שם voted') && body.includes(said),
        form,
      )
    }
    assert.ok(!hasMark((await plenum.get('/__meetingstatus')).body + (await plenum.get('/status.json')).body))
  })

  test('are read in a database that has no such mark', async (t) => {
    const fixture = await openServerFixture(t, {}, createDatabase(undefined, 'LATIN1'))
    const plenum = await fixture.start()
    const meeting = await gather(fixture.db.sql, plenum, 2, open)
    const [chair] = await meeting.enterAll(0, 1)
    chair.say('Bär')
    await chair.line('Bär')
    const member = await join(plenum, meeting.id, meeting.key(1))
    await member.line('Bär')
  })
})

test('a new name on the site is followed while its member is in', async (t) => {
  const fixture = await openServerFixture(t)
  const plenum = await fixture.start()
  const meeting = await gather(fixture.db.sql, plenum, 2, open)
  const [watcher, member] = await meeting.enterAll(0, 1)
  await fixture.db.sql`update membership_member set fullname = 'Ada New' where user_id = ${meeting.user(1)}`
  const { data } = await watcher.next('users', ({ data }) =>
    data.users.some(({ name }) => name === 'Ada New'),
  )
  assert.equal(data.users.length, 2)
  member.say('under my new name')
  const { fromname } = await watcher.line('under my new name')
  assert.equal(fromname, 'Ada New')
  await member.close()
  await watcher.line('Member Ada New left the meeting')
})

test('what is deleted or corrected in a record is not told to those who come later', async (t) => {
  const fixture = await openServerFixture(t, { flags: ['-rate', '0', '-chat'] })
  const { sql } = fixture.db
  const plenum = await fixture.start()
  // One is read in pages, the other one was heard by this process from its beginning.
  const long = await gather(sql, plenum, 3, open)
  await sql`
    insert into membership_meetingmessagelog (t, message, meeting_id)
    select now(), 'old ' || n, ${long.id} from generate_series(1, 1200) n`
  const short = await gather(sql, plenum, 3, open)
  for (const meeting of [long, short]) {
    const [speaker] = [await meeting.enter(0)]
    for (const text of ['delete me', 'correct me']) speaker.say(text)
    await speaker.line('correct me')
    await meeting.enter(1)
  }
  // A whole page of it is there as somebody has read it.
  await sql`
    insert into chat.log (room, "time", "user", message)
    select 2, now()::timestamp, 'Past', 'old ' || n from generate_series(1, 2500) n`
  const first = await new ChatClient(plenum, await invite(sql, 'Ada', 2)).entered()
  await first.hears('old 2500')
  const talker = await new ChatClient(plenum, await invite(sql, 'Ada', 1)).entered()
  for (const text of ['delete me', 'keep me']) talker.say(text)
  await until('both are said', () => talker.messages.length === 2)

  await sql`delete from membership_meetingmessagelog where message in ('old 100', 'delete me')`
  await sql`
    update membership_meetingmessagelog set message = 'corrected'
    where message in ('old 101', 'correct me')`
  await sql`delete from chat.log where message in ('delete me', 'old 100')`
  await wait(5100)
  for (const meeting of [long, short]) {
    const later = await meeting.enter(2)
    await later.line('corrected')
    await settle(later)
    const wrong = ['old 100', 'old 101', 'delete me', 'correct me']
    assert.deepEqual(
      later.texts().filter((text) => wrong.includes(text)),
      [],
    )
  }
  const reader = await new ChatClient(plenum, await invite(sql, 'Bea', 1)).entered()
  await until('the history has come', () => reader.messages.length > 0)
  assert.deepEqual(reader.messages, ['keep me'])
  const second = await new ChatClient(plenum, await invite(sql, 'Bea', 2)).entered()
  await second.hears('old 2500')
  assert.deepEqual([first.messages.includes('old 100'), second.messages.includes('old 100')], [true, false])
})

test('what was read of a record before its meeting is read anew is told to nobody after it', async (t) => {
  const fixture = await openServerFixture(t, { flags: ['-rate', '0'] })
  const { sql } = fixture.db
  const plenum = await fixture.start()
  const meeting = await gather(sql, plenum, 2, open)
  await sql`
    insert into membership_meetingmessagelog (t, message, meeting_id)
    select now(), 'old ' || n, ${meeting.id} from generate_series(1, 1200) n`
  const first = await meeting.enter(0)
  await first.line('old 1200')
  // As after a failover to a standby that lacks it: its pages are in memory, and a commit fails.
  await sql`delete from membership_meetingmessagelog where message = 'old 100'`
  const held = await holdTransaction(
    fixture.db.url,
    (tx) => tx`lock table membership_meetingmessagelog in exclusive mode`,
  )
  first.say('into the failing database')
  await held.waitedFor()
  await sql`
    select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and application_name = 'plenum' and wait_event_type = 'Lock'`
  await held.rollback()
  await plenum.logged(({ event }) => event === 'viewReadAnew')
  const second = await meeting.enter(1)
  await second.line('old 1200')
  assert.deepEqual([first.texts().includes('old 100'), second.texts().includes('old 100')], [true, false])
})
