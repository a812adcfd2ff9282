import assert from 'node:assert/strict'
import { test } from 'node:test'
import { costOf, Quota } from './quota.ts'

test('what is taken is settled: stored, given back, or in doubt until it is counted anew', async () => {
  const quota = new Quota(1000)
  await quota.recount(() => Promise.resolve(300))
  assert.equal(quota.left, 700)
  assert.equal(quota.take(600), true)
  // Both are under way, and together they would be too much.
  assert.equal(quota.take(101), false)
  assert.equal(quota.take(100), true)
  assert.equal(quota.left, 0)
  quota.settle(100, 'notStored')
  quota.settle(600, 'stored')
  assert.equal(quota.left, 100)
  assert.equal(quota.take(50), true)
  quota.settle(50, 'unknown')
  assert.deepEqual([quota.left, quota.doubtful], [50, true])
  await quota.recount(() => Promise.resolve(900))
  assert.deepEqual([quota.left, quota.doubtful], [100, false])
  quota.gone(400)
  assert.equal(quota.left, 500)
  assert.equal(quota.take(-100), true)
  quota.settle(-100, 'stored')
  assert.equal(quota.left, 600)
})

test('what is written while it is counted is never counted too little', async () => {
  const quota = new Quota(1000)
  quota.take(200)
  let tell = (_sum: number): void => undefined
  const counted = quota.recount(() => new Promise((resolve) => (tell = resolve)))
  quota.take(300)
  quota.settle(200, 'stored')
  quota.settle(300, 'stored')
  tell(200)
  await counted
  // The first one is in the sum; whether it is could not be known.
  assert.deepEqual([quota.left, quota.doubtful], [300, true])
  await quota.recount(() => Promise.resolve(500))
  assert.deepEqual([quota.left, quota.doubtful], [500, false])
})

test('more than may be, as after a smaller limit was set, leaves nothing', async () => {
  const quota = new Quota(1000)
  await quota.recount(() => Promise.resolve(5000))
  assert.equal(quota.left, 0)
  assert.equal(quota.take(1), false)
  assert.equal(quota.take(-10), true)
})

test('a document costs 1 KiB, and what is in it 128 bytes more than its length', () =>
  assert.deepEqual([0, 1, 1000].map(costOf), [1024, 1153, 2152]))
