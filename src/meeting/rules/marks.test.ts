import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isReserved, marks } from './marks.ts'

test('the marks are the two lines by which the site finds the record', () => {
  assert.deepEqual(marks, { open: 'This meeting is now open', finished: 'This meeting is now finished' })
})

/** Each letter in another form of Unicode, from this code point on for `a`. */
const inForm = (text: string, a: number): string =>
  text.replace(/[a-z]/g, (letter) => String.fromCodePoint(a + letter.charCodeAt(0) - 97))

const texts = ['This meeting is now open', 'This meeting is now finished']
const reserved: [what: string, (text: string) => string][] = [
  ['as it is', (text) => text],
  ['in capitals', (text) => text.toUpperCase()],
  ['in any case', (text) => text.replace(/e/g, 'E')],
  ['within white space', (text) => `\t ${text}\n\n`],
  ['without white space', (text) => text.replaceAll(' ', '')],
  ['with more of it', (text) => text.replaceAll(' ', '\n \u2003\u00a0')],
  ['with a space in each word', (text) => Array.from(text).join(' ')],
  ['with a zero-width space', (text) => text.replace('m', '\u200bm')],
  ['with a soft hyphen', (text) => text.replace('m', 'm\u00ad')],
  ['with a byte order mark', (text) => `\ufeff${text}`],
  ['with marks that turn it', (text) => `\u202e\u2066${text}\u2069\u202c`],
  ['with a variation selector', (text) => `${text}\ufe0f`],
  ['with a Hangul filler', (text) => `${text}\u3164`],
  ['with tags', (text) => `${text}\u{e0041}\u{e0042}`],
  ['with invisible characters, very many of them', (text) => text.replace('m', '\u200b'.repeat(9_000) + 'm')],
  ['in full width', (text) => inForm(text, 0xff41)],
  ['in bold of mathematics', (text) => inForm(text, 0x1d41a)],
  ['in bold of mathematics, each letter', (text) => inForm(text.toLowerCase(), 0x1d41a).replaceAll(' ', '')],
  ['in circles', (text) => inForm(text, 0x24d0)],
  ['with a ligature', (text) => text.replace('fi', '\ufb01')],
]

for (const [what, change] of reserved)
  test(`a mark is reserved ${what}`, () => {
    for (const text of texts) assert.ok(isReserved(change(text)), change(text))
  })

test('other texts are not', () => {
  for (const text of [
    '',
    ' ',
    'open',
    'This meeting is now',
    'This meeting is now open.',
    'This meeting is now opened',
    'This meeting is now open This meeting is now open',
    'This meeting is now finished!',
    '"This meeting is now open"',
    'This meeting was now open',
    'Thïs meeting is now open',
    'Anything sent from now on will be part of the permanent record',
    'This meeting is being re-opened by Ada',
    'x'.repeat(10_000),
  ])
    assert.equal(isReserved(text), false, text)
})

test('nothing long is normalized: that costs the square of a run of accents', (t) => {
  const { mock } = t.mock.method(String.prototype, 'normalize')
  const normalized = (): number[] => mock.calls.map((call) => String(call.this).length)
  assert.equal(isReserved(`a${'\u0300\u0323'.repeat(5000)}`), false)
  assert.deepEqual(normalized(), [])
  assert.ok(isReserved('This meeting is now open'))
  assert.deepEqual(normalized(), [20])
})
