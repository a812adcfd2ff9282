import { setTimeout as wait } from 'node:timers/promises'
import type { Retry } from '../db/contention.ts'
import { isRefused } from '../db/failure.ts'
import { describeError } from '../db/pool.ts'
import { refusalEveryMs, Seldom } from '../edge/seldom.ts'
import { doInPortions } from '../hub/portion.ts'
import type { Log } from './events.ts'
import type { Quota } from './quota.ts'
import { findExpiredTokens, purgeTokens } from './store/access.ts'
import {
  countQuota,
  findExpiredDocuments,
  purgeDocuments,
  type Store,
  touchDocuments,
} from './store/documents.ts'

type Deps = {
  store: Store
  retry: Retry
  clock: () => number
  log: Log
  quota: Quota
  /** How long a document is kept that nobody uses (milliseconds); null is for ever. */
  expirationMs: number | null
  /** The documents that have a room here; `number` is null where nobody has it open. */
  used: () => readonly Readonly<{ id: string; number: string | null }>[]
  /** A write or a read failed, or was refused. */
  onFailed: (error: unknown) => void
}

const maxPurgeMs = 60_000
const minPurgeMs = 1000
/** For so long an expired token is known as one, and not taken for a document's id. */
const tokensKnownDays = 366
/** So many at once: a deletion is not to hold up others for long. */
const maxPurged = 1000
/** For so long it is not tried again to delete what the database refuses to. */
const skippedForMs = 3_600_000
const retryMs = 1000

/** A document's number, not a token's hash. */
const isNumber = (name: string): boolean => /^\d{1,19}$/.test(name)

/** How long documents and tokens are kept: notes which are used, deletes those that have expired, and counts what there is. */
export class Retention {
  /** Resolves when what there is has been counted for the quota, or cannot be. */
  readonly counted: Promise<void>
  readonly #deps: Deps
  readonly #unpurged: Seldom
  readonly #untouched: Seldom
  readonly #unpurgeable = new Set<string>()
  #skippedSince = -Infinity
  #timer: NodeJS.Timeout | null = null
  #closed = false

  constructor(deps: Deps) {
    this.#deps = deps
    this.#unpurged = new Seldom(refusalEveryMs, deps.clock)
    this.#untouched = new Seldom(refusalEveryMs, deps.clock)
    this.counted = this.#count()
    this.#schedule()
  }

  /** Notes that the documents with these numbers are used, as far as the database takes it. Never rejects. */
  async touch(numbers: readonly string[]): Promise<void> {
    await this.#touch(numbers).catch((error: unknown) => this.#notTouched(error))
  }

  close(): void {
    this.#closed = true
    if (this.#timer) clearTimeout(this.#timer)
  }

  /** Rejects where the database fails, but not for what it refuses. */
  async #touch(numbers: readonly string[]): Promise<void> {
    const { store, retry } = this.#deps
    const touch = (part: readonly string[]): Promise<void> => retry(() => touchDocuments(store, part))
    await doInPortions(numbers, touch, (_, error) => this.#notTouched(error))
  }

  #notTouched(error: unknown): void {
    this.#deps.onFailed(error)
    const count = isRefused(error) ? this.#untouched.happened() : null
    if (count !== null)
      this.#deps.log({ level: 'warn', event: 'documentUseRefused', count, error: describeError(error) })
  }

  /** Nobody comes in before it is done. */
  async #count(): Promise<void> {
    const { quota, onFailed } = this.#deps
    while (!this.#closed) {
      try {
        return await this.#recount()
      } catch (error) {
        onFailed(error)
        // Who comes hears so when their document is opened; it is counted again with the next purge.
        if (isRefused(error)) return quota.gone(null)
        await wait(retryMs)
      }
    }
  }

  async #recount(): Promise<void> {
    const { quota, store } = this.#deps
    await quota.recount(() => countQuota(store.sql))
  }

  #schedule(): void {
    const { expirationMs } = this.#deps
    const ms = Math.max(minPurgeMs, Math.min(maxPurgeMs, (expirationMs ?? Infinity) / 4))
    this.#timer = setTimeout(() => {
      void this.#purge().then(() => {
        if (!this.#closed) this.#schedule()
      })
    }, ms)
  }

  async #purge(): Promise<void> {
    const { quota, log, expirationMs, onFailed } = this.#deps
    try {
      const tokens = await this.#purgeTokens()
      const documents = expirationMs === null ? 0 : await this.#purgeDocuments(expirationMs)
      if (documents + tokens > 0) log({ level: 'info', event: 'documentsPurged', documents, tokens })
      if (quota.doubtful) await this.#recount()
    } catch (error) {
      // Nobody knows what it has done.
      quota.gone(null)
      onFailed(error)
      log({ level: 'warn', event: 'documentPurgeFailed', error: describeError(error) })
    }
  }

  async #purgeTokens(): Promise<number> {
    const { store } = this.#deps
    const skipped = this.#skipped()
    let tokens = 0
    await this.#purgeWith(
      () => findExpiredTokens(store.sql, tokensKnownDays, Array.from(skipped), maxPurged),
      async (hashes) => void (tokens += await purgeTokens(store, hashes)),
    )
    return tokens
  }

  async #purgeDocuments(olderThanMs: number): Promise<number> {
    const { store, quota, used } = this.#deps
    const skipped = this.#skipped()
    // Who opens one meanwhile has a room, or has used it.
    const expiry = () => ({ olderThanMs, used: used().map(({ id }) => id) })
    let documents = 0
    await this.#touch(used().flatMap(({ number }) => number ?? []))
    await this.#purgeWith(
      () => findExpiredDocuments(store.sql, expiry(), Array.from(skipped).filter(isNumber), maxPurged),
      async (numbers) => {
        const purged = await purgeDocuments(store, numbers, expiry())
        documents += purged.documents
        quota.gone(purged.freed)
      },
    )
    return documents
  }

  /** Deletes by `remove` what `find` gives, until that is little. What the database refuses to delete holds up nothing else. */
  async #purgeWith(
    find: () => Promise<string[]>,
    remove: (names: readonly string[]) => Promise<void>,
  ): Promise<void> {
    const { retry } = this.#deps
    for (let found = maxPurged; found === maxPurged && !this.#closed;) {
      const skipped = this.#skipped()
      if (skipped.size >= maxPurged) return
      const names = await retry(find)
      found = names.length
      await doInPortions(
        names,
        (part) => retry(() => remove(part)),
        (name, error) => {
          skipped.add(name)
          this.#notPurged(error)
        },
      )
    }
  }

  /** What the database has refused to delete within the last hour: it is not tried again before. */
  #skipped(): Set<string> {
    const now = this.#deps.clock()
    if (now - this.#skippedSince >= skippedForMs) {
      this.#unpurgeable.clear()
      this.#skippedSince = now
    }
    return this.#unpurgeable
  }

  #notPurged(error: unknown): void {
    const count = this.#unpurged.happened()
    if (count !== null)
      this.#deps.log({ level: 'warn', event: 'documentPurgeRefused', count, error: describeError(error) })
  }
}
