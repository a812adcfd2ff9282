import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ada, attendeeOf, away, bob, dan, eve, meetingOf, teaPoll } from '../../../test/support/view.ts'
import type { Fact, Joined } from './facts.ts'
import {
  apply,
  attendeeBy,
  type Attendee,
  buildView,
  type Meeting,
  siteFingerprint,
  type StoredMeeting,
} from './view.ts'

/** What of the view is another after these facts, all of them at `now`; what is not named here is as before. */
function changesAt(now: number, before: Meeting, ...facts: Fact[]): Partial<Meeting> {
  const after = structuredClone(before)
  for (const fact of facts) apply(after, fact, now)
  const known = Object.entries(before).map(([name, value]) => [name, JSON.stringify(plain(value))])
  const same = new Map(known as [string, string][])
  return Object.fromEntries(
    Object.entries(after).filter(([name, value]) => same.get(name) !== JSON.stringify(plain(value))),
  )
}

const changes = (before: Meeting, ...facts: Fact[]): Partial<Meeting> => changesAt(50_000, before, ...facts)

/** Maps and sets as the lists that they are, in their order. */
function plain(value: unknown): unknown {
  if (value instanceof Map) return [...value].map(plain)
  if (value instanceof Set) return [...value]
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, plain(part)]))
}

const person = { id: 4, name: 'Dan', color: '4', admin: false, remote: '192.0.2.4' }

/** This attendee joins by the connection that they have. */
function joined(attendee: Attendee, changes: Partial<Joined> = {}): Joined {
  const { id, name, color, admin, proxyName, key, remote, presence } = attendee
  assert.ok(presence.type === 'here' && key !== null)
  const { subscriber } = presence
  return {
    ...{ id, name, color, admin, proxyName, key, remote, subscriber },
    ...{ previous: null, arrival: 'joined' },
    ...changes,
  }
}

test('joined: the last in the list, no longer among those who are gone, each at a revision of their own', () => {
  const meeting = meetingOf({
    departed: [
      { who: dan, lostAt: 5 },
      { who: attendeeOf(9), lostAt: null },
    ],
  })
  const tim = attendeeOf(12)
  const people = [joined(dan, { arrival: 'rejoined' }), joined(tim)]
  const after = changes(meeting, { type: 'joined', people })
  assert.deepEqual([...(after.attendees?.keys() ?? [])], [1, 2, 3, 4, 12])
  assert.deepEqual(after, {
    attendees: new Map([
      [1, ada],
      [2, bob],
      [3, eve],
      [4, { ...dan, revision: 11 }],
      [12, { ...tim, revision: 12 }],
    ]),
    departed: new Map([
      [9, { id: 9, name: 'Member 9', color: '9', admin: false, remote: '192.0.2.9', lostAt: null }],
    ]),
    revision: 12,
  })
})

test('joined, by someone who is in: they keep their place', () => {
  const attendee = attendeeOf(1, { presence: { type: 'here', subscriber: 7 }, name: 'Adele' })
  const people = [joined(attendee, { previous: 101, arrival: 'tookOver' })]
  const { attendees } = changes(meetingOf(), { type: 'joined', people })
  assert.deepEqual(
    [...(attendees ?? [])].map(([id, { name, presence, revision }]) => [id, name, presence, revision]),
    [
      [1, 'Adele', { type: 'here', subscriber: 7 }, 11],
      [2, 'Bob', { type: 'here', subscriber: 102 }, 0],
      [3, 'Eve', { type: 'here', subscriber: 103 }, 0],
    ],
  )
})

test('away: they stay in the list, until so long after now, and the revision as it is', () => {
  const gone = (...members: number[]): Fact => ({
    type: 'away',
    people: members.map((member) => ({ member, subscriber: 100 + member, told: null })),
    forMs: 500,
  })
  assert.deepEqual(changesAt(7000, meetingOf(), gone(2, 3)), {
    attendees: new Map([
      [1, ada],
      [2, away(bob, 7500)],
      [3, away(eve, 7500)],
    ]),
  })
  assert.deepEqual(changes(meetingOf(), gone(99)), {})
})

test('an attendee is known by the connection that counts, and by no other', () => {
  const meeting = meetingOf({ attendees: [ada, away(bob, 60_000)] })
  assert.deepEqual(attendeeBy(meeting, 1, 101), ada)
  for (const [member, subscriber] of [
    [1, 102],
    [2, 102],
    [3, 101],
  ] as const)
    assert.equal(attendeeBy(meeting, member, subscriber), undefined)
})

test('departed: they are among those who are gone, and when they were lost is known', () => {
  const meeting = meetingOf({ attendees: [ada, dan] })
  const departed = (member: number, lost: boolean): Fact => ({
    type: 'departed',
    people: [{ member, subscriber: 100 + member, told: null, lost }],
  })
  for (const lost of [false, true])
    assert.deepEqual(changesAt(700, meeting, departed(4, lost)), {
      attendees: new Map([[1, ada]]),
      departed: new Map([[4, { ...person, lostAt: lost ? 700 : null }]]),
      revision: 11,
    })
  assert.deepEqual(changes(meeting, departed(99, true)), {})
})

test('banned, unbanned: the revision of the bans is the newest', () => {
  assert.deepEqual(changes(meetingOf(), { type: 'banned', members: [4, 5] }), {
    banned: new Set([4, 5]),
    revision: 11,
    banRevision: 11,
  })
  assert.deepEqual(changes(meetingOf({ banned: [4, 5, 6] }), { type: 'unbanned', members: [4, 6] }), {
    banned: new Set([5]),
    revision: 11,
    banRevision: 11,
  })
})

test('stateChanged: so is the revision of the state', () => {
  for (const state of ['pending', 'finished', 'closed'] as const)
    assert.deepEqual(changes(meetingOf(), { type: 'stateChanged', state }), {
      state,
      revision: 11,
      stateRevision: 11,
    })
})

test('renamed, attendeesChanged', () => {
  assert.deepEqual(changes(meetingOf(), { type: 'renamed', name: 'Congress' }), { name: 'Congress' })
  const robert = { member: 2, name: 'Robert', admin: true, proxyName: 'Petra', isRenamed: true }
  const noAdmin = { member: 1, name: 'Ada', admin: false, proxyName: null, isRenamed: false }
  assert.deepEqual(changes(meetingOf(), { type: 'attendeesChanged', people: [robert, noAdmin] }), {
    attendees: new Map([
      [1, { ...ada, admin: false }],
      [2, { ...bob, name: 'Robert', admin: true, proxyName: 'Petra' }],
      [3, eve],
    ]),
  })
  assert.deepEqual(
    changes(meetingOf(), { type: 'attendeesChanged', people: [{ ...robert, member: 99 }] }),
    {},
  )
})

test('pollOpened, voted', () => {
  const meeting = meetingOf()
  const poll = { id: 5, question: 'Tea or coffee?', answers: ['Tea', 'Coffee'], endsInMs: 60_000 }
  assert.deepEqual(changesAt(40_000, meeting, { type: 'pollOpened', poll }), { poll: teaPoll() })
  const polling = meetingOf({ poll: teaPoll([[1, 0]]) })
  assert.deepEqual(
    changes(
      polling,
      {
        type: 'voted',
        votes: [
          { member: 2, answer: 1 },
          { member: 1, answer: 1 },
        ],
      },
      { type: 'voted', votes: [{ member: 2, answer: 1 }] },
    ),
    {
      poll: teaPoll([
        [1, 1],
        [2, 1],
      ]),
    },
  )
  // Of a poll that has ended meanwhile.
  assert.deepEqual(changes(meeting, { type: 'voted', votes: [{ member: 2, answer: 1 }] }), {})
})

test('pollEnded: its result, and its question for ten seconds', () => {
  const votes: [number, number][] = [
    [1, 1],
    [2, 1],
    [99, 0],
  ]
  const meeting = meetingOf({
    poll: teaPoll(votes),
    endedPolls: new Map([
      ['long ago', 40_000],
      ['just now', 40_001],
    ]),
  })
  for (const ending of ['voted', 'time', 'finished', 'aborted'] as const)
    assert.deepEqual(changesAt(50_000, meeting, { type: 'pollEnded', ending }), {
      poll: null,
      endedPolls: new Map([
        ['just now', 40_001],
        ['Tea or coffee?', 50_000],
      ]),
      result: {
        id: 5,
        question: 'Tea or coffee?',
        answers: ['Tea', 'Coffee'],
        tally: ending === 'aborted' ? null : [1, 2],
        ending,
      },
    })
  // Once: told again it ends nothing.
  assert.deepEqual(changes(meetingOf(), { type: 'pollEnded', ending: 'time' }), {})
})

test('commandsDone: an hour later they are forgotten', () => {
  const done = (...ids: string[]): Fact => ({
    type: 'commandsDone',
    commands: ids.map((id) => ({ member: 2, id })),
  })
  const hour = 3_600_000
  const meeting = meetingOf()
  apply(meeting, done('a'), 5)
  apply(meeting, done('b', 'c'), 6)
  const known: [string, number][] = [
    ['2 a', 5],
    ['2 b', 6],
    ['2 c', 6],
  ]
  assert.deepEqual([...meeting.done], known)
  apply(meeting, done('d'), hour + 5)
  assert.deepEqual([...meeting.done], [...known.slice(1), ['2 d', hour + 5]])
})

test('followed: the fingerprint holds until more has changed than it says', () => {
  const meeting = meetingOf()
  assert.equal(siteFingerprint(meeting), '')
  apply(meeting, { type: 'followed', fingerprint: 'abc' }, 0)
  assert.deepEqual([meeting.followed, meeting.revision], [{ fingerprint: 'abc', revision: 10 }, 10])
  assert.equal(siteFingerprint(meeting), 'abc')
  apply(meeting, { type: 'stateChanged', state: 'finished' }, 0)
  assert.equal(siteFingerprint(meeting), '')
})

test('said: where the record ends', () => {
  const line = { time: '19:02:11', date: '2026-03-14', from: -1, fromname: '', color: 'sys', message: 'x' }
  const lines = [70, 72].map((id) => ({ id, ...line }))
  const time = '2026-03-14 19:02:11.000123'
  assert.deepEqual(changes(meetingOf(), { type: 'said', lines, time }), { lastLine: { id: 72, time } })
})

test('vanished: nobody is in it', () => {
  assert.deepEqual(changes(meetingOf({ banned: [9] }), { type: 'vanished' }), { attendees: new Map() })
})

test('a meeting that is read: who had left while nobody looked was lost now, who left by themselves did so', () => {
  const { id, name, color } = bob
  const person = { id, name, color, admin: false, proxyName: null }
  const stored: StoredMeeting = {
    name: 'Meeting',
    state: 'finished',
    attendance: [{ ...person, present: false }],
    banned: [],
    poll: null,
    endedPolls: [],
    lastPoll: null,
    done: [],
    lastLine: { id: 1, time: null },
  }
  const readAt = (now: number, before: Meeting | null): Meeting =>
    buildView(1, stored, before, new Map(), { now, graceMs: 10 })
  const lostAt = (meeting: Meeting): number | null | undefined => meeting.departed.get(id)?.lostAt
  // Nobody could come back before: an outage, or a restart, is not counted against them.
  const first = readAt(500, null)
  assert.equal(lostAt(first), 500)
  assert.equal(lostAt(readAt(900, first)), 900)
  const departed = new Map([[id, { ...person, remote: '', lostAt: null }]])
  assert.equal(lostAt(readAt(900, { ...first, departed })), null)
})
