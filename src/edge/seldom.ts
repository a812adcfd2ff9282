/** Counts what may happen often, and is to be logged once in a while. */
export class Seldom {
  readonly #everyMs: number
  readonly #clock: () => number
  #count = 0
  #saidAt = -Infinity

  /** `everyMs`: so long after it was logged it is not logged again. `clock` gives milliseconds. */
  constructor(everyMs: number, clock: () => number) {
    this.#everyMs = everyMs
    this.#clock = clock
  }

  /** It has happened, `times` at once: returns how often since it was last to be logged if it is to be logged now, else null. */
  happened(times = 1): number | null {
    this.#count += times
    const now = this.#clock()
    if (now - this.#saidAt < this.#everyMs) return null
    const count = this.#count
    this.#count = 0
    this.#saidAt = now
    return count
  }
}

/** How often it is said at most that the database refuses something of the same meeting, room or document. */
export const refusalEveryMs = 10_000
