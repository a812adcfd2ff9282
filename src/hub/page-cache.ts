import { LRUCache } from 'lru-cache'
import { servedMs } from './tail.ts'

/** A part of a room's record, as one frame: all lines from where it begins up to the one with id `last`. */
export type Page = {
  frame: Buffer
  last: number
  /** Lines that come later do not change it. */
  full: boolean
}

const maxCachedBytes = 32 * 1024 * 1024

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
