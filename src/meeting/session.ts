import type { Metrics } from '../edge/metrics.ts'
import type { Ending, Socket, SocketHandlers } from '../edge/socket.ts'
import { RateLimit } from '../hub/rate.ts'
import type { Command } from './meeting.ts'
import { disconnectFrame, errorFrame, isRejection, parseCommand } from './protocol.ts'
import { type DisconnectText, reject, type Rejection } from './rejection.ts'

export type SessionDeps = { ratePerSecond: number; clock: () => number; metrics: Metrics }

/** What a session needs of the room that it is in. */
export type SessionRoom = {
  command: (session: Session, command: Command) => void
  ended: (session: Session, how: Ending) => void
}

const burst = 20
const maxEarly = 16
const tooFast = reject('You are sending too fast')
const notText = reject('Only text frames of UTF-8 are understood')

/**
 * One connection at the meeting door, from the upgrade to its end. What it sends before it has been admitted waits, and
 * is not looked at if it never is.
 */
export class Session implements SocketHandlers {
  readonly socket: Socket
  readonly #deps: SessionDeps
  /** From the first command on: most people listen. */
  #rate: RateLimit | null = null
  /** What came before it has been admitted, unread; null from then on. */
  #early: (string | null)[] | null = []
  #earlyDropped = false
  #room: SessionRoom | null = null
  #onDecided: (() => void) | null = null
  #open = true

  constructor(socket: Socket, deps: SessionDeps) {
    this.socket = socket
    this.#deps = deps
  }

  /** False once the connection has ended or has been told to. */
  get open(): boolean {
    return this.#open
  }

  frame(text: string | null): void {
    this.#receive(text)
  }

  ended(how: Ending): void {
    this.#open = false
    this.#decided()
    this.#room?.ended(this, how)
  }

  reply(rejection: Rejection): void {
    this.#deps.metrics.rejected(rejection.text)
    this.socket.write([errorFrame(rejection)])
  }

  /** The room that decides about this session's entry; it hears of the connection's end. */
  assign(room: SessionRoom): void {
    this.#room = room
  }

  /** `callback` is called once this session has been admitted or has ended. */
  whenDecided(callback: () => void): void {
    this.#onDecided = callback
  }

  /** From here on commands go to the room, those that waited first. */
  admitted(): void {
    const early = this.#early ?? []
    this.#decided()
    for (const text of early) this.#receive(text)
    if (this.#earlyDropped) this.reply(tooFast)
  }

  /** Ends the connection for good, with a word. `utcOffset` (seconds) is that of the record's times. */
  disconnect(text: DisconnectText, utcOffset: number): void {
    const [date = '', time = ''] = new Date(Date.now() + utcOffset * 1000).toISOString().split(/[T.]/)
    this.socket.write([disconnectFrame(text, { date, time })])
    this.end()
  }

  /** Ends the connection without a word: the stock page comes back. */
  end(): void {
    this.#open = false
    this.#decided()
    this.socket.end()
  }

  #decided(): void {
    this.#early = null
    const tell = this.#onDecided
    this.#onDecided = null
    tell?.()
  }

  #receive(text: string | null): void {
    if (!this.#open) return
    if (this.#early !== null) {
      if (this.#early.length < maxEarly) this.#early.push(text)
      else this.#earlyDropped = true
      return
    }
    this.#rate ??= new RateLimit(burst, this.#deps.ratePerSecond)
    if (!this.#rate.pass(this.#deps.clock())) return this.reply(tooFast)
    const parsed = text === null ? notText : parseCommand(text)
    if (parsed === null) return
    if (isRejection(parsed)) this.reply(parsed)
    else this.#room?.command(this, parsed)
  }
}
