import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Throttle } from './throttle.ts'

test('what changes often is told at once, then once in a while, and its last change always', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  let now = 1000
  let told = 0
  const throttle = new Throttle(
    100,
    () => now,
    () => told++,
  )
  const pass = (ms: number): void => {
    now += ms
    t.mock.timers.tick(ms)
  }
  throttle.soon()
  assert.equal(told, 1)
  throttle.soon()
  throttle.soon()
  pass(99)
  assert.equal(told, 1)
  pass(1)
  assert.equal(told, 2)
  pass(1000)
  assert.equal(told, 2)
  throttle.now()
  throttle.soon()
  throttle.finish()
  throttle.finish()
  assert.equal(told, 4)
  throttle.soon()
  throttle.stop()
  pass(1000)
  assert.equal(told, 4)
})
