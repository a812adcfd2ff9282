import { type DisconnectWord, disconnects } from '../disconnects.ts'
import { type Change, change, type Fact, type Joined, type LineDraft, systemLine } from './facts.ts'
import { type Attendee, type Meeting, type MeetingState, type Person, subscriberOf } from './view.ts'

/** What the database knows of somebody who wants to join. */
export type Credential = Person & {
  meeting: number
  key: string
  admin: boolean
  proxyName: string | null
  allowRejoin: boolean
  banned: boolean
  state: MeetingState
  /** Milliseconds until the meeting's time; negative when it has passed. */
  startsInMs: number
}

/** Why somebody may not join, or null if they may (meeting door spec, Who may enter). */
export function refusal(
  credential: Credential | null,
  meeting: Meeting | null,
  joinWindowMs: number | null,
): DisconnectWord | null {
  if (!credential) return disconnects.notAllowed
  if (credential.banned || meeting?.banned.has(credential.id)) return disconnects.notAllowed
  // The row may be older or newer than the view; either may already know of an end.
  const states = [credential.state, meeting?.state]
  if (states.includes('closed')) return disconnects.finished
  if (credential.admin) return null
  if (states.includes('open') && !credential.allowRejoin) return disconnects.inProgress
  // Who is away for less than the grace time has not left.
  const away = meeting?.attendees.get(credential.id)?.presence.type === 'away'
  if (states.includes('finished') && !away) return disconnects.finished
  if (joinWindowMs !== null && credential.startsInMs > joinWindowMs) return disconnects.notYet
  return null
}

/**
 * Why a screen may not show the meeting by the key of somebody, or null if it may. Nobody attends by it, so that neither the
 * opening nor the time keeps it out: it may have lost its connection, or be set up before.
 */
export function screenRefusal(
  credential: Pick<Credential, 'id' | 'banned' | 'state'> | null,
  meeting: Meeting | null,
): DisconnectWord | null {
  if (!credential || credential.banned || meeting?.banned.has(credential.id)) return disconnects.notAllowed
  return [credential.state, meeting?.state].includes('closed') ? disconnects.finished : null
}

/** Somebody who may join, and the id of their connection. */
export type Joining = { credential: Credential; subscriber: number; remote: string }

/** What it does that these join. They are different members. */
export function join(meeting: Meeting, joining: readonly Joining[]): Change {
  const lines: LineDraft[] = []
  const attend: number[] = []
  const people: Joined[] = []
  for (const { credential, subscriber, remote } of joining) {
    const { id, name, color, admin, proxyName, key, allowRejoin } = credential
    const before = meeting.attendees.get(id)
    const arrival: Joined['arrival'] = before
      ? before.presence.type === 'away'
        ? 'returned'
        : 'tookOver'
      : meeting.departed.has(id)
        ? 'rejoined'
        : 'joined'
    const previous = before ? subscriberOf(before) : null
    people.push({ id, name, color, admin, proxyName, key, remote, subscriber, previous, arrival })
    const proxy = proxyName ? ` (through proxy ${proxyName})` : ''
    const verb = arrival === 'joined' ? 'joined' : 're-joined'
    if (arrival !== 'returned') lines.push(systemLine(`Member ${name} ${verb} the meeting${proxy}`))
    // One who was away has all of it written already, unless the site took back their leave to return.
    if (arrival !== 'returned' || !allowRejoin) attend.push(id)
  }
  return change({ lines, attend }, { type: 'joined', people })
}

/** A connection that has ended, and how. */
export type Ended = { attendee: Attendee; how: 'left' | 'lost' }

/** What ends of connections do: a departure, or the beginning of the grace time. */
export function endConnections(ended: readonly Ended[], graceMs: number): Change {
  const leavesAtOnce = ({ how }: Ended): boolean => how === 'left' || graceMs === 0
  const away = ended.filter((one) => !leavesAtOnce(one)).map(({ attendee }) => attendee)
  const leaving = ended.filter(leavesAtOnce)
  const { write, facts } = depart(
    leaving.map(({ attendee, how }) => ({ attendee, told: null, lost: how === 'lost' })),
    leaving.map(({ attendee }) => leftLine(attendee)),
  )
  if (away.length === 0) return { write, facts }
  const people = away.map((attendee) => ({
    member: attendee.id,
    subscriber: subscriberOf(attendee),
    told: null,
  }))
  return { write, facts: [{ type: 'away', people, forMs: graceMs }, ...facts] }
}

export const leftLine = ({ name }: Person): LineDraft => systemLine(`Member ${name} left the meeting`)

/** Somebody who is in the meeting no more, and by which word their connection ends. */
export type Departing = { attendee: Attendee; told: DisconnectWord | null; lost: boolean }

/** What it does that these depart, with the lines that the record has of it. */
export function depart(departing: readonly Departing[], lines: LineDraft[]): Change {
  const people = departing.map(({ attendee, told, lost }) => ({
    member: attendee.id,
    subscriber: subscriberOf(attendee),
    told,
    lost,
  }))
  const write = { lines, depart: people.map(({ member }) => member) }
  return people.length === 0 ? change(write) : change(write, { type: 'departed', people })
}

/**
 * What remains true where the database refuses to store the facts of what has happened already: those who have departed
 * are away, and their departure is due.
 */
export function regardless(facts: readonly Fact[]): Fact[] {
  return facts.map((fact) =>
    fact.type === 'departed' ? { type: 'away', people: fact.people, forMs: 0 } : fact,
  )
}
