import { textOf } from '../edge/frame.ts'
import type { Metrics } from '../edge/metrics.ts'
import type { Ending, Socket, SocketHandlers } from '../edge/socket.ts'
import { burst, RateLimit } from '../hub/rate.ts'
import { isRejection, type Rejection } from '../hub/rejection.ts'
import type { Format } from '../hub/subscriber.ts'
import type { Listening } from '../hub/telling.ts'
import { LateLines } from './late-lines.ts'
import {
  ackFrame,
  authenticatedFrame,
  type CloseCode,
  errorFrame,
  lineFrames,
  liveFrame,
  parseRequest,
  pongFrame,
  refusals,
} from './protocol.ts'
import type { ChatQuery } from './query.ts'
import type { Audience, Identity } from './rules.ts'

export type ChatClientDeps = { ratePerSecond: () => number; clock: () => number; metrics: Metrics }

/** What a client needs of the room that it is in. */
export type ChatClientRoom = {
  /** `id`: under which the client wants an answer. */
  say: (client: ChatClient, message: string, id: string | null) => void
  ended: (client: ChatClient, how: Ending) => void
  /** The connection was told to end. */
  dismissed: (client: ChatClient, code: CloseCode) => void
}

/** One connection at the chat door. Who it is and where is settled when it joins, and stays. */
export class ChatClient implements SocketHandlers, Listening<Audience, CloseCode> {
  readonly socket: Socket
  readonly query: ChatQuery
  behind: number | null = null
  audiences: readonly Audience[] = []
  readonly late = new LateLines()
  /** The id after which it lacks lines; null where its query has yet to be looked up. */
  start: number | null
  /** Older lines are not wanted, as long as it reads history. */
  since: string | null
  readonly #deps: ChatClientDeps
  readonly #rate: RateLimit
  #joined: { identity: Identity; room: ChatClientRoom } | null = null
  #open = true
  /** Whether it has had its history. */
  #live = false

  constructor(socket: Socket, query: ChatQuery, deps: ChatClientDeps) {
    this.socket = socket
    this.query = query
    // Where there is a limit or a time, it is looked for where to begin.
    this.start = query.limit === null && query.since === null ? 0 : null
    this.since = query.since
    this.#deps = deps
    this.#rate = new RateLimit(burst, deps.ratePerSecond)
  }

  /** False once the connection has ended or has been told to. */
  get open(): boolean {
    return this.#open
  }

  get format(): Format {
    return this.query.ids ? 'v1' : 'stock'
  }

  /** Null before it has joined. */
  get identity(): Identity | null {
    return this.#joined?.identity ?? null
  }

  /** What comes before it has joined is ignored: clients are to wait. */
  frame(data: Buffer, isBinary: boolean): void {
    if (!this.#open || !this.#joined) return
    const { ids } = this.query
    const isInTime = this.#rate.pass(this.#deps.clock())
    if (!isInTime && !ids) return this.reply(refusals.tooFast)
    const text = textOf(data, isBinary)
    const { id, command } = text === null ? { id: null, command: refusals.notText } : parseRequest(text, ids)
    if (isRejection(command)) this.reply(isInTime ? command : refusals.tooFast, id)
    // Costs no more than the refusal would, which is a sign of life as well.
    else if (command.type === 'ping') this.socket.write([pongFrame(Date.now())])
    else if (!isInTime) this.reply(refusals.tooFast, id)
    else this.#joined.room.say(this, command.message, id)
  }

  ended(how: Ending): void {
    this.#open = false
    this.#joined?.room.ended(this, how)
  }

  /** It is in this room from now on, as somebody. */
  join(identity: Identity, room: ChatClientRoom): void {
    this.#joined = { identity, room }
    this.socket.write([authenticatedFrame({ ...identity, now: Date.now() }, this.query.ids)])
  }

  /** No fact has it join a room. */
  joined(): void {}

  /** It has read its history, and hears of everything from here on; what it may miss later it gets whole. */
  caughtUp(): void {
    this.since = null
    if (this.query.ids && !this.#live) this.socket.write([liveFrame])
    this.#live = true
  }

  /** Says that the line with this id was not stored, or may not have been. */
  reply(refusal: Rejection, id: string | null = null): void {
    this.#deps.metrics.rejected(refusal.text)
    this.socket.write([errorFrame(refusal, id)])
  }

  /** Says that the line with this id is stored. */
  acknowledge(id: string): void {
    this.socket.write([ackFrame(id)])
  }

  /** Sends lines of the log, a frame each. */
  tell(lines: readonly string[]): void {
    this.socket.write(lines.map((line) => lineFrames([line], this.query.ids)))
  }

  /** Ends the connection; null where it has ended already. */
  end(code: CloseCode | null): void {
    if (!this.#open || code === null) return
    this.#open = false
    this.#joined?.room.dismissed(this, code)
    this.socket.end(code)
  }
}
