import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import type { Sql } from 'postgres'
import { gather } from '../support/meeting-fixture.ts'
import type { MeetingFixture } from '../support/meeting-fixture.ts'
import { holdTransaction } from '../support/held-transaction.ts'
import { openServerFixture } from '../support/server-fixture.ts'
import type { Frame, Member, Target } from '../support/meeting-client.ts'
import { connect, UpgradeRefused } from '../support/meeting-client.ts'
import type { Plenum } from '../support/server.ts'
import { slowness } from '../support/patience.ts'
import { until } from '../support/until.ts'

const newer = { protocols: ['plenum.v1'] }
const open = { state: 1, allowrejoin: true } as const
const draft = { type: 'newpoll', question: 'Shall we?', answers: ['yes', 'no'], minutes: 5 }
const unavailable = 'The meeting database is not available, please try again'

const answersTo = (member: Member, id: string): Frame[] =>
  member.frames.filter(
    (frame) => (frame.type === 'ack' && frame.data.id === id) || (frame.type === 'error' && frame.id === id),
  )

/** Sends a command under an id and waits for its answer, which it returns without the time of day that an `ack` tells. */
async function ask(
  member: Member,
  id: string,
  command: object,
): Promise<Exclude<Frame, { type: 'ack' }> | Acknowledgement> {
  const before = answersTo(member, id).length
  member.send({ ...command, id })
  await until(`an answer to ${id}`, () => answersTo(member, id).length > before)
  const answer = answersTo(member, id).at(-1)!
  if (answer.type !== 'ack') return answer
  assert.ok(Math.abs(Date.now() - answer.data.now) < 60_000, String(answer.data.now))
  return acked(answer.data.id)
}

type Acknowledgement = { type: 'ack'; data: { id: string } }
const acked = (id: string): Acknowledgement => ({ type: 'ack', data: { id } })
const said = async (meeting: MeetingFixture, text: string): Promise<number> =>
  (await meeting.texts()).filter((one) => one === text).length

async function vote(sql: Sql, meeting: MeetingFixture, index: number): Promise<number | undefined> {
  const [row] = await sql<{ answer: number }[]>`
    select answer from plenum.vote v join plenum.poll p on p.id = v.poll_id
    where p.meeting_id = ${meeting.id} and v.member_id = ${meeting.user(index)} order by p.id desc`
  return row?.answer
}

suite('plenum.v1', { concurrency: 4 }, () => {
  test('it is spoken with those who ask for it, among whatever else, and with nobody else', async (t) => {
    const fixture = await openServerFixture(t)
    const plenum = await fixture.start()
    const meeting = await gather(fixture.db.sql, plenum, 2)
    for (const [protocols, spoken] of [
      [['plenum.v1'], 'plenum.v1'],
      [['chat', 'plenum.v1'], 'plenum.v1'],
      [['plenum.v1', 'plenum.v2'], 'plenum.v1'],
    ] as const) {
      const member = await meeting.enter(0, { protocols: [...protocols] })
      assert.equal(member.ws.protocol, spoken)
      assert.equal(member.frames[0]?.type, 'welcome')
      member.ws.terminate()
    }
    // `ws` fails a connection whose server accepts none of what it offered: that is its reading of RFC 6455.
    for (const protocols of ['plenum.v2', 'plenum.v11', 'PLENUM.V1', 'plenum.v1;x', ',', ' '])
      await plainWith(plenum, meeting, protocols)
    const stock = await meeting.enter(1)
    assert.equal(stock.ws.protocol, '')
    const chair = await meeting.enter(0, newer)
    await ask(chair, 'a', { type: 'open' })
    await ask(chair, 'b', draft)
    await ask(chair, 'c', { type: 'abortpoll' })
    await ask(chair, 'd', { type: 'finish' })
    stock.send({ type: 'message', message: 'with an id', id: 'e', poll: 1 })
    stock.send({ type: 'abortpoll', id: 'not valid!' })
    assert.deepEqual(await stock.next('error'), { type: 'error', msg: 'Permission denied' })
    const known = ['message', 'messages', 'adduser', 'removeuser', 'users', 'status', 'poll', 'error']
    assert.deepEqual(
      stock.frames.filter(({ type }) => !known.includes(type)),
      [],
    )
    for (const frame of stock.frames)
      if (frame.type === 'poll' && frame.data)
        assert.deepEqual(Object.keys(frame.data), ['question', 'answers', 'tally', 'voted'])
  })

  test('the entry says who one is, what the meeting is, and when it is', async (t) => {
    const fixture = await openServerFixture(t, { grace: 7, flags: ['-rate', '3', '-timezone', 'Asia/Tokyo'] })
    const plenum = await fixture.start()
    const { sql } = fixture.db
    const meeting = await gather(sql, plenum, 2, open)
    const before = Date.now()
    const chair = await meeting.enter(0, newer)
    const { data: welcome } = await chair.next('welcome')
    const { now, ...others } = welcome
    assert.ok(before - 1000 <= now && now <= Date.now() + 1000)
    const [row] = await sql<{ name: string }[]>`
      select name from membership_meeting where id = ${meeting.id}`
    assert.deepEqual(others, {
      version: others.version,
      timezone: 'Asia/Tokyo',
      utcOffset: 9 * 3600,
      you: { id: meeting.user(0), name: meeting.name(0), color: String(meeting.keyId(0) % 10) },
      meeting: { id: meeting.id, name: row?.name ?? '', state: 'open', admins: [meeting.user(0)] },
      vote: null,
      result: null,
      graceSeconds: 7,
      rememberedSeconds: 3600,
      limits: {
        message: 10_000,
        question: 500,
        answer: 200,
        answers: 5,
        minutes: 120,
        burst: 20,
        perSecond: 3,
      },
    })
    assert.deepEqual(
      chair.frames.slice(0, 5).map(({ type }) => type),
      ['welcome', 'users', 'status', 'poll', 'messages'],
    )
    const guest = await meeting.enter(1, newer)
    await ask(chair, 'p', draft)
    await ask(guest, 'v', { type: 'vote', question: draft.question, vote: 1 })
    const back = await meeting.enter(1, newer)
    assert.equal((await back.next('welcome')).data.vote, 1)
    assert.deepEqual(await back.next('welcome', () => true, 10).catch(() => null), null)
  })

  test('whatever changes of the meeting is told', async (t) => {
    const fixture = await openServerFixture(t, { grace: 0 })
    const plenum = await fixture.start()
    const { sql } = fixture.db
    const meeting = await gather(sql, plenum, 3, { admins: 2 })
    const chair = await meeting.enter(0, newer)
    const watcher = await meeting.enter(2, newer)
    const told = (predicate: (data: object) => boolean) =>
      watcher.next('meeting', ({ data }) => predicate(data))
    const second = await meeting.enter(1)
    await told(
      (data) => 'admins' in data && String(data.admins) === String([meeting.user(0), meeting.user(1)]),
    )
    second.ws.close()
    await told((data) => 'admins' in data && String(data.admins) === String([meeting.user(0)]))
    await ask(chair, 'o', { type: 'open' })
    await told((data) => 'state' in data && data.state === 'open')
    await sql`update membership_meeting set name = 'Another name' where id = ${meeting.id}`
    await told((data) => 'name' in data && data.name === 'Another name')
    await sql`
      insert into membership_meeting_meetingadmins (meeting_id, member_id) values (${meeting.id}, ${meeting.user(2)})`
    await told(
      (data) => 'admins' in data && String(data.admins) === String([meeting.user(0), meeting.user(2)]),
    )
    await ask(chair, 'f', { type: 'finish' })
    await told((data) => 'state' in data && data.state === 'finished')
    const kinds = watcher.frames.filter(({ type }) => type === 'meeting')
    await ask(chair, 'm', { type: 'message', message: 'well' })
    await watcher.line('well')
    assert.equal(watcher.frames.filter(({ type }) => type === 'meeting').length, kinds.length)
  })

  test('a command is answered once: done, after what tells of it, or not done', async (t) => {
    const fixture = await openServerFixture(t)
    const plenum = await fixture.start()
    const meeting = await gather(fixture.db.sql, plenum, 2, open)
    const chair = await meeting.enter(0, newer)
    const guest = await meeting.enter(1, newer)
    assert.deepEqual(await ask(guest, 'one', { type: 'message', message: 'hear' }), acked('one'))
    const order = guest.frames.map((frame) =>
      frame.type === 'message' ? frame.data.message : frame.type === 'ack' ? frame.data.id : '',
    )
    assert.ok(order.indexOf('hear') < order.indexOf('one') && order.includes('hear'))
    assert.deepEqual(await ask(guest, 'two', { type: 'message', message: '  ' }), acked('two'))
    const refusals: [string, object, string][] = [
      ['r1', { type: 'open' }, 'Permission denied'],
      ['r2', { type: 'vote', question: 'Shall we?', vote: 0 }, 'There is no active poll'],
      ['r3', { type: 'message' }, 'Invalid or no message'],
      ['r4', { type: 'dance' }, 'Unknown command'],
      ['r5', {}, 'Invalid or no type'],
      ['r6', { type: 'vote', question: 'Shall we?', vote: 0, poll: 'x' }, 'Invalid poll'],
    ]
    for (const [id, command, msg] of refusals)
      assert.deepEqual(await ask(guest, id, command), { type: 'error', msg, id })
    assert.deepEqual(await ask(chair, 'r7', { type: 'open' }), {
      type: 'error',
      msg: 'Meeting is already open',
      id: 'r7',
    })
    for (const id of ['', 'x'.repeat(65), 'a b', 7, {}, 'ä', 'a\n']) {
      guest.send({ type: 'message', message: 'never said', id })
      assert.deepEqual(await guest.next('error', ({ msg }) => msg === 'Invalid id'), {
        type: 'error',
        msg: 'Invalid id',
      })
    }
    assert.deepEqual(
      await ask(guest, 'x'.repeat(64), { type: 'message', message: 'said' }),
      acked('x'.repeat(64)),
    )
    guest.send({ type: 'message', message: 'without an id' })
    await guest.line('without an id')
    guest.send({ type: 'message', message: 'null is none', id: null })
    await guest.line('null is none')
    assert.equal(await said(meeting, 'never said'), 0)
    for (const id of ['one', 'two', ...refusals.map(([id]) => id)])
      assert.equal(answersTo(guest, id).length, 1, id)
    assert.deepEqual(answersTo(chair, 'one'), [])
  })

  test('sent again it is done once: at once, on the next connection, and after a crash', async (t) => {
    const fixture = await openServerFixture(t)
    let plenum: Plenum = await fixture.start()
    const { sql } = fixture.db
    const meeting = await gather(sql, plenum, 2, open)
    const chair = await meeting.enter(0, newer)
    let guest = await meeting.enter(1, newer)
    const line = { type: 'message', message: 'just once', id: 'l' }
    for (let n = 0; n < 5; n++) guest.send(line)
    await until('five answers', () => answersTo(guest, 'l').length === 5)
    assert.deepEqual(
      answersTo(guest, 'l').map(({ type }) => type),
      Array.from({ length: 5 }, () => 'ack'),
    )
    await ask(chair, 'p', draft)
    const voting = { type: 'vote', question: draft.question }
    await ask(guest, 'v1', { ...voting, vote: 0 })
    await ask(guest, 'v1b', { ...voting, vote: 0 })
    await ask(guest, 'v2', { ...voting, vote: 1 })
    const again = async (): Promise<void> => {
      assert.deepEqual(await ask(guest, 'l', line), acked('l'))
      assert.deepEqual(await ask(guest, 'v1', { ...voting, vote: 0 }), acked('v1'))
      assert.deepEqual(await ask(guest, 'v1b', { ...voting, vote: 0 }), acked('v1b'))
      assert.equal(await vote(sql, meeting, 1), 1)
      assert.equal(await said(meeting, 'just once'), 1)
    }
    await again()
    guest.ws.terminate()
    guest = await meeting.enter(1, newer)
    await again()
    await plenum.kill()
    plenum = await fixture.restart(plenum)
    guest = await meeting.enter(1, newer)
    const chairAgain = await meeting.enter(0, newer)
    await again()
    assert.deepEqual(await ask(chairAgain, 'p', draft), acked('p'))
    assert.equal(await said(meeting, 'A new poll has been posted for Shall we?'), 1)
    // Another member's id is another id.
    assert.deepEqual(await ask(chairAgain, 'l', line), acked('l'))
    assert.equal(await said(meeting, 'just once'), 2)
  })

  test('an id is forgotten after its hour', async (t) => {
    const fixture = await openServerFixture(t)
    const plenum = await fixture.start()
    const { sql } = fixture.db
    const meeting = await gather(sql, plenum, 1, open)
    const line = { type: 'message', message: 'hourly' }
    const before = await meeting.enter(0, newer)
    await ask(before, 'l', line)
    await plenum.kill()
    await sql`update plenum.command set done_at = now() - interval '61 minutes'`
    await fixture.restart(plenum)
    const after = await meeting.enter(0, newer)
    assert.deepEqual(await ask(after, 'l', line), acked('l'))
    assert.deepEqual(await ask(after, 'l', line), acked('l'))
    assert.equal(await said(meeting, 'hourly'), 2)
  })

  test('a vote that names its poll is for no other', async (t) => {
    const fixture = await openServerFixture(t)
    const plenum = await fixture.start()
    const { sql } = fixture.db
    const meeting = await gather(sql, plenum, 2, open)
    const chair = await meeting.enter(0, newer)
    const guest = await meeting.enter(1, newer)
    await ask(chair, 'p', draft)
    const { data: poll } = await guest.next('poll', ({ data }) => data !== null)
    const voting = { type: 'vote', question: draft.question, vote: 1 }
    const wrong = 'Vote for the wrong question received'
    assert.deepEqual(await ask(guest, 'w', { ...voting, poll: poll!.id! + 1 }), {
      type: 'error',
      msg: wrong,
      id: 'w',
    })
    assert.deepEqual(await ask(guest, 'v', { ...voting, poll: poll!.id }), acked('v'))
    assert.equal(await vote(sql, meeting, 1), 1)
  })

  test('polls say when they end, and how they ended', async (t) => {
    const fixture = await openServerFixture(t)
    let plenum: Plenum = await fixture.start()
    const { sql } = fixture.db
    const meeting = await gather(sql, plenum, 2, open)
    let chair = await meeting.enter(0, newer)
    let guest = await meeting.enter(1, newer)
    const results: unknown[] = []
    const ended = async (): Promise<void> => {
      const { data } = await guest.next('pollend')
      const next = guest.frames[guest.frames.findIndex((frame) => 'data' in frame && frame.data === data) + 1]
      assert.deepEqual(next, { type: 'poll', data: null })
      const { id, ...result } = data
      const [row] = await sql<{ ending: string }[]>`select ending from plenum.poll where id = ${id}`
      assert.equal(row?.ending, result.ending)
      results.push(result)
    }
    const newPoll = async (question: string): Promise<void> => {
      await ask(chair, question, { ...draft, question })
      const { data } = await guest.next('poll', (frame) => frame.data?.question === question)
      const { closesAt = 0, now = 0, id } = data!
      assert.ok(Math.abs(closesAt - now - 300_000) < 2000, `${closesAt - now}`)
      const [row] = await sql<{ closesAt: number }[]>`
        select extract(epoch from closes_at)::float8 * 1000 "closesAt" from plenum.poll where id = ${id ?? 0}`
      assert.ok(Math.abs(row!.closesAt - closesAt) < 2000)
      await ask(guest, `${question}-v`, { type: 'vote', question, vote: 0 })
    }
    await newPoll('aborted')
    await ask(chair, 'x', { type: 'abortpoll' })
    await ended()
    await newPoll('voted')
    await ask(chair, 'y', { type: 'vote', question: 'voted', vote: 1 })
    await ended()
    await newPoll('time')
    await plenum.kill()
    await sql`update plenum.poll set closes_at = now() + ${4 * slowness()} * interval '1 second' where ended_at is null`
    plenum = await fixture.restart(plenum)
    chair = await meeting.enter(0, newer)
    guest = await meeting.enter(1, newer)
    assert.equal((await guest.next('welcome')).data.vote, 0)
    await ended()
    await newPoll('finished')
    await ask(chair, 'z', { type: 'finish' })
    await ended()
    const answers = draft.answers
    assert.deepEqual(results, [
      { question: 'aborted', answers, tally: null, ending: 'aborted' },
      { question: 'voted', answers, tally: [1, 1], ending: 'voted' },
      { question: 'time', answers, tally: [1, 0], ending: 'time' },
      { question: 'finished', answers, tally: [1, 0], ending: 'finished' },
    ])
    // For those who come later too, with and without a restart in between.
    for (const restart of [false, true]) {
      if (restart) {
        await plenum.kill()
        plenum = await fixture.restart(plenum)
      }
      const back = await meeting.enter(0, newer)
      const { id: _, ...result } = (await back.next('welcome')).data.result!
      assert.deepEqual(result, results[3])
    }
  })

  test('what could not be stored may be sent again, and is then done once', async (t) => {
    const fixture = await openServerFixture(t)
    const plenum = await fixture.start()
    const { sql, url } = fixture.db
    const meeting = await gather(sql, plenum, 1, open)
    const member = await meeting.enter(0, newer)
    // Its commit is under way and its connection is lost: nobody knows whether it was stored.
    const held = await holdTransaction(
      url,
      (tx) => tx`lock table membership_meetingmessagelog in exclusive mode`,
    )
    member.send({ type: 'message', message: 'perhaps', id: 'l' })
    await held.waitedFor()
    await sql`
      select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and application_name = 'plenum' and wait_event_type = 'Lock'`
    await until('an answer', () => answersTo(member, 'l').length === 1)
    assert.deepEqual(answersTo(member, 'l'), [{ type: 'error', msg: unavailable, id: 'l', again: true }])
    await held.commit()
    await until('it is said', async () => {
      const answer = await ask(member, 'l', { type: 'message', message: 'perhaps' })
      return answer.type === 'ack'
    })
    assert.equal(await said(meeting, 'perhaps'), 1)
  })

  test('connections end with a code that says whether to come back', async (t) => {
    const fixture = await openServerFixture(t, { grace: 30 })
    const plenum = await fixture.start()
    const { sql } = fixture.db
    const meeting = await gather(sql, plenum, 4, { ...open, admins: 1 })
    const ends = async (member: Member, code: number): Promise<void> => {
      await until(`the connection ends by ${code}`, () => member.isClosed)
      const { code: seen, reason } = await member.closed
      assert.deepEqual({ code: seen, reason }, { code, reason: '' })
      const last = member.frames.at(-1)?.type
      assert.equal(last === 'disconnect', code >= 4500, `${code}: ${last}`)
    }
    await ends(await connect(plenum, `/ws/meeting/${meeting.id}/${'x'.repeat(54)}/0`, newer), 4500)

    const chair = await meeting.enter(0, newer)
    const guest = await meeting.enter(1, newer)
    const second = await meeting.enter(1, newer)
    await ends(guest, 4504)
    await ask(chair, 'k', { type: 'kick', user: meeting.user(1), canrejoin: true })
    await ends(second, 4505)
    await sql`
      update membership_membermeetingkey set allowrejoin = false
      where meeting_id = ${meeting.id} and member_id = ${meeting.user(2)}`
    await ends(await meeting.connect(2, newer), 4502)
    await ask(chair, 'f', { type: 'finish' })
    await ends(await meeting.connect(2, newer), 4501)

    const doomed = await gather(sql, plenum, 1, open)
    const last = await doomed.enter(0, newer)
    // At once, as the site does: a look between two of them would have a line written.
    await sql.begin(async (tx) => {
      await tx`delete from membership_meetingmessagelog where meeting_id = ${doomed.id}`
      await tx`delete from membership_membermeetingkey where meeting_id = ${doomed.id}`
      await tx`delete from membership_meeting_meetingadmins where meeting_id = ${doomed.id}`
      await tx`delete from membership_meeting where id = ${doomed.id}`
    })
    await ends(last, 4506)

    const early = await gather(sql, plenum, 2, { state: 0 })
    const waiting = await early.enter(0, newer)
    // As if another process had taken over: the fence refuses the next write.
    await sql`update plenum.lease set epoch = epoch + 1 where door = 'meetings'`
    waiting.say('to nobody')
    await ends(waiting, 4000)
    await ends(chair, 4000)
    await until('it serves again', async () => (await plenum.get('/readyz')).status === 200)
    const late = await early.enter(1, newer)
    const stopped = plenum.stop()
    await ends(late, 1012)
    assert.equal(await stopped, 0)
  })
})

/** An offer that is not understood is ignored, as if it were none. */
async function plainWith(target: Target, meeting: MeetingFixture, offer: string): Promise<void> {
  const path = `/ws/meeting/${meeting.id}/${meeting.key(0)}/0`
  try {
    const member = await connect(target, path, { headers: { 'sec-websocket-protocol': offer } })
    await member.next('messages')
    assert.equal(member.frames[0]?.type, 'users', offer)
    member.ws.terminate()
  } catch (error) {
    if (error instanceof UpgradeRefused) assert.fail(`${offer}: ${error.message}`)
    throw error
  }
  await wait(10)
}
