import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Budget, type Holder } from './budget.ts'

test('where too much is kept, who keeps the most has to go: once, and nobody else', () => {
  const budget = new Budget(100)
  const gone: string[] = []
  const holders = ['small', 'large', 'late'].map((name): Holder => ({
    shed: () => void gone.push(name),
  }))
  const [small, large, late] = holders as [Holder, Holder, Holder]
  budget.change(small, 10)
  budget.change(large, 90)
  assert.deepEqual(gone, [])
  budget.change(late, 20)
  assert.deepEqual(gone, ['large'])
  budget.change(large, -90)
  assert.equal(budget.bytes, 30)
  budget.change(small, -10)
  budget.change(late, 90)
  assert.deepEqual(gone, ['large', 'late'])
  budget.change(late, 5)
  assert.deepEqual(gone, ['large', 'late'])
})
