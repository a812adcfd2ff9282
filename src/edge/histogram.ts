const growth = Math.log(1.01)
/** From a microsecond, as which a shorter duration counts, to eleven minutes, as which a longer one counts. */
const buckets = 2048
const minMs = 0.001

/** Durations, counted in buckets that grow by a hundredth: its size does not depend on how many they are. */
export class Histogram {
  readonly #counts: Uint32Array

  /** `counts`: those of another one. */
  constructor(counts: readonly number[] = []) {
    this.#counts = new Uint32Array(buckets)
    this.#counts.set(counts)
  }

  /** How many durations are in each bucket, to go to another process. */
  get counts(): number[] {
    return [...this.#counts]
  }

  /** Counts a duration in milliseconds. */
  add(milliseconds: number): void {
    const bucket = Math.floor(Math.log(milliseconds / minMs) / growth)
    // What is no duration counts as the shortest.
    const index = bucket > 0 ? Math.min(buckets - 1, bucket) : 0
    this.#counts[index] = (this.#counts[index] ?? 0) + 1
  }

  /** Counts what `other` has counted. */
  merge(other: Histogram): void {
    for (const [bucket, count] of other.#counts.entries())
      this.#counts[bucket] = (this.#counts[bucket] ?? 0) + count
  }

  /** Milliseconds within which a share (0 to 1) of the durations were, at most a hundredth too many; null of none. */
  quantile(share: number): number | null {
    const all = this.#counts.reduce((sum, count) => sum + count, 0)
    if (all === 0) return null
    let below = 0
    const bucket = this.#counts.findIndex((count) => {
      below += count
      return count > 0 && below >= share * all
    })
    return minMs * Math.exp((bucket + 1) * growth)
  }

  /** Begins anew. */
  clear(): void {
    this.#counts.fill(0)
  }
}
