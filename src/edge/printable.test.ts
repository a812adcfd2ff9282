import assert from 'node:assert/strict'
import { test } from 'node:test'
import { printable } from './printable.ts'

test('names do nothing in a terminal, and can still be read', () => {
  assert.equal(printable('Zoë Šimková 漢字'), '"Zoë Šimková 漢字"')
  assert.equal(printable('a "quoted" \\ name'), String.raw`"a \"quoted\" \\ name"`)
  assert.equal(printable('\u001b[31mred\u0007\n'), String.raw`"\u001b[31mred\u0007\n"`)
  assert.equal(printable('\u202Eadam\u2066\u200B'), String.raw`"\u202eadam\u2066\u200b"`)
  assert.equal(printable('\u009b2J\u2028\u{E0041}'), String.raw`"\u009b2J\u2028\udb40\udc41"`)
  assert.equal(printable('\uD800'), String.raw`"\ud800"`)
})
