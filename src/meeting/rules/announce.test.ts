import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Tail } from '../../hub/tail.ts'
import {
  ada,
  attendeeOf,
  away,
  bob,
  dan,
  eve,
  meetingOf,
  onlyLooking,
  teaPoll,
  textsOf,
} from '../../../test/support/view.ts'
import { announcer, greetScreen, type Member, type Telling } from './announce.ts'
import type { Fact, Joined } from './facts.ts'
import { apply, type Attendee, type Meeting } from './view.ts'

const now = 40_000
const server = {
  version: '0.1.0',
  timezone: 'Europe/Paris',
  utcOffset: 3600,
  graceMs: 10_000,
  ratePerSecond: () => 5,
  wallClock: () => 1_773_514_931_123,
}
const rules = announcer(server)

/** What is told of a fact: for all, their audience and the text in either format, one where they are the same. */
function told(meeting: Meeting, fact: Fact): unknown[] {
  apply(meeting, fact, now)
  return onlyLooking(meeting, (meeting) => rules.tell(meeting, fact, now)).map(readable)
}

function readable(telling: Telling): unknown {
  if (telling.type === 'line') {
    const { stock, v1, ...line } = telling
    assert.ok(Buffer.isBuffer(stock) && stock === v1)
    return { ...line, frame: textsOf(stock) }
  }
  if (telling.type === 'join') {
    const { greet: _, ...others } = telling
    return others
  }
  if (telling.type !== 'all' && telling.type !== 'one') return telling
  const [stock, v1] = [telling.stock, telling.v1].map((frame) => {
    assert.ok(frame === null || Buffer.isBuffer(frame))
    return frame && textsOf(frame).join('\n')
  })
  const to = telling.type === 'all' ? telling.to : telling.subscriber
  return stock === v1 ? [to, stock] : [to, { stock, v1 }]
}

const everyone = (text: string): unknown => ['everyone', text]
const toAttendees = (text: string): unknown => ['attendees', text]
const here = (count: number): unknown => [
  'screens',
  { stock: null, v1: `{"type":"here","data":{"count":${count}}}` },
]
const v1Alone = (text: string): unknown => ['everyone', { stock: null, v1: text }]
const meetingText = (admins: number[], changes: { name?: string; state?: string } = {}): string => {
  const { name = 'Assembly', state = 'open' } = changes
  return `{"type":"meeting","data":{"id":7,"name":"${name}","state":"${state}","admins":${JSON.stringify(admins)}}}`
}
const adding = (id: number, name: string): string =>
  `{"type":"adduser","data":{"name":"${name}","color":"${id % 10}","id":${id}}}`
const removing = (id: number, name: string): string =>
  `{"type":"removeuser","data":{"name":"${name}","color":"${id % 10}","id":${id}}}`
const users = (...people: Pick<Attendee, 'id' | 'name'>[]): string => {
  const list = people.map(({ id, name }) => `{"name":"${name}","color":"${id % 10}","id":${id}}`)
  return `{"type":"users","data":{"users":[${list.join(',')}]}}`
}
const sums = '"question":"Tea or coffee?","answers":["Tea","Coffee"],"tally":[0,1]'
/** The poll closes 60 s from now. */
const pollText = (voted: string) => ({
  stock: `{"type":"poll","data":{${sums},"voted":${voted}}}`,
  v1: `{"type":"poll","data":{"id":5,"closesAt":1773514991123,"now":1773514931123,${sums},"voted":${voted}}}`,
})

function joined(who: Attendee, subscriber: number, changes: Partial<Joined> = {}): Joined {
  const { id, name, color, admin, proxyName, remote } = who
  const person = { id, name, color, admin, proxyName, remote, key: '' }
  return { ...person, subscriber, previous: null, arrival: 'joined', ...changes }
}
const joins = (subscriber: number, arrival: string) => ({ type: 'join', subscriber, arrival })
const ends = (subscriber: number, word: string | null) => ({ type: 'end', subscriber, word })

test('joined: first ends the connection that counts no more, then those who are new are told, then they join', () => {
  const meeting = meetingOf({ attendees: [ada, away(bob, 60_000), eve] })
  const people = [
    joined(dan, 41, { arrival: 'rejoined' }),
    joined(bob, 42, { arrival: 'returned' }),
    joined(eve, 43, { arrival: 'tookOver', previous: 103 }),
  ]
  assert.deepEqual(told(meeting, { type: 'joined', people }), [
    ends(103, 'You have connected from a different session. This session is disconnected.'),
    toAttendees(adding(4, 'Dan')),
    here(4),
    joins(41, 'rejoined'),
    joins(42, 'returned'),
    joins(43, 'tookOver'),
  ])
  // An admin is known as one to all.
  const boss = { ...dan, admin: true }
  assert.deepEqual(told(meetingOf(), { type: 'joined', people: [joined(boss, 41)] }), [
    toAttendees(adding(4, 'Dan')),
    here(4),
    v1Alone(meetingText([1, 4])),
    joins(41, 'joined'),
  ])
})

test('where many come or go, for the size of the meeting, one list tells it', () => {
  const crowd = Array.from({ length: 28 }, (_, n) => attendeeOf(20 + n))
  const four = [50, 51, 52, 53].map((id) => attendeeOf(id))
  const toldOf = (attendees: Attendee[], newcomers: Attendee[]): unknown[] => {
    const people = newcomers.map((one) => joined(one, one.id))
    return told(meetingOf({ attendees }), { type: 'joined', people }).slice(0, -newcomers.length)
  }
  const [one, two, three] = four.map((who) => toAttendees(adding(who.id, who.name)))
  assert.deepEqual(toldOf([bob], four.slice(0, 2)), [one, two, here(3)])
  assert.deepEqual(toldOf([bob], four.slice(0, 3)), [toAttendees(users(bob, ...four.slice(0, 3))), here(4)])
  // Three of 31 are less than a tenth.
  assert.deepEqual(toldOf(crowd, four.slice(0, 3)), [one, two, three, here(31)])
  assert.deepEqual(toldOf(crowd, four), [toAttendees(users(...crowd, ...four)), here(32)])

  const goneOf = (attendees: Attendee[], gone: Attendee[]): unknown[] => {
    const people = gone.map(({ id }) => ({ member: id, subscriber: null, told: null, lost: true }))
    return told(meetingOf({ attendees: [...attendees, ...gone] }), { type: 'departed', people })
  }
  assert.deepEqual(goneOf([bob], four.slice(0, 3)), [toAttendees(users(bob)), here(1)])
  assert.deepEqual(goneOf([bob], four.slice(0, 2)), [
    ...four.slice(0, 2).map(({ id, name }) => toAttendees(removing(id, name))),
    here(1),
  ])
})

test('departed, away: connections end by their word, and who is away is told to nobody', () => {
  const kicked = 'You have been forcibly disconnected from this meeting'
  const people = [
    { member: 2, subscriber: 102, told: kicked, lost: false },
    { member: 3, subscriber: null, told: null, lost: true },
  ] as const
  assert.deepEqual(told(meetingOf(), { type: 'departed', people: [...people] }), [
    ends(102, kicked),
    toAttendees(removing(2, 'Bob')),
    toAttendees(removing(3, 'Eve')),
    here(1),
  ])
  const admin = { member: 1, subscriber: 101, told: null }
  assert.deepEqual(told(meetingOf(), { type: 'departed', people: [{ ...admin, lost: false }] }), [
    ends(101, null),
    v1Alone(meetingText([])),
    toAttendees(removing(1, 'Ada')),
    here(2),
  ])
  assert.deepEqual(told(meetingOf(), { type: 'away', people: [admin, ...people], forMs: 10_000 }), [
    ends(101, null),
    ends(102, kicked),
  ])
})

test('stateChanged, renamed: the meeting, for those who know that frame, and the status for all', () => {
  assert.deepEqual(told(meetingOf(), { type: 'stateChanged', state: 'finished' }), [
    v1Alone(meetingText([1], { state: 'finished' })),
    everyone('{"type":"status","data":{"isopen":false,"isfinished":true}}'),
  ])
  assert.deepEqual(told(meetingOf(), { type: 'renamed', name: 'Congress' }), [
    v1Alone(meetingText([1], { name: 'Congress' })),
  ])
})

test('attendeesChanged: whose role is another gets the poll as their role sees it; a new name is told to all', () => {
  const person = { admin: false, proxyName: null, isRenamed: false }
  const people = [
    { ...person, member: 1, name: 'Ada' },
    { ...person, member: 2, name: 'Robert', admin: true, isRenamed: true },
    { ...person, member: 3, name: 'Eve', admin: true },
  ]
  const changed: Fact = { type: 'attendeesChanged', people }
  const attendees = [ada, bob, away(eve, 60_000)]
  const robert = { ...bob, name: 'Robert' }
  assert.deepEqual(told(meetingOf({ attendees, poll: teaPoll([[3, 1]]) }), changed), [
    v1Alone(meetingText([2, 3])),
    { type: 'audience', subscriber: 101 },
    [101, pollText('null')],
    { type: 'audience', subscriber: 102 },
    [102, pollText('[3]')],
    toAttendees(users(ada, robert, eve)),
  ])
  assert.deepEqual(told(meetingOf({ attendees }), { type: 'attendeesChanged', people: people.slice(0, 1) }), [
    v1Alone(meetingText([])),
    { type: 'audience', subscriber: 101 },
  ])
})

test('new lines are for who has all older ones, what admins see for admins, as the view has them now', () => {
  const meeting = meetingOf()
  const audiencesOf = (member: number, behind: number | null) =>
    rules.audiences(meeting, { member, isScreen: false, format: 'stock', first: 0, behind })
  assert.deepEqual(
    [audiencesOf(1, null), audiencesOf(1, 5), audiencesOf(2, null), audiencesOf(2, 5)],
    [
      ['attendees', 'admins', 'readers'],
      ['attendees', 'admins'],
      ['attendees', 'members', 'readers'],
      ['attendees', 'members'],
    ],
  )
  // One and the same list for all: what is told is joined once for each.
  assert.equal(audiencesOf(2, null), audiencesOf(3, null))
  const person = { member: 2, name: 'Bob', admin: true, proxyName: null, isRenamed: false }
  apply(meeting, { type: 'attendeesChanged', people: [person] }, now)
  assert.deepEqual(audiencesOf(2, null), ['attendees', 'admins', 'readers'])
})

test('polls: the sums of a beginning and of an end are told at once, those of votes soon', () => {
  const poll = { id: 5, question: 'Tea or coffee?', answers: ['Tea', 'Coffee'], endsInMs: 60_000 }
  const meeting = meetingOf()
  assert.deepEqual(told(meeting, { type: 'pollOpened', poll }), [{ type: 'sums', soon: false }])
  assert.deepEqual(told(meeting, { type: 'voted', votes: [{ member: 3, answer: 1 }] }), [
    { type: 'sums', soon: true },
  ])
  assert.deepEqual(rules.sums(meeting, now).map(readable), [
    ['admins', pollText('[3]')],
    ['members', pollText('null')],
  ])
  assert.deepEqual(told(meeting, { type: 'pollEnded', ending: 'time' }), [
    v1Alone(
      '{"type":"pollend","data":{"id":5,"question":"Tea or coffee?","answers":["Tea","Coffee"],"tally":[0,1],"ending":"time"}}',
    ),
    { type: 'sums', soon: false },
  ])
  assert.deepEqual(rules.sums(meeting, now).map(readable), [everyone('{"type":"poll","data":null}')])
})

const line = (id: number) =>
  `{"id":${id},"time":"19:02:11","date":"2026-03-14","from":2,"fromname":"Bob","color":"2","message":"Good evening"}`

test('said: each line for those who read along, and for the tail', () => {
  const data = { time: '19:02:11', date: '2026-03-14', from: 2, fromname: 'Bob', color: '2' }
  const lines = [70, 71].map((id) => ({ id, ...data, message: 'Good evening' }))
  assert.deepEqual(
    told(meetingOf(), { type: 'said', lines, time: '2026-03-14 19:02:11.5' }),
    [70, 71].map((id) => ({
      type: 'line',
      to: 'readers',
      id,
      item: line(id),
      frame: [`{"type":"message","data":${line(id)}}`],
    })),
  )
})

test('of bans, of what is remembered and of what was followed nobody is told; of an end everybody', () => {
  for (const fact of [
    { type: 'banned', members: [4] },
    { type: 'unbanned', members: [4] },
    { type: 'commandsDone', commands: [{ member: 1, id: 'a' }] },
    { type: 'followed', fingerprint: 'a' },
  ] satisfies Fact[])
    assert.deepEqual(told(meetingOf(), fact), [])
  assert.deepEqual(told(meetingOf(), { type: 'vanished' }), [{ type: 'gone' }])
  assert.equal(rules.gone, 'This meeting no longer exists')
})

test('a newcomer is greeted by the list, the status, the poll as they may see it, and the lines that they lack', () => {
  const tail = new Tail<string>(() => now, 60)
  for (const id of [70, 71]) tail.append(id, line(id))
  const meeting = meetingOf({ poll: teaPoll([[3, 1]]), lastLine: { id: 71, time: '' } })
  const [joining] = rules
    .tell(meeting, { type: 'joined', people: [joined(bob, 102)] }, now)
    .filter((telling) => telling.type === 'join')
  assert.ok(joining)
  const greeting = (one: Member): { texts: string[]; behind: number | null } => {
    const { frames, behind } = onlyLooking(meeting, () => joining.greet(one, tail))
    return { texts: frames.flatMap(textsOf), behind }
  }
  const begin = [
    users(ada, bob, eve),
    '{"type":"status","data":{"isopen":true,"isfinished":false}}',
    '{"type":"poll","data":null}',
  ]
  const messages = (...ids: number[]): string => `{"type":"messages","data":[${ids.map(line).join(',')}]}`
  assert.deepEqual(greeting({ member: 2, isScreen: false, format: 'stock', first: 60, behind: null }), {
    texts: [...begin, pollText('null').stock, messages(70, 71)],
    behind: null,
  })
  assert.deepEqual(greeting({ member: 1, isScreen: false, format: 'stock', first: 70, behind: null }), {
    texts: [...begin, pollText('[3]').stock, messages(71)],
    behind: null,
  })
  // The lines before the tail are read from the database.
  const { texts, behind } = greeting({ member: 1, isScreen: false, format: 'v1', first: 59, behind: null })
  const [welcome, ...rest] = texts
  assert.match(
    welcome ?? '',
    /^\{"type":"welcome","data":\{"version":"0\.1\.0","now":1773514931123,"timezone":"Europe\/Paris","utcOffset":3600,"you":\{"name":"Ada",/,
  )
  assert.deepEqual([rest, behind], [[...begin, pollText('[3]').v1], 59])
  // Who names a line that there is not yet lacks none of those that are to come.
  tail.restart(100)
  assert.equal(greeting({ member: 3, isScreen: false, format: 'stock', first: 90, behind: null }).behind, 71)
})

test('after the meeting was loaded anew: who stays, and what is told', () => {
  const meeting = meetingOf({ attendees: [ada, bob], banned: [3] })
  const dismissal = (member: number) =>
    rules.dismissal(meeting, { member, isScreen: false, format: 'stock', first: 0, behind: null })
  assert.deepEqual([dismissal(1), dismissal(3), dismissal(4)], [undefined, 'kicked without return', null])
  assert.ok(rules.looksSame(meeting, meetingOf({ attendees: [ada, away(bob, 1)] })))
  for (const other of [
    meetingOf({ attendees: [bob, ada] }),
    meetingOf({ attendees: [ada, { ...bob, admin: true }] }),
    meetingOf({ attendees: [ada, bob], state: 'finished' }),
    meetingOf({ attendees: [ada, bob], poll: teaPoll() }),
  ])
    assert.ok(!rules.looksSame(meeting, other))

  const result = { id: 4, question: 'Q', answers: ['Yes', 'No'], tally: null, ending: 'aborted' } as const
  const after = meetingOf({ attendees: [ada], result: { ...result, answers: [...result.answers] } })
  const begin = [
    toAttendees(users(ada)),
    here(1),
    everyone('{"type":"status","data":{"isopen":true,"isfinished":false}}'),
    v1Alone(meetingText([1])),
  ]
  const noPoll = everyone('{"type":"poll","data":null}')
  assert.deepEqual(rules.reloaded(meeting, after, now).map(readable), [
    ...begin,
    v1Alone(
      '{"type":"pollend","data":{"id":4,"question":"Q","answers":["Yes","No"],"tally":null,"ending":"aborted"}}',
    ),
    noPoll,
  ])
  // Of a poll that has ended it is told once.
  const polling = { ...after, poll: teaPoll() }
  assert.deepEqual(rules.reloaded(after, polling, now).map(readable), [
    ...begin,
    noPoll,
    { type: 'sums', soon: false },
  ])
})

test('a screen has sums and how many are here, whosever key it has, and nothing with a name; a ban of them ends it', () => {
  const meeting = meetingOf({ poll: teaPoll([[3, 1]]), banned: [4] })
  const screen = (member: number): Member => ({
    member,
    isScreen: true,
    format: 'v1',
    first: 0,
    behind: null,
  })
  for (const member of [1, 2, 9]) {
    assert.deepEqual(rules.audiences(meeting, screen(member)), ['members', 'screens'])
    assert.equal(rules.readsRecord?.(screen(member)), false)
    assert.equal(rules.dismissal(meeting, screen(member)), undefined)
  }
  assert.equal(rules.dismissal(meeting, screen(4)), 'kicked without return')
  const greeting = greetScreen(server, meeting, 'v1', now).flatMap(textsOf)
  assert.match(greeting[0] ?? '', /^\{"type":"welcome",.*"you":null,.*"vote":null,/)
  assert.deepEqual(greeting.slice(1), [
    '{"type":"here","data":{"count":3}}',
    '{"type":"status","data":{"isopen":true,"isfinished":false}}',
    '{"type":"poll","data":null}',
    pollText('null').v1,
    '{"type":"messages","data":[]}',
  ])
  for (const { name } of [ada, bob, eve]) assert.ok(!greeting.join('').includes(name))
})

test('who is here, and in which audience, is changed by some facts alone', () => {
  const facts: [Fact, boolean][] = [
    [{ type: 'joined', people: [] }, true],
    [{ type: 'away', people: [], forMs: 0 }, true],
    [{ type: 'departed', people: [] }, true],
    [{ type: 'attendeesChanged', people: [] }, true],
    [{ type: 'vanished' }, true],
    [{ type: 'voted', votes: [] }, false],
    [{ type: 'said', lines: [], time: '' }, false],
    [{ type: 'stateChanged', state: 'open' }, false],
  ]
  for (const [fact, changes] of facts) assert.equal(rules.changesAudience(fact), changes, fact.type)
})
