import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AuthThrottle, isGuessable } from './auth-throttle.ts'

function stage() {
  let now = 1000
  const many: string[] = []
  const authThrottle = new AuthThrottle(
    () => now,
    (secret, address) => many.push(`${secret} ${address}`),
  )
  /** How many of so many wrong ones are looked at, one after the other. */
  const guess = (address: string, times: number): number => {
    let looked = 0
    for (let n = 0; n < times; n++) {
      if (authThrottle.lockedMs('password', address) !== null) continue
      looked++
      authThrottle.failed('password', address)
    }
    return looked
  }
  return { authThrottle, guess, many, pass: (ms: number) => (now += ms) }
}

test('what can be guessed is looked at ten times a minute for each network, kinds apart', () => {
  const { authThrottle, guess, many, pass } = stage()
  assert.equal(guess('192.0.2.1', 400), 10)
  pass(20_000)
  assert.equal(authThrottle.lockedMs('password', '192.0.2.1'), 40_000)
  assert.equal(authThrottle.lockedMs('token', '192.0.2.1'), null)
  assert.equal(guess('192.0.2.2', 1), 1)
  assert.equal(guess('2001:db8::1', 6) + guess('2001:db8::ffff:1', 400), 10)
  assert.equal(guess('2001:db8:0:1::1', 1), 1)
  assert.deepEqual(many, ['password 192.0.2.1', 'password 2001:db8::ffff:1'])
  pass(40_000)
  assert.equal(guess('192.0.2.1', 400), 10)
})

test('of many networks each is heard once a minute, past a hundred failures in all', () => {
  const { authThrottle, guess } = stage()
  const looked = Array.from({ length: 400 }, (_, n) => guess(`198.51.${n >> 8}.${n & 255}`, 10))
  assert.deepEqual(
    looked,
    looked.map((_, n) => (n < 10 ? 10 : 1)),
  )
  assert.equal(authThrottle.lockedMs('password', '203.0.113.1'), null, 'who knows it is let in at once')
})

test('where somebody knows it others who guess do not lock them out', () => {
  const { authThrottle, guess, pass } = stage()
  authThrottle.proven('password', '192.0.2.1')
  assert.equal(guess('192.0.2.1', 200), 200)
  assert.equal(authThrottle.lockedMs('password', '192.0.2.1'), null)
  assert.equal(guess('192.0.2.1', 2000), 400)
  pass(60_000)
  assert.equal(guess('192.0.2.1', 5), 5)
})

test('what cannot be guessed is told late and one after the other, at most forty-one of one network', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const { authThrottle, pass, many } = stage()
  const told: number[] = []
  let dropped = 0
  for (let n = 0; n < 400; n++)
    authThrottle.refuse(
      '192.0.2.1',
      () => told.push(n),
      () => dropped++,
    )
  assert.deepEqual([told.length, dropped], [10, 349])
  assert.deepEqual(many, ['key 192.0.2.1'])
  for (const [ms, expected] of [
    [999, 10],
    [1, 11],
    [100, 12],
    [900, 21],
    [8000, 51],
  ] as const) {
    t.mock.timers.tick(ms)
    pass(ms)
    assert.equal(told.length, expected)
  }
  assert.equal(await authThrottle.refused('192.0.2.2'), true)
})

test('22 characters are too many to be tried', () => {
  assert.equal(isGuessable('6aa8b'), true)
  assert.equal(isGuessable('x'.repeat(21)), true)
  assert.equal(isGuessable('x'.repeat(22)), false)
})
