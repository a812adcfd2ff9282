import type { Retry } from '../db/contention.ts'
import { isRefused } from '../db/failure.ts'
import { describeError } from '../db/pool.ts'
import { stackOf } from '../edge/log.ts'
import type { Log } from './events.ts'
import { refusalEveryMs, Seldom } from '../edge/seldom.ts'
import { Mailbox } from '../hub/mailbox.ts'
import { doInPortions } from '../hub/portion.ts'
import type { Store } from './store/documents.ts'
import {
  endSessions,
  findIdleSessions,
  findUsedSessions,
  finishSession,
  type IdleSession,
  writeSessions,
} from './store/sessions.ts'

export type WebhookOptions = Readonly<{ url: string; user: string; password: string }>

type WebhookDeps = {
  store: Store
  retry: Retry
  clock: () => number
  log: Log
  onFailed: (error: unknown) => void
}

/** A call of which the database refuses to take note, and when that is next tried; `Infinity` is never. */
type Unsettled = { session: IdleSession; retryMs: number | null; tries: number; at: number }

const lookEveryMs = 1000
const answerWithinMs = 10_000
const retriesMs = [10_000, 60_000, 600_000]
const maxAtOnce = 20
const maxQueued = 100_000
/** Where the database takes no note of so many calls, there are no more. */
const maxUnsettled = 10_000

/**
 * Tells the application which documents nobody uses any more. What is to be told are rows in the database, so that it
 * outlives this process: one that is killed leaves behind which documents were being used.
 */
export class Webhook {
  readonly #options: WebhookOptions
  readonly #deps: WebhookDeps
  readonly #uses: Mailbox<{ number: string; used: boolean }>
  /** By the document's number. What stands here is called no more, until somebody has used it. */
  readonly #unsettled = new Map<string, Unsettled>()
  readonly #refusals: Seldom
  #timer: NodeJS.Timeout | null = null
  #begun: Promise<void> | null = null
  #closed = false

  constructor(options: WebhookOptions, deps: WebhookDeps) {
    this.#options = options
    this.#deps = deps
    this.#refusals = new Seldom(refusalEveryMs, deps.clock)
    this.#uses = new Mailbox({
      consume: (jobs) => this.#write([...jobs]),
      onError: (error) =>
        deps.log({ level: 'error', event: 'unexpected', where: 'webhook', error: stackOf(error) }),
      limit: maxQueued,
    })
    this.#schedule()
  }

  /** Somebody has come to a document, or the last one has gone. */
  use(number: string, used: boolean): void {
    this.#unsettled.delete(number)
    this.#uses.push({ number, used })
  }

  async flushed(): Promise<void> {
    await this.#uses.idle()
  }

  close(): void {
    this.#closed = true
    if (this.#timer) clearTimeout(this.#timer)
  }

  async #write(jobs: readonly { number: string; used: boolean }[]): Promise<number> {
    const last = new Map(jobs.map(({ number, used }) => [number, used]))
    const { store, retry } = this.#deps
    try {
      await this.#begin()
      await doInPortions(
        Array.from(last),
        (part) => {
          const numbersOf = (wanted: boolean): string[] =>
            part.flatMap(([number, used]) => (used === wanted ? [number] : []))
          return retry(() => writeSessions(store, { used: numbersOf(true), idle: numbersOf(false) }))
        },
        (_, error) => this.#logRefused(error),
      )
    } catch (error) {
      this.#fail(error)
    }
    return jobs.length
  }

  /**
   * Before anything else is written: what was being used when the last process ended is not used now. Done once, also where
   * two ask for it at the same time: the second time would take away what has been used since.
   */
  #begin(): Promise<void> {
    this.#begun ??= this.#endUsed().catch((error: unknown) => {
      this.#begun = null
      throw error
    })
    return this.#begun
  }

  async #endUsed(): Promise<void> {
    const { store, retry } = this.#deps
    const numbers = await retry(() => findUsedSessions(store.sql))
    await doInPortions(
      numbers,
      (part) => retry(() => endSessions(store, part)),
      (_, error) => this.#logRefused(error),
    )
  }

  #schedule(): void {
    this.#timer = setTimeout(() => {
      void this.#look().then(() => {
        if (!this.#closed) this.#schedule()
      })
    }, lookEveryMs)
  }

  async #look(): Promise<void> {
    const { store, retry } = this.#deps
    try {
      await this.#begin()
      const now = this.#deps.clock()
      const again = Array.from(this.#unsettled.values()).filter(({ at }) => at <= now)
      for (const unsettled of again.slice(0, maxAtOnce)) await this.#settle(unsettled)
      if (this.#unsettled.size >= maxUnsettled) return
      const skipped = Array.from(this.#unsettled.keys())
      const sessions = await retry(() => findIdleSessions(store.sql, skipped, maxAtOnce))
      await Promise.all(sessions.map((session) => this.#call(session)))
    } catch (error) {
      this.#fail(error)
    }
  }

  async #call(session: IdleSession): Promise<void> {
    const { log } = this.#deps
    const error = await this.#post(session.id)
    const retryMs = error === null ? null : (retriesMs[session.failures] ?? null)
    await this.#settle({ session, retryMs, tries: 0, at: 0 })
    if (error === null) return
    const event = retryMs === null ? 'webhookGivenUp' : 'webhookFailed'
    log({ level: 'warn', event, attempt: session.failures + 1, error })
  }

  /**
   * Takes note of a call. Where the database refuses that, the note is tried again as often as a call, and the call is not: it
   * would be made each second. Then it is given up.
   */
  async #settle({ session, retryMs, tries }: Unsettled): Promise<void> {
    const { store, retry, clock } = this.#deps
    const { number } = session
    try {
      await retry(() => finishSession(store, session, retryMs))
      this.#unsettled.delete(number)
    } catch (error) {
      if (!isRefused(error)) throw error
      this.#logRefused(error)
      const at = clock() + (retriesMs[tries] ?? Infinity)
      this.#unsettled.set(number, { session, retryMs, tries: tries + 1, at })
    }
  }

  #logRefused(error: unknown): void {
    this.#deps.onFailed(error)
    const count = this.#refusals.happened()
    if (count !== null)
      this.#deps.log({ level: 'warn', event: 'webhookNotStored', count, error: describeError(error) })
  }

  /** Null where it was taken, else why not: in words without the address, which may hold a secret. */
  async #post(documentID: string): Promise<string | null> {
    const { url, user, password } = this.#options
    const credentials = Buffer.from(`${user}:${password}`).toString('base64')
    try {
      const response = await fetch(url, {
        method: 'POST',
        body: new URLSearchParams({ documentID, event: 'idle-session' }),
        headers: user === '' ? {} : { authorization: `Basic ${credentials}` },
        redirect: 'manual',
        signal: AbortSignal.timeout(answerWithinMs),
      })
      await response.body?.cancel()
      return response.ok ? null : `the answer was ${response.status}`
    } catch (error) {
      const cause: unknown = error instanceof Error ? error.cause : null
      const code = cause instanceof Error && 'code' in cause ? String(cause.code) : null
      return code ?? (error instanceof Error ? error.name : 'no answer')
    }
  }

  #fail(error: unknown): void {
    if (this.#closed) return
    this.#deps.onFailed(error)
    this.#deps.log({ level: 'warn', event: 'webhookNotRead', error: describeError(error) })
  }
}
