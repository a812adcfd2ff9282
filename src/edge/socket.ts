import { isUtf8 } from 'node:buffer'
import type { Socket as NetSocket } from 'node:net'
import type { WebSocket } from 'ws'

/** How a connection ended: the client said goodbye (close frame without a code or with 1000), or anything else. */
export type Ending = 'left' | 'lost'

/** What a door knows of a websocket connection. */
export interface Socket {
  readonly id: number
  /** The client's address, for people to read. */
  readonly remote: string
  /** Sends whole websocket frames in one write. Past 1 MiB unread the connection is destroyed as too slow. */
  write(frames: readonly Buffer[]): void
  /** Lets this many bytes more be unread until the client has caught up: for a long history at entry. */
  allowBacklog(bytes: number): void
  /** Sends what was written, then ends the TCP connection without a close frame: browsers see code 1006. */
  end(): void
  /** Ends the TCP connection at once. */
  destroy(): void
}

export type SocketHandlers = {
  /** `null`: a frame that is no text, binary or not UTF-8. */
  frame: (text: string | null) => void
  /** Called once, whoever ended the connection. */
  ended: (how: Ending) => void
}

const maxUnread = 1024 * 1024
const lingerMs = 2000
const closeNormal = 1000
const closeWithoutCode = 1005

type Internals = { _socket: NetSocket; _receiver: NodeJS.EventEmitter }

let lastId = 0

/** The side of a socket that whoever accepted it uses: `handle` is to be called before the event loop turns. */
export type LiveSocket = Socket & {
  lastSeen: number
  ping: () => void
  handle: (handlers: SocketHandlers) => void
}

/**
 * Wraps a server-side `ws` connection. Frames are written below `ws`'s sender, so that bytes that were built once
 * serve every socket; this holds as long as compression stays off, when `ws` itself writes control frames only.
 */
export function acceptSocket(
  raw: WebSocket,
  deps: { remote: string; clock: () => number; onSlow: () => void; onError: (error: unknown) => void },
): LiveSocket {
  const { _socket: net, _receiver: receiver } = raw as unknown as Internals
  let open = true
  let allowance = 0

  const tooSlow = (): boolean => {
    const unread = net.writableLength
    if (unread <= maxUnread) allowance = 0
    return unread > maxUnread + allowance
  }
  const cutSlow = (): void => {
    deps.onSlow()
    raw.terminate()
  }

  const socket: LiveSocket = {
    id: ++lastId,
    remote: deps.remote,
    lastSeen: deps.clock(),
    write(frames) {
      if (!open || raw.readyState !== raw.OPEN) return
      if (tooSlow()) return cutSlow()
      net.cork()
      for (const frame of frames) net.write(frame)
      net.uncork()
    },
    allowBacklog(bytes) {
      allowance += bytes
    },
    end() {
      if (!open) return
      open = false
      net.end()
      setTimeout(() => raw.terminate(), lingerMs).unref()
    },
    destroy() {
      open = false
      raw.terminate()
    },
    ping() {
      if (open && raw.readyState === raw.OPEN) raw.ping()
    },
    handle(handlers) {
      raw.on('message', (data: Buffer, isBinary: boolean) => {
        seen()
        if (!open) return
        guarded(() => handlers.frame(isBinary || !isUtf8(data) ? null : data.toString()))
      })
      raw.on('close', (code: number) => {
        open = false
        guarded(() => handlers.ended(code === closeNormal || code === closeWithoutCode ? 'left' : 'lost'))
      })
    },
  }

  const seen = (): void => {
    socket.lastSeen = deps.clock()
  }
  const guarded = (handle: () => void): void => {
    try {
      handle()
    } catch (error) {
      deps.onError(error)
      raw.terminate()
    }
  }

  raw.on('ping', () => {
    seen()
    // The answers to a flood of pings pile up like anything else that is not read.
    if (tooSlow()) cutSlow()
  })
  raw.on('pong', seen)
  // An error is always followed by 'close', which does the work; without a listener it would end the process.
  raw.on('error', () => undefined)
  // A frame beyond the limit would be answered by close code 1009, after which the stock page never comes back.
  // Ending the connection first leaves `ws` nothing to send.
  receiver.prependListener('error', (error: Error & { code?: string }) => {
    if (error.code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH') raw.terminate()
  })
  return socket
}
