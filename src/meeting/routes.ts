import { Hono } from 'hono'
import { upgradeRoute, type UpgradeDeps } from '../edge/upgrade.ts'
import type { MeetingHub } from './hub.ts'
import { Client, type ClientDeps } from './client.ts'

export type MeetingRouteDeps = UpgradeDeps &
  ClientDeps & {
    /** The hub, while this process serves the meetings. */
    hub: () => MeetingHub | null
  }

const path = '/ws/meeting/:meeting{[0-9]+}/:key{[A-Za-z0-9_-]{54}}'

/** The websocket routes of the meeting door (meeting door spec, Paths): a member's, and a screen's (docs/protocol.md). */
export function meetingRoutes(deps: MeetingRouteDeps): Hono {
  const { hub } = deps
  const app = new Hono()
  for (const isScreen of [false, true])
    app.get(
      `${path}${isScreen ? '/hall' : ''}/:first{[0-9]+}`,
      ...upgradeRoute(deps, {
        name: 'meeting',
        closed: () => (hub() ? null : 'the meetings are not served here now'),
        enter(c) {
          const { meeting, key, first } = c.req.param() as Record<'meeting' | 'key' | 'first', string>
          return (socket) => {
            const client = new Client(socket, deps, { isScreen })
            const serving = hub()
            if (serving) serving.join({ client, meeting: toId(meeting), key, first: toId(first) })
            else client.close()
            return client
          }
        },
      }),
    )
  return app
}

/** Digits as a number that SQL's bigint holds: beyond it there is neither a meeting nor a line. */
const toId = (digits: string): number => Math.min(Number(digits), Number.MAX_SAFE_INTEGER)
