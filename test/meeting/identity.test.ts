import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { newKey } from '../../demo/association.ts'
import { createDatabase } from '../support/database.ts'
import { farewell, gather, settle, toldDuring } from '../support/meeting-fixture.ts'
import type { MeetingFixture } from '../support/meeting-fixture.ts'
import { join } from '../support/meeting-client.ts'
import { rawConnection } from '../support/raw-request.ts'
import { clientFrame, upgradeRequest } from '../support/raw-connection.ts'
import { startPlenum } from '../support/server.ts'
import { meetingStatus } from '../support/status.ts'
import { until } from '../support/until.ts'

const db = await createDatabase()
const options = { database: db.url, grace: 1, poll: 0.5, flags: ['-rate', '0'] }
let plenum = await startPlenum(options)
after(async () => {
  await plenum.kill()
  await db.drop()
})

const poll = { type: 'newpoll', question: 'Shall we?', answers: ['yes', 'no'], minutes: 5 }

/** What the site does when a member names a proxy: a new key in the member's row. */
async function assignProxy(meeting: MeetingFixture, index: number, proxyname: string): Promise<string> {
  const key = newKey()
  await db.sql`
    update membership_membermeetingkey set key = ${key}, proxyname = ${proxyname}, proxyaccesskey = md5(${key})
    where id = ${meeting.keyId(index)}`
  return key
}

test('a line is the same in history as it was live, its sender included', async () => {
  const meeting = await gather(db.sql, plenum, 2)
  const [first, second] = await meeting.enterAll(0, 1)
  second.say('hello')
  const live = await first.line('hello')
  assert.equal(live.from, meeting.user(1))
  await second.close()
  const again = await meeting.enter(1, { first: live.id - 1 })
  assert.deepEqual(await again.line('hello'), live)
})

test('a member has one id everywhere, and it is his user id', async () => {
  const meeting = await gather(db.sql, plenum, 3, { state: 1, allowrejoin: true })
  assert.notEqual(meeting.user(1), meeting.keyId(1))
  const [chair, member, other] = await meeting.enterAll(0, 1, 2)
  const { users } = (await member.next('users')).data
  assert.deepEqual(
    users.map(({ id }) => id),
    [meeting.user(0), meeting.user(1)],
  )
  assert.equal((await chair.next('adduser')).data.id, meeting.user(1))
  chair.send(poll)
  member.send({ type: 'vote', question: poll.question, vote: 0 })
  const { data } = await chair.next('poll', ({ data }) => data?.tally[0] === 1)
  assert.deepEqual(data?.voted, [meeting.user(1)])
  chair.send({ type: 'kick', user: meeting.user(1), canrejoin: true })
  assert.equal((await other.next('removeuser')).data.id, meeting.user(1))
  await farewell(member)
})

test('a second session of a member takes over without anybody seeing him go', async () => {
  const meeting = await gather(db.sql, plenum, 2)
  const [chair, old] = await meeting.enterAll(0, 1)
  const session = await meeting.enter(1)
  assert.match(await farewell(old), /^You have connected from a different session/)
  await settle(chair, session)
  // The old server removed him when the older connection ended, which need not be at once.
  await session.quiet(1500, 'removeuser', 'message')
  for (const member of [chair, session]) assert.ok(!member.frames.some(({ type }) => type === 'removeuser'))
  const left = (await meeting.texts()).filter((text) => text.endsWith('left the meeting'))
  assert.deepEqual(left, [])
  const people = (await meetingStatus(plenum, meeting.id))?.members
  assert.equal(people?.length, 2)
})

test('a second session that is refused does not disturb the first', async () => {
  const meeting = await gather(db.sql, plenum, 2, { state: 1, allowrejoin: true })
  const [chair, member] = await meeting.enterAll(0, 1)
  chair.send({ type: 'finish' })
  await member.line('This meeting is now finished')
  const told = await toldDuring(member, chair, async () => {
    const second = await meeting.connect(1)
    assert.equal(await farewell(second), 'This meeting is already finished and can no longer be joined.')
  })
  assert.deepEqual(told, [])
})

test('a takeover is one line in the record and no change of the list', async () => {
  const meeting = await gather(db.sql, plenum, 3)
  const [chair, , other] = await meeting.enterAll(0, 1, 2)
  const told = await toldDuring(chair, other, async () => {
    for (let n = 0; n < 3; n++) await meeting.enter(1)
  })
  const text = `Member ${meeting.name(1)} re-joined the meeting`
  assert.deepEqual(
    told.map((frame) => (frame.type === 'message' ? frame.data.message : frame.type)),
    [text, text, text],
  )
})

test('a kick takes somebody off the list once and says so once', async () => {
  const meeting = await gather(db.sql, plenum, 3)
  const [chair, member, other] = await meeting.enterAll(0, 1, 2)
  const told = await toldDuring(chair, other, async () => {
    chair.send({ type: 'kick', user: meeting.user(1), canrejoin: true })
    await farewell(member)
  })
  await other.quiet(1500)
  assert.deepEqual(
    told.map((frame) => (frame.type === 'message' ? frame.data.message : frame.type)),
    ['removeuser', `User ${meeting.name(1)} has been disconnected by ${meeting.name(0)}`],
  )
})

test('who comes with the new key of a member takes his place, and they have one vote together', async () => {
  const meeting = await gather(db.sql, plenum, 2, { state: 1, allowrejoin: true })
  const [chair, old] = await meeting.enterAll(0, 1)
  chair.send(poll)
  old.send({ type: 'vote', question: poll.question, vote: 0 })
  await chair.line(`${meeting.name(1)} voted yes`)
  const key = await assignProxy(meeting, 1, 'Prudence')
  const proxy = await join(plenum, meeting.id, key)
  const { users } = (await proxy.next('users')).data
  assert.deepEqual(
    users.map(({ id }) => id),
    [meeting.user(0), meeting.user(1)],
  )
  await farewell(old)
  proxy.send({ type: 'vote', question: poll.question, vote: 1 })
  chair.send({ type: 'vote', question: poll.question, vote: 1 })
  await chair.line('All attendees have voted, poll has completed.')
  await chair.line('Answer "yes": 0 votes')
  await chair.line('Answer "no": 2 votes')
  assert.equal(await farewell(await meeting.connect(1)), 'You are not allowed to enter this meeting')
})

test('a key that the site has replaced stops working for who is in with it', async () => {
  const meeting = await gather(db.sql, plenum, 2)
  const [chair, old] = await meeting.enterAll(0, 1)
  await assignProxy(meeting, 1, 'Prudence')
  assert.equal(await farewell(old), 'You are not allowed to enter this meeting')
  assert.equal((await chair.next('removeuser')).data.id, meeting.user(1))
})

test('a kick reaches the connection that a member has now', async () => {
  const meeting = await gather(db.sql, plenum, 2)
  const [chair] = await meeting.enterAll(0, 1)
  const proxy = await join(plenum, meeting.id, await assignProxy(meeting, 1, 'Prudence'))
  await proxy.next('messages')
  chair.send({ type: 'kick', user: meeting.user(1), canrejoin: true })
  assert.equal(await farewell(proxy), 'You have been forcibly disconnected from this meeting')
})

test('the list has the same order for everyone, every time', async () => {
  const meeting = await gather(db.sql, plenum, 12)
  const indexes = [7, 2, 9, 0, 4, 11, 1, 10, 3, 8, 6, 5]
  for (const index of indexes) await meeting.enter(index)
  for (const index of [4, 4, 7, 0]) {
    const { users } = (await (await meeting.enter(index)).next('users')).data
    assert.deepEqual(
      users.map(({ id }) => id),
      indexes.map((each) => meeting.user(each)),
    )
  }
})

test("a proxy speaks under the member's name, and the line of his entry names him", async () => {
  const meeting = await gather(db.sql, plenum, 2)
  const chair = await meeting.enter(0)
  const proxy = await join(plenum, meeting.id, await assignProxy(meeting, 1, 'Prudence'))
  await chair.line(`Member ${meeting.name(1)} joined the meeting (through proxy Prudence)`)
  assert.equal((await chair.next('adduser')).data.name, meeting.name(1))
  proxy.say('on behalf')
  assert.equal((await chair.line('on behalf')).fromname, meeting.name(1))
})

test('what the system says is colored sys, live and in history', async () => {
  const meeting = await gather(db.sql, plenum, 2)
  const chair = await meeting.enter(0)
  chair.send({ type: 'open' })
  const live = await chair.line('This meeting is now open')
  assert.deepEqual(
    { color: live.color, from: live.from, fromname: live.fromname },
    { color: 'sys', from: -1, fromname: '' },
  )
  await chair.close()
  assert.deepEqual(await (await meeting.enter(0)).line('This meeting is now open'), live)
})

test('a connection that a client ends half is ended whole', async () => {
  const meeting = await gather(db.sql, plenum, 2)
  const chair = await meeting.enter(0)
  const { socket, ended } = rawConnection(plenum.port, [
    upgradeRequest(`/ws/meeting/${meeting.id}/${meeting.key(1)}/0`),
    clientFrame({ type: 'message', message: 'and goodbye' }),
  ])
  await chair.line('and goodbye')
  socket.end()
  assert.match(await ended, /and goodbye/)
  await chair.line(`Member ${meeting.name(1)} left the meeting`)
})

test("a member's color outlives the server", async () => {
  const meeting = await gather(db.sql, plenum, 3)
  const [, member] = await meeting.enterAll(2, 1)
  member.say('before')
  const { color } = await member.line('before')
  await plenum.stop()
  plenum = await startPlenum({ ...options, listen: plenum.listen })
  // The other way round: the old server dealt out colors in the order in which people appeared.
  const [again] = await meeting.enterAll(1, 0)
  await until('who was not back in time has left', async () =>
    (await meeting.texts()).includes(`Member ${meeting.name(2)} left the meeting`),
  )
  again.say('after')
  assert.equal((await again.line('after')).color, color)
  assert.equal((await again.line('before')).color, color)
  const { users } = (await again.next('users')).data
  assert.equal(users.find(({ id }) => id === meeting.user(1))?.color, color)
})
