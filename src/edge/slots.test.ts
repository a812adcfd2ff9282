import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Slots } from './slots.ts'

test('so many at the same time, the others in their order, and a failure gives its place to the next', async () => {
  const slots = new Slots(2)
  const begun: number[] = []
  const ends: ((fails: boolean) => void)[] = []
  const works = Array.from({ length: 5 }, (_, n) =>
    slots.use(async () => {
      begun.push(n)
      const fails = await new Promise<boolean>((resolve) => (ends[n] = resolve))
      if (fails) throw new Error(`${n} fails`)
      return n
    }),
  )
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
  await turn()
  assert.deepEqual(begun, [0, 1])
  ends[1]?.(true)
  await assert.rejects(works[1] ?? Promise.resolve(), /1 fails/)
  await turn()
  assert.deepEqual(begun, [0, 1, 2])
  for (const n of [0, 2, 3, 4]) {
    ends[n]?.(false)
    assert.equal(await works[n], n)
    await turn()
  }
  assert.deepEqual(begun, [0, 1, 2, 3, 4])
  assert.equal(await slots.use(() => Promise.resolve('free')), 'free')
})
