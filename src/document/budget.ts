/** Who keeps messages that wait. */
export type Holder = {
  /** Is to give back what it keeps. */
  shed: () => void
}

/**
 * How many bytes of clients' messages wait in this process. Where it gets too much the one who keeps the most has to go,
 * and not whoever comes next.
 */
export class Budget {
  readonly #limit: number
  readonly #kept = new Map<Holder, number>()
  readonly #shed = new WeakSet<Holder>()
  #bytes = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  get bytes(): number {
    return this.#bytes
  }

  /** `holder` keeps so many bytes more, or less. */
  change(holder: Holder, bytes: number): void {
    if (bytes === 0) return
    const kept = (this.#kept.get(holder) ?? 0) + bytes
    this.#bytes += bytes
    if (kept === 0) this.#kept.delete(holder)
    else this.#kept.set(holder, kept)
    if (bytes > 0 && this.#bytes > this.#limit) this.#relieve()
  }

  #relieve(): void {
    let largest: Holder | null = null
    let most = 0
    for (const [holder, kept] of this.#kept) {
      // What is under way with the database is given back when that is done.
      if (kept <= most || this.#shed.has(holder)) continue
      most = kept
      largest = holder
    }
    if (!largest) return
    this.#shed.add(largest)
    largest.shed()
  }
}
