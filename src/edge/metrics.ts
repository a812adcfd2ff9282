import { monitorEventLoopDelay } from 'node:perf_hooks'
import { Hono } from 'hono'
import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { LogEntry } from './log.ts'
import { memoryInUse } from './memory.ts'
import type { Pulse } from './pulse.ts'
import { type RefusalReason, refusalReasons } from './refusals.ts'

/** What there is at the moment, asked for at each scrape. */
export type Census = {
  connections: number
  /** How many there may be; 0 is without limit. */
  maxConnections: number
  pending: number
  unsentBytes: number
  databaseConnections: number
  /** Entries of the log that could not be written, since the start. */
  logLost: number
  serving: boolean
  meetings: Readonly<Record<string, number>>
  people: Readonly<Record<'here' | 'away', number>>
  queuedCommands: number
  /** Null where there is no chat. */
  chat: Readonly<{ rooms: number; queued: number }> | null
  /** Null where no documents are served. */
  documents: Readonly<{ rooms: number; queued: number; heldBytes: number }> | null
}

const seconds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
/** Counted from 0 on: an alert on growth does not see a series begin. */
const refusals = ['origin', 'too many connections', 'too many connections from this address']
const percentiles = [50, 90, 99]

/**
 * The figures of this process in Prometheus' text format. Labels are words of our own, never anything that a client or the
 * database said.
 */
export class Metrics {
  readonly #registry = new Registry()
  readonly #lines = this.#counter('lines', 'Lines stored in records')
  readonly #appends = this.#counter('document_appends', 'Appends stored in documents')
  readonly #appendedBytes = this.#counter('document_bytes', 'Bytes stored in documents')
  readonly #votes = this.#counter('votes', 'Votes stored, changed ones too')
  readonly #entries = this.#counter('entries', 'Attempts to enter a meeting by what came of them', [
    'result',
    'reason',
  ])
  readonly #rejections = this.#counter('rejections', 'Commands answered by an error, by its text', ['reason'])
  readonly #disconnects = this.#counter('disconnects', 'Connections of members that ended, by how', [
    'reason',
  ])
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
  readonly #census: () => Census
  readonly #pulse: Pulse
  /** Taken once a scrape, for all that asks for it. */
  #now: Census
  readonly #loop = monitorEventLoopDelay({ resolution: 10 })

  /** `pulse` hears of all that is counted by the second. */
  constructor(build: { version: string; runtime: string }, census: () => Census, pulse: Pulse) {
    this.#census = census
    this.#pulse = pulse
    this.#now = census()
    for (const reason of refusals) this.#refused.inc({ reason }, 0)
    for (const reason of refusalReasons) this.#requestsRefused.inc({ reason }, 0)
    this.#gauge('build_info', 'What is running', ['version', 'runtime'], (set) => set(1, build))
    this.#gauge('serving', '1 where this process serves the meetings', [], (set) =>
      set(Number(this.#now.serving)),
    )
    this.#gauge('connections', 'Websockets', [], (set) => set(this.#now.connections))
    this.#gauge('connections_limit', 'How many websockets there may be; 0 is without limit', [], (set) =>
      set(this.#now.maxConnections),
    )
    this.#gauge('connections_pending', 'Connections that are no websockets, or not yet', [], (set) =>
      set(this.#now.pending),
    )
    this.#gauge('unsent_bytes', 'What waits for clients to read it', [], (set) => set(this.#now.unsentBytes))
    this.#gauge('queued_commands', 'Commands that wait in the mailboxes of meetings', [], (set) =>
      set(this.#now.queuedCommands),
    )
    this.#gauge('database_connections', 'Connections to PostgreSQL', [], (set) =>
      set(this.#now.databaseConnections),
    )
    this.#total('log_entries_lost', 'Entries of the log that could not be written', () => this.#now.logLost)
    this.#gauge('meetings', 'Meetings that are known here, by state', ['state'], (set) => {
      for (const [state, count] of Object.entries(this.#now.meetings)) set(count, { state })
    })
    this.#gauge(
      'people',
      'Members in meetings: connected, or away for less than the grace time',
      ['presence'],
      (set) => {
        for (const [presence, count] of Object.entries(this.#now.people)) set(count, { presence })
      },
    )
    this.#gauge('chat_rooms', 'Chat rooms in which somebody is', [], (set) => set(this.#now.chat?.rooms ?? 0))
    this.#gauge('chat_queued_lines', 'Lines that wait to be stored in chat rooms', [], (set) =>
      set(this.#now.chat?.queued ?? 0),
    )
    this.#gauge('documents', 'Documents that somebody has open', [], (set) =>
      set(this.#now.documents?.rooms ?? 0),
    )
    this.#gauge('document_queued_commands', 'Commands that wait in the mailboxes of documents', [], (set) =>
      set(this.#now.documents?.queued ?? 0),
    )
    this.#gauge('document_held_bytes', "Bytes of clients' messages that wait to be done", [], (set) =>
      set(this.#now.documents?.heldBytes ?? 0),
    )
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

  /** Counts what the log is told. */
  count(entry: LogEntry): void {
    this.#logEntries.inc({ level: entry.level, event: entry.event })
    const { event } = entry
    if (event === 'entered') this.#entries.inc({ result: entry.arrival, reason: '' })
    else if (event === 'refused') this.#entries.inc({ result: 'refused', reason: entry.reason })
    else if (event === 'ended') this.#disconnects.inc({ reason: entry.how })
    else if (event === 'connectionRefused') this.#refused.inc({ reason: entry.reason })
    else if (event === 'originRefused') this.#refused.inc({ reason: 'origin' })
    else if (event === 'slowReader') this.#slowReaders.inc()
    else if (event === 'entryFailed') this.databaseFailed()
  }

  committed(milliseconds: number, { lines, votes }: { lines: number; votes: number }): void {
    this.#commits.observe(milliseconds / 1000)
    this.#lines.inc(lines)
    this.#votes.inc(votes)
    this.#pulse.committed(milliseconds, { lines, votes })
  }

  /** Of so many appends to documents, with so many bytes. */
  appended(appends: number, bytes: number): void {
    this.#appends.inc(appends)
    this.#appendedBytes.inc(bytes)
  }

  refusedRequest(reason: RefusalReason): void {
    this.#requestsRefused.inc({ reason })
  }

  databaseFailed(): void {
    this.#databaseFailures.inc()
  }

  fannedOut(milliseconds: number, deliveries: number): void {
    this.#fanOuts.observe(milliseconds / 1000)
    this.#deliveries.inc(deliveries)
    this.#pulse.fannedOut(milliseconds, deliveries)
  }

  /** `reason` is one of the texts that members get, of which there are so many and no more. */
  rejected(reason: string): void {
    this.#rejections.inc({ reason })
  }

  /** `GET /metrics`. */
  routes(): Hono {
    const app = new Hono()
    app.get('/metrics', async (c) => {
      this.#now = this.#census()
      return c.body(await this.#registry.metrics(), 200, { 'content-type': this.#registry.contentType })
    })
    return app
  }

  close(): void {
    this.#loop.disable()
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
