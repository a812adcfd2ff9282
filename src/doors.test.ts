import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { inOrder, ownMigrations } from './db/schema.ts'
import { doors } from './doors.ts'

/**
 * Of the steps that databases have taken already: a hash of each one's SQL, without regard to spaces. Another text under an
 * old number would be done in new databases only.
 */
const released = [
  'f579b7f9f6969652',
  'db67c7d5056a782a',
  'e7f67a3213cae07c',
  'adf461696c17c0a3',
  '8f9b3fda0878367e',
  'c62de4737ace47fa',
  '10b7efbaab521ae8',
  '2dd08eb20cb389b8',
]

test('the steps of the schema are numbered from 1 without a gap, and those that were released are what they were', () => {
  const steps = inOrder([ownMigrations, ...doors.map(({ schema }) => schema.migrations)])
  assert.deepEqual(
    steps.map(({ version }) => version),
    Array.from(steps, (_, index) => index + 1),
  )
  const hashes = steps.map(({ statements }) =>
    createHash('sha256').update(statements.join(';').replace(/\s+/g, ' ').trim()).digest('hex').slice(0, 16),
  )
  assert.deepEqual(hashes.slice(0, released.length), released)
})

test('no two doors take one version of the schema', () => {
  const taken = [ownMigrations, ...doors.map(({ schema }) => schema.migrations)]
    .flatMap((steps) => Object.keys(steps).map(Number))
    // The first is as old as the lease and the meetings.
    .filter((version) => version > 1)
  assert.deepEqual([...new Set(taken)], taken)
})
