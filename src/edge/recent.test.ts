import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RecentEntries } from './recent.ts'

test('warnings and errors, the newest first, those that are alike as one, and fifty at most', () => {
  let seconds = 0
  const recent = new RecentEntries(() => new Date(1000 * ++seconds))
  recent.add({ level: 'info', event: 'databaseBack', door: 'meetings' })
  recent.add({ level: 'error', event: 'leaseLost' })
  for (const address of ['192.0.2.1', '192.0.2.2'])
    recent.add({
      level: 'warn',
      event: 'originRefused',
      origin: 'https://other.example',
      address,
      request: address,
    })
  recent.add({ level: 'warn', event: 'waiting', reason: 'a' })
  recent.add({ level: 'warn', event: 'waiting', reason: 'b' })
  const { first, last, count, entry } = recent.list()[2] ?? {}
  assert.deepEqual(
    [first, last, count, entry],
    [
      '1970-01-01T00:00:02.000Z',
      '1970-01-01T00:00:03.000Z',
      2,
      {
        level: 'warn',
        event: 'originRefused',
        origin: 'https://other.example',
        address: '192.0.2.2',
        request: '192.0.2.2',
      },
    ],
  )
  assert.deepEqual(
    recent.list().map(({ entry: { event } }) => event),
    ['waiting', 'waiting', 'originRefused', 'leaseLost'],
  )
  for (let meeting = 0; meeting < 60; meeting++)
    recent.add({ level: 'error', event: 'roomFailed', meeting, error: 'x' })
  assert.equal(recent.list().length, 50)
})
