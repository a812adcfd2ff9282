/** How many frames a client may send at once. */
export const burst = 20

/** A token bucket: `burst` at once, `perSecond` on, as it says at the time; 0 a second is without limit. */
export class RateLimit {
  readonly #burst: number
  readonly #perSecond: () => number
  #tokens: number
  #at: number | null = null

  constructor(burst: number, perSecond: () => number) {
    this.#burst = burst
    this.#perSecond = perSecond
    this.#tokens = burst
  }

  /** Whether one more may pass at `now` (milliseconds of a clock that never goes back). */
  pass(now: number): boolean {
    const perSecond = this.#perSecond()
    if (perSecond === 0) return true
    const refill = this.#at === null ? 0 : ((now - this.#at) / 1000) * perSecond
    this.#tokens = Math.min(this.#burst, this.#tokens + refill)
    this.#at = now
    if (this.#tokens < 1) return false
    this.#tokens -= 1
    return true
  }
}

/** How fast a client may go on: `burst` at once, then `perSecond`. It is never refused, but has to wait. */
export class Pace {
  readonly #burst: number
  readonly #perSecond: number
  #left: number
  #at: number | null = null

  constructor(burst: number, perSecond: number) {
    this.#burst = burst
    this.#perSecond = perSecond
    this.#left = burst
  }

  /** It has had so much at `now` (milliseconds of a clock that never goes back); returns for how long it has to wait. */
  spend(cost: number, now: number): number {
    const refill = this.#at === null ? 0 : ((now - this.#at) / 1000) * this.#perSecond
    this.#at = now
    this.#left = Math.min(this.#burst, this.#left + refill) - cost
    return this.#left >= 0 ? 0 : (-this.#left / this.#perSecond) * 1000
  }
}
