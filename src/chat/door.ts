import type { Door } from '../hub/door.ts'
import { chatEvents, chatMetrics } from './events.ts'
import { chatFlags } from './flags.ts'
import { chatSchema } from './schema.ts'

/** Rooms with session keys, for the clients of nodejschat and others. */
export const chatDoor = {
  name: 'chat',
  flags: chatFlags,
  schema: chatSchema,
  events: chatEvents,
  metrics: chatMetrics,
} as const satisfies Door
