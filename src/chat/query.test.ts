import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isRejection } from '../hub/rejection.ts'
import { parseQuery } from './query.ts'

const nothing = { key: 'k', ids: false, after: null, since: null, limit: null }

/** What the query of an address asks for; a refusal as its text. */
function parsed(text: string): unknown {
  const query = parseQuery(Object.fromEntries(new URLSearchParams(text)))
  return isRejection(query) ? query.text : query
}

test('a key alone, with ids, and without anything', () => {
  assert.deepEqual(parsed('session_key=k'), nothing)
  assert.deepEqual(parsed('session_key=k&ids=1'), { ...nothing, ids: true })
  assert.deepEqual(parsed('session_key=k&ids=0'), nothing)
  assert.deepEqual(parsed('session_key=k&more=7&__proto__=x'), nothing)
  assert.deepEqual(parsed(''), { ...nothing, key: '' })
  for (const ids of ['', '2', 'true', 'yes'])
    assert.equal(parsed(`session_key=k&ids=${ids}`), 'Invalid ids, 0 or 1 is expected')
})

test('after and limit are whole numbers; what is beyond all ids is the highest', () => {
  for (const name of ['after', 'limit']) {
    for (const [digits, number] of [
      ['0', 0],
      ['4711', 4711],
      ['007', 7],
      ['9007199254740991', 9007199254740991],
      ['9'.repeat(400), 9007199254740991],
    ] as const)
      assert.deepEqual(parsed(`session_key=k&${name}=${digits}`), { ...nothing, [name]: number })
    for (const wrong of ['', '-1', '1.5', '1e3', '0x10', ' 1', 'NaN', '١', '1%0A'])
      assert.equal(
        parsed(`session_key=k&${name}=${wrong}`),
        `Invalid ${name}, a whole number is expected`,
        wrong,
      )
  }
})

test('since is a time in ISO 8601, UTC unless it says otherwise', () => {
  for (const [text, since] of [
    ['2016-08-08', '2016-08-08T00:00:00.000Z'],
    ['2016-08-08T17:20', '2016-08-08T17:20:00.000Z'],
    ['2016-08-08T17:20:32', '2016-08-08T17:20:32.000Z'],
    ['2016-08-08T17:20:32.421Z', '2016-08-08T17:20:32.421Z'],
    ['2016-08-08T17:20:32.4', '2016-08-08T17:20:32.400Z'],
    ['2016-08-08T17:20:32.421987Z', '2016-08-08T17:20:32.421Z'],
    ['2016-08-08%2017:20:32', '2016-08-08T17:20:32.000Z'],
    ['2016-08-08T17:20%2B02:00', '2016-08-08T15:20:00.000Z'],
    ['2016-08-08T17:20%2B0200', '2016-08-08T15:20:00.000Z'],
    // A plus sign that was not encoded.
    ['2016-08-08T17:20+02:00', '2016-08-08T15:20:00.000Z'],
    ['2016-08-08T17:20-02:00', '2016-08-08T19:20:00.000Z'],
    ['2016-02-29', '2016-02-29T00:00:00.000Z'],
    ['2016-12-31T23:59-01:00', '2017-01-01T00:59:00.000Z'],
    ['0001-01-01', '0001-01-01T00:00:00.000Z'],
    ['9999-12-31T23:59:59.999Z', '9999-12-31T23:59:59.999Z'],
  ] as const)
    assert.deepEqual(parsed(`session_key=k&since=${text}`), { ...nothing, since }, text)
})

test('what is no such time is refused, and so is what no time of the log can be', () => {
  for (const wrong of [
    '',
    'yesterday',
    'now',
    'infinity',
    '1470676832421',
    '2016-8-8',
    '2016-08-08T',
    '2016-08-08T25:00',
    '2016-08-08T17:60',
    '2016-08-08T17:20:32.1234567',
    '2016-08-08T17:20Z%00',
    '2016-08-08T17:20+02',
    '2017-02-29',
    '2016-02-30T00:00Z',
    '2016-13-01',
    '2016-00-10',
    '+12016-08-08',
    "2016-08-08'",
    // PostgreSQL has no year 0, and writes one of five digits otherwise.
    '0000-01-01',
    '0001-01-01T00:00%2B14:00',
    '9999-12-31T23:59-12:00',
  ])
    assert.equal(parsed(`session_key=k&since=${wrong}`), 'Invalid since, an ISO 8601 time is expected', wrong)
})

test('all of them narrow what the others leave', () => {
  assert.deepEqual(parsed('session_key=k&ids=1&after=5&limit=10&since=2016-08-08'), {
    key: 'k',
    ids: true,
    after: 5,
    limit: 10,
    since: '2016-08-08T00:00:00.000Z',
  })
})
