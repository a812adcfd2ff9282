import type { webcrypto } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import type { Sql } from 'postgres'
import type { Retry } from '../db/contention.ts'
import { isRefused, isSchemaFault } from '../db/failure.ts'
import { codeOf, describeError } from '../db/pool.ts'
import { fencedState } from '../db/schema.ts'
import { type AuthThrottle, isGuessable } from '../edge/auth-throttle.ts'
import { stackOf } from '../edge/log.ts'
import type { Metrics } from '../edge/metrics.ts'
import { refusalEveryMs, Seldom } from '../edge/seldom.ts'
import { PageCache } from '../hub/page-cache.ts'
import { Mailbox } from '../hub/mailbox.ts'
import { doInPortions, Portion } from '../hub/portion.ts'
import type { Log, Secret } from './events.ts'
import { type Access, permissionsOf, resolveAccess, type Unknown } from './access.ts'
import type { Budget } from './budget.ts'
import { type Fault, faults } from './protocol.ts'
import { Quota } from './quota.ts'
import { DocumentRoom, refusedOpening } from './room.ts'
import type { DocumentSession } from './session.ts'
import {
  addToken,
  countQuota,
  createDocument,
  findDocument,
  findExpiredDocuments,
  findExpiredTokens,
  purgeDocuments,
  purgeTokens,
  readBytes,
  type Store,
  type TokenDraft,
  touchDocuments,
  updateUser,
} from './store.ts'
import { Webhook, type WebhookTerms } from './webhook.ts'

export type DocumentHubDeps = {
  sql: Sql
  /** Makes another for whoever does one transaction after the other. */
  retrier: () => Retry
  clock: () => number
  log: Log
  metrics: Metrics
  budget: Budget
  authThrottle: AuthThrottle<Secret>
  /** What JWTs are signed with; with it nothing else than tokens and these are taken. */
  jwtKey: webcrypto.CryptoKey | null
  maxMessage: number
  maxSize: number
  /** What documents have in all that were made without a credential. */
  maxTotal: number
  /** How long a document is kept that nobody uses; null is for ever. */
  expirationMs: number | null
  webhook: WebhookTerms | null
  /** A write was refused because another process serves the documents. */
  onFenced: () => void
}

type DeskJob =
  | { type: 'enter'; session: DocumentSession }
  | { type: 'update'; user: string; letters: string; done: () => void; failed: (error: unknown) => void }

const maxWaiting = 20_000
const mostAtOnce = 500
const longestPurgeMs = 60_000
const shortestPurgeMs = 1000
/** For so long an expired token is known as one, and not taken for a document's id. */
const tokensKnownDays = 366
/** So many at once: a deletion is not to hold up others for long. */
const mostPurged = 1000
/** For so long it is not tried again to delete what the database refuses to. */
const skippedForMs = 3_600_000
/** A document's number, not a token's hash. */
const isNumber = (name: string): boolean => /^\d{1,19}$/.test(name)
const dumpBytes = 1024 * 1024
const retryMs = 1000

/** The documents of this process by id, while it is the one that serves them. */
export class DocumentHub {
  readonly #deps: DocumentHubDeps
  readonly #store: Store
  readonly #rooms = new Map<string, DocumentRoom>()
  readonly #pages = new PageCache(null)
  /** All whose init message has come, until their connections end. */
  readonly #sessions = new Set<DocumentSession>()
  /** Who comes, and what changes the rights of those who do, in one order. */
  readonly #desk: Mailbox<DeskJob>
  /** What cannot be read of one must not keep out the others. */
  readonly #portion = new Portion()
  readonly #webhook: Webhook | null
  /** Of what is no document's: tokens, users, and what goes on by itself. */
  readonly #retry: Retry
  /** Shared by all who read documents. */
  readonly #retryReading: Retry
  readonly #quota: Quota
  /** Resolves when what there is has been counted. */
  readonly #counted: Promise<void>
  readonly #refusals: Seldom
  readonly #unused: Seldom
  readonly #unpurgeable = new Set<string>()
  #skippedSince = -Infinity
  #timer: NodeJS.Timeout | null = null
  #closed = false

  /** `epoch` is the lease's (see `Lease`): writes name it, so that they fail once another process has taken over. */
  constructor(epoch: string, deps: DocumentHubDeps) {
    this.#deps = deps
    this.#store = { sql: deps.sql, epoch }
    this.#retry = deps.retrier()
    this.#retryReading = deps.retrier()
    this.#quota = new Quota(deps.maxTotal)
    this.#refusals = new Seldom(refusalEveryMs, deps.clock)
    this.#unused = new Seldom(refusalEveryMs, deps.clock)
    this.#counted = this.#count()
    const onFailed = (error: unknown): void => this.#failed(error)
    this.#webhook =
      deps.webhook &&
      new Webhook(deps.webhook, { ...deps, store: this.#store, retry: deps.retrier(), onFailed })
    this.#desk = new Mailbox<DeskJob>({
      consume: (jobs) => this.#consume(jobs),
      onError: (error) =>
        deps.log({ level: 'error', event: 'unexpected', where: 'document desk', error: stackOf(error) }),
      limit: maxWaiting,
    })
    this.#schedulePurge()
  }

  /** For a session whose init message has come. */
  enter(session: DocumentSession): void {
    if (this.#closed || this.#desk.full) return session.end()
    this.#sessions.add(session)
    this.#desk.push({ type: 'enter', session })
  }

  /** The connection has ended. */
  left(session: DocumentSession): void {
    this.#sessions.delete(session)
  }

  census(): { rooms: number; queued: number } {
    let queued = this.#desk.size
    for (const room of this.#rooms.values()) queued += room.queued
    return { rooms: this.#rooms.size, queued }
  }

  /** False where there is one of this id. */
  async createDocument(id: string, contents: Buffer): Promise<boolean> {
    return await this.#guarded(() =>
      this.#room(id).make(() => createDocument(this.#store, id, contents, null)),
    )
  }

  async deleteDocument(id: string): Promise<void> {
    await this.#guarded(() => this.#room(id).remove())
  }

  async hasDocument(id: string): Promise<boolean> {
    return await this.#guarded(async () => (await this.#find(id)) !== null)
  }

  /** The document's length and its bytes, as it is now; null where there is none. */
  async dumpDocument(id: string): Promise<{ length: number; pages: AsyncGenerator<Buffer> } | null> {
    const { sql } = this.#deps
    const retry = this.#retryReading
    const found = await this.#guarded(() => this.#find(id))
    if (!found) return null
    const { number, length } = found
    const pages = async function* (): AsyncGenerator<Buffer> {
      for (let at = 0; at < length; at += dumpBytes) {
        const end = Math.min(at + dumpBytes, length)
        const page = await retry(() => readBytes(sql, number, at, end))
        if (page.length !== end - at) throw new Error('the document was deleted')
        yield page
      }
    }
    return { length, pages: pages() }
  }

  /** False where the token is known, or the document that is to be made with it is there. */
  async addToken(draft: TokenDraft): Promise<boolean> {
    const add = (): Promise<boolean> => addToken(this.#store, draft)
    return await this.#guarded(
      draft.contents === null ? () => this.#retry(add) : () => this.#room(draft.document).make(add),
    )
  }

  /** Changes what the user may do by tokens and JWTs, on connections that there are too. */
  async updateUser(user: string, letters: string): Promise<void> {
    await this.#guarded(
      () =>
        new Promise<void>((done, failed) => {
          if (this.#closed) return failed(new Error('the documents are not served here now'))
          this.#desk.push({ type: 'update', user, letters, done, failed })
        }),
    )
  }

  /** Stores and sends what is under way, then ends all connections. */
  async drain(): Promise<void> {
    for (const job of this.#desk.close()) this.#drop(job)
    await Promise.all(Array.from(this.#rooms.values(), (room) => room.drain()))
    const numbers = this.#numbers()
    this.close()
    await this.#touch(numbers).catch((error: unknown) => this.#untouched(error))
    await this.#webhook?.flushed()
  }

  /** Ends all connections without a word: their clients come back, to whoever serves the documents then. */
  close(): void {
    this.#closed = true
    for (const job of this.#desk.close()) this.#drop(job)
    if (this.#timer) clearTimeout(this.#timer)
    this.#webhook?.close()
    for (const room of this.#rooms.values()) room.close()
    for (const session of this.#sessions) session.end()
    this.#rooms.clear()
    this.#sessions.clear()
  }

  #drop(job: DeskJob): void {
    if (job.type === 'enter') job.session.end()
    else job.failed(new Error('the documents are not served here now'))
  }

  async #consume(jobs: readonly DeskJob[]): Promise<number> {
    const [first] = jobs
    if (first?.type === 'update') {
      await this.#update(first)
      return 1
    }
    const sessions: DocumentSession[] = []
    for (const job of jobs) {
      if (job.type !== 'enter' || sessions.length === mostAtOnce) break
      sessions.push(job.session)
    }
    await this.#counted
    return await this.#letIn(this.#portion.of(sessions))
  }

  /** Returns of how many it is known what becomes of them. */
  async #letIn(sessions: readonly DocumentSession[]): Promise<number> {
    const { sql, jwtKey, log } = this.#deps
    try {
      const ids = sessions.map(({ init }) => init.id)
      const found = await this.#retry(() => resolveAccess(sql, ids, jwtKey))
      this.#portion.done()
      for (const [index, session] of sessions.entries()) {
        const access = found[index]
        if (!access || !session.open) continue
        if (this.#closed) session.end()
        else this.#answer(session, access)
      }
    } catch (error) {
      if (isRefused(error) && this.#portion.refused(sessions.length)) return 0
      this.#failed(error)
      log({ level: 'warn', event: 'entryFailed', error: describeError(error) })
      for (const session of sessions)
        if (isRefused(error)) session.fail(refusedOpening(error))
        else session.end()
    }
    return sessions.length
  }

  #answer(session: DocumentSession, access: Access | Fault | Unknown): void {
    const { authThrottle, log } = this.#deps
    const { remote: address, request } = session.socket
    const short = isGuessable(session.init.id)
    // It comes back, and has not heard whether it was right.
    if (short && authThrottle.lockedMs('token', address) !== null) return session.end()
    if (access.type === 'access') {
      if (short && access.user !== null) authThrottle.proven('token', address)
      return session.grant(access, () => this.#room(access.document).enter(session))
    }
    const fault = access.type === 'fault' ? access : faults.denied
    log({ level: 'info', event: 'documentRefused', document: '', address, request, reason: fault.text })
    const tell = (): void => session.fail(fault)
    // One that is known is not guessed at: it has expired, for example.
    if (access.type === 'fault') return tell()
    if (!short) return authThrottle.refuse(address, tell, () => session.end())
    authThrottle.failed('token', address)
    tell()
  }

  async #update(job: Extract<DeskJob, { type: 'update' }>): Promise<void> {
    try {
      await this.#retry(() => updateUser(this.#store, job.user, job.letters))
      for (const session of this.#sessions)
        if (session.user === job.user) session.permit(permissionsOf(job.letters))
      job.done()
    } catch (error) {
      job.failed(error)
    }
  }

  #room(id: string): DocumentRoom {
    const known = this.#rooms.get(id)
    if (known) return known
    const room = new DocumentRoom(id, {
      ...this.#deps,
      store: this.#store,
      retry: this.#deps.retrier(),
      retryReading: this.#retryReading,
      quota: this.#quota,
      pages: this.#pages,
      onUse: (number, used) => this.#use(number, used),
      onFailed: (error) => this.#failed(error),
      onIdle: () => {
        if (this.#rooms.get(id) === room) this.#rooms.delete(id)
      },
    })
    if (this.#closed) room.close()
    else this.#rooms.set(id, room)
    return room
  }

  #use(number: string, used: boolean): void {
    if (this.#closed) return
    this.#webhook?.use(number, used)
    if (!used) this.#touch([number]).catch((error: unknown) => this.#untouched(error))
  }

  /** Notes that these are used, as far as the database takes it. */
  async #touch(numbers: readonly string[]): Promise<void> {
    const touch = (part: readonly string[]): Promise<void> =>
      this.#retry(() => touchDocuments(this.#store, part))
    await doInPortions(numbers, touch, (_, error) => this.#untouched(error))
  }

  #untouched(error: unknown): void {
    this.#failed(error)
    const count = isRefused(error) ? this.#unused.happened() : null
    if (count !== null)
      this.#deps.log({ level: 'warn', event: 'documentUseRefused', count, error: describeError(error) })
  }

  #numbers(): string[] {
    return Array.from(this.#rooms.values()).flatMap(({ number }) => number ?? [])
  }

  /** Nobody comes in before it is done. */
  async #count(): Promise<void> {
    while (!this.#closed) {
      try {
        return await this.#quota.recount(() => countQuota(this.#deps.sql))
      } catch (error) {
        this.#failed(error)
        // Who comes hears so when their document is opened; it is counted again with the next purge.
        if (isRefused(error)) return this.#quota.gone(null)
        await wait(retryMs)
      }
    }
  }

  #schedulePurge(): void {
    const { expirationMs } = this.#deps
    const ms = Math.max(shortestPurgeMs, Math.min(longestPurgeMs, (expirationMs ?? Infinity) / 4))
    this.#timer = setTimeout(() => {
      void this.#purge().then(() => {
        if (!this.#closed) this.#schedulePurge()
      })
    }, ms)
  }

  async #purge(): Promise<void> {
    const { sql, expirationMs, log } = this.#deps
    try {
      const skipped = this.#skipped()
      let [documents, tokens] = [0, 0]
      await this.#purgeWith(
        () => findExpiredTokens(sql, tokensKnownDays, Array.from(skipped), mostPurged),
        async (hashes) => void (tokens += await purgeTokens(this.#store, hashes)),
      )
      if (expirationMs !== null) {
        await this.#touch(this.#numbers())
        // Who opens one meanwhile has a room, or has used it.
        const expiry = { olderThanMs: expirationMs, used: Array.from(this.#rooms.keys()) }
        await this.#purgeWith(
          () => findExpiredDocuments(sql, expiry, Array.from(skipped).filter(isNumber), mostPurged),
          async (numbers) => {
            const used = Array.from(this.#rooms.keys())
            const purged = await purgeDocuments(this.#store, numbers, { ...expiry, used })
            documents += purged.documents
            this.#quota.gone(purged.freed)
          },
        )
      }
      if (documents + tokens > 0) log({ level: 'info', event: 'documentsPurged', documents, tokens })
      if (this.#quota.doubtful) await this.#quota.recount(() => countQuota(this.#deps.sql))
    } catch (error) {
      // Nobody knows what it has done.
      this.#quota.gone(null)
      this.#failed(error)
      log({ level: 'warn', event: 'documentPurgeFailed', error: describeError(error) })
    }
  }

  /** Deletes by `remove` what `find` gives, until that is little. What the database refuses to delete holds up nothing else. */
  async #purgeWith(
    find: () => Promise<string[]>,
    remove: (names: readonly string[]) => Promise<void>,
  ): Promise<void> {
    for (let found = mostPurged; found === mostPurged && !this.#closed;) {
      const skipped = this.#skipped()
      if (skipped.size >= mostPurged) return
      const names = await this.#retry(find)
      found = names.length
      await doInPortions(
        names,
        (part) => this.#retry(() => remove(part)),
        (name, error) => {
          skipped.add(name)
          this.#unpurged(error)
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

  #unpurged(error: unknown): void {
    const count = this.#refusals.happened()
    if (count !== null)
      this.#deps.log({ level: 'warn', event: 'documentPurgeRefused', count, error: describeError(error) })
  }

  async #find(id: string): ReturnType<typeof findDocument> {
    return await this.#retryReading(() => findDocument(this.#deps.sql, id))
  }

  async #guarded<Result>(work: () => Promise<Result>): Promise<Result> {
    try {
      return await work()
    } catch (error) {
      this.#failed(error)
      throw error
    }
  }

  #failed(error: unknown): void {
    if (!isRefused(error) || isSchemaFault(error)) this.#deps.metrics.databaseFailed()
    if (codeOf(error) === fencedState && !this.#closed) this.#deps.onFenced()
  }
}
