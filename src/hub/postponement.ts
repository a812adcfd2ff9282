import type { Millis } from './telling.ts'

/** What the database refused of what is due, and until when it waits. */
export type Postponed = ReadonlyMap<string, Millis>

/** What is refused is tried again after so long: twice as long each time. */
const postponeMs = { first: 1000, most: 60_000 } as const

/** What is due by itself, by names, and is put off because the database has refused it. */
export class Postponement {
  readonly #until = new Map<string, Millis>()
  readonly #delays = new Map<string, number>()

  /** All that has been put off, in time or not. */
  get names(): Postponed {
    return this.#until
  }

  /** What is put off at this time still. */
  at(now: Millis): Postponed {
    for (const [name, until] of this.#until) if (until <= now) this.#until.delete(name)
    return this.#until
  }

  postpone(names: readonly string[], now: Millis): void {
    for (const name of names) {
      const delay = Math.min(postponeMs.most, 2 * (this.#delays.get(name) ?? postponeMs.first / 2))
      this.#delays.set(name, delay)
      this.#until.set(name, now + delay)
    }
  }

  done(names: readonly string[]): void {
    for (const name of names) this.#delays.delete(name)
  }

  clear(): void {
    this.#until.clear()
    this.#delays.clear()
  }
}
