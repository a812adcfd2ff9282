import assert from 'node:assert/strict'
import { test } from 'node:test'
import { reject } from '../../hub/rejection.ts'
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
  system,
  teaPoll,
} from '../../../test/support/view.ts'
import type { Credential } from './attendance.ts'
import {
  batch,
  type CommandJob,
  decideRun,
  type Job,
  type JoinJob,
  type MeetingDecision,
  type ScreenJob,
} from './batch.ts'
import type { Command } from './commands.ts'
import type { SiteState } from './site.ts'
import type { Attendee, Meeting } from './view.ts'

const now = 50_000
const timing = { graceMs: 10_000, closeAfterMs: 300_000, joinWindowMs: null }

const decideAbout = (meeting: Meeting, ...run: Job[]): MeetingDecision =>
  onlyLooking(meeting, (meeting) => decideRun(meeting, run, now, timing))

/** A command by the connection that `attendeeOf` gives its member, or by another one. */
const command = (
  member: number,
  command: Command,
  id: string | null = null,
  subscriber = 100 + member,
): CommandJob => ({ type: 'command', subscriber, member, command, id })
const say = (member: number, text: string, id: string | null = null, subscriber?: number): CommandJob =>
  command(member, { type: 'say', text }, id, subscriber)
const vote = (member: number, answer: number, id: string | null = null): CommandJob =>
  command(member, { type: 'vote', question: 'Tea or coffee?', poll: null, answer }, id)
const join = (who: Attendee, changes: Partial<Credential> = {}, gone = false): JoinJob => ({
  type: 'join',
  subscriber: 200 + who.id,
  credential: credentialOf(who, changes),
  remote: '198.51.100.9',
  gone,
})
const screen = (who: Attendee, changes: Partial<Credential> = {}, gone = false): ScreenJob => ({
  ...join(who, changes, gone),
  type: 'screen',
})
const ended = (member: number, how: 'left' | 'lost', subscriber = 100 + member): Job => ({
  type: 'ended',
  subscriber,
  member,
  how,
})
const report = (site: SiteState | undefined, revision: number): Job => ({
  type: 'site',
  site,
  fingerprint: 'new',
  revision,
})

const nothing = { write: null, facts: [], answers: [], regardless: null }
const kick: Command = { type: 'kick', target: { member: 3, canRejoin: true } }

test('lines share a commit, so do votes, joins and ends; nothing else does', () => {
  const runs: [shared: number, ...Job[]][] = [
    [0],
    [1, say(1, 'a')],
    [3, say(1, 'a'), say(1, 'b'), say(2, 'c'), vote(1, 0), say(2, 'd')],
    [2, vote(1, 0), vote(1, 1), say(1, 'a')],
    [2, join(ada), join(bob), say(3, 'a'), join(dan)],
    [2, ended(1, 'left'), ended(1, 'lost'), join(ada)],
    [1, report(null, 1), report(null, 1)],
  ]
  for (const alone of [
    { type: 'open' },
    { type: 'finish' },
    { type: 'newPoll', draft: reject('') },
    { type: 'abortPoll' },
    kick,
  ] as const)
    runs.push([1, command(1, alone), command(1, alone)])
  for (const [shared, ...jobs] of runs) assert.equal(batch(jobs), shared, JSON.stringify(jobs))
})

test('nobody joins twice in one commit, and nothing is in it twice under the same id', () => {
  const runs: [shared: number, ...Job[]][] = [
    [2, join(ada), join(bob), join(ada)],
    [1, join(ada), join(ada, {}, true)],
    [2, say(1, 'a', 'x'), say(1, 'b', 'y'), say(1, 'a', 'x'), say(1, 'c', 'z')],
    [1, vote(1, 0, 'x'), vote(1, 0, 'x')],
    // An id is that of its connection.
    [3, say(1, 'a', 'x'), say(2, 'b', 'x'), say(1, 'a', 'x', 999), say(2, 'b', 'x')],
    [3, say(1, 'a'), say(1, 'a'), say(1, 'a')],
  ]
  for (const [shared, ...jobs] of runs) assert.equal(batch(jobs), shared, JSON.stringify(jobs))
})

test('nothing is decided about no jobs', () => {
  assert.deepEqual(decideAbout(meetingOf()), { taken: 0, ...nothing })
})

test('lines are one write, and those with an id are answered; what comes by a connection that is gone is dropped', () => {
  const first = say(1, 'one', 'a')
  const last = say(3, 'three', 'b')
  const decision = decideAbout(
    meetingOf(),
    first,
    say(2, 'two'),
    say(2, 'old', 'c', 99),
    say(4, 'who?', 'd'),
    last,
  )
  const done = [
    { member: 1, id: 'a' },
    { member: 3, id: 'b' },
  ]
  assert.deepEqual(decision, {
    taken: 5,
    write: {
      lines: [
        { sender: 1, text: 'one' },
        { sender: 2, text: 'two' },
        { sender: 3, text: 'three' },
      ],
      done,
    },
    facts: [{ type: 'commandsDone', commands: done }],
    answers: [
      { type: 'done', job: first, id: 'a' },
      { type: 'done', job: last, id: 'b' },
    ],
    regardless: null,
  })
  const away2 = meetingOf({ attendees: [ada, away(bob, 60_000)] })
  assert.deepEqual(decideAbout(away2, say(2, 'two', 'a')), { taken: 1, ...nothing })
})

test('what has been done before is answered again, and not done', () => {
  const meeting = meetingOf({ done: new Map([['1 a', 10]]) })
  const again = say(1, 'one', 'a')
  assert.deepEqual(decideAbout(meeting, again), {
    taken: 1,
    ...nothing,
    answers: [{ type: 'done', job: again, id: 'a' }],
  })
  const other = say(2, 'two', 'a')
  const decision = decideAbout(meeting, other, again)
  assert.deepEqual(decision.write, { lines: [{ sender: 2, text: 'two' }], done: [{ member: 2, id: 'a' }] })
  assert.deepEqual(decision.answers, [
    { type: 'done', job: other, id: 'a' },
    { type: 'done', job: again, id: 'a' },
  ])
})

test('where lines are rejected each of them is answered, without an id too', () => {
  const run = [say(1, 'one', 'a'), say(2, 'two')]
  const rejection = reject('This meeting is closed')
  assert.deepEqual(decideAbout(meetingOf({ state: 'closed' }), ...run), {
    taken: 2,
    ...nothing,
    answers: run.map((job) => ({ type: 'rejected', job, rejection })),
  })
})

test('of votes those are taken that can share a commit, with all that stands among them; the rest waits', () => {
  const meeting = meetingOf({
    attendees: [ada, bob, eve, dan],
    poll: teaPoll([[3, 0]]),
    done: new Map([['2 x', 10]]),
  })
  const [first, before, wrong, second] = [vote(1, 0, 'a'), vote(2, 0, 'x'), vote(2, 7), vote(1, 1, 'b')]
  const decision = decideAbout(meeting, first, before, wrong, second, vote(2, 1, 'c'))
  assert.deepEqual(decision, {
    taken: 3,
    write: {
      lines: [system('Ada voted Tea')],
      votes: { poll: 5, cast: [{ member: 1, answer: 0 }] },
      done: [{ member: 1, id: 'a' }],
    },
    facts: [
      { type: 'voted', votes: [{ member: 1, answer: 0 }] },
      { type: 'commandsDone', commands: [{ member: 1, id: 'a' }] },
    ],
    answers: [
      { type: 'done', job: first, id: 'a' },
      { type: 'done', job: before, id: 'x' },
      { type: 'rejected', job: wrong, rejection: reject('Invalid vote') },
    ],
    regardless: null,
  })
})

test('a vote that is rejected is not remembered, one that changes nothing is', () => {
  const meeting = meetingOf({ poll: teaPoll([[1, 0]]) })
  const [same, wrong] = [vote(1, 0, 'a'), vote(2, 7, 'b')]
  const done = [{ member: 1, id: 'a' }]
  assert.deepEqual(decideAbout(meeting, same, wrong), {
    taken: 2,
    write: { lines: [], done },
    facts: [{ type: 'commandsDone', commands: done }],
    answers: [
      { type: 'done', job: same, id: 'a' },
      { type: 'rejected', job: wrong, rejection: reject('Invalid vote') },
    ],
    regardless: null,
  })
  // Without an id there is nothing to write at all.
  assert.deepEqual(decideAbout(meeting, vote(1, 0)), { taken: 1, ...nothing })
})

test('a command of an admin is done, and rejected where a member sends it or it makes no sense', () => {
  const open = command(1, { type: 'open' }, 'a')
  const decision = decideAbout(meetingOf({ state: 'pending' }), open)
  assert.deepEqual(decision.write?.state, { from: 'pending', to: 'open' })
  assert.deepEqual(decision.facts, [
    { type: 'stateChanged', state: 'open' },
    { type: 'commandsDone', commands: [{ member: 1, id: 'a' }] },
  ])
  assert.deepEqual(decision.answers, [{ type: 'done', job: open, id: 'a' }])
  assert.deepEqual([decision.taken, decision.regardless], [1, null])
  const denied = command(2, { type: 'open' })
  for (const [job, text] of [
    [open, 'Meeting is already open'],
    [denied, 'Permission denied'],
  ] as const)
    assert.deepEqual(decideAbout(meetingOf(), job), {
      taken: 1,
      ...nothing,
      answers: [{ type: 'rejected', job, rejection: reject(text) }],
    })
})

test('of those who want to join some are gone, some may not, and the others do in one write', () => {
  const tim = attendeeOf(12, { name: 'Tim' })
  const run = [join(dan), join(ada, {}, true), join(tim, { banned: true }), join(bob)] as const
  const { facts, ...decision } = decideAbout(meetingOf(), ...run)
  assert.deepEqual(decision, {
    taken: 4,
    write: {
      lines: [system('Member Dan joined the meeting'), system('Member Bob re-joined the meeting')],
      attend: [4, 2],
    },
    answers: [
      { type: 'dropped', job: run[1] },
      { type: 'refused', job: run[2], text: 'You are not allowed to enter this meeting' },
    ],
    regardless: null,
  })
  const [fact, ...others] = facts
  assert.ok(fact?.type === 'joined' && others.length === 0)
  assert.deepEqual(
    fact.people.map(({ id, subscriber, previous, remote }) => [id, subscriber, previous, remote]),
    [
      [4, 204, null, '198.51.100.9'],
      [2, 202, 102, '198.51.100.9'],
    ],
  )
  assert.deepEqual(decideAbout(meetingOf(), run[1], run[2]), {
    ...nothing,
    taken: 2,
    answers: decision.answers,
  })
})

test('who joins before the window is refused; who returns has nothing written', () => {
  const early = join(dan, { state: 'pending', startsInMs: 600_001 })
  const meeting = meetingOf({ state: 'pending', attendees: [ada, away(bob, 60_000)] })
  const { taken, answers } = decideRun(meeting, [early], now, { ...timing, joinWindowMs: 600_000 })
  assert.deepEqual(
    [taken, answers],
    [1, [{ type: 'refused', job: early, text: 'This meeting cannot be entered yet.' }]],
  )
  const returned = decideAbout(meeting, join(bob))
  assert.deepEqual([returned.write, returned.facts.map(({ type }) => type)], [null, ['joined']])
})

test('ends of connections are one write, and remain true if that is refused: who has left is away, and due', () => {
  const meeting = meetingOf({ attendees: [ada, bob, eve, away(dan, 60_000)] })
  // Those of Ada and of Dan are not the ones that count.
  const run = [ended(2, 'left'), ended(1, 'lost', 99), ended(4, 'left'), ended(3, 'lost')]
  const { regardless, ...decision } = decideAbout(meeting, ...run)
  const lost = { type: 'away', people: [{ member: 3, subscriber: 103, told: null }], forMs: 10_000 } as const
  assert.deepEqual(decision, {
    taken: 4,
    write: { lines: [system('Member Bob left the meeting')], depart: [2] },
    facts: [lost, { type: 'departed', people: [{ member: 2, subscriber: 102, told: null, lost: false }] }],
    answers: [],
  })
  assert.deepEqual(
    regardless?.map((fact) =>
      fact.type === 'away'
        ? { forMs: fact.forMs, people: fact.people.map(({ member, subscriber }) => [member, subscriber]) }
        : fact,
    ),
    [
      { forMs: 10_000, people: [[3, 103]] },
      { forMs: 0, people: [[2, 102]] },
    ],
  )
  // Where nobody has left there is nothing to write.
  assert.deepEqual(decideAbout(meeting, ended(3, 'lost')), {
    ...nothing,
    taken: 1,
    facts: [lost],
    regardless: [lost],
  })
  assert.deepEqual(decideAbout(meeting, ended(1, 'lost', 99)), { taken: 1, ...nothing })
})

const site: Exclude<SiteState, null> = {
  name: 'Assembly',
  state: 'open',
  admins: new Set([1]),
  banned: new Set(),
  keys: new Map(
    [ada, bob, eve].map(({ id, name }) => [
      id,
      { key: `key of ${id}`, name, allowRejoin: true, proxyName: null },
    ]),
  ),
}

test('what the site says is followed, and remains true if it cannot be written; its fingerprint holds where nothing is newer', () => {
  const followed = { type: 'followed', fingerprint: 'new' } as const
  const renamed = { type: 'renamed', name: 'Congress' } as const
  const congress = { ...site, name: 'Congress' }
  const looks: [what: SiteState | undefined, revision: number, facts: unknown[]][] = [
    [site, 10, [followed]],
    [site, 9, []],
    [congress, 10, [renamed, followed]],
    [congress, 9, [renamed]],
  ]
  for (const [what, revision, facts] of looks)
    assert.deepEqual(decideAbout(meetingOf(), report(what, revision)), {
      taken: 1,
      write: null,
      facts,
      answers: [],
      regardless: facts,
    })
  // Nothing has changed since the last look.
  assert.deepEqual(decideAbout(meetingOf(), report(undefined, 10)), { taken: 1, ...nothing })

  const told = 'kicked without return'
  const banned = { type: 'banned', members: [2] } as const
  const { regardless, ...decision } = decideAbout(meetingOf(), report({ ...site, banned: new Set([2]) }, 10))
  assert.deepEqual(decision, {
    taken: 1,
    write: { lines: [system('User Bob has been disconnected by the operator')], depart: [2] },
    facts: [
      { type: 'departed', people: [{ member: 2, subscriber: 102, told, lost: false }] },
      banned,
      followed,
    ],
    answers: [],
  })
  const [gone, ...others] = regardless ?? []
  assert.ok(gone?.type === 'away' && gone.forMs === 0 && gone.people[0]?.told === told)
  assert.deepEqual(others, [banned, followed])
})

test('a meeting that the site has deleted is no more, and so it is if that cannot be written', () => {
  const { write, facts, regardless } = decideAbout(meetingOf(), report(null, 9))
  assert.deepEqual(write, { lines: [], depart: [1, 2, 3] })
  assert.deepEqual([facts, regardless], [[{ type: 'vanished' }], [{ type: 'vanished' }]])
})

test('a screen is shown the meeting and changes nothing of it, or is told why not', () => {
  const meeting = meetingOf({ banned: [5] })
  const shown = screen(bob)
  assert.equal(batch([shown, screen(ada)]), 1)
  assert.deepEqual(decideAbout(meeting, shown), {
    ...nothing,
    taken: 1,
    answers: [{ type: 'shown', job: shown }],
  })
  const banned = screen(attendeeOf(5))
  const text = 'You are not allowed to enter this meeting'
  assert.deepEqual(decideAbout(meeting, banned).answers, [{ type: 'refused', job: banned, text }])
  const gone = screen(bob, {}, true)
  assert.deepEqual(decideAbout(meeting, gone).answers, [{ type: 'dropped', job: gone }])
})
