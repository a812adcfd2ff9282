import { readFileSync, renameSync, writeFileSync } from 'node:fs'

// A limit in a test is for what hangs, not for what is slow. So limits are written as what is plenty on a quiet
// machine, and grow with what the runner measures while it runs: it writes the factor to a file that each test's
// process reads.

/** A quiet machine, too, may halt a process for a moment; and a limit that is never reached costs nothing. */
const leastFactor = 3
/** Beyond it a test that hangs would hold up the whole run. */
const greatestFactor = 40
const readEveryMs = 200

let known = { factor: leastFactor, at: -Infinity }

/** The limit in milliseconds, a whole number, that holds now, for one that is `milliseconds` on a quiet machine. */
export function patience(milliseconds: number): number {
  return Math.ceil(milliseconds * factor())
}

/** How many times as long as on a quiet machine something takes that is to happen in the middle of other work: 1 or more. */
export function slowness(): number {
  return factor() / leastFactor
}

/** A point in time that moves away as the machine gets slower. */
export class Deadline {
  readonly #milliseconds: number
  readonly #begun = performance.now()

  constructor(milliseconds: number) {
    this.#milliseconds = milliseconds
  }

  /** Milliseconds that are left as things are; 0 when it is over. */
  get left(): number {
    return Math.max(0, this.#begun + patience(this.#milliseconds) - performance.now())
  }

  get isOver(): boolean {
    return this.left === 0
  }
}

/** Tells all tests that read `file` how many times slower than a quiet machine this one has been at its slowest. */
export function tellSlowness(file: string, slowness: number): void {
  const factor = Math.min(greatestFactor, leastFactor * Math.max(1, slowness))
  writeFileSync(`${file}.new`, String(factor))
  renameSync(`${file}.new`, file)
}

function factor(): number {
  const file = process.env['PLENUM_TEST_PATIENCE']
  if (!file || performance.now() - known.at < readEveryMs) return known.factor
  let read = NaN
  try {
    read = Number(readFileSync(file, 'utf8'))
  } catch {
    // the run is ending
  }
  known = { factor: Math.max(known.factor, read || leastFactor), at: performance.now() }
  return known.factor
}
