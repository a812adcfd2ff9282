import type { Context, Hono } from 'hono'
import type { ISql, Sql, TransactionSql } from 'postgres'
import type { FlagTable } from '../config/flag.ts'
import type { DatabaseOptions } from '../db/conninfo.ts'
import type { Bulkhead } from '../db/contention.ts'
import type { PoolOptions } from '../db/pool.ts'
import type { ForeignTables } from '../db/rights.ts'
import type { Migrations } from '../db/schema.ts'
import type { Attempt } from '../db/trial.ts'
import type { UpgradeDeps } from '../edge/upgrade.ts'
import type { EventTable } from '../edge/events.ts'
import type { AuthThrottle } from '../edge/auth-throttle.ts'
import type { Log, LogEntry } from '../edge/log.ts'
import type { MetricTable } from '../edge/metric-table.ts'
import type { Metrics } from '../edge/metrics.ts'

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

/** What a command has to say, and whether it did what it was asked. */
export type Outcome = { text: string; ok: boolean }

/** A command of the command line that a door brings. */
export type DoorCommand<Input = unknown> = Readonly<{
  name: string
  /** What stands behind its name, '' for nothing. */
  args: string
  /** For the usage text. */
  help: string
  /** For the manual page. */
  manual: string
  /** Reads what stands behind the name, where something has to. Throws `UsageError`. */
  parse?(positional: readonly string[]): Input
  run(sql: Sql, input: Input): Promise<Outcome>
}>

/** What a door has of its node. */
export type Node = Bulkhead &
  Readonly<{
    version: string
    clock: () => number
    /** A door narrows it to what its own table of events allows. */
    log: Log<LogEntry>
    metrics: Metrics
    authThrottle: AuthThrottle
    pollMs: number
    /** Commands a second and connection; 0 is without limit. It may change. */
    ratePerSecond: () => number
    /** For a connection besides those of `sql`, as to listen on. */
    database: Readonly<{ options: DatabaseOptions; pool: Omit<PoolOptions, 'max'> }>
  }>

/** The same, and what its routes need besides. */
export type Edge = Node &
  UpgradeDeps &
  Readonly<{
    /** Whether the database has answered, and has the tables. */
    prepared: () => boolean
    databaseAnswers: () => Promise<boolean>
    /** The built page of this name (src/page/client). */
    page: (name: string) => (context: Context) => Response | Promise<Response>
  }>

/** That this process is the one that serves rooms of one owner: writes name `epoch`, so that they fail once another is. */
export type Ownership = Readonly<{
  epoch: string
  /** A write was refused because another process is. */
  onFenced: () => void
}>

/** A door that is served. */
export type DoorHub<Stats = unknown> = Readonly<{
  stats(): Stats
  /** In words, what keeps it from serving well; null where nothing does. */
  trouble(): string | null
  /** Says in the log that it is served. */
  announce(): void
  /** Does and sends what is under way, then ends all connections. */
  drain(): Promise<void>
  /** Ends all connections without a word, and gives back what it has; after `drain` what is left of that. */
  close(): void | Promise<void>
}>

type Serving<Config, Hub> =
  | {
      /** Each room is served by one process at a time, which has the lease. */
      serving: 'one owner a room'
      open(node: Node, config: Config, ownership: Ownership): Promise<Hub>
    }
  | {
      /** Several processes may serve a room at the same time. */
      serving: 'every node'
      open(node: Node, config: Config): Promise<Hub>
    }

/**
 * One kind of room with all that belongs to it. `src/doors.ts` lists those that there are. (Methods and not functions: a list of
 * doors with different configs is one of `Door`. A door's config comes of its own flags and of nowhere else.)
 */
export type Door<Config = unknown, Stats = unknown, Hub extends DoorHub<Stats> = DoorHub<Stats>> = Readonly<
  {
    name: string
    /** For people, with its article. */
    title: string
    /** Its part of the command line. Where its config is null it is not served. */
    flags: FlagTable<Config | null>
    commands?: readonly DoorCommand[]
    schema: DoorSchema<Config>
    /** What it logs. */
    events: EventTable
    metrics: MetricTable<never, Stats>
    /** How many connections to the database it has, and how many more it opens to listen on. */
    connections: 'the rest' | Readonly<{ pool: number; listening: number }>
    /** Websocket subprotocols that it speaks. */
    subprotocols?: readonly string[]
    /** The longest message of a client in bytes, by path, where it is not the usual one. */
    maxFrames?(config: Config): Readonly<Record<string, number>>
    /** What an operator may not have meant, as an entry of the log. */
    exposure?(config: Config): Readonly<{ event: string; reason: string }> | null
    /** Its websockets and pages. `hub` gives null while it is not served here. */
    routes(edge: Edge, config: Config, hub: () => Hub | null): Hono
    /** For the operator, where status and health are. */
    operatorRoutes?(about: About, hub: () => Hub | null): Hono
    /** What `/status.json` says of it, beside its figures. */
    report?(hub: Hub | null): Readonly<Record<string, unknown>>
    figures?(stats: Stats | null): Readonly<Record<string, unknown>>
  } & Serving<Config, Hub>
>

/** What is running. */
export type About = Readonly<{ version: string; runtime: string; upSince: Date }>
