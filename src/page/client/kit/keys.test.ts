import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Press, sends } from './keys.ts'

const enter = (change: Partial<Press> = {}): Press => ({
  key: 'Enter',
  keyCode: 13,
  isComposing: false,
  shiftKey: false,
  ctrlKey: false,
  metaKey: false,
  ...change,
})

test('Enter sends, and begins a new line with Shift or on a touch keyboard', () => {
  assert.equal(sends(enter(), false), true)
  assert.equal(sends(enter({ shiftKey: true }), false), false)
  assert.equal(sends(enter(), true), false)
  assert.equal(sends(enter({ key: 'a', keyCode: 65 }), false), false)
})

test('Ctrl or Cmd and Enter send everywhere', () => {
  for (const held of [{ ctrlKey: true }, { metaKey: true }])
    for (const isTouch of [true, false]) assert.equal(sends(enter(held), isTouch), true)
  assert.equal(sends(enter({ key: 'a', keyCode: 65, ctrlKey: true }), true), false)
})

test('an Enter of an input method sends nothing, as Chromium, Firefox and Safari tell it', () => {
  for (const composing of [
    { isComposing: true },
    { isComposing: true, keyCode: 229 },
    { isComposing: false, keyCode: 229 },
  ])
    for (const held of [{}, { ctrlKey: true }])
      assert.equal(sends(enter({ ...composing, ...held }), false), false)
})
