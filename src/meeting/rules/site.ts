import { disconnects, kickedForGood } from '../disconnects.ts'
import { type Departing, depart, leftLine } from './attendance.ts'
import { kickLine } from './commands.ts'
import { type Change, change, type Fact } from './facts.ts'
import type { MemberId } from './poll.ts'
import type { Attendee, Meeting, MeetingState } from './view.ts'

/** What the tables of the site say of a meeting: null when its row is gone or no longer a web meeting's. */
export type SiteState = {
  name: string
  state: MeetingState
  admins: ReadonlySet<MemberId>
  banned: ReadonlySet<MemberId>
  /** The key rows of those who attend. */
  keys: ReadonlyMap<MemberId, { key: string; name: string; allowRejoin: boolean; proxyName: string | null }>
} | null

/** Who kicks from the command line, as the record calls them. */
const operator = 'the operator'

/**
 * What brings the view in line with the site's tables (meeting door spec, The poller); null when it is. `site` is what
 * they said after the view was at revision `asOf`: what has changed here since then is left as it is.
 */
export function followSite(meeting: Meeting, site: SiteState, asOf: number): Change | null {
  if (!site) return change({ lines: [], depart: [...meeting.attendees.keys()] }, { type: 'vanished' })
  const { facts: changes, kicked, expelled } = followAttendees(meeting, site, asOf)
  const facts = [...followMeeting(meeting, site, asOf), ...changes]
  if (facts.length === 0 && expelled.length === 0 && kicked.length === 0) return null
  const departing: Departing[] = [
    ...kicked.map((attendee) => ({ attendee, told: kickedForGood, lost: false })),
    ...expelled.map((attendee) => ({ attendee, told: disconnects.notAllowed, lost: false })),
  ]
  const departure = depart(departing, [
    ...kicked.map(({ name }) => kickLine(name, operator)),
    ...expelled.map(leftLine),
  ])
  return { write: departure.write, facts: [...departure.facts, ...facts] }
}

function followMeeting(meeting: Meeting, site: NonNullable<SiteState>, asOf: number): Fact[] {
  const facts: Fact[] = []
  if (site.name !== meeting.name) facts.push({ type: 'renamed', name: site.name })
  if (site.state !== meeting.state && meeting.stateRevision <= asOf)
    facts.push({ type: 'stateChanged', state: site.state })
  if (meeting.banRevision > asOf) return facts
  const unbanned = Array.from(meeting.banned).filter((member) => !site.banned.has(member))
  const banned = Array.from(site.banned).filter((member) => {
    // Who has joined since then may be banned no more: the next look says so.
    const isNewer = (meeting.attendees.get(member)?.revision ?? 0) > asOf
    return !meeting.banned.has(member) && !isNewer
  })
  if (unbanned.length > 0) facts.push({ type: 'unbanned', members: unbanned })
  if (banned.length > 0) facts.push({ type: 'banned', members: banned })
  return facts
}

function followAttendees(
  meeting: Meeting,
  site: NonNullable<SiteState>,
  asOf: number,
): { facts: Fact[]; kicked: Attendee[]; expelled: Attendee[] } {
  const changed: Extract<Fact, { type: 'attendeesChanged' }>['people'] = []
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
      changed.push({ member: id, name, admin, proxyName, isRenamed })
    }
  }
  return {
    facts: changed.length === 0 ? [] : [{ type: 'attendeesChanged', people: changed }],
    kicked,
    expelled,
  }
}
