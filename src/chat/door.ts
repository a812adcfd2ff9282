import { Hono } from 'hono'
import { NotifyBus } from '../db/notify-bus.ts'
import type { Door, DoorHub } from '../hub/door.ts'
import { chatEvents, chatMetrics, type ChatStats, type Log } from './events.ts'
import { type ChatConfig, chatFlags } from './flags.ts'
import { ChatHub } from './hub.ts'
import { chatRoutes } from './routes.ts'
import { chatSchema } from './schema.ts'

type Hub = DoorHub<ChatStats> & { readonly chat: ChatHub }

/** Rooms with session keys, for the clients of nodejschat and others. */
export const chatDoor = {
  name: 'chat',
  title: 'the chat',
  flags: chatFlags,
  schema: chatSchema,
  events: chatEvents,
  metrics: chatMetrics,
  connections: { pool: 2, listening: 1 },
  serving: 'every node',

  async open(node, config) {
    const { database } = node
    const log: Log = node.log
    const bus = new NotifyBus(database.options, database.pool)
    const chat = new ChatHub({ ...node, ...config, bus })
    return {
      chat,
      stats: () => chat.stats(),
      trouble: () => (chat.databaseFails ? 'the chat cannot read its log' : null),
      announce: () => log({ level: 'info', event: 'chatServing', schema: config.schema }),
      drain: () => chat.drain(),
      close: () => bus.close(),
    }
  },

  routes(edge, _config, hub) {
    const app = new Hono()
    app.route('/', chatRoutes({ ...edge, hub: () => hub()?.chat ?? null }))
    // Its key is in the query, which the page takes out of the address.
    app.get('/chat', edge.page('chat'))
    return app
  },

  figures: (stats) => ({ chat: stats }),
} as const satisfies Door<ChatConfig, ChatStats, Hub>
