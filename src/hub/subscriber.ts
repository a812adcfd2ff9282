import type { Socket } from '../edge/socket.ts'

/** The form of a door's protocol: that of the older system's clients, or the newer one with ids and acknowledgements. */
export type Format = 'stock' | 'v1'

/** One connection that hears what is told in a room, as the broadcaster sees it. */
export type Subscriber<Audience extends string> = {
  readonly socket: Socket
  /** What it gets beside what is for everyone. One and the same list for all subscribers that are in the same. */
  readonly audiences: readonly Audience[]
  readonly format: Format
  /** The longest message that it takes in one piece, where the door's protocol has that. */
  readonly longest?: number
}
