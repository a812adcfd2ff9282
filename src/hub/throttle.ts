/** Calls at most once in a while what tells of something that changes often; the last change is always told. */
export class Throttle {
  readonly #everyMs: number
  readonly #clock: () => number
  readonly #tell: () => void
  #timer: NodeJS.Timeout | null = null
  #toldAt = -Infinity

  /** `everyMs`: so long after a call of `tell` the next one waits. `clock` gives milliseconds. */
  constructor(everyMs: number, clock: () => number, tell: () => void) {
    this.#everyMs = everyMs
    this.#clock = clock
    this.#tell = tell
  }

  /** It has changed. */
  soon(): void {
    if (this.#timer) return
    const wait = this.#toldAt + this.#everyMs - this.#clock()
    if (wait <= 0) this.now()
    else this.#timer = setTimeout(() => this.now(), wait)
  }

  /** Tells it now. */
  now(): void {
    this.stop()
    this.#toldAt = this.#clock()
    this.#tell()
  }

  /** Tells now what waits, if anything does. */
  finish(): void {
    if (this.#timer) this.now()
  }

  /** What waits is told no more. */
  stop(): void {
    if (this.#timer) clearTimeout(this.#timer)
    this.#timer = null
  }
}
