import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Draft, type Permissions } from './draft.ts'
import type { Key, SetKey } from './protocol.ts'
import { rowCosts } from './quota.ts'
import { apply, type View, viewOf } from './view.ts'

const all: Permissions = { read: true, write: true, admin: true }
const reader: Permissions = { read: true, write: false, admin: false }
const writer: Permissions = { read: true, write: true, admin: false }

/** By the ids of their sockets. */
const [ann, bob, cid] = [1, 2, 3]

const opened = (length: number, keys: readonly Key[] = []): View =>
  viewOf({ number: '1', counted: true, length, keys })
const empty = (): View => opened(0)
const draftOf = (view: View, left = Infinity): Draft => new Draft(view, { maxSize: 100, left })

/** Makes the view what was decided. */
function applyTo(view: View, { facts }: Draft): void {
  for (const fact of facts) apply(view, fact)
}

/** The keys that a subscriber takes along, so many at most, as others are told. */
function leave(draft: Draft, by: number, max?: number) {
  const { count, more } = draft.leave(by, max)
  const fact = draft.facts.at(-1)
  const keys = count > 0 && fact?.type === 'keysRemoved' ? fact.keys : []
  assert.equal(keys.length, count)
  return { keys: keys.map(({ name, version }) => [name.toString(), version]), more }
}

const append = (offset: number, text: string) =>
  ({ type: 'append', offset, data: Buffer.from(text) }) as const

function setting(name: string, oldVersion: number, newVersion: number, stored = true, value = 'v'): SetKey {
  const texts = { name: Buffer.from(name), value: Buffer.from(value) }
  return { type: 'setKey', request: 1, stored, oldVersion, newVersion, ...texts }
}

test('of two appends at one offset one is accepted, and nothing counts before it is applied', () => {
  const view = empty()
  const draft = draftOf(view)
  assert.equal(draft.append(append(0, 'abc'), writer, ann), 'accepted')
  assert.equal(draft.append(append(0, 'xyz'), writer, ann), 'refused')
  assert.equal(draft.append(append(3, ''), writer, ann), 'accepted')
  assert.equal(view.length, 0)
  applyTo(view, draft)
  assert.equal(view.length, 3)
})

test('who may not write is told so at the right offset only; a document has an end', () => {
  const draft = draftOf(empty())
  assert.equal(draft.append(append(5, 'x'), reader, ann), 'refused')
  assert.equal(draft.append(append(0, 'x'), reader, ann), 'notPermitted')
  assert.equal(draft.append(append(0, '.'.repeat(101)), writer, ann), 'tooLong')
  assert.equal(draft.append(append(0, '.'.repeat(100)), writer, ann), 'accepted')
  assert.equal(draft.append(append(Infinity, 'x'), writer, ann), 'refused')
})

test('a key is set by whoever knows its version, and a missing one at version 0', () => {
  const view = empty()
  const draft = draftOf(view)
  assert.equal(draft.setKey(setting('k', 1, 2), writer, ann), 'refused')
  assert.equal(draft.setKey(setting('k', 0, 7), writer, ann), 'set')
  assert.equal(draft.setKey(setting('k', 0, 8), writer, bob), 'refused')
  // Not larger than the old one, as the reference has it.
  assert.equal(draft.setKey(setting('k', 7, 2 ** 32 - 1), writer, bob), 'set')
  assert.equal(draft.setKey(setting('k', 2 ** 32 - 1, 3), writer, bob), 'set')
  assert.deepEqual(
    draft.storedKeys().map(({ version }) => version),
    [3],
  )
  applyTo(view, draft)
  assert.equal(view.keys.get('k')?.version, 3)
  assert.equal(view.keyBytes, 2)
})

test('rights: readers have keys of their own only, admin: is for admins, a name has one lifetime', () => {
  const draft = draftOf(empty())
  assert.equal(draft.setKey(setting('k', 0, 1), reader, ann), 'refused')
  assert.equal(draft.setKey(setting('cursor', 0, 1, false), reader, ann), 'set')
  assert.equal(draft.setKey(setting('cursor', 1, 2, true), all, ann), 'refused')
  for (const stored of [true, false]) {
    assert.equal(draft.setKey(setting('admin:x', 0, 1, stored), writer, ann), 'refused')
    assert.equal(draft.setKey(setting(`admin:${stored}`, 0, 1, stored), all, ann), 'set')
  }
})

test('keys end with the connection that set them last', () => {
  const view = empty()
  const first = draftOf(view)
  first.setKey(setting('a', 0, 1, false), writer, ann)
  first.setKey(setting('b', 0, 2 ** 32 - 1, false), writer, ann)
  first.setKey(setting('s', 0, 1, true), writer, ann)
  applyTo(view, first)
  const second = draftOf(view)
  second.setKey(setting('a', 1, 5, false), writer, bob)
  assert.deepEqual(leave(second, ann).keys, [['b', 0]])
  assert.deepEqual(leave(second, bob).keys, [['a', 6]])
  assert.equal(second.setKey(setting('a', 0, 1, false), writer, cid), 'set')
  applyTo(view, second)
  assert.deepEqual(Array.from(view.keys.keys()).sort(), ['a', 's'])
  assert.equal(view.keyBytes, 4)
})

test('the keys of a document are bounded in number and bytes', () => {
  const view = empty()
  const draft = draftOf(view)
  assert.equal(draft.setKey(setting('large', 0, 1, true, '.'.repeat(1024 * 1024)), writer, ann), 'refused')
  for (let n = 0; n < 10_000; n++) assert.equal(draft.setKey(setting(String(n), 0, 1), writer, ann), 'set')
  assert.equal(draft.setKey(setting('more', 0, 1), writer, ann), 'refused')
  assert.equal(draft.setKey(setting('7', 1, 2, true, 'longer'), writer, ann), 'set')
})

test('what counts for the quota: bytes, a row for all that is appended, one for each stored key', () => {
  const view = empty()
  const first = draftOf(view, 600)
  assert.equal(first.append(append(0, 'abc'), writer, ann), 'accepted')
  assert.equal(first.append(append(3, 'def'), writer, ann), 'accepted')
  assert.equal(first.quotaBytes, 6 + rowCosts.part)
  assert.equal(first.setKey(setting('k', 0, 1, true, '12345'), writer, ann), 'set')
  assert.equal(first.setKey(setting('of a connection', 0, 1, false), writer, ann), 'set')
  assert.equal(first.quotaBytes, 6 + rowCosts.part + 6 + rowCosts.key)
  applyTo(view, first)
  const second = draftOf(view, 10)
  assert.equal(second.append(append(6, 'g'), writer, ann), 'full')
  assert.equal(second.setKey(setting('k', 1, 2, true, '1'.repeat(16)), writer, ann), 'full')
  assert.equal(second.setKey(setting('l', 0, 1, true), writer, ann), 'full')
  assert.equal(second.setKey(setting('k', 1, 2, true, '1'), writer, ann), 'set')
  assert.equal(second.quotaBytes, -4)
  assert.equal(second.setKey(setting('cursor', 0, 1, false), writer, ann), 'set')
})

test('the keys of a connection go so many at a time, those among them that were set just now', () => {
  const view = empty()
  const first = draftOf(view, 10_000)
  for (const name of ['a', 'b', 'c', 'd']) first.setKey(setting(name, 0, 1, false), writer, ann)
  first.setKey(setting('e', 0, 1, false), writer, bob)
  applyTo(view, first)
  const second = draftOf(view, 10_000)
  second.setKey(setting('f', 0, 1, false), writer, ann)
  second.setKey(setting('a', 1, 2, false), writer, bob)
  const names = ({ keys }: ReturnType<typeof leave>) => keys.map(([name]) => name)
  const left = leave(second, ann, 2)
  assert.deepEqual([names(left), left.more], [['f', 'b'], true])
  applyTo(view, second)
  const third = draftOf(view, 10_000)
  const rest = leave(third, ann, 2)
  assert.deepEqual([names(rest), rest.more], [['c', 'd'], false])
  applyTo(view, third)
  assert.deepEqual([...view.keys.keys()].sort(), ['a', 'e'])
  assert.deepEqual(
    [...view.owned].map(([owner, ids]) => [owner, [...ids].sort()]),
    [[bob, ['a', 'e']]],
  )
})

test('appends: by offset, right and length', () => {
  const right = writer
  const cases: [what: string, offset: number, length: number, who: Permissions, left: number, string][] = [
    ['at the end', 10, 3, right, Infinity, 'accepted'],
    ['nothing, at the end', 10, 0, right, 0, 'accepted'],
    ['before the end', 9, 3, right, Infinity, 'refused'],
    ['behind the end', 11, 3, right, Infinity, 'refused'],
    ['at 0', 0, 3, right, Infinity, 'refused'],
    ['beyond all numbers', Infinity, 3, right, Infinity, 'refused'],
    ['by a reader, at the end', 10, 3, reader, Infinity, 'notPermitted'],
    ['by a reader, elsewhere', 9, 3, reader, Infinity, 'refused'],
    [
      'by an admin without the right to write',
      10,
      3,
      { read: true, write: false, admin: true },
      Infinity,
      'notPermitted',
    ],
    ['up to the longest', 10, 90, right, Infinity, 'accepted'],
    ['past the longest', 10, 91, right, Infinity, 'tooLong'],
    ['up to the quota', 10, 3, right, 3 + 128, 'accepted'],
    ['past the quota', 10, 3, right, 2 + 128, 'full'],
    ['past the longest and the quota', 10, 91, right, 0, 'tooLong'],
  ]
  for (const [what, offset, length, who, left, outcome] of cases) {
    const view = opened(10)
    const draft = draftOf(view, left)
    assert.equal(draft.append(append(offset, '.'.repeat(length)), who, ann), outcome, what)
    assert.equal(draft.length, outcome === 'accepted' ? 10 + length : 10, what)
    assert.equal(view.length, 10, what)
  }
})

test('keys: by version, lifetime, name and right', () => {
  const admin: Permissions = { read: true, write: true, admin: true }
  const stored = { name: Buffer.from('stored'), value: Buffer.from('old'), version: 5 }
  const special = { name: Buffer.from('admin:x'), value: Buffer.from('old'), version: 1 }
  const cases: [what: string, SetKey, Permissions, isSet: boolean][] = [
    ['a new one', setting('new', 0, 1), writer, true],
    ['a new one, to version 0', setting('new', 0, 0), writer, true],
    ['a new one that is said to be known', setting('new', 1, 2), writer, false],
    ['of the version that it has', setting('stored', 5, 6), writer, true],
    ['back to an older version', setting('stored', 5, 1), writer, true],
    ['to the same version', setting('stored', 5, 5), writer, true],
    ['of an older version', setting('stored', 4, 6), writer, false],
    ['of a newer version', setting('stored', 6, 7), writer, false],
    ['as if it were new', setting('stored', 0, 6), writer, false],
    ['of the other lifetime', setting('stored', 5, 6, false), writer, false],
    ['stored, by a reader', setting('stored', 5, 6), reader, false],
    ['of a connection, by a reader', setting('cursor', 0, 1, false), reader, true],
    ['an admin’s, by an admin', setting('admin:x', 1, 2), admin, true],
    ['an admin’s, by others', setting('admin:x', 1, 2), writer, false],
    ['an admin’s of a connection, by others', setting('admin:y', 0, 1, false), writer, false],
    ['one that only looks like it', setting('admin', 0, 1), writer, true],
    ['one that only looks like it, too', setting('Admin:x', 0, 1), writer, true],
    ['without a name', setting('', 0, 1), writer, true],
    ['without a value', setting('stored', 5, 6, true, ''), writer, true],
  ]
  for (const [what, command, who, isSet] of cases) {
    const view = opened(0, [stored, special])
    const draft = draftOf(view)
    assert.equal(draft.setKey(command, who, ann), isSet ? 'set' : 'refused', what)
    assert.equal(draft.facts.length, Number(isSet), what)
    if (!isSet) continue
    applyTo(view, draft)
    const key = view.keys.get(command.name.toString())
    assert.deepEqual(
      [key?.name, key?.value, key?.version, key?.owner],
      [command.name, command.value, command.newVersion, command.stored ? null : ann],
      what,
    )
  }
})

test('a key as it is told: the same bytes when it was stored, set just now, and among all', () => {
  const bytes = '00000005 00000001 6b 00000003 6f6c64'.replaceAll(' ', '')
  const key = { name: Buffer.from('k'), value: Buffer.from('old'), version: 5 }
  const view = opened(0, [key, { ...key, name: Buffer.from('l') }])
  assert.equal(view.keys.get('k')?.encoded.toString('hex'), bytes)
  assert.deepEqual(
    [view.keyBytes, view.keys.get('l')?.name.toString(), view.keys.get('l')?.value.toString()],
    [8, 'l', 'old'],
  )
  const other = empty()
  const draft = draftOf(other)
  draft.setKey(setting('k', 0, 5, true, 'old'), writer, ann)
  applyTo(other, draft)
  assert.equal(other.keys.get('k')?.encoded.toString('hex'), bytes)
})

test('names of keys are bytes, whatever they are', () => {
  const view = empty()
  const draft = draftOf(view)
  for (const name of [Buffer.from([0xff]), Buffer.from([0xfe]), Buffer.from([0xc3, 0xa9]), Buffer.from([0])])
    assert.equal(draft.setKey({ ...setting('', 0, 1), name }, writer, ann), 'set')
  applyTo(view, draft)
  assert.equal(view.keys.size, 4)
})

test('keys up to the last byte and the last piece of the quota, and again what those had that are gone', () => {
  const megabyte = 1024 * 1024
  const whole = draftOf(empty())
  assert.equal(whole.setKey(setting('k', 0, 1, true, '.'.repeat(megabyte - 1)), writer, ann), 'set')
  assert.equal(whole.setKey(setting('l', 0, 1, true, ''), writer, ann), 'refused')
  const costs = rowCosts.key + 2
  assert.equal(draftOf(empty(), costs - 1).setKey(setting('k', 0, 1), writer, ann), 'full')
  const full = draftOf(empty(), costs)
  assert.equal(full.setKey(setting('k', 0, 1), writer, ann), 'set')
  assert.equal(full.setKey(setting('k', 1, 2, true, 'w'), writer, ann), 'set')
  assert.equal(full.setKey(setting('k', 2, 3, true, 'vv'), writer, ann), 'full')
  const many = draftOf(empty())
  for (let n = 0; n < 10_000; n++) many.setKey(setting(String(n), 0, 1, n > 0), writer, ann)
  assert.equal(many.setKey(setting('more', 0, 1), writer, bob), 'refused')
  assert.equal(many.leave(ann).count, 1)
  assert.equal(many.setKey(setting('more', 0, 1), writer, bob), 'set')
})
