import type { Socket as NetSocket } from 'node:net'
import { WebSocket } from 'ws'
import type { ConnectionLimits } from './connection-limits.ts'
import { frameEnd } from './frame.ts'
import type { Keepalive } from './keepalive.ts'
import { mayWriteNow, pourLater } from './pour.ts'
import { receiverOf, takeInParts } from './receiver.ts'

/** How a connection ended: the client said goodbye (close frame without a code or with 1000), or anything else. */
export type Ending = 'left' | 'lost'

/** What a door knows of a websocket connection. */
export interface Socket {
  readonly id: number
  /** The client's address, for people to read. */
  readonly remote: string
  /** The id of the request by which it came, for the log. */
  readonly request: string
  /** The websocket subprotocol that both speak; '' for none. */
  readonly protocol: string
  /** Sends whole websocket frames in one write. Past 1 MiB unread the connection is destroyed as too slow. */
  write(frames: readonly Buffer[]): void
  /** What was written and has not left this process yet. */
  readonly unsentBytes: number
  /** Lets this many bytes more be unread until the client has caught up: for a long list at entry. */
  allowBacklog(bytes: number): void
  /** Resolves when nearly all that was written has left this process, or when the connection is gone. */
  drained(): Promise<void>
  /** Reads no more of what the client sends, but for what has come already, until `resume`. */
  pause(): void
  resume(): void
  /** Sends what was written, then ends the connection: by a close frame with `code`, or without one (browsers: 1006). */
  end(code: number | null): void
  /** Ends the TCP connection at once. */
  destroy(): void
}

/** What a door wants to hear of a connection. */
export interface SocketHandlers {
  /** `data` may be a part of a larger buffer; of a text frame its bytes, which need not be UTF-8. */
  frame(data: Buffer, isBinary: boolean): void
  /**
   * Where it is there, it gets long frames, and those of several fragments, in parts as they come; `frame` then brings the
   * rest. So nothing is kept of a frame but by the door.
   */
  part?(data: Buffer): void
  /** Called once, whoever ended the connection. */
  ended(how: Ending): void
}

/** What all connections of a process share. */
export type SocketDeps = {
  clock: () => number
  keepalive: Keepalive
  connectionLimits: ConnectionLimits
  onSlow: (socket: Socket) => void
  onError: (error: unknown) => void
}

const maxUnread = 1024 * 1024
const lingerMs = 2000
/** More than that is written in parts, in turns with others. */
const maxAtOnce = 16 * 1024
const pourBytes = 64 * 1024
/** What a client may have looked at in one go, before others have their turn: bytes, of which each frame has some. */
const maxInTurn = 64 * 1024
const minFrame = 4 * 1024
const closeNormal = 1000
const closeWithoutCode = 1005
const closeBrokenProtocol = 1002

/** What `ws` makes of an upgrade: once it is live, all that it has to say goes there. */
export class Connection extends WebSocket {
  live: LiveSocket | null = null

  override emit(event: string | symbol, ...values: unknown[]): boolean {
    return this.live ? this.live.heard(event, values) : super.emit(event, ...values)
  }

  /**
   * `ws` answers the client's close frame by this, and what it finds wrong, without `data` then. Of limits that are
   * passed the client is not told: after any close frame the stock page never comes back.
   */
  override close(code?: number, data?: string | Buffer): void {
    const isAnswer = code === undefined || data !== undefined
    // The client's reason is not repeated: its bytes may be any.
    if (isAnswer || code === closeBrokenProtocol) super.close(code)
    else this.terminate()
  }

  /** Begins to end the connection by a close frame of ours. */
  farewell(code: number): void {
    super.close(code)
  }
}

type Pour = { frames: Buffer[]; bytes: number; whenDone: (() => void)[] }

let lastId = 0

/**
 * A server-side `ws` connection. Frames are written below `ws`'s sender, so that bytes that were built once serve every
 * socket; this holds as long as compression stays off, when `ws` itself writes control frames only. Thousands of these
 * wait for most of the time: hence no listeners of their own.
 */
export class LiveSocket implements Socket {
  readonly id = ++lastId
  readonly remote: string
  readonly request: string
  readonly protocol: string
  /** Times of the clock, in whole milliseconds: these take no room of their own. */
  lastSeen: number
  pingAt = 0
  readonly #raw: Connection
  readonly #net: NetSocket
  readonly #deps: SocketDeps
  #handlers: SocketHandlers | null = null
  #open = true
  #allowance = 0
  #inTurn = 0
  /** What is to be written in parts, and what comes behind it; null where nothing is. */
  #poured: Pour | null = null

  /** For a connection that has just been opened, in its 'open' event: `handle` is to be called in the same. */
  constructor(raw: Connection, caller: { address: string; request: string }, deps: SocketDeps) {
    this.remote = caller.address
    this.request = caller.request
    this.protocol = raw.protocol
    this.#raw = raw
    this.#net = (raw as unknown as { _socket: NetSocket })._socket
    this.#deps = deps
    this.lastSeen = Math.trunc(deps.clock())
    raw.live = this
    deps.keepalive.add(this)
    deps.connectionLimits.opened(this.#net, this.remote)
    // The adapter's listeners, set up right after this call, would hold its request as long as the connection lasts.
    queueMicrotask(() => raw.removeAllListeners())
  }

  get unsentBytes(): number {
    return this.#net.writableLength + (this.#poured?.bytes ?? 0)
  }

  handle(handlers: SocketHandlers): void {
    this.#handlers = handlers
    if (!handlers.part) return
    takeInParts(receiverOf(this.#raw), (data) => {
      this.lastSeen = Math.trunc(this.#deps.clock())
      if (this.#open) this.#guarded(() => this.#handlers?.part?.(data))
    })
  }

  get isPaused(): boolean {
    return this.#raw.isPaused
  }

  pause(): void {
    this.#raw.pause()
  }

  resume(): void {
    // The silence was ours.
    this.lastSeen = Math.trunc(this.#deps.clock())
    this.#raw.resume()
  }

  write(frames: readonly Buffer[]): void {
    const raw = this.#raw
    // Of nothing, too, each would count among the writes that one turn may make.
    if (frames.length === 0 || !this.#open || raw.readyState !== raw.OPEN) return
    if (this.#tooSlow) return this.#cutSlow()
    let bytes = 0
    for (const { length } of frames) bytes += length
    const poured = this.#poured
    if (poured) {
      poured.frames.push(...frames)
      poured.bytes += bytes
    } else if (bytes <= maxAtOnce && mayWriteNow()) this.#writeNow(frames)
    else {
      this.#poured = { frames: [...frames], bytes, whenDone: [] }
      pourLater(this)
    }
  }

  /** Writes the next part of what is long: whole frames, for `ws` may write between them. */
  pour(): { bytes: number; again: boolean } {
    const poured = this.#poured
    const net = this.#net
    if (!poured || net.destroyed) return { bytes: 0, again: false }
    if (net.writableNeedDrain) {
      net.once('drain', () => pourLater(this))
      return { bytes: 0, again: false }
    }
    const part: Buffer[] = []
    let bytes = 0
    while (bytes < pourBytes) {
      const [first] = poured.frames
      if (!first) break
      let end = 0
      while (end < first.length && bytes + end < pourBytes) end = frameEnd(first, end)
      part.push(first.subarray(0, end))
      bytes += end
      if (end < first.length) poured.frames[0] = first.subarray(end)
      else poured.frames.shift()
    }
    poured.bytes -= bytes
    this.#writeNow(part)
    if (poured.frames.length > 0) return { bytes, again: true }
    this.#endPour()
    return { bytes, again: false }
  }

  #endPour(): void {
    const { whenDone = [] } = this.#poured ?? {}
    this.#poured = null
    for (const done of whenDone) done()
  }

  #writeNow(frames: readonly Buffer[]): void {
    const net = this.#net
    if (frames.length > 1) net.cork()
    for (const frame of frames) net.write(frame)
    if (frames.length > 1) net.uncork()
  }

  allowBacklog(bytes: number): void {
    this.#allowance += bytes
  }

  async drained(): Promise<void> {
    const net = this.#net
    const poured = this.#poured
    if (poured) await new Promise<void>((resolve) => poured.whenDone.push(resolve))
    if (!this.#open || !net.writableNeedDrain) return
    await new Promise<void>((resolve) => {
      const done = (): void => {
        net.off('drain', done)
        net.off('close', done)
        resolve()
      }
      net.once('drain', done)
      net.once('close', done)
    })
  }

  end(code: number | null): void {
    if (!this.#open) return
    this.#open = false
    const end = (): void => {
      if (code === null) this.#net.end()
      else this.#raw.farewell(code)
    }
    if (this.#poured) this.#poured.whenDone.push(end)
    else end()
    setTimeout(() => this.#raw.terminate(), lingerMs).unref()
  }

  destroy(): void {
    this.#open = false
    this.#raw.terminate()
  }

  ping(): void {
    if (this.#open && this.#raw.readyState === this.#raw.OPEN) this.#raw.ping()
  }

  /** Takes an event of the connection. An error is always followed by 'close', which does the work. */
  heard(event: string | symbol, values: readonly unknown[]): true {
    if (event === 'close') this.#close(values[0] as number)
    else this.lastSeen = Math.trunc(this.#deps.clock())
    if (event !== 'close') this.#yieldAfter((values[0] as Buffer | undefined)?.length ?? 0)
    if (event === 'message') this.#receive(values[0] as Buffer, values[1] as boolean)
    // The answers to a flood of pings pile up like anything else that is not read.
    else if (event === 'ping' && this.#tooSlow) this.#cutSlow()
    return true
  }

  /** One segment may bring ten thousand frames: when so much has been looked at, the next one waits for its own turn. */
  #yieldAfter(bytes: number): void {
    this.#inTurn += Math.max(bytes, minFrame)
    const isEnough = this.#inTurn >= maxInTurn
    if (isEnough) this.#inTurn = 0
    receiverOf(this.#raw)._allowSynchronousEvents = !isEnough
  }

  #receive(data: Buffer, isBinary: boolean): void {
    if (this.#open) this.#guarded(() => this.#handlers?.frame(data, isBinary))
  }

  #close(code: number): void {
    this.#open = false
    this.#endPour()
    this.#deps.keepalive.remove(this)
    this.#deps.connectionLimits.closed(this.remote)
    const how = code === closeNormal || code === closeWithoutCode ? 'left' : 'lost'
    this.#guarded(() => this.#handlers?.ended(how))
  }

  get #tooSlow(): boolean {
    const unread = this.unsentBytes
    if (unread <= maxUnread) this.#allowance = 0
    return unread > maxUnread + this.#allowance
  }

  #cutSlow(): void {
    this.#deps.onSlow(this)
    this.#raw.terminate()
  }

  #guarded(handle: () => void): void {
    try {
      handle()
    } catch (error) {
      this.#deps.onError(error)
      this.#raw.terminate()
    }
  }
}
