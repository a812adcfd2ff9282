import { Hono } from 'hono'
import type { Door, DoorHub } from '../hub/door.ts'
import { importKey } from './access.ts'
import { Budget } from './budget.ts'
import { documentEvents, documentMetrics, type DocumentStats, type Log } from './events.ts'
import { anonymousDocuments, type DocumentConfig, documentFlags } from './flags.ts'
import { DocumentHub } from './hub.ts'
import { documentPath, documentRoutes } from './routes.ts'
import { documentSchema } from './schema.ts'

/** Limit of client messages that wait at the document door, in bytes. */
const maxHeldBytes = 512 * 1024 * 1024
/** A message that is a little too long is answered; one that is much longer ends its connection. */
const frameSlack = 64 * 1024

/** Of the process, as its memory is: connections outlive a hub whose lease is lost. */
const heldByClients = new Budget(maxHeldBytes)

type Hub = DoorHub<DocumentStats> & { readonly documents: DocumentHub }

/** Documents that several draw or write on, for Zwibbler clients. */
export const documentDoor = {
  name: 'document',
  title: 'the documents',
  flags: documentFlags,
  schema: documentSchema,
  events: documentEvents,
  metrics: documentMetrics,
  connections: { pool: 2, listening: 0 },
  serving: 'one owner a room',

  async open(node, config, { epoch, onFenced }) {
    const { jwtKey, webhook, credentials } = config
    const log: Log = node.log
    const documents = new DocumentHub(epoch, {
      ...node,
      ...config,
      jwtKey: jwtKey && (await importKey(jwtKey)),
      webhook: webhook === null ? null : { url: webhook, user: '', password: '', ...credentials },
      budget: heldByClients,
      onFenced,
    })
    return {
      documents,
      stats: () => ({ ...documents.stats(), heldBytes: heldByClients.bytes }),
      trouble: () => null,
      announce: () => log({ level: 'info', event: 'documentsServing' }),
      drain: () => documents.drain(),
      close: () => documents.close(),
    }
  },

  routes(edge, config, hub) {
    const app = new Hono()
    app.route(
      '/',
      documentRoutes({
        ...edge,
        ...config,
        origins: () => config.origins,
        budget: heldByClients,
        hub: () => hub()?.documents ?? null,
      }),
    )
    // Which sketch is behind the # of its address.
    app.get('/document/demo', edge.page('sketch'))
    return app
  },

  maxFrames: ({ maxMessage }) => ({ [documentPath]: maxMessage + frameSlack }),

  exposure(config) {
    const reason = anonymousDocuments(config)
    return reason === null ? null : { event: 'documentsPublic', reason }
  },
} as const satisfies Door<DocumentConfig, DocumentStats, Hub>
