import assert from 'node:assert/strict'
import { test } from 'node:test'
import { noticesOf } from './notices.ts'
import type { Frame, Line, Poll, Welcome } from './protocol.ts'
import { isFinal, retryDelay } from './protocol.ts'
import * as states from './state.ts'
import type { State } from './state.ts'

const ada = { id: 117, name: 'Ada', color: '4' }
const ben = { id: 120, name: 'Ben', color: '7' }
const now = 1_773_514_931_123

const line = (id: number, message: string, from = ben): Line => ({
  id,
  time: '19:02:11',
  date: '2026-03-14',
  from: from.id,
  fromname: from.name,
  color: from.color,
  message,
})

const poll = (id: number, more: Partial<Poll> = {}): Poll => ({
  id,
  question: `Question ${id}?`,
  answers: ['Yes', 'No'],
  tally: [0, 0],
  voted: null,
  closesAt: now + 60_000,
  now,
  ...more,
})

const welcome = (more: Partial<Welcome> = {}): Frame => ({
  type: 'welcome',
  data: {
    now,
    timezone: 'Europe/Paris',
    utcOffset: 3600,
    you: ada,
    meeting: { id: 11, name: 'Assembly', state: 'open', admins: [117] },
    vote: null,
    result: null,
    rememberedSeconds: 3600,
    limits: {
      message: 10_000,
      question: 500,
      answer: 200,
      answers: 5,
      minutes: 120,
      burst: 20,
      perSecond: 5,
    },
    ...more,
  },
})

const dayOf = (instant: number): string => new Date(instant).toISOString().slice(0, 10)
const take = (state: State, ...frames: Frame[]): State =>
  frames.reduce((before, frame) => states.receive(before, frame, now, dayOf), state)
const fresh = (): State => states.firstState({ outbox: [], refusals: [], seen: null, looking: true })
const entry = (current: Poll | null, more: Partial<Welcome> = {}, lines: Line[] = []): Frame[] => [
  welcome(more),
  { type: 'users', data: { users: [ada, ben] } },
  { type: 'poll', data: null },
  ...(current ? [{ type: 'poll', data: current } as const] : []),
  { type: 'messages', data: lines },
]
const lose = (state: State): State => states.disconnected(state, 1006, now + 1000, false)

test('an entry tells who is there, what was said, and the own vote', () => {
  const state = take(fresh(), ...entry(poll(8, { tally: [0, 1] }), { vote: 1 }, [line(1, 'Hello')]))
  assert.equal(state.phase.type, 'in')
  assert.deepEqual([...state.people.keys()], [117, 120])
  assert.equal(states.ownVote(state), 1)
  assert.equal(states.isChair(state), true)
  assert.equal(state.log.last, 1)
})

test('a line that comes twice is shown once, and the log goes on after a gap in the ids', () => {
  const state = take(fresh(), ...entry(null, {}, [line(1, 'a'), line(5, 'b')]))
  const after = take(state, { type: 'messages', data: [line(1, 'a'), line(5, 'b'), line(9, 'c')] })
  assert.deepEqual(
    after.log.chunks.flatMap(({ lines }) => lines.map(({ id }) => id)),
    [1, 5, 9],
  )
  assert.equal(take(after, { type: 'message', data: line(9, 'c') }).log, after.log)
})

test('while an entry is under way the poll stays as it was, and is no new one after it', () => {
  const inside = take(fresh(), ...entry(poll(8)))
  const frames = entry(poll(8, { tally: [3, 0] }), { vote: 0 })
  let state = lose(inside)
  for (const frame of frames) {
    const next = take(state, frame)
    assert.equal(next.poll?.id, 8, frame.type)
    assert.deepEqual(noticesOf(state, next), [])
    state = next
  }
  assert.deepEqual(state.poll?.tally, [3, 0])
  // The database was away: the frames of an entry, without a welcome.
  const anew = take(state, { type: 'poll', data: null }, { type: 'poll', data: poll(8) })
  assert.equal(states.ownVote(anew), 0)
  assert.deepEqual(noticesOf(state, anew), [])
})

test('a new poll is told, and has no vote yet', () => {
  const state = take(fresh(), ...entry(poll(8), { vote: 1 }))
  const next = take(
    state,
    { type: 'pollend', data: { id: 8, question: 'q', answers: ['a', 'b'], tally: [0, 1], ending: 'time' } },
    { type: 'poll', data: null },
    { type: 'poll', data: poll(9) },
  )
  assert.equal(states.ownVote(next), null)
  assert.deepEqual(
    noticesOf(state, next).map(({ type }) => type),
    ['pollBegan', 'pollEnded'],
  )
})

test('a command stays until it is answered, and is sent again with its id after a loss', () => {
  let state = take(fresh(), ...entry(null))
  state = states.command(state, 'one', { type: 'message', message: 'Hello' }, now)
  state = lose({ ...state, outbox: state.outbox.map((one) => ({ ...one, onWire: true, sentAt: now })) })
  assert.deepEqual(
    state.outbox.map(({ id, onWire, asks }) => ({ id, onWire, asks })),
    [{ id: 'one', onWire: false, asks: false }],
  )
  state = take(state, ...entry(null), { type: 'ack', data: { id: 'one', now } })
  assert.deepEqual(state.outbox, [])
})

test('a vote is shown as cast when it is acknowledged, and dropped when its poll is over', () => {
  let state = take(fresh(), ...entry(poll(8)))
  const vote = { type: 'vote', poll: 8, question: 'Question 8?', vote: 1 } as const
  state = states.command(state, 'v', vote, now)
  assert.equal(states.ownVote(state), null)
  assert.equal(states.pendingVote(state), 1)
  const cast = take(state, { type: 'ack', data: { id: 'v', now } })
  assert.equal(states.ownVote(cast), 1)
  assert.equal(states.pendingVote(cast), null)
  assert.equal(take(lose(state), ...entry(poll(8))).outbox.length, 1)
})

test('a vote that came too late is told; of one that was sent the server knows whether it has counted', () => {
  const vote = { type: 'vote', poll: 8, question: 'Question 8?', vote: 1 } as const
  const ended: Frame = {
    type: 'pollend',
    data: { id: 8, question: 'Question 8?', answers: ['Yes', 'No'], tally: [0, 1], ending: 'voted' },
  }
  const unsent = states.command(take(fresh(), ...entry(poll(8))), 'v', vote, now)
  for (const frames of [entry(poll(9)), entry(null), [ended, { type: 'poll', data: null } as const]]) {
    const late = take(lose(unsent), ...frames)
    assert.deepEqual(late.outbox, [])
    assert.match(late.refusals[0]?.text ?? '', /^The poll was over/)
  }
  // The last vote: the end of the poll comes before its answer.
  const sent = {
    ...unsent,
    outbox: unsent.outbox.map((one) => ({ ...one, onWire: true, sentAt: now })),
  }
  const over = take(sent, ended, { type: 'poll', data: null })
  assert.equal(over.outbox.length, 1)
  const answered = take(over, { type: 'ack', data: { id: 'v', now } })
  assert.deepEqual([answered.outbox, answered.refusals], [[], []])
  assert.equal(take(lose(over), ...entry(null)).outbox.length, 1)
})

test('a refusal names what was refused; one to be tried again waits', () => {
  let state = take(fresh(), ...entry(null))
  state = states.command(state, 'one', { type: 'message', message: 'Hello' }, now)
  const later = take(state, { type: 'error', msg: 'busy', id: 'one', again: true })
  assert.ok((later.outbox[0]?.waitUntil ?? 0) > now)
  assert.deepEqual(later.refusals, [])
  const refused = take(state, { type: 'error', msg: 'Permission denied', id: 'one' })
  assert.deepEqual(refused.outbox, [])
  assert.deepEqual(
    refused.refusals.map(({ text, command }) => ({ text, command })),
    [{ text: 'Permission denied', command: { type: 'message', message: 'Hello' } }],
  )
  assert.equal(take(state, { type: 'error', msg: 'Invalid JSON' }).outbox.length, 1)
})

test('the mark goes to where one ceased to look, and stays while one looks', () => {
  let state = take(fresh(), ...entry(null, {}, [line(1, 'a'), line(2, 'b')]))
  assert.deepEqual([state.seen, state.unseen], [null, 0])
  state = states.look(state, false)
  state = take(state, { type: 'message', data: line(3, 'c') }, { type: 'message', data: line(4, 'd', ada) })
  assert.deepEqual([state.seen, state.unseen], [2, 1])
  state = states.look(state, true)
  assert.deepEqual([state.seen, state.unseen], [2, 0])
  assert.equal(states.look(state, false).seen, 4)
})

test('after a reload what came meanwhile is new; at the first visit nothing is', () => {
  const lines = [line(1, 'a'), line(2, 'b'), line(3, 'c')]
  const again = states.firstState({ outbox: [], refusals: [], seen: 1, looking: false })
  assert.equal(take(again, ...entry(null, {}, lines)).unseen, 2)
  const first = states.firstState({ outbox: [], refusals: [], seen: null, looking: false })
  assert.equal(take(first, ...entry(null, {}, lines)).unseen, 0)
})

test('a poll is counted down by the page’s own clock, whatever the server’s says', () => {
  let state = take(fresh(), ...entry(null))
  // By a page that is one second old.
  const hear = (steady: number, more: Partial<Poll>): number => {
    state = states.receive(state, { type: 'poll', data: poll(8, more) }, steady, dayOf)
    return state.pollEndsAt - steady
  }
  assert.equal(hear(1000, {}), 60_000)
  assert.equal(hear(11_000, { now: now + 10_000 }), 50_000)
  assert.equal(hear(13_000, { now: now + 11_900 }), 48_000, 'what was delayed makes it no longer')
  assert.equal(hear(13_900, { now: now + 13_000 }), 47_000, 'and what was delayed less is right')
  const hour = 3_600_000
  assert.equal(hear(14_900, { now: now + 14_000 + hour, closesAt: now + 60_000 + hour }), 46_000)
  assert.equal(hear(15_900, { now: now + 15_000 - hour, closesAt: now + 60_000 - hour }), 45_000)
})

test('a poll goes on while the page’s clock stands still in a sleep', () => {
  let state = states.receive(fresh(), welcome(), 1000, dayOf)
  for (const frame of entry(poll(8)).slice(1)) state = states.receive(state, frame, 1000, dayOf)
  assert.equal(state.pollEndsAt, 61_000)
  assert.equal(states.awoken(state, 6000, now + 5000).pollEndsAt, 61_000, 'it has gone on')
  const awake = states.awoken(state, 6000, now + 35_000)
  assert.equal(awake.pollEndsAt, 31_000)
  assert.equal(states.momentAt(awake, 6000).server, now + 35_000)
})

test('the code says whether one comes back', () => {
  const state = take(fresh(), ...entry(null))
  for (const code of [1006, 1012, 4000, 4001])
    assert.equal(states.disconnected(state, code, now, false).phase.type, 'waiting')
  const ended = states.disconnected(
    take(state, { type: 'disconnect', data: line(-1, 'kicked') }),
    4505,
    now,
    false,
  )
  assert.deepEqual(ended.phase, { type: 'ended', code: 4505, text: 'kicked' })
  assert.equal(
    states.disconnected({ ...state, phase: { type: 'left' } }, 1000, now, false).phase.type,
    'left',
  )
  assert.equal(isFinal(4499) || isFinal(5000), false)
})

test('attempts to come back are further apart each time, and at most about ten seconds', () => {
  const delays = Array.from({ length: 8 }, (_, attempt) => retryDelay(attempt, () => 0.5))
  assert.deepEqual(
    delays,
    delays.toSorted((a, b) => a - b),
  )
  assert.equal(delays[0], 1000)
  assert.equal(delays.at(-1), 10_000)
  assert.ok(retryDelay(0, () => 0) >= 750 && retryDelay(20, () => 1) <= 12_500)
})

test('an unknown frame and an unknown field change nothing', () => {
  const state = take(fresh(), ...entry(null))
  assert.equal(take(state, { type: 'later', data: 1 } as unknown as Frame), state)
})

test('whose vote is missing is known to chairs alone', () => {
  const missing = (voted: number[] | null) =>
    states.missingVoters(take(fresh(), ...entry(poll(8, { voted }))))
  assert.deepEqual(missing([117]), [ben])
  assert.equal(missing(null), null)
})

test('nothing that was written is lost when it is refused, however much it is', () => {
  let state = take(fresh(), ...entry(null))
  for (let n = 0; n < 20; n++) {
    state = states.command(state, `m${n}`, { type: 'message', message: `line ${n}` }, now)
    state = states.command(state, `k${n}`, { type: 'kick', user: n, canrejoin: true }, now)
    for (const id of [`m${n}`, `k${n}`]) state = take(state, { type: 'error', msg: 'refused', id })
  }
  const of = (type: string) => state.refusals.filter(({ command }) => command?.type === type).length
  assert.deepEqual([state.outbox.length, of('message'), of('kick')], [0, 20, 3])
  const reloaded = states.firstState({ ...state, outbox: [], looking: true })
  assert.equal(reloaded.refusals, state.refusals)
})

test('who has discarded a command hears nothing of its refusal', () => {
  const state = take(fresh(), ...entry(null))
  for (const again of [true, false])
    assert.equal(take(state, { type: 'error', msg: 'busy', id: 'gone', again }), state)
})

test('what does not get through is told once', () => {
  let state = states.command(take(fresh(), ...entry(null)), 'm', { type: 'message', message: 'Hello' }, now)
  const told: number[] = []
  for (let n = 0; n < 5; n++) {
    const next = take(state, { type: 'error', msg: 'busy', id: 'm', again: true })
    told.push(noticesOf(state, next).filter(({ type }) => type === 'trouble').length)
    state = next
  }
  assert.deepEqual(told, [0, 0, 1, 0, 0])
})
