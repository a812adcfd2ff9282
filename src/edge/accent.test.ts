import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { accentsOf, contrast, minContrast, schemes } from './accent.ts'

test('the contrast of two colors is that of WCAG', () => {
  assert.equal(contrast('#000000', '#ffffff'), 21)
  assert.equal(contrast('#777777', '#777777'), 1)
  assert.ok(Math.abs(contrast('#ffffff', '#767676') - 4.54) < 0.005)
  assert.equal(contrast('#1f63c4', '#ffffff'), contrast('#ffffff', '#1f63c4'))
})

test('whatever the color, text in it and on it can be read, on light and on dark screens', () => {
  const parts = ['00', '33', '66', '99', 'cc', 'ff']
  for (const red of parts)
    for (const green of parts)
      for (const blue of parts) {
        const color = `#${red}${green}${blue}`
        for (const scheme of ['light', 'dark'] as const) {
          const { accent, soft, on } = accentsOf(color)[scheme]
          const { paper, card } = schemes[scheme]
          for (const other of [paper, card, soft, on])
            assert.ok(contrast(accent, other) >= minContrast, `${color}, ${scheme}: ${accent} and ${other}`)
        }
      }
})

test('a color that can be read stays what it is', () => {
  assert.equal(accentsOf('#175c4c').light.accent, '#175c4c')
  assert.equal(accentsOf('#ffcc00').dark.accent, '#ffcc00')
  assert.notEqual(accentsOf('#ffcc00').light.accent, '#ffcc00')
  assert.notEqual(accentsOf('#175c4c').dark.accent, '#175c4c')
})

test('what it is measured against is what the pages have', () => {
  const css = readFileSync(new URL('../page/client/kit/base.css', import.meta.url), 'utf8')
  const [light = '', dark = ''] = css.split('@media (prefers-color-scheme: dark)')
  for (const [part, { paper, card }] of [
    [light, schemes.light],
    [dark, schemes.dark],
  ] as const)
    for (const written of [`--paper: ${paper};`, `--card: ${card};`])
      assert.ok(part.includes(written), written)
})
