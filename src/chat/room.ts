import type { Retry } from '../db/contention.ts'
import { explainRefusal, isRefused, isSchemaFault } from '../db/failure.ts'
import { describeError } from '../db/pool.ts'
import { stackOf } from '../edge/log.ts'
import type { Metrics } from '../edge/metrics.ts'
import { refusalEveryMs, Seldom } from '../edge/seldom.ts'
import type { Ending } from '../edge/socket.ts'
import type { Page, PageCache } from '../hub/page-cache.ts'
import { reject, type Rejection } from '../hub/rejection.ts'
import { Replica } from '../hub/replica.ts'
import type { RoomHooks } from '../hub/room-rules.ts'
import { Room } from '../hub/room.ts'
import { Tail } from '../hub/tail.ts'
import { announcer } from './announce.ts'
import type { ChatClient, ChatClientRoom } from './client.ts'
import type { Log } from './events.ts'
import type { Feed, FeedRoom } from './feed.ts'
import { type CloseCode, closeCodes, lineFrames, refusals } from './protocol.ts'
import {
  type Answer,
  type Audience,
  type Draft,
  type Fact,
  type Identity,
  isSessionGone,
  type Job,
  rules,
  startOf,
  type View,
} from './rules.ts'
import { appendLines, findStart, readPage, type Store } from './store.ts'

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

/** How the log says it. */
const dismissals: Readonly<Partial<Record<CloseCode, string>>> = {
  [closeCodes.unknownKey]: 'the session was deleted',
  [closeCodes.refused]: 'the database refuses to read',
}

const maxQueued = 20_000

/** One room in this process, while somebody is here: its two halves, and what both have to do with the world. */
export class ChatRoom implements ChatClientRoom, FeedRoom {
  readonly id: number
  readonly #deps: ChatRoomDeps
  readonly #tail: Tail<string>
  readonly #replica: Replica<View, Fact, Audience, CloseCode, ChatClient>
  readonly #room: Room<View, Job, readonly Draft[], void, Fact, Answer>
  readonly #notStored: Seldom
  #readsFail = false

  constructor(id: number, deps: ChatRoomDeps) {
    this.id = id
    this.#deps = deps
    const { clock, metrics, retry, store, feed } = deps
    this.#tail = new Tail(clock)
    this.#notStored = new Seldom(refusalEveryMs, clock)
    this.#replica = new Replica<View, Fact, Audience, CloseCode, ChatClient>(
      announcer,
      {
        clock,
        tail: this.#tail,
        fannedOut: (milliseconds, deliveries) => metrics.fannedOut(milliseconds, deliveries),
        read: (client, after, upTo) => this.#read(client, after, upTo),
        sendPage: ({ socket }, { frame }) => socket.write([frame]),
        sendTail: (client, lines) => client.tell(lines),
        late: (client, line, json) => {
          if (client.late.appeared(line, json, client.behind ?? 0)) client.tell([json])
        },
        live: (client) => client.caughtUp(),
        onFailedRead: (client, error) => this.#readFailed(client, error),
        onError: (error, { socket }) => {
          this.#unexpected('chat history', error)
          socket.destroy()
        },
      },
      { seen: feed.seen },
    )
    this.#room = new Room({
      rules,
      store: {
        load: async () => this.#replica.view,
        commit: (drafts, _view, retry) => retry(() => appendLines(store, id, drafts)),
      },
      replica: this.#replica,
      hooks: this.#hooks(),
      retry,
      clock,
      maxQueued,
      onUnknown: 'reject',
    })
  }

  /** How many lines wait to be stored. */
  get queued(): number {
    return this.#room.queued
  }

  identities(): Identity[] {
    return Array.from(this.#replica.subscribers.values()).flatMap(({ identity }) => identity ?? [])
  }

  join(client: ChatClient, identity: Identity): void {
    this.#log('chatEntered', client)
    client.join(identity, this)
    const { behind, upTo } = startOf(client.query, this.#deps.feed.seen, (after) => this.#tail.covers(after))
    client.behind = behind
    this.#replica.subscribe(client, upTo)
  }

  say(client: ChatClient, message: string, id: string | null): void {
    // As if it had come after the end: nobody was told that it was heard.
    if (this.#room.draining || !client.identity) return
    if (this.#room.full) return client.reply(refusals.busy, id)
    this.#room.push({ subscriber: client.socket.id, user: client.identity.user, message, id })
  }

  ended(client: ChatClient, how: Ending): void {
    if (!this.#replica.subscribers.has(client.socket.id)) return
    this.#log('chatEnded', client, how)
    this.#replica.end(client.socket.id, null)
    this.#forgetIfIdle()
  }

  dismissed(client: ChatClient, code: CloseCode): void {
    this.#log('chatEnded', client, dismissals[code] ?? 'dismissed')
  }

  onFacts(facts: readonly Fact[]): void {
    this.#replica.onFacts(facts)
  }

  /** Ends the connections of those whose keys are in `asked` but not, as they were, in `found`. */
  endInvalid(found: ReadonlyMap<string, Identity>, asked: ReadonlySet<string>): void {
    for (const [subscriber, { identity }] of Array.from(this.#replica.subscribers))
      if (identity && isSessionGone(identity, found, asked))
        this.#replica.end(subscriber, closeCodes.unknownKey)
    this.#forgetIfIdle()
  }

  /** Takes no more lines, and resolves when all that were said have been stored. */
  async drain(): Promise<void> {
    await this.#room.drain()
  }

  /** Sends what is to be sent and ends all connections. */
  close(code: CloseCode = closeCodes.stopping): void {
    this.#room.close()
    for (const subscriber of Array.from(this.#replica.subscribers.keys())) this.#replica.end(subscriber, code)
  }

  #hooks(): RoomHooks<View, Job, readonly Draft[], void, Fact, Answer> {
    const { metrics } = this.#deps
    return {
      answer: (answers) => {
        if (answers.length > 0) void this.#acknowledge(answers)
      },
      absent: () => undefined,
      refused: (jobs, error) => {
        if (isSchemaFault(error)) metrics.databaseFailed()
        this.#reject(jobs, reject(explainRefusal(error)), error)
      },
      unavailable: (jobs, error) => this.#reject(jobs, refusals.notStored, error),
      dropped: (jobs) => this.#reply(jobs, refusals.notStored),
      committed: (milliseconds, drafts) => metrics.committed(milliseconds, { lines: drafts.length }),
      published: () => undefined,
      databaseFailed: () => metrics.databaseFailed(),
      // The same is said of each that is refused, with its number.
      notStored: () => undefined,
      invalidated: () => undefined,
      reloaded: () => undefined,
      fenced: (error) => this.#unexpected('chat', error),
      idle: () => setImmediate(() => this.#forgetIfIdle()),
      failed: (error) => this.#fail(error),
    }
  }

  #reject(jobs: readonly Job[], refusal: Rejection, error: unknown): void {
    const lines = this.#notStored.happened(jobs.length)
    if (lines !== null)
      this.#deps.log({
        level: 'warn',
        event: 'chatNotStored',
        room: this.id,
        lines,
        error: describeError(error),
      })
    this.#reply(jobs, refusal)
  }

  #reply(jobs: readonly Job[], refusal: Rejection): void {
    for (const { subscriber, id } of jobs) this.#replica.subscribers.get(subscriber)?.reply(refusal, id)
  }

  /** After the lines themselves: whoever waits has their line in the place where it stays. */
  async #acknowledge(answers: readonly Answer[]): Promise<void> {
    // Where that fails, lines are late; they are stored all the same.
    await this.#deps.feed.look().catch(() => undefined)
    this.#replica.flush()
    for (const { subscriber, id } of answers) this.#replica.subscribers.get(subscriber)?.acknowledge(id)
  }

  /** What comes after the id `after`: up to about `upTo`, or as far as the log was read if that has been passed already. */
  async #read(client: ChatClient, after: number, upTo: number): Promise<Page> {
    const { store, retryReading } = this.#deps
    client.start ??= await retryReading(() => findStart(store, this.id, client.query, upTo))
    const page = await this.#readPage(client, Math.max(after, client.start), upTo)
    this.#readsFail = false
    const late = client.late.completed(page.last)
    return late.length === 0
      ? page
      : { ...page, frame: Buffer.concat([page.frame, lineFrames(late, client.query.ids)]) }
  }

  #readPage(client: ChatClient, after: number, upTo: number): Promise<Page> {
    const { feed, store, retryReading, pages } = this.#deps
    const isHistory = after < upTo
    const end = isHistory ? upTo : feed.seen
    const range = {
      after,
      upTo: end,
      hidden: client.late.hide(feed.missing(after, end), client.behind ?? 0),
      since: isHistory ? client.since : null,
    }
    const key = [this.id, after, client.format, range.since, range.hidden.join()].join(' ')
    return pages.get(key, async () => {
      const { lines, last, full } = await retryReading(() => readPage(store, this.id, range))
      return { frame: lineFrames(lines, client.query.ids), last, full }
    })
  }

  #readFailed({ socket }: ChatClient, error: unknown): void {
    if (!this.#readsFail)
      this.#deps.log({ level: 'warn', event: 'chatReadFailed', room: this.id, error: describeError(error) })
    this.#readsFail = true
    if (!isRefused(error)) return
    this.#replica.end(socket.id, closeCodes.refused)
    this.#forgetIfIdle()
  }

  /** An error of ours: nothing more is stored here, so that everybody comes back to another room of this number. */
  #fail(error: unknown): void {
    this.#unexpected('chat room', error)
    this.close(closeCodes.unavailable)
    this.#deps.onIdle()
  }

  #unexpected(where: string, error: unknown): void {
    this.#deps.log({ level: 'error', event: 'unexpected', where, error: stackOf(error) })
  }

  #forgetIfIdle(): void {
    if (this.#replica.subscribers.size === 0 && this.#room.queued === 0) this.#deps.onIdle()
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
