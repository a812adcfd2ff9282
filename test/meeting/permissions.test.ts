import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { newKey } from '../../demo/association.ts'
import { createDatabase } from '../support/database.ts'
import { elsewhere, farewell, gather, settle, toldDuring } from '../support/meeting-fixture.ts'
import { connect, join, UpgradeRefused } from '../support/meeting-client.ts'
import type { FrameOf } from '../support/meeting-client.ts'
import { rawConnection } from '../support/raw-request.ts'
import { clientFrame, upgradeRequest } from '../support/raw-connection.ts'
import { startPlenum } from '../support/server.ts'
import { meetingStatus } from '../support/status.ts'
import { until } from '../support/until.ts'

const db = await createDatabase()
const options = {
  database: db.url,
  grace: 3,
  poll: 0.5,
  origin: 'https://www.Domain.com/, http://localhost',
  flags: ['-behindproxy'],
}
const plenums = [await startPlenum(options)]
let [plenum] = plenums as [(typeof plenums)[0]]
after(async () => {
  await plenum.kill()
  await db.drop()
})

const reserved = ['This meeting is now open', 'This meeting is now finished']
const poll = { type: 'newpoll', question: 'Shall we?', answers: ['yes', 'no'], minutes: 5 }

test("a plain member's open, finish, newpoll, abortpoll and kick do nothing", async () => {
  const meeting = await gather(db.sql, plenum, 3)
  const [chair, member, other] = await meeting.enterAll(0, 1, 2)
  const commands = [
    { type: 'open' },
    { type: 'finish' },
    { ...poll, question: 'May I?' },
    { type: 'abortpoll' },
    { type: 'kick', user: meeting.user(2), canrejoin: false },
  ]
  const stages = [
    { command: undefined, state: 0 },
    { command: { type: 'open' }, state: 1 },
    { command: poll, state: 1 },
    { command: { type: 'finish' }, state: 2 },
  ]
  for (const { command, state } of stages) {
    if (command) chair.send(command)
    const told = await toldDuring(chair, other, async () => {
      for (const forbidden of commands) {
        member.send(forbidden)
        assert.equal((await member.next('error')).msg, 'Permission denied')
      }
    })
    assert.deepEqual(told, [])
    assert.equal(await meeting.state(), state)
  }
})

test('what a stranger sends right after the upgrade is never done', async () => {
  const pending = await gather(db.sql, plenum, 2)
  const open = await gather(db.sql, plenum, 2, { state: 1, allowrejoin: true })
  const [watcher] = await pending.enterAll(0, 1)
  const [chair, member] = await open.enterAll(0, 1)
  chair.send(poll)
  chair.send({ type: 'vote', question: poll.question, vote: 0 })
  await member.next('poll', ({ data }) => data?.tally[0] === 1)
  const before = await open.texts()

  const attempts = (meeting: typeof open) =>
    Array.from({ length: 60 }, async () => {
      const { headers = {} } = elsewhere()
      const { ended } = rawConnection(plenum.port, [
        upgradeRequest(`/ws/meeting/${meeting.id}/${newKey()}/0`, { headers }),
        clientFrame({ type: 'open' }),
        clientFrame({ type: 'vote', question: poll.question, vote: 1 }),
        clientFrame({ type: 'message', message: 'I am not here' }),
        clientFrame({ type: 'kick', user: meeting.user(1), canrejoin: false }),
        clientFrame({ type: 'abortpoll' }),
        clientFrame({ type: 'finish' }),
      ])
      assert.match(await ended, /You are not allowed to enter this meeting/)
    })
  const told = await toldDuring(chair, member, () => Promise.all([...attempts(open), ...attempts(pending)]))
  assert.deepEqual(told, [])
  assert.deepEqual(await open.texts(), before)
  await settle(watcher)
  assert.equal(await pending.state(), 0)
  assert.equal(await open.state(), 1)
})

test('a member who is refused cannot speak, however early he does', async () => {
  const meeting = await gather(db.sql, plenum, 3, { state: 1, allowrejoin: true })
  const [chair, banned] = await meeting.enterAll(0, 1)
  chair.send({ type: 'kick', user: meeting.user(1), canrejoin: false })
  await farewell(banned)
  await db.sql`
    update membership_membermeetingkey set allowrejoin = false where id = ${meeting.keyId(2)}`
  const told = await toldDuring(chair, chair, () =>
    Promise.all(
      Array.from({ length: 60 }, async (_, index) => {
        const { headers = {} } = elsewhere()
        const { ended } = rawConnection(plenum.port, [
          upgradeRequest(`/ws/meeting/${meeting.id}/${meeting.key((index % 2) + 1)}/0`, { headers }),
          clientFrame({ type: 'message', message: 'let me in' }),
        ])
        assert.match(await ended, /"type":"disconnect"/)
      }),
    ),
  )
  assert.deepEqual(told, [])
  const speakers = new Set((await meeting.record()).map(({ sender }) => sender))
  assert.deepEqual(speakers, new Set([null, meeting.user(0)]))
})

test('those inside see nothing of a stranger who fails to enter', async () => {
  const meeting = await gather(db.sql, plenum, 2)
  const [chair, member] = await meeting.enterAll(0, 1)
  const told = await toldDuring(chair, member, async () => {
    for (let n = 0; n < 20; n++) {
      const stranger = await join(plenum, meeting.id, newKey(), elsewhere())
      assert.equal(await farewell(stranger), 'You are not allowed to enter this meeting')
    }
  })
  assert.deepEqual(told, [])
})

test('a member who is refused leaves no line in the record, however often he tries', async () => {
  const meeting = await gather(db.sql, plenum, 2, { state: 1 })
  const chair = await meeting.enter(0)
  const before = await meeting.texts()
  const told = await toldDuring(chair, chair, async () => {
    for (let n = 0; n < 60; n++) await farewell(await meeting.connect(1, elsewhere()))
  })
  assert.deepEqual(told, [])
  assert.deepEqual(await meeting.texts(), before)
})

test('after a restart a stranger cannot close a finished meeting before its admin is back', async () => {
  const meeting = await gather(db.sql, plenum, 1, { state: 1 })
  const chair = await meeting.enter(0)
  chair.send({ type: 'finish' })
  await chair.line('This meeting is now finished')
  await plenum.kill()
  plenum = await startPlenum({ ...options, listen: plenum.listen })
  plenums.push(plenum)
  await farewell(await join(plenum, meeting.id, newKey(), elsewhere()))
  assert.equal(await meeting.state(), 2)
  const returned = await meeting.enter(0)
  assert.deepEqual((await returned.next('status')).data, { isopen: false, isfinished: true })
})

test('two newpoll in a row leave the process alive, whoever sends them', async () => {
  const meeting = await gather(db.sql, plenum, 3, { state: 1, allowrejoin: true })
  const [chair, member, other] = await meeting.enterAll(0, 1, 2)
  for (let n = 0; n < 2; n++) member.send({ ...poll, question: `Member's ${n}` })
  for (let n = 0; n < 2; n++) assert.equal((await member.next('error')).msg, 'Permission denied')
  for (let n = 0; n < 2; n++) chair.send({ ...poll, question: `Chair's ${n}` })
  assert.equal((await chair.next('error')).msg, 'There is already an active poll')
  await settle(member, other)
  assert.equal((await plenum.get('/livez')).status, 200)
})

test('kicking somebody who has left, again and again, is an error and freezes nobody', async () => {
  const meeting = await gather(db.sql, plenum, 3)
  const [chair, gone, other] = await meeting.enterAll(0, 1, 2)
  await gone.close()
  await chair.next('removeuser')
  for (let n = 0; n < 6; n++) {
    chair.send({ type: 'kick', user: meeting.user(1), canrejoin: true })
    assert.equal((await chair.next('error')).msg, 'User to kick not found')
  }
  await settle(other, chair)
})

test('a client that sends 145,000 bad votes and reads nothing is dropped, and the others go on', async () => {
  const meeting = await gather(db.sql, plenum, 3)
  const [chair, flooder, other] = await meeting.enterAll(0, 1, 2)
  flooder.ws.pause()
  for (let n = 0; n < 10; n++) {
    for (let m = 0; m < 14_500; m++) flooder.send({ type: 'vote', question: 'Which?', vote: 7 })
    await settle(chair, other)
  }
  // Who reads nothing learns of the end by writing.
  const isDropped = (): boolean => {
    if (!flooder.isClosed) flooder.ws.ping()
    return flooder.isClosed
  }
  await until('the flooder is dropped', isDropped, 20_000)
  assert.equal((await flooder.closed).code, 1006)
  await settle(other, chair)
  assert.equal((await plenum.get('/__meetingstatus')).status, 200)
})

test('a client that drowns in errors and goes leaves no ghost in the list', async () => {
  const meeting = await gather(db.sql, plenum, 2)
  const [chair, flooder] = await meeting.enterAll(0, 1)
  flooder.ws.pause()
  for (let n = 0; n < 20_000; n++) flooder.send('no JSON')
  flooder.ws.terminate()
  assert.equal((await chair.next('removeuser')).data.id, meeting.user(1))
  await chair.line(`Member ${meeting.name(1)} left the meeting`)
  const status = await meetingStatus(plenum, meeting.id)
  assert.deepEqual(
    status?.members.map(({ uid }) => uid),
    [meeting.user(0)],
  )
})

test('an origin is compared as an origin, not letter by letter', async () => {
  const meeting = await gather(db.sql, plenum, 1)
  const allowed = [
    'https://www.domain.com',
    'https://WWW.Domain.COM',
    'https://www.domain.com:443',
    'http://localhost',
    'http://localhost:80',
  ]
  for (const origin of allowed) await (await meeting.enter(0, { headers: { origin } })).close()
  await (await meeting.enter(0)).close()
  const foreign = [
    'http://www.domain.com',
    'https://domain.com',
    'https://www.domain.com:8443',
    'https://www.domain.com.example.org',
    'http://localhost:8080',
    'null',
  ]
  for (const origin of foreign)
    await assert.rejects(meeting.connect(0, { headers: { origin } }), new UpgradeRefused(403), origin)
})

test('the address that is shown is what our own proxy wrote, not what the client claims', async () => {
  const meeting = await gather(db.sql, plenum, 4)
  const claims = [
    '198.51.100.7',
    '10.9.9.9, 198.51.100.8',
    `${'claimed, '.repeat(400)}198.51.100.9`,
    `10.9.9.9, ${'z'.repeat(5000)}`,
  ]
  for (const [index, claim] of claims.entries())
    await meeting.enter(index, { headers: { 'x-forwarded-for': claim } })
  const status = await meetingStatus(plenum, meeting.id)
  assert.deepEqual(
    status?.members.map(({ remote }) => remote),
    ['198.51.100.7', '198.51.100.8', '198.51.100.9', '127.0.0.1'],
  )
})

test('a member cannot post the lines that bound the official record', async () => {
  const meeting = await gather(db.sql, plenum, 2)
  const [chair, member] = await meeting.enterAll(0, 1)
  const attempt = async () => {
    for (const text of reserved)
      for (const disguise of [text, ` ${text} `, text.toUpperCase(), text.replaceAll(' ', ' \u00a0\t')]) {
        member.say(disguise)
        assert.equal((await member.next('error')).msg, 'This text is reserved for the meeting record')
      }
  }
  assert.deepEqual(await toldDuring(chair, chair, attempt), [])
  chair.send({ type: 'open' })
  chair.send({ type: 'finish' })
  await member.line('This meeting is now finished')
  assert.deepEqual(await toldDuring(chair, chair, attempt), [])
  const marks = (await meeting.record()).filter(({ text }) => reserved.includes(text))
  assert.deepEqual(
    marks.map(({ text, sender }) => ({ text, sender })),
    reserved.map((text) => ({ text, sender: null })),
  )
})

test('who is an admin follows the site while people are in the meeting', async () => {
  const meeting = await gather(db.sql, plenum, 2, { state: 1, allowrejoin: true })
  const [former, next] = await meeting.enterAll(0, 1)
  former.send(poll)
  const isPoll = ({ data }: FrameOf<'poll'>) => data !== null
  const asAdmin = (frame: FrameOf<'poll'>) => isPoll(frame) && frame.data?.voted !== null
  const asMember = (frame: FrameOf<'poll'>) => isPoll(frame) && frame.data?.voted === null
  await former.next('poll', asAdmin)
  await next.next('poll', asMember)
  await db.sql`
    update membership_meeting_meetingadmins set member_id = ${meeting.user(1)} where meeting_id = ${meeting.id}`
  await former.next('poll', asMember)
  await next.next('poll', asAdmin)
  former.send({ type: 'finish' })
  assert.equal((await former.next('error')).msg, 'Permission denied')
  assert.equal(await meeting.state(), 1)
  next.send({ type: 'finish' })
  await former.line('This meeting is now finished')
})

test('an admin who was kicked without return is out like anybody', async () => {
  const meeting = await gather(db.sql, plenum, 2, { admins: 2 })
  const [chair, second] = await meeting.enterAll(0, 1)
  chair.send({ type: 'kick', user: meeting.user(1), canrejoin: false })
  assert.equal(await farewell(second), 'You have been forcibly disconnected from this meeting')
  const again = await meeting.connect(1, elsewhere())
  assert.equal(await farewell(again), 'You are not allowed to enter this meeting')
})

test('nobody can kick himself', async () => {
  const meeting = await gather(db.sql, plenum, 2)
  const [chair, other] = await meeting.enterAll(0, 1)
  const told = await toldDuring(chair, other, async () => {
    for (const canrejoin of [true, false]) {
      chair.send({ type: 'kick', user: meeting.user(0), canrejoin })
      await chair.next('error')
    }
  })
  assert.deepEqual(told, [])
})

test('no key is ever logged', async () => {
  const meeting = await gather(db.sql, plenum, 2, { state: 1 })
  const chair = await meeting.enter(0)
  const strange = newKey()
  await farewell(await meeting.connect(1, elsewhere()))
  await farewell(await join(plenum, meeting.id, strange, elsewhere()))
  await assert.rejects(connect(plenum, `/ws/meeting/${meeting.id}/${meeting.key(1)}x/0`))
  await assert.rejects(meeting.connect(1, { headers: { origin: 'https://example.org' } }))
  chair.send('no JSON')
  chair.send('x'.repeat(70_000))
  await until('too large a frame ends the connection', () => chair.isClosed)
  await meeting.enter(0)
  await plenum.logged(({ event, meeting: id }) => event === 'refused' && id === meeting.id)
  const keys = await db.sql<{ key: string }[]>`select key from membership_membermeetingkey`
  const logged = plenums.flatMap(({ stdout, stderr }) => [...stdout, ...stderr]).join('\n')
  for (const key of [strange, ...keys.map(({ key }) => key)])
    assert.ok(!logged.includes(key) && !logged.includes(encodeURIComponent(key)))
})
