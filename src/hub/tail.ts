const maxLength = 512 * 1024
/** Small ones cost more than their length. */
const maxItems = 10_000
/**
 * For so long what was said is told from memory: what is deleted or corrected in the database is gone from what others
 * are told soon after.
 */
export const servedMs = 5000

/**
 * The newest part of a record, without gaps and bounded: lines by their ids, or bytes by their positions. Lines are kept
 * as texts: a small buffer would keep the larger one alive that it was cut from.
 */
export class Tail<Item extends { readonly length: number }> {
  #items: { upTo: number; item: Item; at: number }[] = []
  readonly #clock: (() => number) | null
  #length = 0
  /** All that is above it is here. */
  #from: number

  /** `clock`: milliseconds that never go back; null where what was said never changes. `newest`: where the record ends. */
  constructor(clock: (() => number) | null, newest = 0) {
    this.#clock = clock
    this.#from = newest
  }

  /** Where the record ended when it was last told of. */
  get newest(): number {
    return this.#items.at(-1)?.upTo ?? this.#from
  }

  /** Begins anew after the record's newest position. */
  restart(newest: number): void {
    this.#items = []
    this.#length = 0
    this.#from = newest
  }

  /** Takes up what comes after all else and ends at the position `upTo`. */
  append(upTo: number, item: Item): void {
    // What keys alone have changed of a document, for example: it would be kept and never counted.
    if (item.length === 0) return
    this.#items.push({ upTo, item, at: this.#clock?.() ?? 0 })
    this.#length += item.length
    // Half of it goes, so that this is done rarely.
    if (this.#length > maxLength) this.#drop(() => this.#length > maxLength / 2)
    if (this.#items.length > maxItems) {
      let excess = maxItems / 2
      this.#drop(() => excess-- > 0)
    }
  }

  /** Whether `since(after)` has all of it, in this turn of the event loop. */
  covers(after: number): boolean {
    if (this.#clock) {
      const oldest = this.#clock() - servedMs
      this.#drop(({ at }) => at <= oldest)
    }
    return after >= this.#from
  }

  /** The items that end above `after`, the oldest first. */
  since(after: number): Item[] {
    let low = 0
    let high = this.#items.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#items[middle] as { upTo: number }).upTo > after) high = middle
      else low = middle + 1
    }
    return this.#items.slice(low).map(({ item }) => item)
  }

  /** Drops items from the oldest on for as long as `isNext` says so. */
  #drop(isNext: (kept: { at: number }) => boolean): void {
    let dropped = 0
    for (const kept of this.#items) {
      if (!isNext(kept)) break
      this.#length -= kept.item.length
      this.#from = kept.upTo
      dropped++
    }
    if (dropped > 0) this.#items = this.#items.slice(dropped)
  }
}
