import { Broadcaster, type Entry } from './broadcaster.ts'
import { recover } from './recovery.ts'
import type { Tail } from './tail.ts'
import type { Greeting, Lasting, Listening, Millis, Telling, ToAll } from './telling.ts'
import { Throttle } from './throttle.ts'

/** `upTo`: where the record ended before the commit by which they join. */
type Joining<One> = Greeting & { one: One; upTo: number; arrival: string }

/** What a door says about the listening half of its rooms. */
export type ReplicaRules<View, Fact, Audience extends string, Word, One, Item extends Lasting = string> = {
  /** The only way in which a view changes. */
  apply: (view: View, fact: Fact, now: Millis) => void
  /** In which audiences somebody is; one and the same list for all who are in the same. */
  audiences: (view: View, one: One) => readonly Audience[]
  /** Whether somebody is told the record at all; everybody is where a door does not say. Who is not is never behind. */
  readsRecord?: (one: One) => boolean
  /** Whether the fact changes who is in the room, or in which audience. */
  changesAudience: (fact: Fact) => boolean
  /** What is told of a fact which the view has already. */
  tell: (view: View, fact: Fact, now: Millis) => readonly Telling<Audience, Word, One, Item>[]
  /** What is told of sums that change often. */
  sums: (view: View, now: Millis) => readonly Telling<Audience, Word, One, Item>[]
  /** Where the view says that the record ends. */
  newest: (view: View) => number
  /** After the view was loaded anew: undefined where the subscriber stays, else the word by which it ends, or null for none. */
  dismissal: (view: View, one: One) => Word | null | undefined
  /** The word for everybody in a room that is no more. */
  gone: Word
  /** Whether both look the same to everyone in them, but for their lines. */
  looksSame: (before: View, view: View) => boolean
  /** What is told of a view that was loaded anew. */
  reloaded: (before: View, view: View, now: Millis) => readonly Telling<Audience, Word, One, Item>[]
}

/** A part of the record from the database; `last`: the position that it goes up to. */
type Page = { frame: Buffer; last: number }

export type ReplicaDeps<One, Item extends Lasting = string> = {
  clock: () => Millis
  /** For the newest of the record. */
  tail: Tail<Item>
  fannedOut: (milliseconds: number, deliveries: number) => void
  /** Reads a page of the record for somebody, after a position and up to about another. */
  read: (one: One, after: number, upTo: number) => Promise<Page>
  sendPage: (one: One, page: Page) => void
  /** Sends what is left, from memory; there may be nothing. */
  sendTail: (one: One, items: readonly Item[]) => void
  /** A part of the record is told while somebody recovers. */
  late?: (one: One, id: number, item: Item) => void
  /** Somebody has recovered, and hears of everything from here on. */
  live?: (one: One) => void
  onFailedRead: (one: One, error: unknown) => void
  /** An error of ours while somebody recovers. */
  onError: (error: unknown, one: One) => void
}

const sumsEveryMs = 100
/** Those who have not read more than that get what is long beyond it. */
const maxUnread = 1024 * 1024
/** A view that is loaded anew and brings nothing new is told at most so often. */
const tellReloadedEveryMs = 10_000

/**
 * The listening half of a room: its view, and the connections that hear of what becomes of it. The only place that changes
 * the view, and that sends. All of it follows from the facts, which the owner half publishes once they are durable.
 */
export class Replica<
  View,
  Fact,
  Audience extends string,
  Word,
  One extends Listening<Audience, Word>,
  Item extends Lasting = string,
> {
  readonly #rules: ReplicaRules<View, Fact, Audience, Word, One, Item>
  readonly #deps: ReplicaDeps<One, Item>
  /** By the ids of their sockets. */
  readonly #subscribers = new Map<number, One>()
  /** Those about whom the owner is yet to decide. */
  readonly #waiting = new Map<number, One>()
  /** Those who lack a part of the record. */
  readonly #recovering = new Set<One>()
  readonly #broadcaster: Broadcaster<Audience>
  /** What tells the newest of something, and has not been flushed. */
  readonly #newest = new Map<string, Entry<Audience>>()
  readonly #tail: Tail<Item>
  readonly #sums: Throttle
  #view: View | null
  #toldReloadedAt = -Infinity

  /** `view`: of a room that need not be loaded. */
  constructor(
    rules: ReplicaRules<View, Fact, Audience, Word, One, Item>,
    deps: ReplicaDeps<One, Item>,
    view: View | null = null,
  ) {
    this.#rules = rules
    this.#deps = deps
    this.#view = view
    this.#tail = deps.tail
    if (view) this.#tail.restart(rules.newest(view))
    this.#broadcaster = new Broadcaster(this.#subscribers, (milliseconds, deliveries) => {
      if (this.#newest.size > 0) this.#newest.clear()
      deps.fannedOut(milliseconds, deliveries)
    })
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

  /**
   * Somebody joins whom no fact has to let in; they lack all after `behind`, or nothing where that is null. `upTo`: how far
   * the record is to be read for them, before the rest is sent from memory.
   */
  subscribe(one: One, upTo: number): void {
    this.#broadcaster.flush()
    this.#subscribers.set(one.socket.id, one)
    this.#place(one)
    if (one.behind !== null) void this.#recover(one, upTo)
  }

  /** Takes facts of one commit, in their order, and tells them. */
  onFacts(facts: readonly Fact[]): void {
    const { apply, tell, changesAudience } = this.#rules
    const joining: Joining<One>[] = []
    const lines: (Telling<Audience, Word, One, Item> & { type: 'line' })[] = []
    for (const fact of facts) {
      const view = this.#view
      if (!view) return
      const now = this.#deps.clock()
      // Frames that are on their way go to those who were here, in the audiences that they were in.
      if (changesAudience(fact)) this.#broadcaster.flush()
      apply(view, fact, now)
      for (const telling of tell(view, fact, now)) {
        if (telling.type === 'line') lines.push(telling)
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
      this.#place(one)
      if (before && newest(before) !== newest(view)) this.#miss(view, one, newest(before))
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

  #send(tellings: readonly Telling<Audience, Word, One, Item>[]): void {
    for (const telling of tellings) this.#perform(telling)
  }

  #perform(telling: Telling<Audience, Word, One, Item>): void {
    switch (telling.type) {
      case 'all':
        return this.#tellAll(telling)
      case 'one': {
        const one = this.#subscribers.get(telling.subscriber)
        if (one) this.#broadcaster.sendTo(one.socket, one.format === 'v1' ? telling.v1 : telling.stock)
        return
      }
      case 'line':
        return this.#tellLine(telling)
      case 'audience': {
        const one = this.#subscribers.get(telling.subscriber)
        if (one) this.#place(one)
        return
      }
      case 'end':
        return this.end(telling.subscriber, telling.word)
      case 'sums':
        return telling.soon ? this.#sums.soon() : this.#sums.now()
      case 'missed':
        if (this.#view) this.#missAll(this.#view, telling.after)
        return
      case 'gone':
        return this.reload(null)
      case 'join':
        throw new Error('only a fact lets somebody join')
    }
  }

  #tellAll(told: ToAll<Audience>): void {
    const { to, stock, v1, except, newestOf, lastOf, long } = told
    // By far the most.
    if (!except && newestOf === undefined && !lastOf && long === undefined)
      return this.#broadcaster.send(to, stock, v1)
    if (long !== undefined) this.#makeRoom(to, long)
    const socket = except && this.#subscribers.get(except.subscriber)?.socket
    const entry = this.#broadcaster.sendExcept(to, stock, v1, socket ? { socket, frame: except.frame } : null)
    for (const name of lastOf ?? []) this.#newest.delete(name)
    if (newestOf !== undefined) {
      const older = this.#newest.get(newestOf)
      if (older) this.#broadcaster.withdraw(older)
      this.#newest.set(newestOf, entry)
    }
    if (long !== undefined) this.#broadcaster.flush()
  }

  /** Lets so many bytes go by themselves, to those too who read no faster than others. */
  #makeRoom(to: Audience | 'everyone', bytes: number): void {
    this.#broadcaster.flush()
    for (const { socket, audiences } of this.#subscribers.values())
      if (socket.unsentBytes <= maxUnread && (to === 'everyone' || audiences.includes(to)))
        socket.allowBacklog(bytes)
  }

  #tellLine(line: Telling<Audience, Word, One, Item> & { type: 'line' }): void {
    const { id, item } = line
    const { late } = this.#deps
    if (late) for (const one of this.#recovering) late(one, id, item)
    this.#tellAll(line)
    if (id > this.#tail.newest) this.#tail.append(id, item)
    // It has appeared late, among others: memory would tell it in the wrong place.
    else if (this.#view) this.#tail.restart(this.#rules.newest(this.#view))
  }

  #missAll(view: View, after: number): void {
    this.#broadcaster.flush()
    this.#tail.restart(this.#rules.newest(view))
    for (const one of this.#subscribers.values()) this.#miss(view, one, after)
  }

  /** Somebody reads what came after the position `after`, unless they read what is older already. */
  #miss(view: View, one: One, after: number): void {
    if (one.behind !== null || this.#rules.readsRecord?.(one) === false) return
    one.behind = after
    this.#place(one)
    void this.#recover(one, this.#rules.newest(view))
  }

  #place(one: One): void {
    if (this.#view) one.audiences = this.#rules.audiences(this.#view, one)
  }

  /** Those who were here get what is new in one write; those who join get the lines after all else. */
  #join(
    joining: readonly Joining<One>[],
    lines: readonly (Telling<Audience, Word, One, Item> & { type: 'line' })[],
  ): void {
    this.#broadcaster.flush()
    for (const { one, upTo, arrival, frames, behind } of joining) {
      const { socket, format, longest = 0 } = one
      one.behind = behind
      this.#place(one)
      this.#subscribers.set(socket.id, one)
      socket.allowBacklog(frames.reduce((sum, { length }) => sum + length, 0))
      const own = lines.flatMap((line) => {
        const frame = line[format]
        return typeof frame === 'function' ? frame(longest) : (frame ?? [])
      })
      socket.write(behind === null ? [...frames, ...own] : frames)
      if (behind !== null) void this.#recover(one, upTo)
      one.joined(arrival)
    }
  }

  async #recover(one: One, upTo: number): Promise<void> {
    const { read, sendPage, sendTail, live, onFailedRead, onError } = this.#deps
    this.#recovering.add(one)
    try {
      await recover(one, {
        upTo,
        tail: this.#tail,
        isHere: () => this.#subscribers.get(one.socket.id) === one,
        read: (after) => read(one, after, upTo),
        sendPage: (page) => sendPage(one, page),
        sendTail: (items) => {
          this.#broadcaster.flush()
          sendTail(one, items)
        },
        onLive: () => {
          this.#place(one)
          // What comes in the same turn it gets with the others.
          this.#recovering.delete(one)
          live?.(one)
        },
        onFailedRead: (error) => onFailedRead(one, error),
      })
    } catch (error) {
      onError(error, one)
    }
    this.#recovering.delete(one)
  }
}
