import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Seldom } from './seldom.ts'

test('it is said at once, then at most as often as it may be, with what was left out', () => {
  let now = 0
  const seldom = new Seldom(10, () => now)
  assert.equal(seldom.happened(), 1)
  now = 9
  assert.equal(seldom.happened(), null)
  assert.equal(seldom.happened(5), null)
  now = 10
  assert.equal(seldom.happened(), 7)
  now = 11
  assert.equal(seldom.happened(), null)
})
