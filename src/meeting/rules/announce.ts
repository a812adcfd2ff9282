import type { ReplicaRules } from '../../hub/replica.ts'
import type { Millis, Telling as HubTelling } from '../../hub/telling.ts'
import type { Tail } from '../../hub/tail.ts'
import { type DisconnectWord, disconnects, kickedForGood } from '../disconnects.ts'
import {
  addUserFrame,
  type BothFormats,
  encodeLine,
  hereFrame,
  meetingFrame,
  messageFrame,
  messagesFrame,
  noPollFrame,
  pollEndFrame,
  pollFrame,
  removeUserFrame,
  statusFrame,
  usersFrame,
  welcomeFrame,
} from '../protocol.ts'
import type { Fact } from './facts.ts'
import type { MemberId, Poll } from './poll.ts'
import { apply, type Meeting, subscriberOf } from './view.ts'

/** `attendees`: all but the screens; `readers`: those of them who lack no older lines. */
export type Audience = 'attendees' | 'readers' | 'admins' | 'members' | 'screens'

export type Telling = HubTelling<Audience, DisconnectWord, Member>

/**
 * Somebody in the meeting, as far as it matters for what they are told. `first`: the highest id that they have. A screen
 * shows a meeting by the key of that member, who need not be in it.
 */
export type Member = {
  member: MemberId
  isScreen: boolean
  format: 'stock' | 'v1'
  first: number
  behind: number | null
}

const audiences = {
  admin: { reads: ['attendees', 'admins', 'readers'], lags: ['attendees', 'admins'] },
  member: { reads: ['attendees', 'members', 'readers'], lags: ['attendees', 'members'] },
} as const satisfies Record<string, Record<string, readonly Audience[]>>
/** Sums as members see them; no lines, and nobody's name. */
const screenAudiences = ['members', 'screens'] as const satisfies readonly Audience[]

/** What the first frame of a client says of the server, and the clock of the wall, in milliseconds. */
export type Server = Omit<Parameters<typeof welcomeFrame>[2], 'now'> & { wallClock: () => number }

/**
 * From this many people who come or go at once, if they are a tenth of all, one `users` frame tells it. In a large
 * meeting the list is so long that fewer are told one by one.
 */
const manyPeople = 3

const all = (stock: Buffer | null, v1: Buffer | null = stock): Telling => ({
  type: 'all',
  to: 'everyone',
  stock,
  v1,
})

const toAttendees = ({ stock, v1 }: BothFormats): Telling => ({ type: 'all', to: 'attendees', stock, v1 })

const tellHowMany = (meeting: Meeting): Telling => ({
  type: 'all',
  to: 'screens',
  stock: null,
  v1: hereFrame(meeting),
  newestOf: 'here',
})

/** Tells who came or went, by a frame for each; by `users` where these would be many for the size of the meeting. */
function tellPresence(
  meeting: Meeting,
  changes: readonly BothFormats[],
  users = (): BothFormats => usersFrame(meeting),
): Telling[] {
  if (changes.length === 0) return []
  const isMany = changes.length >= Math.max(manyPeople, meeting.attendees.size / 10)
  return [...(isMany ? [users()] : changes).map(toAttendees), tellHowMany(meeting)]
}

/** What a meeting tells its listeners, and by which rules its view changes. */
export function announcer(server: Server): ReplicaRules<Meeting, Fact, Audience, DisconnectWord, Member> {
  return {
    apply,
    audiences: ({ attendees }, { member, isScreen, behind }) =>
      isScreen
        ? screenAudiences
        : audiences[attendees.get(member)?.admin ? 'admin' : 'member'][behind === null ? 'reads' : 'lags'],
    readsRecord: ({ isScreen }) => !isScreen,
    changesAudience: ({ type }) => changesAudience.has(type),
    tell: (meeting, fact, now) => tell(server, meeting, fact, now),
    sums: (meeting, now) => tellPoll(server, meeting, now),
    newest: ({ lastLine }) => lastLine.id,
    dismissal({ attendees, banned }, { member, isScreen }) {
      if (attendees.has(member)) return undefined
      if (banned.has(member)) return kickedForGood
      return isScreen ? undefined : null
    },
    gone: disconnects.deleted,
    looksSame: (before, meeting) => pictureOf(before).equals(pictureOf(meeting)),
    reloaded: (before, meeting) => [
      toAttendees(usersFrame(meeting)),
      tellHowMany(meeting),
      all(statusFrame(meeting)),
      tellMeeting(meeting),
      ...(meeting.result && meeting.result.id !== before.result?.id
        ? [all(null, pollEndFrame(meeting.result))]
        : []),
      all(noPollFrame),
      ...(meeting.poll ? [{ type: 'sums', soon: false } as const] : []),
    ],
  }
}

/** What a fact has the listeners told; `meeting` has it already. */
function tell(server: Server, meeting: Meeting, fact: Fact, now: Millis): Telling[] {
  switch (fact.type) {
    case 'joined':
      return tellJoined(server, meeting, fact.people, now)
    case 'away':
      return ends(fact.people)
    case 'departed': {
      const gone = fact.people.flatMap(({ member }) => meeting.departed.get(member) ?? [])
      return [
        ...ends(fact.people),
        // Who departs takes their role along.
        ...(gone.some(({ admin }) => admin) ? [tellMeeting(meeting)] : []),
        ...tellPresence(meeting, gone.map(removeUserFrame)),
      ]
    }
    case 'stateChanged':
      return [tellMeeting(meeting), all(statusFrame(meeting))]
    case 'renamed':
      return [tellMeeting(meeting)]
    case 'attendeesChanged':
      return tellChanged(server, meeting, fact.people, now)
    case 'pollEnded':
      return [
        ...(meeting.result ? [all(null, pollEndFrame(meeting.result))] : []),
        { type: 'sums', soon: false },
      ]
    case 'pollOpened':
      return [{ type: 'sums', soon: false }]
    case 'voted':
      return [{ type: 'sums', soon: true }]
    case 'said':
      return fact.lines.map((data) => {
        const line = encodeLine(data)
        const frame = messageFrame(line)
        return { type: 'line', to: 'readers', id: data.id, item: line, stock: frame, v1: frame }
      })
    case 'vanished':
      return [{ type: 'gone' }]
    case 'banned':
    case 'unbanned':
    case 'commandsDone':
    case 'followed':
      return []
  }
}

type PeopleOf<Type extends Fact['type']> = Extract<Fact, { type: Type; people: unknown }>['people']

const tellMeeting = (meeting: Meeting): Telling => all(null, meetingFrame(meeting))

function tellJoined(server: Server, meeting: Meeting, people: PeopleOf<'joined'>, now: Millis): Telling[] {
  // The longest frame of all: those who are here may need it too.
  const users = usersFrame(meeting)
  const greet = greeter(server, meeting, users, now)
  const appeared = people.filter(({ arrival }) => arrival === 'joined' || arrival === 'rejoined')
  return [
    ...people.flatMap(({ previous }): Telling[] =>
      previous === null ? [] : [{ type: 'end', subscriber: previous, word: disconnects.takenOver }],
    ),
    ...tellPresence(meeting, appeared.map(addUserFrame), () => users),
    ...(people.some(({ admin }) => admin) ? [tellMeeting(meeting)] : []),
    ...people.map(({ subscriber, arrival }): Telling => ({ type: 'join', subscriber, arrival, greet })),
  ]
}

function tellChanged(
  server: Server,
  meeting: Meeting,
  people: PeopleOf<'attendeesChanged'>,
  now: Millis,
): Telling[] {
  const { poll, attendees } = meeting
  const moved = people.flatMap(({ member, admin }): Telling[] => {
    const attendee = attendees.get(member)
    const subscriber = attendee ? subscriberOf(attendee) : null
    if (subscriber === null) return []
    const frames = poll && framesOf(server, poll, admin ? 'admins' : 'members', now)
    return [
      { type: 'audience', subscriber },
      ...(frames ? [{ type: 'one', subscriber, ...frames } as const] : []),
    ]
  })
  const isRenamed = people.some((one) => one.isRenamed)
  // By whom somebody is represented is told in the newer format alone.
  const isAnotherProxy = people.some(({ proxyName }) => proxyName !== null)
  const users = isRenamed || isAnotherProxy ? usersFrame(meeting) : null
  return [
    tellMeeting(meeting),
    ...moved,
    ...(users
      ? [{ type: 'all', to: 'attendees', stock: isRenamed ? users.stock : null, v1: users.v1 } as const]
      : []),
  ]
}

function tellPoll(server: Server, { poll }: Meeting, now: Millis): Telling[] {
  if (!poll) return [all(noPollFrame)]
  return (['admins', 'members'] as const).map((to) => ({
    type: 'all',
    to,
    ...framesOf(server, poll, to, now),
  }))
}

function framesOf({ wallClock }: Server, poll: Poll, audience: 'admins' | 'members', now: Millis) {
  const wall = wallClock()
  const times = { closesAt: wall + Math.round(poll.endsAt - now), now: wall }
  return { stock: pollFrame(poll, audience), v1: pollFrame(poll, audience, times) }
}

/** Greets those who join by one fact; those of the same kind get the same bytes. */
function greeter(server: Server, meeting: Meeting, users: BothFormats, now: Millis) {
  const rests = new Map<string, { rest: Buffer; isBehind: boolean }>()
  const restOf = (
    { first, format }: Member,
    admin: boolean,
    tail: Tail<string>,
  ): { rest: Buffer; isBehind: boolean } => {
    const { poll } = meeting
    const frames = [statusFrame(meeting), noPollFrame]
    if (poll) frames.push(framesOf(server, poll, admin ? 'admins' : 'members', now)[format])
    const isBehind = !tail.covers(first)
    if (!isBehind) frames.push(messagesFrame(tail.since(first).join(',')))
    return { rest: Buffer.concat(frames), isBehind }
  }
  return (one: Member, tail: Tail<string>) => {
    const { member, first, format } = one
    const admin = meeting.attendees.get(member)?.admin === true
    const kind = `${first} ${admin} ${format}`
    const known = rests.get(kind) ?? restOf(one, admin, tail)
    rests.set(kind, known)
    const hello = { ...server, now: server.wallClock() }
    const welcome = format === 'v1' ? [welcomeFrame(meeting, member, hello)] : []
    return {
      frames: [...welcome, users[format], known.rest],
      behind: known.isBehind ? Math.min(first, meeting.lastLine.id) : null,
    }
  }
}

/** What a screen is told first. */
export function greetScreen(
  server: Server,
  meeting: Meeting,
  format: Member['format'],
  now: Millis,
): Buffer[] {
  const { poll } = meeting
  const hello = { ...server, now: server.wallClock() }
  return [
    ...(format === 'v1' ? [welcomeFrame(meeting, null, hello), hereFrame(meeting)] : []),
    statusFrame(meeting),
    noPollFrame,
    ...(poll ? [framesOf(server, poll, 'members', now)[format]] : []),
    // Ends an entry.
    messagesFrame(''),
  ]
}

const changesAudience = new Set<Fact['type']>(['joined', 'away', 'departed', 'attendeesChanged', 'vanished'])

const ends = (people: readonly { subscriber: number | null; told: DisconnectWord | null }[]): Telling[] =>
  people.flatMap(({ subscriber, told }) =>
    subscriber === null ? [] : [{ type: 'end', subscriber, word: told }],
  )

/** What is shown of a meeting apart from its lines, and to whom. */
function pictureOf(meeting: Meeting): Buffer {
  const admins = Array.from(meeting.attendees.values(), ({ admin }) => Number(admin))
  return Buffer.concat([
    usersFrame(meeting).v1,
    statusFrame(meeting),
    pollFrame(meeting.poll, 'admins'),
    Buffer.from(admins),
  ])
}
