import { setTimeout as wait } from 'node:timers/promises'
import { clientNetwork } from './remote.ts'

const failuresPerMinute = 10
const minuteMs = 60_000
const penaltyMs = 1000
const maxAddresses = 10_000

/** Counts what each address was refused, wherever it asked: who fails often waits for his answers. */
export class Guesses {
  readonly #clock: () => number
  readonly #failures = new Map<string, { count: number; since: number }>()

  constructor(clock: () => number) {
    this.#clock = clock
  }

  /**
   * Takes note of a refusal and calls `tell`, which says so: at once, or a second later where more than 10 within a minute
   * went to `address`.
   */
  refuse(address: string, tell: () => void): void {
    if (this.#failsOften(address)) setTimeout(tell, penaltyMs)
    else tell()
  }

  /** The same for who answers by returning: resolves when the refusal may be told. */
  async refused(address: string): Promise<void> {
    if (this.#failsOften(address)) await wait(penaltyMs)
  }

  #failsOften(address: string): boolean {
    const now = this.#clock()
    const client = clientNetwork(address) ?? address
    const known = this.#failures.get(client)
    if (known && now - known.since < minuteMs) return ++known.count > failuresPerMinute
    // Kept in the order of their minutes' beginnings: the oldest go first.
    this.#failures.delete(client)
    this.#failures.set(client, { count: 1, since: now })
    for (const [oldest, { since }] of this.#failures) {
      if (this.#failures.size <= maxAddresses && now - since < minuteMs) break
      this.#failures.delete(oldest)
    }
    return false
  }
}
