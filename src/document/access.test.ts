import assert from 'node:assert/strict'
import { test } from 'node:test'
import { wasBefore } from './access.ts'

test('a JWT of the second in which rights were changed has been issued after that, where it says the second only', () => {
  const changedAt = 1_800_000_000.7
  assert.deepEqual(
    [0, 1_799_999_999, 1_800_000_000, 1_800_000_001, 1_800_000_000.6, 1_800_000_000.8].map((issuedAt) =>
      wasBefore(issuedAt, changedAt),
    ),
    [true, true, false, false, true, false],
  )
})
