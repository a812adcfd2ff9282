import type { ISql, Sql, TransactionSql } from 'postgres'
import type { FlagTable } from '../config/flag.ts'
import type { ForeignTables } from '../db/rights.ts'
import type { Migrations } from '../db/schema.ts'
import type { Attempt } from '../db/trial.ts'
import type { EventTable } from '../edge/events.ts'
import type { MetricTable } from '../edge/metric-table.ts'

/** The tables of a door. (Methods and not functions: schemas of different doors stand in one list.) */
export type DoorSchema<Config = unknown> = Readonly<{
  /** Of its tables in schema plenum, which are there whether it is served or not. */
  migrations: Migrations
  /** What it needs of another program's tables. */
  foreign?: ForeignTables
  /** Makes what it needs outside of schema plenum, where that is not there; says in words what was made. */
  make?(sql: Sql, config: Config): Promise<string | null>
  /** Throws `SetupError` where something is missing. Returns statements that are not needed but would make it faster. */
  check?(sql: ISql, config: Config): Promise<string[]>
  /** Tries to write to the tables outside of schema plenum; it is rolled back. */
  trial?(tx: TransactionSql, attempt: Attempt, config: Config): Promise<void>
}>

/** One kind of room with all that belongs to it. `src/doors.ts` lists those that there are. */
export type Door<Config = unknown, Stats = unknown> = Readonly<{
  name: string
  /** Its part of the command line. Where its config is null it is not served. */
  flags: FlagTable<Config | null>
  schema: DoorSchema<Config>
  /** What it logs. */
  events: EventTable
  metrics: MetricTable<never, Stats>
}>
