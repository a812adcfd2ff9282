import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Durations } from './durations.ts'

test('quantiles are right to a tenth, and none without durations', () => {
  const durations = new Durations()
  assert.equal(durations.quantile(0.5), null)
  for (let n = 1; n <= 1000; n++) durations.add(n / 10)
  for (const [share, exact] of [
    [0.5, 50],
    [0.99, 99],
    [1, 100],
  ] as const) {
    const found = durations.quantile(share) ?? 0
    assert.ok(found >= exact && found < exact * 1.1, `${found}`)
  }
  durations.clear()
  assert.equal(durations.quantile(0.99), null)
})

test('whatever comes is counted', () => {
  const durations = new Durations()
  for (const odd of [0, -1, 1e12, Number.NaN]) durations.add(odd)
  assert.ok((durations.quantile(0.5) ?? -1) >= 0)
})
