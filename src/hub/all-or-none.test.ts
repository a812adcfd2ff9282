import assert from 'node:assert/strict'
import { test } from 'node:test'
import { allOrNone } from './all-or-none.ts'

const closable = (name: string, closed: string[]) => ({ name, close: () => void closed.push(name) })

test('what was opened before one that cannot be is closed again', async () => {
  const closed: string[] = []
  const opening = allOrNone(async (keep) => {
    keep(closable('first', closed))
    await Promise.resolve()
    keep(closable('second', closed))
    throw new Error('the third')
  })
  await assert.rejects(opening, /the third/)
  assert.deepEqual(closed, ['second', 'first'])
})

test('where all could be opened, they stay open', async () => {
  const closed: string[] = []
  const { name } = await allOrNone(async (keep) => keep(closable('only', closed)))
  assert.deepEqual([name, closed], ['only', []])
})
