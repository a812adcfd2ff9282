import { type EntryOf, type EventTable, info, type ServerEntry, warn } from '../edge/events.ts'
import type { Log as LogOf } from '../edge/log.ts'
import { metricTable } from '../edge/metric-table.ts'

/** What the document door logs. `document` is a short hash of its id. */
export const documentEvents = {
  documentsServing: info({}),
  documentsPublic: warn({ reason: 'text' }),
  documentEntered: info({ document: 'text', address: 'text', request: 'text' }),
  documentEnded: info({ document: 'text', address: 'text', request: 'text', how: 'text' }),
  documentRefused: info({ document: 'text', address: 'text', request: 'text', reason: 'text' }),
  documentNotStored: warn({ error: 'text' }),
  documentWriteRefused: warn({
    document: 'text',
    count: 'number',
    error: 'text',
    table: 'text',
    constraint: 'text',
  }),
  documentUseRefused: warn({ count: 'number', error: 'text' }),
  documentReadFailed: warn({ error: 'text' }),
  documentDistrusted: warn({ reason: 'text' }),
  documentUnauthorized: warn({ address: 'text', request: 'text' }),
  documentRequestFailed: warn({ error: 'text', address: 'text', request: 'text' }),
  documentsPurged: info({ documents: 'number', tokens: 'number' }),
  documentPurgeFailed: warn({ error: 'text' }),
  documentPurgeRefused: warn({ count: 'number', error: 'text' }),
  webhookFailed: warn({ attempt: 'number', error: 'text' }),
  webhookGivenUp: warn({ attempt: 'number', error: 'text' }),
  webhookNotRead: warn({ error: 'text' }),
  webhookNotStored: warn({ count: 'number', error: 'text' }),
} as const satisfies EventTable

export type DocumentEntry = EntryOf<typeof documentEvents>
export type Log = LogOf<DocumentEntry | ServerEntry>

/** What can be guessed at this door, by the name that the log has for it. */
export type Secret = 'password' | 'token'

/** How many documents are open, how many commands wait, and how many bytes of clients' messages. */
export type DocumentStats = Readonly<{ rooms: number; queued: number; heldBytes: number }>

/** What the document door counts. */
export const documentMetrics = metricTable<DocumentEntry, DocumentStats>()({
  counters: {
    document_appends: { help: 'Appends stored in documents' },
    document_bytes: { help: 'Bytes stored in documents' },
  },
  gauges: {
    documents: {
      help: 'Documents that somebody has open',
      read: (stats) => stats?.rooms ?? 0,
    },
    document_queued_commands: {
      help: 'Commands that wait in the mailboxes of documents',
      read: (stats) => stats?.queued ?? 0,
    },
    document_held_bytes: {
      help: "Bytes of clients' messages that wait to be done",
      read: (stats) => stats?.heldBytes ?? 0,
    },
  },
})
