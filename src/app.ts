import type { HttpBindings } from '@hono/node-server'
import { type Context, Hono, type MiddlewareHandler } from 'hono'
import { requestId } from 'hono/request-id'
import { randomBytes } from 'node:crypto'
import type { ChatHub } from './chat/hub.ts'
import { chatRoutes } from './chat/routes.ts'
import type { DocumentConfig } from './document/flags.ts'
import type { DocumentHub } from './document/hub.ts'
import { documentPath, documentRoutes } from './document/routes.ts'
import type { Budget } from './document/budget.ts'
import { healthRoutes, type Readiness } from './edge/health.ts'
import { shortPath, stackOf } from './edge/log.ts'
import type { MetricsRegistry } from './edge/metrics.ts'
import { refuseRequest } from './edge/notice.ts'
import { type Caller, clientAddress, type ProxyTrust } from './edge/remote.ts'
import { isLiteralPath } from './edge/target.ts'
import { createWebSockets, isUpgrade, type WebSocketTerms } from './edge/websocket.ts'
import type { MeetingStatus } from './meeting/hub.ts'
import { subprotocol } from './meeting/protocol.ts'
import { type RecordRouteDeps, recordRoutes } from './meeting/record-routes.ts'
import { type MeetingRouteDeps, meetingRoutes } from './meeting/routes.ts'
import type { StatusReport } from './page/client/status/report.ts'
import { type MemberPage, pageRoutes, statusPageRoutes } from './page/routes.ts'

export type AppDeps = Omit<MeetingRouteDeps & RecordRouteDeps, 'callerOf' | 'upgradeWebSocket'> & {
  proxy: ProxyTrust
  registry: MetricsRegistry
  readiness: Readiness
  /** Null where it does, else why not. */
  databaseAnswers: () => Promise<string | null>
  status: () => {
    upsince: string
    timestamp: string
    runtime: Record<string, string>
    meetings: MeetingStatus[]
  }
  report: () => StatusReport
  /** Null where there is no chat; its hub is null as long as it is not served. */
  chat: { hub: () => ChatHub | null } | null
  /** Null where no documents are served; their hub is null as long as it is another process that serves them. */
  document: (DocumentConfig & { hub: () => DocumentHub | null; budget: Budget }) | null
  /** Whether status and health have a listener of their own. */
  adminApart: boolean
  /** Refuses there who does not mean it. */
  ownHost: MiddlewareHandler
  /** Hears of each upgrade that no route gets to see. */
  upgradeRefused: WebSocketTerms['refused']
}

/** A message that is a little too long is answered; one that is much longer ends its connection. */
const frameSlack = 64 * 1024

/** What the listeners serve: `app` with its websockets, to be attached to its server, and `admin` beside it. */
export function createApps(deps: AppDeps): {
  app: Hono
  admin: Hono
  attach: ReturnType<typeof createWebSockets>['attach']
} {
  const { log } = deps
  const app = new Hono()
  const admin = deps.adminApart ? new Hono() : app
  const { upgradeWebSocket, attach } = createWebSockets(app, log, {
    subprotocols: new Set([subprotocol]),
    maxFrames: new Map(deps.document ? [[documentPath, deps.document.maxMessage + frameSlack]] : []),
    refused: deps.upgradeRefused,
  })

  const callerOf = (c: Context): Caller => {
    const { remoteAddress } = (c.env as HttpBindings).incoming.socket
    const address = clientAddress(remoteAddress, c.req.header('x-forwarded-for'), deps.proxy)
    return { address, request: c.get('requestId') }
  }
  for (const each of new Set([app, admin])) {
    // A proxy that gives its requests an id finds them here under the same.
    each.use(
      requestId({
        headerName: deps.proxy.behindProxy ? 'X-Request-Id' : '',
        limitLength: 64,
        generator: () => randomBytes(6).toString('base64url'),
      }),
    )
    each.use(async function logged(c, next) {
      const begun = deps.clock()
      await next()
      if (isUpgrade(c) && c.res.ok) return
      const ms = Math.round(deps.clock() - begun)
      const { method, path } = c.req
      const { status } = c.res
      log({ level: 'debug', event: 'request', method, path: shortPath(path), status, ms, ...callerOf(c) })
    })
    each.use(async function literalPath(c, next) {
      if (!isLiteralPath((c.env as HttpBindings).incoming.url ?? '')) return c.notFound()
      return await next()
    })
  }
  const entrance = { ...deps, callerOf, upgradeWebSocket }
  app.route('/', meetingRoutes(entrance))
  app.route('/', recordRoutes(entrance))
  if (deps.chat) app.route('/', chatRoutes({ ...entrance, ...deps.chat }))
  if (deps.document) {
    const { origins, ...document } = deps.document
    const databaseAnswers = async (): Promise<boolean> => (await deps.databaseAnswers()) === null
    app.route('/', documentRoutes({ ...entrance, ...document, origins: () => origins, databaseAnswers }))
  }
  const pages: MemberPage[] = ['meeting']
  if (deps.chat) pages.push('chat')
  if (deps.document) pages.push('sketch')
  app.route('/', pageRoutes(pages))
  const operators = new Hono()
  operators.route('/', healthRoutes(deps.readiness))
  operators.route('/', deps.registry.routes())
  operators.get('/__meetingstatus', (c) => c.json(deps.status()))
  operators.get('/status.json', (c) => c.json(deps.report(), 200, { 'cache-control': 'no-store' }))
  operators.route('/', statusPageRoutes())
  for (const path of deps.adminApart ? ['*'] : new Set(operators.routes.map(({ path }) => path)))
    admin.use(path, deps.ownHost)
  admin.route('/', operators)

  for (const each of new Set([app, admin])) {
    each.notFound((c) => refuseRequest(c, 404, 'not found'))
    each.onError((error, c) => {
      const { request } = callerOf(c)
      log({ level: 'error', event: 'unexpected', where: 'request', error: stackOf(error), request })
      return refuseRequest(c, 500, 'internal error')
    })
  }
  return { app, admin, attach }
}
