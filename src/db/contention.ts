import { setTimeout as wait } from 'node:timers/promises'
import pLimit from 'p-limit'
import type { Sql } from 'postgres'
import type { DatabaseOptions } from './conninfo.ts'
import { codeOf, openPool, type PoolOptions, statementTimeoutMs } from './pool.ts'

/**
 * How long a transaction of a door may wait for one lock with a connection in its hand. Locks of our own are held for a
 * commit; a longer wait is for somebody else's.
 */
const lockTimeoutMs = 250

/** SQLSTATE of a transaction that was undone, all of it, because a lock was not to be had within `lock_timeout`. */
const lockedState = '55P03'
const pauseMs = { first: 50, longest: 500 }

/**
 * Does a transaction, and does it again for as long as somebody else holds what it needs. Gives what it gives, or throws
 * what it throws, in the end also that the lock was not to be had.
 */
export type Retry = <T>(transaction: () => Promise<T>) => Promise<T>

/**
 * Keeps locks that others hold from taking up all of a door's connections: who has met one waits without a connection, and
 * of all who try again only one has a connection at a time, the others their turn.
 */
export class Contention {
  readonly #retry = pLimit(1)
  readonly #patienceMs: number
  readonly #clock: () => number

  /** `patienceMs`: after so long it is given up. */
  constructor(patienceMs: number, clock: () => number) {
    this.#patienceMs = patienceMs
    this.#clock = clock
  }

  /** For those who do one transaction after the other, as a room does, or who would meet the same locks. */
  retrier(): Retry {
    let blocked = false
    return async <T>(transaction: () => Promise<T>): Promise<T> => {
      const end = this.#clock() + this.#patienceMs
      for (let pause = pauseMs.first; ; pause = Math.min(pause * 2, pauseMs.longest)) {
        try {
          // Whoever was blocked is likely to be so once more: others are not to wait for that.
          const result = await (blocked ? this.#retry(transaction) : transaction())
          blocked = false
          return result
        } catch (error) {
          blocked = codeOf(error) === lockedState
          if (!blocked || this.#clock() + pause > end) throw error
        }
        await wait(pause)
      }
    }
  }
}

/** A door's own connections: what keeps them busy is of no concern to the other doors (a bulkhead). */
export type Bulkhead = Readonly<{ sql: Sql; retrier: () => Retry }>

/** `pool.max` connections for one door. A statement and the wait for a lock have the same limit. */
export function openBulkhead(options: DatabaseOptions, pool: PoolOptions, clock: () => number): Bulkhead {
  const contention = new Contention(statementTimeoutMs(options), clock)
  return { sql: openPool(options, { ...pool, lockTimeoutMs }), retrier: () => contention.retrier() }
}
