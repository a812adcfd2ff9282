import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Outage } from './outage.ts'

test('that the database is lost is said once, and that it is back; each failure is counted', () => {
  const said: string[] = []
  let failures = 0
  const outage = new Outage({
    door: 'chat',
    log: (entry) => said.push(`${entry.event}${'error' in entry ? ` ${entry.error}` : ''}`),
    metrics: { databaseFailed: () => failures++ },
  })
  outage.answered()
  assert.deepEqual(said, [])
  outage.failed(new Error('away'))
  outage.failed(new Error('still away'))
  assert.equal(outage.failures, 2)
  outage.answered()
  outage.answered()
  outage.failed(new Error('away again'))
  assert.deepEqual(said, ['databaseLost away', 'databaseBack', 'databaseLost away again'])
  assert.deepEqual([outage.failures, failures], [1, 3])
})
