import { type EntryOf, error, type EventTable, info, type ServerEntry, warn } from '../edge/events.ts'
import type { Log as LogOf } from '../edge/log.ts'
import { metricTable } from '../edge/metric-table.ts'

/** What the meeting door logs. */
export const meetingEvents = {
  serving: info({ meetings: 'number' }),
  entered: info({
    meeting: 'number',
    member: 'number',
    address: 'text',
    request: 'text',
    arrival: 'text',
  }),
  ended: info({ meeting: 'number', member: 'number', address: 'text', request: 'text', how: 'text' }),
  refused: info({ meeting: 'number', address: 'text', request: 'text', reason: 'text' }),
  stateChanged: info({ meeting: 'number', state: 'text' }),
  recordFailed: warn({ meeting: 'number', error: 'text' }),
  viewDistrusted: warn({ meeting: 'number', reason: 'text' }),
  viewReadAnew: info({ meeting: 'number' }),
  notStored: warn({
    meeting: 'number',
    count: 'number',
    error: 'text',
    table: 'text',
    constraint: 'text',
  }),
  readFailed: warn({ meeting: 'number', error: 'text' }),
  notFollowed: warn({ meeting: 'number', count: 'number', error: 'text' }),
  roomFailed: error({ meeting: 'number', error: 'text' }),
} as const satisfies EventTable

export type MeetingEntry = EntryOf<typeof meetingEvents>
export type Log = LogOf<MeetingEntry | ServerEntry>

/** How many meetings there are of each state, how many people in them, and how many commands wait. */
export type MeetingStats = {
  meetings: Readonly<Record<string, number>>
  people: Readonly<Record<'here' | 'away', number>>
  queuedCommands: number
}

/** What the meeting door counts. */
export const meetingMetrics = metricTable<MeetingEntry, MeetingStats>()({
  counters: {
    lines: { help: 'Lines stored in records', perSecond: true },
    votes: { help: 'Votes stored, changed ones too', perSecond: true },
    entries: {
      help: 'Attempts to enter a meeting by what came of them',
      labels: ['result', 'reason'],
    },
    disconnects: { help: 'Connections of members that ended, by how', labels: ['reason'] },
  },
  counted(entry) {
    const { event } = entry
    if (event === 'entered') return ['entries', { result: entry.arrival, reason: '' }]
    if (event === 'refused') return ['entries', { result: 'refused', reason: entry.reason }]
    return event === 'ended' ? ['disconnects', { reason: entry.how }] : null
  },
  gauges: {
    serving: {
      help: '1 where this process serves the meetings',
      read: (stats) => Number(stats !== null),
    },
    queued_commands: {
      help: 'Commands that wait in the mailboxes of meetings',
      read: (stats) => stats?.queuedCommands ?? 0,
    },
    meetings: {
      help: 'Meetings that are known here, by state',
      label: 'state',
      read: (stats) => stats?.meetings ?? {},
    },
    people: {
      help: 'Members in meetings: connected, or away for less than the grace time',
      label: 'presence',
      read: (stats) => stats?.people ?? { here: 0, away: 0 },
    },
  },
  series: {
    people: (stats) => (stats ? stats.people.here + stats.people.away : 0),
    queuedCommands: (stats) => stats?.queuedCommands ?? 0,
  },
})
