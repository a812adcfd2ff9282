import assert from 'node:assert/strict'
import { test } from 'node:test'
import { baseName } from './file-name.ts'
import type { RecordHead } from './record.ts'

const head = (name: string, opened: string | null = '2026-03-14T19:00:02+01:00'): RecordHead => ({
  meeting: 11,
  name,
  state: 'finished',
  timezone: 'Europe/Paris',
  scheduled: '2026-03-15T19:00:00+01:00',
  asOf: '2026-03-16T10:00:00+01:00',
  opened,
  finished: null,
  final: true,
  lines: 0,
  speakers: 0,
  present: 0,
  byProxy: 0,
})

test('files are called by the name of the meeting and its day, whatever the name is', () => {
  for (const [name, expected] of [
    ['General assembly', 'General assembly'],
    ['Årsmöte för föreningen', 'Årsmöte för föreningen'],
    ['Votes 2/3: "yes" <or> no?', 'Votes 2 3 yes or no'],
    ['..\\..//etc/passwd\r\nX: y', 'etc passwd X y'],
    ['...', 'Meeting 11'],
    ['👩‍👩‍👧'.repeat(20), Array.from('👩‍👩‍👧'.repeat(20)).slice(0, 50).join('')],
  ] as const)
    assert.equal(baseName(head(name)), `${expected} 2026-03-14`)
  assert.equal(baseName(head('Not yet', null)), 'Not yet 2026-03-15')
})
