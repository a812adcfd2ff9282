const step = Math.log(1.01)
const size = 2048

/** Counts of latencies in buckets that grow by 1 %, from a microsecond to ten minutes. */
export class Histogram {
  readonly counts: number[]

  constructor(counts: number[] = Array.from({ length: size }, () => 0)) {
    this.counts = counts
  }

  add(microseconds: number): void {
    const bucket = microseconds <= 1 ? 0 : Math.min(size - 1, Math.floor(Math.log(microseconds) / step))
    this.counts[bucket] = (this.counts[bucket] ?? 0) + 1
  }

  merge(other: Histogram): void {
    for (const [bucket, count] of other.counts.entries())
      this.counts[bucket] = (this.counts[bucket] ?? 0) + count
  }

  /** The latency in milliseconds that `share` (0 to 1) of all stay below; 0 of none. */
  quantile(share: number): number {
    const total = this.counts.reduce((sum, count) => sum + count, 0)
    let seen = 0
    for (const [bucket, count] of this.counts.entries()) {
      seen += count
      if (count > 0 && seen >= share * total) return Math.exp((bucket + 1) * step) / 1000
    }
    return 0
  }
}
