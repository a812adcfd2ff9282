import { Hono, type MiddlewareHandler } from 'hono'
import { asksForOrigin, upgradeRoute, type UpgradeDeps } from '../edge/upgrade.ts'
import { isAllowedOrigin } from '../edge/origin.ts'
import { isUpgrade } from '../edge/websocket.ts'
import { manage, type ManagementDeps } from './management.ts'
import { DocumentClient, type DocumentClientDeps } from './client.ts'

/** Where the documents are, for clients and for applications. */
export const documentPath = '/socket'

export type DocumentRouteDeps = UpgradeDeps &
  Omit<DocumentClientDeps, 'join'> &
  ManagementDeps & { databaseAnswers: () => Promise<boolean> }

/** The routes of the document door (docs/document.md). */
export function documentRoutes(deps: DocumentRouteDeps): Hono {
  const { hub } = deps
  const [check, upgrade] = upgradeRoute(deps, {
    name: 'document',
    closed: () => (hub() ? null : 'the documents are not served here now'),
    enter: () => (socket) => {
      const client: DocumentClient = new DocumentClient(socket, {
        ...deps,
        join: (client) => {
          const serving = hub()
          if (serving) serving.enter(client)
          else client.close()
        },
      })
      return {
        frame: (data) => client.frame(data),
        part: (data) => client.part(data),
        ended(how) {
          client.ended(how)
          hub()?.left(client)
        },
      }
    },
  })
  const app = new Hono()
  app.use(documentPath, allowOrigins(deps))
  app.get(
    documentPath,
    async function talk(c, next) {
      if (isUpgrade(c) || asksForOrigin(c)) return await next()
      if (c.req.query('ping') === undefined) return c.text('Zwibbler collaboration Server is running.', 200)
      return (await deps.databaseAnswers()) ? c.text('OK', 200) : c.text('Database health check failed', 500)
    },
    check,
    upgrade,
  )
  app.post(documentPath, (c) => manage(c, deps))
  app.on(['PUT', 'DELETE'], documentPath, (c) => c.text('Zwibbler collaboration Server is running.', 200))
  return app
}

/**
 * For pages that ask by themselves. A page of any origin may where that is allowed, but not with what its browser knows of
 * the reader: browsers refuse that for `*`.
 */
function allowOrigins({ origins }: DocumentRouteDeps): MiddlewareHandler {
  return async function allowOrigin(c, next) {
    if (isUpgrade(c)) return await next()
    const origin = c.req.header('origin')
    if (c.req.method === 'OPTIONS') c.res = c.body(null, 204)
    else await next()
    if (origin === undefined || !isAllowedOrigin(origins(), origin)) return
    c.header('access-control-allow-origin', origins().type === 'any' ? '*' : origin)
    c.header('vary', 'origin')
    c.header('access-control-allow-credentials', 'true')
    c.header('access-control-allow-methods', 'POST, GET, OPTIONS, PUT, DELETE')
    c.header('access-control-allow-headers', allowedHeaders)
    c.header('access-control-expose-headers', 'Status, Content-Type, Content-Length')
  }
}

const allowedHeaders = 'Accept, Content-Type, Content-Length, Accept-Encoding, X-CSRF-Token, Authorization'
