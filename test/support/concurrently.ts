import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import * as fc from 'fast-check'
import { Difference } from './frame-oracle.ts'

const lanes = 12
const shrinkMs = 60_000

/**
 * Runs a property in many lanes at once, each with a seed of its own. When one fails, its value is shrunk while the
 * others stop. `predicate` is told how long to wait for what does not come. PLENUM_MODEL_AGAIN does one value again,
 * as a failure printed it: name, seed and path. Returns whether all of the runs have been done.
 */
export async function always<T>(
  name: string,
  runs: number,
  values: fc.Arbitrary<T>,
  predicate: (value: T, patienceMs: number) => Promise<void>,
): Promise<boolean> {
  const [only, seed, path] = process.env['PLENUM_MODEL_AGAIN']?.split('/') ?? []
  if (only !== undefined && only !== name) return false
  const parameters: fc.Parameters<[T]>[] =
    only === undefined
      ? Array.from({ length: lanes }, () => ({ seed: randomInt(2 ** 31), numRuns: Math.ceil(runs / lanes) }))
      : [{ seed: Number(seed), path: path ?? '', numRuns: 1 }]
  let failed: { lane: number; until: number } | undefined
  const check = (parameter: fc.Parameters<[T]>, lane: number): Promise<fc.RunDetails<[T]>> => {
    const hasStopped = (): boolean =>
      failed !== undefined && (failed.lane !== lane || Date.now() > failed.until)
    const property = fc.asyncProperty(values, async (value) => {
      if (hasStopped()) return
      try {
        // The first to fail may have been slowed down by the other lanes; from then on it is alone.
        await predicate(value, failed ? 1500 : 10_000)
      } catch (error) {
        if (hasStopped()) return
        failed ??= { lane, until: Date.now() + shrinkMs }
        throw error
      }
    })
    return fc.check(property, parameter)
  }
  for (const details of await Promise.all(parameters.map(check))) {
    if (!details.failed) continue
    const { errorInstance: error, seed, counterexamplePath, numShrinks } = details
    if (!(error instanceof Difference)) throw error
    const again = `PLENUM_MODEL_AGAIN=${name}/${seed}/${counterexamplePath}`
    assert.fail(
      `the server is not as the model (shrunk ${numShrinks} times; again by ${again})\n${error.message}`,
    )
  }
  return only === undefined
}
