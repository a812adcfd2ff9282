import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { doors } from '../doors.ts'
import { type EntryOf, type EventTable, info, serverEvents, warn } from './events.ts'
import type { Log } from './log.ts'

const events = {
  came: info({ room: 'number', names: 'texts', hint: 'text?' }),
  failed: warn({}),
} as const satisfies EventTable

test('the type check lets only entries of a table be logged', () => {
  const logged: unknown[] = []
  const log: Log<EntryOf<typeof events>> = (entry) => logged.push(entry)
  log({ level: 'info', event: 'came', room: 1, names: ['a'] })
  log({ level: 'info', event: 'came', room: 1, names: [], hint: 'b' })
  log({ level: 'warn', event: 'failed' })
  // @ts-expect-error: an event that is not in the table
  log({ level: 'info', event: 'went' })
  // @ts-expect-error: a level that is not the event's
  log({ level: 'error', event: 'failed' })
  // @ts-expect-error: a value that the event does not have
  log({ level: 'warn', event: 'failed', key: 'secret' })
  // @ts-expect-error: a value of another kind
  log({ level: 'info', event: 'came', room: { key: 'secret' }, names: [] })
  // @ts-expect-error: a value that is missing
  log({ level: 'info', event: 'came', room: 1 })
  assert.equal(logged.length, 8)
})

test('no two doors, and no door and the server, have an event of one name', () => {
  const names = [serverEvents, ...doors.map(({ events }) => events)].flatMap((table) => Object.keys(table))
  assert.deepEqual([...new Set(names)], names)
})

test('what the source of a door logs is in its table or in the one of the server', () => {
  for (const { name, events } of doors) {
    const folder = fileURLToPath(new URL(`../${name}`, import.meta.url))
    const logged = readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((file) => /(?<!\.test)\.tsx?$/.test(file))
      .flatMap((file) =>
        Array.from(
          readFileSync(`${folder}/${file}`, 'utf8').matchAll(/\bevent: '(\w+)'/g),
          ([, event = '']) => event,
        ),
      )
    assert.ok(logged.length > 0, name)
    const known = new Set([...Object.keys(events), ...Object.keys(serverEvents)])
    assert.deepEqual(
      logged.filter((event) => !known.has(event)),
      [],
    )
  }
})
