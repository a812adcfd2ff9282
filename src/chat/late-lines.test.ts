import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LateLines } from './late-lines.ts'

test('what was never left out is none of theirs: a page has it, or they hear it with the others', () => {
  const late = new LateLines()
  assert.equal(late.appeared(5, 'five', 0), false)
  assert.deepEqual(late.completed(10), [])
})

test('what a page leaves out comes with it if it appears meanwhile, else by itself, and once', () => {
  const late = new LateLines()
  assert.deepEqual(late.hide([5, 8], 2), [5, 8])
  assert.equal(late.appeared(5, 'five', 2), false)
  assert.deepEqual(late.completed(8), ['five'])
  assert.equal(late.appeared(5, 'five', 8), false)
  assert.equal(late.appeared(8, 'eight', 8), true)
  assert.equal(late.appeared(8, 'eight', 8), false)
})

test('what a page has not reached is for the next one, which reads it', () => {
  const late = new LateLines()
  late.hide([5, 8], 2)
  late.appeared(8, 'eight', 2)
  // The page ends before it: the next one begins there, and the line is in the log.
  assert.deepEqual(late.completed(6), [])
  assert.deepEqual(late.hide([], 6), [])
  assert.equal(late.appeared(5, 'five', 6), true)
})

test('what an older page left out is left out of the next one, too, only where that could have it', () => {
  const late = new LateLines()
  late.hide([3, 9], 2)
  late.completed(9)
  assert.deepEqual(late.hide([12], 9), [12])
  assert.equal(late.appeared(3, 'three', 9), true)
})
