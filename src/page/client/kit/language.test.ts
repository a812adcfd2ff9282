import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chooseLanguage, chooseTag, speak } from './language.ts'

test('the first of the reader’s languages that there is', () => {
  const choose = (...wanted: string[]) => chooseLanguage(wanted, ['en', 'de', 'sv'])
  assert.equal(choose('de-AT', 'en'), 'de')
  assert.equal(choose('fi', 'sv-FI', 'en'), 'sv')
  assert.equal(choose('SV'), 'sv')
  assert.equal(choose('ja'), 'en')
  assert.equal(choose(), 'en')
})

test('dates are written by the reader’s tag of the language, unless it is none', () => {
  assert.equal(chooseTag(['ja', 'de-AT', 'de'], 'de'), 'de-AT')
  assert.equal(chooseTag(['de-DE@euro', 'de_CH', 'de-x'], 'de'), 'de')
  assert.equal(chooseTag([], 'en'), 'en')
})

test('numbers have the form that the language gives them', () => {
  assert.equal(speak('en').plural(1, '# vote', '# votes'), '1 vote')
  assert.equal(speak('en').plural(0, '# vote', '# votes'), '0 votes')
  assert.equal(speak('fr').plural(0, '# vote', '# votes'), '0 vote')
  assert.equal(speak('de').plural(1234, '# Stimme', '# Stimmen'), '1.234 Stimmen')
})
