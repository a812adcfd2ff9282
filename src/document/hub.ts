import type { webcrypto } from 'node:crypto'
import type { Sql } from 'postgres'
import type { Retry } from '../db/contention.ts'
import { isRefused, isSchemaFault } from '../db/failure.ts'
import { codeOf, describeError } from '../db/pool.ts'
import { fencedState } from '../db/schema.ts'
import { type AuthThrottle, isGuessable } from '../edge/auth-throttle.ts'
import { stackOf } from '../edge/log.ts'
import type { Metrics } from '../edge/metrics.ts'
import { PageCache } from '../hub/page-cache.ts'
import { Mailbox } from '../hub/mailbox.ts'
import { Portion } from '../hub/portion.ts'
import type { Log, Secret } from './events.ts'
import { type Access, permissionsOf, resolveAccess, type Unknown } from './access.ts'
import type { Budget } from './budget.ts'
import type { DocumentClient } from './client.ts'
import { type Fault, faults } from './protocol.ts'
import { Quota } from './quota.ts'
import { Retention } from './retention.ts'
import { DocumentRoom, refusedOpening } from './room.ts'
import { addToken, type TokenDraft, updateUser } from './store/access.ts'
import { createDocument, findDocument, readBytes, type Store } from './store/documents.ts'
import { Webhook, type WebhookOptions } from './webhook.ts'

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
  webhook: WebhookOptions | null
  /** A write was refused because another process serves the documents. */
  onFenced: () => void
}

type QueuedJob =
  | { type: 'enter'; client: DocumentClient }
  | { type: 'update'; user: string; letters: string; done: () => void; failed: (error: unknown) => void }

const maxWaiting = 20_000
const maxAtOnce = 500
const dumpBytes = 1024 * 1024

/** The documents of this process by id, while it is the one that serves them. */
export class DocumentHub {
  readonly #deps: DocumentHubDeps
  readonly #store: Store
  readonly #rooms = new Map<string, DocumentRoom>()
  readonly #pages = new PageCache(null)
  /** All whose init message has come, until their connections end. */
  readonly #clients = new Set<DocumentClient>()
  /** Who comes, and what changes the rights of those who do, in one order. */
  readonly #queue: Mailbox<QueuedJob>
  /** What cannot be read of one must not keep out the others. */
  readonly #portion = new Portion()
  readonly #webhook: Webhook | null
  /** Of what is no document's: tokens, users, and what goes on by itself. */
  readonly #retry: Retry
  /** Shared by all who read documents. */
  readonly #retryReading: Retry
  readonly #quota: Quota
  readonly #retention: Retention
  #closed = false

  /** `epoch` is the lease's (see `Lease`): writes name it, so that they fail once another process has taken over. */
  constructor(epoch: string, deps: DocumentHubDeps) {
    this.#deps = deps
    this.#store = { sql: deps.sql, epoch }
    this.#retry = deps.retrier()
    this.#retryReading = deps.retrier()
    this.#quota = new Quota(deps.maxTotal)
    const onFailed = (error: unknown): void => this.#failed(error)
    this.#retention = new Retention({
      ...deps,
      store: this.#store,
      retry: this.#retry,
      quota: this.#quota,
      used: () => Array.from(this.#rooms.values()),
      onFailed,
    })
    this.#webhook =
      deps.webhook &&
      new Webhook(deps.webhook, { ...deps, store: this.#store, retry: deps.retrier(), onFailed })
    this.#queue = new Mailbox<QueuedJob>({
      consume: (jobs) => this.#consume(jobs),
      onError: (error) =>
        deps.log({ level: 'error', event: 'unexpected', where: 'document desk', error: stackOf(error) }),
      limit: maxWaiting,
    })
  }

  /** For a client whose init message has come. */
  enter(client: DocumentClient): void {
    if (this.#closed || this.#queue.full) return client.close()
    this.#clients.add(client)
    this.#queue.push({ type: 'enter', client })
  }

  /** The connection has ended. */
  left(client: DocumentClient): void {
    this.#clients.delete(client)
  }

  stats(): { rooms: number; queued: number } {
    let queued = this.#queue.size
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
          this.#queue.push({ type: 'update', user, letters, done, failed })
        }),
    )
  }

  /** Stores and sends what is under way, then ends all connections. */
  async drain(): Promise<void> {
    for (const job of this.#queue.close()) this.#drop(job)
    await Promise.all(Array.from(this.#rooms.values(), (room) => room.drain()))
    const numbers = Array.from(this.#rooms.values()).flatMap(({ number }) => number ?? [])
    this.close()
    await this.#retention.touch(numbers)
    await this.#webhook?.flushed()
  }

  /** Ends all connections without a word: their clients come back, to whoever serves the documents then. */
  close(): void {
    this.#closed = true
    for (const job of this.#queue.close()) this.#drop(job)
    this.#retention.close()
    this.#webhook?.close()
    for (const room of this.#rooms.values()) room.close()
    for (const client of this.#clients) client.close()
    this.#rooms.clear()
    this.#clients.clear()
  }

  #drop(job: QueuedJob): void {
    if (job.type === 'enter') job.client.close()
    else job.failed(new Error('the documents are not served here now'))
  }

  async #consume(jobs: readonly QueuedJob[]): Promise<number> {
    const [first] = jobs
    if (first?.type === 'update') {
      await this.#update(first)
      return 1
    }
    const clients: DocumentClient[] = []
    for (const job of jobs) {
      if (job.type !== 'enter' || clients.length === maxAtOnce) break
      clients.push(job.client)
    }
    await this.#retention.counted
    return await this.#resolve(this.#portion.of(clients))
  }

  /** Returns of how many it is known what becomes of them. */
  async #resolve(clients: readonly DocumentClient[]): Promise<number> {
    const { sql, jwtKey, log } = this.#deps
    try {
      const ids = clients.map(({ init }) => init.id)
      const found = await this.#retry(() => resolveAccess(sql, ids, jwtKey))
      this.#portion.done()
      for (const [index, client] of clients.entries()) {
        const access = found[index]
        if (!access || !client.open) continue
        if (this.#closed) client.close()
        else this.#answer(client, access)
      }
    } catch (error) {
      if (isRefused(error) && this.#portion.refused(clients.length)) return 0
      this.#failed(error)
      log({ level: 'warn', event: 'entryFailed', error: describeError(error) })
      for (const client of clients)
        if (isRefused(error)) client.fail(refusedOpening(error))
        else client.close()
    }
    return clients.length
  }

  #answer(client: DocumentClient, access: Access | Fault | Unknown): void {
    const { authThrottle, log } = this.#deps
    const { remote: address, request } = client.socket
    const short = isGuessable(client.init.id)
    // It comes back, and has not heard whether it was right.
    if (short && authThrottle.lockedMs('token', address) !== null) return client.close()
    if (access.type === 'access') {
      if (short && access.user !== null) authThrottle.proven('token', address)
      return client.grant(access, () => this.#room(access.document).enter(client))
    }
    const fault = access.type === 'fault' ? access : faults.denied
    log({ level: 'info', event: 'documentRefused', document: '', address, request, reason: fault.text })
    const tell = (): void => client.fail(fault)
    // One that is known is not guessed at: it has expired, for example.
    if (access.type === 'fault') return tell()
    if (!short) return authThrottle.refuse(address, tell, () => client.close())
    authThrottle.failed('token', address)
    tell()
  }

  async #update(job: Extract<QueuedJob, { type: 'update' }>): Promise<void> {
    try {
      await this.#retry(() => updateUser(this.#store, job.user, job.letters))
      for (const client of this.#clients)
        if (client.user === job.user) client.permit(permissionsOf(job.letters))
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
    if (!used) void this.#retention.touch([number])
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
