import {
  castVote,
  endingLines,
  type MemberId,
  type Millis,
  missingVotes,
  type Poll,
  type PollDraft,
  type PollEnding,
  type PollResult,
  resultOf,
  sameQuestionMs,
  type Vote,
} from './poll.ts'
import { type DisconnectText, disconnects, reject, type Rejection } from './rejection.ts'

export type MeetingState = 'pending' | 'open' | 'finished' | 'closed'

/** A member as the others see him. `color` is a digit, the last one of the id of his key row. */
export type Person = { id: MemberId; name: string; color: string }

/** Someone who is in the meeting: connected, or away for less than the grace time. */
export type Attendee = Person & {
  admin: boolean
  proxyName: string | null
  /** The key he came in with; null after a restart, until he is back. Never to be shown or logged. */
  key: string | null
  remote: string
  presence: { type: 'here'; socket: number } | { type: 'away'; until: Millis }
  /** The meeting's revision since which he is in it. */
  revision: number
}

/** What the database knows of one who wants to enter. */
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

/** One meeting's picture in this process. It changes by `apply` and by nothing else. */
export type Meeting = {
  readonly id: number
  name: string
  state: MeetingState
  /** By member, in the order in which they came. */
  attendees: Map<MemberId, Attendee>
  /** Who attended and is gone. */
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
}

export type Command =
  | { type: 'say'; text: string }
  | { type: 'vote'; question: string; poll: number | null; answer: number | null }
  | { type: 'open' }
  | { type: 'finish' }
  | { type: 'newPoll'; draft: PollDraft | Rejection }
  | { type: 'abortPoll' }
  | { type: 'kick'; target: { member: MemberId; canRejoin: boolean } | Rejection }

/** A line for the record; `sender` is null for what the system says. */
export type LineDraft = { sender: MemberId | null; text: string }

/** What is to become durable, all of it or nothing. */
export type Write = {
  lines: LineDraft[]
  state?: { from: MeetingState; to: MeetingState }
  attend?: MemberId[]
  depart?: MemberId[]
  ban?: { member: MemberId; by: MemberId }
  openPoll?: PollDraft & { by: MemberId }
  endPoll?: { id: number; ending: PollEnding }
  votes?: { poll: number; cast: { member: MemberId; answer: number }[] }
  /** The commands with an id that this does. */
  done?: DoneCommand[]
}

/** A command that a member has given an `id`, to send it again without its being done again. */
export type DoneCommand = { member: MemberId; id: string }

/** For how long the ids of commands are known. */
export const rememberedMs = 3_600_000

/** What is a fact once its write is durable. Lines are told after it. */
export type Event =
  | { type: 'entered'; attendee: Attendee; arrival: Arrival }
  | { type: 'away'; member: MemberId; until: Millis }
  /** `lostAt`: when they were given up who had not left by themselves, and were not sent away; null for others. */
  | { type: 'departed'; member: MemberId; told: DisconnectText | null; lostAt: Millis | null }
  | { type: 'banned'; member: MemberId }
  | { type: 'unbanned'; member: MemberId }
  | { type: 'stateChanged'; state: MeetingState }
  | { type: 'renamed'; name: string }
  | {
      type: 'attendeeChanged'
      member: MemberId
      name: string
      admin: boolean
      proxyName: string | null
      isRenamed: boolean
    }
  | { type: 'pollOpened'; poll: Poll }
  | { type: 'voted'; member: MemberId; answer: number }
  | { type: 'pollEnded'; endedAt: Millis; ending: PollEnding }
  | { type: 'commandsDone'; commands: DoneCommand[]; at: Millis }
  | { type: 'vanished' }

/** 'joined' and 'rejoined' were not in the list; 'returned' was away, 'tookOver' was connected elsewhere. */
export type Arrival = 'joined' | 'rejoined' | 'returned' | 'tookOver'

/** `pollOpened` needs what only the commit knows: the events are made from it. */
export type Committed = { poll: { id: number; endsAt: Millis } | null }

export type Decision = { write: Write; events: (committed: Committed) => Event[] }

const decision = (write: Write, ...events: Event[]): Decision => ({ write, events: () => events })
const system = (text: string): LineDraft => ({ sender: null, text })

const kickLine = (name: string, by: string): LineDraft =>
  system(`User ${name} has been disconnected by ${by}`)
/** Who kicks from the command line, as the record calls them. */
const operator = 'the operator'

/** The two lines by which the site finds the permanent record. */
export const marks = {
  open: 'This meeting is now open',
  finished: 'This meeting is now finished',
}

/**
 * Whether a member's text would pass for the opening or the end of the record, which the site finds by its text
 * alone: compared without regard to case, spacing, invisible characters and Unicode variants of the letters.
 */
export function isReserved(text: string): boolean {
  const bare = withoutInvisible(text)
  // What is normalized to a mark has no more letters than it. Normalizing costs the square of the length of a run of
  // accents: seconds for a long message of nothing else.
  if (bare.length > longestMark) return false
  return reserved.has(withoutInvisible(bare.normalize('NFKC')).toLowerCase())
}

function withoutInvisible(text: string): string {
  return text.replace(/[\s\p{Default_Ignorable_Code_Point}]+/gu, '')
}

const reserved = new Set(Object.values(marks).map((mark) => withoutInvisible(mark).toLowerCase()))
/** In UTF-16 units, of which a letter of another alphabet's variant may take two. */
const longestMark = 2 * Math.max(...Array.from(reserved, ({ length }) => length))

/** Why someone may not enter, or null if he may (meeting door spec, Who may enter). */
export function refusal(
  credential: Credential | null,
  meeting: Meeting | null,
  joinWindowMs: number | null,
): DisconnectText | null {
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

/** What the entry of one who may enter does; `socket` is the id of his connection. */
export function enter(meeting: Meeting, credential: Credential, socket: number, remote: string): Decision {
  const { id, name, color, admin, proxyName, key } = credential
  const before = meeting.attendees.get(id)
  const arrival: Arrival = before
    ? before.presence.type === 'away'
      ? 'returned'
      : 'tookOver'
    : meeting.departed.has(id)
      ? 'rejoined'
      : 'joined'
  const attendee: Attendee = {
    id,
    name,
    color,
    admin,
    proxyName,
    key,
    remote,
    presence: { type: 'here', socket },
    revision: meeting.revision,
  }
  const proxy = proxyName ? ` (through proxy ${proxyName})` : ''
  const verb = arrival === 'joined' ? 'joined' : 're-joined'
  const lines = arrival === 'returned' ? [] : [system(`Member ${name} ${verb} the meeting${proxy}`)]
  // One who was away has all of it written already, unless the site took back his leave to return.
  const attend = arrival === 'returned' && credential.allowRejoin ? [] : [id]
  return decision({ lines, attend }, { type: 'entered', attendee, arrival })
}

/** What ends of connections do: a departure, or the beginning of the grace time. */
export function endConnections(
  ended: readonly { attendee: Attendee; how: 'left' | 'lost' }[],
  graceMs: number,
  now: Millis,
): Decision {
  const atOnce = ({ how }: { how: 'left' | 'lost' }): boolean => how === 'left' || graceMs === 0
  const lost = new Set(ended.flatMap(({ attendee, how }) => (how === 'lost' ? [attendee.id] : [])))
  const departure = depart(
    ended.filter(atOnce).map(({ attendee }) => attendee),
    null,
    (id) => (lost.has(id) ? now : null),
  )
  const away = ended.filter((one) => !atOnce(one))
  return {
    write: departure.write,
    events: (committed) => [
      ...away.map(({ attendee }): Event => ({ type: 'away', member: attendee.id, until: now + graceMs })),
      ...departure.events(committed),
    ],
  }
}

function depart(
  attendees: readonly Attendee[],
  told: DisconnectText | null = null,
  lostAt: (id: MemberId) => Millis | null = () => null,
): Decision {
  return decision(
    {
      lines: attendees.map(({ name }) => system(`Member ${name} left the meeting`)),
      depart: attendees.map(({ id }) => id),
    },
    ...attendees.map(({ id }): Event => ({ type: 'departed', member: id, told, lostAt: lostAt(id) })),
  )
}

/** By what a view knows a command. */
export const doneKey = ({ member, id }: DoneCommand): string => `${member} ${id}`

/** Whether a command has been done before (docs/protocol.md, Acknowledged commands). */
export function isDone(meeting: Meeting, command: DoneCommand): boolean {
  return meeting.done.has(doneKey(command))
}

/** `decision`, and that it does `commands`. */
export function remember(decision: Decision, commands: DoneCommand[], now: Millis): Decision {
  if (commands.length === 0) return decision
  return {
    write: { ...decision.write, done: commands },
    events: (committed) => [...decision.events(committed), { type: 'commandsDone', commands, at: now }],
  }
}

/** Which commands are an admin's. The one place where a role is checked. */
export function authorise(attendee: Attendee, command: Command): Rejection | null {
  switch (command.type) {
    case 'say':
    case 'vote':
      return null
    case 'open':
    case 'finish':
    case 'newPoll':
    case 'abortPoll':
    case 'kick':
      return attendee.admin ? null : reject('Permission denied')
  }
}

/** What a run of lines does: they are said in their order. */
export function say(meeting: Meeting, lines: { by: MemberId; text: string }[]): Decision | Rejection {
  if (meeting.state === 'closed') return closed
  return decision({ lines: lines.map(({ by, text }) => ({ sender: by, text })) })
}

const closed = reject('This meeting is closed')

/**
 * What a run of votes does. It ends early, before the vote that follows the last one missing (that one ends the poll)
 * and before a member's second vote. `answers` holds for each vote that was taken its rejection, or null.
 */
export function vote(
  meeting: Meeting,
  votes: readonly Vote[],
  now: Millis,
): { answers: (Rejection | null)[]; decision: Decision } {
  const { poll } = meeting
  const answers: (Rejection | null)[] = []
  const lines: LineDraft[] = []
  const cast: { member: MemberId; answer: number }[] = []
  const voters = new Set<MemberId>()
  let missing = poll ? missingVotes(poll, meeting.attendees.keys()) : 0
  for (const one of votes) {
    if (voters.has(one.by)) break
    const outcome = castVote(poll, one, meeting.attendees.get(one.by)?.name ?? '', now)
    answers.push(outcome && 'type' in outcome ? outcome : null)
    if (!outcome || 'type' in outcome) continue
    voters.add(one.by)
    lines.push(system(outcome.line))
    cast.push({ member: one.by, answer: outcome.answer })
    if (!poll?.votes.has(one.by) && --missing === 0) break
  }
  if (!poll || cast.length === 0) return { answers, decision: decision({ lines }) }
  const events = cast.map((one): Event => ({ type: 'voted', ...one }))
  return { answers, decision: decision({ lines, votes: { poll: poll.id, cast } }, ...events) }
}

/** What an admin's command does. `by` is an attendee whose right has been checked. */
export function decide(
  meeting: Meeting,
  by: Attendee,
  command: Exclude<Command, { type: 'say' | 'vote' }>,
  now: Millis,
): Decision | Rejection {
  if (meeting.state === 'closed') return closed
  switch (command.type) {
    case 'open': {
      if (meeting.state === 'open') return reject('Meeting is already open')
      const lines = [
        system(marks.open),
        system('Anything sent from now on will be part of the permanent record'),
      ]
      if (meeting.state === 'finished') lines.unshift(system(`This meeting is being re-opened by ${by.name}`))
      return decision(
        { lines, state: { from: meeting.state, to: 'open' } },
        { type: 'stateChanged', state: 'open' },
      )
    }
    case 'finish': {
      if (meeting.state === 'finished') return reject('Meeting is already finished')
      if (meeting.state === 'pending') return reject('Meeting is not open')
      const ended = meeting.poll ? endPoll(meeting.poll, 'finished', now) : decision({ lines: [] })
      return {
        write: {
          ...ended.write,
          lines: [...ended.write.lines, system(marks.finished)],
          state: { from: 'open', to: 'finished' },
        },
        events: (committed) => [...ended.events(committed), { type: 'stateChanged', state: 'finished' }],
      }
    }
    case 'newPoll': {
      const { draft } = command
      if ('type' in draft) return draft
      if (meeting.state !== 'open') return reject('Meeting is not open')
      if (meeting.poll) return reject('There is already an active poll')
      const endedAt = meeting.endedPolls.get(draft.question)
      if (endedAt !== undefined && now < endedAt + sameQuestionMs)
        return reject('This question was just asked, please word it differently or wait a moment')
      return {
        write: {
          lines: [system(`A new poll has been posted for ${draft.question}`)],
          openPoll: { ...draft, by: by.id },
        },
        events: ({ poll }) => {
          if (!poll) throw new Error('a poll was committed without an id')
          return [
            {
              type: 'pollOpened',
              poll: { ...poll, question: draft.question, answers: draft.answers, votes: new Map() },
            },
          ]
        },
      }
    }
    case 'abortPoll':
      return meeting.poll ? endPoll(meeting.poll, 'aborted', now) : reject('There is no active poll')
    case 'kick': {
      const { target } = command
      if ('type' in target) return target
      const attendee = meeting.attendees.get(target.member)
      if (!attendee) return reject('User to kick not found')
      if (attendee.id === by.id) return reject('You cannot disconnect yourself')
      const { id } = attendee
      const departed: Event = { type: 'departed', member: id, told: disconnects.kicked, lostAt: null }
      const write: Write = {
        lines: [kickLine(attendee.name, by.name)],
        depart: [id],
      }
      if (target.canRejoin) return decision(write, departed)
      return decision({ ...write, ban: { member: id, by: by.id } }, departed, { type: 'banned', member: id })
    }
  }
}

function endPoll(poll: Poll, ending: PollEnding, now: Millis): Decision {
  return decision(
    { lines: endingLines(poll, ending).map(system), endPoll: { id: poll.id, ending } },
    { type: 'pollEnded', endedAt: now, ending },
  )
}

/** By what is known that something is due which the database has refused, and until when it is to wait. */
export type Postponed = ReadonlyMap<string, Millis>

const departureOf = (id: MemberId): string => `departure of ${id}`
const endOf = (poll: Poll): string => `end of poll ${poll.id}`
const closing = 'closing'

/**
 * What is due by itself, without anyone's command: to be done, and asked again, until there is nothing. `names` says of what
 * `decision` is made; nothing of it is in `postponed`, and no more departures at once than are a portion.
 */
export function due(
  meeting: Meeting,
  now: Millis,
  postponed: Postponed,
  departures: { of: (attendees: readonly Attendee[]) => readonly Attendee[] },
  closeAfterMs: number,
): { names: string[]; decision: Decision } | null {
  const { attendees, poll, state } = meeting
  const gone = departures.of(
    [...attendees.values()].filter(
      ({ id, presence }) =>
        presence.type === 'away' && presence.until <= now && !postponed.has(departureOf(id)),
    ),
  )
  if (gone.length > 0)
    return { names: gone.map(({ id }) => departureOf(id)), decision: depart(gone, null, () => now) }
  if (poll && !postponed.has(endOf(poll))) {
    const names = [endOf(poll)]
    if (poll.endsAt <= now) return { names, decision: endPoll(poll, 'time', now) }
    // The site has ended the meeting, and did not know of the poll.
    if (state !== 'open') return { names, decision: endPoll(poll, 'finished', now) }
    // With nobody left there is nobody who has voted: a lost network must not end a poll. Its time does.
    if (attendees.size > 0 && missingVotes(poll, attendees.keys()) === 0)
      return { names, decision: endPoll(poll, 'voted', now) }
  }
  const closesAt = closingTime(meeting, closeAfterMs)
  if (closesAt !== null && closesAt <= now && !postponed.has(closing))
    return {
      names: [closing],
      decision: decision(
        { lines: [], state: { from: 'finished', to: 'closed' } },
        { type: 'stateChanged', state: 'closed' },
      ),
    }
  return null
}

/**
 * When a finished meeting without anyone in it is to be closed: at once, but for those who were lost, whom a fault of the
 * network or of ours may have kept away. Null for others.
 */
function closingTime({ state, attendees, departed }: Meeting, closeAfterMs: number): Millis | null {
  if (state !== 'finished' || attendees.size > 0) return null
  let time = -Infinity
  for (const { lostAt } of departed.values())
    if (lostAt !== null) time = Math.max(time, lostAt + closeAfterMs)
  return time
}

/** When `due` is next to be asked, or null. */
export function nextDue(meeting: Meeting, postponed: Postponed, closeAfterMs: number): Millis | null {
  const { attendees, poll } = meeting
  const times = [...postponed.values()]
  const closesAt = closingTime(meeting, closeAfterMs)
  if (closesAt !== null && !postponed.has(closing)) times.push(closesAt)
  if (poll && !postponed.has(endOf(poll))) times.push(poll.endsAt)
  for (const { id, presence } of attendees.values())
    if (presence.type === 'away' && !postponed.has(departureOf(id))) times.push(presence.until)
  return times.length === 0 ? null : times.reduce((least, time) => Math.min(least, time))
}

/** What the tables of the site say of a meeting: null when its row is gone or no longer a web meeting's. */
export type SiteState = {
  name: string
  state: MeetingState
  admins: ReadonlySet<MemberId>
  banned: ReadonlySet<MemberId>
  /** The key rows of those who attend. */
  keys: ReadonlyMap<MemberId, { key: string; name: string; allowRejoin: boolean; proxyName: string | null }>
} | null

/**
 * What brings the view in line with the site's tables (meeting door spec, The poller); null when it is. `site` is what
 * they said after the view was at revision `asOf`: what has changed here since then is left as it is.
 */
export function followSite(meeting: Meeting, site: SiteState, asOf: number): Decision | null {
  if (!site) return decision({ lines: [], depart: [...meeting.attendees.keys()] }, { type: 'vanished' })
  const events: Event[] = []
  if (site.name !== meeting.name) events.push({ type: 'renamed', name: site.name })
  if (site.state !== meeting.state && meeting.stateRevision <= asOf)
    events.push({ type: 'stateChanged', state: site.state })
  if (meeting.banRevision <= asOf) {
    for (const member of meeting.banned)
      if (!site.banned.has(member)) events.push({ type: 'unbanned', member })
    for (const member of site.banned) {
      // Who has entered since then may be banned no more: the next look says so.
      const isNewer = (meeting.attendees.get(member)?.revision ?? 0) > asOf
      if (!meeting.banned.has(member) && !isNewer) events.push({ type: 'banned', member })
    }
  }
  const expelled: Attendee[] = []
  const kicked: Attendee[] = []
  for (const attendee of meeting.attendees.values()) {
    if (attendee.revision > asOf) continue
    const { id } = attendee
    const row = site.keys.get(id)
    const admin = site.admins.has(id)
    const keyLost = !row || (attendee.key !== null && attendee.key !== row.key)
    const rejoinLost = row && !row.allowRejoin && !admin && site.state === 'open'
    // Who is kicked by a command of the meeting is gone with it: this ban comes from the command line.
    if (site.banned.has(id)) kicked.push(attendee)
    else if (keyLost || rejoinLost) expelled.push(attendee)
    else if (attendee.admin !== admin || attendee.proxyName !== row.proxyName || attendee.name !== row.name) {
      const { name, proxyName } = row
      const isRenamed = name !== attendee.name
      events.push({ type: 'attendeeChanged', member: id, name, admin, proxyName, isRenamed })
    }
  }
  if (events.length === 0 && expelled.length === 0 && kicked.length === 0) return null
  const departure = depart(expelled, disconnects.notAllowed)
  const { lines, depart: departed = [] } = departure.write
  return {
    write: {
      lines: [...kicked.map(({ name }) => kickLine(name, operator)), ...lines],
      depart: [...kicked.map(({ id }) => id), ...departed],
    },
    events: (committed) => [
      ...kicked.map(({ id }): Event => ({
        type: 'departed',
        member: id,
        told: disconnects.kicked,
        lostAt: null,
      })),
      ...events,
      ...departure.events(committed),
    ],
  }
}

/** Changes the view by one event. */
export function apply(meeting: Meeting, event: Event): void {
  switch (event.type) {
    case 'entered':
      meeting.attendees.set(event.attendee.id, { ...event.attendee, revision: ++meeting.revision })
      meeting.departed.delete(event.attendee.id)
      return
    case 'away': {
      const attendee = meeting.attendees.get(event.member)
      if (attendee) attendee.presence = { type: 'away', until: event.until }
      return
    }
    case 'departed': {
      const attendee = meeting.attendees.get(event.member)
      if (!attendee) return
      const { id, name, color, admin, remote } = attendee
      meeting.revision++
      meeting.attendees.delete(id)
      meeting.departed.set(id, { id, name, color, admin, remote, lostAt: event.lostAt })
      return
    }
    case 'banned':
      meeting.banned.add(event.member)
      meeting.banRevision = ++meeting.revision
      return
    case 'unbanned':
      meeting.banned.delete(event.member)
      meeting.banRevision = ++meeting.revision
      return
    case 'stateChanged':
      meeting.state = event.state
      meeting.stateRevision = ++meeting.revision
      return
    case 'renamed':
      meeting.name = event.name
      return
    case 'attendeeChanged': {
      const attendee = meeting.attendees.get(event.member)
      const { name, admin, proxyName } = event
      if (attendee) Object.assign(attendee, { name, admin, proxyName })
      return
    }
    case 'pollOpened':
      meeting.poll = event.poll
      return
    case 'voted':
      meeting.poll?.votes.set(event.member, event.answer)
      return
    case 'pollEnded':
      for (const [question, endedAt] of meeting.endedPolls)
        if (endedAt + sameQuestionMs <= event.endedAt) meeting.endedPolls.delete(question)
      if (!meeting.poll) return
      meeting.endedPolls.set(meeting.poll.question, event.endedAt)
      meeting.result = resultOf(meeting.poll, event.ending)
      meeting.poll = null
      return
    case 'commandsDone':
      for (const [key, at] of meeting.done) {
        if (at + rememberedMs > event.at) break
        meeting.done.delete(key)
      }
      for (const command of event.commands) meeting.done.set(doneKey(command), event.at)
      return
    case 'vanished':
      meeting.attendees.clear()
      return
  }
}
