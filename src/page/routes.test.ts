import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chooseEncoding } from './routes.ts'

test('the smallest encoding that is taken: by name, else by *, and never one with a weight of 0', () => {
  for (const [accepted, encoding] of [
    ['', 'identity'],
    ['gzip, deflate, br, zstd', 'br'],
    ['GZIP', 'gzip'],
    ['*', 'br'],
    ['br;q=0, *', 'gzip'],
    ['*;q=0', 'identity'],
    ['gzip;q=0.5, br;q=0', 'gzip'],
    ['gzip; q=0.001, *;q=0', 'gzip'],
    ['br;q=x', 'identity'],
    ['identity, deflate', 'identity'],
    [','.repeat(20_000), 'identity'],
  ] as const)
    assert.equal(chooseEncoding(accepted), encoding, accepted.slice(0, 40))
})
