import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { closeCodeOf, disconnects } from '../meeting/disconnects.ts'
import { textsFor as chatTexts } from './client/chat/texts.ts'
import { textsFor as meetingTexts } from './client/meeting/texts/texts.ts'
import { goneWords } from './client/meeting/words.ts'
import { textsFor as sketchTexts } from './client/sketch/texts.ts'
import { refusalTexts } from '../db/failure.ts'

// Whatever the doors say to those on our pages is known to the page in each language: a text that is new in the server's code
// is found here. `#` stands for what the code puts into a text.

const src = new URL('../', import.meta.url)

const sourcesOf = (folder: string): string[] =>
  readdirSync(new URL(folder, src), { encoding: 'utf8', recursive: true })
    .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))
    .map((name) => readFileSync(new URL(`${folder}/${name}`, src), 'utf8'))

const literal = String.raw`'((?:[^'\\\n]|\\.)*)'|${'`'}([^${'`'}]*)${'`'}`

/** Texts of the code, and how often an argument is something else than one. */
function argumentsOf(source: string, callee: string): { texts: string[]; others: string[] } {
  const calls = source.matchAll(
    new RegExp(`(?<![\\w.#]|function )${callee}\\(\\s*(?:${literal}|([^)]+))`, 'g'),
  )
  const [texts, others]: [string[], string[]] = [[], []]
  for (const [, plain, template, other] of calls)
    if (other !== undefined) others.push(other.trim())
    else texts.push((plain ?? template ?? '').replaceAll(/\$\{[^}]*\}|\d+/g, '#'))
  return { texts, others }
}

/** Of the literals of a source those that are sentences. */
const sentencesOf = (source: string): string[] =>
  Array.from(source.matchAll(new RegExp(literal, 'g')), ([, plain, template]) => plain ?? template ?? '')
    .filter((text) => /^[A-Z][a-z]+ [^<>]+$/.test(text))
    .map((text) => text.replaceAll(/\$\{[^}]*\}|\d+/g, '#'))

function textsOf(folder: string, callee: string, known: readonly RegExp[]): string[] {
  const found = sourcesOf(folder).map((source) => argumentsOf(source, callee))
  // What is not written where it is refused has to be looked for by hand, once.
  for (const other of found.flatMap(({ others }) => others))
    assert.ok(
      known.some((one) => one.test(other)),
      `${folder}: ${callee}(${other}: which texts are these?`,
    )
  return found.flatMap(({ texts }) => texts)
}

type Explain = (said: string) => string

function assertKnown(texts: readonly string[], textsFor: (wanted: readonly string[]) => Explain): void {
  assert.ok(texts.length > 5, 'the texts of the code are found')
  for (const language of ['en', 'de', 'fr', 'sv']) {
    const explain = textsFor([language])
    const unknown = texts.filter((text) => explain(text) === explain('?').replace('?', () => text))
    assert.deepEqual(unknown, [], `what the page does not know in ${language}`)
    assert.match(explain('what is new'), /: what is new$/)
  }
}

test('the meeting page knows what the meetings refuse', () => {
  const rejections = textsOf('meeting', 'reject', [
    /^textOf\(parsed\.issues\[0\]$/, // the sentences of the protocol, below
    /^explainRefusal\(error$/, // refusalTexts
  ])
  const protocol = readFileSync(new URL('meeting/protocol.ts', src), 'utf8')
  const fields = Array.from(protocol.matchAll(/^ {2}(?: {2})?(\w+): v\.(?!optional)/gm), ([, name]) => name)
  const sentences = sentencesOf(protocol).filter((text) => text !== 'Invalid or no #')
  assertKnown(
    [
      ...rejections,
      ...sentences,
      ...['message', ...fields].map((name) => `Invalid or no ${name}`),
      ...Object.values(refusalTexts),
    ],
    (wanted) => meetingTexts(wanted).texts.refusal,
  )
})

test('the meeting page knows why the meetings let nobody in', () => {
  const { texts } = meetingTexts(['de'])
  for (const text of Object.values(disconnects)) assert.ok(goneWords(closeCodeOf(text), texts), text)
  assert.equal(goneWords(4999, texts), null)
})

test('the chat page knows what the chat refuses', () => {
  const refusals = textsOf('chat', 'reject', [
    /^parsed\.issues\[0\]\.message$/, // the sentences of the query, below
    /^explainRefusal\(error$/,
  ])
  const query = sentencesOf(readFileSync(new URL('chat/query.ts', src), 'utf8')).flatMap((text) =>
    text.startsWith('Invalid #') ? ['after', 'limit'].map((name) => text.replace('#', name)) : [text],
  )
  assertKnown(
    [...refusals, ...query, ...Object.values(refusalTexts)],
    (wanted) => chatTexts(wanted).texts.refusal,
  )
})

test('the sketch page knows the faults of the documents', () => {
  const faults = textsOf('document', 'fault', [/^text: string/, /^explainRefusal\(error/])
  const coded = sourcesOf('document').flatMap((source) =>
    Array.from(source.matchAll(/type: 'fault', code: \d, text: '([^']+)'/g), ([, text = '']) => text),
  )
  assert.equal(coded.length, 4)
  assertKnown(
    [...faults, ...coded, ...Object.values(refusalTexts)],
    (wanted) => sketchTexts(wanted).texts.fault,
  )
})
