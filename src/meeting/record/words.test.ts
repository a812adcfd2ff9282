import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chooseWords } from './words.ts'

test('the language that is wanted most of those that there are, else English', () => {
  for (const [accepted, language] of [
    ['', 'en'],
    ['*', 'en'],
    ['de', 'de'],
    ['de-AT,de;q=0.9,en;q=0.8', 'de'],
    ['en;q=0.8, fr-CA', 'fr'],
    ['fi, SV;q=0.5, en;q=0.4', 'sv'],
    ['fr;q=0, pl', 'en'],
    ['fr;q=x, de;q=0.1', 'de'],
    ['constructor, __proto__', 'en'],
    [','.repeat(20_000), 'en'],
  ] as const)
    assert.equal(chooseWords(accepted).language, language, accepted.slice(0, 40))
})
