import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cleanText, directionMarks, isAtMost, withoutDirections } from './text.ts'

test('lengths are counted in characters, of which some are two units of a string', () => {
  for (const [text, limit, fits] of [
    ['', 0, true],
    ['abc', 3, true],
    ['abcd', 3, false],
    ['😀😀😀', 3, true],
    ['😀😀😀a', 3, false],
    ['e\u0301', 1, false],
  ] as const)
    assert.equal(isAtMost(text, limit), fits, text)
})

test('each control character but newline and tab is removed, and half a pair replaced', () => {
  for (let code = 0; code < 0x100; code++) {
    const isControl = code < 0x20 || (code >= 0x7f && code < 0xa0)
    const isKept = !isControl || code === 9 || code === 10
    const character = String.fromCharCode(code)
    assert.equal(cleanText(`a${character}b`), isKept ? `a${character}b` : 'ab', String(code))
  }
  assert.equal(cleanText('\ud83d\ude00 \ud83d a \ude00'), '😀 \ufffd a \ufffd')
})

test('what only says in which direction text runs is removed, and nothing else', () => {
  const marks = '\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069'
  assert.equal(withoutDirections(`a${marks}b`), 'ab')
  const others = 'עברית العربية \u200b\u200c\u200d\u2060\u2065\u206a\u202f\u2029'
  assert.equal(withoutDirections(others), others)
  assert.equal(withoutDirections(''), '')
  assert.equal(marks.replace(new RegExp(directionMarks, 'g'), ''), '')
})
