import type { Sql } from 'postgres'
import { type Bus, type BusMessage, type BusSubscriber, checkMessage, type HeardMessage } from '../hub/bus.ts'
import { Subscriptions } from '../hub/subscriptions.ts'
import type { DatabaseOptions } from './conninfo.ts'
import { describeError, openPool, type PoolOptions } from './pool.ts'
import { quoteName } from './schema.ts'

const retryMs = 1000
/** A connection that only hears would never notice that the other end is gone. */
const probeMs = 5000

/**
 * A bus by LISTEN and NOTIFY, on a connection of its own, which is made again whenever it is lost. A topic is a channel,
 * and a message its number, with the body behind it. Not by the library's `listen`, which gives up for good where LISTEN is
 * refused on a connection that stays, as by a standby that is about to be promoted.
 */
export class NotifyBus implements Bus {
  /** PostgreSQL takes less than 8000 bytes: so there is room for the number. */
  readonly maxBodyBytes = 7900
  readonly #sql: Sql
  readonly #subscriptions = new Subscriptions()
  /** Channels of the connection as it is now; null while there is none. */
  #channels: Set<string> | null = null
  #timer: NodeJS.Timeout | null = null
  #isLooking = false
  #isChanged = false
  /** How many connections have ended. */
  #ended = 0
  #closed = false

  constructor(options: DatabaseOptions, pool: Omit<PoolOptions, 'max' | 'onNotify'>) {
    this.#sql = openPool(options, {
      ...pool,
      max: 1,
      onConnection: (change) => {
        pool.onConnection?.(change)
        if (change === -1) this.#disconnected()
      },
      onNotify: (channel, payload) => this.#subscriptions.heard(channel, parsePayload(payload)),
    })
  }

  async publish(topic: string, message: BusMessage): Promise<void> {
    checkMessage(topic, message, this.maxBodyBytes)
    if (this.#closed) throw new Error('the bus is closed')
    await this.#sql`select pg_notify(${topic}, ${payloadOf(message)})`
  }

  subscribe(topic: string, subscriber: BusSubscriber): () => void {
    const end = this.#subscriptions.add(topic, subscriber)
    this.#lookSoon()
    return () => {
      end()
      this.#lookSoon()
    }
  }

  /** Ends the connection; nobody hears of anything any more. */
  async close(): Promise<void> {
    this.#closed = true
    if (this.#timer) clearTimeout(this.#timer)
    this.#subscriptions.clear()
    await this.#sql.end({ timeout: 1 })
  }

  #lookSoon(): void {
    if (this.#closed) return
    this.#isChanged = true
    if (!this.#isLooking) void this.#look()
  }

  /** Listens to what is subscribed to, and to nothing else; where it does already, this shows that somebody is there. */
  async #look(): Promise<void> {
    this.#isLooking = true
    if (this.#timer) clearTimeout(this.#timer)
    // Those who subscribe or leave together are one statement.
    await Promise.resolve()
    do {
      this.#isChanged = false
      await this.#listen()
    } while (this.#isChanged && this.#channels && !this.#closed)
    this.#isLooking = false
    if (this.#closed || (this.#channels?.size === 0 && !this.#isChanged)) return
    this.#timer = setTimeout(() => void this.#look(), this.#channels ? probeMs : retryMs)
  }

  async #listen(): Promise<void> {
    const wanted = new Set(this.#subscriptions.topics)
    const left = Array.from(this.#channels ?? []).filter((channel) => !wanted.has(channel))
    const statements = [
      ...Array.from(wanted, (channel) => `listen ${quoteName(channel)}`),
      ...left.map((channel) => `unlisten ${quoteName(channel)}`),
    ]
    try {
      let ended: number
      do {
        ended = this.#ended
        if (statements.length > 0) await this.#sql.unsafe(statements.join(';'))
        // Where it ended meanwhile, the next one does not listen.
      } while (ended !== this.#ended)
      this.#channels = wanted
      for (const channel of wanted) this.#subscriptions.back(channel)
    } catch (error) {
      this.#lose(describeError(error))
    }
  }

  #disconnected(): void {
    this.#ended++
    if (!this.#channels) return
    this.#lose('the connection was lost')
    this.#lookSoon()
  }

  #lose(reason: string): void {
    this.#channels = null
    this.#subscriptions.lost(reason)
  }
}

const payloadOf = ({ seq, body }: BusMessage): string => (body === '' ? String(seq) : `${seq} ${body}`)

/** What other programs notify of may have no number. */
function parsePayload(payload: string): HeardMessage {
  const [, digits, body = ''] = /^(\d{1,16})(?: (.*))?$/s.exec(payload) ?? []
  const seq = Number(digits)
  return Number.isSafeInteger(seq) ? { seq, body } : { seq: null, body: payload }
}
