import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ada, attendeeOf, away, bob, dan, eve, meetingOf, teaPoll } from '../../test/support/view.ts'
import { apply, type Event, type Meeting } from './meeting.ts'

/** What of the view is another after these events; what is not named here is as before. */
function changes(before: Meeting, ...events: Event[]): Partial<Meeting> {
  const after = structuredClone(before)
  for (const event of events) apply(after, event)
  const known = Object.entries(before).map(([name, value]) => [name, JSON.stringify(plain(value))])
  const same = new Map(known as [string, string][])
  return Object.fromEntries(
    Object.entries(after).filter(([name, value]) => same.get(name) !== JSON.stringify(plain(value))),
  )
}

/** Maps and sets as the lists that they are, in their order. */
function plain(value: unknown): unknown {
  if (value instanceof Map) return [...value].map(plain)
  if (value instanceof Set) return [...value]
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, plain(part)]))
}

const person = { id: 4, name: 'Dan', color: '4', admin: false, remote: '192.0.2.4' }

test('entered: the last in the list, no longer among those who are gone, at a revision of their own', () => {
  const meeting = meetingOf({
    departed: [
      { who: dan, lostAt: 5 },
      { who: attendeeOf(9), lostAt: null },
    ],
  })
  const entered = changes(meeting, { type: 'entered', attendee: dan, arrival: 'rejoined' })
  assert.deepEqual([...(entered.attendees?.keys() ?? [])], [1, 2, 3, 4])
  assert.deepEqual(entered, {
    attendees: new Map([
      [1, ada],
      [2, bob],
      [3, eve],
      [4, { ...dan, revision: 11 }],
    ]),
    departed: new Map([
      [9, { id: 9, name: 'Member 9', color: '9', admin: false, remote: '192.0.2.9', lostAt: null }],
    ]),
    revision: 11,
  })
})

test('entered, by someone who is in: they keep their place', () => {
  const attendee = attendeeOf(1, { presence: { type: 'here', socket: 7 }, name: 'Adele' })
  const { attendees } = changes(meetingOf(), { type: 'entered', attendee, arrival: 'tookOver' })
  assert.deepEqual(
    [...(attendees ?? [])].map(([id, { name, presence, revision }]) => [id, name, presence, revision]),
    [
      [1, 'Adele', { type: 'here', socket: 7 }, 11],
      [2, 'Bob', { type: 'here', socket: 102 }, 0],
      [3, 'Eve', { type: 'here', socket: 103 }, 0],
    ],
  )
})

test('away: they stay in the list, and the revision as it is', () => {
  assert.deepEqual(changes(meetingOf(), { type: 'away', member: 2, until: 500 }), {
    attendees: new Map([
      [1, ada],
      [2, away(bob, 500)],
      [3, eve],
    ]),
  })
  assert.deepEqual(changes(meetingOf(), { type: 'away', member: 99, until: 500 }), {})
})

test('departed: they are among those who are gone, and when they were lost is known', () => {
  const meeting = meetingOf({ attendees: [ada, dan] })
  for (const lostAt of [null, 700])
    assert.deepEqual(changes(meeting, { type: 'departed', member: 4, told: null, lostAt }), {
      attendees: new Map([[1, ada]]),
      departed: new Map([[4, { ...person, lostAt }]]),
      revision: 11,
    })
  assert.deepEqual(changes(meeting, { type: 'departed', member: 99, told: null, lostAt: 1 }), {})
})

test('banned, unbanned: the revision of the bans is the newest', () => {
  assert.deepEqual(changes(meetingOf(), { type: 'banned', member: 4 }), {
    banned: new Set([4]),
    revision: 11,
    banRevision: 11,
  })
  assert.deepEqual(changes(meetingOf({ banned: [4, 5] }), { type: 'unbanned', member: 4 }), {
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

test('renamed, attendeeChanged', () => {
  assert.deepEqual(changes(meetingOf(), { type: 'renamed', name: 'Congress' }), { name: 'Congress' })
  const changed = {
    type: 'attendeeChanged',
    member: 2,
    name: 'Robert',
    admin: true,
    proxyName: 'Petra',
    isRenamed: true,
  } as const
  assert.deepEqual(changes(meetingOf(), changed), {
    attendees: new Map([
      [1, ada],
      [2, { ...bob, name: 'Robert', admin: true, proxyName: 'Petra' }],
      [3, eve],
    ]),
  })
  assert.deepEqual(changes(meetingOf(), { ...changed, member: 99 }), {})
})

test('pollOpened, voted', () => {
  const meeting = meetingOf()
  assert.deepEqual(changes(meeting, { type: 'pollOpened', poll: teaPoll() }), { poll: teaPoll() })
  const polling = meetingOf({ poll: teaPoll([[1, 0]]) })
  assert.deepEqual(
    changes(
      polling,
      { type: 'voted', member: 2, answer: 1 },
      { type: 'voted', member: 1, answer: 1 },
      { type: 'voted', member: 2, answer: 1 },
    ),
    {
      poll: teaPoll([
        [1, 1],
        [2, 1],
      ]),
    },
  )
  // Of a poll that has ended meanwhile.
  assert.deepEqual(changes(meeting, { type: 'voted', member: 2, answer: 1 }), {})
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
    assert.deepEqual(changes(meeting, { type: 'pollEnded', endedAt: 50_000, ending }), {
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
  assert.deepEqual(changes(meetingOf(), { type: 'pollEnded', endedAt: 1, ending: 'time' }), {})
})

test('commandsDone: an hour later they are forgotten', () => {
  const done = (id: string, at: number): Event => ({
    type: 'commandsDone',
    commands: [{ member: 2, id }],
    at,
  })
  const hour = 3_600_000
  assert.deepEqual(
    changes(meetingOf(), done('a', 5), done('b', 6)).done,
    new Map([
      ['2 a', 5],
      ['2 b', 6],
    ]),
  )
  assert.deepEqual(
    changes(meetingOf(), done('a', 5), done('b', 6), done('c', hour + 5)).done,
    new Map([
      ['2 b', 6],
      ['2 c', hour + 5],
    ]),
  )
})

test('vanished: nobody is in it', () => {
  assert.deepEqual(changes(meetingOf({ banned: [9] }), { type: 'vanished' }), { attendees: new Map() })
})

test('an event of each kind is plain data, but for the votes of a poll that was opened', () => {
  const events: Event[] = [
    { type: 'entered', attendee: ada, arrival: 'joined' },
    { type: 'away', member: 1, until: 2.5 },
    { type: 'departed', member: 1, told: null, lostAt: null },
    { type: 'banned', member: 1 },
    { type: 'unbanned', member: 1 },
    { type: 'stateChanged', state: 'open' },
    { type: 'renamed', name: 'Congress' },
    { type: 'attendeeChanged', member: 1, name: 'Ada', admin: true, proxyName: null, isRenamed: false },
    { type: 'voted', member: 1, answer: 0 },
    { type: 'pollEnded', endedAt: 1, ending: 'voted' },
    { type: 'commandsDone', commands: [{ member: 1, id: 'a' }], at: 1 },
    { type: 'vanished' },
  ]
  for (const event of events) assert.deepEqual(JSON.parse(JSON.stringify(event)), event)
})
