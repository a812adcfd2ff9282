import { setTimeout as wait } from 'node:timers/promises'
import type { Sql } from 'postgres'
import type { Retry } from '../db/contention.ts'
import { isRefused } from '../db/failure.ts'
import { describeError } from '../db/pool.ts'
import { stackOf } from '../edge/log.ts'
import { type AuthThrottle, isGuessable } from '../edge/auth-throttle.ts'
import type { Metrics } from '../edge/metrics.ts'
import type { Bus } from '../hub/bus.ts'
import { forgetCommands } from '../hub/forget.ts'
import { PageCache } from '../hub/page-cache.ts'
import { Mailbox } from '../hub/mailbox.ts'
import { Portion } from '../hub/portion.ts'
import type { Log, Secret } from './events.ts'
import { Feed } from './feed.ts'
import { closeCodes } from './protocol.ts'
import { ChatRoom } from './room.ts'
import type { ChatClient } from './client.ts'
import type { Identity } from './rules.ts'
import { readSessions, rememberedDays, type Store } from './store.ts'

export type ChatHubDeps = {
  sql: Sql
  /** Makes another for whoever does one transaction after the other. */
  retrier: () => Retry
  schema: string
  bus: Bus
  clock: () => number
  log: Log
  metrics: Metrics
  authThrottle: AuthThrottle<Secret>
  pollMs: number
}

const lookUpEveryMs = 20
const maxWaiting = 20_000
const forgetEveryMs = 3_600_000
const rememberedMs = rememberedDays * 86_400_000

/** What is written to the log, and by whom, is told on this channel by the id of the line. */
const channel = 'nodejschat'

/** The chat rooms in which somebody is, in this process. Others may serve the same rooms. */
export class ChatHub {
  readonly #deps: ChatHubDeps
  readonly #store: Store
  readonly #rooms = new Map<number, ChatRoom>()
  readonly #pages: PageCache
  readonly #feed: Feed
  /** Shared by all who read keys, and by all who read the log. */
  readonly #retryKeys: Retry
  readonly #retryReading: Retry
  /** Those who come: all who ask while one look-up is under way share the next. */
  readonly #joining: Mailbox<ChatClient>
  /** How many of them are looked up at once. */
  readonly #portion = new Portion()
  readonly #unsubscribe: () => void
  #timer: NodeJS.Timeout | null = null
  #forgotAt = -Infinity
  #closed = false

  /** Whether the database failed the last look at the log. */
  get databaseFails(): boolean {
    return this.#feed.failing
  }

  constructor(deps: ChatHubDeps) {
    this.#deps = deps
    this.#pages = new PageCache(deps.clock)
    this.#store = { sql: deps.sql, schema: deps.schema }
    this.#retryKeys = deps.retrier()
    this.#retryReading = deps.retrier()
    this.#feed = new Feed({
      ...deps,
      store: this.#store,
      retry: this.#retryReading,
      rooms: () => this.#rooms,
    })
    this.#joining = new Mailbox<ChatClient>({
      consume: (clients) => this.#lookUp([...this.#portion.of(clients)]),
      onError: (error) =>
        deps.log({ level: 'error', event: 'unexpected', where: 'chat entry', error: stackOf(error) }),
      limit: maxWaiting,
    })
    this.#unsubscribe = deps.bus.subscribe(channel, {
      heard: ({ seq }) => this.#feed.heard(seq),
      back: () => {
        deps.log({ level: 'info', event: 'listening', channel })
        this.#feed.lookSoon(true)
      },
      lost: (reason) => deps.log({ level: 'warn', event: 'listenLost', channel, reason }),
    })
    this.#schedule()
  }

  join(client: ChatClient): void {
    if (this.#closed) client.end(closeCodes.stopping)
    else if (this.#joining.full) client.end(closeCodes.unavailable)
    else this.#joining.push(client)
  }

  stats(): { rooms: number; queued: number } {
    let queued = 0
    for (const room of this.#rooms.values()) queued += room.queued
    return { rooms: this.#rooms.size, queued }
  }

  /** Stores and sends what is under way, then ends all connections. */
  async drain(): Promise<void> {
    this.#closed = true
    for (const client of this.#joining.close()) client.end(closeCodes.stopping)
    await Promise.all(Array.from(this.#rooms.values(), (room) => room.drain()))
    await this.#feed.look().catch(() => undefined)
    this.#feed.close()
    this.#unsubscribe()
    if (this.#timer) clearTimeout(this.#timer)
    for (const room of this.#rooms.values()) room.close()
    this.#rooms.clear()
  }

  async #lookUp(clients: readonly ChatClient[]): Promise<number> {
    try {
      const keys = clients.map(({ query }) => query.key)
      const found = await this.#retryKeys(() => readSessions(this.#store, keys))
      this.#portion.done()
      await this.#feed.prepare(Math.max(0, ...clients.map(({ query }) => query.after ?? 0)))
      for (const client of clients) {
        if (!client.open) continue
        if (this.#closed) client.end(closeCodes.stopping)
        else this.#answer(client, found.get(client.query.key) ?? null)
      }
    } catch (error) {
      // What cannot be read of one must not keep out the others.
      if (isRefused(error) && this.#portion.refused(clients.length)) return 0
      this.#deps.log({ level: 'warn', event: 'entryFailed', error: describeError(error) })
      const code = isRefused(error) ? closeCodes.refused : closeCodes.unavailable
      for (const client of clients) client.end(code)
    }
    await wait(lookUpEveryMs)
    return clients.length
  }

  #answer(client: ChatClient, identity: Identity | null): void {
    const { authThrottle, log } = this.#deps
    const { remote: address, request } = client.socket
    const short = isGuessable(client.query.key)
    // Whether it was right is not told, either.
    if (short && authThrottle.lockedMs('sessionKey', address) !== null)
      return client.end(closeCodes.unavailable)
    if (identity) {
      if (short) authThrottle.proven('sessionKey', address)
      return this.#room(identity.room).join(client, identity)
    }
    log({ level: 'info', event: 'chatRefused', address, request })
    const tell = (): void => client.end(closeCodes.unknownKey)
    if (!short) return authThrottle.refuse(address, tell, () => client.end(closeCodes.unavailable))
    authThrottle.failed('sessionKey', address)
    tell()
  }

  #room(id: number): ChatRoom {
    const known = this.#rooms.get(id)
    if (known) return known
    const room = new ChatRoom(id, {
      ...this.#deps,
      store: this.#store,
      retry: this.#deps.retrier(),
      retryReading: this.#retryReading,
      feed: this.#feed,
      pages: this.#pages,
      onIdle: () => {
        if (this.#rooms.get(id) === room) this.#rooms.delete(id)
      },
    })
    this.#rooms.set(id, room)
    return room
  }

  #schedule(): void {
    if (this.#closed) return
    this.#timer = setTimeout(() => void this.#poll().then(() => this.#schedule()), this.#deps.pollMs)
  }

  /** A notification that was lost is made up for here, and sessions that are gone are found out. */
  async #poll(): Promise<void> {
    if (this.#rooms.size === 0) return await this.#forget()
    this.#feed.lookSoon(true)
    const identities = Array.from(this.#rooms.values()).flatMap((room) => room.identities())
    const keys = new Set(identities.map(({ key }: Identity) => key))
    try {
      const valid = await this.#retryKeys(() => readSessions(this.#store, Array.from(keys)))
      for (const room of this.#rooms.values()) room.endInvalid(valid, keys)
    } catch {
      // The look has the same to say, and says it.
    }
    await this.#forget()
  }

  /** Once an hour, and at the beginning, whether somebody is here or not. */
  async #forget(): Promise<void> {
    const now = this.#deps.clock()
    if (now - this.#forgotAt < forgetEveryMs) return
    const told = { level: 'warn', event: 'commandsNotForgotten', door: 'chat' } as const
    try {
      const refused = await forgetCommands(this.#store.sql, {
        table: 'plenum.chat_command',
        rememberedMs,
        retry: this.#retryKeys,
        isClosed: () => this.#closed,
      })
      this.#forgotAt = now
      if (refused) this.#deps.log({ ...told, count: refused.count, error: describeError(refused.error) })
    } catch (error) {
      // As above; it is tried again at the next look, but what is refused in an hour.
      if (!isRefused(error)) return
      this.#forgotAt = now
      this.#deps.log({ ...told, error: describeError(error) })
    }
  }
}
