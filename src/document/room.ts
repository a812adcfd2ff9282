import { createHash } from 'node:crypto'
import type { Retry } from '../db/contention.ts'
import { explainRefusal, isRefused, whereRefused } from '../db/failure.ts'
import { describeError } from '../db/pool.ts'
import { stackOf } from '../edge/log.ts'
import type { Metrics } from '../edge/metrics.ts'
import { refusalEveryMs, Seldom } from '../edge/seldom.ts'
import type { Page, PageCache } from '../hub/page-cache.ts'
import { Replica } from '../hub/replica.ts'
import { Conflict, RoomClosed, type RoomHooks } from '../hub/room-rules.ts'
import { Room } from '../hub/room.ts'
import { Tail } from '../hub/tail.ts'
import { announcer, type Audience, bytesSince, prepare } from './announce.ts'
import type { DocumentClient, DocumentClientRoom } from './client.ts'
import type { Log } from './events.ts'
import { Message } from './message.ts'
import { type Command, type Fault, fault, faults, keysHead, type TooLong } from './protocol.ts'
import type { Quota } from './quota.ts'
import {
  type Answer,
  batch,
  decide,
  fullFault,
  type Job,
  type Limits,
  refusedBy,
  tooLargeFault,
  type Write,
} from './rules.ts'
import { BytesMissing, DocumentGone, DocumentStore } from './store/document-store.ts'
import type { Store } from './store/documents.ts'
import { type Fact, isAboutKeys, type View } from './view.ts'

export type DocumentRoomDeps = {
  store: Store
  /** For what this document's connections and its management do. */
  retry: Retry
  /** Shared by all who read documents. */
  retryReading: Retry
  clock: () => number
  log: Log
  metrics: Metrics
  maxSize: number
  quota: Quota
  maxTotal: number
  /** Shared by all documents. */
  pages: PageCache
  /** Somebody has come to, or the last one has gone from, the document with this number. */
  onUse: (number: string, used: boolean) => void
  /** A write or a read failed, or was refused. */
  onFailed: (error: unknown) => void
  /** Nobody is here and nothing is under way: the room may be forgotten. */
  onIdle: () => void
}

type Hooks = RoomHooks<View, Job, Write, null, Fact, Answer>

const maxQueued = 100_000
const pageBytes = 1024 * 1024

let lastInstance = 0

/**
 * One document in this process, while somebody has it open: its two halves, and what both have to do with the world. Where
 * it is not known what became of a write all connections end, and clients come back and say how far they are.
 */
export class DocumentRoom implements DocumentClientRoom {
  readonly id: string
  readonly #deps: DocumentRoomDeps
  readonly #store: DocumentStore
  readonly #replica: Replica<View, Fact, Audience, Fault, DocumentClient, Buffer>
  readonly #room: Room<View, Job, Write, null, Fact, Answer>
  readonly #instance = ++lastInstance
  readonly #refusals: Seldom
  /** What tells who enters of all keys, until one of them changes. */
  #keys: Message | null = null
  #readsFail = false
  #closed = false

  constructor(id: string, deps: DocumentRoomDeps) {
    this.id = id
    this.#deps = deps
    const { clock, metrics, retry } = deps
    this.#refusals = new Seldom(refusalEveryMs, clock)
    this.#store = new DocumentStore({ ...deps, id })
    this.#replica = new Replica<View, Fact, Audience, Fault, DocumentClient, Buffer>(announcer, {
      clock,
      tail: new Tail(null),
      fannedOut: (milliseconds, deliveries) => metrics.fannedOut(milliseconds, deliveries),
      read: (_client, from) => this.#read(from),
      sendPage: (client, { frame }) => client.send(frame),
      sendTail: (client, parts) => this.#finish(client, parts),
      live: (client) => client.live(),
      onFailedRead: (client, error) => this.#readFailed(client, error),
      onError: (error, client) => this.#cannotRead(client, error),
    })
    this.#room = new Room({
      rules: {
        batch,
        decide: (view, run) => decide(view, run, this.#limits(view)),
        facts: (_view, { facts }) => facts,
        due: () => null,
        nextDue: () => null,
      },
      store: this.#store,
      replica: this.#replica,
      hooks: this.#hooks(),
      retry,
      clock,
      maxQueued,
      onUnknown: 'close',
    })
  }

  get queued(): number {
    return this.#room.queued
  }

  /** The document's number, if somebody has it open. */
  get number(): string | null {
    return this.#replica.subscribers.size > 0 ? (this.#replica.view?.number ?? null) : null
  }

  /** `client.init` and what it grants are known. */
  enter(client: DocumentClient): void {
    this.#room.alone(() => this.#enter(client)).catch(() => client.close())
  }

  /** Makes the document by `make`, in order with all else; resolves to what that says. */
  async make(make: () => Promise<boolean>): Promise<boolean> {
    return await this.#room.alone(() => this.#deps.retry(make))
  }

  /** Deletes the document; who has it open is told and dismissed. */
  async remove(): Promise<void> {
    await this.#room.alone(async () => {
      await this.#store.delete()
      this.#room.publish([{ type: 'deleted' }])
    })
  }

  command(client: DocumentClient, command: Command | TooLong, cost: number): void {
    if (this.#room.draining || this.#closed) return client.answered(cost)
    this.#room.push({ type: 'command', subscriber: client.socket.id, sender: client, command, cost })
    if (this.#room.full) client.fail(fault('the document is too busy'))
  }

  dismiss(client: DocumentClient, fault: Fault | null): void {
    if (this.#replica.subscribers.has(client.socket.id)) this.#replica.end(client.socket.id, fault)
    else client.close()
  }

  left(client: DocumentClient, how: string): void {
    this.#log('documentEnded', client, how)
    const { subscribers, view } = this.#replica
    if (subscribers.size === 0 && view) this.#deps.onUse(view.number, false)
    this.#room.push({ type: 'leave', subscriber: client.socket.id })
  }

  /** Takes nothing more, and resolves when all that was taken has been stored and sent. */
  async drain(): Promise<void> {
    await this.#room.drain()
  }

  /** Ends all connections without a word: their clients come back. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#room.close()
    for (const subscriber of Array.from(this.#replica.subscribers.keys())) this.#replica.end(subscriber, null)
    this.#deps.onIdle()
  }

  #hooks(): Hooks {
    const { metrics, onFailed, log } = this.#deps
    const drop = (jobs: readonly Job[]): void => {
      for (const job of jobs) if (job.type === 'command') job.sender.answered(job.cost)
    }
    const notStored = (error: unknown): void => {
      onFailed(error)
      log({ level: 'warn', event: 'documentNotStored', error: describeError(error) })
    }
    return {
      prepare: (facts) => prepare(facts, this.#replica.subscribers, () => !this.#closed),
      answer: (answers) => this.#answer(answers),
      // Who had it open when it was deleted may have sent something.
      absent: drop,
      refused: (jobs, error) => {
        this.#refused(jobs, error)
        drop(jobs)
      },
      // By this room's policy it is closed instead.
      unavailable: () => undefined,
      dropped: drop,
      committed: (milliseconds, { appends, data }) =>
        metrics.committed(milliseconds, { document_appends: appends, document_bytes: data.length }),
      published: (facts) => {
        if (facts.some(isAboutKeys)) this.#keys = null
      },
      databaseFailed: notStored,
      // The same is said of each that is refused, with its number.
      notStored: () => undefined,
      invalidated: (error) => (error instanceof Conflict ? this.#distrust(error) : this.close()),
      reloaded: () => undefined,
      fenced: (error) => {
        notStored(error)
        this.close()
      },
      idle: () => setImmediate(() => this.#forgetIfIdle()),
      failed: (error) => {
        this.#unexpected('document', error)
        this.close()
      },
    }
  }

  #limits({ counted }: View): Limits {
    const { maxSize, maxTotal, quota } = this.#deps
    return { maxSize, maxTotal, left: counted ? quota.left : Infinity }
  }

  async #enter(client: DocumentClient): Promise<void> {
    try {
      const { init } = client
      const opened = await this.#open(client)
      if (!client.open) return
      if ('fault' in opened) {
        this.#log('documentRefused', client, opened.fault.text)
        return client.fail(opened.fault)
      }
      const { view, isNew } = opened
      if (this.#replica.subscribers.size === 0) this.#deps.onUse(view.number, true)
      const offset = isNew ? view.length : init.offset
      client.enter(this, offset)
      this.#log('documentEntered', client)
      this.#replica.subscribe(client, offset)
    } catch (error) {
      if (error instanceof RoomClosed) {
        this.#log('documentRefused', client, 'not served here')
        return client.close()
      }
      this.#deps.onFailed(error)
      this.#deps.log({ level: 'warn', event: 'entryFailed', error: describeError(error) })
      if (isRefused(error)) client.fail(refusedOpening(error))
      else client.close()
    }
  }

  /** Reads the document or makes it, as the client's init message says. */
  async #open(client: DocumentClient): Promise<{ view: View; isNew: boolean } | { fault: Fault }> {
    const { maxSize, maxTotal } = this.#deps
    const { init, user, permissions } = client
    const { mode, data, offset } = init
    if (mode === 'create' && !permissions.write) return { fault: faults.denied }
    const known = await this.#room.load()
    if (known && mode === 'create') return { fault: faults.exists }
    if (known) return offset > known.length ? { fault: faults.offset } : { view: known, isNew: false }
    if (mode === 'open') return { fault: faults.missing }
    if (!permissions.write) return { fault: faults.denied }
    if (data.length > maxSize) return { fault: tooLargeFault(maxSize) }
    const isNew = await this.#store.create(data, user === null)
    if (isNew === 'full') return { fault: fullFault(maxTotal) }
    const view = await this.#room.load()
    if (!view) return { fault: faults.missing }
    return !isNew && offset > view.length ? { fault: faults.offset } : { view, isNew }
  }

  /**
   * The document's bytes from `from` on, as many as a page has. Rejects with what the database says, and with `Conflict` or
   * `BytesMissing` where the document is not what it was.
   */
  async #read(from: number): Promise<Page> {
    const { view } = this.#replica
    if (!view) throw new Error('the document is not open')
    const begin = from - (from % pageBytes)
    // What the database has beyond is about to be told by itself.
    const end = Math.min(begin + pageBytes, view.length)
    const key = `${this.#instance} ${view.number} ${begin} ${end}`
    const page = await this.#deps.pages.get(key, async () => ({
      frame: await this.#store.read(view, begin, end),
      last: end,
      full: end === begin + pageBytes,
    }))
    this.#readsFail = false
    return { ...page, frame: page.frame.subarray(from - begin) }
  }

  /** It is tried again, unless the database refuses to give the bytes. */
  #readFailed(client: DocumentClient, error: unknown): void {
    this.#deps.onFailed(error)
    if (!this.#readsFail) this.#logRead(error)
    this.#readsFail = true
    if (isRefused(error)) this.dismiss(client, faults.unreadable)
  }

  #cannotRead(client: DocumentClient, error: unknown): void {
    if (error instanceof Conflict) return this.#distrust(error)
    if (error instanceof BytesMissing) {
      this.#logRead(error)
      return this.dismiss(client, faults.unreadable)
    }
    this.#unexpected('document entry', error)
    client.socket.destroy()
  }

  /** The last of the document as it is now, and its keys. */
  #finish(client: DocumentClient, parts: readonly Buffer[]): void {
    const { view } = this.#replica
    if (!view) throw new Error('the document is not open')
    this.#keys ??= new Message(
      keysHead,
      Buffer.concat(Array.from(view.keys.values(), ({ encoded }) => encoded)),
    )
    const keys = view.keys.size > 0 ? [this.#keys.framesFor(client.longest)] : []
    client.finish(bytesSince(parts, client.behind ?? 0, view.length), keys)
  }

  #answer(answers: readonly Answer[]): void {
    for (const answer of answers) {
      if (answer.type === 'leaving') this.#room.push({ type: 'leave', subscriber: answer.subscriber })
      else answer.job.sender.answered(answer.job.cost)
    }
  }

  /** Nothing of it was done, and would not be if it were tried again: who sent it is told so. */
  #refused(jobs: readonly Job[], error: unknown): void {
    const { onFailed, log } = this.#deps
    onFailed(error)
    const count = this.#refusals.happened(jobs.length)
    const told = { level: 'warn', event: 'documentWriteRefused', document: shortName(this.id) } as const
    if (count !== null) log({ ...told, count, error: describeError(error), ...whereRefused(error) })
    const length = this.#replica.view?.length ?? 0
    this.#room.publish(refusedBy(jobs, fault(explainRefusal(error)), length))
  }

  /** The stored document is not what it was: it is gone, or somebody else has written to it. */
  #distrust(error: Conflict): void {
    if (this.#closed) return
    this.#deps.log({ level: 'warn', event: 'documentDistrusted', reason: error.message })
    if (error instanceof DocumentGone) {
      this.#deps.quota.gone(null)
      this.#room.publish([{ type: 'deleted' }])
    }
    this.close()
  }

  #forgetIfIdle(): void {
    if (this.#replica.subscribers.size === 0 && this.#room.queued === 0 && !this.#closed) this.#deps.onIdle()
  }

  #logRead(error: unknown): void {
    this.#deps.log({ level: 'warn', event: 'documentReadFailed', error: describeError(error) })
  }

  #unexpected(where: string, error: unknown): void {
    this.#deps.log({ level: 'error', event: 'unexpected', where, error: stackOf(error) })
  }

  #log(event: 'documentEntered', client: DocumentClient): void
  #log(event: 'documentEnded' | 'documentRefused', client: DocumentClient, how: string): void
  #log(
    event: 'documentEntered' | 'documentEnded' | 'documentRefused',
    { socket }: DocumentClient,
    how = '',
  ): void {
    const { remote: address, request } = socket
    const common = { level: 'info', document: shortName(this.id), address, request } as const
    if (event === 'documentEntered') this.#deps.log({ event, ...common })
    else if (event === 'documentEnded') this.#deps.log({ event, ...common, how })
    else this.#deps.log({ event, ...common, reason: how })
  }
}

/** What the log calls a document: who knows its id may be able to open it. */
const shortName = (id: string): string => createHash('sha256').update(id).digest('base64url').slice(0, 12)

/** What they read for whom the database does not open or make a document, for good. */
export const refusedOpening = (error: unknown): Fault => fault(explainRefusal(error, faults.unreadable.text))
