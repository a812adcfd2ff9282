import type { Door } from '../hub/door.ts'
import { meetingFlags } from './flags.ts'

/** Web meetings of an association that runs pgeu-system. */
export const meetingDoor = {
  name: 'meeting',
  flags: meetingFlags,
} as const satisfies Door
