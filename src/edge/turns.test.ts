import assert from 'node:assert/strict'
import { test } from 'node:test'
import { turn } from './turns.ts'

test('callers go on in their order, a few at a time, and what else there is to do comes between them', async () => {
  const gone: number[] = []
  const seen = new Set<number>()
  const looking = setInterval(() => seen.add(gone.length))
  await Promise.all(
    Array.from({ length: 100 }, async (_, n) => {
      await turn()
      gone.push(n)
    }),
  )
  clearInterval(looking)
  assert.deepEqual(
    gone,
    Array.from({ length: 100 }, (_, n) => n),
  )
  assert.ok(seen.size >= 5, `interrupted ${seen.size} times`)
})
