import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  ada,
  away,
  bob,
  dan,
  eve,
  meetingOf,
  onlyLooking,
  outcomeOf,
  system,
} from '../../../test/support/view.ts'
import type { Change, Fact } from './facts.ts'
import { followSite, type SiteState } from './site.ts'
import { apply, type Attendee, type Meeting } from './view.ts'

type Site = Exclude<SiteState, null>
type Row = Site['keys'] extends ReadonlyMap<number, infer Value> ? Value : never

const rowOf = (attendee: Attendee, changes: Partial<Row> = {}): [number, Row] => [
  attendee.id,
  {
    key: `key of ${attendee.id}`,
    name: attendee.name,
    allowRejoin: true,
    proxyName: null,
    ...changes,
  },
]

/** What the site says of `meetingOf()`: nothing new. */
const siteOf = (changes: Partial<Site> = {}): Site => ({
  name: 'Assembly',
  state: 'open',
  admins: new Set([1]),
  banned: new Set(),
  keys: new Map([ada, bob, eve].map((one) => rowOf(one))),
  ...changes,
})

/** The same, but Bob's row is changed, or gone. */
const withBob = (row: Partial<Row> | null): Site =>
  siteOf({ keys: new Map([rowOf(ada), ...(row ? [rowOf(bob, row)] : []), rowOf(eve)]) })

/** What follows from the site's tables, asked for at the view's revision. */
const follow = (meeting: Meeting, site: SiteState, asOf = meeting.revision) =>
  onlyLooking(meeting, (meeting) => followSite(meeting, site, asOf))

const notAllowed = 'You are not allowed to enter this meeting'
const kicked = 'kicked without return'

/** Bob is shown out because of their key; `subscriber` is the connection that ends. */
const bobExpelled = (subscriber: number | null = 102): Change => ({
  write: { lines: [system('Member Bob left the meeting')], depart: [2] },
  facts: [{ type: 'departed', people: [{ member: 2, subscriber, told: notAllowed, lost: false }] }],
})
const only = (fact: Fact): Change => ({ write: { lines: [], depart: [] }, facts: [fact] })
type Changed = Extract<Fact, { type: 'attendeesChanged' }>['people'][number]
const bobChanged = (changes: Partial<Changed>): Change =>
  only({
    type: 'attendeesChanged',
    people: [{ member: 2, name: 'Bob', admin: false, proxyName: null, isRenamed: false, ...changes }],
  })

const cases: [what: string, Meeting, Site, Change | null][] = [
  ['nothing has changed', meetingOf(), siteOf(), null],
  [
    'the meeting has another name',
    meetingOf(),
    siteOf({ name: 'Congress' }),
    only({ type: 'renamed', name: 'Congress' }),
  ],
  ...(['pending', 'finished', 'closed'] as const).map((state): (typeof cases)[number] => [
    `it is ${state} there`,
    meetingOf(),
    siteOf({ state }),
    only({ type: 'stateChanged', state }),
  ]),
  [
    'it was opened there',
    meetingOf({ state: 'pending' }),
    siteOf(),
    only({ type: 'stateChanged', state: 'open' }),
  ],
  ['a member became an admin', meetingOf(), siteOf({ admins: new Set([1, 2]) }), bobChanged({ admin: true })],
  [
    'an admin is one no more',
    meetingOf({ attendees: [ada, { ...bob, admin: true }, eve] }),
    siteOf(),
    bobChanged({ admin: false }),
  ],
  ['an admin who is not here is of no concern', meetingOf(), siteOf({ admins: new Set([1, 99]) }), null],
  [
    'a member has another name',
    meetingOf(),
    withBob({ name: 'Robert' }),
    bobChanged({ name: 'Robert', isRenamed: true }),
  ],
  [
    'the key was given to a proxy whose name alone is new',
    meetingOf(),
    withBob({ proxyName: 'Petra' }),
    bobChanged({ proxyName: 'Petra' }),
  ],
  ['the key was changed', meetingOf(), withBob({ key: 'another' }), bobExpelled()],
  ['the key is gone, or its member', meetingOf(), withBob(null), bobExpelled()],
  [
    'an admin’s key was changed',
    meetingOf(),
    siteOf({ keys: new Map([rowOf(ada, { key: 'another' }), rowOf(bob), rowOf(eve)]) }),
    {
      write: { lines: [system('Member Ada left the meeting')], depart: [1] },
      facts: [{ type: 'departed', people: [{ member: 1, subscriber: 101, told: notAllowed, lost: false }] }],
    },
  ],
  [
    'who has not come back since a restart may have another key: it is not known which one they had',
    meetingOf({ attendees: [ada, away({ ...bob, key: null }, 60_000), eve] }),
    withBob({ key: 'another' }),
    null,
  ],
  [
    'who has not come back since a restart has no key any more',
    meetingOf({ attendees: [ada, away({ ...bob, key: null }, 60_000), eve] }),
    withBob(null),
    bobExpelled(null),
  ],
  [
    'leave to return was taken back while it is open',
    meetingOf(),
    withBob({ allowRejoin: false }),
    bobExpelled(),
  ],
  [
    'leave to return was taken back while it is pending',
    meetingOf({ state: 'pending' }),
    { ...withBob({ allowRejoin: false }), state: 'pending' },
    null,
  ],
  [
    'leave to return was taken back when it had been finished',
    meetingOf({ state: 'finished' }),
    { ...withBob({ allowRejoin: false }), state: 'finished' },
    null,
  ],
  [
    'an admin needs no leave to return',
    meetingOf({ attendees: [ada, { ...bob, admin: true }, eve] }),
    { ...withBob({ allowRejoin: false }), admins: new Set([1, 2]) },
    null,
  ],
  [
    'a ban from the command line',
    meetingOf(),
    siteOf({ banned: new Set([2]) }),
    {
      write: { lines: [system('User Bob has been disconnected by the operator')], depart: [2] },
      facts: [
        { type: 'departed', people: [{ member: 2, subscriber: 102, told: kicked, lost: false }] },
        { type: 'banned', members: [2] },
      ],
    },
  ],
  [
    'a ban of someone who is not here',
    meetingOf({ departed: [{ who: dan, lostAt: null }] }),
    siteOf({ banned: new Set([4]) }),
    only({ type: 'banned', members: [4] }),
  ],
  ['a ban that was lifted', meetingOf({ banned: [4] }), siteOf(), only({ type: 'unbanned', members: [4] })],
  ['a ban that is known', meetingOf({ banned: [4] }), siteOf({ banned: new Set([4]) }), null],
]

for (const [what, meeting, site, expected] of cases)
  test(what, () => {
    const decision = follow(meeting, site)
    if (expected === null) return assert.equal(decision, null)
    assert.deepEqual(outcomeOf(decision), expected)
    for (const fact of outcomeOf(decision).facts) apply(meeting, fact, 50_000)
    assert.equal(follow(meeting, site), null, 'what has been followed is followed again')
  })

test('a meeting that is gone ends for everyone, without a line', () => {
  assert.deepEqual(outcomeOf(follow(meetingOf(), null)), {
    write: { lines: [], depart: [1, 2, 3] },
    facts: [{ type: 'vanished' }],
  })
  assert.deepEqual(outcomeOf(follow(meetingOf({ attendees: [] }), null)), {
    write: { lines: [], depart: [] },
    facts: [{ type: 'vanished' }],
  })
})

test('several changes at once: who is kicked first, then who is shown out, then what has changed', () => {
  const site = siteOf({
    name: 'Congress',
    state: 'finished',
    admins: new Set([1, 3]),
    banned: new Set([2]),
    keys: new Map([rowOf(ada, { key: 'another' }), rowOf(bob), rowOf(eve)]),
  })
  assert.deepEqual(outcomeOf(follow(meetingOf(), site)), {
    write: {
      lines: [
        system('User Bob has been disconnected by the operator'),
        system('Member Ada left the meeting'),
      ],
      depart: [2, 1],
    },
    facts: [
      {
        type: 'departed',
        people: [
          { member: 2, subscriber: 102, told: kicked, lost: false },
          { member: 1, subscriber: 101, told: notAllowed, lost: false },
        ],
      },
      { type: 'renamed', name: 'Congress' },
      { type: 'stateChanged', state: 'finished' },
      { type: 'banned', members: [2] },
      {
        type: 'attendeesChanged',
        people: [{ member: 3, name: 'Eve', admin: true, proxyName: null, isRenamed: false }],
      },
    ],
  })
})

test('what has changed here since the site was asked is left as it is', () => {
  const at = 10
  const open = meetingOf({ state: 'open', revision: 11, stateRevision: 11 })
  assert.equal(follow(open, siteOf({ state: 'pending' }), at), null)
  assert.deepEqual(
    outcomeOf(follow(open, siteOf({ state: 'pending' }), 11)),
    only({ type: 'stateChanged', state: 'pending' }),
  )

  const bans = meetingOf({ banned: [4], revision: 11, banRevision: 11 })
  assert.equal(follow(bans, siteOf(), at), null)
  assert.deepEqual(outcomeOf(follow(bans, siteOf(), 11)), only({ type: 'unbanned', members: [4] }))

  const entered = meetingOf({ attendees: [ada, { ...bob, revision: 11 }, eve], revision: 11 })
  for (const site of [withBob(null), withBob({ key: 'old' }), withBob({ name: 'Robert' })])
    assert.equal(follow(entered, site, at), null)
  assert.deepEqual(outcomeOf(follow(entered, withBob(null), 11)), bobExpelled())
  // Who came later has got in past a ban that the site no longer knew of, or will be looked at next time.
  assert.equal(follow(entered, siteOf({ banned: new Set([2]) }), at), null)
  assert.equal(outcomeOf(follow(entered, siteOf({ banned: new Set([2]) }), 11)).facts.length, 2)
})
