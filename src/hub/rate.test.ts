import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Pace, RateLimit } from './rate.ts'

test('a burst passes, then as many as the rate allows', () => {
  const limit = new RateLimit(3, () => 2)
  assert.deepEqual(
    [0, 0, 0, 0, 499, 500, 500, 10_000, 10_000, 10_000, 10_000].map((now) => limit.pass(now)),
    [true, true, true, false, false, true, false, true, true, true, false],
  )
})

test('a rate of 0 is no limit', () => {
  const limit = new RateLimit(1, () => 0)
  assert.ok(Array.from({ length: 1000 }, () => limit.pass(0)).every(Boolean))
})

test('a new rate counts from then on', () => {
  let rate = 0
  const limit = new RateLimit(1, () => rate)
  assert.ok([0, 0, 0].every((now) => limit.pass(now)))
  rate = 1
  assert.deepEqual(
    [0, 0, 1000, 1000].map((now) => limit.pass(now)),
    [true, false, true, false],
  )
})

test('a pace: what goes beyond the burst has to wait for as long as it takes', () => {
  const pace = new Pace(100, 50)
  assert.deepEqual(
    [
      [60, 0],
      [40, 0],
      [25, 0],
      [0, 250],
      [0, 500],
      [100, 60_000],
      [1, 60_000],
    ].map(([cost = 0, now = 0]) => pace.spend(cost, now)),
    [0, 0, 500, 250, 0, 0, 20],
  )
})
