import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Histogram } from './histogram.ts'

test('quantiles are right to a hundredth, and none without durations', () => {
  const histogram = new Histogram()
  assert.equal(histogram.quantile(0.5), null)
  for (let n = 1; n <= 1000; n++) histogram.add(n / 10)
  for (const [share, exact] of [
    [0, 0.1],
    [0.5, 50],
    [0.99, 99],
    [1, 100],
  ] as const) {
    const found = histogram.quantile(share) ?? 0
    assert.ok(found >= exact && found <= exact * 1.011, `${found}`)
  }
  histogram.clear()
  assert.equal(histogram.quantile(0.99), null)
})

test('whatever comes is counted', () => {
  const histogram = new Histogram()
  for (const odd of [0, -1, 1e12, Number.NaN]) histogram.add(odd)
  assert.equal(
    histogram.counts.reduce((sum, count) => sum + count, 0),
    4,
  )
  assert.ok((histogram.quantile(0.5) ?? -1) >= 0)
})

test('what two processes have counted is counted together', () => {
  const [one, other] = [new Histogram(), new Histogram()]
  for (let n = 1; n <= 100; n++) (n % 2 ? one : other).add(n)
  const all = new Histogram(JSON.parse(JSON.stringify(one.counts)) as number[])
  all.merge(other)
  const found = all.quantile(0.9) ?? 0
  assert.ok(found >= 90 && found < 91, `${found}`)
})
