import { memoryInUse } from './edge/memory.ts'
import type { ServerStats } from './edge/metrics.ts'
import type { StatsSampler } from './edge/stats-sampler.ts'
import type { RecentEntries } from './edge/recent.ts'
import { doors } from './doors.ts'
import type { About, Door } from './hub/door.ts'
import type { Serving } from './serving.ts'

export type ReportDeps = Readonly<{
  about: About
  maxDatabaseConnections: number
  serving: Serving
  stats: () => ServerStats
  sampler: StatsSampler
  recent: RecentEntries
}>

/** What `/status.json` answers: how the server stands and has stood, and what its doors say of themselves. */
export function report(deps: ReportDeps): Readonly<Record<string, unknown>> {
  const { about, maxDatabaseConnections, serving, sampler, recent } = deps
  const { logLost: _, ...figures } = deps.stats()
  const hubs = doors.map((door: Door) => ({ door, hub: serving.hub(door.name) }))
  const ofDoors = hubs.map(({ door, hub }) => door.figures?.(hub?.stats() ?? null))
  return {
    waitsFor: serving.waiting(),
    version: about.version,
    runtime: about.runtime,
    pid: process.pid,
    upSince: about.upSince.getTime(),
    now: Date.now(),
    maxDatabaseConnections,
    figures: Object.assign({}, figures, ...ofDoors, memoryInUse()) as unknown,
    history: sampler.history(),
    ...(Object.assign({}, ...hubs.map(({ door, hub }) => door.report?.(hub))) as object),
    recent: recent.list(),
  }
}
