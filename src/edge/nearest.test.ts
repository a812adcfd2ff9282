import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nearest } from './nearest.ts'

const known = ['origin', 'listen', 'adminlisten', 'ping', 'poll', 'document', 'document-origin']

test('what was probably meant is found, and nothing that is far away', () => {
  for (const [given, meant] of [
    ['orign', 'origin'],
    ['Origin', 'origin'],
    ['lsiten', 'listen'],
    ['opll', 'poll'],
    ['pnig', 'ping'],
    ['admin-listen', 'adminlisten'],
    ['admin', 'adminlisten'],
    ['pol', 'poll'],
    ['documentorigin', 'document-origin'],
    ['doc', null],
    ['port', null],
    ['x', null],
    ['', null],
    ['unknown', null],
  ] as const)
    assert.equal(nearest(given, known), meant, given)
})
