import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createLog, shortHeader, type LogEntry } from './log.ts'

function journal(entry: LogEntry): string {
  let said = ''
  const log = createLog((line) => (said += line), {
    format: 'journal',
    least: 'debug',
    now: () => new Date(0),
  })
  log(entry)
  return said
}

test('words are a name and its value, also of a reload', () => {
  const settings = { origin: 'https://one.example', rate: '1' }
  const certificate = 'valid until 2030'
  assert.equal(
    journal({ level: 'info', event: 'reloaded', settings, certificate }),
    '<6>reloaded origin=https://one.example rate=1 certificate="valid until 2030"\n',
  )
  assert.equal(journal({ level: 'info', event: 'reloaded', settings: {} }), '<6>reloaded\n')
  assert.equal(
    journal({ level: 'warn', event: 'restartNeeded', settings: ['grace', 'ping'], reason: 'later' }),
    '<4>restartNeeded settings=grace,ping reason=later\n',
  )
})

test('what a client says is one short line, and no key', () => {
  assert.equal(shortHeader(`https://${'k'.repeat(54)}.example`), 'https://….example')
  const entry = { level: 'warn', event: 'originRefused', address: '::1', request: 'r' } as const
  assert.equal(
    journal({ ...entry, origin: shortHeader('a\n<3>b'.padEnd(1000)) }).length,
    journal({ ...entry, origin: 'a\n<3>b'.padEnd(100) }).length,
  )
  assert.equal(
    journal({ ...entry, origin: 'a\n<3>b' }),
    '<4>originRefused address=::1 request=r origin="a\\n<3>b"\n',
  )
})
