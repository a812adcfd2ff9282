import { Broadcaster, type Frame } from './broadcaster.ts'
import { recover } from './recovery.ts'
import type { Subscriber } from './subscriber.ts'
import { Tail } from './tail.ts'
import { Throttle } from './throttle.ts'

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

/** What a fact has a room's listeners told. A subscriber goes by the id of its socket. */
export type Telling<Audience extends string, Word, One> =
  | { type: 'all'; to: Audience | 'everyone'; stock: Frame; v1: Frame }
  | { type: 'one'; subscriber: number; stock: Buffer; v1: Buffer }
  /** A line of the record with its id, for those who have all older ones; whoever recovers gets it in its turn. */
  | { type: 'line'; to: Audience; id: number; line: string; frame: Buffer }
  /** It is greeted, and hears of everything from here on, the lines of the same commit first. */
  | {
      type: 'join'
      subscriber: number
      arrival: string
      greet: (one: One, tail: Tail<string>) => Greeting
    }
  /** Its audiences are others from now on. */
  | { type: 'audience'; subscriber: number }
  | { type: 'end'; subscriber: number; word: Word | null }
  /** The sums have changed: they are told now, or `soon` together with what changes within 100 ms. */
  | { type: 'sums'; soon: boolean }
  /** The room is no more. */
  | { type: 'gone' }

/** What a newcomer is sent first, and from which position on it still has to read. */
export type Greeting = { frames: Buffer[]; behind: number | null }

/** `upTo`: where the record ended before the commit by which they join. */
type Joining<One> = Greeting & { one: One; upTo: number; arrival: string }

/** What a door says about the listening half of its rooms. */
export type ReplicaRules<View, Fact, Audience extends string, Word, One> = {
  /** The only way in which a view changes. */
  apply: (view: View, fact: Fact, now: Millis) => void
  /** In which audiences somebody is; one and the same list for all who are in the same. */
  audiences: (view: View, one: One) => readonly Audience[]
  /** Whether the fact changes who is in the room, or in which audience. */
  changesAudience: (fact: Fact) => boolean
  /** What is told of a fact which the view has already. */
  tell: (view: View, fact: Fact, now: Millis) => readonly Telling<Audience, Word, One>[]
  /** What is told of sums that change often. */
  sums: (view: View, now: Millis) => readonly Telling<Audience, Word, One>[]
  /** Where the view says that the record ends. */
  newest: (view: View) => number
  /** After the view was loaded anew: undefined where the subscriber stays, else the word by which it ends, or null for none. */
  dismissal: (view: View, one: One) => Word | null | undefined
  /** The word for everybody in a room that is no more. */
  gone: Word
  /** Whether both look the same to everyone in them, but for their lines. */
  looksSame: (before: View, view: View) => boolean
  /** What is told of a view that was loaded anew. */
  reloaded: (before: View, view: View, now: Millis) => readonly Telling<Audience, Word, One>[]
}

export type ReplicaDeps<One> = {
  clock: () => Millis
  fannedOut: (milliseconds: number, deliveries: number) => void
  /** Reads a page of the record after a position, and up to about another. */
  read: (after: number, upTo: number) => Promise<{ frame: Buffer; last: number }>
  /** Lines from memory, as one frame each. */
  toFrame: (line: string) => Buffer
  onFailedRead: (one: One, error: unknown) => void
  /** An error of ours while somebody recovers. */
  onError: (error: unknown) => void
}

const sumsEveryMs = 100
/** A view that is loaded anew and brings nothing new is told at most so often. */
const tellReloadedEveryMs = 10_000

/**
 * The listening half of a room: its view, and the connections that hear of what becomes of it. The only place that changes
 * the view, and that sends. All of it follows from the facts, which the owner half publishes once they are durable.
 */
export class Replica<View, Fact, Audience extends string, Word, One extends Listening<Audience, Word>> {
  readonly #rules: ReplicaRules<View, Fact, Audience, Word, One>
  readonly #deps: ReplicaDeps<One>
  /** By the ids of their sockets. */
  readonly #subscribers = new Map<number, One>()
  /** Those about whom the owner is yet to decide. */
  readonly #waiting = new Map<number, One>()
  readonly #broadcaster: Broadcaster<Audience>
  readonly #tail: Tail<string>
  readonly #sums: Throttle
  #view: View | null = null
  #toldReloadedAt = -Infinity

  constructor(rules: ReplicaRules<View, Fact, Audience, Word, One>, deps: ReplicaDeps<One>) {
    this.#rules = rules
    this.#deps = deps
    this.#tail = new Tail(deps.clock)
    this.#broadcaster = new Broadcaster(this.#subscribers, deps.fannedOut)
    this.#sums = new Throttle(sumsEveryMs, deps.clock, () => {
      if (this.#view) this.#send(rules.sums(this.#view, deps.clock()))
    })
  }

  /** What is known of the room; null before it has been loaded, and where there is none. */
  get view(): View | null {
    return this.#view
  }

  get subscribers(): ReadonlyMap<number, One> {
    return this.#subscribers
  }

  /** Somebody wants to join: they are known by the id of their socket when a fact lets them in. */
  expect(one: One): void {
    this.#waiting.set(one.socket.id, one)
  }

  /** They do not join: gives back who it was, undefined where the owner has decided already. */
  forget(subscriber: number): One | undefined {
    const one = this.#waiting.get(subscriber)
    this.#waiting.delete(subscriber)
    return one
  }

  /** Takes facts of one commit, in their order, and tells them. */
  onFacts(facts: readonly Fact[]): void {
    const { apply, tell, changesAudience } = this.#rules
    const joining: Joining<One>[] = []
    const lines: Buffer[] = []
    for (const fact of facts) {
      const view = this.#view
      if (!view) return
      const now = this.#deps.clock()
      // Frames that are on their way go to those who were here, in the audiences that they were in.
      if (changesAudience(fact)) this.#broadcaster.flush()
      apply(view, fact, now)
      for (const telling of tell(view, fact, now)) {
        if (telling.type === 'line') lines.push(telling.frame)
        if (telling.type !== 'join') {
          this.#perform(telling)
          continue
        }
        const one = this.forget(telling.subscriber)
        if (!one) continue
        const { arrival, greet } = telling
        joining.push({ one, upTo: this.#rules.newest(view), arrival, ...greet(one, this.#tail) })
      }
    }
    if (joining.length > 0) this.#join(joining, lines)
  }

  /** Takes a view that was loaded, null where there is no such room any more, and tells what may have been missed. */
  reload(view: View | null): void {
    const { newest, dismissal, looksSame, reloaded, gone } = this.#rules
    const before = this.#view
    this.#broadcaster.flush()
    this.#view = view
    if (!view) {
      for (const id of Array.from(this.#subscribers.keys())) this.end(id, gone)
      return
    }
    this.#tail.restart(newest(view))
    for (const [id, one] of Array.from(this.#subscribers)) {
      const word = dismissal(view, one)
      if (word !== undefined) {
        this.end(id, word)
        continue
      }
      const isMissing = before !== null && one.behind === null && newest(before) !== newest(view)
      if (isMissing) one.behind = newest(before)
      this.#place(one)
      if (isMissing) void this.#recover(one, newest(view))
    }
    if (!before) return
    // Where reading works and writing does not, each command that fails has the view loaded anew.
    const now = this.#deps.clock()
    if (now - this.#toldReloadedAt < tellReloadedEveryMs && looksSame(before, view)) return
    this.#toldReloadedAt = now
    this.#send(reloaded(before, view, now))
  }

  /** Takes a subscriber out of the room, and ends it by a word or without one. */
  end(subscriber: number, word: Word | null): void {
    const one = this.#subscribers.get(subscriber)
    if (!one) return
    this.#broadcaster.flush()
    this.#subscribers.delete(subscriber)
    one.end(word)
  }

  /** Hands all that is to be told to the sockets now. */
  flush(): void {
    this.#broadcaster.flush()
  }

  /** Tells and flushes what waits for its time. */
  finish(): void {
    this.#sums.finish()
    this.#broadcaster.flush()
  }

  /** Tells nothing more. Gives back who was here, and who waited. */
  close(): { subscribers: One[]; waiting: One[] } {
    this.#sums.stop()
    const subscribers = Array.from(this.#subscribers.values())
    const waiting = Array.from(this.#waiting.values())
    this.#subscribers.clear()
    this.#waiting.clear()
    return { subscribers, waiting }
  }

  #send(tellings: readonly Telling<Audience, Word, One>[]): void {
    for (const telling of tellings) this.#perform(telling)
  }

  #perform(telling: Telling<Audience, Word, One>): void {
    switch (telling.type) {
      case 'all':
        return this.#broadcaster.send(telling.to, telling.stock, telling.v1)
      case 'one': {
        const one = this.#subscribers.get(telling.subscriber)
        if (one) this.#broadcaster.sendTo(one.socket, one.format === 'v1' ? telling.v1 : telling.stock)
        return
      }
      case 'line':
        this.#tail.append(telling.id, telling.line)
        return this.#broadcaster.send(telling.to, telling.frame)
      case 'audience': {
        const one = this.#subscribers.get(telling.subscriber)
        if (one) this.#place(one)
        return
      }
      case 'end':
        return this.end(telling.subscriber, telling.word)
      case 'sums':
        return telling.soon ? this.#sums.soon() : this.#sums.now()
      case 'gone':
        return this.reload(null)
      case 'join':
        throw new Error('only a fact lets somebody join')
    }
  }

  #place(one: One): void {
    if (this.#view) one.audiences = this.#rules.audiences(this.#view, one)
  }

  /** Those who were here get what is new in one write; those who join get the lines after all else. */
  #join(joining: readonly Joining<One>[], lines: readonly Buffer[]): void {
    this.#broadcaster.flush()
    for (const { one, upTo, arrival, frames, behind } of joining) {
      const { socket } = one
      one.behind = behind
      this.#place(one)
      this.#subscribers.set(socket.id, one)
      socket.allowBacklog(frames.reduce((sum, { length }) => sum + length, 0))
      socket.write(behind === null ? [...frames, ...lines] : frames)
      if (behind !== null) void this.#recover(one, upTo)
      one.joined(arrival)
    }
  }

  async #recover(one: One, upTo: number): Promise<void> {
    const { read, toFrame, onFailedRead, onError } = this.#deps
    try {
      await recover(one, {
        upTo,
        tail: this.#tail,
        isHere: () => this.#subscribers.get(one.socket.id) === one,
        read: (after) => read(after, upTo),
        sendPage: ({ frame }) => one.socket.write([frame]),
        sendTail: (lines) => {
          this.#broadcaster.flush()
          if (lines.length > 0) one.socket.write(lines.map(toFrame))
        },
        onLive: () => this.#place(one),
        onFailedRead: (error) => onFailedRead(one, error),
      })
    } catch (error) {
      onError(error)
    }
  }
}
