import assert from 'node:assert/strict'
import { test } from 'node:test'
import { collide, parseAddress } from './address.ts'

test('an address is host and port, or the path of a socket', () => {
  const tcp = (host: string, port: number): unknown => ({ type: 'tcp', host, port })
  assert.deepEqual(parseAddress('127.0.0.1:8199'), tcp('127.0.0.1', 8199))
  assert.deepEqual(parseAddress('localhost:0'), tcp('localhost', 0))
  assert.deepEqual(parseAddress(':8199'), tcp('', 8199))
  assert.deepEqual(parseAddress('[::1]:8199'), tcp('::1', 8199))
  assert.deepEqual(parseAddress('/run/plenum/socket'), { type: 'unix', path: '/run/plenum/socket' })
})

test('everything else is none', () => {
  const none =
    '8199 localhost localhost: localhost:http localhost:65536 ::1:8199 [::1] [x]:1 http://localhost:1 run/socket :-1'
  for (const text of [...none.split(' '), '', 'a b:1', `/${'x'.repeat(103)}`])
    assert.equal(parseAddress(text), null, text)
})

test('two listeners collide where the system would refuse the second one', () => {
  const collides = (one: string, other: string): boolean => {
    const [a, b] = [parseAddress(one), parseAddress(other)]
    assert.ok(a && b)
    assert.equal(collide(a, b), collide(b, a))
    return collide(a, b)
  }
  assert.equal(collides('127.0.0.1:1', '127.0.0.1:1'), true)
  assert.equal(collides('localhost:1', '127.0.0.1:1'), true)
  assert.equal(collides(':1', '127.0.0.1:1'), true)
  assert.equal(collides('0.0.0.0:1', '[::1]:1'), true)
  assert.equal(collides('/run//a', '/run/./a'), true)
  assert.equal(collides('127.0.0.1:1', '127.0.0.1:2'), false)
  assert.equal(collides('127.0.0.1:1', '127.0.0.2:1'), false)
  assert.equal(collides(':0', ':0'), false)
  assert.equal(collides('/run/a', '/run/b'), false)
  assert.equal(collides('/run/a', ':1'), false)
})
