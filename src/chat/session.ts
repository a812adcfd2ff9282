import { textOf } from '../edge/frame.ts'
import type { Metrics } from '../edge/metrics.ts'
import type { Ending, Socket, SocketHandlers } from '../edge/socket.ts'
import { burst, RateLimit } from '../hub/rate.ts'
import {
  authenticatedFrame,
  type closeCodes,
  errorFrame,
  isRefusal,
  parseMessage,
  type Refusal,
  refusals,
} from './protocol.ts'
import type { Wish } from './query.ts'
import type { Identity } from './store.ts'

export type ChatSessionDeps = { ratePerSecond: () => number; clock: () => number; metrics: Metrics }

/** What a session needs of the room that it is in. */
export type ChatSessionRoom = {
  say: (session: ChatSession, message: string) => void
  ended: (session: ChatSession, how: Ending) => void
}

/** One connection at the chat door. Who it is and where is settled at its entry, and stays. */
export class ChatSession implements SocketHandlers {
  readonly socket: Socket
  readonly wish: Wish
  readonly #deps: ChatSessionDeps
  readonly #rate: RateLimit
  #admitted: { identity: Identity; room: ChatSessionRoom } | null = null
  #open = true

  constructor(socket: Socket, wish: Wish, deps: ChatSessionDeps) {
    this.socket = socket
    this.wish = wish
    this.#deps = deps
    this.#rate = new RateLimit(burst, deps.ratePerSecond)
  }

  /** False once the connection has ended or has been told to. */
  get open(): boolean {
    return this.#open
  }

  /** Null before it has been admitted. */
  get identity(): Identity | null {
    return this.#admitted?.identity ?? null
  }

  /** What comes before it has been admitted is ignored: clients are to wait. */
  frame(data: Buffer, isBinary: boolean): void {
    if (!this.#open || !this.#admitted) return
    if (!this.#rate.pass(this.#deps.clock())) return this.reply(refusals.tooFast)
    const text = textOf(data, isBinary)
    const message = text === null ? refusals.notText : parseMessage(text)
    if (isRefusal(message)) this.reply(message)
    else this.#admitted.room.say(this, message)
  }

  ended(how: Ending): void {
    this.#open = false
    this.#admitted?.room.ended(this, how)
  }

  admit(identity: Identity, room: ChatSessionRoom): void {
    this.#admitted = { identity, room }
    this.socket.write([authenticatedFrame(identity, this.wish.ids)])
  }

  reply(refusal: Refusal): void {
    this.#deps.metrics.rejected(refusal.text)
    this.socket.write([errorFrame(refusal)])
  }

  end(code: (typeof closeCodes)[keyof typeof closeCodes]): void {
    this.#open = false
    this.socket.end(code)
  }
}
