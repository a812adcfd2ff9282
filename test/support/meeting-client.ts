import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import { WebSocket } from 'ws'
import type { RawData } from 'ws'
import { Deadline } from './patience.ts'

export interface Line {
  id: number
  time: string
  date: string
  from: number
  fromname: string
  color: string
  message: string
}

export interface Person {
  id: number
  name: string
  color: string
}

export interface PollState {
  question: string
  answers: string[]
  tally: number[]
  voted: number[] | null
  // Of plenum.v1.
  id?: number
  closesAt?: number
  now?: number
}

export interface MeetingFacts {
  id: number
  name: string
  state: 'pending' | 'open' | 'finished' | 'closed'
  admins: number[]
}

export interface PollResult {
  id: number
  question: string
  answers: string[]
  tally: number[] | null
  ending: 'voted' | 'time' | 'finished' | 'aborted'
}

export interface Welcome {
  version: string
  now: number
  timezone: string
  utcOffset: number
  /** Null for a screen. */
  you: Person | null
  meeting: MeetingFacts
  vote: number | null
  result: PollResult | null
  graceSeconds: number
  rememberedSeconds: number
  limits: Record<string, number>
}

export type Frame =
  | { type: 'message'; data: Line }
  | { type: 'messages'; data: Line[] }
  | { type: 'adduser'; data: Person }
  | { type: 'removeuser'; data: Person }
  | { type: 'users'; data: { users: Person[] } }
  | { type: 'status'; data: { isopen: boolean; isfinished: boolean } }
  | { type: 'poll'; data: PollState | null }
  | { type: 'error'; msg: string; id?: string; again?: true }
  | { type: 'disconnect'; data: Line }
  // Of plenum.v1.
  | { type: 'welcome'; data: Welcome }
  | { type: 'meeting'; data: MeetingFacts }
  | { type: 'pollend'; data: PollResult }
  | { type: 'ack'; data: { id: string; now: number } }
  | { type: 'here'; data: { count: number } }

export type FrameOf<T extends Frame['type']> = Extract<Frame, { type: T }>

/** Whatever can be connected to: a Plenum, or a stand-in for one. */
export interface Target {
  /** Of the server, where it is its own authority. */
  readonly certificate?: Buffer
  socketUrl(path: string): string
}

export interface JoinOptions {
  first?: number | string
  headers?: Record<string, string>
  protocols?: string[]
  /** False: never answers a ping. */
  autoPong?: boolean
}

/** A websocket connection to a meeting that keeps everything it is told. */
export class Member {
  readonly frames: Frame[] = []
  readonly ws: WebSocket
  /** One place in `frames` for each type, so that waiting for one type never skips another. */
  readonly #cursors = new Map<string, number>()
  readonly #wakers = new Set<() => void>()
  readonly #closed: Promise<{ code: number; reason: string }>
  #isClosed = false
  #socket: Socket | undefined

  constructor(ws: WebSocket) {
    this.ws = ws
    ws.on('upgrade', (response: IncomingMessage) => {
      this.#socket = response.socket
      this.#socket.unref() // a test that fails before it closes this must not keep its process alive
    })
    ws.on('message', (data) => {
      this.frames.push(parseFrame(data))
      this.#wake()
    })
    ws.on('error', () => {}) // 'close' follows, and opening reports it
    this.#closed = new Promise((resolve) => {
      ws.on('close', (code, reason) => {
        this.#isClosed = true
        resolve({ code, reason: String(reason) })
        this.#wake()
      })
    })
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  /** Settles with the close code that a browser would show; 1006 when there was no close frame. */
  get closed(): Promise<{ code: number; reason: string }> {
    this.#socket?.ref()
    return this.#closed
  }

  /** Sends an object as JSON, a string or bytes as they are. */
  send(frame: object | string | Buffer): void {
    this.ws.send(typeof frame === 'string' || Buffer.isBuffer(frame) ? frame : JSON.stringify(frame))
  }

  say(message: string): void {
    this.send({ type: 'message', message })
  }

  /**
   * The next frame of a type that satisfies the predicate: the first one that no earlier `next` of that type has
   * passed, whether it has arrived already or not.
   */
  async next<T extends Frame['type']>(
    type: T,
    predicate: (frame: FrameOf<T>) => boolean = () => true,
    milliseconds = 5000,
  ): Promise<FrameOf<T>> {
    const deadline = new Deadline(milliseconds)
    let cursor = this.#cursors.get(type) ?? 0
    for (;;) {
      while (cursor < this.frames.length) {
        const frame = this.frames[cursor++]!
        if (!isOfType(frame, type) || !predicate(frame)) continue
        this.#cursors.set(type, cursor)
        return frame
      }
      const { left } = deadline
      if (left <= 0) throw new Error(`no ${type} within ${milliseconds} ms${this.#seen()}`)
      if (this.#isClosed) throw new Error(`no ${type} before the connection ended${this.#seen()}`)
      await this.#change(left)
    }
  }

  /** Waits for the line of the record with this text, in `message` frames and in history. Returns its id. */
  async line(text: string, milliseconds = 5000): Promise<Line> {
    const deadline = new Deadline(milliseconds)
    for (;;) {
      const found = this.lines().find((line) => line.message === text)
      if (found) return found
      const { left } = deadline
      if (left <= 0 || this.#isClosed) throw new Error(`no line '${text}'${this.#seen()}`)
      await this.#change(left)
    }
  }

  /** Waits and fails if any frame (of these types) came meanwhile. */
  async quiet(milliseconds: number, ...types: Frame['type'][]): Promise<void> {
    const from = this.frames.length
    await wait(milliseconds)
    const came = this.frames.slice(from).filter(({ type }) => types.length === 0 || types.includes(type))
    if (came.length > 0) throw new Error(`expected quiet, but there came ${JSON.stringify(came)}`)
  }

  /** Waits until all that the server has written has arrived, also while a command of the meeting is under way. */
  async caughtUp(): Promise<void> {
    // Frames are written at the end of a turn, a pong in the middle of one: the second comes after all of the first.
    for (let turn = 0; turn < 2; turn++) {
      const answered = new Promise((resolve) => this.ws.once('pong', resolve))
      this.ws.ping()
      await Promise.race([answered, this.#closed])
    }
  }

  /** All lines of the record that were received, in the order of their arrival. */
  lines(): Line[] {
    return this.frames.flatMap((frame) =>
      frame.type === 'message' ? [frame.data] : frame.type === 'messages' ? frame.data : [],
    )
  }

  texts(): string[] {
    return this.lines().map((line) => line.message)
  }

  /** Closes with a close frame: without a code (1005) as the stock page's button does, or with one. */
  async close(code?: number): Promise<void> {
    this.ws.close(code)
    await this.closed
  }

  /** Ends the TCP connection without a close frame, as when a network is lost; `rst` by a reset instead of FIN. */
  async reset(how: 'fin' | 'rst' = 'fin'): Promise<void> {
    // Unix sockets have no reset, and one that is being shut down refuses it without ever reporting its end.
    const canReset = this.ws.readyState === WebSocket.OPEN && this.#socket?.remoteAddress
    if (how === 'rst' && canReset) this.#socket?.resetAndDestroy()
    else this.ws.terminate()
    await this.closed
  }

  #wake(): void {
    for (const wake of this.#wakers) wake()
  }

  #change(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        clearTimeout(timer)
        this.#wakers.delete(wake)
        resolve()
      }
      const timer = setTimeout(wake, milliseconds)
      this.#wakers.add(wake)
    })
  }

  #seen(): string {
    const end = this.#isClosed ? '\n  (connection ended)' : ''
    return `; frames seen:\n  ${this.frames.map((frame) => JSON.stringify(frame)).join('\n  ')}${end}`
  }
}

/** Thrown when the server answers the upgrade with an HTTP status. */
export class UpgradeRefused extends Error {
  readonly status: number
  constructor(status: number) {
    super(`the upgrade was answered with ${status}`)
    this.status = status
  }
}

/** Connects to a meeting. Resolves when the websocket is open, which is before the server has admitted anybody. */
export async function join(
  target: Target,
  meetingId: number | string,
  key: string | undefined,
  options: JoinOptions = {},
): Promise<Member> {
  return connect(target, `/ws/meeting/${meetingId}/${key ?? ''}/${options.first ?? 0}`, options)
}

/** Connects to any path. */
export function connect(target: Target, path: string, options: JoinOptions = {}): Promise<Member> {
  return new Promise((resolve, reject) => {
    const ws = new WebSocket(target.socketUrl(path), options.protocols ?? [], {
      headers: options.headers ?? {},
      autoPong: options.autoPong ?? true,
      ...(target.certificate ? { ca: target.certificate } : {}),
    })
    const member = new Member(ws)
    ws.once('open', () => resolve(member))
    ws.once('error', reject)
    ws.once('unexpected-response', (request, response) => {
      reject(new UpgradeRefused(response.statusCode ?? 0))
      request.destroy()
    })
  })
}

function isOfType<T extends Frame['type']>(frame: Frame, type: T): frame is FrameOf<T> {
  return frame.type === type
}

/** Reads what the `ws` package hands over; it is a Buffer, also for fragmented messages. */
export function parseFrame(data: RawData): Frame {
  return JSON.parse((data as Buffer).toString()) as Frame
}
