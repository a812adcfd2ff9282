import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pourLater } from './pour.ts'

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

test('each in its turn, and only so much in a turn of the event loop', async () => {
  const order: string[] = []
  const pourer = (name: string, parts: number, bytes: number) => {
    let left = parts
    return {
      pour() {
        order.push(name)
        return { bytes, again: --left > 0 }
      },
    }
  }
  pourLater(pourer('a', 3, 600_000))
  pourLater(pourer('b', 1, 10))
  pourLater(pourer('c', 2, 600_000))
  assert.deepEqual(order, [])
  await turn()
  assert.equal(order.join(''), 'abc')
  await turn()
  assert.equal(order.join(''), 'abcac')
  await turn()
  assert.equal(order.join(''), 'abcaca')
  await turn()
  pourLater(pourer('d', 1, 1))
  await turn()
  assert.equal(order.join(''), 'abcacad')
})
