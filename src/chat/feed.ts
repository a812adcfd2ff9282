import type { Retry } from '../db/contention.ts'
import { Outage } from '../db/outage.ts'
import type { Metrics } from '../edge/metrics.ts'
import type { Log } from './events.ts'
import type { Fact, Line } from './rules.ts'
import { readNews, readTop, type Store } from './store.ts'

/** A room with people in it, as what is new reaches it. */
export type FeedRoom = {
  onFacts: (facts: readonly Fact[]) => void
}

type FeedDeps = {
  store: Store
  retry: Retry
  clock: () => number
  log: Log
  metrics: Metrics
  rooms: () => ReadonlyMap<number, FeedRoom>
}

/** Ids are given before they are committed, so that one may appear after a higher one, or never. */
const missingForMs = 60_000
/** How many ids before the last one are looked at for such, at the beginning and later. */
const windows = { first: 1000, later: 10_000 } as const
const retryMs = 1000

/**
 * Reads the log as it grows, for all rooms at once: whatever becomes visible there is told to its room once. While a look
 * is under way the next ones gather, so that a thousand notifications are a few queries.
 */
export class Feed {
  readonly #deps: FeedDeps
  readonly #outage: Outage
  #seen = 0
  /** Ids up to `seen` that nobody could see yet, and since when. */
  readonly #missing = new Map<number, number>()
  #running: Promise<void> = Promise.resolve()
  #next: Promise<void> | null = null
  #asked = false
  #heard: number[] = []
  #retry: NodeJS.Timeout | null = null
  #closed = false

  constructor(deps: FeedDeps) {
    this.#deps = deps
    this.#outage = new Outage({ ...deps, door: 'chat' })
  }

  /** Everything in the log up to this id has been told to rooms that are open, but for what is missing. */
  get seen(): number {
    return this.#seen
  }

  /** Whether the last look failed; where nobody is in a room none is taken. */
  get failing(): boolean {
    return this.#outage.failures > 0 && this.#deps.rooms().size > 0
  }

  /** The ids above `after` and up to `upTo` that are yet to be told, should they appear. */
  missing(after: number, upTo: number): number[] {
    return Array.from(this.#missing.keys()).filter((id) => id > after && id <= upTo)
  }

  /** To be called before somebody joins who has everything up to the id `after`. */
  async prepare(after: number): Promise<void> {
    if (this.#deps.rooms().size === 0) {
      // A look that is under way would put things back to where it began.
      const begun = this.#running.then(() => this.#begin())
      this.#running = begun.catch(() => undefined)
      await begun
    }
    // They may have got from another process what has not been seen here.
    if (after > this.#seen || this.missing(0, after).length > 0) await this.look()
  }

  /** Resolves when what was in the log at this moment has been told. Rejects when it could not be read. */
  look(): Promise<void> {
    this.#asked = true
    return this.#schedule()
  }

  /** The line with this id is there, whether it has been told or not; where it is null, nobody knows which. */
  heard(id: number | null): void {
    if (this.#deps.rooms().size === 0) return
    if (id === null) return this.lookSoon(true)
    if (!this.#isNews(id)) return
    this.#heard.push(id)
    this.lookSoon()
  }

  /** As `look`, for those who do not wait for it. */
  lookSoon(isAsked = false): void {
    this.#asked ||= isAsked
    // Each failure has been logged, and is followed by another try.
    this.#schedule().catch(() => undefined)
  }

  close(): void {
    this.#closed = true
    if (this.#retry) clearTimeout(this.#retry)
  }

  #isNews(id: number): boolean {
    return id > this.#seen || this.#missing.has(id)
  }

  #schedule(): Promise<void> {
    const run = async (): Promise<void> => {
      this.#next = null
      // What the last look has brought need not be looked for.
      const isNeeded = this.#asked || this.#heard.some((id) => this.#isNews(id))
      this.#asked = false
      this.#heard = []
      if (isNeeded) await this.#look()
    }
    this.#next ??= this.#running.then(() => {
      const running = run()
      this.#running = running.catch(() => undefined)
      return running
    })
    return this.#next
  }

  async #begin(): Promise<void> {
    const { top, gaps } = await this.#deps.retry(() => readTop(this.#deps.store, 0, windows.first))
    this.#missing.clear()
    this.#seen = top
    this.#miss(gaps)
  }

  async #look(): Promise<void> {
    const { store, retry, rooms } = this.#deps
    if (this.#closed || rooms().size === 0) return
    const now = this.#deps.clock()
    for (const [id, since] of this.#missing) if (now - since > missingForMs) this.#missing.delete(id)
    const asked = new Set(rooms().keys())
    const seen = this.#seen
    try {
      const missing = Array.from(this.#missing.keys())
      const wanted = { seen, missing, rooms: Array.from(asked), window: windows.later }
      const news = await retry(() => readNews(store, wanted))
      if (this.#closed) return
      this.#seen = news.top
      this.#miss(news.gaps)
      for (const { id } of news.lines) this.#missing.delete(id)
      const told = new Map<number, Line[]>()
      for (const line of news.lines) {
        const others = told.get(line.room)
        if (others) others.push(line)
        else told.set(line.room, [line])
      }
      for (const [id, room] of rooms()) {
        const facts: Fact[] = []
        const lines = told.get(id)
        if (lines) facts.push({ type: 'said', lines, seen: news.top })
        // Who has come in the meantime was not asked for.
        const isMissed = news.top !== seen && (news.full || !asked.has(id))
        if (isMissed) facts.push({ type: 'missed', after: seen, seen: news.top })
        if (facts.length > 0) room.onFacts(facts)
      }
      this.#outage.answered()
    } catch (error) {
      this.#outage.failed(error)
      if (this.#retry) clearTimeout(this.#retry)
      if (!this.#closed) this.#retry = setTimeout(() => this.lookSoon(true), retryMs)
      throw error
    }
  }

  #miss(ids: readonly number[]): void {
    const now = this.#deps.clock()
    for (const id of ids) this.#missing.set(id, now)
  }
}
