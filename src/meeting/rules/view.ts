import type { Millis } from '../../hub/telling.ts'
import type { DoneCommand, Fact } from './facts.ts'
import {
  type MemberId,
  type Poll,
  type PollEnding,
  type PollResult,
  resultOf,
  sameQuestionMs,
} from './poll.ts'

export type MeetingState = 'pending' | 'open' | 'finished' | 'closed'

/** A member as the others see them. `color` is a digit, the last one of the id of their key row. */
export type Person = { id: MemberId; name: string; color: string }

/** Where an attendee is: connected by a subscriber, or away for less than the grace time. */
export type Presence = { type: 'here'; subscriber: number } | { type: 'away'; until: Millis }

/** Somebody who is in the meeting. */
export type Attendee = Person & {
  admin: boolean
  proxyName: string | null
  /** The key by which they came in; null after a restart, until they are back. Never to be shown or logged. */
  key: string | null
  remote: string
  presence: Presence
  /** The meeting's revision since which they are in it. */
  revision: number
}

/** One meeting's picture in this process. It changes by `apply` and by nothing else. */
export type Meeting = {
  readonly id: number
  name: string
  state: MeetingState
  /** By member, in the order in which they came. */
  attendees: Map<MemberId, Attendee>
  /** Who attended and is gone. `lostAt`: when they were given up who had not left by themselves. */
  departed: Map<MemberId, Person & { admin: boolean; remote: string; lostAt: Millis | null }>
  banned: Set<MemberId>
  poll: Poll | null
  /** When polls ended, by their questions: those of the last `sameQuestionMs`, perhaps older ones too. */
  endedPolls: Map<string, Millis>
  /** How the last poll ended. */
  result: PollResult | null
  /** When commands with an id were done (see `doneKey`), in that order: those of the last `rememberedMs`. */
  done: Map<string, Millis>
  /** The newest line of the record: its id (0 for none) and its time as the database writes it (null for none). */
  lastLine: { id: number; time: string | null }
  /** Grows with each change of what the site could change too. */
  revision: number
  /** The revisions of the newest change of the state, and of the bans. */
  stateRevision: number
  banRevision: number
  /** The fingerprint of what was last followed of the site, and the revision then. */
  followed: { fingerprint: string; revision: number }
}

/** For how long the ids of commands are known. */
export const rememberedMs = 3_600_000

/** By what a view knows a command. */
export const doneKey = ({ member, id }: DoneCommand): string => `${member} ${id}`

/** Whether a command has been done before (docs/protocol.md, Acknowledged commands). */
export function isDone(meeting: Meeting, command: DoneCommand): boolean {
  return meeting.done.has(doneKey(command))
}

/** The connection of an attendee, null for those who are away. */
export const subscriberOf = ({ presence }: Attendee): number | null =>
  presence.type === 'here' ? presence.subscriber : null

/** The attendee who is connected by this subscriber; undefined where another connection has taken its place. */
export function attendeeBy(meeting: Meeting, member: MemberId, subscriber: number): Attendee | undefined {
  const attendee = meeting.attendees.get(member)
  return attendee && subscriberOf(attendee) === subscriber ? attendee : undefined
}

/** The fingerprint of what was last followed of the site; '' when more has changed since than that says. */
export const siteFingerprint = ({ followed, revision }: Meeting): string =>
  followed.revision === revision ? followed.fingerprint : ''

/** What a view of one meeting is made of. Times are milliseconds from now, for they are measured by another clock. */
export type StoredMeeting = {
  name: string
  state: MeetingState
  attendance: (Person & { admin: boolean; proxyName: string | null; present: boolean })[]
  banned: MemberId[]
  poll: {
    id: number
    question: string
    answers: string[]
    endsInMs: number
    votes: [MemberId, number][]
  } | null
  /** Those that ended within the last `sameQuestionMs`. */
  endedPolls: { question: string; endedAgoMs: number }[]
  /** The last one that ended, however long ago, aborted or not. */
  lastPoll: { id: number; question: string; answers: string[]; ending: PollEnding; tally: number[] } | null
  /** The commands with an id that were done within the last `rememberedMs`, in that order. */
  done: (DoneCommand & { doneAgoMs: number })[]
  lastLine: { id: number; time: string | null }
}

/**
 * The view of what is stored. Who is present there but has no connection here (`here` has the others, with theirs) is away,
 * and has the grace time to come back: so it is after a restart, for everyone.
 */
export function buildView(
  id: number,
  stored: StoredMeeting,
  before: Meeting | null,
  here: ReadonlyMap<MemberId, number>,
  { now, graceMs }: { now: Millis; graceMs: number },
): Meeting {
  // Above all that was asked of the site before.
  const revision = (before?.revision ?? 0) + 1
  const { poll, lastPoll } = stored
  const view: Meeting = {
    id,
    name: stored.name,
    state: stored.state,
    attendees: new Map(),
    departed: new Map(),
    banned: new Set(stored.banned),
    poll: poll && {
      id: poll.id,
      question: poll.question,
      answers: poll.answers,
      votes: new Map(poll.votes),
      endsAt: now + poll.endsInMs,
    },
    endedPolls: new Map(stored.endedPolls.map(({ question, endedAgoMs }) => [question, now - endedAgoMs])),
    result: lastPoll && { ...lastPoll, tally: lastPoll.ending === 'aborted' ? null : lastPoll.tally },
    done: new Map(stored.done.map(({ doneAgoMs, ...command }) => [doneKey(command), now - doneAgoMs])),
    lastLine: stored.lastLine,
    revision,
    stateRevision: revision,
    banRevision: revision,
    followed: { fingerprint: '', revision: -1 },
  }
  for (const { present, proxyName, ...person } of stored.attendance) {
    const known = before?.attendees.get(person.id)
    const gone = before?.departed.get(person.id)
    const remote = known?.remote ?? gone?.remote ?? ''
    if (!present) {
      view.departed.set(person.id, { ...person, remote, lostAt: gone?.lostAt === null ? null : now })
      continue
    }
    const subscriber = here.get(person.id)
    view.attendees.set(person.id, {
      ...person,
      proxyName,
      key: known?.key ?? null,
      remote,
      // Counted from here: as long as the database was away nobody could come back.
      presence:
        subscriber === undefined ? { type: 'away', until: now + graceMs } : { type: 'here', subscriber },
      revision,
    })
  }
  return view
}

/** Changes the view by one fact. */
export function apply(meeting: Meeting, fact: Fact, now: Millis): void {
  switch (fact.type) {
    case 'joined':
      return join(meeting, fact.people)
    case 'away':
      for (const { member } of fact.people) {
        const attendee = meeting.attendees.get(member)
        if (attendee) attendee.presence = { type: 'away', until: now + fact.forMs }
      }
      return
    case 'departed':
      for (const { member, lost } of fact.people) depart(meeting, member, lost ? now : null)
      return
    case 'banned':
      for (const member of fact.members) meeting.banned.add(member)
      meeting.banRevision = ++meeting.revision
      return
    case 'unbanned':
      for (const member of fact.members) meeting.banned.delete(member)
      meeting.banRevision = ++meeting.revision
      return
    case 'stateChanged':
      meeting.state = fact.state
      meeting.stateRevision = ++meeting.revision
      return
    case 'renamed':
      meeting.name = fact.name
      return
    case 'attendeesChanged':
      for (const { member, name, admin, proxyName } of fact.people) {
        const attendee = meeting.attendees.get(member)
        if (attendee) Object.assign(attendee, { name, admin, proxyName })
      }
      return
    case 'pollOpened': {
      const { endsInMs, ...poll } = fact.poll
      meeting.poll = { ...poll, votes: new Map(), endsAt: now + endsInMs }
      return
    }
    case 'voted':
      for (const { member, answer } of fact.votes) meeting.poll?.votes.set(member, answer)
      return
    case 'pollEnded':
      return endPoll(meeting, fact.ending, now)
    case 'commandsDone':
      return rememberDone(meeting, fact.commands, now)
    case 'followed':
      meeting.followed = { fingerprint: fact.fingerprint, revision: meeting.revision }
      return
    case 'vanished':
      meeting.attendees.clear()
      return
    case 'said':
      meeting.lastLine = { id: fact.lines.at(-1)?.id ?? meeting.lastLine.id, time: fact.time }
      return
  }
}

type FactOf<Type extends Fact['type']> = Extract<Fact, { type: Type }>

function join(meeting: Meeting, people: FactOf<'joined'>['people']): void {
  for (const { subscriber, previous: _, arrival: __, ...attendee } of people) {
    const presence = { type: 'here', subscriber } as const
    meeting.attendees.set(attendee.id, { ...attendee, presence, revision: ++meeting.revision })
    meeting.departed.delete(attendee.id)
  }
}

function endPoll(meeting: Meeting, ending: FactOf<'pollEnded'>['ending'], now: Millis): void {
  for (const [question, endedAt] of meeting.endedPolls)
    if (endedAt + sameQuestionMs <= now) meeting.endedPolls.delete(question)
  if (!meeting.poll) return
  meeting.endedPolls.set(meeting.poll.question, now)
  meeting.result = resultOf(meeting.poll, ending)
  meeting.poll = null
}

function rememberDone(meeting: Meeting, commands: FactOf<'commandsDone'>['commands'], now: Millis): void {
  for (const [key, at] of meeting.done) {
    if (at + rememberedMs > now) break
    meeting.done.delete(key)
  }
  for (const command of commands) meeting.done.set(doneKey(command), now)
}

function depart(meeting: Meeting, member: MemberId, lostAt: Millis | null): void {
  const attendee = meeting.attendees.get(member)
  if (!attendee) return
  const { id, name, color, admin, remote } = attendee
  meeting.revision++
  meeting.attendees.delete(id)
  meeting.departed.set(id, { id, name, color, admin, remote, lostAt })
}
