const perDoubling = 8
/** Of a microsecond, in milliseconds: what is shorter counts as that. */
const least = 0.001
/** Up to somewhat over an hour. */
const buckets = 32 * perDoubling

/** How long things took, in buckets that are a tenth apart: its size does not depend on how many they were. */
export class Durations {
  readonly #counts = new Uint32Array(buckets)
  #all = 0

  /** Takes one up (milliseconds). */
  add(milliseconds: number): void {
    const bucket = Math.ceil(Math.log2(milliseconds / least) * perDoubling)
    const index = Math.min(buckets - 1, Math.max(0, bucket))
    this.#counts[index] = (this.#counts[index] ?? 0) + 1
    this.#all++
  }

  /** Milliseconds within which so great a share of them were done, at most a tenth too many; null where there were none. */
  quantile(share: number): number | null {
    if (this.#all === 0) return null
    let below = 0
    for (const [bucket, count] of this.#counts.entries()) {
      below += count
      if (below >= share * this.#all) return least * 2 ** (bucket / perDoubling)
    }
    return null
  }

  /** Begins anew. */
  clear(): void {
    this.#counts.fill(0)
    this.#all = 0
  }
}
