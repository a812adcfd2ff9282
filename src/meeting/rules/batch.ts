import type { Decision } from '../../hub/room-rules.ts'
import { isRejection, type Rejection } from '../../hub/rejection.ts'
import type { Millis } from '../../hub/telling.ts'
import type { DisconnectWord } from '../disconnects.ts'
import {
  type Credential,
  type Ended,
  endConnections,
  join,
  refusal,
  regardless,
  screenRefusal,
} from './attendance.ts'
import { authorise, type Command, decide, remember, say, vote } from './commands.ts'
import { type Change, change, type DoneCommand, type Fact, type Write } from './facts.ts'
import type { MemberId } from './poll.ts'
import { followSite, type SiteState } from './site.ts'
import { type Attendee, attendeeBy, isDone, type Meeting } from './view.ts'

/** A member's command; `subscriber`: the connection by which it came, `id`: under which its client wants an answer. */
export type CommandJob = {
  type: 'command'
  subscriber: number
  member: MemberId
  command: Command
  id: string | null
}

/** Somebody who may join, or whose screen may show the meeting, as far as the database knows. */
type EntryJob<Type> = {
  type: Type
  subscriber: number
  credential: Credential
  remote: string
  /** Whether the connection has ended, or been told to. */
  readonly gone: boolean
}
export type JoinJob = EntryJob<'join'>
export type ScreenJob = EntryJob<'screen'>

/** What a meeting is asked to do. */
export type Job =
  | JoinJob
  | ScreenJob
  | { type: 'ended'; subscriber: number; member: MemberId; how: 'left' | 'lost' }
  | CommandJob
  /** What the site's tables said after the view was at `revision`; undefined where nothing had changed. */
  | { type: 'site'; site: SiteState | undefined; fingerprint: string; revision: number }

/** What somebody is told who has asked. */
export type Answer =
  | { type: 'done'; job: CommandJob; id: string }
  | { type: 'rejected'; job: CommandJob; rejection: Rejection }
  | { type: 'refused'; job: JoinJob | ScreenJob; text: DisconnectWord }
  /** The screen is shown the meeting from now on. */
  | { type: 'shown'; job: ScreenJob }
  /** Who is gone has asked for nothing any more. */
  | { type: 'dropped'; job: JoinJob | ScreenJob }

export type MeetingDecision = Decision<Write, Fact, Answer>

/** What the rules take from the settings. */
export type Timing = { graceMs: number; closeAfterMs: number; joinWindowMs: number | null }

/**
 * How many jobs at the front can share a commit: lines, votes, joins of different members, ends. What is sent twice
 * under the same id is not in one.
 */
export function batch(jobs: readonly Job[]): number {
  const kind = (job: Job): string => (job.type === 'command' ? job.command.type : job.type)
  const first = jobs[0]
  if (!first || !['say', 'vote', 'join', 'ended'].includes(kind(first))) return Math.min(1, jobs.length)
  const seen = new Set<string>()
  const end = jobs.findIndex((job) => {
    if (kind(job) !== kind(first)) return true
    const name =
      job.type === 'join'
        ? `${job.credential.id}`
        : job.type === 'command' && job.id !== null
          ? `${job.subscriber} ${job.id}`
          : null
    if (name === null) return false
    const again = seen.has(name)
    seen.add(name)
    return again
  })
  return end === -1 ? jobs.length : end
}

/** Decides about a run of jobs that share a commit, or about as many of its first ones as can. */
export function decideRun(
  meeting: Meeting,
  run: readonly Job[],
  now: Millis,
  { graceMs, joinWindowMs }: Timing,
): MeetingDecision {
  const [first] = run
  switch (first?.type) {
    case undefined:
      return nothing(0)
    case 'join':
      return decideJoins(meeting, run as readonly JoinJob[], joinWindowMs)
    case 'screen':
      return { ...nothing(1), answers: [answerScreen(meeting, first)] }
    case 'ended': {
      const ended = (run as (Job & { type: 'ended' })[]).flatMap(({ member, subscriber, how }): Ended[] => {
        const attendee = attendeeBy(meeting, member, subscriber)
        return attendee ? [{ attendee, how }] : []
      })
      if (ended.length === 0) return nothing(run.length)
      return anyway(endConnections(ended, graceMs), run.length)
    }
    case 'site': {
      const { site, fingerprint, revision } = first
      if (site === undefined) return nothing(1)
      const { write, facts } = followSite(meeting, site, revision) ?? change({ lines: [] })
      // Else more has changed since than this says.
      if (revision !== meeting.revision) return anyway({ write, facts }, 1)
      return anyway({ write, facts: [...facts, { type: 'followed', fingerprint }] }, 1)
    }
    case 'command':
      return decideCommands(meeting, run as readonly CommandJob[], now)
  }
}

const isEmpty = ({ lines, done = [], ...others }: Write): boolean =>
  lines.length === 0 &&
  done.length === 0 &&
  Object.values(others).every((part) => Array.isArray(part) && part.length === 0)

/** The decision by which a change is made. */
export function decisionOf(
  { write, facts }: Change,
  taken = 0,
  answers: readonly Answer[] = [],
): MeetingDecision {
  return { taken, write: isEmpty(write) ? null : write, facts, answers, regardless: null }
}

const nothing = (taken: number): MeetingDecision => decisionOf(change({ lines: [] }), taken)

/** Of what has happened already. */
const anyway = (made: Change, taken: number): MeetingDecision => ({
  ...decisionOf(made, taken),
  regardless: regardless(made.facts),
})

function answerScreen(meeting: Meeting, job: ScreenJob): Answer {
  if (job.gone) return { type: 'dropped', job }
  const text = screenRefusal(job.credential, meeting)
  return text ? { type: 'refused', job, text } : { type: 'shown', job }
}

function decideJoins(
  meeting: Meeting,
  run: readonly JoinJob[],
  joinWindowMs: number | null,
): MeetingDecision {
  const answers: Answer[] = []
  const joining: JoinJob[] = []
  for (const job of run) {
    if (job.gone) {
      answers.push({ type: 'dropped', job })
      continue
    }
    const text = refusal(job.credential, meeting, joinWindowMs)
    if (text) answers.push({ type: 'refused', job, text })
    else joining.push(job)
  }
  if (joining.length === 0) return { ...nothing(run.length), answers }
  return decisionOf(join(meeting, joining), run.length, answers)
}

type Seated = { job: CommandJob; attendee: Attendee }

/** Commands of those who have been removed are dropped. */
function decideCommands(meeting: Meeting, run: readonly CommandJob[], now: Millis): MeetingDecision {
  const seated = run.flatMap((job): Seated[] => {
    const attendee = attendeeBy(meeting, job.member, job.subscriber)
    return attendee ? [{ job, attendee }] : []
  })
  const asked = seated.filter(
    ({ job: { id }, attendee }) => id === null || !isDone(meeting, { member: attendee.id, id }),
  )
  const { outcomes, made } = carryOut(meeting, asked, now)
  const next = asked[outcomes.length]?.job
  const rejections = new Map<CommandJob, Rejection>()
  for (const [n, { job }] of asked.entries()) {
    const rejection = outcomes[n]
    if (rejection) rejections.set(job, rejection)
  }
  const answers: Answer[] = []
  for (const { job } of seated) {
    if (job === next) break
    const rejection = rejections.get(job)
    if (rejection) answers.push({ type: 'rejected', job, rejection })
    else if (job.id !== null) answers.push({ type: 'done', job, id: job.id })
  }
  return decisionOf(made, next ? run.indexOf(next) : run.length, answers)
}

/** What the first of `asked` does, and those after it that can share its commit: an outcome for each of these. */
function carryOut(
  meeting: Meeting,
  asked: readonly Seated[],
  now: Millis,
): { outcomes: (Rejection | null)[]; made: Change } {
  const none = change({ lines: [] })
  const [first] = asked
  if (!first) return { outcomes: [], made: none }
  const { command } = first.job
  switch (command.type) {
    case 'say': {
      const lines = asked.flatMap(({ attendee, job: { command } }) =>
        command.type === 'say' ? [{ by: attendee.id, text: command.text }] : [],
      )
      const said = say(meeting, lines)
      if (isRejection(said)) return { outcomes: asked.map(() => said), made: none }
      return { outcomes: asked.map(() => null), made: remember(said, named(asked)) }
    }
    case 'vote': {
      const votes = asked.flatMap(({ attendee, job: { command } }) =>
        command.type === 'vote' ? [{ ...command, by: attendee.id }] : [],
      )
      const { answers, change } = vote(meeting, votes, now)
      const done = named(asked.filter((_, n) => answers[n] === null))
      return { outcomes: answers, made: remember(change, done) }
    }
    case 'open':
    case 'finish':
    case 'newPoll':
    case 'abortPoll':
    case 'kick': {
      const decided = authorise(first.attendee, command) ?? decide(meeting, first.attendee, command, now)
      if (isRejection(decided)) return { outcomes: [decided], made: none }
      return { outcomes: [null], made: remember(decided, named([first])) }
    }
  }
}

/** Those that are to be remembered. */
function named(commands: readonly Seated[]): DoneCommand[] {
  return commands.flatMap(({ attendee, job: { id } }) => (id === null ? [] : [{ member: attendee.id, id }]))
}
