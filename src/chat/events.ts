import { type EntryOf, type EventTable, info, type ServerEntry, warn } from '../edge/events.ts'
import type { Log as LogOf } from '../edge/log.ts'
import { metricTable } from '../edge/metric-table.ts'

/** What the chat door logs. */
export const chatEvents = {
  chatServing: info({ schema: 'text' }),
  chatEntered: info({ room: 'number', address: 'text', request: 'text' }),
  chatEnded: info({ room: 'number', address: 'text', request: 'text', how: 'text' }),
  chatRefused: info({ address: 'text', request: 'text' }),
  chatNotStored: warn({ room: 'number', lines: 'number', error: 'text' }),
  chatReadFailed: warn({ room: 'number', error: 'text' }),
} as const satisfies EventTable

export type ChatEntry = EntryOf<typeof chatEvents>
export type Log = LogOf<ChatEntry | ServerEntry>

/** What can be guessed at this door, by the name that the log has for it. */
export type Secret = 'sessionKey'

/** How many rooms there are, and how many lines wait in them. */
export type ChatStats = Readonly<{ rooms: number; queued: number }>

/** What the chat door counts. Its lines are the meetings' lines: what people have said, wherever. */
export const chatMetrics = metricTable<ChatEntry, ChatStats>()({
  counters: { lines: { help: 'Lines stored in records', perSecond: true } },
  gauges: {
    chat_rooms: {
      help: 'Chat rooms in which somebody is',
      read: (stats) => stats?.rooms ?? 0,
    },
    chat_queued_lines: {
      help: 'Lines that wait to be stored in chat rooms',
      read: (stats) => stats?.queued ?? 0,
    },
  },
})
