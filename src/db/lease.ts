import type { Sql } from 'postgres'
import { isUnavailable } from './failure.ts'
import { describeError } from './pool.ts'
import { lockSpace, locks } from './schema.ts'

/**
 * What a process is to the meetings: `waiting` for the lock (a warm standby, or no database), or the one that serves
 * them, with the epoch that its writes must name. `unsure`: it served them and has lost the connection that held the
 * lock; nobody else is known to have it, and the fence refuses its writes if somebody has.
 */
type Holding =
  | { type: 'waiting'; reason: string }
  | { type: 'held'; pid: number; epoch: string }
  | { type: 'unsure'; pid: number; epoch: string }

const retryMs = 500

export type LeaseEvents = {
  /**
   * This process serves the meetings once this resolves; its writes are to name `epoch`. Where it rejects, nothing may be
   * left of what it began: the lock is given back, and it is called again with another epoch when that is had again.
   */
  gained: (epoch: string) => Promise<void>
  /** It does no longer: another one does, or may. */
  lost: () => void
  /** It cannot, for `reason`. Called at every try. */
  waits: (reason: string) => void
}

/**
 * Holds the session-level advisory lock that makes one process at a time the one that serves the meetings, on a
 * connection of its own (`sql` with `max: 1`).
 */
export class Lease {
  readonly #sql: Sql
  readonly #on: LeaseEvents
  #holding: Holding = { type: 'waiting', reason: 'the database has not answered yet' }
  #timer: NodeJS.Timeout | null = null
  #ticking: Promise<void> = Promise.resolve()
  #closed = false

  constructor(sql: Sql, on: LeaseEvents) {
    this.#sql = sql
    this.#on = on
    this.#tick()
  }

  /** Null while this process serves the meetings, else what it waits for, in words. */
  get waitsFor(): string | null {
    return this.#holding.type === 'waiting' ? this.#holding.reason : null
  }

  /**
   * To be called when the fence refused a write that named `epoch`: another process has taken over. What is left of an
   * older epoch says nothing of the one that is held now.
   */
  fenced(epoch: string): void {
    const holding = this.#holding
    if (holding.type === 'waiting' || holding.epoch !== epoch) return
    this.#lose('another Plenum process serves the meetings')
  }

  /** Lets go of the lock. */
  async close(): Promise<void> {
    this.#closed = true
    if (this.#timer) clearTimeout(this.#timer)
    await this.#sql.end({ timeout: 1 })
    await this.#ticking
  }

  #tick(): void {
    this.#ticking = this.#step()
      .catch((error: unknown) => {
        if (this.#closed) return
        const holding = this.#holding
        if (holding.type === 'waiting') this.#wait(reasonOf(error))
        else this.#holding = { ...holding, type: 'unsure' }
      })
      .then(() => {
        if (!this.#closed) this.#timer = setTimeout(() => this.#tick(), retryMs)
      })
  }

  async #step(): Promise<void> {
    const sql = this.#sql
    const holding = this.#holding
    if (holding.type === 'held') {
      const [session] = await sql<{ pid: number }[]>`select pg_backend_pid() pid`
      if (session?.pid === holding.pid) return
      this.#holding = { ...holding, type: 'unsure' }
      return await this.#step()
    }
    const [session] = await sql<{ pid: number; got: boolean }[]>`
      select pg_backend_pid() pid, pg_try_advisory_lock(${lockSpace}, ${locks.meetings}) got`
    if (!session) return
    if (session.got) return await this.#acquired(session.pid).catch((error: unknown) => this.#giveBack(error))
    if (holding.type === 'unsure') {
      // After a broken network the server may still keep our own old session, and with it the lock.
      const [own] = await sql`
        select pg_terminate_backend(pid) from pg_locks
        where locktype = 'advisory' and classid = ${lockSpace} and objid = ${locks.meetings} and objsubid = 2
          and database = (select oid from pg_database where datname = current_database())
          and granted and pid = ${holding.pid}`
      if (own) return
    }
    this.#lose('another Plenum process serves the meetings; waiting for its lock')
  }

  async #acquired(pid: number): Promise<void> {
    const holding = this.#holding
    if (holding.type === 'unsure') {
      const [lease] = await this.#sql<{ epoch: string }[]>`
        select epoch::text from plenum.lease where door = 'meetings'`
      if (lease?.epoch === holding.epoch) {
        this.#holding = { type: 'held', pid, epoch: holding.epoch }
        return
      }
      this.#lose('another Plenum process has served the meetings in between')
    }
    const epoch = await this.#sql.begin(async (tx) => {
      await tx`select pg_advisory_xact_lock(${lockSpace}, ${locks.meetingsFence})`
      const [lease] = await tx<{ epoch: string }[]>`
        insert into plenum.lease (door, epoch) values ('meetings', 1)
        on conflict (door) do update set epoch = plenum.lease.epoch + 1 returning epoch::text`
      if (!lease) throw new Error('the lease was not written')
      return lease.epoch
    })
    await this.#on.gained(epoch)
    this.#holding = { type: 'held', pid, epoch }
  }

  /**
   * Another process may be able to serve what this one could not begin to. The session has the lock as many times as it has asked for it; where it cannot
   * be asked, it is gone, and its locks with it.
   */
  async #giveBack(error: unknown): Promise<never> {
    if (this.#holding.type === 'waiting')
      await this.#sql`select pg_advisory_unlock_all()`.catch(() => undefined)
    throw error
  }

  #lose(reason: string): void {
    const served = this.#holding.type !== 'waiting'
    this.#wait(reason)
    if (served) this.#on.lost()
  }

  #wait(reason: string): void {
    this.#holding = { type: 'waiting', reason }
    this.#on.waits(reason)
  }
}

function reasonOf(error: unknown): string {
  const words = isUnavailable(error) ? 'the database does not answer' : 'the meetings cannot be served'
  return `${words}: ${describeError(error)}`
}
