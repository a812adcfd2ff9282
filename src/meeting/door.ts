import { Hono } from 'hono'
import type { Door, DoorHub } from '../hub/door.ts'
import { meetingCommands } from './commands.ts'
import { type Log, meetingEvents, meetingMetrics, type MeetingStats } from './events.ts'
import { type MeetingConfig, meetingFlags } from './flags.ts'
import { MeetingHub } from './hub.ts'
import { subprotocol } from './protocol.ts'
import { recordRoutes } from './record/routes.ts'
import { meetingRoutes } from './routes.ts'
import { meetingSchema } from './schema.ts'

const pagePath = '/meeting/:meeting{[0-9]+}/:key{[A-Za-z0-9_-]{54}}'

type Hub = DoorHub<MeetingStats> & { readonly meetings: MeetingHub }

/** Web meetings of an association that runs pgeu-system. */
export const meetingDoor = {
  name: 'meeting',
  title: 'the meetings',
  flags: meetingFlags,
  commands: meetingCommands,
  schema: meetingSchema,
  events: meetingEvents,
  metrics: meetingMetrics,
  connections: 'the rest',
  subprotocols: [subprotocol],
  serving: 'one owner a room',

  async open(node, config, { epoch, onFenced }) {
    const log: Log = node.log
    const meetings = new MeetingHub(epoch, { ...node, ...config, onFenced })
    try {
      await meetings.ready
    } catch (error) {
      meetings.close()
      throw error
    }
    return {
      meetings,
      stats: () => meetings.stats(),
      trouble: () => (meetings.databaseFails ? 'the database does not answer' : null),
      announce: () => log({ level: 'info', event: 'serving', meetings: meetings.size }),
      drain: () => meetings.drain(),
      close: () => meetings.close(),
    }
  },

  routes(edge, _config, hub) {
    const app = new Hono()
    app.route('/', meetingRoutes({ ...edge, hub: () => hub()?.meetings ?? null }))
    app.route('/', recordRoutes(edge))
    // One document for everyone: whose key the address holds is found out when its websocket joins, so that nothing is
    // looked up here and no address tells more than another.
    // (With a slash behind it, that is how the record's page leads back without having the key in it.)
    app.on('GET', [pagePath, `${pagePath}/`], edge.page('meeting'))
    // Without the key it is what the browser shows of the same page, to all who see the screen.
    app.on('GET', [`${pagePath}/hall`, '/meeting/:meeting{[0-9]+}/hall'], edge.page('hall'))
    return app
  },

  operatorRoutes({ version, runtime, upSince }, hub) {
    const app = new Hono()
    app.get('/__meetingstatus', (c) =>
      c.json({
        upsince: upSince.toISOString(),
        timestamp: new Date().toISOString(),
        runtime: { version, runtime },
        meetings: hub()?.meetings.status() ?? [],
      }),
    )
    return app
  },

  report: (hub) => ({ meetings: hub?.meetings.overview() ?? [] }),
  figures: (stats) => ({
    queuedCommands: stats?.queuedCommands ?? 0,
    ...(stats?.people ?? { here: 0, away: 0 }),
  }),
} as const satisfies Door<MeetingConfig, MeetingStats, Hub>
