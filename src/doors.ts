import { chatDoor } from './chat/door.ts'
import { documentDoor } from './document/door.ts'
import { meetingDoor } from './meeting/door.ts'

/** The doors of this server. No other file outside their folders names one. */
export const doors = [meetingDoor, chatDoor, documentDoor] as const
