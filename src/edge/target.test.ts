import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isLiteralPath } from './target.ts'

test('a path without steps is taken as it stands', () => {
  for (const target of [
    '/',
    '/livez',
    '/ws/meeting/1/key/0',
    '/a..b/.c/d./...',
    '/a?b=/../c',
    '/a#/..',
    'http://h/a',
    '*',
    '',
  ])
    assert.equal(isLiteralPath(target), true, target)
})

test('a path with steps is not, however they are written', () => {
  for (const step of ['.', '..', '%2e', '%2E%2e', '.%2e', '%2E.'])
    for (const target of [
      `/${step}`,
      `/${step}/a`,
      `/a/${step}`,
      `/a/${step}/b?c`,
      `/a/${step}?b`,
      `http://h/${step}/a`,
    ])
      assert.equal(isLiteralPath(target), false, target)
  for (const target of ['\\a', '/a\\..\\b', '/a\\b']) assert.equal(isLiteralPath(target), false, target)
})
