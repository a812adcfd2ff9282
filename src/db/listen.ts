import type { Sql } from 'postgres'
import type { DatabaseOptions } from './conninfo.ts'
import { describeError, openPool, type PoolOptions } from './pool.ts'

const retryMs = 1000
/** A connection that only hears would never notice that the other end is gone. */
const probeMs = 5000

export type ListenEvents = {
  /** From now on nothing of the channel is missed; what there was before may have been. */
  listening: () => void
  notified: (payload: string) => void
  /** Notifications are lost until `listening` is called again. Called once for each loss. */
  lost: (reason: string) => void
}

/**
 * Listens to one channel on a connection of its own, and again whenever that is lost. Not by the library's `listen`, which
 * gives up for good where LISTEN is refused on a connection that stays, as by a standby that is about to be promoted.
 */
export class Listener {
  readonly #sql: Sql
  readonly #channel: string
  readonly #on: ListenEvents
  #listening = false
  #timer: NodeJS.Timeout | null = null
  #ticking = false
  #toldLost = false
  #closed = false

  constructor(options: DatabaseOptions, pool: Omit<PoolOptions, 'max'>, channel: string, on: ListenEvents) {
    this.#channel = channel
    this.#on = on
    this.#sql = openPool(options, {
      ...pool,
      max: 1,
      onConnection: (change) => {
        pool.onConnection?.(change)
        if (change === -1) this.#disconnected()
      },
      onNotify: (from, payload) => {
        if (from === channel) on.notified(payload)
      },
    })
    void this.#tick()
  }

  async close(): Promise<void> {
    this.#closed = true
    if (this.#timer) clearTimeout(this.#timer)
    await this.#sql.end({ timeout: 1 })
  }

  async #tick(): Promise<void> {
    if (this.#ticking || this.#closed) return
    this.#ticking = true
    if (this.#timer) clearTimeout(this.#timer)
    try {
      // Where it listens already this changes nothing, but shows that somebody is there.
      await this.#sql.unsafe(`listen "${this.#channel}"`)
      if (!this.#listening && !this.#closed) this.#on.listening()
      this.#listening = true
      this.#toldLost = false
    } catch (error) {
      this.#lose(describeError(error))
    }
    this.#ticking = false
    if (!this.#closed) this.#timer = setTimeout(() => void this.#tick(), this.#listening ? probeMs : retryMs)
  }

  #disconnected(): void {
    if (!this.#listening) return
    this.#lose('the connection was lost')
    void this.#tick()
  }

  #lose(reason: string): void {
    this.#listening = false
    if (!this.#toldLost && !this.#closed) this.#on.lost(reason)
    this.#toldLost = true
  }
}
