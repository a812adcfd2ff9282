import type { Retry } from '../db/contention.ts'
import { describeError } from '../db/pool.ts'
import { type Log, stackOf } from '../edge/log.ts'
import { Mailbox } from '../hub/mailbox.ts'
import {
  endSessions,
  findIdleSessions,
  finishSession,
  type IdleSession,
  type Store,
  writeSessions,
} from './store.ts'

export type WebhookTerms = Readonly<{ url: string; user: string; password: string }>

type WebhookDeps = { store: Store; retry: Retry; log: Log; onFailed: (error: unknown) => void }

const lookEveryMs = 1000
const answerWithinMs = 10_000
const retriesMs = [10_000, 60_000, 600_000]
const mostAtOnce = 20
const mostQueued = 100_000

/**
 * Tells the application which documents nobody uses any more. What is to be told are rows in the database, so that it
 * outlives this process: one that is killed leaves behind which documents were being used.
 */
export class Webhook {
  readonly #terms: WebhookTerms
  readonly #deps: WebhookDeps
  readonly #uses: Mailbox<{ number: string; used: boolean }>
  #timer: NodeJS.Timeout | null = null
  #begun: Promise<void> | null = null
  #closed = false

  constructor(terms: WebhookTerms, deps: WebhookDeps) {
    this.#terms = terms
    this.#deps = deps
    this.#uses = new Mailbox({
      consume: (jobs) => this.#write([...jobs]),
      onError: (error) =>
        deps.log({ level: 'error', event: 'unexpected', where: 'webhook', error: stackOf(error) }),
      limit: mostQueued,
    })
    this.#schedule()
  }

  /** Somebody has come to a document, or the last one has gone. */
  use(number: string, used: boolean): void {
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
    const numbersOf = (wanted: boolean): string[] =>
      Array.from(last).flatMap(([number, used]) => (used === wanted ? [number] : []))
    try {
      await this.#begin()
      const { store, retry } = this.#deps
      await retry(() => writeSessions(store, { used: numbersOf(true), idle: numbersOf(false) }))
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
    const { store, retry } = this.#deps
    this.#begun ??= retry(() => endSessions(store)).catch((error: unknown) => {
      this.#begun = null
      throw error
    })
    return this.#begun
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
      const sessions = await retry(() => findIdleSessions(store.sql, mostAtOnce))
      await Promise.all(sessions.map((session) => this.#call(session)))
    } catch (error) {
      this.#fail(error)
    }
  }

  async #call(session: IdleSession): Promise<void> {
    const { store, retry, log } = this.#deps
    const error = await this.#post(session.id)
    if (error === null) return await retry(() => finishSession(store, session, null))
    const retryMs = retriesMs[session.failures] ?? null
    await retry(() => finishSession(store, session, retryMs))
    const event = retryMs === null ? 'webhookGivenUp' : 'webhookFailed'
    log({ level: 'warn', event, attempt: session.failures + 1, error })
  }

  /** Null where it was taken, else why not: in words without the address, which may hold a secret. */
  async #post(documentID: string): Promise<string | null> {
    const { url, user, password } = this.#terms
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
