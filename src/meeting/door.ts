import type { Door } from '../hub/door.ts'
import { meetingEvents, meetingMetrics } from './events.ts'
import { meetingFlags } from './flags.ts'
import { meetingSchema } from './schema.ts'

/** Web meetings of an association that runs pgeu-system. */
export const meetingDoor = {
  name: 'meeting',
  flags: meetingFlags,
  schema: meetingSchema,
  events: meetingEvents,
  metrics: meetingMetrics,
} as const satisfies Door
