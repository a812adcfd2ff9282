import type { Door } from '../hub/door.ts'
import { documentEvents, documentMetrics } from './events.ts'
import { documentFlags } from './flags.ts'
import { documentSchema } from './schema.ts'

/** Documents that several draw or write on, for Zwibbler clients. */
export const documentDoor = {
  name: 'document',
  flags: documentFlags,
  schema: documentSchema,
  events: documentEvents,
  metrics: documentMetrics,
} as const satisfies Door
