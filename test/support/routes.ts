import { Hono, type MiddlewareHandler } from 'hono'
import type { AppDeps } from '../../src/app.ts'

/** A path that the server has a route for, with `:name{pattern}` for what it holds of its own, and the route's method. */
export type Route = Readonly<{ method: string; path: string }>

/** All routes of the server with all its doors: those for everyone, and those that are the operator's. */
export async function allRoutes(): Promise<{ everyones: Route[]; operators: Route[] }> {
  // Nothing is asked of them: the routes are counted, not run.
  const page = { policy: '', tag: '', size: 0, brotli: '', gzip: '' }
  Object.assign(globalThis, {
    PLENUM_PAGES: { meeting: page, hall: page, status: page, chat: page, sketch: page },
  })
  const { createApps } = await import('../../src/app.ts')
  const { doors } = await import('../../src/doors.ts')
  const registry = { routes: () => new Hono().get('/metrics', (c) => c.text('')) }
  const ownHost: MiddlewareHandler = async (_c, next) => await next()
  const retrier = (): undefined => undefined
  const served = doors.map((door) => ({ door, config: {}, node: { retrier } }))
  const deps = { doors: served, serving: {}, about: {}, proxy: {}, registry, adminApart: true, ownHost }
  const { app, admin } = createApps(deps as unknown as AppDeps)
  const routesOf = ({ routes }: Hono): Route[] => routes.filter(({ path }) => !path.endsWith('*'))
  return { everyones: routesOf(app), operators: routesOf(admin) }
}

/** The path with `values` in place of what it holds. */
export function fillPath(path: string, values: Record<string, string>): string {
  return path.replace(/:(\w+)\{[^/]*\}(?=\/|$)/g, (_all, name: string) => values[name] ?? '')
}
