import type { Log } from '../edge/log.ts'
import type { Metrics } from '../edge/metrics.ts'
import { describeError } from './pool.ts'

type Deps = {
  /** The door's name, as the log has it. */
  door: string
  log: Log
  metrics: Pick<Metrics, 'databaseFailed'>
}

/**
 * Whether the database answers a door that asks it again and again what is new. The one place that says that it is lost, and
 * that it is back: each once, however many questions fail meanwhile.
 */
export class Outage {
  readonly #deps: Deps
  #failures = 0

  constructor({ door, log, metrics }: Deps) {
    this.#deps = { door, log, metrics }
  }

  /** How many questions in a row have failed. */
  get failures(): number {
    return this.#failures
  }

  /** The database has answered. */
  answered(): void {
    const { door, log } = this.#deps
    if (this.#failures > 0) log({ level: 'info', event: 'databaseBack', door })
    this.#failures = 0
  }

  /** A question has failed by `error`. */
  failed(error: unknown): void {
    const { door, log, metrics } = this.#deps
    this.#failures++
    metrics.databaseFailed()
    if (this.#failures === 1) log({ level: 'warn', event: 'databaseLost', door, error: describeError(error) })
  }
}
