import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readExpiration } from './expiration.ts'

const read = (text: string): string | null => readExpiration(text)?.toISOString() ?? null

test('what the standard formatters of PHP, Python, Go, Ruby and Java write is taken', () => {
  for (const text of [
    'Fri, 01 Jan 2100 00:00:00 GMT',
    'Fri, 01 Jan 2100 00:00:00 UTC',
    'Fri, 01 Jan 2100 00:00:00 Z',
    'Fri, 01 Jan 2100 00:00:00 +0000',
    'Fri, 01 Jan 2100 00:00:00 -0000',
    'Fri, 1 Jan 2100 00:00:00 GMT',
    '01 Jan 2100 00:00:00 +0000',
    'Fri, 01 Jan 2100 02:30:00 +0230',
    'Thu, 31 Dec 2099 19:00:00 EST',
    'Thu, 31 Dec 2099 17:00:00 PDT',
    'Fri, 01 Jan 2100 01:00:00 CET',
    'Friday, 01-Jan-2100 00:00:00 UTC',
    'Friday, 01-Jan-2100 00:00:00 GMT+0000',
    'Friday, 01-Jan-2100 02:00:00 +02:00',
    'Fri, 01-Jan-2100 00:00:00 GMT',
    '2100-01-01T00:00:00+00:00',
    '2100-01-01T00:00:00.000Z',
    '2099-12-31T19:00:00-0500',
  ])
    assert.equal(read(text), '2100-01-01T00:00:00.000Z', text)
  assert.equal(read('Sat, 01 Jan 00 00:00:00 +0000'), '2000-01-01T00:00:00.000Z')
  assert.equal(read('Saturday, 01-Jan-99 00:00:00 GMT'), '1999-01-01T00:00:00.000Z')
  assert.equal(read('Tue, 29 Feb 2028 23:59:59 GMT'), '2028-02-29T23:59:59.000Z')
})

test('what is no moment is refused', () => {
  for (const text of [
    '',
    'tomorrow',
    '1893456000',
    'Mon, 29 Feb 2100 00:00:00 GMT',
    'Fri, 31 Apr 2100 00:00:00 GMT',
    'Fri, 00 Jan 2100 00:00:00 GMT',
    'Fri, 01 Jan 2100 24:00:00 GMT',
    'Fri, 01 Jan 2100 00:60:00 GMT',
    'Fri, 01 Jan 2100 00:00:60 GMT',
    'Fri, 01 Foo 2100 00:00:00 GMT',
    'Fri, 01 Jan 2100 00:00:00',
    'Fri, 01 Jan 2100 00:00:00 XYZ',
    'Fri, 01 Jan 2100 00:00:00 +2400',
    'Fri, 01 Jan 2100 00:00:00 +0060',
    'Fri, 01 Jan 0000 00:00:00 GMT',
    'Fri, 31 Dec 9999 23:30:00 -0100',
    '2100-02-29T00:00:00Z',
    '2100-13-01T00:00:00Z',
    '2100-01-01T24:00:00Z',
    '2100-01-01T00:00:00',
    'Fri, 01 Jan 2100 00:00:00 GMT, or later',
  ])
    assert.equal(read(text), null, text)
})
