import assert from 'node:assert/strict'
import { test } from 'node:test'
import { refusalTexts } from '../db/failure.ts'
import { textsFor } from '../page/client/chat/texts.ts'
import { isRefusal, parseRequest, refusals } from './protocol.ts'

test('each language of the page has words for all that is answered to what can be written there', () => {
  const parsed = ['', 'x'.repeat(10_001)].map((message) => {
    const { command } = parseRequest(JSON.stringify({ message }), true)
    return isRefusal(command) ? command.text : ''
  })
  const { tooFast, busy, notStored } = refusals
  const wanted = [
    ...parsed,
    ...[tooFast, busy, notStored].map(({ text }) => text),
    ...Object.values(refusalTexts),
  ]
  for (const language of ['de', 'fr', 'sv'])
    assert.deepEqual(Object.keys(textsFor([language]).texts.refusals).sort(), wanted.sort(), language)
})
