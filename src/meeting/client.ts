import { textOf } from '../edge/frame.ts'
import type { Metrics } from '../edge/metrics.ts'
import type { Ending, Socket, SocketHandlers } from '../edge/socket.ts'
import { burst, RateLimit } from '../hub/rate.ts'
import { isRejection, reject, type Rejection } from '../hub/rejection.ts'
import type { Listening } from '../hub/telling.ts'
import type { Format } from '../hub/subscriber.ts'
import { closeCodeOf, closeCodes, type DisconnectWord, toldText } from './disconnects.ts'
import { ackFrame, disconnectFrame, errorFrame, parseRequest, subprotocol } from './protocol.ts'
import type { Audience } from './rules/announce.ts'
import type { Command } from './rules/commands.ts'
import type { MemberId } from './rules/poll.ts'

export type ClientDeps = { ratePerSecond: () => number; clock: () => number; metrics: Metrics }

/** What a client needs of the room that it is in, or about to join. */
export type ClientRoom = {
  /** `id`: under which the client wants an answer. */
  command: (client: Client, command: Command, id: string | null) => void
  ended: (client: Client, how: Ending) => void
  joined: (client: Client, arrival: string) => void
  /** The room has let go of it: by a word, or without one. */
  dismissed: (client: Client, word: DisconnectWord | null) => void
}

const maxEarly = 16
const maxEarlyLength = 64 * 1024
const tooFast = reject('You are sending too fast', { again: true })
const notText = reject('Only text frames of UTF-8 are understood')

/**
 * One connection at the meeting door, from the upgrade to its end. What it sends before it has joined waits, and is not
 * looked at if it never does.
 */
export class Client implements SocketHandlers, Listening<Audience, DisconnectWord> {
  readonly socket: Socket
  /** Whether it only shows the meeting, and nobody attends by it. */
  readonly isScreen: boolean
  behind: number | null = null
  audiences: readonly Audience[] = []
  /** How the connection ended; null while it has not. */
  ending: Ending | null = null
  readonly #deps: ClientDeps
  /** From the first command on: most people listen. */
  #rate: RateLimit | null = null
  /** What came before it has joined, unread; null from then on. */
  #early: (string | null)[] | null = []
  #earlyLength = 0
  #earlyDropped = false
  #room: ClientRoom | null = null
  #who: { member: MemberId; first: number } = { member: -1, first: 0 }
  #onDecided: (() => void) | null = null
  #open = true

  constructor(socket: Socket, deps: ClientDeps, { isScreen = false } = {}) {
    this.socket = socket
    this.isScreen = isScreen
    this.#deps = deps
  }

  /** False once the connection has ended or has been told to. */
  get open(): boolean {
    return this.#open
  }

  get format(): Format {
    return this.socket.protocol === subprotocol ? 'v1' : 'stock'
  }

  /** Whom it stands for, once the room knows. */
  get member(): MemberId {
    return this.#who.member
  }

  /** The highest id of a line that it has. */
  get first(): number {
    return this.#who.first
  }

  frame(data: Buffer, isBinary: boolean): void {
    this.#receive(textOf(data, isBinary))
  }

  ended(how: Ending): void {
    this.ending = how
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

  /** The room that decides whether it joins, for whom; it hears of the connection's end. */
  assign(room: ClientRoom, who: { member: MemberId; first: number }): void {
    this.#room = room
    this.#who = who
  }

  /** `callback` is called once it has joined or has ended. */
  whenDecided(callback: () => void): void {
    this.#onDecided = callback
  }

  /** From here on commands go to the room, those that waited first. */
  joined(arrival: string): void {
    const early = this.#early ?? []
    this.#room?.joined(this, arrival)
    this.#decided()
    for (const text of early) this.#receive(text)
    if (this.#earlyDropped) this.reply(tooFast, null)
  }

  /** Ends the connection for good, with a word. `utcOffset` (seconds) is that of the record's times. */
  disconnect(word: DisconnectWord, utcOffset: number): void {
    const [date = '', time = ''] = new Date(Date.now() + utcOffset * 1000).toISOString().split(/[T.]/)
    this.socket.write([disconnectFrame(toldText(word), { date, time })])
    this.close(closeCodeOf(word))
  }

  /** The room lets go of it. */
  end(word: DisconnectWord | null): void {
    if (this.#room) this.#room.dismissed(this, word)
    else this.close()
  }

  /** Ends the connection without a word: the stock page comes back. Clients of `plenum.v1` get a close frame with `code`. */
  close(code: number = closeCodes.forNow): void {
    this.#open = false
    this.#decided()
    this.socket.end(this.format === 'v1' ? code : null)
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
    const newer = this.format === 'v1'
    if (!isInTime && !newer) return this.reply(tooFast, null)
    const { id, command } = text === null ? { id: null, command: notText } : parseRequest(text, newer)
    if (!isInTime) this.reply(tooFast, id)
    else if (command === null) {
      if (id !== null) this.acknowledge(id)
    } else if (isRejection(command)) this.reply(command, id)
    else this.#room?.command(this, command, id)
  }
}
