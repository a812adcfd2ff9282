import assert from 'node:assert/strict'
import { after, suite, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { createAssociation, createDatabase, createMeeting } from '../support/database.ts'
import {
  answerTo,
  farewell,
  gather,
  MeetingFixture,
  linesOf,
  settle,
  toldDuring,
} from '../support/meeting-fixture.ts'
import type { MeetingFixtureOptions } from '../support/meeting-fixture.ts'
import { holdTransaction } from '../support/held-transaction.ts'
import type { Frame, FrameOf, Line, Member } from '../support/meeting-client.ts'
import { runPlenum, startPlenum } from '../support/server.ts'
import { meetingStatus } from '../support/status.ts'
import { until } from '../support/until.ts'

const nowOpen = 'This meeting is now open'
const fromNowOn = 'Anything sent from now on will be part of the permanent record'
const nowFinished = 'This meeting is now finished'
const kicked = 'You have been forcibly disconnected from this meeting'

// Long enough for who is to come back in time on a busy machine.
const graceSeconds = 3

const db = await createDatabase()
// The site's tables are looked at once, at the start, so that no look comes in between what a test does to them.
const plenum = await startPlenum({
  database: db.url,
  grace: graceSeconds,
  poll: 600,
  flags: ['-rate', '0'],
})

const strictDb = await createDatabase()
const strictPlenum = await startPlenum({ database: strictDb.url, grace: 0, poll: 0.5 })

after(async () => {
  await Promise.all([plenum.stop(), strictPlenum.stop()])
  await Promise.all([db.drop(), strictDb.drop()])
})

const inMeeting = (size: number, options?: MeetingFixtureOptions): Promise<MeetingFixture> =>
  gather(db.sql, plenum, size, options)
const inStrictMeeting = (size: number, options?: MeetingFixtureOptions): Promise<MeetingFixture> =>
  gather(strictDb.sql, strictPlenum, size, options)

const joined = (meeting: MeetingFixture, index: number): string =>
  `Member ${meeting.name(index)} joined the meeting`
const rejoined = (meeting: MeetingFixture, index: number): string =>
  `Member ${meeting.name(index)} re-joined the meeting`
const left = (meeting: MeetingFixture, index: number): string =>
  `Member ${meeting.name(index)} left the meeting`
const kickedBy = (meeting: MeetingFixture, index: number, by: number): string =>
  `User ${meeting.name(index)} has been disconnected by ${meeting.name(by)}`

const typesOf = (frames: Frame[]): string[] => frames.map(({ type }) => type)
const textsOf = (frames: Frame[]): string[] => linesOf(frames).map(({ message }) => message)
const errorsOf = (member: Member): string[] =>
  member.frames.flatMap((frame) => (frame.type === 'error' ? [frame.msg] : []))

function historyOf(member: Member): Line[] {
  const frame = member.frames.find(({ type }) => type === 'messages')
  return frame?.type === 'messages' ? frame.data : assert.fail('no history')
}

const say = (message: unknown): object => ({ type: 'message', message })
const poll = (question: string, answers: string[] = ['yes', 'no']): object => ({
  type: 'newpoll',
  question,
  answers,
  minutes: 5,
})
const vote = (question: string, answer: unknown): object => ({ type: 'vote', question, vote: answer })
const kick = (meeting: MeetingFixture, index: number, canrejoin: boolean): object => ({
  type: 'kick',
  user: meeting.user(index),
  canrejoin,
})

async function open(chair: Member): Promise<void> {
  chair.send({ type: 'open' })
  await chair.next('status', ({ data }) => data.isopen)
}

async function finish(chair: Member): Promise<void> {
  chair.send({ type: 'finish' })
  await chair.next('status', ({ data }) => data.isfinished)
}

// Lines of the record

test('the record of a meeting has these lines and no others, those of the system without a sender', async () => {
  const members = await createAssociation(db.sql, 3)
  const [chairman, , proxied] = members
  const stored = await createMeeting(db.sql, {
    members,
    admins: [chairman!],
    proxynames: { [proxied!.id]: 'Petra Proxy' },
  })
  const meeting = new MeetingFixture(db.sql, plenum, members, stored)
  const [a, b, c] = [meeting.name(0), meeting.name(1), meeting.name(2)]
  const expected: { text: string; sender: number | null }[] = []
  const system = (...texts: string[]): void => {
    for (const text of texts) expected.push({ text, sender: null })
  }
  const chair = await meeting.enter(0)
  const recorded = (): Promise<void> =>
    until(`as many lines as ${expected.length}`, () => chair.texts().length >= expected.length)

  system(`Member ${a} joined the meeting`)
  const second = await meeting.enter(1)
  system(`Member ${b} joined the meeting`)
  let third = await meeting.enter(2)
  system(`Member ${c} joined the meeting (through proxy Petra Proxy)`)
  await recorded()

  chair.send({ type: 'open' })
  system(nowOpen, fromNowOn)
  await recorded()
  second.say('Good evening')
  expected.push({ text: 'Good evening', sender: meeting.user(1) })
  await recorded()

  chair.send(poll('Lunch?', ['soup', 'salad', 'nothing']))
  system('A new poll has been posted for Lunch?')
  await recorded()
  second.send(vote('Lunch?', 0))
  system(`${b} voted soup`)
  await recorded()
  second.send(vote('Lunch?', 0)) // the same answer again: no line
  second.send(vote('Lunch?', 1))
  system(`${b} changed their vote to salad`)
  await recorded()
  third.send(vote('Lunch?', 1))
  system(`${c} voted salad`)
  await recorded()
  chair.send(vote('Lunch?', 0))
  system(
    `${a} voted soup`,
    'All attendees have voted, poll has completed.',
    'Answer "soup": 1 vote',
    'Answer "salad": 2 votes',
    'Answer "nothing": 0 votes',
  )
  await recorded()

  chair.send(poll('Dinner?'))
  system('A new poll has been posted for Dinner?')
  chair.send({ type: 'abortpoll' })
  system('The current poll has been aborted')
  await recorded()

  await third.close()
  system(`Member ${c} left the meeting`)
  await recorded()
  third = await meeting.enter(2)
  system(`Member ${c} re-joined the meeting (through proxy Petra Proxy)`)
  await recorded()
  chair.send(kick(meeting, 2, true))
  system(`User ${c} has been disconnected by ${a}`)
  await recorded()

  chair.send(poll('Drinks?'))
  system('A new poll has been posted for Drinks?')
  chair.send({ type: 'finish' })
  system('Poll has completed', 'Answer "yes": 0 votes', 'Answer "no": 0 votes', nowFinished)
  chair.send({ type: 'open' })
  system(`This meeting is being re-opened by ${a}`, nowOpen, fromNowOn)
  chair.send({ type: 'finish' })
  system(nowFinished)
  await recorded()
  await second.close()
  system(`Member ${b} left the meeting`)
  await recorded()

  assert.deepEqual(
    (await meeting.record()).map(({ text, sender }) => ({ text, sender })),
    expected,
  )
  assert.deepEqual(
    chair.texts(),
    expected.map(({ text }) => text),
  )
})

for (const [what, table, act] of [
  ['what is said', 'membership_meetingmessagelog', ({ member }) => member.say('news')],
  ['an opening', 'membership_meeting', ({ chair }) => chair.send({ type: 'open' })],
  ['a kick', 'plenum.attendance', ({ chair, meeting }) => chair.send(kick(meeting, 1, true))],
  ['an entry', 'plenum.attendance', ({ meeting }) => meeting.connect(2)],
  ['a departure', 'plenum.attendance', ({ member }) => member.close()],
] as [string, string, (who: { meeting: MeetingFixture; chair: Member; member: Member }) => unknown][])
  test(`nobody is told of ${what} before it is stored`, async () => {
    const meeting = await inMeeting(3)
    const [chair, member] = await meeting.enterAll(0, 1)
    await settle(chair, member)
    const before = (await meeting.record()).length
    const told = chair.frames.length
    const held = await holdTransaction(db.url, (tx) => tx.unsafe(`lock table ${table} in share mode`))
    await act({ meeting, chair, member })
    await held.waitedFor()
    await chair.caughtUp()
    const early = chair.frames.slice(told)
    await held.rollback()
    assert.deepEqual(early, [])
    await until('it is told', () => textsOf(chair.frames.slice(told)).length > 0)
    assert.ok((await meeting.record()).length > before)
  })

test('lines go out as one message frame each, in the order of the record, also when many are said at once', async () => {
  const meeting = await inMeeting(2)
  const [chair, member] = await meeting.enterAll(0, 1)
  const texts = Array.from({ length: 200 }, (_, index) => `line ${index}`)
  const told = await toldDuring(chair, chair, async () => {
    for (const text of texts) member.say(text)
    await chair.line(texts.at(-1)!)
  })
  assert.deepEqual(new Set(typesOf(told)), new Set(['message']))
  assert.deepEqual(textsOf(told), texts)
  const ids = (await meeting.record()).filter(({ text }) => text.startsWith('line ')).map(({ id }) => id)
  assert.deepEqual(
    linesOf(told).map(({ id }) => id),
    ids,
  )
})

test('a line has these fields, of the system as of members', async () => {
  const meeting = await inMeeting(1)
  const chair = await meeting.enter(0)
  chair.say('hello')
  await chair.line('hello')
  const [system, own] = chair.lines() as [Line, Line]
  for (const { time, date } of [system, own]) {
    assert.match(time, /^\d\d:\d\d:\d\d$/)
    assert.match(date, /^\d{4}-\d\d-\d\d$/)
  }
  const { id, time, date } = own
  const color = String(meeting.keyId(0) % 10)
  assert.deepEqual(own, {
    id,
    time,
    date,
    from: meeting.user(0),
    fromname: meeting.name(0),
    color,
    message: 'hello',
  })
  assert.deepEqual(system, { ...system, from: -1, fromname: '', color: 'sys', message: joined(meeting, 0) })
  assert.deepEqual(Object.keys(system).sort(), Object.keys(own).sort())
})

test('a line is the same in history as it was live, in all its fields', async () => {
  const meeting = await inMeeting(3, { state: 1, allowrejoin: true })
  const [chair, member] = await meeting.enterAll(0, 1)
  for (const text of [
    'plain',
    '<b>"quotes" & \\ back\\nslash</b>',
    'tab\tand\nnewline',
    '𝄞 Ωå\u200d',
    '\ud83d alone',
  ])
    member.say(text)
  chair.send(poll('Same?'))
  await member.next('poll', ({ data }) => data !== null)
  member.send(vote('Same?', 1))
  await member.close()
  await chair.line(left(meeting, 1))
  const late = await meeting.enter(2)
  await chair.line(joined(meeting, 2))
  const history = historyOf(late)
  assert.deepEqual(history, chair.lines().slice(0, -1))
  assert.ok(history.length > 9)
})

// What is said

for (const [what, sent, stored] of [
  ['spaces around it', '  hello  ', 'hello'],
  ['newlines and tabs around it', '\n\t hello \t\n', 'hello'],
  ['space of other scripts around it', '\u00a0\u3000hello\u2003', 'hello'],
] as const)
  test(`a message loses ${what}`, async () => {
    const meeting = await inMeeting(1)
    const member = await meeting.enter(0)
    member.say(sent)
    await settle(member)
    assert.deepEqual(await meeting.texts(), [joined(meeting, 0), stored])
  })

test('inside a message newline, tab and runs of spaces stay', async () => {
  const meeting = await inMeeting(1)
  const member = await meeting.enter(0)
  member.say('one\ttwo\n\nthree   four')
  await settle(member)
  assert.deepEqual(await meeting.texts(), [joined(meeting, 0), 'one\ttwo\n\nthree   four'])
})

test('other control characters are removed from a message, NUL among them', async () => {
  const meeting = await inMeeting(1)
  const member = await meeting.enter(0)
  member.say('\u0000a\u0000b\u0007c\u001b[1md\re\u007ff\u0085g \u0000')
  const { message } = await member.next('message', ({ data }) => data.from !== -1).then(({ data }) => data)
  assert.equal(message, 'abc[1mdefg')
  assert.deepEqual(await meeting.texts(), [joined(meeting, 0), 'abc[1mdefg'])
})

test('an empty message is ignored without an answer', async () => {
  const meeting = await inMeeting(1)
  const member = await meeting.enter(0)
  for (const text of ['', ' ', '\n\t ', '\u0000', ' \u0007\u001b ']) member.say(text)
  await settle(member)
  assert.deepEqual(await meeting.texts(), [joined(meeting, 0)])
  assert.deepEqual(errorsOf(member), [])
})

for (const [what, character] of [
  ['of one byte', 'x'],
  ['outside the basic plane', '𝄞'],
] as const) {
  test(`a message of 10,000 characters ${what} is stored whole, spaces around it not counted`, async () => {
    const meeting = await inMeeting(1)
    const member = await meeting.enter(0)
    const text = character.repeat(10_000)
    member.say(`   ${text} `)
    await member.line(text)
    assert.deepEqual(await meeting.texts(), [joined(meeting, 0), text])
  })

  test(`a message of 10,001 characters ${what} is an error and not stored`, async () => {
    const meeting = await inMeeting(1)
    const member = await meeting.enter(0)
    member.say(character.repeat(10_001))
    const { msg } = await member.next('error')
    assert.match(msg, /too long/)
    await settle(member)
    assert.deepEqual(await meeting.texts(), [joined(meeting, 0)])
  })
}

const reservedVariants: readonly ((text: string) => string)[] = [
  (text) => text,
  (text) => text.toUpperCase(),
  (text) => text.toLowerCase(),
  (text) => `  ${text}\n`,
  (text) => text.replaceAll(' ', '   '),
  (text) => text.replaceAll(' ', '\t'),
  (text) => text.replaceAll(' ', ' \n '),
  (text) => text.replaceAll(' ', '\u00a0'),
  (text) => text.replaceAll(' ', '\u0000 '),
  (text) => text.replaceAll(' ', '\u200b '),
]

for (const text of [nowOpen, nowFinished])
  test(`nobody can say '${text}', in any case or spacing`, async () => {
    const meeting = await inMeeting(2, { state: 1, allowrejoin: true })
    const [chair, member] = await meeting.enterAll(0, 1)
    const told = await toldDuring(chair, chair, async () => {
      for (const speaker of [chair, member])
        for (const variant of reservedVariants) {
          speaker.say(variant(text))
          const { msg } = await speaker.next('error')
          assert.equal(msg, 'This text is reserved for the meeting record', JSON.stringify(variant(text)))
        }
    })
    assert.deepEqual(typesOf(told), Array.from({ length: reservedVariants.length }).fill('error'))
    assert.deepEqual(await meeting.texts(), [joined(meeting, 0), joined(meeting, 1)])
  })

test('what only contains a reserved text may be said', async () => {
  const meeting = await inMeeting(1)
  const member = await meeting.enter(0)
  const texts = [`${nowOpen}?`, `Hear: ${nowFinished}`, `${nowOpen} ${nowOpen}`, 'This meeting is now']
  for (const text of texts) member.say(text)
  await settle(member)
  assert.deepEqual(await meeting.texts(), [joined(meeting, 0), ...texts])
})

// Time

test('t grows with every id, also of lines that are said at once', async () => {
  const meeting = await inMeeting(3)
  const members = await meeting.enterAll(0, 1, 2)
  for (let n = 0; n < 40; n++) for (const member of members) member.say(`line ${n}`)
  await settle(members[0], members[1], members[2])
  const [row] = await db.sql<{ wrong: number; lines: number }[]>`
    select count(*) filter (where t <= before)::int wrong, count(*)::int lines
    from (select t, lag(t) over (order by id) before from membership_meetingmessagelog
      where meeting_id = ${meeting.id}) l`
  assert.deepEqual(row, { wrong: 0, lines: 3 + 120 + 1 })
})

test('t grows with every id also when the newest time in the record lies in the future', async () => {
  const meeting = await inMeeting(1)
  const [last] = await db.sql<{ id: number }[]>`
    insert into membership_meetingmessagelog (t, message, meeting_id)
    values (now() + interval '1 hour', 'from the future', ${meeting.id}),
      (now(), 'from the present', ${meeting.id})
    returning (select max(id) + 2 from membership_meetingmessagelog) id`
  const member = await meeting.enter(0)
  for (let n = 0; n < 5; n++) member.say(`line ${n}`)
  await settle(member)
  assert.ok(last)
  const [row] = await db.sql<{ wrong: number; lines: number }[]>`
    select count(*) filter (where t <= before)::int wrong, count(*)::int lines
    from (select message, t, max(t) over (order by id rows between unbounded preceding and 1 preceding) before
      from membership_meetingmessagelog where meeting_id = ${meeting.id}) l
    where message not like 'from the %'`
  assert.deepEqual(row, { wrong: 0, lines: 7 })
})

// Coming, going and the end. Together, because they wait.

async function awayOf(meeting: MeetingFixture, count: number): Promise<void> {
  await until(`${count} are away`, async () => {
    const status = await meetingStatus(plenum, meeting.id)
    return status?.disconnectedmembers.length === count
  })
}

const losses: readonly [string, (member: Member) => Promise<void>][] = [
  ['an end without a close frame', (member) => member.reset('fin')],
  ['a reset', (member) => member.reset('rst')],
  ['close code 1001', (member) => member.close(1001)],
  ['close code 4000', (member) => member.close(4000)],
]

suite('what takes the grace time', { concurrency: true }, () => {
  for (const [what, lose] of losses) {
    test(`who is back in time after ${what} leaves no trace, and gets what he missed`, async () => {
      const meeting = await inMeeting(3, { state: 1, allowrejoin: true })
      const [chair, member, third] = await meeting.enterAll(0, 1, 2)
      await settle(chair, member)
      let back: Member | undefined
      const told = await toldDuring(chair, chair, async () => {
        await lose(member)
        await awayOf(meeting, 1)
        chair.say('missed')
        await chair.line('missed')
        const first = Math.max(...member.lines().map(({ id }) => id))
        back = await meeting.enter(1, { first })
      })
      assert.deepEqual(typesOf(told), ['message'])
      assert.deepEqual(textsOf(told), ['missed'])

      // The third one's grace time ends after that of the first, so that then nothing more is to come.
      await third.reset()
      assert.equal((await chair.next('removeuser', () => true, 10_000)).data.id, meeting.user(2))
      await settle(chair, back!)
      assert.deepEqual(await meeting.texts(), [
        joined(meeting, 0),
        joined(meeting, 1),
        joined(meeting, 2),
        'missed',
        left(meeting, 2),
      ])
      const heard = [...member.lines(), ...back!.lines()].map(({ id }) => id)
      const record = (await meeting.record()).map(({ id }) => id)
      assert.deepEqual(heard, record.slice(record.indexOf(heard[0]!)))
    })

    test(`who is not back in time after ${what} has left then, not before`, async () => {
      const meeting = await inMeeting(2)
      const [chair, member] = await meeting.enterAll(0, 1)
      const lost = performance.now()
      await lose(member)
      const { data } = await chair.next('removeuser', () => true, 10_000)
      const away = performance.now() - lost
      assert.ok(away > graceSeconds * 1000 - 50, `he had left after ${away} ms`)
      assert.deepEqual(data, {
        name: meeting.name(1),
        color: String(meeting.keyId(1) % 10),
        id: meeting.user(1),
      })
      await chair.line(left(meeting, 1))
      assert.deepEqual(await meeting.texts(), [joined(meeting, 0), joined(meeting, 1), left(meeting, 1)])
    })
  }

  for (const [what, code] of [
    ['without a code', undefined],
    ['with code 1000', 1000],
  ] as const)
    test(`a close frame ${what} is a departure at once`, async () => {
      const meeting = await inMeeting(3)
      const [chair, member, lost] = await meeting.enterAll(0, 1, 2)
      await lost.reset()
      await awayOf(meeting, 1)
      await member.close(code)
      const { data } = await chair.next('removeuser')
      assert.equal(data.id, meeting.user(1), 'before the one who was lost earlier')
      await chair.line(left(meeting, 1))
    })

  test('a second loss has a grace time of its own', async () => {
    const meeting = await inMeeting(2)
    const [chair, member] = await meeting.enterAll(0, 1)
    await member.reset()
    await awayOf(meeting, 1)
    await wait(graceSeconds * 500)
    const back = await meeting.enter(1)
    const lost = performance.now()
    await back.reset()
    await chair.next('removeuser', () => true, 10_000)
    const away = performance.now() - lost
    assert.ok(away > graceSeconds * 1000 - 50, `he had left after ${away} ms`)
  })

  test('a member who is back in time gets into a meeting that was finished meanwhile', async () => {
    const meeting = await inMeeting(2, { state: 1, allowrejoin: true })
    const [chair, member] = await meeting.enterAll(0, 1)
    await member.reset()
    await awayOf(meeting, 1)
    await finish(chair)
    const back = await meeting.enter(1)
    await settle(back, chair)
  })

  for (const canrejoin of [true, false])
    test(`who is away for less than the grace time can be kicked, ${canrejoin ? 'with' : 'without'} return`, async () => {
      const meeting = await inMeeting(3)
      const [chair, victim, third] = await meeting.enterAll(0, 1, 2)
      await victim.reset()
      await awayOf(meeting, 1)
      const told = await toldDuring(chair, chair, async () => {
        chair.send(kick(meeting, 1, canrejoin))
        await chair.line(kickedBy(meeting, 1, 0))
      })
      assert.deepEqual(typesOf(told), ['removeuser', 'message'])
      // Once the third one's grace time is over, so is that of the one who was kicked.
      await third.reset()
      assert.equal(
        (await chair.next('removeuser', ({ data }) => data.id !== meeting.user(1), 10_000)).data.id,
        meeting.user(2),
      )
      await settle(chair)
      assert.deepEqual((await meeting.texts()).slice(3), [kickedBy(meeting, 1, 0), left(meeting, 2)])
      const again = await meeting.connect(1)
      if (canrejoin) await again.line(rejoined(meeting, 1))
      else assert.equal(await farewell(again), 'You are not allowed to enter this meeting')
    })

  const closed = (meeting: MeetingFixture): Promise<void> =>
    until('the meeting is closed', async () => (await meeting.state()) === 3, 15_000)

  test('a finished meeting is closed when the last one has left', async () => {
    const meeting = await inMeeting(2, { state: 1, allowrejoin: true })
    const [chair, member] = await meeting.enterAll(0, 1)
    await finish(chair)
    await chair.close()
    await member.line(left(meeting, 0))
    await settle(member)
    assert.equal(await meeting.state(), 2)
    await member.close()
    await closed(meeting)
    assert.match(await farewell(await meeting.connect(0)), /already finished/)
  })

  test('a finished meeting whose last one was lost is closed after the grace time, if he does not return', async () => {
    const meeting = await inMeeting(1, { state: 1, allowrejoin: true })
    const chair = await meeting.enter(0)
    await finish(chair)
    await chair.reset()
    await awayOf(meeting, 1)
    const back = await meeting.enter(0)
    await settle(back)
    assert.equal(await meeting.state(), 2)
    const lost = performance.now()
    await back.reset()
    await closed(meeting)
    const away = performance.now() - lost
    assert.ok(away > graceSeconds * 1000 - 50, `it was closed after ${away} ms`)
    assert.deepEqual((await meeting.texts()).slice(-1), [left(meeting, 0)])
  })

  test('an open meeting that nobody is in stays open', async () => {
    const meeting = await inMeeting(2, { state: 1, allowrejoin: true })
    const [chair, member] = await meeting.enterAll(0, 1)
    await member.close()
    await chair.reset()
    await until('all have left', async () => (await meeting.texts()).includes(left(meeting, 0)), 15_000)
    assert.equal(await meeting.state(), 1)
    const again = await meeting.enter(1)
    await settle(again)
  })

  test('a finished meeting is closed also when the last one left while no server was running', async () => {
    const ownDb = await createDatabase()
    const first = await startPlenum({ database: ownDb.url, grace: 1 })
    const meeting = await gather(ownDb.sql, first, 2, { state: 1, allowrejoin: true })
    const [chair, member] = await meeting.enterAll(0, 1)
    await finish(chair)
    await settle(chair, member)
    await first.kill()
    const empty = await createMeeting(ownDb.sql, { members: meeting.members, state: 2 })
    assert.equal(await meeting.state(), 2)

    const second = await startPlenum({ database: ownDb.url, grace: 1 })
    await closed(meeting)
    assert.deepEqual(
      new Set((await meeting.texts()).slice(-2)),
      new Set([left(meeting, 0), left(meeting, 1)]),
    )
    const other = new MeetingFixture(ownDb.sql, second, meeting.members, empty)
    await closed(other)
    assert.deepEqual(await other.texts(), [])
    await second.stop()
    await ownDb.drop()
  })

  test('who left and comes again has re-joined', async () => {
    const meeting = await inMeeting(2)
    const [chair, member] = await meeting.enterAll(0, 1)
    await member.close()
    await chair.line(left(meeting, 1))
    const told = await toldDuring(chair, chair, () => meeting.enter(1))
    assert.deepEqual(typesOf(told), ['adduser', 'message'])
    assert.deepEqual(textsOf(told), [rejoined(meeting, 1)])
  })
})

test('with -grace 0 a lost connection is a departure at once', async () => {
  const meeting = await inStrictMeeting(2)
  const [chair, member] = await meeting.enterAll(0, 1)
  await member.reset()
  await chair.next('removeuser')
  await chair.line(left(meeting, 1))
})

// Kick

test('who is kicked is told so and ended, the others see him go, and the record has one line of it', async () => {
  const meeting = await inMeeting(3)
  const [chair, watcher, victim] = await meeting.enterAll(0, 1, 2)
  const told = await toldDuring(chair, watcher, async () => {
    chair.send(kick(meeting, 2, true))
    assert.equal(await farewell(victim), kicked)
  })
  assert.deepEqual(typesOf(told), ['removeuser', 'message'])
  assert.deepEqual(textsOf(told), [kickedBy(meeting, 2, 0)])
  const removed = told[0] as FrameOf<'removeuser'>
  assert.equal(removed.data.id, meeting.user(2))
  assert.deepEqual((await meeting.texts()).slice(3), [kickedBy(meeting, 2, 0)])
})

test('who is kicked with return may come again, also into an open meeting', async () => {
  const meeting = await inMeeting(2, { state: 1, allowrejoin: true })
  const [chair, victim] = await meeting.enterAll(0, 1)
  chair.send(kick(meeting, 1, true))
  await farewell(victim)
  const again = await meeting.enter(1)
  await again.line(rejoined(meeting, 1))
})

test('who is kicked without return may not come again, and is no attendee for the site', async () => {
  const meeting = await inMeeting(2)
  const [chair, victim] = await meeting.enterAll(0, 1)
  chair.send(kick(meeting, 1, false))
  assert.equal(await farewell(victim), kicked)
  assert.equal(await farewell(await meeting.connect(1)), 'You are not allowed to enter this meeting')
  const [row] =
    await db.sql`select allowrejoin from membership_membermeetingkey where id = ${meeting.keyId(1)}`
  assert.equal(row?.['allowrejoin'], false)
})

test('an admin can kick another admin', async () => {
  const meeting = await inMeeting(2, { admins: 2 })
  const [chair, admin] = await meeting.enterAll(0, 1)
  admin.send(kick(meeting, 0, true))
  assert.equal(await farewell(chair), kicked)
})

test('an admin cannot kick himself', async () => {
  const meeting = await inMeeting(1)
  const chair = await meeting.enter(0)
  for (const canrejoin of [true, false]) {
    chair.send(kick(meeting, 0, canrejoin))
    assert.notEqual((await chair.next('error')).msg, '')
  }
  await settle(chair)
  assert.deepEqual(await meeting.texts(), [joined(meeting, 0)])
})

test('who is not in the meeting cannot be kicked, nor kept out by it', async () => {
  const meeting = await inMeeting(3)
  const [chair, gone] = await meeting.enterAll(0, 1)
  await gone.close()
  await chair.line(left(meeting, 1))
  for (const user of [meeting.user(1), meeting.user(2), meeting.keyId(2), 999_999, -1, 0]) {
    chair.send({ type: 'kick', user, canrejoin: false })
    assert.equal((await chair.next('error')).msg, 'User to kick not found')
  }
  for (const index of [1, 2]) await settle(await meeting.enter(index))
})

test('nothing of what a kicked member was saying stands behind the line of his kick', async () => {
  const meeting = await inMeeting(3)
  const [chair, watcher, victim] = await meeting.enterAll(0, 1, 2)
  let sent = 0
  while (!victim.isClosed) {
    for (let n = 0; n < 20 && victim.ws.readyState === victim.ws.OPEN; n++) victim.say(`flood ${sent++}`)
    if (sent === 200) chair.send(kick(meeting, 2, false))
    await wait(1)
  }
  await settle(chair, watcher)
  const record = await meeting.record()
  const line = record.findIndex(({ text }) => text === kickedBy(meeting, 2, 0))
  const flood = record.filter(({ sender }) => sender === meeting.user(2)).length
  assert.ok(flood > 0 && flood < sent, `${flood} of ${sent} are in the record`)
  assert.deepEqual(
    record.slice(line).filter(({ sender }) => sender === meeting.user(2)),
    [],
  )
  assert.deepEqual(watcher.texts().filter((text) => text.startsWith('flood')).length, flood)
})

test('unban lets in again who was kicked without return', async () => {
  const meeting = await inMeeting(2)
  const [chair, victim] = await meeting.enterAll(0, 1)
  chair.send(kick(meeting, 1, false))
  await farewell(victim)
  await chair.close()
  await until('the meeting is forgotten', async () => !(await meetingStatus(plenum, meeting.id)))
  const args = ['unban', String(meeting.id), String(meeting.user(1)), '-dburl', db.url]
  assert.equal((await runPlenum(args)).code, 0)
  const again = await meeting.enter(1)
  await again.line(rejoined(meeting, 1))
  assert.equal((await runPlenum(args)).code, 1, 'there is no ban any more')
})

test('unban lets in again while the meeting is going on', async () => {
  const meeting = await inStrictMeeting(2, { state: 1, allowrejoin: true })
  const [chair, victim] = await meeting.enterAll(0, 1)
  chair.send(kick(meeting, 1, false))
  await farewell(victim)
  const args = ['unban', String(meeting.id), String(meeting.user(1)), '-dburl', strictDb.url]
  assert.equal((await runPlenum(args)).code, 0)
  await until('he is let in', async () => {
    const again = await meeting.connect(1)
    if ((await answerTo(again)) === 'entered') return true
    await wait(300) // not to fail so often that the server slows down
    return false
  })
})

// The life of a meeting

test('opening, finishing and re-opening are stored, told by status and then by their lines', async () => {
  const meeting = await inMeeting(2)
  const [chair, member] = await meeting.enterAll(0, 1)
  const states = [await meeting.state()]
  const told: [string, ...unknown[]][][] = []
  for (const type of ['open', 'finish', 'open', 'finish']) {
    const frames = await toldDuring(chair, member, async () => {
      chair.send({ type })
      await chair.next('status')
    })
    states.push(await meeting.state())
    told.push(
      frames.map((frame) =>
        frame.type === 'message' ? [frame.data.message] : [frame.type, 'data' in frame ? frame.data : null],
      ),
    )
  }
  assert.deepEqual(states, [0, 1, 2, 1, 2])
  const open = ['status', { isopen: true, isfinished: false }]
  const finished = ['status', { isopen: false, isfinished: true }]
  assert.deepEqual(told, [
    [open, [nowOpen], [fromNowOn]],
    [finished, [nowFinished]],
    [open, [`This meeting is being re-opened by ${meeting.name(0)}`], [nowOpen], [fromNowOn]],
    [finished, [nowFinished]],
  ])
})

test('finishing closes a poll under way first, and its result is within the record', async () => {
  const meeting = await inMeeting(2, { state: 1, allowrejoin: true })
  const [chair, member] = await meeting.enterAll(0, 1)
  chair.send(poll('Enough?'))
  member.send(vote('Enough?', 0))
  await chair.line(`${meeting.name(1)} voted yes`)
  const from = (await meeting.texts()).length
  const told = await toldDuring(chair, member, () => finish(chair))
  assert.deepEqual((await meeting.texts()).slice(from), [
    'Poll has completed',
    'Answer "yes": 1 vote',
    'Answer "no": 0 votes',
    nowFinished,
  ])
  // The sum of the vote may be told here still, for sums are gathered.
  const polls = told.filter((frame) => frame.type === 'poll')
  assert.equal(polls.at(-1)?.data, null)
  chair.send(vote('Enough?', 0))
  assert.equal((await chair.next('error')).msg, 'There is no active poll')
})

test('members may talk before the opening and after the end', async () => {
  const meeting = await inMeeting(2)
  const [chair, member] = await meeting.enterAll(0, 1)
  member.say('before')
  await chair.line('before')
  await open(chair)
  await finish(chair)
  member.say('after')
  await chair.line('after')
})

// Order

test('what one connection sends is done in the order in which it was sent', async () => {
  const meeting = await inMeeting(2)
  const [chair] = await meeting.enterAll(0, 1)
  for (const frame of [
    say('before'),
    { type: 'open' },
    say('within'),
    poll('Order?'),
    vote('Order?', 0),
    { type: 'abortpoll' },
    kick(meeting, 1, true),
    { type: 'finish' },
    say('after'),
  ])
    chair.send(frame)
  await settle(chair)
  assert.deepEqual(errorsOf(chair), [])
  assert.deepEqual((await meeting.texts()).slice(2), [
    'before',
    nowOpen,
    fromNowOn,
    'within',
    'A new poll has been posted for Order?',
    `${meeting.name(0)} voted yes`,
    'The current poll has been aborted',
    kickedBy(meeting, 1, 0),
    nowFinished,
    'after',
  ])
})

// Who may do what, and when

const states = ['pending', 'open', 'finished'] as const

for (const [state, name] of states.entries())
  test(`a member's admin commands are refused and do nothing while the meeting is ${name}`, async () => {
    const meeting = await inMeeting(3, { state: 0 })
    const [chair, member, third] = await meeting.enterAll(0, 1, 2)
    if (state > 0) await open(chair)
    if (state > 1) await finish(chair)
    const texts = await meeting.texts()
    const commands = [
      { type: 'open' },
      { type: 'finish' },
      poll('May I?'),
      { type: 'newpoll' },
      { type: 'abortpoll' },
      kick(meeting, 2, true),
      kick(meeting, 2, false),
      kick(meeting, 0, false),
      { type: 'kick' },
    ]
    const told = await toldDuring(chair, third, async () => {
      for (const command of commands) member.send(command)
      for (const command of commands)
        assert.equal((await member.next('error')).msg, 'Permission denied', JSON.stringify(command))
    })
    assert.deepEqual(told, [])
    assert.equal(await meeting.state(), state)
    assert.deepEqual(await meeting.texts(), texts)
    const [rows] = await db.sql<{ polls: number; bans: number }[]>`
      select (select count(*)::int from plenum.poll where meeting_id = ${meeting.id}) polls,
        (select count(*)::int from plenum.ban where meeting_id = ${meeting.id}) bans`
    assert.deepEqual(rows, { polls: 0, bans: 0 })
  })

test('a member cannot abort the poll of an admin', async () => {
  const meeting = await inMeeting(2, { state: 1, allowrejoin: true })
  const [chair, member] = await meeting.enterAll(0, 1)
  chair.send(poll('Still?'))
  await member.next('poll', ({ data }) => data !== null)
  member.send({ type: 'abortpoll' })
  assert.equal((await member.next('error')).msg, 'Permission denied')
  member.send(vote('Still?', 0))
  await chair.line(`${meeting.name(1)} voted yes`)
})

for (const [state, command, text] of [
  [0, { type: 'finish' }, 'Meeting is not open'],
  [0, poll('Now?'), 'Meeting is not open'],
  [0, { type: 'abortpoll' }, 'There is no active poll'],
  [0, vote('Now?', 0), 'There is no active poll'],
  [1, { type: 'open' }, 'Meeting is already open'],
  [1, { type: 'abortpoll' }, 'There is no active poll'],
  [1, vote('Now?', 0), 'There is no active poll'],
  [2, { type: 'finish' }, 'Meeting is already finished'],
  [2, poll('Now?'), 'Meeting is not open'],
  [2, { type: 'abortpoll' }, 'There is no active poll'],
  [2, vote('Now?', 0), 'There is no active poll'],
] as const)
  test(`an admin's ${JSON.stringify(command)} in a ${states[state]} meeting: ${text}`, async () => {
    const meeting = await inMeeting(1, { state })
    const chair = await meeting.enter(0)
    chair.send(command)
    assert.equal((await chair.next('error')).msg, text)
    await settle(chair)
    assert.deepEqual(await meeting.texts(), [joined(meeting, 0)])
    assert.equal(await meeting.state(), state)
  })

test('a second poll while one is under way: There is already an active poll', async () => {
  const meeting = await inMeeting(2, { state: 1, allowrejoin: true })
  const [chair] = await meeting.enterAll(0, 1)
  chair.send(poll('First?'))
  chair.send(poll('Second?'))
  assert.equal((await chair.next('error')).msg, 'There is already an active poll')
  await settle(chair)
  assert.deepEqual((await meeting.texts()).slice(2), ['A new poll has been posted for First?'])
})

test('votes that are none are refused: for the wrong question, and for what is no index of an answer', async () => {
  const meeting = await inMeeting(2, { state: 1, allowrejoin: true })
  const [chair, member] = await meeting.enterAll(0, 1)
  chair.send(poll('Yes or no?'))
  await member.next('poll', ({ data }) => data !== null)
  const told = await toldDuring(chair, chair, async () => {
    member.send(vote('No or yes?', 0))
    assert.equal((await member.next('error')).msg, 'Vote for the wrong question received')
    for (const answer of [2, -1, 0.5, '0', null, undefined, true, [0], 1e300]) {
      member.send(vote('Yes or no?', answer))
      assert.equal((await member.next('error')).msg, 'Invalid vote', String(answer))
    }
  })
  assert.deepEqual(told, [])
})

const long = (length: number): string => 'x'.repeat(length)

test('a poll that is within all limits is opened', async () => {
  const meeting = await inMeeting(2, { state: 1, allowrejoin: true })
  const [chair] = await meeting.enterAll(0, 1)
  for (const fields of [
    { question: 'q', answers: ['a', 'b'], minutes: 1 },
    { question: long(500), answers: ['a', 'b', 'c', 'd', long(200)], minutes: 120 },
  ]) {
    chair.send({ type: 'newpoll', ...fields })
    const { data } = await chair.next('poll', ({ data }) => data !== null)
    assert.deepEqual([data?.question, data?.answers], [fields.question, fields.answers])
    chair.send({ type: 'abortpoll' })
    await chair.next('poll', ({ data }) => data === null)
  }
})

const draft = { type: 'newpoll', question: 'q', answers: ['a', 'b'], minutes: 5 }

test('a poll beyond any limit is an error and not opened', async () => {
  const meeting = await inMeeting(2, { state: 1, allowrejoin: true })
  const [chair] = await meeting.enterAll(0, 1)
  const told = await toldDuring(chair, chair, async () => {
    for (const fields of [
      { question: '' },
      { question: ' \n ' },
      { question: long(501) },
      { question: 1 },
      { question: undefined },
      { answers: [] },
      { answers: ['a'] },
      { answers: ['a', 'b', 'c', 'd', 'e', 'f'] },
      { answers: ['a', 'a'] },
      { answers: ['a b', ' a  b '] },
      { answers: ['a', ' '] },
      { answers: ['a', long(201)] },
      { answers: ['a', 2] },
      { answers: 'ab' },
      { answers: undefined },
      { minutes: 0 },
      { minutes: -1 },
      { minutes: 0.9 },
      { minutes: 121 },
      { minutes: 200_000_000 },
      { minutes: '5' },
      { minutes: null },
      { minutes: undefined },
    ]) {
      chair.send({ ...draft, ...fields })
      assert.notEqual((await chair.next('error')).msg, '', JSON.stringify(fields))
    }
  })
  assert.deepEqual(new Set(typesOf(told)), new Set(['error']))
})

// Frames that are no commands

test('a malformed frame is answered by one error that says what is wrong, and the connection stays', async () => {
  const meeting = await inMeeting(2)
  const [chair, watcher] = await meeting.enterAll(0, 1)
  const frames = [
    '',
    ' ',
    'hello',
    '{',
    '{"type":"message","message":"hi"',
    '{"type":"message","message":"hi"} {"type":"message","message":"hi"}',
    "{'type':'message'}",
    'null',
    'true',
    '1',
    '"message"',
    '[]',
    '[{"type":"message","message":"hi"}]',
    '{}',
    '{"type":null}',
    '{"type":1}',
    '{"type":["message"]}',
    '{"type":""}',
    '{"type":"shout"}',
    '{"type":"Message","message":"hi"}',
    '{"type":"constructor"}',
    '{"type":"__proto__"}',
    '{"type":"message"}',
    '{"type":"message","message":null}',
    '{"type":"message","message":1}',
    '{"type":"message","message":["hi"]}',
    '{"type":"message","message":{"toString":1}}',
    '{"type":"vote"}',
    '{"type":"vote","vote":0}',
    '{"type":"vote","question":1,"vote":0}',
    '{"type":"newpoll"}',
    '{"type":"newpoll","question":"q","answers":{"0":"a","1":"b","length":2},"minutes":1}',
    '{"type":"kick"}',
    '{"type":"kick","user":1}',
    '{"type":"kick","canrejoin":true}',
    `{"type":"kick","user":"${meeting.user(1)}","canrejoin":true}`,
    `{"type":"kick","user":${meeting.user(1)}.5,"canrejoin":true}`,
    `{"type":"kick","user":${meeting.user(1)},"canrejoin":"yes"}`,
    `{"type":"kick","user":${meeting.user(1)},"canrejoin":1}`,
    '['.repeat(20_000),
  ]
  const told = await toldDuring(chair, watcher, async () => {
    for (const frame of frames) {
      chair.send(frame)
      const { type, msg, ...others } = await chair.next('error')
      assert.equal(typeof msg, 'string', `${type} for ${frame}`)
      assert.notEqual(msg, '', frame)
      assert.deepEqual(others, {}, 'an error has no data')
    }
  })
  assert.deepEqual(told, [])
  assert.equal(errorsOf(chair).length, frames.length)
})

test('a binary frame is an error and not done, whatever it holds; the connection stays', async () => {
  const meeting = await inMeeting(1)
  const member = await meeting.enter(0)
  for (const bytes of [
    Buffer.from(JSON.stringify(say('binary'))),
    Buffer.alloc(0),
    Buffer.from([0, 255, 1]),
  ]) {
    member.send(bytes)
    assert.notEqual((await member.next('error')).msg, '')
  }
  await settle(member)
  assert.deepEqual(await meeting.texts(), [joined(meeting, 0)])
})

async function endsWithoutCloseFrame(member: Member): Promise<void> {
  await until('the connection ends', () => member.isClosed)
  assert.equal((await member.closed).code, 1006)
}

/** A message, of so many bytes as a frame. */
function padded(message: string, bytes: number): string {
  const frame = JSON.stringify({ type: 'message', message, padding: '' })
  return frame.replace('"padding":""', `"padding":"${long(bytes - Buffer.byteLength(frame))}"`)
}

test('a frame of 64 KiB is done', async () => {
  const meeting = await inMeeting(1)
  const member = await meeting.enter(0)
  const frame = padded('big', 65_536)
  assert.equal(Buffer.byteLength(frame), 65_536)
  member.send(frame)
  await member.line('big')
})

test('a frame over 64 KiB ends the connection without a close frame, as a loss', async () => {
  const meeting = await inMeeting(2)
  const [chair, member] = await meeting.enterAll(0, 1)
  const told = await toldDuring(chair, chair, async () => {
    member.send(padded('too big', 65_537))
    await endsWithoutCloseFrame(member)
    const back = await meeting.enter(1)
    await settle(back, chair)
  })
  assert.deepEqual(told, [])
})

test('a message in fragments of together over 64 KiB ends the connection without a close frame', async () => {
  const meeting = await inMeeting(1)
  const member = await meeting.enter(0)
  const frame = padded('too big', 65_537)
  member.ws.send(frame.slice(0, 40_000), { fin: false })
  member.ws.send(frame.slice(40_000), { fin: true })
  await endsWithoutCloseFrame(member)
  assert.deepEqual(await meeting.texts(), [joined(meeting, 0)])
})

// Rate

test('past 20 commands at once a connection is told that it is too fast, what it sent is not done, and others are not concerned', async () => {
  const meeting = await inStrictMeeting(2)
  const [hasty, other] = await meeting.enterAll(0, 1)
  const began = performance.now()
  for (let n = 0; n < 60; n++) hasty.say(`hasty ${n}`)
  await until('all are answered', () => {
    const done = hasty.texts().filter((text) => text.startsWith('hasty ')).length
    return done + errorsOf(hasty).length >= 60
  })
  const seconds = (performance.now() - began) / 1000
  other.say('calm')
  await other.line('calm')

  const done = (await meeting.texts()).filter((text) => text.startsWith('hasty '))
  assert.deepEqual(
    done.slice(0, 20),
    Array.from({ length: 20 }, (_, n) => `hasty ${n}`),
  )
  assert.equal(done.length + errorsOf(hasty).length, 60)
  assert.ok(done.length <= 20 + seconds * 5, `${done.length} in ${seconds} s`)
  assert.deepEqual(new Set(errorsOf(hasty)), new Set(['You are sending too fast']))
  assert.deepEqual(errorsOf(other), [])
})

test('a connection that was too fast may go on after a while', async () => {
  const meeting = await inStrictMeeting(1)
  const hasty = await meeting.enter(0)
  for (let n = 0; n < 25; n++) hasty.send('no command counts as well')
  await hasty.next('error', ({ msg }) => msg === 'You are sending too fast')
  await until('a line passes', async () => {
    hasty.say('patience')
    await wait(300)
    return hasty.texts().includes('patience')
  })
})

test('with -rate 0 there is no limit', async () => {
  const meeting = await inMeeting(1)
  const hasty = await meeting.enter(0)
  for (let n = 0; n < 500; n++) hasty.say(`hasty ${n}`)
  await hasty.line('hasty 499')
  assert.deepEqual(errorsOf(hasty), [])
})
