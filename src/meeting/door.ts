import type { Door } from '../hub/door.ts'
import { meetingEvents, meetingMetrics } from './events.ts'
import { meetingFlags } from './flags.ts'

/** Web meetings of an association that runs pgeu-system. */
export const meetingDoor = {
  name: 'meeting',
  flags: meetingFlags,
  events: meetingEvents,
  metrics: meetingMetrics,
} as const satisfies Door
