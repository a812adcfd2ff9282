import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cleanName, type Entry, lineOf, maxName, parseLine, pictureOf, type Stroke } from './entries.ts'

const stroke = (id: string, by: string): Stroke => ({
  type: 'stroke',
  id,
  by,
  color: 2,
  width: 14,
  points: [
    { x: 10, y: 20 },
    { x: 0, y: 1600 },
  ],
})
const undo = (target: string, by: string): Entry => ({ type: 'undo', id: `undo ${target}`, by, target })
const redo = (target: string, by: string): Entry => ({ type: 'redo', id: `redo ${target}`, by, target })
const name = (by: string, name: string): Entry => ({ type: 'name', id: `${by} is ${name}`, by, name })
const clear = (id: string, by: string): Entry => ({ type: 'clear', id, by })
const shown = (...entries: Entry[]): string =>
  pictureOf(entries)
    .strokes.map(({ id }) => id)
    .join()

test('an entry is one line, and the same when it is read', () => {
  for (const entry of [stroke('1', 'a'), undo('1', 'a'), redo('1', 'a'), clear('2', 'a'), name('a', 'Åsa')]) {
    assert.match(lineOf(entry), /^[^\n]+\n$/)
    assert.deepEqual(parseLine(lineOf(entry).trimEnd()), entry)
  }
})

test('a line that is none of ours is none', () => {
  const line = (change: object): string =>
    JSON.stringify({ ...(JSON.parse(lineOf(stroke('1', 'a'))) as object), ...change })
  assert.notEqual(parseLine(line({})), null)
  for (const change of [
    { type: 'line' },
    { id: '' },
    { id: 'x'.repeat(41) },
    { by: 7 },
    { color: 6 },
    { color: 1.5 },
    { width: 0 },
    { width: 1e9 },
    { points: [] },
    { points: [1, 2, 3] },
    { points: [1, 2001] },
    { points: [5, 5, -6, 0] },
    { points: ['a', 1] },
    { points: Array(4002).fill(0) },
  ])
    assert.equal(parseLine(line(change)), null, JSON.stringify(change))
  for (const text of [
    '',
    '{',
    'null',
    '7',
    '[]',
    '{"type":"undo","id":"a","by":"b"}',
    '{"type":"redo","id":"a","by":"b"}',
    '{"type":"name","id":"a","by":"b","name":7}',
  ])
    assert.equal(parseLine(text), null, text)
})

test('one takes back what is his own', () => {
  assert.equal(shown(stroke('1', 'a'), stroke('2', 'b'), undo('1', 'a')), '2')
  assert.equal(shown(stroke('1', 'a'), stroke('2', 'b'), undo('1', 'b')), '1,2')
  assert.equal(shown(undo('1', 'a'), stroke('1', 'a')), '')
})

test('after clearing there is what was drawn since, and all again when it is taken back', () => {
  const before = [stroke('1', 'a'), stroke('2', 'b'), clear('3', 'b'), stroke('4', 'a')]
  assert.equal(shown(...before), '4')
  assert.equal(shown(...before, undo('3', 'b')), '1,2,4')
  assert.equal(shown(...before, undo('3', 'a')), '4')
})

test('the next to be taken back is the last that stands, and nothing from before a clearing', () => {
  const next = (by: string, ...entries: Entry[]) => pictureOf(entries).undoable.get(by)
  assert.equal(next('a', stroke('1', 'a'), stroke('2', 'a')), '2')
  assert.equal(next('a', stroke('1', 'a'), stroke('2', 'a'), undo('2', 'a')), '1')
  assert.equal(next('a', stroke('1', 'a'), clear('2', 'b')), undefined)
  assert.equal(next('b', stroke('1', 'a'), clear('2', 'b')), '2')
  assert.equal(next('a', stroke('1', 'a'), clear('2', 'b'), undo('2', 'b')), '1')
})

test('what was taken back is done again where it was, in the order opposite to taking it back', () => {
  const drawn = [stroke('1', 'a'), stroke('2', 'b'), stroke('3', 'a')]
  const undone = [...drawn, undo('3', 'a'), undo('1', 'a')]
  const next = (by: string, ...entries: Entry[]) => pictureOf(entries).redoable.get(by)
  assert.equal(next('a', ...drawn), undefined)
  assert.equal(next('a', ...undone), '1')
  assert.equal(shown(...undone, redo('1', 'a')), '1,2')
  assert.equal(next('a', ...undone, redo('1', 'a')), '3')
  assert.equal(pictureOf([...undone, redo('1', 'a')]).undoable.get('a'), '1')
  assert.equal(shown(...undone, redo('1', 'a'), redo('3', 'a')), '1,2,3')
  assert.equal(shown(...undone, redo('1', 'a'), undo('1', 'a')), '2')
  assert.equal(next('a', ...undone, redo('1', 'a'), undo('1', 'a')), '1')
})

test('what others took back, and what was drawn over by a new step, is not done again', () => {
  const undone = [stroke('1', 'a'), undo('1', 'a')]
  const next = (by: string, ...entries: Entry[]) => pictureOf(entries).redoable.get(by)
  assert.equal(shown(...undone, redo('1', 'b')), '')
  assert.equal(next('b', ...undone), undefined)
  assert.equal(next('a', ...undone, stroke('2', 'b')), '1')
  assert.equal(next('a', ...undone, stroke('2', 'a')), undefined)
  // It would be seen no more.
  assert.equal(next('a', ...undone, clear('2', 'b')), undefined)
  assert.equal(next('a', ...undone, clear('2', 'b'), undo('2', 'b')), '1')
  // A clearing is a step as well, and a step that nobody has made is none.
  assert.equal(next('a', stroke('1', 'b'), clear('2', 'a'), undo('2', 'a')), '2')
  assert.equal(shown(stroke('1', 'b'), clear('2', 'a'), undo('2', 'a'), redo('2', 'a')), '')
  assert.equal(next('a', stroke('1', 'b'), undo('7', 'a')), undefined)
})

test('the last name of a person holds, an empty one ends it, and neither is a step', () => {
  const entries = [stroke('1', 'a'), name('a', 'Asa'), name('b', 'Zoë'), name('a', 'Åsa')]
  const picture = pictureOf(entries)
  assert.deepEqual(Array.from(picture.names), [
    ['a', 'Åsa'],
    ['b', 'Zoë'],
  ])
  assert.equal(picture.undoable.get('a'), '1')
  assert.equal(picture.undoable.get('b'), undefined)
  assert.deepEqual(Array.from(pictureOf([...entries, name('a', '')]).names.keys()), ['b'])
  const undone = [stroke('1', 'a'), undo('1', 'a'), name('a', 'Åsa')]
  assert.equal(pictureOf(undone).redoable.get('a'), '1')
})

test('a name stands on one line, has an end, and turns nothing around', () => {
  assert.equal(cleanName('  Åsa\n\t\u202eNilsson\u0000\ud800 '), 'Åsa Nilsson')
  assert.equal(cleanName('\u2066 \ufffe'), '')
  assert.equal(Array.from(cleanName('😀'.repeat(1000))).length, maxName)
  const line = lineOf({ type: 'name', id: '1', by: 'a', name: 'x'.repeat(99) })
  assert.deepEqual(parseLine(line), { type: 'name', id: '1', by: 'a', name: 'x'.repeat(maxName) })
})
