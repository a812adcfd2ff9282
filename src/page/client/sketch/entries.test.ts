import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Entry, lineOf, parseLine, pictureOf, type Stroke } from './entries.ts'

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
const clear = (id: string, by: string): Entry => ({ type: 'clear', id, by })
const shown = (...entries: Entry[]): string =>
  pictureOf(entries)
    .strokes.map(({ id }) => id)
    .join()

test('an entry is one line, and the same when it is read', () => {
  for (const entry of [stroke('1', 'a'), undo('1', 'a'), clear('2', 'a')]) {
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
  for (const text of ['', '{', 'null', '7', '[]', '{"type":"undo","id":"a","by":"b"}'])
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
