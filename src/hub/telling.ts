import type { Frame } from './broadcaster.ts'
import type { Subscriber } from './subscriber.ts'
import type { Tail } from './tail.ts'

/** A part of a record: a line's text, or bytes. */
export type Lasting = { readonly length: number }

/** Milliseconds of the process's monotonic clock. */
export type Millis = number

/** A connection in a room. `behind`: the position after which it lacks a part of the record; null if it has all. */
export interface Listening<Audience extends string, Word> extends Subscriber<Audience> {
  behind: number | null
  /** Kept, and not asked for at each frame of each connection: the replica says when they are others. */
  audiences: readonly Audience[]
  /** It is in the room from now on, and in which way: what it has sent so far is looked at. */
  joined(arrival: string): void
  /** It is in the room no more. With a word the connection ends for good, else its client comes back. */
  end(word: Word | null): void
}

/** What an audience is told at once. */
export type ToAll<Audience extends string> = {
  to: Audience | 'everyone'
  stock: Frame
  v1: Frame
  /** One of them gets something else in its place, or nothing. */
  except?: { subscriber: number; frame: Buffer | null }
  /** What it tells the newest of: an older telling of the same in the same turn goes to nobody but its exception. */
  newestOf?: string
  /** What is told as it was, whatever comes later in the same turn. */
  lastOf?: readonly string[]
  /** So many bytes, which go by themselves: joined with others they would be copied once more. */
  long?: number
}

/** What a fact has a room's listeners told. A subscriber goes by the id of its socket. */
export type Telling<Audience extends string, Word, One, Item extends Lasting = string> =
  | ({ type: 'all' } & ToAll<Audience>)
  | { type: 'one'; subscriber: number; stock: Buffer; v1: Buffer }
  /**
   * A part of the record, which ends at the position `id`, for those who have all that is older; whoever recovers gets it
   * in its turn.
   */
  | ({ type: 'line'; id: number; item: Item } & ToAll<Audience>)
  /** It is greeted, and hears of everything from here on, the lines of the same commit first. */
  | {
      type: 'join'
      subscriber: number
      arrival: string
      greet: (one: One, tail: Tail<Item>) => Greeting
    }
  /** Its audiences are others from now on. */
  | { type: 'audience'; subscriber: number }
  | { type: 'end'; subscriber: number; word: Word | null }
  /** The sums have changed: they are told now, or `soon` together with what changes within 100 ms. */
  | { type: 'sums'; soon: boolean }
  /** What came after the position `after` is not told: those who have all up to there read it. */
  | { type: 'missed'; after: number }
  /** The room is no more. */
  | { type: 'gone' }

/** What a newcomer is sent first, and from which position on it still has to read. */
export type Greeting = { frames: Buffer[]; behind: number | null }
