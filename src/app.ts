import type { HttpBindings } from '@hono/node-server'
import { type Context, Hono, type MiddlewareHandler } from 'hono'
import { requestId } from 'hono/request-id'
import { randomBytes } from 'node:crypto'
import type { UpgradeDeps } from './edge/upgrade.ts'
import { type Brand, setBrand } from './edge/brand.ts'
import { homePage } from './edge/home.ts'
import { healthRoutes, type Readiness } from './edge/health.ts'
import { shortPath, stackOf } from './edge/log.ts'
import type { MetricsRegistry } from './edge/metrics.ts'
import { refuseRequest } from './edge/notice.ts'
import { type Caller, clientAddress, type ProxyTrust } from './edge/remote.ts'
import { isLiteralPath } from './edge/target.ts'
import { createWebSockets, isUpgrade, type WebSocketOptions } from './edge/websocket.ts'
import type { About } from './hub/door.ts'
import { servePage, statusPageRoutes } from './page/routes.ts'
import type { ServedDoor, Serving } from './serving.ts'

export type AppDeps = Omit<UpgradeDeps, 'callerOf' | 'upgradeWebSocket'> & {
  about: About
  doors: readonly ServedDoor[]
  serving: Serving
  proxy: ProxyTrust
  registry: MetricsRegistry
  readiness: Readiness
  /** Null where it does, else why not. */
  databaseAnswers: () => Promise<string | null>
  report: () => unknown
  /** Whose name, logo and color pages show, as of now. */
  brand: () => Brand | null
  /** The file with what `/` lists; null where it lists nothing. */
  home: string | null
  /** Whether status and health have a listener of their own. */
  adminApart: boolean
  /** Refuses there who does not mean it. */
  ownHost: MiddlewareHandler
  /** Hears of each upgrade that no route gets to see. */
  upgradeRefused: WebSocketOptions['refused']
}

type CallerOf = (c: Context) => Caller

/** What the listeners serve: `app` with its websockets, to be attached to its server, and `admin` beside it. */
export function createApps(deps: AppDeps): {
  app: Hono
  admin: Hono
  attach: ReturnType<typeof createWebSockets>['attach']
} {
  const { doors, log } = deps
  const app = new Hono()
  const admin = deps.adminApart ? new Hono() : app
  const { upgradeWebSocket, attach } = createWebSockets(app, log, {
    subprotocols: new Set(doors.flatMap(({ door }) => door.subprotocols ?? [])),
    maxFrames: new Map(doors.flatMap(({ door, config }) => Object.entries(door.maxFrames?.(config) ?? {}))),
    refused: deps.upgradeRefused,
  })
  const callerOf: CallerOf = (c) => {
    const { remoteAddress } = (c.env as HttpBindings).incoming.socket
    const address = clientAddress(remoteAddress, c.req.header('x-forwarded-for'), deps.proxy)
    return { address, request: c.get('requestId') }
  }
  for (const each of new Set([app, admin])) answerInOrder(each, callerOf, deps)
  routeDoors(app, { ...deps, callerOf, upgradeWebSocket })
  routeHome(app, deps)
  routeOperators(admin, deps)
  return { app, admin, attach }
}

/** What is done with every request: an id, a line of the log, and words where nothing or something else is found. */
function answerInOrder(app: Hono, callerOf: CallerOf, { log, clock, proxy, brand }: AppDeps): void {
  // A proxy that gives its requests an id finds them here under the same.
  app.use(
    requestId({
      headerName: proxy.behindProxy ? 'X-Request-Id' : '',
      limitLength: 64,
      generator: () => randomBytes(6).toString('base64url'),
    }),
  )
  app.use(async function branded(c, next) {
    setBrand(c, brand())
    await next()
  })
  app.use(async function logged(c, next) {
    const begun = clock()
    await next()
    if (isUpgrade(c) && c.res.ok) return
    const ms = Math.round(clock() - begun)
    const { method, path } = c.req
    const { status } = c.res
    log({ level: 'debug', event: 'request', method, path: shortPath(path), status, ms, ...callerOf(c) })
  })
  app.use(async function literalPath(c, next) {
    if (!isLiteralPath((c.env as HttpBindings).incoming.url ?? '')) return c.notFound()
    return await next()
  })
  app.notFound((c) => refuseRequest(c, 404, 'not found'))
  app.onError((error, c) => {
    const { request } = callerOf(c)
    log({ level: 'error', event: 'unexpected', where: 'request', error: stackOf(error), request })
    return refuseRequest(c, 500, 'internal error')
  })
}

function routeDoors(app: Hono, deps: AppDeps & UpgradeDeps): void {
  const { doors, serving, databaseAnswers } = deps
  const { origins, keepalive, connectionLimits, callerOf, upgradeWebSocket } = deps
  for (const { door, config, node } of doors) {
    const edge = {
      ...node,
      ...{ origins, keepalive, connectionLimits, callerOf, upgradeWebSocket },
      prepared: () => serving.prepared,
      databaseAnswers: async () => (await databaseAnswers()) === null,
      page: servePage,
    }
    app.route(
      '/',
      door.routes(edge, config, () => serving.openHub(door.name)),
    )
  }
}

/** Behind the doors, which may have websockets at the same address. */
function routeHome(app: Hono, { home, log, clock }: AppDeps): void {
  const answer = homePage(home, clock, (error, count) =>
    log({ level: 'warn', event: 'homeUnreadable', count, error }),
  )
  app.get('/', async function home(c) {
    return await (isUpgrade(c) ? c.notFound() : answer(c))
  })
}

function routeOperators(admin: Hono, deps: AppDeps): void {
  const { doors, serving, about } = deps
  const operators = new Hono()
  operators.route('/', healthRoutes(deps.readiness))
  operators.route('/', deps.registry.routes())
  for (const { door } of doors)
    if (door.operatorRoutes)
      operators.route(
        '/',
        door.operatorRoutes(about, () => serving.hub(door.name)),
      )
  operators.get('/status.json', (c) => c.json(deps.report(), 200, { 'cache-control': 'no-store' }))
  operators.route('/', statusPageRoutes())
  for (const path of deps.adminApart ? ['*'] : new Set(operators.routes.map(({ path }) => path)))
    admin.use(path, deps.ownHost)
  admin.route('/', operators)
}
