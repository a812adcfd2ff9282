import type { Door } from '../hub/door.ts'
import { documentFlags } from './flags.ts'

/** Documents that several draw or write on, for Zwibbler clients. */
export const documentDoor = {
  name: 'document',
  flags: documentFlags,
} as const satisfies Door
