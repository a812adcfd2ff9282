import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { newKey } from '../../demo/association.ts'
import { createDatabase } from '../support/database.ts'
import { answerTo, elsewhere, farewell, gather, settle, toldDuring } from '../support/meeting-fixture.ts'
import type { MeetingFixture } from '../support/meeting-fixture.ts'
import { holdTransaction } from '../support/held-transaction.ts'
import { openPages, returned } from '../support/server-fixture.ts'
import { join, UpgradeRefused } from '../support/meeting-client.ts'
import type { Member } from '../support/meeting-client.ts'
import { refuseWrites } from '../support/refused-writes.ts'
import { startPlenum } from '../support/server.ts'
import { serverStatus } from '../support/status.ts'
import { until } from '../support/until.ts'

const db = await createDatabase()
const options = { database: db.url, grace: 2, poll: 0.5, flags: ['-rate', '0', '-behindproxy'] }
let plenum = await startPlenum(options)
after(async () => {
  await plenum.kill()
  await db.drop()
})

const texts = {
  notAllowed: 'You are not allowed to enter this meeting',
  finished: 'This meeting is already finished and can no longer be joined.',
  inProgress: 'This meeting is already in progress and can no longer be joined.',
  takenOver: 'You have connected from a different session. This session is disconnected.',
  kicked: 'You have been forcibly disconnected from this meeting',
}
const opened = { state: 1, allowrejoin: true } as const

async function finish(chair: Member): Promise<void> {
  chair.send({ type: 'finish' })
  await chair.line('This meeting is now finished')
}

test('who asks for a meeting that does not exist or is closed is told so, and not by an HTTP status', async () => {
  const closed = await gather(db.sql, plenum, 1, { state: 3, allowrejoin: true })
  assert.equal(await farewell(await closed.connect(0, elsewhere())), texts.finished)
  for (const id of [0, 999_999, '2147483648', '9'.repeat(40)])
    assert.equal(await farewell(await join(plenum, id, newKey(), elsewhere())), texts.notAllowed)
})

test('a request that cannot become a connection starts nothing', async () => {
  const meetings = await Promise.all(Array.from({ length: 20 }, () => gather(db.sql, plenum, 1)))
  const foreign = { headers: { origin: 'https://example.org' } }
  for (const meeting of meetings) {
    for (const key of [newKey(), meeting.key(0)]) {
      assert.equal((await plenum.get(`/ws/meeting/${meeting.id}/${key}/0`)).status, 426)
      await assert.rejects(join(plenum, meeting.id, key, foreign), new UpgradeRefused(403))
    }
    await farewell(await join(plenum, meeting.id, newKey(), elsewhere()))
  }
  const live = new Set((await serverStatus(plenum)).meetings.map(({ id }) => id))
  assert.ok(meetings.every(({ id }) => !live.has(id)))
})

test('a key for an IRC meeting opens nothing, a key for any time of a web meeting does', async () => {
  const irc = await gather(db.sql, plenum, 1, { meetingtype: 0 })
  assert.equal(await farewell(await irc.connect(0, elsewhere())), texts.notAllowed)
  for (const days of [-400, 400]) {
    const dateandtime = new Date(Date.now() + days * 86_400_000)
    const meeting = await gather(db.sql, plenum, 2, { dateandtime })
    await meeting.enterAll(0, 1)
  }
})

test('a meeting that was never opened cannot be finished', async () => {
  const meeting = await gather(db.sql, plenum, 2)
  const [chair, member] = await meeting.enterAll(0, 1)
  const told = await toldDuring(chair, member, async () => {
    chair.send({ type: 'finish' })
    assert.equal((await chair.next('error')).msg, 'Meeting is not open')
  })
  assert.deepEqual(told, [])
  assert.equal(await meeting.state(), 0)
})

test('an opening that the database refuses has not happened, for anybody', async () => {
  const meeting = await gather(db.sql, plenum, 2)
  const [chair, member] = await meeting.enterAll(0, 1)
  const before = await meeting.texts()
  const allow = await refuseWrites(db.sql, 'update on membership_meeting', `new.id = ${meeting.id}`)
  chair.send({ type: 'open' })
  await chair.next('error')
  await settle(chair, member)
  assert.deepEqual(await meeting.texts(), before)
  assert.equal(await meeting.state(), 0)
  assert.ok(!member.frames.some((frame) => frame.type === 'status' && frame.data.isopen))
  await allow()
  chair.send({ type: 'open' })
  await member.next('status', ({ data }) => data.isopen)
  assert.equal(await meeting.state(), 1)
})

test('a finished meeting lets back in who was away for a moment, and can be re-opened', async () => {
  const meeting = await gather(db.sql, plenum, 2, opened)
  const [chair, member] = await meeting.enterAll(0, 1)
  await finish(chair)
  await member.reset()
  const back = await meeting.enter(1)
  chair.send({ type: 'open' })
  await back.next('status', ({ data }) => data.isopen)
  await settle(back)
  assert.deepEqual((await meeting.texts()).slice(-3), [
    `This meeting is being re-opened by ${meeting.name(0)}`,
    'This meeting is now open',
    'Anything sent from now on will be part of the permanent record',
  ])
})

test('a lost connection of the last one does not close a finished meeting', async () => {
  const meeting = await gather(db.sql, plenum, 1, opened)
  const chair = await meeting.enter(0)
  await finish(chair)
  await chair.reset('rst')
  await wait(500)
  const back = await meeting.enter(0)
  await back.quiet(2500)
  assert.equal(await meeting.state(), 2)
  await back.close()
  await until('the meeting is closed', async () => (await meeting.state()) === 3)
})

/** Finished meetings with these people in them. */
async function finishedMeetings(count: number, ...indexes: number[]) {
  const made: { meeting: MeetingFixture; people: Member[] }[] = []
  const make = async () => {
    const meeting = await gather(db.sql, plenum, 3, { ...opened, admins: 2 })
    const people = await meeting.enterAll(...indexes)
    const [chair] = people
    if (chair) await finish(chair)
    made.push({ meeting, people })
  }
  while (made.length < count) await Promise.all(Array.from({ length: 20 }, make))
  return made
}

async function assertClosed(meetings: MeetingFixture[]): Promise<void> {
  const ids = meetings.map(({ id }) => id)
  const closed = async () => {
    const [row] = await db.sql<{ n: number }[]>`
      select count(*)::int n from membership_meeting where id = any(${ids}) and state = 3`
    return row?.n === ids.length
  }
  const forgotten = async () => {
    const live = new Set((await serverStatus(plenum)).meetings.map(({ id }) => id))
    return ids.every((id) => !live.has(id))
  }
  await until('all meetings are closed', closed, 20_000)
  await until('none of them is left in the status', forgotten, 20_000)
}

test('two who leave a finished meeting at the same moment close it, 200 times of 200', async () => {
  const all = await finishedMeetings(200, 0, 1)
  await Promise.all(all.flatMap(({ people }) => people.map((member) => member.close())))
  await assertClosed(all.map(({ meeting }) => meeting))
  const [one] = all
  if (one) assert.equal(await farewell(await one.meeting.connect(0, elsewhere())), texts.finished)
})

test('who enters at the moment when a meeting closes is let in or told so, 300 times of 300', async () => {
  const all = await finishedMeetings(100, 0)
  const answers: string[] = []
  // One after the other: together they would keep each other from the moment that this is about.
  for (const [index, { meeting, people }] of all.entries()) {
    const comers = Promise.all([1, 1, 2].map((who) => meeting.connect(who, elsewhere())))
    await wait(index % 6)
    const leaving = people.map((member) => member.close())
    const members = await comers
    answers.push(...(await Promise.all(members.map(answerTo))))
    await Promise.all([...leaving, ...members.map((member) => member.close())])
  }
  assert.equal(answers.filter((answer) => answer !== 'dropped').length, 300)
  await assertClosed(all.map(({ meeting }) => meeting))
})

test('a closing that the database refuses is tried again until it is done', async () => {
  const meeting = await gather(db.sql, plenum, 1, opened)
  const chair = await meeting.enter(0)
  await finish(chair)
  const allow = await refuseWrites(
    db.sql,
    'update on membership_meeting',
    `new.id = ${meeting.id} and new.state = 3`,
  )
  await chair.close()
  await plenum.logged(({ event, meeting: id }) => event === 'notStored' && id === meeting.id)
  assert.equal(await meeting.state(), 2)
  await allow()
  await until('the meeting is closed', async () => (await meeting.state()) === 3)
})

test('who was kicked without return before the opening stays out in every state', async () => {
  const meeting = await gather(db.sql, plenum, 2)
  const [chair, kicked] = await meeting.enterAll(0, 1)
  chair.send({ type: 'kick', user: meeting.user(1), canrejoin: false })
  assert.equal(await farewell(kicked), texts.kicked)
  const assertOut = async () => {
    assert.equal(await farewell(await meeting.connect(1, elsewhere())), texts.notAllowed)
    const [row] = await db.sql`
      select allowrejoin from membership_membermeetingkey where id = ${meeting.keyId(1)}`
    assert.equal(row?.['allowrejoin'], false)
  }
  await assertOut()
  chair.send({ type: 'open' })
  await chair.line('This meeting is now open')
  await assertOut()
  await finish(chair)
  await assertOut()
})

test('a kick that the database refuses has not happened', async () => {
  const meeting = await gather(db.sql, plenum, 2, opened)
  const [chair, member] = await meeting.enterAll(0, 1)
  const allow = await refuseWrites(db.sql, 'insert on plenum.ban', `new.meeting_id = ${meeting.id}`)
  const kick = { type: 'kick', user: meeting.user(1), canrejoin: false }
  chair.send(kick)
  await chair.next('error')
  await settle(member, chair)
  assert.ok(!(await meeting.texts()).some((text) => text.startsWith('User ')))
  await allow()
  for (const user of [meeting.user(1) + 0.7, String(meeting.user(1)), null, undefined]) {
    chair.send({ ...kick, user })
    assert.match((await chair.next('error')).msg, /user/i)
  }
  for (const canrejoin of [0, 'no', null, undefined]) {
    chair.send({ ...kick, canrejoin })
    assert.match((await chair.next('error')).msg, /canrejoin/)
  }
  await settle(member, chair)
  chair.send(kick)
  assert.equal(await farewell(member), texts.kicked)
})

test('after a restart in an open meeting everyone is back, and nobody has joined or left', async (t) => {
  const meeting = await gather(db.sql, plenum, 3)
  const pages = await openPages(t, meeting, plenum, [0, 1, 2], 50)
  pages[0].send({ type: 'open' })
  for (const page of pages) await page.until(({ status }) => status?.isopen === true)
  const before = await meeting.texts()
  await plenum.stop()
  plenum = await startPlenum({ ...options, listen: plenum.listen })
  for (const page of pages) await returned(page)
  await wait(2500)
  assert.deepEqual(await meeting.texts(), before)
  for (const page of pages) {
    assert.equal(page.people.size, 3)
    assert.ok(page.closeCodes.every((code) => code === 1006))
  }
})

test('a failing database while somebody enters ends his connection without a word, so that he tries again', async () => {
  const meeting = await gather(db.sql, plenum, 1)
  const keys = await holdTransaction(
    db.url,
    (tx) => tx`lock table membership_membermeetingkey in access exclusive mode`,
  )
  const member = await meeting.connect(0)
  await until('the connection ended', async () => {
    await db.sql`
      select pg_terminate_backend(pid) from pg_locks
      where not granted and relation = 'membership_membermeetingkey'::regclass
        and database = (select oid from pg_database where datname = current_database())`
    return member.isClosed
  })
  await keys.rollback()
  assert.deepEqual(member.frames, [])
  assert.equal((await member.closed).code, 1006)
  await meeting.enter(0)
})

test('a meeting that the site closes is told, and can no longer be entered', async () => {
  const meeting = await gather(db.sql, plenum, 2, opened)
  const chair = await meeting.enter(0)
  await db.sql`update membership_meeting set state = 3 where id = ${meeting.id}`
  await chair.next('status', ({ data }) => !data.isopen && !data.isfinished)
  assert.equal(await farewell(await meeting.connect(1, elsewhere())), texts.finished)
})

test('a meeting that the site deletes ends for those who are in it', async () => {
  const meeting = await gather(db.sql, plenum, 2)
  const members = await meeting.enterAll(0, 1)
  await db.sql.begin(async (tx) => {
    for (const table of ['meeting_meetingadmins', 'membermeetingkey', 'meetingmessagelog'])
      await tx`delete from ${tx(`membership_${table}`)} where meeting_id = ${meeting.id}`
    await tx`delete from membership_meeting where id = ${meeting.id}`
  })
  for (const member of members) assert.equal(await farewell(member), 'This meeting no longer exists')
})

test('the texts of refusals and farewells are those that members know', async () => {
  const meeting = await gather(db.sql, plenum, 4)
  const [chair, member, kicked] = await meeting.enterAll(0, 1, 2)
  chair.send({ type: 'open' })
  await chair.line('This meeting is now open')
  assert.equal(await farewell(await join(plenum, meeting.id, newKey(), elsewhere())), texts.notAllowed)
  assert.equal(await farewell(await meeting.connect(3, elsewhere())), texts.inProgress)
  await meeting.enter(1)
  assert.equal(await farewell(member), texts.takenOver)
  chair.send({ type: 'kick', user: meeting.user(2), canrejoin: true })
  assert.equal(await farewell(kicked), texts.kicked)
  await finish(chair)
  assert.equal(await farewell(await meeting.connect(2, elsewhere())), texts.finished)
})
