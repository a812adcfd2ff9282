import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nameFor } from './hash.ts'

test('names are short, stay the same, and differ where one character does', () => {
  const names = new Set(Array.from({ length: 2000 }, (_, index) => nameFor(`meeting/11/key-${index}`)))
  assert.equal(names.size, 2000)
  for (const name of names) assert.match(name, /^[0-9a-z]{1,11}$/)
  assert.equal(nameFor('meeting/11/key-7'), nameFor('meeting/11/key-7'))
})
