import type { HttpBindings } from '@hono/node-server'
import { type Context, Hono } from 'hono'
import { healthRoutes, type Readiness } from './edge/health.ts'
import { stackOf } from './edge/log.ts'
import { clientAddress, type ProxyTrust } from './edge/remote.ts'
import { isLiteralPath } from './edge/target.ts'
import { createWebSockets } from './edge/websocket.ts'
import type { MeetingStatus } from './meeting/hub.ts'
import { subprotocol } from './meeting/protocol.ts'
import { type MeetingRouteDeps, meetingRoutes } from './meeting/routes.ts'

export type AppDeps = Omit<MeetingRouteDeps, 'addressOf'> & {
  proxy: ProxyTrust
  readiness: Readiness
  status: () => {
    upsince: string
    timestamp: string
    runtime: Record<string, string>
    meetings: MeetingStatus[]
  }
  /** Whether status and health have a listener of their own. */
  adminApart: boolean
}

/** What the listeners serve: `app` with its websockets, to be attached to its server, and `admin` beside it. */
export function createApps(deps: AppDeps): {
  app: Hono
  admin: Hono
  attach: ReturnType<typeof createWebSockets>['attach']
} {
  const { log } = deps
  const app = new Hono()
  const admin = deps.adminApart ? new Hono() : app
  const { upgradeWebSocket, attach } = createWebSockets(app, log, new Set([subprotocol]))

  const addressOf = (c: Context): string => {
    const { incoming } = c.env as HttpBindings
    return clientAddress(incoming.socket.remoteAddress, c.req.header('x-forwarded-for'), deps.proxy)
  }
  for (const each of new Set([app, admin]))
    each.use(async function literalPath(c, next) {
      if (!isLiteralPath((c.env as HttpBindings).incoming.url ?? '')) return c.notFound()
      return await next()
    })
  app.route('/', meetingRoutes({ ...deps, addressOf }, upgradeWebSocket))
  admin.route('/', healthRoutes(deps.readiness))
  admin.route('/', deps.metrics.routes())
  admin.get('/__meetingstatus', (c) => c.json(deps.status()))

  for (const each of new Set([app, admin])) {
    each.notFound((c) => c.text('not found\n', 404))
    each.onError((error, c) => {
      log({ level: 'error', event: 'unexpected', where: 'request', error: stackOf(error) })
      return c.text('internal error\n', 500)
    })
  }
  return { app, admin, attach }
}
