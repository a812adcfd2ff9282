import { Histogram } from './histogram.ts'
import { memoryInUse } from './memory.ts'

const everyMs = 5000
const kept = 120
const lookEveryMs = 50

/** What a sample takes from elsewhere. */
export type PulseCensus = {
  connections: number
  unsentBytes: number
  databaseConnections: number
  queuedCommands: number
  people: Readonly<Record<'here' | 'away', number>>
}

/** What happened in `everyMs`, and how things were at its end. Latencies are milliseconds, null where there were none. */
export type Sample = {
  linesPerSecond: number
  votesPerSecond: number
  deliveriesPerSecond: number
  commitP50: number | null
  commitP99: number | null
  fanOutP50: number | null
  fanOutP99: number | null
  /** How late a timer was. */
  loopP99: number | null
  cpuPercent: number
  connections: number
  people: number
  queuedCommands: number
  unsentBytes: number
  databaseConnections: number
  residentBytes: number
  heapBytes: number
}

/** Equally long lists, oldest first, one for each figure. */
export type History = {
  everySeconds: number
  /** When the newest sample was taken, in milliseconds since 1970. */
  at: number
  series: { [Name in keyof Sample]: Sample[Name][] }
}

/** The figures of the last ten minutes, for whoever looks at the status page. */
export class Pulse {
  readonly #census: () => PulseCensus
  readonly #samples: Sample[] = []
  readonly #commits = new Histogram()
  readonly #fanOuts = new Histogram()
  readonly #delays = new Histogram()
  readonly #timers: NodeJS.Timeout[]
  #looked = performance.now()
  #lines = 0
  #votes = 0
  #deliveries = 0
  #cpu = process.cpuUsage()
  #began = performance.now()
  #at = Date.now()

  constructor(census: () => PulseCensus) {
    this.#census = census
    this.#timers = [setInterval(() => this.#take(), everyMs), setInterval(() => this.#look(), lookEveryMs)]
    for (const timer of this.#timers) timer.unref()
  }

  committed(milliseconds: number, { lines, votes }: { lines: number; votes: number }): void {
    this.#commits.add(milliseconds)
    this.#lines += lines
    this.#votes += votes
  }

  fannedOut(milliseconds: number, deliveries: number): void {
    this.#fanOuts.add(milliseconds)
    this.#deliveries += deliveries
  }

  /** What has been sampled so far. */
  history(): History {
    const names = Object.keys(this.#samples[0] ?? {}) as (keyof Sample)[]
    const series = Object.fromEntries(
      names.map((name) => [name, this.#samples.map((sample) => sample[name])]),
    )
    return { everySeconds: everyMs / 1000, at: this.#at, series: series as History['series'] }
  }

  close(): void {
    for (const timer of this.#timers) clearInterval(timer)
  }

  /** Not by monitorEventLoopDelay: the runtimes do not mean the same by it. */
  #look(): void {
    const now = performance.now()
    this.#delays.add(Math.max(0, now - this.#looked - lookEveryMs))
    this.#looked = now
  }

  #take(): void {
    const now = performance.now()
    // Longer than it should be, where the loop was held up.
    const seconds = (now - this.#began) / 1000
    const { user, system } = process.cpuUsage(this.#cpu)
    const { connections, unsentBytes, databaseConnections, queuedCommands, people } = this.#census()
    this.#samples.push({
      linesPerSecond: round(this.#lines / seconds),
      votesPerSecond: round(this.#votes / seconds),
      deliveriesPerSecond: round(this.#deliveries / seconds),
      commitP50: round(this.#commits.quantile(0.5)),
      commitP99: round(this.#commits.quantile(0.99)),
      fanOutP50: round(this.#fanOuts.quantile(0.5)),
      fanOutP99: round(this.#fanOuts.quantile(0.99)),
      loopP99: round(this.#delays.quantile(0.99)),
      cpuPercent: round((user + system) / 1e4 / seconds),
      connections,
      people: people.here + people.away,
      queuedCommands,
      unsentBytes,
      databaseConnections,
      ...memoryInUse(),
    })
    if (this.#samples.length > kept) this.#samples.shift()
    this.#lines = 0
    this.#votes = 0
    this.#deliveries = 0
    this.#commits.clear()
    this.#fanOuts.clear()
    this.#delays.clear()
    this.#cpu = process.cpuUsage()
    this.#began = now
    this.#at = Date.now()
  }
}

function round<T extends number | null>(value: T): T {
  return (value === null ? null : Number(value.toPrecision(3))) as T
}
