import type { Door } from '../hub/door.ts'
import { chatFlags } from './flags.ts'

/** Rooms with session keys, for the clients of nodejschat and others. */
export const chatDoor = {
  name: 'chat',
  flags: chatFlags,
} as const satisfies Door
