import { setTimeout as wait } from 'node:timers/promises'
import type { Sql } from 'postgres'
import type { Retry } from '../db/contention.ts'
import { isRefused } from '../db/failure.ts'
import { describeError } from '../db/pool.ts'
import type { AuthThrottle } from '../edge/auth-throttle.ts'
import { Portion } from '../hub/portion.ts'
import type { Log } from './events.ts'
import type { Client } from './client.ts'
import { closeCodes, disconnects } from './disconnects.ts'
import type { Joining } from './room.ts'
import { type Credential, refusal, screenRefusal } from './rules/attendance.ts'
import type { Meeting } from './rules/view.ts'
import { findCredentials } from './store/credentials.ts'

/** Somebody who asks to join; `first`: the highest id of a line that they have. */
export type JoinRequest = { client: Client; meeting: number; key: string; first: number }

const maxGatherMs = 500
const lookUpEveryMs = 20

type JoinQueueDeps = {
  sql: Sql
  retry: Retry
  clock: () => number
  log: Log
  authThrottle: AuthThrottle
  joinWindowMs: number | null
  utcOffset: () => number
  viewOf: (meeting: number) => Meeting | null
  join: (meeting: number, joining: readonly Joining[]) => void
}

/**
 * Looks up who wants to join: all who ask while one look-up is under way, or within 20 ms, share the next. Those who may
 * not are told so here, and leave nothing behind.
 */
export class JoinQueue {
  readonly #deps: JoinQueueDeps
  /** Meetings that some are just joining, and those who are next there. */
  readonly #busy = new Map<number, Joining[]>()
  #waiting: JoinRequest[] = []
  readonly #portion = new Portion()
  #looking = false
  #closed = false

  constructor(deps: JoinQueueDeps) {
    this.#deps = deps
  }

  ask(request: JoinRequest): void {
    if (this.#closed) return request.client.close()
    this.#waiting.push(request)
    if (!this.#looking) void this.#lookUp()
  }

  /** Ends the connections of those who still wait: their pages come back. */
  close(): void {
    this.#closed = true
    for (const { client } of this.#waiting.splice(0)) client.close()
    for (const others of this.#busy.values()) for (const { client } of others.splice(0)) client.close()
  }

  async #lookUp(): Promise<void> {
    this.#looking = true
    while (this.#waiting.length > 0) {
      const requests = this.#portion.of(this.#waiting)
      this.#waiting = this.#waiting.slice(requests.length)
      try {
        const { sql, retry } = this.#deps
        const credentials = await retry(() =>
          findCredentials(
            sql,
            requests.map(({ meeting, key }) => ({ meeting, key })),
          ),
        )
        this.#portion.done()
        const joining = new Map<number, Joining[]>()
        for (const [index, request] of requests.entries()) {
          const one = this.#judge(request, credentials[index] ?? null)
          if (!one) continue
          if (one.client.isScreen) {
            this.#deps.join(request.meeting, [one])
            continue
          }
          const others = joining.get(request.meeting)
          if (others) others.push(one)
          else joining.set(request.meeting, [one])
        }
        for (const [meeting, those] of joining) {
          const next = this.#busy.get(meeting)
          if (next) next.push(...those)
          else this.#join(meeting, those)
        }
      } catch (error) {
        // What cannot be read of one must not keep out the others.
        if (isRefused(error) && this.#portion.refused(requests.length)) {
          this.#waiting.unshift(...requests)
          continue
        }
        this.#deps.log({ level: 'warn', event: 'entryFailed', error: describeError(error) })
        for (const { client } of requests)
          if (isRefused(error)) client.disconnect(disconnects.refused, this.#deps.utcOffset())
          else client.close(closeCodes.notLookedUp)
      }
      await wait(lookUpEveryMs)
    }
    this.#looking = false
  }

  /**
   * Has them join. Who asks for the same meeting meanwhile, and for as long again, comes next, all together: a thousand
   * who come at once are a few runs, for each of which everybody is told who has come.
   */
  #join(meeting: number, joining: readonly Joining[]): void {
    const begun = this.#deps.clock()
    const others: Joining[] = []
    this.#busy.set(meeting, others)
    let undecided = joining.length
    const next = (): void => {
      this.#busy.delete(meeting)
      const present = others.filter(({ client }) => client.open)
      if (present.length > 0) this.#join(meeting, present)
    }
    const decided = (): void => {
      if (--undecided === 0) setTimeout(next, Math.min(this.#deps.clock() - begun, maxGatherMs))
    }
    for (const { client } of joining) client.whenDecided(decided)
    this.#deps.join(meeting, joining)
  }

  /** Null: they have been told why not, or are gone. */
  #judge({ client, meeting, first }: JoinRequest, credential: Credential | null): Joining | null {
    if (!client.open) return null
    if (this.#closed) {
      client.close()
      return null
    }
    const { log, authThrottle, utcOffset, viewOf, joinWindowMs } = this.#deps
    const view = viewOf(meeting)
    const refused = client.isScreen
      ? screenRefusal(credential, view)
      : refusal(credential, view, joinWindowMs)
    if (credential && !refused) return { client, first, credential }
    const reason = refused ?? disconnects.notAllowed
    const { remote: address, request } = client.socket
    log({ level: 'info', event: 'refused', meeting, address, request, reason })
    const tell = (): void => client.disconnect(reason, utcOffset())
    if (reason === disconnects.notAllowed) authThrottle.refuse(address, tell, () => client.close())
    else authThrottle.turnAway(address, tell)
    return null
  }
}
