import { createHash } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import type { Retry } from '../db/contention.ts'
import { codeOf, describeError } from '../db/pool.ts'
import { binaryFrame } from '../edge/frame.ts'
import { type Log, stackOf } from '../edge/log.ts'
import type { Metrics } from '../edge/metrics.ts'
import type { Ending, Socket } from '../edge/socket.ts'
import { turn } from '../edge/turns.ts'
import type { PageCache } from '../hub/history.ts'
import { Mailbox } from '../hub/mailbox.ts'
import { type Entry, type Frame, Outbox, type Recipient } from '../hub/outbox.ts'
import { Draft, keyId, sizeOf, type View } from './document.ts'
import {
  appendAnswer,
  appendHead,
  broadcastMessage,
  type Command,
  Cutter,
  errorMessage,
  type Fault,
  fault,
  faults,
  frameMessage,
  type Key,
  keysMessage,
  setKeyAnswer,
  types,
} from './protocol.ts'
import { costOf, type Quota } from './quota.ts'
import { type DocumentSession, type SessionRoom, type TooLong, tooLongFault } from './session.ts'
import {
  createDocument,
  deleteDocument,
  findDocument,
  openDocument,
  readBytes,
  type Store,
  writeDocument,
} from './store.ts'
import { Tail } from './tail.ts'

export type DocumentRoomDeps = {
  store: Store
  /** For what this document's connections and its management do. */
  retry: Retry
  /** Shared by all who read documents. */
  retryReading: Retry
  clock: () => number
  log: Log
  metrics: Metrics
  maxMessage: number
  maxSize: number
  quota: Quota
  maxTotal: number
  /** Shared by all documents. */
  pages: PageCache
  /** Somebody has come to, or the last one has gone from, the document with this number. */
  onUse: (number: string, used: boolean) => void
  /** A write or a read failed. */
  onFailed: (error: unknown) => void
  /** Nobody is here and nothing is under way: the room may be forgotten. */
  onIdle: () => void
}

/** Those to whom the document has been sent. */
type Audience = 'live'

const audiences = { live: ['live'], reads: [] } as const satisfies Record<string, readonly Audience[]>

/** A connection of somebody who has the document open. */
class Seat implements Recipient<Audience> {
  readonly session: DocumentSession
  /** How far he has the document; null once he hears of all that is new. */
  position: number | null
  readonly #cutter: Cutter
  #begun = false

  constructor(session: DocumentSession, offset: number) {
    const { version, longest } = session.init
    this.session = session
    this.position = offset
    this.#cutter = new Cutter(appendHead(version, offset), longest)
  }

  get socket(): Socket {
    return this.session.socket
  }

  get newer(): boolean {
    return this.session.init.version === 3
  }

  get longest(): number {
    return this.session.init.longest
  }

  get audiences(): readonly Audience[] {
    return this.position === null ? audiences.live : audiences.reads
  }

  /** Sends a part of the document as it was when he came, which is one message. */
  send(data: Buffer): void {
    this.#begun = true
    this.socket.write(this.#cutter.push(data))
    this.position = (this.position ?? 0) + data.length
  }

  /** Ends that message. */
  finish(data: Buffer): void {
    this.socket.allowBacklog(data.length)
    this.socket.write([...this.#cutter.push(data), this.#cutter.finish()])
    this.position = null
  }

  /** Ends it early if it has begun: a client has to see its end before it can see anything else. */
  cutShort(): void {
    if (this.position !== null && this.#begun) this.finish(Buffer.alloc(0))
  }
}

type CommandJob = { type: 'command'; session: DocumentSession; command: Command | TooLong; bytes: number }
type LeaveJob = { type: 'leave'; session: DocumentSession }
/** Work of the management, with what becomes of it. */
type AdminJob = { type: 'admin'; work: () => Promise<void>; failed: (error: unknown) => void }
type Job = CommandJob | LeaveJob | AdminJob | { type: 'enter'; session: DocumentSession }

/** `counted`: its bytes count for the quota. */
type OpenDocument = { number: string; counted: boolean; view: View<DocumentSession>; tail: Tail }

const maxQueued = 100_000
const mostAtOnce = 1000
const mostBytesAtOnce = 4 * 1024 * 1024
const pageBytes = 256 * 1024
const longBytes = 256 * 1024
const mostUnread = 1024 * 1024
const retryMs = 1000

let lastInstance = 0

/**
 * One document in this process, while somebody has it open: its connections, and one order for all that happens to it. What
 * the database does not confirm is told to nobody: then all connections end, and clients come back and say how far they are.
 */
export class DocumentRoom implements SessionRoom {
  readonly id: string
  readonly #deps: DocumentRoomDeps
  readonly #mailbox: Mailbox<Job>
  readonly #outbox: Outbox<Audience>
  /** By the id of the socket. */
  readonly #seats = new Map<number, Seat>()
  readonly #instance = ++lastInstance
  /** Of keys that were set in this turn of the event loop: what tells of them. */
  readonly #keysTold = new Map<string, Entry<Audience>>()
  #document: OpenDocument | null = null
  #readsFail = false
  #draining = false
  #closed = false

  constructor(id: string, deps: DocumentRoomDeps) {
    this.id = id
    this.#deps = deps
    this.#outbox = new Outbox(this.#seats, (milliseconds, deliveries) => {
      this.#keysTold.clear()
      deps.metrics.fannedOut(milliseconds, deliveries)
    })
    this.#mailbox = new Mailbox<Job>({
      consume: (jobs) => this.#consume(jobs),
      onError: (error) => {
        deps.log({ level: 'error', event: 'unexpected', where: 'document', error: stackOf(error) })
        this.close()
      },
      limit: maxQueued,
    })
  }

  get queued(): number {
    return this.#mailbox.size
  }

  /** The document's number, if it is open. */
  get number(): string | null {
    return this.#seats.size > 0 ? (this.#document?.number ?? null) : null
  }

  /** `session.init` and what it grants are known. */
  enter(session: DocumentSession): void {
    if (this.#draining || this.#closed) session.end()
    else this.#mailbox.push({ type: 'enter', session })
  }

  /** Makes the document by `make`, in order with all else; resolves to what that says. */
  async make(make: () => Promise<boolean>): Promise<boolean> {
    return await this.#admin(() => this.#deps.retry(make))
  }

  /** Deletes the document; who has it open is told and dismissed. */
  async remove(): Promise<void> {
    await this.#admin(async () => {
      const { store, retry, quota } = this.#deps
      const freed = await retry(() => deleteDocument(store, this.id)).catch((error: unknown) => {
        quota.gone(null)
        throw error
      })
      quota.gone(freed)
      this.#document = null
      for (const { session } of this.#seats.values()) this.dismiss(session, faults.missing)
    })
  }

  command(session: DocumentSession, command: Command | TooLong, bytes: number): void {
    if (this.#draining || this.#closed) return session.answered(bytes)
    this.#mailbox.push({ type: 'command', session, command, bytes })
    if (this.#mailbox.full) session.fail(fault('the document is too busy'))
  }

  dismiss(session: DocumentSession, fault: Fault): void {
    const seat = this.#seats.get(session.socket.id)
    if (!seat) return session.end()
    this.#outbox.flush()
    seat.cutShort()
    session.socket.write([binaryFrame([errorMessage(fault)])])
    this.#remove(session, fault.text)
    session.end()
  }

  ended(session: DocumentSession, how: Ending): void {
    if (this.#seats.has(session.socket.id)) this.#remove(session, how)
  }

  /** Takes nothing more, and resolves when all that was taken has been stored and sent. */
  async drain(): Promise<void> {
    this.#draining = true
    await this.#mailbox.idle()
  }

  /** Ends all connections without a word: their clients come back. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    const jobs = this.#mailbox.close()
    this.#outbox.flush()
    for (const { session } of this.#seats.values()) {
      this.#remove(session, 'dismissed')
      session.end()
    }
    for (const job of jobs) {
      if (job.type === 'command') job.session.answered(job.bytes)
      else if (job.type === 'enter') job.session.end()
      else if (job.type === 'admin') job.failed(new Error('the document is not served here any more'))
    }
    this.#deps.onIdle()
  }

  #admin<Result>(work: () => Promise<Result>): Promise<Result> {
    return new Promise((resolve, reject) => {
      if (this.#draining || this.#closed) return reject(new Error('the documents are not served here now'))
      const job = async (): Promise<void> => work().then(resolve)
      this.#mailbox.push({ type: 'admin', work: job, failed: reject })
    })
  }

  async #consume(jobs: readonly Job[]): Promise<number> {
    const [job] = jobs
    let taken = 1
    if (job?.type === 'enter') await this.#enter(job.session)
    else if (job?.type === 'admin') await job.work().catch(job.failed)
    else taken = await this.#run(jobs)
    if (this.#mailbox.size <= taken) setImmediate(() => this.#forgetIfIdle())
    return taken
  }

  async #enter(session: DocumentSession): Promise<void> {
    try {
      const { isNew, fault } = await this.#open(session)
      if (!session.open) return
      const document = this.#document
      if (fault || !document || this.#closed) {
        this.#log('documentRefused', session, fault?.text ?? 'not served here')
        return fault ? session.fail(fault) : session.end()
      }
      const { offset } = session.init
      const { length } = document.view
      if (!isNew && offset > length) {
        this.#log('documentRefused', session, faults.offset.text)
        return session.fail(faults.offset)
      }
      const seat = new Seat(session, isNew ? length : offset)
      this.#outbox.flush()
      if (this.#seats.size === 0) this.#deps.onUse(document.number, true)
      this.#seats.set(session.socket.id, seat)
      session.admit(this)
      this.#log('documentEntered', session)
      void this.#bringUp(seat)
    } catch (error) {
      this.#deps.onFailed(error)
      this.#deps.log({ level: 'warn', event: 'entryFailed', error: describeError(error) })
      session.end()
    }
  }

  /** Reads the document or makes it, as the session's init message says. */
  async #open(session: DocumentSession): Promise<{ isNew: boolean; fault?: Fault }> {
    const { maxSize } = this.#deps
    const { mode, data } = session.init
    const { write } = session.permissions
    if (mode === 'create' && !write) return { isNew: false, fault: faults.denied }
    if (await this.#load())
      return mode === 'create' ? { isNew: false, fault: faults.exists } : { isNew: false }
    if (mode === 'open') return { isNew: false, fault: faults.missing }
    if (!write) return { isNew: false, fault: faults.denied }
    if (data.length > maxSize) return { isNew: false, fault: tooLargeFault(maxSize) }
    const isNew = await this.#create(data, session.user === null)
    if (isNew === 'full') return { isNew: false, fault: fullFault(this.#deps.maxTotal) }
    await this.#load()
    return { isNew }
  }

  async #create(data: Buffer, counted: boolean): Promise<boolean | 'full'> {
    const { store, retry, quota } = this.#deps
    if (!counted) return await retry(() => createDocument(store, this.id, data, null))
    const bytes = costOf(data.length)
    if (!quota.take(bytes)) return 'full'
    try {
      const isNew = await retry(() => createDocument(store, this.id, data, bytes))
      quota.settle(bytes, isNew ? 'stored' : 'notStored')
      return isNew
    } catch (error) {
      quota.settle(bytes, 'unknown')
      throw error
    }
  }

  async #load(): Promise<boolean> {
    if (this.#document) return true
    const { store, retry } = this.#deps
    const stored = await retry(() => openDocument(store, this.id))
    if (!stored) return false
    const { number, length, counted } = stored
    const keys = new Map(stored.keys.map((key) => [keyId(key.name), { ...key, owner: null }]))
    const keyBytes = stored.keys.reduce((sum, key) => sum + sizeOf(key), 0)
    this.#document = { number, counted, view: { length, keys, keyBytes }, tail: new Tail(length) }
    return true
  }

  /** Sends what he lacks, page by page and as fast as he reads, until nothing is left. */
  async #bringUp(seat: Seat): Promise<void> {
    const isHere = (): boolean => this.#seats.get(seat.socket.id) === seat
    try {
      while (isHere() && seat.position !== null) {
        const document = this.#document
        if (!document) throw new Error('the document is not open')
        if (document.tail.covers(seat.position)) return this.#goLive(seat, document)
        const page = await this.#read(document, seat.position)
        if (!isHere()) return
        if (page) seat.send(page)
        else await wait(retryMs)
        await seat.socket.drained()
        await turn()
      }
    } catch (error) {
      this.#deps.log({ level: 'error', event: 'unexpected', where: 'document entry', error: stackOf(error) })
      seat.socket.destroy()
    }
  }

  #goLive(seat: Seat, { tail, view }: OpenDocument): void {
    const { socket, session } = seat
    // What is in there already is part of what he gets now.
    this.#outbox.flush()
    seat.finish(tail.since(seat.position ?? 0))
    if (view.keys.size > 0) socket.write([frameMessage(keysMessage(view.keys.values()), seat.longest)])
    session.live()
  }

  /** The bytes from `from` on, as many as a page has; null where they could not be read. */
  async #read({ number, view }: OpenDocument, from: number): Promise<Buffer | null> {
    const { store, retryReading, pages, log } = this.#deps
    const begin = from - (from % pageBytes)
    // What the database has beyond is about to be told by itself.
    const end = Math.min(begin + pageBytes, view.length)
    try {
      const { frame } = await pages.get(`${this.#instance} ${number} ${begin} ${end}`, async () => ({
        frame: await retryReading(() => readBytes(store.sql, number, begin, end)),
        last: end,
        full: end === begin + pageBytes,
      }))
      this.#readsFail = false
      if (frame.length === end - begin) return frame.subarray(from - begin)
      await this.#closeWhereGone()
      return null
    } catch (error) {
      if (codeOf(error) === null) throw error
      this.#deps.onFailed(error)
      if (!this.#readsFail) log({ level: 'warn', event: 'documentReadFailed', error: describeError(error) })
      this.#readsFail = true
      return null
    }
  }

  /** Decides about all that has piled up, stores it in one commit, and tells of it. */
  async #run(jobs: readonly Job[]): Promise<number> {
    const { store, retry, clock, metrics, maxSize, quota } = this.#deps
    const document = this.#document
    const run: (CommandJob | LeaveJob)[] = []
    const left = document?.counted ? quota.left : Infinity
    const draft = document && new Draft(document.view, { maxSize, left })
    const parts: Buffer[] = []
    const tellings: (() => void)[] = []
    let bytes = 0
    let appends = 0
    for (const job of jobs) {
      if (job.type === 'enter' || job.type === 'admin') break
      if (run.length === mostAtOnce || bytes > mostBytesAtOnce) break
      run.push(job)
      if (!draft) continue
      const { tell, data } = this.#decide(draft, job)
      if (tell) tellings.push(tell)
      if (!data) continue
      appends++
      parts.push(data)
      bytes += data.length
    }
    const data = Buffer.concat(parts)
    const keys = draft?.storedKeys() ?? []
    if (document && draft && (appends > 0 || keys.length > 0)) {
      const begun = clock()
      const quotaBytes = draft.quotaBytes
      // It fits: since `left` was read nothing else has run.
      const counts = document.counted && quota.take(quotaBytes)
      const settle = (how: 'stored' | 'notStored' | 'unknown'): void => {
        if (counts) quota.settle(quotaBytes, how)
      }
      try {
        const { length } = document.view
        const isDone = await retry(() =>
          writeDocument(store, document.number, { length, data, keys, quotaBytes }),
        )
        settle(isDone ? 'stored' : 'notStored')
        if (!isDone) await this.#closeWhereGone()
        else {
          metrics.committed(clock() - begun, { lines: 0, votes: 0 })
          metrics.appended(appends, data.length)
        }
      } catch (error) {
        settle('unknown')
        this.#deps.onFailed(error)
        this.#deps.log({ level: 'warn', event: 'documentNotStored', error: describeError(error) })
        // Nobody knows what became of it: all begin anew from what the database has.
        this.close()
      }
    }
    // What is left of a room that has been closed was answered when it was.
    if (this.#closed) return run.length
    draft?.apply()
    document?.tail.append(data)
    for (const tell of tellings) tell()
    for (const job of run) if (job.type === 'command') job.session.answered(job.bytes)
    return run.length
  }

  #decide(draft: Draft<DocumentSession>, job: CommandJob | LeaveJob): { tell?: () => void; data?: Buffer } {
    const { session } = job
    const answer = (message: Buffer) => () => this.#outbox.sendTo(session.socket, binaryFrame([message]))
    if (job.type === 'leave') {
      const gone = draft.leave(session)
      return gone.length === 0 ? {} : { tell: () => this.#tellOfKeys(gone, null) }
    }
    const { command } = job
    const { permissions } = session
    const refuse = (fault: Fault) => () => {
      answer(errorMessage(fault))()
      answer(appendAnswer('refused', length))()
    }
    const { length } = draft
    switch (command.type) {
      case 'append': {
        const outcome = draft.append(command, permissions)
        if (outcome === 'tooLong') return { tell: refuse(tooLargeFault(this.#deps.maxSize)) }
        if (outcome === 'full') return { tell: refuse(fullFault(this.#deps.maxTotal)) }
        if (outcome !== 'accepted') return { tell: answer(appendAnswer(outcome, length)) }
        const { data } = command
        return { data, tell: () => this.#tellOfAppend(session, length, data) }
      }
      case 'setKey': {
        const { oldVersion, newVersion, request } = command
        const key = draft.setKey(command, permissions, session)
        if (!key) return { tell: answer(setKeyAnswer(false, request)) }
        if (key === 'full') {
          const tell = answer(errorMessage(fullFault(this.#deps.maxTotal)))
          return {
            tell() {
              tell()
              answer(setKeyAnswer(false, request))()
            },
          }
        }
        const done = oldVersion === newVersion ? null : binaryFrame([setKeyAnswer(true, request)])
        return { tell: () => this.#tellOfKeys([key], { socket: session.socket, frame: done }) }
      }
      case 'broadcast': {
        const message = broadcastMessage(command.data)
        return { tell: () => this.#tell(message, message, { socket: session.socket, frame: null }) }
      }
      case 'tooLong': {
        const tooLong = tooLongFault(this.#deps.maxMessage)
        const isAppend = command.kind === types.append2 || command.kind === types.append3
        return { tell: isAppend ? refuse(tooLong) : answer(errorMessage(tooLong)) }
      }
    }
  }

  #tellOfAppend({ socket }: DocumentSession, offset: number, data: Buffer): void {
    const frame = binaryFrame([appendAnswer('accepted', offset + data.length)])
    const forms = ([2, 3] as const).map((version) => Buffer.concat([appendHead(version, offset), data]))
    this.#tell(forms[0] as Buffer, forms[1] as Buffer, { socket, frame })
  }

  #tellOfKeys(keys: readonly Key[], except: { socket: Socket; frame: Buffer | null } | null): void {
    const message = keysMessage(keys)
    const entry = this.#tell(message, message, except)
    const [key] = keys
    if (!key) return
    for (const { name } of keys) {
      const id = keyId(name)
      const earlier = this.#keysTold.get(id)
      this.#keysTold.delete(id)
      // Its newest value only. But that a key is gone is told before it is there again.
      if (!except) continue
      if (earlier) this.#outbox.withdraw(earlier)
      this.#keysTold.set(id, entry)
    }
  }

  #tell(
    older: Buffer,
    newer: Buffer,
    except: { socket: Socket; frame: Buffer | null } | null,
  ): Entry<Audience> {
    if (older.length > longBytes)
      for (const { socket } of this.#seats.values())
        if (socket.unsentBytes <= mostUnread) socket.allowBacklog(older.length)
    return this.#outbox.sendExcept('live', framesOf(older), framesOf(newer), except)
  }

  /** The stored document is not what it was: it is gone, or somebody else has written to it. */
  async #closeWhereGone(): Promise<void> {
    const { store, retryReading, log } = this.#deps
    const found = await retryReading(() => findDocument(store.sql, this.id)).catch(() => undefined)
    if (this.#closed) return
    log({
      level: 'warn',
      event: 'documentDistrusted',
      reason: found === null ? 'it is gone' : 'it has changed',
    })
    if (found === null) this.#deps.quota.gone(null)
    if (found === null) for (const { session } of this.#seats.values()) this.dismiss(session, faults.missing)
    this.close()
  }

  #remove(session: DocumentSession, how: string): void {
    this.#outbox.flush()
    this.#seats.delete(session.socket.id)
    this.#log('documentEnded', session, how)
    if (this.#seats.size === 0 && this.#document) this.#deps.onUse(this.#document.number, false)
    this.#mailbox.push({ type: 'leave', session })
  }

  #forgetIfIdle(): void {
    if (this.#seats.size === 0 && this.#mailbox.size === 0 && !this.#closed) this.#deps.onIdle()
  }

  #log(event: 'documentEntered', session: DocumentSession): void
  #log(event: 'documentEnded' | 'documentRefused', session: DocumentSession, how: string): void
  #log(
    event: 'documentEntered' | 'documentEnded' | 'documentRefused',
    { socket }: DocumentSession,
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
export const shortName = (id: string): string =>
  createHash('sha256').update(id).digest('base64url').slice(0, 12)

export const tooLargeFault = (maxSize: number): Fault =>
  fault(`a document of more than ${maxSize} bytes is not taken`)

/** It is no use to try again: somebody has to delete documents, or to raise the quota. */
export const fullFault = (maxTotal: number): Fault =>
  fault(
    `documents that were made without a token or JWT have ${maxTotal} bytes at most in all: no more is taken`,
  )

const framesOf =
  (message: Buffer): Frame =>
  (longest) =>
    frameMessage(message, longest)
