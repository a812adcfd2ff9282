import type { Retry } from '../db/contention.ts'
import { explainRefusal, isRefused, isSchemaFault } from '../db/failure.ts'
import { codeOf, describeError } from '../db/pool.ts'
import { stackOf } from '../edge/log.ts'
import type { Metrics } from '../edge/metrics.ts'
import { refusalEveryMs, Seldom } from '../edge/seldom.ts'
import type { Ending, Socket } from '../edge/socket.ts'
import type { Page, PageCache } from '../hub/page-cache.ts'
import { Mailbox } from '../hub/mailbox.ts'
import { Broadcaster } from '../hub/broadcaster.ts'
import { Portion } from '../hub/portion.ts'
import { recover } from '../hub/recovery.ts'
import { reject } from '../hub/rejection.ts'
import type { Format, Subscriber } from '../hub/subscriber.ts'
import { Tail } from '../hub/tail.ts'
import type { Log } from './events.ts'
import type { Feed, FeedRoom } from './feed.ts'
import { closeCodes, lineFrames, refusals } from './protocol.ts'
import type { HistoryQuery } from './query.ts'
import type { ChatClient, ChatClientRoom } from './client.ts'
import {
  appendLines,
  type Draft,
  findStart,
  type Identity,
  type Line,
  readPage,
  type Store,
} from './store.ts'

export type ChatRoomDeps = {
  store: Store
  /** For what this room writes. */
  retry: Retry
  /** Shared by all who read the log. */
  retryReading: Retry
  clock: () => number
  log: Log
  metrics: Metrics
  feed: Feed
  /** Shared by all rooms. */
  pages: PageCache
  /** Nobody is here and nothing is under way: the room may be forgotten. */
  onIdle: () => void
}

/** Everyone but those who still lack older lines. */
type Audience = 'readers'

const audiences = { reads: ['readers'], lags: [] } as const satisfies Record<string, readonly Audience[]>

/** A connection of somebody who is in the room. */
class Seat implements Subscriber<Audience> {
  readonly client: ChatClient
  behind: number | null
  /** What pages have left out because it was missing, up to `behind` and in the page that is being read. */
  readonly #hidden = new Set<number>()
  /** What of these has appeared while the page was being read. */
  readonly #appeared = new Map<number, string>()

  constructor(client: ChatClient, behind: number | null) {
    this.client = client
    this.behind = behind
  }

  get socket(): Socket {
    return this.client.socket
  }

  get format(): Format {
    return this.client.query.ids ? 'v1' : 'stock'
  }

  get audiences(): readonly Audience[] {
    return this.behind === null ? audiences.reads : audiences.lags
  }

  /** Which ids a page is to leave out, where these are missing. */
  hide(missing: readonly number[]): number[] {
    for (const id of missing) this.#hidden.add(id)
    return Array.from(this.#hidden).filter((id) => id > (this.behind ?? 0))
  }

  /** A line is new while he reads older ones: he gets it now if his pages have passed it, else with one of these. */
  takeLate(id: number, json: string): void {
    if (!this.#hidden.has(id)) return
    if (id > (this.behind ?? 0)) this.#appeared.set(id, json)
    else {
      this.#hidden.delete(id)
      this.socket.write([lineFrames([json], this.client.query.ids)])
    }
  }

  /** What belongs behind a page that ends with the id `last`: it appeared after that had been read. */
  completed(last: number): string[] {
    const late = Array.from(this.#appeared).flatMap(([id, json]) => (id <= last ? [json] : []))
    for (const id of this.#appeared.keys()) this.#hidden.delete(id)
    for (const id of this.#hidden) if (id > last) this.#hidden.delete(id)
    this.#appeared.clear()
    return late
  }
}

/** How the log says it. */
const dismissals = {
  [closeCodes.stopping]: 'dismissed',
  [closeCodes.unknownKey]: 'the session was deleted',
  [closeCodes.refused]: 'the database refuses to read',
} as const

const everything: HistoryQuery = { after: null, since: null, limit: null }

type Job = Draft & { client: ChatClient }

const maxQueued = 20_000
const mostAtOnce = 500

/** One room in this process, while somebody is here: its connections, and the lines that they have said. */
export class ChatRoom implements ChatClientRoom, FeedRoom {
  readonly id: number
  readonly #deps: ChatRoomDeps
  readonly #mailbox: Mailbox<Job>
  readonly #broadcaster: Broadcaster<Audience>
  /** By the id of the socket. */
  readonly #seats = new Map<number, Seat>()
  /** Those who still lack older lines. */
  readonly #lagging = new Set<Seat>()
  readonly #tail: Tail<string>
  /** How many lines share a commit. */
  readonly #portion = new Portion()
  readonly #notStored: Seldom
  /** The highest id that was told, or was there when the room was opened. */
  #last: number
  #readsFail = false
  #draining = false

  constructor(id: number, deps: ChatRoomDeps) {
    this.id = id
    this.#deps = deps
    this.#last = deps.feed.seen
    this.#tail = new Tail(deps.clock)
    this.#notStored = new Seldom(refusalEveryMs, deps.clock)
    this.#tail.restart(this.#last)
    this.#broadcaster = new Broadcaster(this.#seats, (milliseconds, deliveries) =>
      deps.metrics.fannedOut(milliseconds, deliveries),
    )
    this.#mailbox = new Mailbox<Job>({
      consume: (jobs) => this.#store(this.#portion.of(jobs.slice(0, mostAtOnce))),
      onError: (error) =>
        deps.log({ level: 'error', event: 'unexpected', where: 'chat room', error: stackOf(error) }),
      limit: maxQueued,
    })
  }

  /** How many lines wait to be stored. */
  get queued(): number {
    return this.#mailbox.size
  }

  identities(): Identity[] {
    return Array.from(this.#seats.values()).flatMap(({ client }) => client.identity ?? [])
  }

  join(client: ChatClient, identity: Identity): void {
    this.#log('chatEntered', client)
    this.#broadcaster.flush()
    client.join(identity, this)
    const { query, socket } = client
    const { seen } = this.#deps.feed
    // What has not been there yet will come like everything else.
    const after = Math.min(query.after ?? 0, seen)
    const seat = new Seat(client, after)
    this.#seats.set(socket.id, seat)
    const isAtHand = query.limit === null && query.since === null && this.#tail.covers(after)
    void this.#catchUp(seat, isAtHand ? after : seen, query)
  }

  say(client: ChatClient, message: string, id: string | null): void {
    // As if it had come after the end: nobody was told that it was heard.
    if (this.#draining || !client.identity) return
    if (this.#mailbox.full) return client.reply(refusals.busy, id)
    this.#mailbox.push({ client, message, user: client.identity.user, id })
  }

  ended(client: ChatClient, how: Ending): void {
    if (!this.#seats.has(client.socket.id)) return
    this.#log('chatEnded', client, how)
    this.#broadcaster.flush()
    this.#seats.delete(client.socket.id)
    this.#forgetIfIdle()
  }

  take(lines: readonly Line[]): void {
    const isInOrder = (lines[0]?.id ?? 0) > this.#last
    for (const { id, json } of lines) {
      for (const seat of this.#lagging) seat.takeLate(id, json)
      this.#broadcaster.send('readers', lineFrames([json], false), lineFrames([json], true))
      if (isInOrder) this.#tail.append(id, json)
      this.#last = Math.max(this.#last, id)
    }
    if (!isInOrder) this.#tail.restart(this.#deps.feed.seen)
  }

  fallBehind(seen: number): void {
    this.#broadcaster.flush()
    this.#last = this.#deps.feed.seen
    this.#tail.restart(this.#last)
    for (const seat of this.#seats.values()) {
      if (seat.behind !== null) continue
      seat.behind = seen
      void this.#catchUp(seat, this.#last, everything)
    }
  }

  /** Ends the connections of those whose keys are in `asked` but not, as they were, in `found`. */
  endInvalid(found: ReadonlyMap<string, Identity>, asked: ReadonlySet<string>): void {
    for (const { client } of this.#seats.values()) {
      const { identity } = client
      const known = identity && found.get(identity.key)
      if (!identity || !asked.has(identity.key)) continue
      if (known?.user === identity.user && known.room === identity.room) continue
      this.#dismiss(client, closeCodes.unknownKey)
    }
    this.#forgetIfIdle()
  }

  /** Takes no more lines, and resolves when all that were said have been stored. */
  async drain(): Promise<void> {
    this.#draining = true
    await this.#mailbox.idle()
  }

  /** Sends what is to be sent and ends all connections. */
  close(): void {
    this.#mailbox.close()
    this.#broadcaster.flush()
    for (const { client } of this.#seats.values()) this.#dismiss(client, closeCodes.stopping)
  }

  #dismiss(client: ChatClient, code: keyof typeof dismissals): void {
    this.#log('chatEnded', client, dismissals[code])
    this.#broadcaster.flush()
    this.#seats.delete(client.socket.id)
    client.end(code)
  }

  /** Writes all that has piled up, or as much of it as the database takes at once; returns of how much it is known what became of it. */
  async #store(run: readonly Job[]): Promise<number> {
    const { store, retry, clock, metrics, log } = this.#deps
    const begun = clock()
    try {
      await retry(() => appendLines(store, this.id, run))
      this.#portion.done()
      metrics.committed(clock() - begun, { lines: run.length, votes: 0 })
      void this.#acknowledge(run)
    } catch (error) {
      if (codeOf(error) === null)
        log({ level: 'error', event: 'unexpected', where: 'chat', error: stackOf(error) })
      // What the database does not take of one must not take the others along.
      else if (isRefused(error)) {
        if (this.#portion.refused(run.length)) return 0
        if (isSchemaFault(error)) metrics.databaseFailed()
      } else metrics.databaseFailed()
      const lines = this.#notStored.happened(run.length)
      if (lines !== null)
        log({
          level: 'warn',
          event: 'chatNotStored',
          room: this.id,
          lines,
          error: describeError(error),
        })
      const refusal = isRefused(error) ? reject(explainRefusal(error)) : refusals.notStored
      for (const { client, id } of run) if (client.open) client.reply(refusal, id)
    }
    if (this.#mailbox.size <= run.length) setImmediate(() => this.#forgetIfIdle())
    return run.length
  }

  /** After the lines themselves: whoever waits has their line in the place where it stays. */
  async #acknowledge(run: readonly Job[]): Promise<void> {
    const wanted = run.filter(({ id }) => id !== null)
    if (wanted.length === 0) return
    // Where that fails, lines are late; they are stored all the same.
    await this.#deps.feed.look().catch(() => undefined)
    this.#broadcaster.flush()
    for (const { client, id } of wanted) if (id !== null && client.open) client.acknowledge(id)
  }

  async #catchUp(seat: Seat, upTo: number, query: HistoryQuery): Promise<void> {
    const { store, retryReading, log } = this.#deps
    const { socket } = seat
    // Where there is a limit or a time, it is looked for where to begin.
    let start = query.limit === null && query.since === null ? 0 : null
    this.#lagging.add(seat)
    try {
      await recover(seat, {
        upTo,
        tail: this.#tail,
        isHere: () => this.#seats.get(socket.id) === seat,
        read: async (after) => {
          start ??= await retryReading(() => findStart(store, this.id, query, upTo))
          const page = await this.#readPage(seat, Math.max(after, start), upTo, query.since)
          this.#readsFail = false
          const late = seat.completed(page.last)
          return late.length === 0
            ? page
            : { ...page, frame: Buffer.concat([page.frame, lineFrames(late, seat.client.query.ids)]) }
        },
        sendPage: ({ frame }) => socket.write([frame]),
        sendTail: (lines) => {
          this.#broadcaster.flush()
          if (lines.length > 0) socket.write(lines.map((line) => lineFrames([line], seat.client.query.ids)))
        },
        onFailedRead: (error) => {
          this.#logFailedRead(error)
          if (isRefused(error) && this.#seats.get(socket.id) === seat) {
            this.#dismiss(seat.client, closeCodes.refused)
            this.#forgetIfIdle()
          }
        },
      })
    } catch (error) {
      log({ level: 'error', event: 'unexpected', where: 'chat history', error: stackOf(error) })
      socket.destroy()
    }
    this.#lagging.delete(seat)
  }

  /** What comes after the line `after`: up to about `upTo`, or as far as the log was read if that has been passed already. */
  #readPage(seat: Seat, after: number, upTo: number, since: string | null): Promise<Page> {
    const { feed, store, retryReading, pages } = this.#deps
    const isHistory = after < upTo
    const range = {
      after,
      upTo: isHistory ? upTo : feed.seen,
      hidden: seat.hide(feed.missing(after, isHistory ? upTo : feed.seen)),
      since: isHistory ? since : null,
    }
    const key = [this.id, after, seat.format, range.since, range.hidden.join()].join(' ')
    return pages.get(key, async () => {
      const { lines, last, full } = await retryReading(() => readPage(store, this.id, range))
      return { frame: lineFrames(lines, seat.client.query.ids), last, full }
    })
  }

  #logFailedRead(error: unknown): void {
    if (!this.#readsFail)
      this.#deps.log({ level: 'warn', event: 'chatReadFailed', room: this.id, error: describeError(error) })
    this.#readsFail = true
  }

  #forgetIfIdle(): void {
    if (this.#seats.size === 0 && this.#mailbox.size === 0) this.#deps.onIdle()
  }

  #log(event: 'chatEntered', client: ChatClient): void
  #log(event: 'chatEnded', client: ChatClient, how: string): void
  #log(event: 'chatEntered' | 'chatEnded', { socket }: ChatClient, how?: string): void {
    const { remote: address, request } = socket
    const common = { level: 'info', room: this.id, address, request } as const
    this.#deps.log(
      event === 'chatEntered' ? { event, ...common } : { event, ...common, how: how ?? 'dismissed' },
    )
  }
}
