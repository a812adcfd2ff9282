import type { Sql } from 'postgres'
import type { Retry } from '../db/contention.ts'
import { describeError } from '../db/pool.ts'
import type { Log } from '../edge/log.ts'
import type { Metrics } from '../edge/metrics.ts'
import type { Room } from './room.ts'
import { forgetCommands, readSite, type Zone } from './store.ts'

const maxBackoffMs = 5000
const forgetEveryMs = 3_600_000

type PollerDeps = {
  sql: Sql
  retry: Retry
  clock: () => number
  log: Log
  metrics: Metrics
  pollMs: number
  rooms: () => ReadonlyMap<number, Room>
  /** Gives a meeting that has none its room. */
  open: (meeting: number) => Room
  onZone: (zone: Zone) => void
}

/**
 * Reads every `pollMs` what pgeu-system may have changed, and hands it to the rooms (meeting door spec, The poller).
 * Meetings that go on by themselves and have no room get one.
 */
export class Poller {
  readonly #deps: PollerDeps
  #timer: NodeJS.Timeout | null = null
  #failures = 0
  #forgotAt = -Infinity
  #closed = false

  /** Resolves when the first look is done, whatever it brought. */
  readonly ready: Promise<void>

  constructor(deps: PollerDeps) {
    this.#deps = deps
    this.ready = this.#poll()
    void this.ready.then(() => this.#schedule())
  }

  /** Whether the last look failed. */
  get failing(): boolean {
    return this.#failures > 0
  }

  close(): void {
    this.#closed = true
    if (this.#timer) clearTimeout(this.#timer)
  }

  #schedule(): void {
    if (this.#closed) return
    const { pollMs } = this.#deps
    const wait = Math.min(pollMs * 2 ** this.#failures, Math.max(maxBackoffMs, pollMs))
    this.#timer = setTimeout(() => void this.#poll().then(() => this.#schedule()), wait)
  }

  async #poll(): Promise<void> {
    const { sql, retry, log, metrics, rooms, open, onZone } = this.#deps
    const revisions = new Map(Array.from(rooms(), ([id, room]) => [id, room.revision]))
    const watched = Array.from(rooms(), ([id, room]) => ({ id, fingerprint: room.siteFingerprint }))
    try {
      const { reports, zone } = await retry(() => readSite(sql, watched))
      if (this.#closed) return
      if (this.#failures > 0) log({ level: 'info', event: 'databaseBack', door: 'meetings' })
      this.#failures = 0
      onZone(zone)
      for (const report of reports) {
        const revision = revisions.get(report.id)
        if (revision === undefined) open(report.id).wake()
        else if (report.site !== undefined) rooms().get(report.id)?.followSite(report, revision)
      }
      await this.#forget()
    } catch (error) {
      if (this.#closed) return
      this.#failures++
      metrics.databaseFailed()
      if (this.#failures === 1)
        log({ level: 'warn', event: 'databaseLost', door: 'meetings', error: describeError(error) })
    }
  }

  /** Once an hour, and at the beginning: of meetings too that nobody reads any more. */
  async #forget(): Promise<void> {
    const { sql, retry, clock } = this.#deps
    if (clock() - this.#forgotAt < forgetEveryMs) return
    while (!this.#closed && (await retry(() => forgetCommands(sql))));
    this.#forgotAt = clock()
  }
}
