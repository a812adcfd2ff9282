import { setTimeout as wait } from 'node:timers/promises'
import { LRUCache } from 'lru-cache'
import { codeOf } from '../db/pool.ts'
import type { Socket } from '../edge/socket.ts'
import { turn } from '../edge/turns.ts'

/** A part of a room's record, as one frame: all lines from where it begins up to the one with id `last`. */
export type Page = {
  frame: Buffer
  last: number
  /** Lines that come later do not change it. */
  full: boolean
}

const maxTailLength = 512 * 1024
const maxCachedBytes = 32 * 1024 * 1024
const retryMs = 1000
/**
 * For so long what was read or said is told from memory: what is deleted or corrected in the database is gone from what
 * others are told soon after.
 */
const servedMs = 5000

/**
 * The newest lines of a room's record, encoded, without gaps and bounded. They are texts: a small buffer would keep the
 * larger one alive that it was cut from.
 */
export class Tail {
  #lines: { id: number; text: string; at: number }[] = []
  readonly #clock: () => number
  #length = 0
  /** All lines with ids above it are here. */
  #from = 0

  /** `clock`: milliseconds that never go back. */
  constructor(clock: () => number) {
    this.#clock = clock
  }

  /** Begins anew after the record's newest line. */
  restart(newest: number): void {
    this.#lines = []
    this.#length = 0
    this.#from = newest
  }

  /** Takes up a line that comes after all others. */
  append(id: number, text: string): void {
    this.#lines.push({ id, text, at: this.#clock() })
    this.#length += text.length
    // Half of it goes, so that this is done rarely.
    if (this.#length > maxTailLength) this.#drop(() => this.#length > maxTailLength / 2)
  }

  /** Whether `since(after)` has all of it, in this turn of the event loop. */
  covers(after: number): boolean {
    const oldest = this.#clock() - servedMs
    this.#drop(({ at }) => at <= oldest)
    return after >= this.#from
  }

  /** The lines with ids above `after`. */
  since(after: number): string[] {
    let low = 0
    let high = this.#lines.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#lines[middle] as { id: number }).id > after) high = middle
      else low = middle + 1
    }
    return this.#lines.slice(low).map(({ text }) => text)
  }

  /** Drops lines from the oldest on for as long as `isNext` says so. */
  #drop(isNext: (line: { at: number }) => boolean): void {
    let dropped = 0
    for (const line of this.#lines) {
      if (!isNext(line)) break
      this.#length -= line.text.length
      this.#from = line.id
      dropped++
    }
    if (dropped > 0) this.#lines = this.#lines.slice(dropped)
  }
}

/**
 * Pages of the records of all rooms, shared by those who read them at about the same time, and bounded in bytes. `clock`:
 * milliseconds that never go back; null where what is read never changes.
 */
export class PageCache {
  readonly #pages: LRUCache<string, Page, () => Promise<Page>>

  constructor(clock: (() => number) | null) {
    this.#pages = new LRUCache({
      maxSize: maxCachedBytes,
      // A page that can grow is not kept: nothing may be larger than all.
      sizeCalculation: ({ frame, full }) => (full ? frame.length : maxCachedBytes + 1),
      // Whoever waits for a page that makes room for others gets it none the less.
      ignoreFetchAbort: true,
      async fetchMethod(_key, _old, { options, context: read }) {
        if (!clock) return await read()
        const begun = clock()
        const page = await read()
        options.ttl = Math.max(1, Math.round(servedMs - (clock() - begun)))
        return page
      },
      ...(clock && { ttl: servedMs, ttlAutopurge: true, ttlResolution: 0, perf: { now: clock } }),
    })
  }

  /** Of the pages that are kept. */
  get bytes(): number {
    return this.#pages.calculatedSize
  }

  /**
   * The page that begins where `key` says, from memory or by `read`. Of two who ask for the same at the same time, the
   * second gets what the first one's `read` brings. Rejects as that does; the next one reads again.
   */
  get(key: string, read: () => Promise<Page>): Promise<Page> {
    return this.#pages.forceFetch(key, { context: read })
  }
}

/**
 * Tells one who lacks lines with ids above `behind` what there is up to the id `upTo`, page by page and as fast as he
 * reads; then what has been said since, from where on he hears of each line with the others: `behind` is null then.
 * Throws what is no error of the database's; those are tried again.
 */
export async function catchUp(
  reader: { readonly socket: Socket; behind: number | null },
  room: {
    upTo: number
    tail: Tail
    isHere: () => boolean
    read: (after: number) => Promise<Page>
    toFrame: (text: string) => Buffer
    /** Is to send what he must not get twice. */
    beforeLive: () => void
    onFailedRead: (error: unknown) => void
  },
): Promise<void> {
  const { socket } = reader
  const { upTo, tail, isHere } = room
  while (isHere() && reader.behind !== null) {
    if (reader.behind >= upTo && tail.covers(reader.behind)) {
      room.beforeLive()
      const lines = tail.since(reader.behind)
      if (lines.length > 0) socket.write(lines.map(room.toFrame))
      reader.behind = null
      return
    }
    try {
      const page = await room.read(reader.behind)
      if (!isHere()) return
      socket.write([page.frame])
      reader.behind = page.last
    } catch (error) {
      // What has no code is an error of ours.
      if (codeOf(error) === null) throw error
      room.onFailedRead(error)
      await wait(retryMs)
    }
    await socket.drained()
    await turn()
  }
}
