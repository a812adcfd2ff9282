import { WallClock, zoneOf } from '../kit/zone.ts'
import { addLines, emptyLog, linesAfter } from './log.ts'
import type { DayOf, Log } from './log.ts'
import * as box from './outbox.ts'
import type { Entry, Moment, Outbox } from './outbox.ts'
import { isFinal } from './protocol.ts'
import type { Command, Frame, Limits, Meeting, Person, Poll, Result } from './protocol.ts'

/** How one stands to the server. */
export type Phase =
  | { type: 'connecting'; again: boolean }
  | { type: 'in' }
  | { type: 'waiting'; until: number; offline: boolean }
  | { type: 'ended'; code: number; text: string }
  | { type: 'left' }

/** A command that was refused for good, to be told to who has given it; null: what was refused was no command of theirs. */
export type Refusal = { key: string; text: string; command: Command | null }

export type State = {
  phase: Phase
  you: Person | null
  meeting: Meeting | null
  /** Whether a whole entry has been received, ever. */
  wasIn: boolean
  /** The poll as the frames of an entry tell it, until they are complete. */
  entering: { poll: Poll | null; vote: number | null } | null
  people: ReadonlyMap<number, Person>
  /** How many people are here, where a screen is not told who. */
  here: number
  log: Log
  clock: WallClock
  poll: Poll | null
  /** When the poll under way ends, at the latest, by the page's steady clock. */
  pollEndsAt: number
  /** The own vote, as the index of an answer, and in which poll. */
  vote: { poll: number; answer: number } | null
  /** The highest id of a poll that was seen: one that is told once more is not a new one. */
  newestPoll: number
  result: Result | null
  limits: Limits
  rememberedMs: number
  /** By how much the page's steady clock is ahead of the server's, at most. */
  skew: number
  outbox: Outbox
  refusals: readonly Refusal[]
  farewell: string
  /** Whether the server takes no connections from pages of this address. */
  isOriginRefused: boolean
  /** The last line that was on the screen while somebody looked; null: there was none. */
  seen: number | null
  looking: boolean
  /** What was said, voted and asked since: all but who came and went. */
  unseen: number
}

export type Given = {
  outbox: Outbox
  refusals: readonly Refusal[]
  seen: number | null
  looking: boolean
}

/** Of the page itself, among the texts of refusals. */
const lateText = 'The poll was over before your vote could be sent'

/** What the page knows before it is told anything. */
export function firstState({ outbox, refusals, seen, looking }: Given): State {
  return {
    phase: { type: 'connecting', again: false },
    you: null,
    meeting: null,
    wasIn: false,
    entering: null,
    people: new Map(),
    here: 0,
    log: emptyLog,
    clock: new WallClock(zoneOf('UTC', 0)),
    poll: null,
    pollEndsAt: 0,
    vote: null,
    newestPoll: 0,
    result: null,
    limits: {
      message: 10_000,
      question: 500,
      answer: 200,
      answers: 5,
      minutes: 120,
      burst: 20,
      perSecond: 5,
    },
    rememberedMs: 3_600_000,
    skew: 0,
    outbox: box.lost(outbox),
    refusals,
    farewell: '',
    isOriginRefused: false,
    seen,
    looking,
    unseen: 0,
  }
}

/** A moment of the page's steady clock by both clocks; to be used once one has been welcomed. */
export const momentAt = ({ skew }: State, steady: number): Moment => ({ steady, server: steady - skew })

/** What a frame of the server makes of what the page knows; `now` is the page's steady clock. */
export function receive(state: State, frame: Frame, now: number, dayOf: DayOf): State {
  switch (frame.type) {
    case 'welcome': {
      const { you, meeting, timezone, utcOffset, vote, result, limits, rememberedSeconds } = frame.data
      const sameZone = state.clock.zone.name === timezone && state.wasIn
      return {
        ...state,
        you,
        meeting,
        clock: sameZone ? state.clock : new WallClock(zoneOf(timezone, utcOffset)),
        entering: { poll: null, vote },
        result,
        limits,
        rememberedMs: rememberedSeconds * 1000,
        skew: now - frame.data.now,
      }
    }
    case 'users':
      return { ...state, people: new Map(frame.data.users.map((person) => [person.id, person])) }
    case 'adduser':
      return { ...state, people: new Map(state.people).set(frame.data.id, frame.data) }
    case 'removeuser': {
      const people = new Map(state.people)
      people.delete(frame.data.id)
      return { ...state, people }
    }
    case 'here':
      return { ...state, here: frame.data.count }
    case 'meeting':
      return { ...state, meeting: frame.data }
    case 'poll':
      return takePoll(state, frame.data, now)
    case 'pollend': {
      return dropLateVotes({ ...state, result: { ...frame.data, present: state.people.size } }, null)
    }
    case 'message':
      return takeLines(state, [frame.data], dayOf)
    case 'messages': {
      const taken = takeLines(state, frame.data, dayOf)
      return taken.entering ? completeEntry(taken, taken.entering, now) : taken
    }
    case 'ack': {
      const { id } = frame.data
      const entry = find(state, id)
      const outbox = box.answered(state.outbox, id)
      if (entry?.command.type !== 'vote') return { ...state, outbox }
      return { ...state, outbox, vote: { poll: entry.command.poll, answer: entry.command.vote } }
    }
    case 'error':
      return takeError(state, frame, now)
    case 'disconnect':
      return { ...state, farewell: frame.data.message }
    default:
      // A later version's: to be ignored.
      return state
  }
}

/**
 * What the server's clock says after what may have been a sleep: if the steady clock has stood still in it, the poll ends
 * so much earlier by that one.
 */
export function awoken(state: State, now: number, serverNow: number): State {
  const skew = Math.min(state.skew, now - serverNow)
  const pollEndsAt = state.poll ? Math.min(state.pollEndsAt, state.poll.closesAt + skew) : state.pollEndsAt
  return { ...state, skew, pollEndsAt }
}

function takePoll(state: State, poll: Poll | null, now: number): State {
  if (!poll) return state.entering ? { ...state, entering: { ...state.entering, poll } } : { ...state, poll }
  // The difference of both is right even if somebody sets the server's clock; the frame that was delayed least is the best.
  const endsAt = now + poll.closesAt - poll.now
  const isKnown = !state.entering && state.poll?.id === poll.id
  const timed: State = {
    ...state,
    skew: Math.min(state.skew, now - poll.now),
    pollEndsAt: isKnown ? Math.min(state.pollEndsAt, endsAt) : endsAt,
  }
  return timed.entering ? { ...timed, entering: { ...timed.entering, poll } } : showPoll(timed, poll)
}

function showPoll(state: State, poll: Poll): State {
  const shown = { ...state, poll, newestPoll: Math.max(state.newestPoll, poll.id) }
  return dropLateVotes(shown, poll.id)
}

/** Whoever has voted in vain is told. */
function dropLateVotes(state: State, poll: number | null): State {
  const late = new Set(box.lateVotes(state.outbox, poll))
  if (late.size === 0) return state
  const refusals = [...late].map(({ id, command }): Refusal => ({ key: id, text: lateText, command }))
  return {
    ...state,
    outbox: state.outbox.filter((entry) => !late.has(entry)),
    refusals: keepRefusals([...state.refusals, ...refusals]),
  }
}

function completeEntry(
  state: State,
  { poll, vote }: { poll: Poll | null; vote: number | null },
  now: number,
): State {
  const inside: State = {
    ...state,
    phase: { type: 'in' },
    wasIn: true,
    isOriginRefused: false,
    entering: null,
    farewell: '',
    poll: null,
    vote: poll && vote !== null ? { poll: poll.id, answer: vote } : null,
    outbox: box.entered(state.outbox, momentAt(state, now), state.rememberedMs),
  }
  return poll ? showPoll(inside, poll) : dropLateVotes(inside, null)
}

function takeLines(state: State, lines: Parameters<typeof addLines>[1], dayOf: DayOf): State {
  const log = addLines(state.log, lines, state.clock, dayOf)
  if (log === state.log) return state
  // Who looks has seen it; who has never looked here before has missed nothing.
  if (state.looking) return { ...state, log, seen: state.seen }
  const told = linesAfter(log, Math.max(state.log.last, state.seen ?? Infinity)).filter(
    ({ kind, from }) => kind !== 'presence' && from !== state.you?.id,
  )
  return { ...state, log, unseen: state.unseen + told.length }
}

function takeError(state: State, { msg, id, again }: Frame & { type: 'error' }, now: number): State {
  if (id === undefined)
    return refuse(state, { key: `at ${now} of ${state.refusals.length}`, text: msg, command: null })
  const entry = find(state, id)
  // It was discarded meanwhile.
  if (!entry) return state
  if (again)
    return { ...state, outbox: box.again(state.outbox, id, momentAt(state, now), state.rememberedMs) }
  const outbox = box.answered(state.outbox, id)
  return refuse({ ...state, outbox }, { key: id, text: msg, command: entry.command })
}

const refuse = (state: State, refusal: Refusal): State => ({
  ...state,
  refusals: keepRefusals([...state.refusals, refusal]),
})

/** What somebody has written stays until they have done with it; of all else the last few are enough. */
function keepRefusals(refusals: readonly Refusal[]): readonly Refusal[] {
  const last = new Set(refusals.slice(-5))
  return refusals.filter((refusal) => last.has(refusal) || isWritten(refusal.command))
}

/** Whether it has a text that one would not like to write once more. */
export const isWritten = (command: Command | null): boolean =>
  command?.type === 'message' || command?.type === 'newpoll'

/** The connection has ended with this close code; `until`, by the steady clock, is when the next attempt is made. */
export function disconnected(state: State, code: number, until: number, offline: boolean): State {
  const outbox = box.lost(state.outbox)
  const next: State = { ...state, outbox, entering: null }
  if (state.phase.type === 'left') return withoutYou(next)
  if (isFinal(code)) return { ...withoutYou(next), phase: { type: 'ended', code, text: state.farewell } }
  return { ...next, phase: { type: 'waiting', until, offline } }
}

/** Who has left is not among those who are there. */
function withoutYou(state: State): State {
  const people = new Map(state.people)
  if (state.you) people.delete(state.you.id)
  return { ...state, people }
}

/** Somebody begins or ceases to look at the end of the log. */
export function look(state: State, looking: boolean): State {
  if (looking === state.looking) return state
  // The mark stays where it is while one looks, and goes to the end when one ceases to.
  return looking
    ? { ...state, looking, unseen: 0 }
    : { ...state, looking, seen: state.log.last || state.seen }
}

/** Gives a command to the server, now (by the page's steady clock) or when it can be reached. */
export function command(state: State, id: string, command: Command, now: number): State {
  return { ...state, outbox: box.enqueue(state.outbox, id, command, momentAt(state, now)) }
}

export const isChair = ({ you, meeting }: State): boolean =>
  you !== null && meeting !== null && meeting.admins.includes(you.id)

/** The vote that has not been confirmed yet. */
export function pendingVote({ outbox, poll }: State): number | null {
  const entry = outbox.findLast(
    ({ command, asks }) => !asks && command.type === 'vote' && command.poll === poll?.id,
  )
  return entry?.command.type === 'vote' ? entry.command.vote : null
}

/** What the person who gave it is to be shown as not done: it waits for their word, or cannot be done now. */
export const troubled = ({ outbox }: State): Entry[] =>
  outbox.filter((entry) => entry.asks || box.isStuck(entry))

/** The answer that one has voted for in the poll under way. */
export const ownVote = ({ vote, poll }: State): number | null =>
  vote !== null && vote.poll === poll?.id ? vote.answer : null

/** Whether a command of this kind is under way. */
export const isUnderWay = ({ outbox }: State, type: Command['type']): boolean =>
  outbox.some((entry) => entry.command.type === type && !entry.asks)

/** Those present who have not voted, as far as one may know it; null: not known. */
export function missingVoters({ poll, people }: State): Person[] | null {
  if (!poll?.voted) return null
  const voted = new Set(poll.voted)
  return [...people.values()].filter(({ id }) => !voted.has(id))
}

const find = (state: State, id: string): Entry | undefined => state.outbox.find((entry) => entry.id === id)
