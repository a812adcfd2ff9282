import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Contention } from './contention.ts'

const locked = (): Error =>
  Object.assign(new Error('canceling statement due to lock timeout'), { code: '55P03' })

/** Somebody's lock, and transactions that need it. */
function lock() {
  let held = true
  let trying = 0
  let most = 0
  return {
    release: () => (held = false),
    /** How many tried at the same time, at most, since this was last asked. */
    maxAtOnce: (): number => {
      const found = most
      most = 0
      return found
    },
    transaction: async (): Promise<string> => {
      most = Math.max(most, ++trying)
      await new Promise((resolve) => setTimeout(resolve, 5))
      trying--
      if (held) throw locked()
      return 'done'
    },
  }
}

test('who has met a lock tries again, one of all who have at a time, until it is free', async () => {
  const contention = new Contention(60_000, () => performance.now())
  const { release, maxAtOnce, transaction } = lock()
  const rooms = Array.from({ length: 5 }, () => contention.retrier())
  const done = Promise.all(rooms.map((retry) => retry(transaction)))
  await new Promise(setImmediate)
  assert.equal(maxAtOnce(), 5, 'the first time each of them tries at once')
  await new Promise((resolve) => setTimeout(resolve, 20))
  maxAtOnce()
  await new Promise((resolve) => setTimeout(resolve, 400))
  assert.equal(maxAtOnce(), 1)
  release()
  assert.deepEqual(
    await done,
    Array.from({ length: 5 }, () => 'done'),
  )
  maxAtOnce()
  await Promise.all(rooms.map((retry) => retry(transaction)))
  assert.equal(maxAtOnce(), 5, 'who is through is free again')
})

test('it is given up when the time is over, and goes on to be tried in turn', async () => {
  let now = 0
  const contention = new Contention(1000, () => now)
  const retry = contention.retrier()
  let tries = 0
  const transaction = async (): Promise<void> => {
    tries++
    now += 400
    throw locked()
  }
  await assert.rejects(retry(transaction), { code: '55P03' })
  assert.equal(tries, 3)
})

test('what failed for another reason is not tried again', async () => {
  const retry = new Contention(1000, () => 0).retrier()
  let tries = 0
  const transaction = async (): Promise<void> => {
    tries++
    throw Object.assign(new Error('x'), { code: '23505' })
  }
  await assert.rejects(retry(transaction), { code: '23505' })
  assert.equal(tries, 1)
})
