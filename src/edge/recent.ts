import type { LogEntry } from './log.ts'

/** An entry of the log, or several that differ in who caused them alone: then it is the last one. */
export type RecentEntry = { first: string; last: string; count: number; entry: LogEntry }

const kept = 50

/** The last warnings and errors of the log. Those that are alike are one, so that a flood of them leaves room for others. */
export class RecentEntries {
  readonly #now: () => Date
  /** By what they say, the one that was added to last at the end. */
  readonly #entries = new Map<string, RecentEntry>()

  constructor(now: () => Date) {
    this.#now = now
  }

  /** Takes an entry up if it is a warning or an error. */
  add(entry: LogEntry): void {
    if (entry.level !== 'warn' && entry.level !== 'error') return
    const alike = JSON.stringify({ ...entry, address: undefined, request: undefined })
    const last = this.#now().toISOString()
    const before = this.#entries.get(alike)
    this.#entries.delete(alike)
    this.#entries.set(alike, { first: before?.first ?? last, last, count: (before?.count ?? 0) + 1, entry })
    const [oldest] = this.#entries.keys()
    if (this.#entries.size > kept && oldest !== undefined) this.#entries.delete(oldest)
  }

  /** The newest first. */
  list(): RecentEntry[] {
    return [...this.#entries.values()].reverse()
  }
}
