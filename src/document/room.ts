import { createHash } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import type { Retry } from '../db/contention.ts'
import { explainRefusal, isRefused, whereRefused } from '../db/failure.ts'
import { codeOf, describeError } from '../db/pool.ts'
import { binaryFrame } from '../edge/frame.ts'
import { stackOf } from '../edge/log.ts'
import type { Metrics } from '../edge/metrics.ts'
import { refusalEveryMs, Seldom } from '../edge/seldom.ts'
import type { Ending, Socket } from '../edge/socket.ts'
import { turn } from '../edge/turns.ts'
import type { PageCache } from '../hub/page-cache.ts'
import { Mailbox } from '../hub/mailbox.ts'
import { Broadcaster, type Entry } from '../hub/broadcaster.ts'
import { Portion } from '../hub/portion.ts'
import type { Format, Subscriber } from '../hub/subscriber.ts'
import { Tail } from '../hub/tail.ts'
import type { Log } from './events.ts'
import { Draft, keyId, type View, viewOf } from './document.ts'
import {
  appendAnswer,
  appendHead,
  broadcastHeadOf,
  type Command,
  Cutter,
  encodeKeys,
  errorMessage,
  type Fault,
  fault,
  faults,
  frameMessage,
  type Key,
  keysHead,
  setKeyAnswer,
  types,
  type Version,
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
import { bytesSince } from './tail.ts'
import { Telling } from './telling.ts'

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
  /** A write or a read failed, or was refused. */
  onFailed: (error: unknown) => void
  /** Nobody is here and nothing is under way: the room may be forgotten. */
  onIdle: () => void
}

/** Those to whom the document has been sent. */
type Audience = 'live'

const audiences = { live: ['live'], reads: [] } as const satisfies Record<string, readonly Audience[]>

/** A connection of somebody who has the document open. */
class Seat implements Subscriber<Audience> {
  readonly session: DocumentSession
  /** How far they have the document; null once they hear of all that is new. */
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

  get version(): Version {
    return this.session.init.version
  }

  get format(): Format {
    return this.version === 3 ? 'v1' : 'stock'
  }

  get longest(): number {
    return this.session.init.longest
  }

  get audiences(): readonly Audience[] {
    return this.position === null ? audiences.live : audiences.reads
  }

  /** Sends a part of the document as it was when they came, which is one message. */
  send(data: Buffer): void {
    this.#begun = true
    this.socket.write([this.#cutter.push(data)])
    this.position = (this.position ?? 0) + data.length
  }

  /** Ends that message. */
  finish(data: Buffer): void {
    this.socket.allowBacklog(data.length)
    this.socket.write([this.#cutter.end(data)])
    this.position = null
  }

  /** Ends it early if it has begun: a client has to see its end before it can see anything else. */
  cutShort(): void {
    if (this.position !== null && this.#begun) this.finish(Buffer.alloc(0))
  }
}

type CommandJob = { type: 'command'; session: DocumentSession; command: Command | TooLong; cost: number }
type LeaveJob = { type: 'leave'; session: DocumentSession }
/** Work of the management, with what becomes of it. */
type AdminJob = { type: 'admin'; work: () => Promise<void>; failed: (error: unknown) => void }
type Job = CommandJob | LeaveJob | AdminJob | { type: 'enter'; session: DocumentSession }

/** What tells of something, in both forms of the protocol. */
type Told = Readonly<Record<Version, Telling>>
/** `data`: what is to be stored; `cost`: beyond that of the job. */
type Decided = { tell?: () => void; data?: Buffer; told?: Told; cost?: number }

/** `counted`: its bytes count for the quota. */
type OpenDocument = { number: string; counted: boolean; view: View<DocumentSession>; tail: Tail<Buffer> }

const maxQueued = 100_000
const mostAtOnce = 250
const mostKeysAtOnce = 1000
const costOfKey = 1024
const mostCostAtOnce = 1024 * 1024
const pageBytes = 1024 * 1024
const longBytes = 256 * 1024
const mostUnread = 1024 * 1024
const retryMs = 1000

let lastInstance = 0

/**
 * One document in this process, while somebody has it open: its connections, and one order for all that happens to it. What
 * the database does not confirm is told to nobody: then all connections end, and clients come back and say how far they are.
 * What it refuses for good is refused to its sender, and nobody else hears of it.
 */
export class DocumentRoom implements SessionRoom {
  readonly id: string
  readonly #deps: DocumentRoomDeps
  readonly #mailbox: Mailbox<Job>
  readonly #broadcaster: Broadcaster<Audience>
  /** By the id of the socket. */
  readonly #seats = new Map<number, Seat>()
  readonly #instance = ++lastInstance
  /** What the database refuses of one must not take along what others do. */
  readonly #portion = new Portion()
  readonly #refusals: Seldom
  /** Of keys that were set in this turn of the event loop: what tells of them. */
  readonly #keysTold = new Map<string, Entry<Audience>>()
  #document: OpenDocument | null = null
  /** What tells who enters of all keys: their bytes, and the frames for each maximum; until one of them changes. */
  #keys: { data: Buffer; frames: Map<number, Buffer> } | null = null
  #readsFail = false
  #draining = false
  #closed = false

  constructor(id: string, deps: DocumentRoomDeps) {
    this.id = id
    this.#deps = deps
    this.#refusals = new Seldom(refusalEveryMs, deps.clock)
    this.#broadcaster = new Broadcaster(this.#seats, (milliseconds, deliveries) => {
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

  command(session: DocumentSession, command: Command | TooLong, cost: number): void {
    if (this.#draining || this.#closed) return session.answered(cost)
    this.#mailbox.push({ type: 'command', session, command, cost })
    if (this.#mailbox.full) session.fail(fault('the document is too busy'))
  }

  dismiss(session: DocumentSession, fault: Fault): void {
    const seat = this.#seats.get(session.socket.id)
    if (!seat) return session.end()
    this.#broadcaster.flush()
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
    this.#broadcaster.flush()
    for (const { session } of this.#seats.values()) {
      this.#remove(session, 'dismissed')
      session.end()
    }
    for (const job of jobs) {
      if (job.type === 'command') job.session.answered(job.cost)
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
      this.#broadcaster.flush()
      if (this.#seats.size === 0) this.#deps.onUse(document.number, true)
      this.#seats.set(session.socket.id, seat)
      session.admit(this)
      this.#log('documentEntered', session)
      void this.#bringUp(seat)
    } catch (error) {
      this.#deps.onFailed(error)
      this.#deps.log({ level: 'warn', event: 'entryFailed', error: describeError(error) })
      if (isRefused(error)) session.fail(refusedOpening(error))
      else session.end()
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
      quota.settle(bytes, isRefused(error) ? 'notStored' : 'unknown')
      throw error
    }
  }

  async #load(): Promise<boolean> {
    if (this.#document) return true
    const { store, retry } = this.#deps
    const stored = await retry(() => openDocument(store, this.id))
    if (!stored) return false
    const { number, length, counted } = stored
    this.#document = { number, counted, view: viewOf(length, stored.keys), tail: new Tail(null, length) }
    this.#keys = null
    return true
  }

  /** Sends what they lack, page by page and as fast as they read, until nothing is left. */
  async #bringUp(seat: Seat): Promise<void> {
    const isHere = (): boolean => this.#seats.get(seat.socket.id) === seat
    try {
      // Hundreds may come at the same moment, and wait for the same page.
      await turn()
      while (isHere() && seat.position !== null) {
        const document = this.#document
        if (!document) throw new Error('the document is not open')
        if (document.tail.covers(seat.position)) return this.#goLive(seat, document)
        const page = await this.#read(document, seat.position)
        await turn()
        if (!isHere()) return
        if (page === 'unreadable') return this.dismiss(seat.session, faults.unreadable)
        if (page) seat.send(page)
        else await wait(retryMs)
        await seat.socket.drained()
      }
    } catch (error) {
      if (isRefused(error)) {
        if (isHere()) this.dismiss(seat.session, faults.unreadable)
        return
      }
      this.#deps.log({ level: 'error', event: 'unexpected', where: 'document entry', error: stackOf(error) })
      seat.socket.destroy()
    }
  }

  #goLive(seat: Seat, { tail, view }: OpenDocument): void {
    const { socket, session } = seat
    // What is in there already is part of what they get now.
    this.#broadcaster.flush()
    seat.finish(bytesSince(tail, seat.position ?? 0, view.length))
    if (view.keys.size > 0) socket.write([this.#framesOfKeys(view, seat.longest)])
    session.live()
  }

  #framesOfKeys({ keys }: OpenDocument['view'], longest: number): Buffer {
    this.#keys ??= {
      data: Buffer.concat(Array.from(keys.values(), ({ encoded }) => encoded)),
      frames: new Map(),
    }
    const { data, frames } = this.#keys
    const known = frames.get(longest)
    if (known) return known
    const made = frameMessage(keysHead, data, longest)
    frames.set(longest, made)
    return made
  }

  /**
   * The bytes from `from` on, as many as a page has; null where they could not be read now. Rejects where the database refuses
   * to give them.
   */
  async #read({ number, view }: OpenDocument, from: number): Promise<Buffer | 'unreadable' | null> {
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
      const found = await retryReading(() => findDocument(store.sql, this.id))
      // It is what it was, and lacks bytes: whoever came back would find no more.
      if (found?.number === number && found.length >= end) {
        log({ level: 'warn', event: 'documentReadFailed', error: 'bytes of it are missing' })
        return 'unreadable'
      }
      await this.#closeWhereGone()
      return null
    } catch (error) {
      if (codeOf(error) === null) throw error
      this.#deps.onFailed(error)
      if (!this.#readsFail) log({ level: 'warn', event: 'documentReadFailed', error: describeError(error) })
      this.#readsFail = true
      if (isRefused(error)) throw error
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
    const long: Told[] = []
    let cost = 0
    let appends = 0
    for (const job of this.#portion.of(jobs)) {
      if (job.type === 'enter' || job.type === 'admin') break
      if (run.length === mostAtOnce || cost > mostCostAtOnce) break
      run.push(job)
      if (job.type === 'command') cost += job.cost
      if (!draft) continue
      const { tell, data, told, cost: more = 0 } = this.#decide(draft, job)
      cost += more
      if (tell) tellings.push(tell)
      if (told && told[2].length > longBytes) long.push(told)
      if (!data) continue
      appends++
      parts.push(data)
    }
    const [first] = parts
    const data = first && parts.length === 1 ? first : Buffer.concat(parts)
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
        this.#portion.done()
        settle(isDone ? 'stored' : 'notStored')
        if (!isDone) await this.#closeWhereGone()
        else metrics.committed(clock() - begun, { document_appends: appends, document_bytes: data.length })
      } catch (error) {
        settle(isRefused(error) ? 'notStored' : 'unknown')
        if (isRefused(error)) {
          if (this.#portion.refused(run.length)) return 0
          for (const job of run) if (job.type === 'command') this.#refuse(job, document.view.length, error)
          return run.length
        }
        this.#deps.onFailed(error)
        this.#deps.log({ level: 'warn', event: 'documentNotStored', error: describeError(error) })
        // Nobody knows what became of it: all begin anew from what the database has.
        this.close()
      }
    }
    for (const told of long) await this.#prepare(told)
    // What is left of a room that has been closed was answered when it was.
    if (this.#closed) return run.length
    if (draft?.hasKeys) this.#keys = null
    draft?.apply()
    document?.tail.append(document.view.length, data)
    for (const tell of tellings) tell()
    for (const job of run) if (job.type === 'command') job.session.answered(job.cost)
    return run.length
  }

  /** Nothing of it was done, and would not be if it were tried again: who sent it is told so. */
  #refuse({ session, command, cost }: CommandJob, length: number, error: unknown): void {
    this.#deps.onFailed(error)
    const count = this.#refusals.happened()
    const told = { level: 'warn', event: 'documentWriteRefused', document: shortName(this.id) } as const
    if (count !== null)
      this.#deps.log({ ...told, count, error: describeError(error), ...whereRefused(error) })
    // When it was closed all that it had was answered.
    if (this.#closed) return
    const { socket } = session
    this.#broadcaster.sendTo(socket, binaryFrame([errorMessage(fault(explainRefusal(error)))]))
    if (command.type === 'append')
      this.#broadcaster.sendTo(socket, binaryFrame([appendAnswer('notPermitted', length)]))
    if (command.type === 'setKey')
      this.#broadcaster.sendTo(socket, binaryFrame([setKeyAnswer(false, command.request)]))
    session.answered(cost)
  }

  /** Makes the frames of a long message for all who are to get it, while others have their turn. */
  async #prepare(told: Told): Promise<void> {
    while (!this.#closed) {
      const lacking = Array.from(this.#seats.values()).find(
        ({ version, longest, audiences: of }) => of === audiences.live && !told[version].isReady(longest),
      )
      if (!lacking) return
      await told[lacking.version].prepare(lacking.longest)
    }
  }

  #decide(draft: Draft<DocumentSession>, job: CommandJob | LeaveJob): Decided {
    const { session } = job
    const answer = (message: Buffer) => () => this.#broadcaster.sendTo(session.socket, binaryFrame([message]))
    if (job.type === 'leave') {
      const { gone, more } = draft.leave(session, mostKeysAtOnce)
      if (gone.length === 0) return {}
      return {
        cost: gone.length * costOfKey,
        tell: () => {
          this.#tellOfKeys(gone, null)
          if (more) this.#mailbox.push({ type: 'leave', session })
        },
      }
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
        const told = {
          2: new Telling(appendHead(2, length), data),
          3: new Telling(appendHead(3, length), data),
        }
        const frame = binaryFrame([appendAnswer('accepted', length + data.length)])
        return { data, told, tell: () => this.#tell(told, { socket: session.socket, frame }) }
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
        const told = new Telling(broadcastHeadOf(command.data), command.data)
        return { tell: () => this.#tell({ 2: told, 3: told }, { socket: session.socket, frame: null }) }
      }
      case 'tooLong': {
        const tooLong = tooLongFault(command.limit)
        const isAppend = command.kind === types.append2 || command.kind === types.append3
        return { tell: isAppend ? refuse(tooLong) : answer(errorMessage(tooLong)) }
      }
    }
  }

  #tellOfKeys(keys: readonly Key[], except: { socket: Socket; frame: Buffer | null } | null): void {
    const told = new Telling(keysHead, encodeKeys(keys))
    const entry = this.#tell({ 2: told, 3: told }, except)
    const [key] = keys
    if (!key) return
    for (const { name } of keys) {
      const id = keyId(name)
      const earlier = this.#keysTold.get(id)
      this.#keysTold.delete(id)
      // Its newest value only. But that a key is gone is told before it is there again.
      if (!except) continue
      if (earlier) this.#broadcaster.withdraw(earlier)
      this.#keysTold.set(id, entry)
    }
  }

  #tell(told: Told, except: { socket: Socket; frame: Buffer | null } | null): Entry<Audience> {
    const { length } = told[2]
    if (length <= longBytes) return this.#broadcaster.sendExcept('live', told[2].frame, told[3].frame, except)
    for (const { socket } of this.#seats.values())
      if (socket.unsentBytes <= mostUnread) socket.allowBacklog(length)
    // By itself: joined with others it would be copied once more.
    this.#broadcaster.flush()
    const entry = this.#broadcaster.sendExcept('live', told[2].frame, told[3].frame, except)
    this.#broadcaster.flush()
    return entry
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
    this.#broadcaster.flush()
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

/** What they read for whom the database does not open or make a document, for good. */
export const refusedOpening = (error: unknown): Fault => fault(explainRefusal(error, faults.unreadable.text))

/** It is no use to try again: somebody has to delete documents, or to raise the quota. */
export const fullFault = (maxTotal: number): Fault =>
  fault(
    `documents that were made without a token or JWT have ${maxTotal} bytes at most in all: no more is taken`,
  )
