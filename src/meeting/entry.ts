import { setTimeout as wait } from 'node:timers/promises'
import type { Sql } from 'postgres'
import type { Retry } from '../db/contention.ts'
import { isRefused } from '../db/failure.ts'
import { describeError } from '../db/pool.ts'
import type { Guesses } from '../edge/guesses.ts'
import type { Log } from '../edge/log.ts'
import { Portion } from '../hub/portion.ts'
import { type Credential, type Meeting, refusal } from './meeting.ts'
import { closeCodes, disconnects } from './rejection.ts'
import type { Entrant } from './room.ts'
import type { Session } from './session.ts'
import { findCredentials } from './store.ts'

export type Wish = { session: Session; meeting: number; key: string; first: number }

const maxGatherMs = 500
const lookUpEveryMs = 20

type EntryDeps = {
  sql: Sql
  retry: Retry
  clock: () => number
  log: Log
  guesses: Guesses
  joinWindowMs: number | null
  utcOffset: () => number
  viewOf: (meeting: number) => Meeting | null
  admit: (meeting: number, entrants: readonly Entrant[]) => void
}

/**
 * Looks up who wants to enter: all who ask while one look-up is under way, or within 20 ms, share the next. Those who may
 * not are told so here, and leave nothing behind.
 */
export class EntryDesk {
  readonly #deps: EntryDeps
  /** Meetings that are just letting in some, and those who are next there. */
  readonly #entering = new Map<number, Entrant[]>()
  #waiting: Wish[] = []
  readonly #portion = new Portion()
  #looking = false
  #closed = false

  constructor(deps: EntryDeps) {
    this.#deps = deps
  }

  ask(wish: Wish): void {
    if (this.#closed) return wish.session.end()
    this.#waiting.push(wish)
    if (!this.#looking) void this.#lookUp()
  }

  /** Ends the connections of those who still wait: their pages come back. */
  close(): void {
    this.#closed = true
    for (const { session } of this.#waiting.splice(0)) session.end()
    for (const others of this.#entering.values()) for (const { session } of others.splice(0)) session.end()
  }

  async #lookUp(): Promise<void> {
    this.#looking = true
    while (this.#waiting.length > 0) {
      const wishes = this.#portion.of(this.#waiting)
      this.#waiting = this.#waiting.slice(wishes.length)
      try {
        const { sql, retry } = this.#deps
        const credentials = await retry(() =>
          findCredentials(
            sql,
            wishes.map(({ meeting, key }) => ({ meeting, key })),
          ),
        )
        this.#portion.done()
        const entrants = new Map<number, Entrant[]>()
        for (const [index, wish] of wishes.entries()) {
          const entrant = this.#judge(wish, credentials[index] ?? null)
          if (!entrant) continue
          const others = entrants.get(wish.meeting)
          if (others) others.push(entrant)
          else entrants.set(wish.meeting, [entrant])
        }
        for (const [meeting, those] of entrants) {
          const next = this.#entering.get(meeting)
          if (next) next.push(...those)
          else this.#admit(meeting, those)
        }
      } catch (error) {
        // What cannot be read of one must not keep out the others.
        if (isRefused(error) && this.#portion.refused(wishes.length)) {
          this.#waiting.unshift(...wishes)
          continue
        }
        this.#deps.log({ level: 'warn', event: 'entryFailed', error: describeError(error) })
        for (const { session } of wishes)
          if (isRefused(error)) session.disconnect(disconnects.refused, this.#deps.utcOffset())
          else session.end(closeCodes.notLookedUp)
      }
      await wait(lookUpEveryMs)
    }
    this.#looking = false
  }

  /**
   * Lets them in. Who asks for the same meeting meanwhile, and for as long again, comes next, all together: a thousand
   * who come at once are a few runs, for each of which everybody is told who has come.
   */
  #admit(meeting: number, entrants: readonly Entrant[]): void {
    const begun = this.#deps.clock()
    const others: Entrant[] = []
    this.#entering.set(meeting, others)
    let undecided = entrants.length
    const next = (): void => {
      this.#entering.delete(meeting)
      const present = others.filter(({ session }) => session.open)
      if (present.length > 0) this.#admit(meeting, present)
    }
    const decided = (): void => {
      if (--undecided === 0) setTimeout(next, Math.min(this.#deps.clock() - begun, maxGatherMs))
    }
    for (const { session } of entrants) session.whenDecided(decided)
    this.#deps.admit(meeting, entrants)
  }

  /** Null: he has been told why not, or is gone. */
  #judge({ session, meeting, first }: Wish, credential: Credential | null): Entrant | null {
    if (!session.open) return null
    if (this.#closed) {
      session.end()
      return null
    }
    const { log, guesses, utcOffset, viewOf, joinWindowMs } = this.#deps
    const refused = refusal(credential, viewOf(meeting), joinWindowMs)
    if (credential && !refused) return { session, first, credential }
    const reason = refused ?? disconnects.notAllowed
    const { remote: address, request } = session.socket
    log({ level: 'info', event: 'refused', meeting, address, request, reason })
    const tell = (): void => session.disconnect(reason, utcOffset())
    if (reason === disconnects.notAllowed) guesses.refuse(address, tell, () => session.end())
    else guesses.turnAway(address, tell)
    return null
  }
}
