/** A part of a room's record: all lines after the one that was asked for, up to the one with id `last`. */
export type Page = {
  frame: Buffer
  last: number
  /** More lines follow it, for ever: lines that come later do not change it. */
  full: boolean
}

const maxRecentBytes = 512 * 1024
const maxPageBytes = 8 * 1024 * 1024

/**
 * What a room has said, for those who lack some of it: the newest lines from memory, older ones in pages that are read
 * when somebody needs them, and shared by all who do. Both are bounded in bytes.
 */
export class History {
  readonly #read: (after: number, upTo: number) => Promise<Page>
  /** The newest lines, without gaps: all with ids above `#from`. */
  #recent: { id: number; frame: Buffer }[] = []
  #recentBytes = 0
  #from = 0
  /** By the id after which they begin; those used last are at the end. */
  readonly #pages = new Map<number, { page: Promise<Page>; bytes: number }>()
  #pageBytes = 0

  /** `read` gets the ids that the page's lines are above and not above; its page ends at `upTo` or is full. */
  constructor(read: (after: number, upTo: number) => Promise<Page>) {
    this.#read = read
  }

  /** Begins anew at the record's newest line; what follows is told by `append`. */
  restart(newest: number): void {
    this.#recent = []
    this.#recentBytes = 0
    this.#from = newest
  }

  /** Takes up a line that comes after all others, as it is told. */
  append(id: number, frame: Buffer): void {
    this.#recent.push({ id, frame })
    this.#recentBytes += frame.length
    if (this.#recentBytes <= maxRecentBytes) return
    let dropped = 0
    // Half of it goes, so that this is done rarely.
    while (this.#recentBytes > maxRecentBytes / 2) {
      const { id, frame } = this.#recent[dropped++] as { id: number; frame: Buffer }
      this.#recentBytes -= frame.length
      this.#from = id
    }
    this.#recent = this.#recent.slice(dropped)
  }

  /** Whether `since(after)` has all of it. */
  covers(after: number): boolean {
    return after >= this.#from
  }

  /** The newest lines with ids above `after`, each as it was told. */
  since(after: number): Buffer[] {
    let low = 0
    let high = this.#recent.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#recent[middle] as { id: number }).id > after) high = middle
      else low = middle + 1
    }
    return this.#recent.slice(low).map(({ frame }) => frame)
  }

  /**
   * Older lines with ids above `after` and up to about `upTo`, as many as a page holds: where it had been read for
   * somebody else already, it may end earlier or later. Rejects as `read` does; the next call tries again.
   */
  page(after: number, upTo: number): Promise<Page> {
    const known = this.#pages.get(after)
    if (known) {
      this.#pages.delete(after)
      this.#pages.set(after, known)
      return known.page
    }
    const entry = { page: this.#read(after, upTo), bytes: 0 }
    this.#pages.set(after, entry)
    entry.page.then(
      ({ frame, full }) => {
        if (this.#pages.get(after) !== entry) return
        if (!full) return void this.#pages.delete(after)
        entry.bytes = frame.length
        this.#pageBytes += frame.length
        for (const [oldest, { bytes }] of this.#pages) {
          if (this.#pageBytes <= maxPageBytes) break
          this.#pages.delete(oldest)
          this.#pageBytes -= bytes
        }
      },
      () => this.#pages.delete(after),
    )
    return entry.page
  }
}
