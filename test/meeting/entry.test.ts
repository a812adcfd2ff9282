import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect as connectTcp } from 'node:net'
import { after, suite, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { createAssociation, createDatabase, createMeeting } from '../support/database.ts'
import { farewell, gather, linesOf, settle, toldDuring } from '../support/meeting-fixture.ts'
import type { MeetingFixture, MeetingFixtureOptions } from '../support/meeting-fixture.ts'
import { holdTransaction } from '../support/held-transaction.ts'
import type { HeldTransaction } from '../support/held-transaction.ts'
import { connect, join, UpgradeRefused } from '../support/meeting-client.ts'
import type { Frame, JoinOptions, Line, Member } from '../support/meeting-client.ts'
import { clientFrame, upgradeRequest } from '../support/raw-connection.ts'
import { startPlenum } from '../support/server.ts'
import type { Plenum } from '../support/server.ts'
import { meetingStatus, serverStatus } from '../support/status.ts'
import { until } from '../support/until.ts'
import { patience } from '../support/patience.ts'

const notAllowed = 'You are not allowed to enter this meeting'
const finished = 'This meeting is already finished and can no longer be joined.'
const inProgress = 'This meeting is already in progress and can no longer be joined.'
const takenOver = 'You have connected from a different session. This session is disconnected.'

// The site's tables are looked at once, at the start, so that no look comes in between what a test does to them.
const seldom = { poll: 600 }

const db = await createDatabase()
const plenum = await startPlenum({
  ...seldom,
  database: db.url,
  grace: 1,
  flags: ['-rate', '0', '-behindproxy'],
  env: { TZ: 'America/New_York' },
})

// What the first one leaves at its default, and the other way round.
const otherDb = await createDatabase()
const otherPlenum = await startPlenum({
  ...seldom,
  database: otherDb.url,
  grace: 1,
  origin: 'https://www.domain.example/, http://other.example:8080/some/path',
  flags: ['-joinwindow', '30', '-ping', '1', '-timezone', 'Asia/Kathmandu'],
})

after(async () => {
  await Promise.all([plenum.stop(), otherPlenum.stop()])
  await Promise.all([db.drop(), otherDb.drop()])
})

const inMeeting = (size: number, options?: MeetingFixtureOptions): Promise<MeetingFixture> =>
  gather(db.sql, plenum, size, options)
const inOtherMeeting = (size: number, options?: MeetingFixtureOptions): Promise<MeetingFixture> =>
  gather(otherDb.sql, otherPlenum, size, options)

let addresses = 0
/** The server slows down addresses from which many entries fail: so each of ours comes from another one. */
const fromNewAddress = (): JoinOptions => ({ headers: { 'x-forwarded-for': `192.0.2.${++addresses}` } })

/** The text with which an entry is refused. Nothing else comes. */
async function refusalOf(meeting: MeetingFixture, index: number): Promise<string> {
  const refused = await meeting.connect(index, fromNewAddress())
  const text = await farewell(refused)
  assert.deepEqual(
    refused.frames.map(({ type }) => type),
    ['disconnect'],
  )
  return text
}

const newKey = (): string => `${'k'.repeat(46)}${String(++addresses).padStart(8, '0')}`
const joined = (meeting: MeetingFixture, index: number): string =>
  `Member ${meeting.name(index)} joined the meeting`
const rejoined = (meeting: MeetingFixture, index: number): string =>
  `Member ${meeting.name(index)} re-joined the meeting`
const left = (meeting: MeetingFixture, index: number): string =>
  `Member ${meeting.name(index)} left the meeting`

const ban = (meeting: MeetingFixture, index: number): Promise<unknown> => db.sql`
  insert into plenum.ban (meeting_id, member_id, banned_by)
  values (${meeting.id}, ${meeting.user(index)}, ${meeting.user(0)})`

async function keyRow(
  meeting: MeetingFixture,
  index: number,
): Promise<{ key: string; allowrejoin: boolean }> {
  const [row] = await db.sql<{ key: string; allowrejoin: boolean }[]>`
    select key, allowrejoin from membership_membermeetingkey where id = ${meeting.keyId(index)}`
  return row!
}

/** Makes the server wait where it uses these tables. */
const lock = (tables: string, mode = 'access exclusive'): Promise<HeldTransaction> =>
  holdTransaction(db.url, (tx) => tx.unsafe(`lock table ${tables} in ${mode} mode`))

const typesOf = (frames: Frame[]): string[] => frames.map(({ type }) => type)

// Who may enter

test('an unknown meeting, an unknown key, the key of another meeting and an IRC meeting are refused alike', async () => {
  const meeting = await inMeeting(1)
  const other = await inMeeting(1)
  const irc = await inMeeting(1, { meetingtype: 0 })
  const answers: unknown[] = []
  for (const [id, key] of [
    [999_999, meeting.key(0)],
    ['99999999999999999999', meeting.key(0)],
    [meeting.id, newKey()],
    [meeting.id, other.key(0)],
    [irc.id, irc.key(0)],
  ] as const) {
    const refused = await join(plenum, id, key, fromNewAddress())
    await farewell(refused)
    answers.push(
      refused.frames.map((frame) =>
        frame.type === 'disconnect' ? { ...frame, data: { ...frame.data, time: '', date: '' } } : frame,
      ),
    )
  }
  const data = { id: -1, time: '', date: '', from: -1, fromname: '', color: 'sys', message: notAllowed }
  assert.equal(answers.length, 5)
  for (const answer of answers) assert.deepEqual(answer, [{ type: 'disconnect', data }])
})

for (const [state, name] of ['pending', 'open', 'finished', 'closed'].entries())
  test(`who is banned is refused while the meeting is ${name}, admin or not`, async () => {
    const meeting = await inMeeting(2, { state: state as 0 | 1 | 2 | 3, allowrejoin: true })
    await ban(meeting, 0)
    await ban(meeting, 1)
    assert.deepEqual([await refusalOf(meeting, 0), await refusalOf(meeting, 1)], [notAllowed, notAllowed])
  })

test('who was kicked without return before the opening is refused before and after it', async () => {
  const meeting = await inMeeting(2)
  const [chair, member] = await meeting.enterAll(0, 1)
  chair.send({ type: 'kick', user: meeting.user(1), canrejoin: false })
  await farewell(member)
  const before = await refusalOf(meeting, 1)
  chair.send({ type: 'open' })
  await chair.next('status', ({ data }) => data.isopen)
  assert.deepEqual([before, await refusalOf(meeting, 1)], [notAllowed, notAllowed])
})

test('an admin who was kicked without return is refused like anybody', async () => {
  const meeting = await inMeeting(2, { admins: 2 })
  const [chair, admin] = await meeting.enterAll(0, 1)
  chair.send({ type: 'kick', user: meeting.user(1), canrejoin: false })
  await farewell(admin)
  assert.equal(await refusalOf(meeting, 1), notAllowed)
})

test('a closed meeting is refused to everyone', async () => {
  const meeting = await inMeeting(2, { state: 3, allowrejoin: true })
  assert.deepEqual([await refusalOf(meeting, 0), await refusalOf(meeting, 1)], [finished, finished])
})

test('a finished meeting is refused to members, and open to admins', async () => {
  const meeting = await inMeeting(2, { state: 2, allowrejoin: true })
  const admin = await meeting.enter(0)
  assert.equal(await refusalOf(meeting, 1), finished)
  await settle(admin)
})

test('a meeting that is finished while people are in it is refused to members who left', async () => {
  const meeting = await inMeeting(2, { state: 1, allowrejoin: true })
  const [chair, member] = await meeting.enterAll(0, 1)
  await member.close()
  await chair.next('removeuser')
  chair.send({ type: 'finish' })
  await chair.next('status', ({ data }) => data.isfinished)
  assert.equal(await refusalOf(meeting, 1), finished)
})

test('an open meeting is refused to members whose allowrejoin is false, and to no others', async () => {
  const members = await createAssociation(db.sql, 3)
  const [admin, known, late] = members as [(typeof members)[0], (typeof members)[0], (typeof members)[0]]
  const { id, keys } = await createMeeting(db.sql, {
    members,
    admins: [admin],
    state: 1,
    allowrejoin: [known],
  })
  for (const allowed of [admin, known]) {
    const member = await join(plenum, id, keys.get(allowed.id))
    await member.line(`Member ${allowed.name} joined the meeting`)
  }
  const refused = await join(plenum, id, keys.get(late.id), fromNewAddress())
  assert.equal(await farewell(refused), inProgress)
})

test('a meeting may be entered long before and long after its time', async () => {
  for (const days of [60, -60]) {
    const meeting = await inMeeting(2, { dateandtime: new Date(Date.now() + days * 86_400_000) })
    const member = await meeting.enter(1)
    await member.line(joined(meeting, 1))
  }
})

test('-joinwindow keeps members out until so many minutes before the time, and admins not', async () => {
  const minutesAhead = (minutes: number): MeetingFixtureOptions => ({
    dateandtime: new Date(Date.now() + minutes * 60_000),
  })
  const tooEarly = await inOtherMeeting(2, minutesAhead(40))
  assert.equal(await refusalOf(tooEarly, 1), 'This meeting cannot be entered yet.')
  const admin = await tooEarly.enter(0)
  await admin.line(joined(tooEarly, 0))
  for (const minutes of [20, -600]) {
    const meeting = await inOtherMeeting(2, minutesAhead(minutes))
    const member = await meeting.enter(1)
    await member.line(joined(meeting, 1))
  }
})

// What a refused connection leaves behind

test('a refused entry is invisible to the others, to the record and to the tables', async () => {
  const meeting = await inMeeting(4, { admins: 1 })
  const [chair, watcher] = await meeting.enterAll(0, 1)
  await ban(meeting, 2)
  chair.send({ type: 'open' })
  await chair.next('status', ({ data }) => data.isopen)

  const seen = await toldDuring(chair, watcher, async () => {
    await refusalOf(meeting, 2)
    await refusalOf(meeting, 3)
    await farewell(await join(plenum, meeting.id, newKey(), fromNewAddress()))
  })
  assert.deepEqual(seen, [])
  assert.deepEqual(await meeting.texts(), [
    joined(meeting, 0),
    joined(meeting, 1),
    'This meeting is now open',
    'Anything sent from now on will be part of the permanent record',
  ])
  assert.equal((await keyRow(meeting, 3)).allowrejoin, false)
  const attended = await db.sql<{ member: number }[]>`
    select member_id member from plenum.attendance where meeting_id = ${meeting.id} order by 1`
  assert.deepEqual(
    attended.map(({ member }) => member),
    [meeting.user(0), meeting.user(1)],
  )
})

test('a refused entry gives a meeting no room', async () => {
  const meeting = await inMeeting(1)
  await farewell(await join(plenum, meeting.id, newKey(), fromNewAddress()))
  await farewell(await join(plenum, 888_888, newKey(), fromNewAddress()))
  const { meetings } = await serverStatus(plenum)
  assert.deepEqual(
    meetings.filter(({ id }) => id === meeting.id || id === 888_888),
    [],
  )
})

test('what strangers, banned and late members send before their refusal is neither done nor answered', async () => {
  const meeting = await inMeeting(4)
  const [chair, watcher] = await meeting.enterAll(0, 1)
  await ban(meeting, 2)
  chair.send({ type: 'open' })
  await chair.next('status', ({ data }) => data.isopen)
  const poll = { type: 'newpoll', question: 'Q?', answers: ['a', 'b'], minutes: 1 }
  chair.send(poll)
  await watcher.next('poll', ({ data }) => data !== null)

  const told = await toldDuring(chair, watcher, async () => {
    const keys = await lock('membership_membermeetingkey')
    const intruders = [
      await join(plenum, meeting.id, newKey(), fromNewAddress()),
      await meeting.connect(2, fromNewAddress()),
      await meeting.connect(3, fromNewAddress()),
    ]
    for (const intruder of intruders) {
      intruder.say('I am here')
      intruder.send({ type: 'vote', question: 'Q?', vote: 0 })
      intruder.send({ type: 'abortpoll' })
      intruder.send({ type: 'kick', user: meeting.user(1), canrejoin: true })
      intruder.send({ type: 'finish' })
      await intruder.caughtUp()
    }
    await keys.rollback()
    for (const intruder of intruders) {
      await farewell(intruder)
      assert.deepEqual(typesOf(intruder.frames), ['disconnect'])
    }
  })
  assert.deepEqual(told, [])
  assert.equal(await meeting.state(), 1)
})

test('not even what is wrong with a frame is told before admission', async () => {
  const meeting = await inMeeting(1)
  const keys = await lock('membership_membermeetingkey')
  const stranger = await join(plenum, meeting.id, newKey(), fromNewAddress())
  const member = await meeting.connect(0)
  for (const one of [stranger, member]) {
    one.send('no JSON')
    one.send(Buffer.from('binary'))
    one.send({ type: 'unheard of' })
    await one.caughtUp()
  }
  const early = [...stranger.frames, ...member.frames]
  await keys.rollback()
  await farewell(stranger)
  await member.line(joined(meeting, 0))
  assert.deepEqual(typesOf(early), [])
  assert.deepEqual(typesOf(stranger.frames), ['disconnect'])
})

// Frames that come early

test('frames that come before admission wait, at most 16, and are then done in their order', async () => {
  const meeting = await inMeeting(1)
  const keys = await lock('membership_membermeetingkey')
  const member = await meeting.connect(0)
  const texts = Array.from({ length: 20 }, (_, index) => `early ${index}`)
  for (const text of texts) member.say(text)
  await member.caughtUp()
  await keys.rollback()
  await member.line('early 15')
  await settle(member)
  assert.deepEqual(await meeting.texts(), [joined(meeting, 0), ...texts.slice(0, 16)])
})

test('a frame that comes in one packet with the upgrade request is done', async () => {
  const meeting = await inMeeting(2)
  const watcher = await meeting.enter(0)
  const path = `/ws/meeting/${meeting.id}/${meeting.key(1)}/0`
  const frame = clientFrame({ type: 'message', message: 'at once' })
  const socket = connectTcp(plenum.port, '127.0.0.1')
  socket.write(Buffer.concat([upgradeRequest(path), frame]))
  const line = await watcher.line('at once')
  assert.equal(line.from, meeting.user(1))
  socket.destroy()
})

// Entry

test('on entry allowrejoin becomes true, of the one who enters only', async () => {
  const meeting = await inMeeting(2)
  const member = await meeting.enter(1)
  await member.line(joined(meeting, 1))
  assert.deepEqual(
    [(await keyRow(meeting, 0)).allowrejoin, (await keyRow(meeting, 1)).allowrejoin],
    [false, true],
  )
})

test('who enters gets users, status, poll, messages and then his join line; the others adduser and the line', async () => {
  const meeting = await inMeeting(2)
  const [first] = await meeting.enterAll(0)
  const told = await toldDuring(first, first, async () => {
    const second = await meeting.enter(1)
    const line = await second.line(joined(meeting, 1))
    assert.deepEqual(typesOf(second.frames), ['users', 'status', 'poll', 'messages', 'message'])
    assert.deepEqual(second.frames.at(-1), { type: 'message', data: line })
  })
  const color = String(meeting.keyId(1) % 10)
  assert.deepEqual(told[0], { type: 'adduser', data: { name: meeting.name(1), color, id: meeting.user(1) } })
  assert.deepEqual(typesOf(told), ['adduser', 'message'])
  assert.deepEqual(
    linesOf(told).map(({ message }) => message),
    [joined(meeting, 1)],
  )
})

test('the server sends text frames', async () => {
  const meeting = await inMeeting(1)
  const member = await meeting.connect(0)
  let binary = 0
  member.ws.on('message', (_data, isBinary) => (binary += Number(isBinary)))
  await member.next('messages')
  await settle(member)
  assert.equal(binary, 0)
})

test('who is alone gets a list of himself and an empty history', async () => {
  const meeting = await inMeeting(1)
  const member = await meeting.enter(0)
  const color = String(meeting.keyId(0) % 10)
  assert.deepEqual(member.frames.slice(0, 4), [
    { type: 'users', data: { users: [{ name: meeting.name(0), color, id: meeting.user(0) }] } },
    { type: 'status', data: { isopen: false, isfinished: false } },
    { type: 'poll', data: null },
    { type: 'messages', data: [] },
  ])
})

test('users lists everyone in the order of their coming, also who is away for less than the grace time', async () => {
  const meeting = await inMeeting(4)
  const [, away] = await meeting.enterAll(2, 0, 1)
  await away.reset()
  await until('his absence is noticed', async () => {
    const status = await meetingStatus(plenum, meeting.id)
    return status?.disconnectedmembers.length === 1
  })
  const last = await meeting.enter(3)
  const { data } = await last.next('users')
  assert.deepEqual(
    data.users.map(({ id }) => id),
    [2, 0, 1, 3].map((index) => meeting.user(index)),
  )
})

for (const [state, data] of [
  { isopen: false, isfinished: false },
  { isopen: true, isfinished: false },
  { isopen: false, isfinished: true },
].entries())
  test(`status at entry in state ${state} is ${JSON.stringify(data)}`, async () => {
    const meeting = await inMeeting(1, { state: state as 0 | 1 | 2 })
    const chair = await meeting.enter(0)
    assert.deepEqual((await chair.next('status')).data, data)
  })

test('with a poll under way its null comes first, and only admins get who has voted', async () => {
  const meeting = await inMeeting(4, { admins: 2, state: 1, allowrejoin: true })
  const [chair] = await meeting.enterAll(0, 2)
  chair.send({ type: 'newpoll', question: 'Agreed?', answers: ['yes', 'no'], minutes: 2 })
  chair.send({ type: 'vote', question: 'Agreed?', vote: 1 })
  await chair.line(`${meeting.name(0)} voted no`)

  const sum = { question: 'Agreed?', answers: ['yes', 'no'], tally: [0, 1] }
  for (const [index, voted] of [
    [1, [meeting.user(0)]],
    [3, null],
  ] as const) {
    const late = await meeting.enter(index)
    assert.deepEqual(typesOf(late.frames).slice(0, 5), ['users', 'status', 'poll', 'poll', 'messages'])
    assert.deepEqual(late.frames.slice(2, 4), [
      { type: 'poll', data: null },
      { type: 'poll', data: { ...sum, voted } },
    ])
  }
})

// History

async function withHistory(): Promise<{ meeting: MeetingFixture; chair: Member; lines: Line[] }> {
  const meeting = await inMeeting(2)
  const chair = await meeting.enter(0)
  for (const text of ['one', 'two', 'three']) chair.say(text)
  await chair.line('three')
  return { meeting, chair, lines: chair.lines() }
}

function historyOf(member: Member): Line[] {
  const frame = member.frames.find(({ type }) => type === 'messages')
  return frame?.type === 'messages' ? frame.data : assert.fail('no history')
}

async function historyAfter(meeting: MeetingFixture, first: number | string): Promise<Line[]> {
  return historyOf(await meeting.enter(1, { first }))
}

test('first 0 gives the whole history', async () => {
  const { meeting, lines } = await withHistory()
  assert.deepEqual(await historyAfter(meeting, 0), lines)
})

test('first names the highest id that the client has: that line is not sent again, the next one is', async () => {
  const { meeting, lines } = await withHistory()
  assert.deepEqual(await historyAfter(meeting, lines[1]!.id), lines.slice(2))
})

test('first may name a line of another meeting or one that is no more', async () => {
  const { meeting, lines } = await withHistory()
  assert.deepEqual(await historyAfter(meeting, lines[0]!.id - 1), lines)
})

test('first as the id of the last line gives an empty history', async () => {
  const { meeting, lines } = await withHistory()
  assert.deepEqual(await historyAfter(meeting, lines.at(-1)!.id), [])
})

for (const [what, first] of [
  ['beyond the last line', '2147483647'],
  ['beyond what an id can be', '2147483648'],
  ['of 20 digits', '99999999999999999999'],
] as const)
  test(`a first ${what} gives an empty history and then what is said from now on`, async () => {
    const { meeting } = await withHistory()
    const member = await meeting.enter(1, { first })
    await settle(member)
    assert.deepEqual(historyOf(member), [])
    assert.equal(member.texts()[0], joined(meeting, 1))
  })

test('first may have leading zeros', async () => {
  const { meeting, lines } = await withHistory()
  const id = String(lines[1]!.id).padStart(20, '0')
  assert.deepEqual(await historyAfter(meeting, id), lines.slice(2))
})

test('the history is that of the meeting only', async () => {
  const elsewhere = await inMeeting(1)
  const stranger = await elsewhere.enter(0)
  const { meeting, chair } = await withHistory()
  await settle(stranger)
  await settle(chair)
  const texts = (await historyAfter(meeting, 0)).map(({ message }) => message)
  assert.deepEqual(texts.slice(0, 4), [joined(meeting, 0), 'one', 'two', 'three'])
  assert.equal(texts.length, 5, 'and the mark of `settle`')
})

test('between history and live there is no gap and no repeat, however much the others talk', async () => {
  const meeting = await inMeeting(6, { state: 1, allowrejoin: true })
  const talkers = await meeting.enterAll(0, 1)
  let talking = true
  const talks = talkers.map(async (talker) => {
    for (let n = 0; talking; n++) {
      talker.say(`line ${n}`)
      if (n % 3 === 0) await wait(1)
    }
  })
  const listeners = [2, 3, 4, 5].map(async (index) => {
    const connections: Member[] = []
    const ids = (): number[] => connections.flatMap((one) => one.lines().map(({ id }) => id))
    for (let entry = 0; entry < 4; entry++) {
      await connections.at(-1)?.reset(entry % 2 === 0 ? 'fin' : 'rst')
      const enough = ids().length + 20
      connections.push(await meeting.enter(index, { first: Math.max(0, ...ids()) }))
      await until('many lines', () => ids().length >= enough)
    }
    return { ids, last: connections.at(-1)! }
  })
  const heard = await Promise.all(listeners)
  talking = false
  await Promise.all(talks)
  await settle(talkers[0], talkers[1], ...heard.map(({ last }) => last))
  const record = (await meeting.record()).map(({ id }) => id)
  for (const { ids } of heard) assert.deepEqual(ids(), record)
  for (const talker of talkers) {
    const ids = talker.lines().map(({ id }) => id)
    assert.deepEqual(ids, record.slice(record.indexOf(ids[0]!)))
  }
})

// Taking over

test('a second entry takes over: the first one is told and ended, and the others see nobody come or go', async () => {
  const meeting = await inMeeting(2)
  const [chair, older] = await meeting.enterAll(0, 1)
  const told = await toldDuring(chair, chair, async () => {
    const newer = await meeting.enter(1)
    assert.equal(await farewell(older), takenOver)
    const { data } = await newer.next('users')
    assert.deepEqual(
      data.users.map(({ id }) => id),
      [meeting.user(0), meeting.user(1)],
    )
    newer.say('it is me')
    await newer.line('it is me')
  })
  assert.deepEqual(typesOf(told), ['message', 'message'])
  assert.deepEqual(
    linesOf(told).map(({ message }) => message),
    [rejoined(meeting, 1), 'it is me'],
  )
  assert.ok(!older.texts().includes(rejoined(meeting, 1)), 'the older session is gone before the line')
})

test('the end of a connection that was taken over is no departure, not even after the grace time', async () => {
  const meeting = await inMeeting(3)
  const [chair, , third] = await meeting.enterAll(0, 1, 2)
  const newer = await meeting.enter(1)
  await newer.line(rejoined(meeting, 1))
  // His grace time begins after the older connection's end, so that his departure shows that the time is over.
  await third.reset()
  const { data } = await chair.next('removeuser')
  assert.equal(data.id, meeting.user(2))
  await settle(newer, chair)
  assert.deepEqual(
    (await meeting.texts()).filter((text) => text.endsWith('left the meeting')),
    [left(meeting, 2)],
  )
})

test('an entry with a key that was changed takes over, and the old key is worth nothing', async () => {
  const meeting = await inMeeting(2)
  const [chair, older] = await meeting.enterAll(0, 1)
  const key = newKey()
  await db.sql`update membership_membermeetingkey set key = ${key} where id = ${meeting.keyId(1)}`
  const told = await toldDuring(chair, chair, async () => {
    const newer = await join(plenum, meeting.id, key)
    await newer.line(rejoined(meeting, 1))
    assert.equal(await farewell(older), takenOver)
    assert.equal(await refusalOf(meeting, 1), notAllowed)
    newer.say('still here')
    await newer.line('still here')
  })
  assert.deepEqual(typesOf(told), ['message', 'message'])
})

test('of many entries of one member at once the last stays, and he is listed once', async () => {
  const meeting = await inMeeting(2)
  const chair = await meeting.enter(0)
  const keys = await lock('membership_membermeetingkey')
  const sessions: Member[] = []
  for (let n = 0; n < 5; n++) {
    const session = await meeting.connect(1)
    await session.caughtUp()
    sessions.push(session)
  }
  await keys.rollback()
  const last = sessions.pop()!
  for (const session of sessions) assert.equal(await farewell(session), takenOver)
  await settle(last, chair)
  const others = typesOf(chair.frames).filter((type) => type === 'adduser' || type === 'removeuser')
  assert.deepEqual(others, ['adduser'])
  const status = await meetingStatus(plenum, meeting.id)
  assert.deepEqual(
    status?.members.map(({ uid }) => uid),
    [meeting.user(0), meeting.user(1)],
  )
})

test('a refused second entry leaves the first one in', async () => {
  const meeting = await inMeeting(2, { state: 1, allowrejoin: true })
  const [chair, member] = await meeting.enterAll(0, 1)
  chair.send({ type: 'finish' })
  await member.next('status', ({ data }) => data.isfinished)
  const told = await toldDuring(chair, chair, async () => {
    assert.equal(await refusalOf(meeting, 1), finished)
  })
  assert.deepEqual(told, [])
  await settle(member, chair)
})

// Who is who

test("people are named by their member's id in every message, live and in history", async () => {
  const meeting = await inMeeting(3, { admins: 2, state: 1, allowrejoin: true })
  const chair = await meeting.enter(0)
  const told = await toldDuring(chair, chair, async () => {
    const member = await meeting.enter(2)
    member.say('hello')
    chair.send({ type: 'newpoll', question: 'Q', answers: ['a', 'b'], minutes: 1 })
    await chair.next('poll', ({ data }) => data !== null)
    member.send({ type: 'vote', question: 'Q', vote: 0 })
    await chair.next('poll', ({ data }) => data?.tally[0] === 1)
    chair.send({ type: 'kick', user: meeting.user(2), canrejoin: true })
    await farewell(member)
  })
  const id = meeting.user(2)
  const named: Record<string, number | undefined> = {}
  for (const frame of told)
    if (frame.type === 'adduser' || frame.type === 'removeuser') named[frame.type] = frame.data.id
    else if (frame.type === 'message' && frame.data.from !== -1) named['message'] = frame.data.from
    else if (frame.type === 'poll' && frame.data?.voted?.length === 1) named['poll'] = frame.data.voted[0]
  assert.deepEqual(named, { adduser: id, message: id, poll: id, removeuser: id })
  const other = await meeting.enter(1)
  const history = historyOf(other)
  assert.deepEqual(
    history.filter(({ message }) => message === 'hello').map(({ from, fromname }) => [from, fromname]),
    [[id, meeting.name(2)]],
  )
  assert.deepEqual(
    (await other.next('users')).data.users.map(({ id }) => id),
    [meeting.user(0), meeting.user(1)],
  )
})

test("a member's color is the last digit of his key's id: live, in history, in lists and after re-entry", async () => {
  const meeting = await inMeeting(2)
  const chair = await meeting.enter(0)
  const colors: Record<string, string> = {}
  for (const visit of ['first', 'second']) {
    const member = await meeting.enter(1)
    const own = (await member.next('users')).data.users.find(({ id }) => id === meeting.user(1))
    colors[`users, ${visit}`] = own?.color ?? 'not listed'
    colors[`adduser, ${visit}`] = (await chair.next('adduser')).data.color
    member.say(visit)
    colors[`live, ${visit}`] = (await chair.line(visit)).color
    await member.close()
    colors[`removeuser, ${visit}`] = (await chair.next('removeuser')).data.color
  }
  const late = await meeting.enter(1)
  for (const { message, from, color } of historyOf(late))
    if (from === meeting.user(1)) colors[`history, ${message}`] = color
  assert.equal(Object.keys(colors).length, 10)
  assert.deepEqual(new Set(Object.values(colors)), new Set([String(meeting.keyId(1) % 10)]))
})

test('the color of what the system says is sys, live and in history', async () => {
  const meeting = await inMeeting(2)
  const chair = await meeting.enter(0)
  const live = await chair.line(joined(meeting, 0))
  const member = await meeting.enter(1)
  const history = historyOf(member)
  assert.deepEqual([live.color, history[0]?.color], ['sys', 'sys'])
})

// Many at once

test('many who come at once are told by one users frame', async () => {
  const meeting = await inMeeting(12)
  const chair = await meeting.enter(0)
  const told = await toldDuring(chair, chair, async () => {
    const keys = await lock('membership_membermeetingkey')
    const crowd = await Promise.all(meeting.members.slice(1).map((_, index) => meeting.connect(index + 1)))
    await Promise.all(crowd.map((member) => member.caughtUp()))
    await keys.rollback()
    for (const member of crowd) await member.next('messages')
  })
  const lists = told.filter(({ type }) => type !== 'message')
  // A lone command waits for no company: so a few may be looked up before the others, or after them.
  assert.ok(lists.length <= 4, `told in ${typesOf(lists).join(', ')}`)
  assert.ok(lists.some(({ type }) => type === 'users'))
  const known = lists.reduce<number[]>((ids, frame) => {
    if (frame.type === 'users') return frame.data.users.map(({ id }) => id)
    return frame.type === 'adduser' ? [...ids, frame.data.id] : ids
  }, [])
  assert.deepEqual(new Set(known), new Set(meeting.members.map(({ id }) => id)))
  assert.equal(linesOf(told).length, 11, 'each has his line all the same')
})

test('a few who come at once into a large meeting are told one by one', async () => {
  const meeting = await inMeeting(44)
  const chair = await meeting.enter(0)
  for (let index = 1; index < 40; index++) await meeting.enter(index)
  const told = await toldDuring(chair, chair, async () => {
    const keys = await lock('membership_membermeetingkey')
    const crowd = await Promise.all([40, 41, 42, 43].map((index) => meeting.connect(index)))
    await Promise.all(crowd.map((member) => member.caughtUp()))
    await keys.rollback()
    for (const member of crowd) await member.next('messages')
  })
  assert.deepEqual(typesOf(told).sort(), [
    ...Array.from({ length: 4 }, () => 'adduser'),
    ...Array.from({ length: 4 }, () => 'message'),
  ])
})

test('who waits to enter a meeting holds nobody up elsewhere', async () => {
  const [stuck, other] = [await inMeeting(4), await inMeeting(2)]
  const chair = await stuck.enter(0)
  const waiting: Member[] = []
  await db.sql.begin(async (tx) => {
    await tx`select from membership_meeting where id = ${stuck.id} for update`
    waiting.push(await stuck.connect(1), await stuck.connect(2))
    await other.enter(0)
    waiting.push(await stuck.connect(3))
    await other.enter(1)
    for (const member of waiting) assert.deepEqual(member.frames, [])
  })
  for (const member of waiting) await member.next('messages')
  await chair.line(joined(stuck, 3))
})

test('many who go at once are told by one users frame', async () => {
  const meeting = await inMeeting(12)
  const chair = await meeting.enter(0)
  const crowd: Member[] = []
  for (let index = 1; index < 12; index++) crowd.push(await meeting.enter(index))
  const told = await toldDuring(chair, chair, async () => {
    const record = await lock('membership_meetingmessagelog', 'share')
    for (const member of crowd) await member.close()
    // Two answers later the server has seen the ends of connections that came before the questions.
    for (let n = 0; n < 2; n++) await plenum.get('/livez')
    await record.rollback()
    for (let index = 1; index < 12; index++) await chair.line(left(meeting, index))
  })
  const lists = told.filter(({ type }) => type !== 'message')
  assert.ok(lists.length <= 3, `told in ${typesOf(lists).join(', ')}`)
  const last = lists.at(-1)
  assert.equal(last?.type, 'users')
  assert.deepEqual(
    last.data.users.map(({ id }) => id),
    [meeting.user(0)],
  )
})

// Guessing

test('after ten failed entries in a minute an address gets its refusals a second late, others and good keys not', async () => {
  const meeting = await inMeeting(3)
  const guesser = fromNewAddress()
  const guess = async (options = guesser): Promise<number> => {
    const asked = performance.now()
    const text = await farewell(await join(plenum, meeting.id, newKey(), options))
    assert.equal(text, notAllowed)
    return performance.now() - asked
  }
  let firstTen = 0
  for (let n = 0; n < 10; n++) firstTen += await guess()
  assert.ok(firstTen < patience(5000), `the first ten took ${firstTen} ms, so they were delayed`)

  let answered = false
  const late = Promise.all([guess(), guess()]).finally(() => (answered = true))
  const member = await meeting.enter(1, guesser)
  await guess(fromNewAddress())
  assert.equal(answered, false, 'a good key and another address do not wait')
  for (const time of await late) assert.ok(time > 900, `a refusal came after ${time} ms`)
  await settle(member)
})

// HTTP

test('a malformed path is 404 before the database is asked, with and without upgrade', async () => {
  const meeting = await inMeeting(1)
  const { id } = meeting
  const key = meeting.key(0)
  const tables = await lock('membership_membermeetingkey, membership_meeting')
  try {
    for (const path of [
      `/ws/meeting/${id}x/${key}/0`,
      `/ws/meeting/-${id}/${key}/0`,
      `/ws/meeting//${key}/0`,
      `/ws/meeting/${id}/${key.slice(1)}/0`,
      `/ws/meeting/${id}/${key}k/0`,
      `/ws/meeting/${id}/${key.slice(1)}./0`,
      `/ws/meeting/${id}/${key.slice(1)}%20/0`,
      `/ws/meeting/${id}/${key}/`,
      `/ws/meeting/${id}/${key}`,
      `/ws/meeting/${id}/${key}/-1`,
      `/ws/meeting/${id}/${key}/0x`,
      `/ws/meeting/${id}/${key}/0%0a`,
      `/ws/meeting/${id}/${key}/0/`,
      `/ws/meeting/${id}/${key}/0/0`,
      `/WS/meeting/${id}/${key}/0`,
      `/x/ws/meeting/${id}/${key}/0`,
      '/ws/meeting',
    ]) {
      const { status } = await plenum.get(path)
      assert.equal(status, 404, path)
      await assert.rejects(connect(plenum, path), new UpgradeRefused(404), path)
    }
    // That is a page, and no websocket.
    assert.equal((await plenum.get('/')).status, 200)
    await assert.rejects(connect(plenum, '/'), new UpgradeRefused(404))
  } finally {
    await tables.rollback()
  }
})

test('a request without an upgrade, or with one to something else, is 426', async () => {
  const meeting = await inMeeting(1)
  const path = `/ws/meeting/${meeting.id}/${meeting.key(0)}/0`
  const plain = await plenum.get(path)
  assert.deepEqual([plain.status, plain.headers.upgrade], [426, 'websocket'])
  const other = await plenum.get(path, { connection: 'upgrade', upgrade: 'h2c' })
  assert.equal(other.status, 426)
  assert.equal(await meetingStatus(plenum, meeting.id), undefined)
})

function enterFrom(origin: string, from: Plenum, meeting: MeetingFixture): Promise<Member> {
  return join(from, meeting.id, meeting.key(0), { headers: { origin } })
}

for (const origin of ['http://localhost', 'http://localhost:80', 'HTTP://LOCALHOST'])
  test(`an origin is compared by scheme, host and port: ${origin} may come in`, async () => {
    const meeting = await inMeeting(1)
    const member = await enterFrom(origin, plenum, meeting)
    await settle(member)
  })

for (const origin of [
  'http://evil.example',
  'https://localhost',
  'http://localhost:8080',
  'http://localhost.evil.example',
  'http://localhost@evil.example',
  'http://evil.example/http://localhost',
  'null',
])
  test(`a foreign origin is 403: ${origin}`, async () => {
    const meeting = await inMeeting(1)
    await assert.rejects(enterFrom(origin, plenum, meeting), new UpgradeRefused(403))
    assert.deepEqual(await meeting.texts(), [])
  })

for (const origin of [
  'https://www.domain.example',
  'https://www.domain.example:443',
  'http://other.example:8080',
])
  test(`of several allowed origins, written with slash or path, ${origin} may come in`, async () => {
    const meeting = await inOtherMeeting(1)
    const member = await enterFrom(origin, otherPlenum, meeting)
    await settle(member)
  })

for (const origin of ['http://www.domain.example', 'https://domain.example', 'http://other.example'])
  test(`what is not among several allowed origins is 403: ${origin}`, async () => {
    const meeting = await inOtherMeeting(1)
    await assert.rejects(enterFrom(origin, otherPlenum, meeting), new UpgradeRefused(403))
  })

test('with -behindproxy the address is the last entry of X-Forwarded-For', async () => {
  const meeting = await inMeeting(2)
  const headers = { 'x-forwarded-for': '203.0.113.9, 198.51.100.7' }
  const member = await meeting.enter(1, { headers })
  await member.line(joined(meeting, 1))
  const status = await meetingStatus(plenum, meeting.id)
  assert.deepEqual(status?.members, [
    { uid: meeting.user(1), name: meeting.name(1), admin: false, remote: '198.51.100.7' },
  ])
})

test('without -behindproxy the address is the peer, whatever X-Forwarded-For says', async () => {
  const meeting = await inOtherMeeting(1)
  const member = await meeting.enter(0, { headers: { 'x-forwarded-for': '198.51.100.7' } })
  await settle(member)
  const status = await meetingStatus(otherPlenum, meeting.id)
  assert.deepEqual(
    status?.members.map(({ remote }) => remote),
    ['127.0.0.1'],
  )
})

test('the status page has the state in words, who is connected and who is not, and lists that are never null', async () => {
  const meeting = await inMeeting(2)
  const [chair] = await meeting.enterAll(0)
  const alone = await meetingStatus(plenum, meeting.id)
  assert.deepEqual(alone?.disconnectedmembers, [])
  assert.equal(alone?.state, 'pending')
  const member = await meeting.enter(1)
  await member.close()
  await chair.line(left(meeting, 1))
  chair.send({ type: 'open' })
  await chair.next('status', ({ data }) => data.isopen)
  const remote = '127.0.0.1'
  assert.deepEqual(await meetingStatus(plenum, meeting.id), {
    id: meeting.id,
    state: 'open',
    members: [{ uid: meeting.user(0), name: meeting.name(0), admin: true, remote }],
    disconnectedmembers: [{ uid: meeting.user(1), name: meeting.name(1), admin: false, remote }],
  })
  const { upsince, timestamp, runtime } = await serverStatus(plenum)
  for (const time of [upsince, timestamp])
    assert.match(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/)
  assert.ok(new Date(upsince) <= new Date(timestamp))
  for (const value of Object.values(runtime)) assert.ok(['string', 'number'].includes(typeof value))
})

// Times

const sortable = (line: Line): string => `${line.date} ${line.time}`

/** A moment as a line of the record shows it. */
function shownIn(timeZone: string, moment: Date): string {
  return new Intl.DateTimeFormat('sv-SE', { timeZone, dateStyle: 'short', timeStyle: 'medium' }).format(
    moment,
  )
}

for (const [timeZone, what, gatherThere] of [
  ['Europe/Stockholm', "the database's zone", inMeeting],
  ['Asia/Kathmandu', 'the zone of -timezone', inOtherMeeting],
] as const)
  test(`all times are in ${what}: live, in history and in disconnect frames`, async () => {
    const meeting = await gatherThere(2)
    const [chair, member] = await meeting.enterAll(0, 1)
    const before = shownIn(timeZone, new Date())
    chair.say('what time is it')
    const live = await chair.line('what time is it')
    chair.send({ type: 'kick', user: meeting.user(1), canrejoin: true })
    const { data: goodbye } = await member.next('disconnect')
    const late = await meeting.enter(1)
    const history = await late.line('what time is it')
    const now = shownIn(timeZone, new Date())
    for (const line of [live, goodbye])
      assert.ok(sortable(line) >= before && sortable(line) <= now, `${before}, ${sortable(line)}, ${now}`)
    assert.deepEqual(history, live)
  })

// Keep-alive: with -ping 1 the end comes after 2.5 s of silence.

suite('keep-alive', { concurrency: true }, () => {
  const pings = async (member: Member, count: number): Promise<void> => {
    const ended = member.closed.then(() => assert.fail('the connection ended'))
    for (let n = 0; n < count; n++) await Promise.race([once(member.ws, 'ping'), ended])
  }

  test('who gives no sign of life is cut without a close frame, and has left after the grace time', async () => {
    const meeting = await inOtherMeeting(2)
    const chair = await meeting.enter(0)
    const entered = performance.now()
    const silent = await meeting.enter(1, { autoPong: false })
    await until('the connection ends', () => silent.isClosed, 15_000)
    const { code } = await silent.closed
    const lasted = performance.now() - entered
    assert.equal(code, 1006)
    assert.ok(lasted > 2400, `cut after ${lasted} ms`)
    await chair.line(left(meeting, 1))
  })

  for (const [what, giveSign] of [
    ['answers pings', null],
    ['pings itself', (member: Member) => member.ws.ping()],
    ['talks', (member: Member) => member.say('still there')],
    ['sends nonsense', (member: Member) => member.send('nonsense')],
  ] as const)
    test(`who ${what} stays`, async () => {
      const meeting = await inOtherMeeting(1)
      const member = await meeting.enter(0, { autoPong: giveSign === null })
      const signs = setInterval(() => giveSign?.(member), 500)
      try {
        await pings(member, 5)
      } finally {
        clearInterval(signs)
      }
      await settle(member)
    })
})
