import type { Client } from './client.ts'
import { type DisconnectWord, disconnects, kickedForGood } from './disconnects.ts'
import { type Credential, screenRefusal } from './rules/attendance.ts'
import type { MemberId } from './rules/poll.ts'
import type { Meeting } from './rules/view.ts'

/** Of each member: one for the hall, and some for other rooms. */
const maxScreens = 4

/** The screens that show a meeting by the key of somebody, who need not be in it. */
export class Screens {
  readonly #credentials = new Map<Client, Credential>()
  readonly #end: (subscriber: number, word: DisconnectWord) => void

  /** `end` takes a connection out of the room, which calls `ended` in turn. */
  constructor(end: (subscriber: number, word: DisconnectWord) => void) {
    this.#end = end
  }

  /** Each with the key that it has. */
  get keys(): readonly (readonly [Client, string])[] {
    return Array.from(this.#credentials, ([client, { key }]) => [client, key] as const)
  }

  /** One more: the oldest of the same member ends where these are too many. */
  begun(client: Client, credential: Credential): void {
    const others = Array.from(this.#credentials.keys()).filter(({ member }) => member === client.member)
    if (others.length >= maxScreens && others[0]) this.#end(others[0].socket.id, disconnects.takenOver)
    this.#credentials.set(client, credential)
  }

  ended(client: Client): void {
    this.#credentials.delete(client)
  }

  /** Ends one that may not show the meeting any more. `credential`: what the database knows of its key by now. */
  follow(client: Client, credential: Credential | null, meeting: Meeting | null): void {
    const refused = screenRefusal(credential, meeting)
    if (refused && this.#credentials.has(client)) this.#end(client.socket.id, refused)
  }

  /** Ends those of members who are banned. */
  banned(members: readonly MemberId[]): void {
    for (const client of Array.from(this.#credentials.keys()))
      if (members.includes(client.member)) this.#end(client.socket.id, kickedForGood)
  }
}
