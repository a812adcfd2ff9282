import { Histogram } from './histogram.ts'
import { memoryInUse } from './memory.ts'

const everyMs = 5000
const kept = 120
const lookEveryMs = 50

/** What a sample takes from elsewhere. */
export type SampledStats = {
  connections: number
  unsentBytes: number
  databaseConnections: number
}

/**
 * What happened in `everyMs`, and how things were at its end, by names: what is counted by the second, latencies in
 * milliseconds (null where there were none), and figures of the moment.
 */
type Sample = Readonly<Record<string, number | null>>

/** Equally long lists, oldest first, one for each figure. */
export type History = {
  everySeconds: number
  /** When the newest sample was taken, in milliseconds since 1970. */
  at: number
  series: Readonly<Record<string, (number | null)[]>>
}

/** The figures of the last ten minutes, for whoever looks at the status page. */
export class StatsSampler {
  readonly #stats: () => SampledStats
  readonly #samples: Sample[] = []
  readonly #commits = new Histogram()
  readonly #fanOuts = new Histogram()
  readonly #delays = new Histogram()
  readonly #timers: NodeJS.Timeout[]
  #looked = performance.now()
  /** By name, since the last sample. */
  readonly #counts = new Map<string, number>()
  readonly #readings = new Map<string, () => number>()
  #deliveries = 0
  #cpu = process.cpuUsage()
  #began = performance.now()
  #at = Date.now()

  constructor(stats: () => SampledStats) {
    this.#stats = stats
    this.#timers = [setInterval(() => this.#take(), everyMs), setInterval(() => this.#look(), lookEveryMs)]
    for (const timer of this.#timers) timer.unref()
  }

  /** From now on samples have `NAMEPerSecond`, of what `counted` is told. */
  counts(name: string): void {
    this.#counts.set(name, 0)
  }

  /** From now on samples have what `read` gives, under this name. */
  reads(name: string, read: () => number): void {
    this.#readings.set(name, read)
  }

  counted(name: string, count: number): void {
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + count)
  }

  committed(milliseconds: number): void {
    this.#commits.add(milliseconds)
  }

  fannedOut(milliseconds: number, deliveries: number): void {
    this.#fanOuts.add(milliseconds)
    this.#deliveries += deliveries
  }

  /** What has been sampled so far. */
  history(): History {
    const series = Object.fromEntries(
      Object.keys(this.#samples[0] ?? {}).map((name) => [
        name,
        this.#samples.map((sample) => sample[name] ?? null),
      ]),
    )
    return { everySeconds: everyMs / 1000, at: this.#at, series }
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
    const { connections, unsentBytes, databaseConnections } = this.#stats()
    const counts = Array.from(this.#counts, ([name, count]) => [`${name}PerSecond`, round(count / seconds)])
    const readings = Array.from(this.#readings, ([name, read]) => [name, read()])
    this.#samples.push({
      ...(Object.fromEntries(counts) as Sample),
      deliveriesPerSecond: round(this.#deliveries / seconds),
      commitP50: round(this.#commits.quantile(0.5)),
      commitP99: round(this.#commits.quantile(0.99)),
      fanOutP50: round(this.#fanOuts.quantile(0.5)),
      fanOutP99: round(this.#fanOuts.quantile(0.99)),
      loopP50: round(this.#delays.quantile(0.5)),
      loopP99: round(this.#delays.quantile(0.99)),
      cpuPercent: round((user + system) / 1e4 / seconds),
      connections,
      ...(Object.fromEntries(readings) as Sample),
      unsentBytes,
      databaseConnections,
      ...memoryInUse(),
    })
    if (this.#samples.length > kept) this.#samples.shift()
    for (const name of this.#counts.keys()) this.#counts.set(name, 0)
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
