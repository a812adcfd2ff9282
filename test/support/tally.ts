import { relative } from 'node:path'
import type { EventData } from 'node:test'

/** What `run` of node:test tells of a test, as far as it is looked at here. */
export type TestEvent = { type: string; data?: unknown }
type Ended = EventData.TestPass | EventData.TestFail

const slowestShown = 10

/** Counts the tests of many files, for the last lines of a run. */
export class Tally {
  passed = 0
  failed = 0
  readonly #failures: string[] = []
  /** Names by the reason for which they were skipped. */
  readonly #skipped = new Map<string, string[]>()
  readonly #files: { name: string; seconds: number; cpu: number }[] = []

  count({ type, data }: TestEvent, file: string, what: string): void {
    if (type !== 'test:pass' && type !== 'test:fail') return
    const { name, skip, todo, details } = data as Ended
    const isSuite = details.type === 'suite'
    if (skip !== undefined) {
      const reason = typeof skip === 'string' ? skip : 'no reason is given'
      this.#skipped.set(reason, [...(this.#skipped.get(reason) ?? []), name])
    } else if (type === 'test:fail' && !todo) {
      // A suite fails with its tests, unless it is itself what failed.
      const cause = (details as EventData.TestFail['details']).error as Error & { failureType?: string }
      if (isSuite && cause.failureType === 'subtestsFailed') return
      this.failed++
      // Where many files share a process, the one with the test.
      const { file: place = '' } = data as { file?: string }
      const named = place.endsWith('.test.ts') ? relative('', place) : file
      this.#failures.push(`${named}, ${what}: ${name}`)
    } else if (!isSuite) this.passed++
  }

  /** A file took so many seconds, and so many of a core with all its children. */
  took(file: string, what: string, seconds: number, cpu: number): void {
    this.#files.push({ name: `${file}, ${what}`, seconds, cpu })
  }

  /** The lines for the end of a run: the slowest files, what was skipped and why, what failed, and the numbers. */
  report(): string[] {
    const lines = ['', 'slowest files, with what they take of a core:']
    const slowest = this.#files.toSorted((a, b) => b.seconds - a.seconds).slice(0, slowestShown)
    for (const { name, seconds, cpu } of slowest)
      lines.push(`  ${column(seconds)} s ${column(cpu)} s  ${name}`)
    let skipped = 0
    for (const [reason, names] of this.#skipped) {
      skipped += names.length
      const more = names.length > 1 ? ` and ${names.length - 1} more` : ''
      lines.push(`skipped, as ${reason}: ${names[0]}${more}`)
    }
    for (const failure of this.#failures) lines.push(`failed: ${failure}`)
    lines.push('', `${this.passed} passed, ${this.failed} failed, ${skipped} skipped`)
    return lines
  }
}

const column = (seconds: number): string => seconds.toFixed(1).padStart(6)

const summary = /^(tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) [\d.]+$/

/** Whether the event is one of the numbers that `run` tells at the end of each file. */
export function isSummary({ type, data }: TestEvent): boolean {
  return type === 'test:diagnostic' && summary.test((data as EventData.TestDiagnostic).message)
}
