import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openVault } from './vault.ts'

test('where a browser stores nothing the page keeps it while it is open', (t) => {
  const before = Object.getOwnPropertyDescriptor(globalThis, 'localStorage')
  Object.defineProperty(globalThis, 'localStorage', {
    configurable: true,
    get() {
      throw new Error('SecurityError')
    },
  })
  t.after(() => {
    if (before) Object.defineProperty(globalThis, 'localStorage', before)
    else Reflect.deleteProperty(globalThis, 'localStorage')
  })
  const vault = openVault('secret')
  assert.equal(vault.read('draft', 'none'), 'none')
  vault.write('draft', 'a word')
  assert.equal(vault.read('draft', 'none'), 'a word')
  vault.write('draft', null)
  assert.equal(vault.read('draft', 'none'), 'none')
})
