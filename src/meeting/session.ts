import { textOf } from '../edge/frame.ts'
import type { Metrics } from '../edge/metrics.ts'
import type { Ending, Socket, SocketHandlers } from '../edge/socket.ts'
import { burst, RateLimit } from '../hub/rate.ts'
import type { Command } from './meeting.ts'
import { ackFrame, disconnectFrame, errorFrame, isRejection, parseRequest, subprotocol } from './protocol.ts'
import { closeCodeOf, closeCodes, type DisconnectText, reject, type Rejection } from './rejection.ts'

export type SessionDeps = { ratePerSecond: () => number; clock: () => number; metrics: Metrics }

/** What a session needs of the room that it is in. */
export type SessionRoom = {
  /** `id`: under which the client wants an answer. */
  command: (session: Session, command: Command, id: string | null) => void
  ended: (session: Session, how: Ending) => void
}

const maxEarly = 16
const maxEarlyLength = 64 * 1024
const tooFast = reject('You are sending too fast', { again: true })
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
  #earlyLength = 0
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

  /** Whether it speaks `plenum.v1`. */
  get newer(): boolean {
    return this.socket.protocol === subprotocol
  }

  frame(data: Buffer, isBinary: boolean): void {
    this.#receive(textOf(data, isBinary))
  }

  ended(how: Ending): void {
    this.#open = false
    this.#decided()
    this.#room?.ended(this, how)
  }

  /** Says that the command with this id was not done, or may be sent again. */
  reply(rejection: Rejection, id: string | null): void {
    this.#deps.metrics.rejected(rejection.text)
    this.socket.write([errorFrame(rejection, id)])
  }

  /** Says that the command with this id is done, and durable. */
  acknowledge(id: string): void {
    this.socket.write([ackFrame(id, Date.now())])
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
    if (this.#earlyDropped) this.reply(tooFast, null)
  }

  /** Ends the connection for good, with a word. `utcOffset` (seconds) is that of the record's times. */
  disconnect(text: DisconnectText, utcOffset: number): void {
    const [date = '', time = ''] = new Date(Date.now() + utcOffset * 1000).toISOString().split(/[T.]/)
    this.socket.write([disconnectFrame(text, { date, time })])
    this.end(closeCodeOf(text))
  }

  /** Ends the connection without a word: the stock page comes back. Clients of `plenum.v1` get a close frame with `code`. */
  end(code: number = closeCodes.forNow): void {
    this.#open = false
    this.#decided()
    this.socket.end(this.newer ? code : null)
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
      this.#earlyLength += text?.length ?? 0
      if (this.#early.length < maxEarly && this.#earlyLength <= maxEarlyLength) this.#early.push(text)
      else this.#earlyDropped = true
      return
    }
    this.#rate ??= new RateLimit(burst, this.#deps.ratePerSecond)
    const isInTime = this.#rate.pass(this.#deps.clock())
    if (!isInTime && !this.newer) return this.reply(tooFast, null)
    const { id, command } = text === null ? { id: null, command: notText } : parseRequest(text, this.newer)
    if (!isInTime) this.reply(tooFast, id)
    else if (command === null) {
      if (id !== null) this.acknowledge(id)
    } else if (isRejection(command)) this.reply(command, id)
    else this.#room?.command(this, command, id)
  }
}
