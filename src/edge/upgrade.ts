import type { HttpBindings } from '@hono/node-server'
import type { Context, MiddlewareHandler } from 'hono'
import type { ConnectionLimits } from './connection-limits.ts'
import type { Keepalive } from './keepalive.ts'
import { type Log, shortHeader, stackOf } from './log.ts'
import { refuseRequest } from './notice.ts'
import { type AllowedOrigins, isAllowedOrigin } from './origin.ts'
import type { Caller } from './remote.ts'
import { Connection, LiveSocket, type Socket, type SocketDeps, type SocketHandlers } from './socket.ts'
import { isUpgrade, type UpgradeWebSocket } from './websocket.ts'

/** What the websocket routes of all doors share. */
export type UpgradeDeps = {
  origins: () => AllowedOrigins
  clock: () => number
  log: Log
  keepalive: Keepalive
  connectionLimits: ConnectionLimits
  callerOf: (context: Context) => Caller
  upgradeWebSocket: UpgradeWebSocket
}

export type UpgradeOptions = {
  /** For our own log. */
  name: string
  /** Why nobody can be let in now, in words; null if one can. */
  closed: () => string | null
  /** Called at the request: what it returns takes the connection once that is open. */
  enter: (context: Context) => (socket: Socket) => SocketHandlers
}

const originRefused = 'origin not allowed'
const pageOrigin = 'x-page-origin'

/** A page that gets no websocket asks whether that is for its own origin: its browser does not tell it. */
export const asksForOrigin = (c: Context): boolean => c.req.header(pageOrigin) !== undefined

/**
 * The handlers of a door's websocket route: who asks for no upgrade gets 426, a page of a foreign origin 403, one too many
 * 503, as does everyone while the door is closed.
 */
export function upgradeRoute(
  deps: UpgradeDeps,
  door: UpgradeOptions,
): [MiddlewareHandler, MiddlewareHandler] {
  const { clock, log, keepalive, connectionLimits, callerOf } = deps
  const sockets: SocketDeps = {
    clock,
    keepalive,
    connectionLimits,
    onSlow: ({ remote, request }) => log({ level: 'warn', event: 'slowReader', address: remote, request }),
    onError: (error) =>
      log({ level: 'error', event: 'unexpected', where: `${door.name} socket`, error: stackOf(error) }),
  }
  const check: MiddlewareHandler = async function checkUpgrade(c, next) {
    if (!isUpgrade(c)) {
      if (asksForOrigin(c)) {
        const isAllowed = isAllowedOrigin(deps.origins(), c.req.header(pageOrigin))
        return isAllowed ? c.body(null, 204) : refuseRequest(c, 403, originRefused)
      }
      return refuseRequest(c, 426, 'a websocket is served here', { upgrade: 'websocket' })
    }
    // Not from the adapter's copy, in which an empty header is none.
    const { origin } = (c.env as HttpBindings).incoming.headers
    if (!isAllowedOrigin(deps.origins(), origin)) {
      log({ level: 'warn', event: 'originRefused', origin: shortHeader(origin ?? ''), ...callerOf(c) })
      return refuseRequest(c, 403, originRefused)
    }
    const closed = door.closed()
    if (closed !== null) return refuseRequest(c, 503, closed)
    const full = connectionLimits.refusal(callerOf(c).address)
    if (full !== null) {
      log({ level: 'warn', event: 'connectionRefused', ...callerOf(c), reason: full })
      return refuseRequest(c, 503, full)
    }
    return await next()
  }
  const upgrade = deps.upgradeWebSocket(
    (c) => {
      const caller = callerOf(c)
      const opened = door.enter(c)
      return {
        onOpen(_event, { raw }) {
          if (!(raw instanceof Connection) || raw.readyState !== Connection.OPEN) return
          const socket = new LiveSocket(raw, caller, sockets)
          socket.handle(opened(socket))
        },
      }
    },
    {
      onError: (error) =>
        log({ level: 'error', event: 'unexpected', where: 'adapter', error: stackOf(error) }),
    },
  )
  return [check, upgrade]
}
