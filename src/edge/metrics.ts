import { monitorEventLoopDelay } from 'node:perf_hooks'
import { Hono } from 'hono'
import Counter from 'prom-client/lib/counter.js'
import Gauge from 'prom-client/lib/gauge.js'
import Histogram from 'prom-client/lib/histogram.js'
import Registry from 'prom-client/lib/registry.js'
import type { ServerEntry } from './events.ts'
import type { LogEntry } from './log.ts'
import { memoryInUse } from './memory.ts'
import type { MetricTable } from './metric-table.ts'
import type { StatsSampler } from './stats-sampler.ts'
import { type RefusalReason, refusalReasons } from './refusals.ts'

/** What there is at the moment, asked for at each scrape. */
export type ServerStats = {
  connections: number
  /** How many there may be; 0 is without limit. */
  maxConnections: number
  pending: number
  unsentBytes: number
  databaseConnections: number
  /** Entries of the log that could not be written, since the start. */
  logLost: number
}

/** What a door counts besides its log. */
export type Metrics<Name extends string = string> = {
  /** A commit took so many milliseconds, and stored what the counters of these names count. */
  committed(milliseconds: number, stored: Readonly<Partial<Record<Name, number>>>): void
  databaseFailed(): void
  /** To hand frames to all in a room took so many milliseconds. */
  fannedOut(milliseconds: number, deliveries: number): void
  /** `reason` is one of the texts that clients get, of which there are so many and no more. */
  rejected(reason: string): void
}

const seconds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
/** Counted from 0 on: an alert on growth does not see a series begin. */
const refusals = ['origin', 'too many connections', 'too many connections from this address']
const percentiles = [50, 90, 99]

/**
 * The figures of this process in Prometheus' text format. Labels are words of our own, never anything that a client or the
 * database said.
 */
export class MetricsRegistry {
  readonly #registry = new Registry()
  readonly #counters = new Map<string, { counter: Counter; perSecond: boolean }>()
  readonly #tables: MetricTable[] = []
  readonly #rejections = this.#counter('rejections', 'Commands answered by an error, by its text', ['reason'])
  readonly #refused = this.#counter('connections_refused', 'Upgrades refused, by why', ['reason'])
  readonly #requestsRefused = this.#counter(
    'requests_refused',
    'Requests that were refused before any route had seen them, by why',
    ['reason'],
  )
  readonly #logEntries = this.#counter('log_entries', 'Entries of the log', ['level', 'event'])
  readonly #slowReaders = this.#counter('slow_readers', 'Connections cut because too much was left unread')
  readonly #databaseFailures = this.#counter(
    'database_failures',
    'Commits, look-ups of who enters and looks at the site that the database failed',
  )
  readonly #commits = this.#histogram('commit_seconds', 'How long commits took')
  readonly #fanOuts = this.#histogram(
    'fan_out_seconds',
    'How long it took to hand frames to all in a meeting',
  )
  readonly #deliveries = this.#counter('deliveries', 'Frames handed to connections, each of them counted')
  readonly #stats: () => ServerStats
  readonly #sampler: StatsSampler
  #now: ServerStats
  /** What is there is asked for once a scrape, for all that tells of it. */
  readonly #refreshes = [() => void (this.#now = this.#stats())]
  readonly #loop = monitorEventLoopDelay({ resolution: 10 })

  /** `sampler` hears of all that is counted by the second. */
  constructor(build: { version: string; runtime: string }, stats: () => ServerStats, sampler: StatsSampler) {
    this.#stats = stats
    this.#sampler = sampler
    this.#now = stats()
    for (const reason of refusals) this.#refused.inc({ reason }, 0)
    for (const reason of refusalReasons) this.#requestsRefused.inc({ reason }, 0)
    this.#gauge('build_info', 'What is running', ['version', 'runtime'], (set) => set(1, build))
    this.#gauge('connections', 'Websockets', [], (set) => set(this.#now.connections))
    this.#gauge('connections_limit', 'How many websockets there may be; 0 is without limit', [], (set) =>
      set(this.#now.maxConnections),
    )
    this.#gauge('connections_pending', 'Connections that are no websockets, or not yet', [], (set) =>
      set(this.#now.pending),
    )
    this.#gauge('unsent_bytes', 'What waits for clients to read it', [], (set) => set(this.#now.unsentBytes))
    this.#gauge('database_connections', 'Connections to PostgreSQL', [], (set) =>
      set(this.#now.databaseConnections),
    )
    this.#total('log_entries_lost', 'Entries of the log that could not be written', () => this.#now.logLost)
    this.#loop.enable()
    this.#gauge(
      'event_loop_delay_seconds',
      'Delay of the event loop since the last scrape',
      ['percentile'],
      (set) => {
        for (const percentile of percentiles)
          set(this.#loop.percentile(percentile) / 1e9, { percentile: String(percentile) })
        set(this.#loop.max / 1e9, { percentile: '100' })
        this.#loop.reset()
      },
    )
    this.#process()
  }

  /** Has what `table` names too; `stats` gives what its gauges read, null where the door is not served here. */
  add<Stats, Name extends string>(
    table: MetricTable<never, Stats, Name>,
    stats: () => Stats | null,
  ): Metrics<Name> {
    for (const [name, { help, labels = [], perSecond = false }] of Object.entries<
      MetricTable['counters'][string]
    >(table.counters)) {
      const known = this.#counters.get(name)
      this.#counters.set(name, {
        counter: known?.counter ?? this.#counter(name, help, [...labels]),
        perSecond,
      })
      if (perSecond) this.#sampler.counts(name)
    }
    let now = stats()
    this.#refreshes.push(() => {
      now = stats()
    })
    for (const [name, gauge] of Object.entries(table.gauges)) {
      const { help, label } = gauge
      this.#gauge(name, help, label === undefined ? [] : [label], (set) => {
        const found = gauge.read(now)
        if (typeof found === 'number') set(found)
        else for (const [word, count] of Object.entries(found)) set(count, { [label ?? '']: word })
      })
    }
    for (const [name, read] of Object.entries(table.series ?? {}))
      this.#sampler.reads(name, () => read(stats()))
    this.#tables.push(table)
    return this.metrics
  }

  /** Counts what the log is told. */
  count(entry: LogEntry): void {
    this.#logEntries.inc({ level: entry.level, event: entry.event })
    this.#countOwn(entry as ServerEntry)
    for (const table of this.#tables) {
      const [name = '', labels = {}] = table.counted?.(entry) ?? []
      this.#counters.get(name)?.counter.inc(labels)
    }
  }

  #countOwn(entry: ServerEntry): void {
    if (entry.event === 'connectionRefused') this.#refused.inc({ reason: entry.reason })
    else if (entry.event === 'originRefused') this.#refused.inc({ reason: 'origin' })
    else if (entry.event === 'slowReader') this.#slowReaders.inc()
    else if (entry.event === 'entryFailed') this.#databaseFailures.inc()
  }

  refusedRequest(reason: RefusalReason): void {
    this.#requestsRefused.inc({ reason })
  }

  /** `GET /metrics`. */
  routes(): Hono {
    const app = new Hono()
    app.get('/metrics', async (c) => {
      for (const refresh of this.#refreshes) refresh()
      return c.body(await this.#registry.metrics(), 200, { 'content-type': this.#registry.contentType })
    })
    return app
  }

  close(): void {
    this.#loop.disable()
  }

  /** For whoever counts what the doors count. */
  readonly metrics: Metrics = {
    committed: (milliseconds, stored) => {
      this.#commits.observe(milliseconds / 1000)
      this.#sampler.committed(milliseconds)
      for (const name in stored) this.#stored(name, stored[name] ?? 0)
    },
    databaseFailed: () => this.#databaseFailures.inc(),
    fannedOut: (milliseconds, deliveries) => {
      this.#fanOuts.observe(milliseconds / 1000)
      this.#deliveries.inc(deliveries)
      this.#sampler.fannedOut(milliseconds, deliveries)
    },
    rejected: (reason) => this.#rejections.inc({ reason }),
  }

  #stored(name: string, count: number): void {
    const known = this.#counters.get(name)
    if (!known || count === 0) return
    known.counter.inc(count)
    if (known.perSecond) this.#sampler.counted(name, count)
  }

  #counter<Label extends string>(name: string, help: string, labelNames: Label[] = []): Counter<Label> {
    return new Counter({ name: `plenum_${name}_total`, help, labelNames, registers: [this.#registry] })
  }

  /** A counter of what is counted elsewhere. */
  #total(name: string, help: string, count: () => number): void {
    const counter: Counter = new Counter({
      name: `plenum_${name}_total`,
      help,
      registers: [this.#registry],
      collect() {
        counter.reset()
        counter.inc(count())
      },
    })
  }

  #histogram(name: string, help: string): Histogram {
    return new Histogram({ name: `plenum_${name}`, help, buckets: seconds, registers: [this.#registry] })
  }

  #gauge<Label extends string>(
    name: string,
    help: string,
    labelNames: Label[],
    collect: (set: (value: number, labels?: Record<Label, string>) => void) => void,
  ): void {
    const gauge = new Gauge<Label>({
      name: `plenum_${name}`,
      help,
      labelNames,
      registers: [this.#registry],
      collect() {
        gauge.reset()
        collect((value, labels) => (labels ? gauge.set(labels, value) : gauge.set(value)))
      },
    })
  }

  /** The names that Prometheus gives these for any process. */
  #process(): void {
    const registers = [this.#registry]
    const startedAt = Date.now() / 1000 - process.uptime()
    const read = (name: string, help: string, value: () => number): void => {
      const gauge: Gauge = new Gauge({ name, help, registers, collect: () => gauge.set(value()) })
    }
    read('process_start_time_seconds', 'When this process began', () => startedAt)
    read('process_resident_memory_bytes', 'Memory in use', () => memoryInUse().residentBytes)
    read('nodejs_heap_size_used_bytes', 'JavaScript heap in use', () => memoryInUse().heapBytes)
    const cpu: Counter = new Counter({
      name: 'process_cpu_seconds_total',
      help: 'Processor time used',
      registers,
      collect() {
        const { user, system } = process.cpuUsage()
        cpu.reset()
        cpu.inc((user + system) / 1e6)
      },
    })
  }
}
