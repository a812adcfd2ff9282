import { Hono, type MiddlewareHandler } from 'hono'
import { upgradeRoute, type UpgradeDeps } from '../edge/upgrade.ts'
import type { ChatHub } from './hub.ts'
import { isRejection } from '../hub/rejection.ts'
import { closeCodes, errorFrame } from './protocol.ts'
import { parseQuery } from './query.ts'
import { ChatClient, type ChatClientDeps } from './client.ts'

export type ChatRouteDeps = UpgradeDeps &
  ChatClientDeps & {
    /** The hub, once this process serves the chat. */
    hub: () => ChatHub | null
  }

/** The websocket routes of the chat door. Clients of nodejschat know a host and a port, and no path. */
export function chatRoutes(deps: ChatRouteDeps): Hono {
  const { hub } = deps
  const [check, upgrade] = upgradeRoute(deps, {
    name: 'chat',
    closed: () => (hub() ? null : 'the chat is not served here now'),
    enter(c) {
      const query = parseQuery(c.req.query())
      return (socket) => {
        if (isRejection(query)) {
          socket.write([errorFrame(query, null)])
          socket.end(closeCodes.badRequest)
          return { frame: () => undefined, ended: () => undefined }
        }
        const client = new ChatClient(socket, query, deps)
        const serving = hub()
        if (serving) serving.join(client)
        else client.end(closeCodes.unavailable)
        return client
      }
    },
  })
  const app = new Hono()
  app.get('/ws/chat', check, upgrade)
  app.get('/', onlyOldClients(check), onlyOldClients(upgrade))
  return app
}

/** Who asks for / without a session key asks for something else than the chat. */
const onlyOldClients = (handler: MiddlewareHandler): MiddlewareHandler =>
  async function oldClients(c, next) {
    return await (c.req.query('session_key') === undefined ? next() : handler(c, next))
  }
