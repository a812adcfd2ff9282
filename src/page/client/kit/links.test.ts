import assert from 'node:assert/strict'
import { cpuUsage } from 'node:process'
import { test } from 'node:test'
import { findLinks } from './links.ts'

const linked = (text: string) =>
  findLinks(text).flatMap(({ text, href }) => (href === undefined ? [] : [text]))

test('addresses of the web become links, without the punctuation around them', () => {
  for (const [text, ...links] of [
    ['see https://example.org/a?b=c#d.', 'https://example.org/a?b=c#d'],
    ['(https://example.org/a_(b)), HTTP://EXAMPLE.ORG!', 'https://example.org/a_(b)', 'HTTP://EXAMPLE.ORG'],
    ['“https://example.org”…', 'https://example.org'],
    ['https://example.org/ä/日本', 'https://example.org/ä/日本'],
    ['two: http://a.example\nhttp://b.example:8080/', 'http://a.example', 'http://b.example:8080/'],
  ])
    assert.deepEqual(linked(text ?? ''), links, text)
})

test('nothing else does', () => {
  for (const text of [
    'javascript:alert(1)',
    'data:text/html,<script>alert(1)</script>',
    'JaVaScRiPt://https.example/%0aalert(1)',
    'file:///etc/passwd',
    'https://',
    'https:// example.org',
    'xhttps://example.org',
    'www.example.org',
    'mailto:a@example.org',
    'http://[',
    'https://...',
  ])
    assert.deepEqual(linked(text), [], text)
})

test('the pieces are the text', () => {
  for (const text of [
    '',
    'a',
    'https://a.example',
    ' https://a.example, <b>https://b.example"x" ',
    '))))https://a.b))))',
  ])
    assert.equal(
      findLinks(text)
        .map((piece) => piece.text)
        .join(''),
      text,
    )
})

test('a long hostile text is split in no time', () => {
  const before = cpuUsage()
  findLinks(`https://a.example/${')'.repeat(10_000)}`)
  findLinks('https://'.repeat(1250))
  assert.ok(cpuUsage(before).user < 500_000)
})
