import { Hono } from 'hono'
import { upgradeRoute, type UpgradeDeps } from '../edge/upgrade.ts'
import type { ChatHub } from './hub.ts'
import { isRejection } from '../hub/rejection.ts'
import { closeCodes, errorFrame } from './protocol.ts'
import { parseWish } from './query.ts'
import { ChatSession, type ChatSessionDeps } from './session.ts'

export type ChatRouteDeps = UpgradeDeps &
  ChatSessionDeps & {
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
      const wish = parseWish(c.req.query())
      return (socket) => {
        if (isRejection(wish)) {
          socket.write([errorFrame(wish, null)])
          socket.end(closeCodes.badRequest)
          return { frame: () => undefined, ended: () => undefined }
        }
        const session = new ChatSession(socket, wish, deps)
        const serving = hub()
        if (serving) serving.enter(session)
        else session.end(closeCodes.unavailable)
        return session
      }
    },
  })
  const app = new Hono()
  app.get('/ws/chat', check, upgrade)
  app.get(
    '/',
    async function oldClients(c, next) {
      if (c.req.query('session_key') === undefined) return c.notFound()
      return await next()
    },
    check,
    upgrade,
  )
  return app
}
