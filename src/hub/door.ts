import type { FlagTable } from '../config/flag.ts'
import type { EventTable } from '../edge/events.ts'
import type { MetricTable } from '../edge/metric-table.ts'

/** One kind of room with all that belongs to it. `src/doors.ts` lists those that there are. */
export type Door<Config = unknown, Stats = unknown> = Readonly<{
  name: string
  /** Its part of the command line. Where its config is null it is not served. */
  flags: FlagTable<Config | null>
  /** What it logs. */
  events: EventTable
  metrics: MetricTable<never, Stats>
}>
