import type { Session } from 'node:inspector/promises'
import { Hono, type MiddlewareHandler } from 'hono'

const defaultSeconds = 30
const maxSeconds = 300

/**
 * CPU profile and heap snapshot of this process, in the formats that Chrome DevTools opens. Without authentication: for a
 * listener of its own, where `ownHost` refuses who does not mean it. The paths are those of Go's profiler.
 */
export function profileRoutes(ownHost: MiddlewareHandler): Hono {
  const app = new Hono()
  app.use(ownHost)
  app.get('/', (c) =>
    c.text('/debug/pprof/profile?seconds=30 (.cpuprofile)\n/debug/pprof/heap (.heapsnapshot)\n'),
  )
  app.get('/debug/pprof/profile', async (c) => {
    const seconds = Number(c.req.query('seconds') ?? defaultSeconds)
    if (!(seconds > 0 && seconds <= maxSeconds)) return c.text(`seconds: a number up to ${maxSeconds}\n`, 400)
    const profile = await inspect(async (session) => {
      await session.post('Profiler.enable')
      await session.post('Profiler.start')
      await new Promise((resolve) => {
        setTimeout(resolve, seconds * 1000)
      })
      const { profile } = await session.post('Profiler.stop')
      return JSON.stringify(profile)
    })
    return attachment(profile, 'plenum.cpuprofile')
  })
  app.get('/debug/pprof/heap', async () => {
    const snapshot = await inspect(async (session) => {
      const chunks: string[] = []
      session.on('HeapProfiler.addHeapSnapshotChunk', ({ params }) => chunks.push(params.chunk))
      await session.post('HeapProfiler.takeHeapSnapshot')
      return chunks.join('')
    })
    return attachment(snapshot, 'plenum.heapsnapshot')
  })
  app.onError((error, c) => c.text(`this runtime cannot do that: ${error.message}\n`, 501))
  return app
}

async function inspect(work: (session: Session) => Promise<string>): Promise<string> {
  // Loaded when it is needed: a runtime without it serves everything else.
  const inspector = await import('node:inspector/promises')
  const session = new inspector.Session()
  session.connect()
  try {
    return await work(session)
  } finally {
    session.disconnect()
  }
}

function attachment(body: string, name: string): Response {
  return new Response(body, {
    headers: { 'content-type': 'application/json', 'content-disposition': `attachment; filename="${name}"` },
  })
}
