import { EventEmitter } from 'node:events'
import { STATUS_CODES, type IncomingMessage, type Server } from 'node:http'
import type { Duplex } from 'node:stream'
import type { HttpBindings, ServerType } from '@hono/node-server'
import { createNodeWebSocket } from '@hono/node-ws'
import type { Context, Hono } from 'hono'
import { WebSocket, type WebSocketServer } from 'ws'
import { type Log, stackOf } from './log.ts'
import { plainReader, wantsWebSocket } from './reread.ts'
import { Connection } from './socket.ts'
import { turn } from './turns.ts'

const defaultMaxFrame = 64 * 1024
/** Of a frame that has not come whole: each is an object, whatever it has. TCP's smallest usual segment has 536 bytes. */
const maxParts = 256
const closeTimeoutMs = 5000

export type UpgradeWebSocket = ReturnType<typeof createNodeWebSocket>['upgradeWebSocket']

export type WebSocketOptions = {
  subprotocols: ReadonlySet<string>
  /** The longest message of a client in bytes, by path, where it is not the usual one. */
  maxFrames: ReadonlyMap<string, number>
  /** Hears of each upgrade that no route gets to see. */
  refused: (reason: 'malformed' | 'no websocket', peer: string) => void
}

type Upgrade = (request: IncomingMessage, socket: Duplex, head: Buffer) => Promise<void>

/**
 * Websockets of a Hono app, through @hono/node-ws, with what it does not do itself: each of the checks in `guard` stands
 * for a request that would end the process or leave memory behind. Of the subprotocols that a client offers, the first one
 * of `subprotocols` is spoken.
 */
export function createWebSockets(
  app: Hono,
  log: Log,
  { subprotocols, maxFrames, refused }: WebSocketOptions,
): { upgradeWebSocket: UpgradeWebSocket; attach: (server: ServerType) => void } {
  const adapter = createNodeWebSocket({ app })
  Object.assign(adapter.wss.options, {
    closeTimeout: closeTimeoutMs,
    perMessageDeflate: false,
    WebSocket: Connection,
    // The sockets look themselves: close code 1007 would keep the stock page away for good.
    skipUTF8Validation: true,
    // The sockets bound by bytes what is not read, answers to pings among it.
    maxPendingAutoPongs: 0,
    maxFragments: maxParts,
    maxBufferedChunks: maxParts,
  })
  // Nobody asks for the list of connections, which costs each of them a listener.
  Object.assign(adapter.wss, { clients: undefined })
  forgetFailedUpgrades(adapter.wss)
  limitFrames(adapter.wss, maxFrames)

  return {
    upgradeWebSocket: adapter.upgradeWebSocket,
    attach(server) {
      const rereadPlain = plainReader(server as Server)
      let upgrade: Upgrade | null = null
      const catcher = {
        on: (_event: 'upgrade', listener: Upgrade) => {
          upgrade = listener
        },
      }
      adapter.injectWebSocket(catcher as unknown as ServerType)
      server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
        // A peer that resets while it is being answered: an 'error' that nobody listens for ends the process.
        socket.on('error', destroy)
        if (!wantsWebSocket(request)) return rereadPlain(request, socket, head)
        const status = guard(request, subprotocols)
        if (status !== null) {
          refused(status === 400 ? 'malformed' : 'no websocket', request.socket.remoteAddress ?? 'unix')
          return refuse(socket, status)
        }
        // Hundreds who come at the same moment must not hold up those who are here.
        turn()
          .then(() => upgrade?.(request, socket, head))
          .catch((error: unknown) => {
            log({ level: 'error', event: 'unexpected', where: 'upgrade', error: stackOf(error) })
            socket.destroy()
          })
      })
    },
  }
}

/**
 * The adapter keeps each request until its connection is there. A peer that is gone by then gets none: a dead one in its
 * place lets the adapter forget the request.
 */
function forgetFailedUpgrades(wss: WebSocketServer): void {
  const handleUpgrade = wss.handleUpgrade.bind(wss)
  wss.handleUpgrade = (request, socket, head, done) => {
    let upgraded = false
    handleUpgrade(request, socket, head, (ws, from) => {
      upgraded = true
      // `ws` listens for errors itself.
      socket.off('error', destroy)
      done(ws, from)
    })
    if (!upgraded)
      wss.emit('connection', Object.assign(new EventEmitter(), { readyState: WebSocket.CLOSED }), request)
  }
}

/** `ws` gives a connection the limit that its options have while it takes the request, in one go. */
function limitFrames(wss: WebSocketServer, maxFrames: ReadonlyMap<string, number>): void {
  const handleUpgrade = wss.handleUpgrade.bind(wss)
  wss.handleUpgrade = (request, socket, head, done) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost')
    wss.options.maxPayload = maxFrames.get(pathname) ?? defaultMaxFrame
    handleUpgrade(request, socket, head, done)
  }
}

/**
 * Whether a request came as an upgrade that `guard` has let pass. The header alone says nothing: a plain request can have
 * it, and the adapter would wait for its connection for ever.
 */
export function isUpgrade(c: Context): boolean {
  return (c.env as Partial<HttpBindings>).outgoing === undefined
}

/**
 * The status by which a request is refused; null where it may go on to the adapter. What `ws` would refuse is refused
 * here, because the adapter never forgets a request that it handed to `ws` and that did not become a connection.
 */
function guard(request: IncomingMessage, subprotocols: ReadonlySet<string>): 400 | 426 | null {
  const { headers, method, url } = request
  // Only a path: of an absolute target, or one with two slashes, the adapter would take host and password for its own.
  if (!url || !/^\/(?!\/)/.test(url) || !URL.canParse(url, 'http://localhost')) return 400
  if (headers.host === undefined) return 400
  if (method !== 'GET') return 426
  if (headers['sec-websocket-version'] !== '13') return 426
  if (!/^[+/0-9A-Za-z]{22}==$/.test(headers['sec-websocket-key'] ?? '')) return 400
  // Of a list `ws` would see none.
  headers.upgrade = 'websocket'
  // An unreadable offer would be refused by `ws`, and of a readable one it would take the first.
  const offers = headers['sec-websocket-protocol']?.split(',') ?? []
  const spoken = offers.map((offer) => offer.trim()).find((offer) => subprotocols.has(offer))
  if (spoken === undefined) delete headers['sec-websocket-protocol']
  else headers['sec-websocket-protocol'] = spoken
  return null
}

function destroy(this: Duplex): void {
  this.destroy()
}

function refuse(socket: Duplex, status: 400 | 426): void {
  const version = status === 426 ? 'Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n' : ''
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${version}Connection: close\r\nContent-Length: 0\r\n\r\n`,
  )
}
