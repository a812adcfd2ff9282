import type { HttpBindings } from '@hono/node-server'
import { type Context, Hono } from 'hono'
import type { Admission } from '../edge/admission.ts'
import type { Keepalive } from '../edge/keepalive.ts'
import { type Log, shortHeader, stackOf } from '../edge/log.ts'
import type { Caller } from '../edge/remote.ts'
import { type AllowedOrigins, isAllowedOrigin } from '../edge/origin.ts'
import { Connection, LiveSocket, type SocketDeps } from '../edge/socket.ts'
import { isUpgrade, type UpgradeWebSocket } from '../edge/websocket.ts'
import type { MeetingHub } from './hub.ts'
import { Session, type SessionDeps } from './session.ts'

export type MeetingRouteDeps = SessionDeps & {
  origins: () => AllowedOrigins
  log: Log
  keepalive: Keepalive
  admission: Admission
  callerOf: (context: Context) => Caller
  /** The hub, while this process serves the meetings. */
  hub: () => MeetingHub | null
}

const path = '/ws/meeting/:meeting{[0-9]+}/:key{[A-Za-z0-9_-]{54}}/:first{[0-9]+}'

/** The websocket route of the meeting door (meeting door spec, Paths). */
export function meetingRoutes(deps: MeetingRouteDeps, upgradeWebSocket: UpgradeWebSocket): Hono {
  const { clock, log, keepalive, admission, hub, callerOf } = deps
  const sockets: SocketDeps = {
    clock,
    keepalive,
    admission,
    onSlow: ({ remote, request }) => log({ level: 'warn', event: 'slowReader', address: remote, request }),
    onError: (error) =>
      log({ level: 'error', event: 'unexpected', where: 'meeting socket', error: stackOf(error) }),
  }
  const app = new Hono()
  app.get(
    path,
    async function meetingEntry(c, next) {
      if (!isUpgrade(c)) return c.text('a websocket is served here\n', 426, { upgrade: 'websocket' })
      // Not from the adapter's copy, in which an empty header is none.
      const { origin } = (c.env as HttpBindings).incoming.headers
      if (!isAllowedOrigin(deps.origins(), origin)) {
        log({ level: 'warn', event: 'originRefused', origin: shortHeader(origin ?? ''), ...callerOf(c) })
        return c.text('origin not allowed\n', 403)
      }
      if (!hub()) return c.text('the meetings are not served here now\n', 503)
      const full = admission.refusal(callerOf(c).address)
      if (full !== null) {
        log({ level: 'warn', event: 'connectionRefused', ...callerOf(c), reason: full })
        return c.text(`${full}\n`, 503)
      }
      return await next()
    },
    upgradeWebSocket(
      (c) => {
        const caller = callerOf(c)
        const { meeting, key, first } = c.req.param() as Record<'meeting' | 'key' | 'first', string>
        return {
          onOpen(_event, { raw }) {
            if (!(raw instanceof Connection) || raw.readyState !== Connection.OPEN) return
            const socket = new LiveSocket(raw, caller, sockets)
            const session = new Session(socket, deps)
            socket.handle(session)
            const serving = hub()
            if (serving) serving.enter({ session, meeting: toId(meeting), key, first: toId(first) })
            else session.end()
          },
        }
      },
      {
        onError: (error) =>
          log({ level: 'error', event: 'unexpected', where: 'adapter', error: stackOf(error) }),
      },
    ),
  )
  return app
}

/** Digits as a number that SQL's bigint holds: beyond it there is neither a meeting nor a line. */
const toId = (digits: string): number => Math.min(Number(digits), Number.MAX_SAFE_INTEGER)
