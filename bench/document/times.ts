import { Histogram } from '../../src/edge/histogram.ts'

/** Microseconds from one screen to another: how they spread, and their ends and sum. */
export class Times {
  histogram = new Histogram()
  least = Infinity
  most = 0
  sum = 0
  count = 0

  add(microseconds: number): void {
    this.histogram.add(microseconds / 1000)
    this.least = Math.min(this.least, microseconds)
    this.most = Math.max(this.most, microseconds)
    this.sum += microseconds
    this.count++
  }

  clear(): void {
    Object.assign(this, new Times())
  }

  static from(given: Spread): Times {
    const { counts, ...others } = given
    return Object.assign(new Times(), others, { histogram: new Histogram(counts) })
  }

  merge(other: Times): void {
    this.histogram.merge(other.histogram)
    this.least = Math.min(this.least, other.least)
    this.most = Math.max(this.most, other.most)
    this.sum += other.sum
    this.count += other.count
  }

  /** Milliseconds within which a share of them were; 0 of none. */
  quantile(share: number): number {
    return this.histogram.quantile(share) ?? 0
  }

  get spread(): Spread {
    const { histogram, least, most, sum, count } = this
    return { counts: histogram.counts, least, most, sum, count }
  }
}

/** What goes from process to process. */
export type Spread = { counts: number[]; least: number; most: number; sum: number; count: number }
