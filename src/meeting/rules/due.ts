import type { Portion } from '../../hub/portion.ts'
import type { Millis } from '../../hub/telling.ts'
import type { Postponed } from '../../hub/postponement.ts'
import { depart, leftLine } from './attendance.ts'
import { endPoll } from './commands.ts'
import { type Change, change } from './facts.ts'
import { type MemberId, missingVotes, type Poll } from './poll.ts'
import type { Meeting } from './view.ts'

const departureOf = (id: MemberId): string => `departure of ${id}`
const endOf = (poll: Poll): string => `end of poll ${poll.id}`
const closing = 'closing'

/**
 * What is due by itself, without anyone's command: to be done, and asked again, until there is nothing. `names` says of what
 * `change` is made; nothing of it is in `postponed`, and no more departures at once than are a portion.
 */
export function due(
  meeting: Meeting,
  now: Millis,
  postponed: Postponed,
  portion: Pick<Portion, 'of'>,
  closeAfterMs: number,
): { names: string[]; change: Change } | null {
  const { attendees, poll, state } = meeting
  const gone = portion.of(
    [...attendees.values()].filter(
      ({ id, presence }) =>
        presence.type === 'away' && presence.until <= now && !postponed.has(departureOf(id)),
    ),
  )
  if (gone.length > 0)
    return {
      names: gone.map(({ id }) => departureOf(id)),
      change: depart(
        gone.map((attendee) => ({ attendee, told: null, lost: true })),
        gone.map(leftLine),
      ),
    }
  if (poll && !postponed.has(endOf(poll))) {
    const names = [endOf(poll)]
    if (poll.endsAt <= now) return { names, change: endPoll(poll, 'time') }
    // The site has ended the meeting, and did not know of the poll.
    if (state !== 'open') return { names, change: endPoll(poll, 'finished') }
    // With nobody left there is nobody who has voted: a lost network must not end a poll. Its time does.
    if (attendees.size > 0 && missingVotes(poll, attendees.keys()) === 0)
      return { names, change: endPoll(poll, 'voted') }
  }
  const closesAt = closingTime(meeting, closeAfterMs)
  if (closesAt === null || closesAt > now || postponed.has(closing)) return null
  const write = { lines: [], state: { from: 'finished', to: 'closed' } } as const
  return {
    names: [closing],
    change: change({ ...write, lines: [] }, { type: 'stateChanged', state: 'closed' }),
  }
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
