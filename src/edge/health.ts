import { Hono } from 'hono'

/** Says in words why the server is not ready, or null when it is. */
export type Readiness = () => Promise<string | null>

/** `/livez`: the process answers. `/readyz`: it serves, or says what it waits for. `/healthz`: the two together. */
export function healthRoutes(readiness: Readiness): Hono {
  const app = new Hono()
  let asking: Promise<string | null> | null = null
  // However many ask at once, the database is asked once.
  const ask = (): Promise<string | null> => {
    asking ??= readiness().finally(() => {
      asking = null
    })
    return asking
  }
  // The status is written out because the adapter fails to answer HEAD without it.
  app.get('/livez', (c) => c.text('ok\n', 200))
  app.on('GET', ['/readyz', '/healthz'], async (c) => {
    const reason = await ask()
    return reason === null ? c.text('ok\n', 200) : c.text(`not ready: ${reason}\n`, 503)
  })
  return app
}
