import assert from 'node:assert/strict'
import { test } from 'node:test'
import { axisEnd, bytesAxisEnd } from './scale.ts'

test('an axis ends at a round number that is not below what is shown', () => {
  for (const [most, least, end] of [
    [0, 10, 10],
    [10, 10, 10],
    [10.1, 10, 20],
    [21, 10, 50],
    [99, 10, 100],
    [101, 10, 200],
    [0.3, 0.1, 0.5],
    [0.0312, 0.01, 0.05],
    [7_000, 10, 10_000],
  ] as const)
    assert.ok(Math.abs(axisEnd(most, least) - end) < end * 1e-9, `${most}: ${axisEnd(most, least)}`)
  for (const [most, least, end] of [
    [0, 1024, 1024],
    [2 ** 20, 1024, 2 ** 20],
    [2 ** 20 + 1, 1024, 2 ** 21],
  ] as const)
    assert.equal(bytesAxisEnd(most, least), end)
})
