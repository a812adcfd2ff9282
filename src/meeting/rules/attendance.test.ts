import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  ada,
  attendeeOf,
  away,
  bob,
  credentialOf,
  dan,
  eve,
  meetingOf,
  onlyLooking,
  outcomeOf,
  system,
} from '../../../test/support/view.ts'
import { type Credential, endConnections, join, refusal, screenRefusal, regardless } from './attendance.ts'
import type { Arrival, Fact } from './facts.ts'
import type { Attendee, Meeting, MeetingState } from './view.ts'

const states = ['pending', 'open', 'finished', 'closed'] as const satisfies MeetingState[]

const notAllowed = 'You are not allowed to enter this meeting'
const over = 'This meeting is already finished and can no longer be joined.'
const inProgress = 'This meeting is already in progress and can no longer be joined.'
const tooEarly = 'This meeting cannot be entered yet.'

/** Says for each state of the meeting why this one may not enter; null where they may. */
const inEachState = (
  credential: Credential,
  meeting: Meeting | null = null,
  joinWindowMs: number | null = null,
): (string | null)[] =>
  states.map((state) => refusal({ ...credential, state }, meeting && { ...meeting, state }, joinWindowMs))

test('who may enter, by what the database knows of them: pending, open, finished and closed', () => {
  const guest = { allowRejoin: false }
  const cases: [why: string, Credential, (string | null)[]][] = [
    ['a member who was in before', credentialOf(dan), [null, null, over, over]],
    ['a member who was not', credentialOf(dan, guest), [null, inProgress, over, over]],
    ['an admin who was in before', credentialOf(ada), [null, null, null, over]],
    ['an admin who was not', credentialOf(ada, guest), [null, null, null, over]],
    [
      'a member who is banned',
      credentialOf(dan, { banned: true }),
      [notAllowed, notAllowed, notAllowed, notAllowed],
    ],
    [
      'an admin who is banned',
      credentialOf(ada, { banned: true }),
      [notAllowed, notAllowed, notAllowed, notAllowed],
    ],
  ]
  for (const [why, credential, expected] of cases) {
    assert.deepEqual(inEachState(credential), expected, why)
    // The same where the meeting is open in this process already, and they are not in it.
    assert.deepEqual(inEachState(credential, meetingOf()), expected, why)
  }
})

test('a screen may show a meeting until that is closed, whether its member may enter or not; not for who is banned', () => {
  const judge = (credential: Credential | null, view: Meeting | null = null): (string | null)[] =>
    states.map((state) => screenRefusal(credential && { ...credential, state }, view))
  const never = [notAllowed, notAllowed, notAllowed, notAllowed]
  assert.deepEqual(judge(credentialOf(dan, { allowRejoin: false, startsInMs: 86_400_000 })), [
    null,
    null,
    null,
    over,
  ])
  assert.deepEqual(judge(null), never)
  assert.deepEqual(judge(credentialOf(ada, { banned: true })), never)
  assert.deepEqual(judge(credentialOf(dan), meetingOf({ banned: [4] })), never)
  assert.deepEqual(judge(credentialOf(dan), meetingOf({ state: 'closed' })), [over, over, over, over])
})

test('whose key is not known may not enter, in one word for all that may be wrong', () => {
  for (const state of states) assert.equal(refusal(null, meetingOf({ state }), null), notAllowed)
  assert.equal(refusal(null, null, 1000), notAllowed)
})

test('a ban holds as soon as either the view or the row knows of it', () => {
  const meeting = meetingOf({ banned: [4] })
  assert.equal(refusal(credentialOf(dan, { banned: false }), meeting, null), notAllowed)
  assert.equal(refusal(credentialOf(dan, { banned: true }), meetingOf(), null), notAllowed)
  assert.equal(refusal(credentialOf(dan), meetingOf({ banned: [5] }), null), null)
})

test('an end holds as soon as either the view or the row knows of it, and so does the opening', () => {
  const judge = (row: MeetingState, view: MeetingState, allowRejoin = true): string | null =>
    refusal(credentialOf(dan, { state: row, allowRejoin }), meetingOf({ state: view }), null)
  assert.deepEqual(
    [
      judge('open', 'closed'),
      judge('closed', 'open'),
      judge('open', 'finished'),
      judge('finished', 'open'),
      judge('pending', 'open', false),
      judge('open', 'pending', false),
      judge('pending', 'open'),
    ],
    [over, over, over, over, inProgress, inProgress, null],
  )
})

test('who is away for less than the grace time comes back into a finished meeting; who has left, or is here, does not', () => {
  const meeting = meetingOf({
    attendees: [ada, away(bob, 60_000), eve],
    departed: [{ who: dan, lostAt: 1 }],
  })
  assert.deepEqual(inEachState(credentialOf(bob), meeting), [null, null, null, over])
  assert.deepEqual(inEachState(credentialOf(eve), meeting), [null, null, over, over])
  assert.deepEqual(inEachState(credentialOf(dan), meeting), [null, null, over, over])
  // Leave to return that the site has taken back is gone for them too.
  assert.equal(refusal(credentialOf(bob, { allowRejoin: false }), meeting, null), inProgress)
})

test('with a window nobody but admins enters before it', () => {
  const window = 600_000
  const at = (startsInMs: number, who = dan): string | null =>
    refusal(credentialOf(who, { state: 'pending', startsInMs }), null, window)
  assert.deepEqual(
    [at(600_001), at(600_000), at(0), at(-1), at(86_400_000), at(86_400_000, ada)],
    [tooEarly, null, null, null, tooEarly, null],
  )
  assert.equal(refusal(credentialOf(dan, { startsInMs: 86_400_000 }), null, null), null)
  // What is over, or in progress without them, is said as such.
  const late = credentialOf(dan, { startsInMs: 86_400_000, allowRejoin: false })
  assert.deepEqual(inEachState(late, null, window), [tooEarly, inProgress, over, over])
})

test('each arrival: what the record says, and what of it is written', () => {
  const meetings: Record<Arrival, Meeting> = {
    joined: meetingOf({ attendees: [ada] }),
    rejoined: meetingOf({ attendees: [ada], departed: [{ who: bob, lostAt: 5 }] }),
    returned: meetingOf({ attendees: [ada, away(bob, 60_000)] }),
    tookOver: meetingOf({ attendees: [ada, bob] }),
  }
  const lines: Record<Arrival, string[]> = {
    joined: ['Member Bob joined the meeting'],
    rejoined: ['Member Bob re-joined the meeting'],
    returned: [],
    tookOver: ['Member Bob re-joined the meeting'],
  }
  const throughProxy: Record<Arrival, string[]> = {
    joined: ['Member Bob joined the meeting (through proxy Petra)'],
    rejoined: ['Member Bob re-joined the meeting (through proxy Petra)'],
    returned: [],
    tookOver: ['Member Bob re-joined the meeting (through proxy Petra)'],
  }
  /** Whether their row of the attendance is written, with leave to return and without. */
  const isWritten: Record<Arrival, [boolean, boolean]> = {
    joined: [true, true],
    rejoined: [true, true],
    returned: [false, true],
    tookOver: [true, true],
  }
  for (const arrival of Object.keys(meetings) as Arrival[])
    for (const [proxyName, said] of [
      [null, lines],
      ['Petra', throughProxy],
    ] as const)
      for (const allowRejoin of [true, false]) {
        const decision = onlyLooking(meetings[arrival], (meeting) =>
          join(meeting, [
            {
              credential: credentialOf(bob, { proxyName, allowRejoin, key: 'new' }),
              subscriber: 42,
              remote: '198.51.100.9',
            },
          ]),
        )
        assert.deepEqual(
          outcomeOf(decision),
          {
            write: {
              lines: said[arrival].map(system),
              attend: isWritten[arrival][allowRejoin ? 0 : 1] ? [2] : [],
            },
            facts: [
              {
                type: 'joined',
                people: [
                  {
                    id: 2,
                    name: 'Bob',
                    color: '2',
                    admin: false,
                    proxyName,
                    key: 'new',
                    remote: '198.51.100.9',
                    subscriber: 42,
                    previous: arrival === 'tookOver' ? 102 : null,
                    arrival,
                  },
                ],
              },
            ],
          },
          `${arrival}, proxy ${proxyName}, ${allowRejoin}`,
        )
      }
})

test('the role and the name of who enters are those of the database at that moment', () => {
  const credential = credentialOf({ ...bob, admin: true, name: 'Robert' })
  const { facts } = outcomeOf(join(meetingOf(), [{ credential, subscriber: 1, remote: '' }]))
  const [fact] = facts
  assert.ok(fact?.type === 'joined')
  assert.deepEqual(
    fact.people.map(({ name, admin, arrival }) => [name, admin, arrival]),
    [['Robert', true, 'tookOver']],
  )
})

test('several who join are one write and one fact, in their order', () => {
  const meeting = meetingOf({ attendees: [ada, away(bob, 60_000)] })
  const joining = [dan, bob, ada].map((who, n) => ({
    credential: credentialOf(who),
    subscriber: 41 + n,
    remote: `198.51.100.${n}`,
  }))
  const { write, facts } = outcomeOf(onlyLooking(meeting, (meeting) => join(meeting, joining)))
  assert.deepEqual(write, {
    lines: [system('Member Dan joined the meeting'), system('Member Ada re-joined the meeting')],
    attend: [4, 1],
  })
  const [fact, ...others] = facts
  assert.ok(fact?.type === 'joined' && others.length === 0)
  assert.deepEqual(
    fact.people.map(({ id, remote, subscriber, previous, arrival }) => [
      id,
      remote,
      subscriber,
      previous,
      arrival,
    ]),
    [
      [4, '198.51.100.0', 41, null, 'joined'],
      [2, '198.51.100.1', 42, null, 'returned'],
      [1, '198.51.100.2', 43, 101, 'tookOver'],
    ],
  )
})

const left = (attendee: Attendee) => ({ attendee, how: 'left' }) as const
const lost = (attendee: Attendee) => ({ attendee, how: 'lost' }) as const

test('a connection that is lost begins the grace time: nothing is written', () => {
  assert.deepEqual(outcomeOf(endConnections([lost(bob)], 10_000)), {
    write: { lines: [], depart: [] },
    facts: [{ type: 'away', people: [{ member: 2, subscriber: 102, told: null }], forMs: 10_000 }],
  })
})

test('who says goodbye has left at once; so has who is lost where there is no grace time, and that is known', () => {
  const written = { lines: [system('Member Bob left the meeting')], depart: [2] }
  const departed = (lost: boolean): Fact => ({
    type: 'departed',
    people: [{ member: 2, subscriber: 102, told: null, lost }],
  })
  assert.deepEqual(outcomeOf(endConnections([left(bob)], 10_000)), {
    write: written,
    facts: [departed(false)],
  })
  assert.deepEqual(outcomeOf(endConnections([left(bob)], 0)), {
    write: written,
    facts: [departed(false)],
  })
  assert.deepEqual(outcomeOf(endConnections([lost(bob)], 0)), {
    write: written,
    facts: [departed(true)],
  })
})

test('ends of several connections are one write, in their order', () => {
  const tim = attendeeOf(12, { name: 'Tim' })
  assert.deepEqual(outcomeOf(endConnections([left(eve), lost(bob), left(tim)], 10_000)), {
    write: {
      lines: [system('Member Eve left the meeting'), system('Member Tim left the meeting')],
      depart: [3, 12],
    },
    facts: [
      { type: 'away', people: [{ member: 2, subscriber: 102, told: null }], forMs: 10_000 },
      {
        type: 'departed',
        people: [
          { member: 3, subscriber: 103, told: null, lost: false },
          { member: 12, subscriber: 112, told: null, lost: false },
        ],
      },
    ],
  })
  assert.deepEqual(outcomeOf(endConnections([], 10_000)), {
    write: { lines: [], depart: [] },
    facts: [],
  })
})

test('a departure that the database refuses is due at once, and ends its connection all the same; all else stays true', () => {
  const told = 'You are not allowed to enter this meeting'
  const renamed: Fact = { type: 'renamed', name: 'Congress' }
  const kept: Fact[] = [
    { type: 'away', people: [{ member: 3, subscriber: 103, told: null }], forMs: 10_000 },
    renamed,
    { type: 'vanished' },
  ]
  assert.deepEqual(regardless(kept), kept)
  const [fact, ...others] = regardless([
    { type: 'departed', people: [{ member: 2, subscriber: 102, told, lost: true }] },
    renamed,
  ])
  assert.deepEqual(others, [renamed])
  assert.ok(fact?.type === 'away' && fact.forMs === 0)
  assert.deepEqual(
    fact.people.map(({ member, subscriber, told }) => ({ member, subscriber, told })),
    [{ member: 2, subscriber: 102, told }],
  )
})
