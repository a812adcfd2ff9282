import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Portion } from './portion.ts'

/** Does all of `items` but those in `bad`; returns what was done, what was refused, and in how many tries. */
function run(items: readonly number[], bad: ReadonlySet<number>) {
  const portion = new Portion()
  const done: number[] = []
  const refused: number[] = []
  let tries = 0
  for (let rest = items; rest.length > 0;) {
    const part = portion.of(rest)
    tries++
    if (!part.some((item) => bad.has(item))) {
      done.push(...part)
      portion.done()
    } else if (portion.refused(part.length)) continue
    else refused.push(...part)
    rest = rest.slice(part.length)
  }
  return { done, refused, tries }
}

const many = Array.from({ length: 1000 }, (_, index) => index)

test('what is not refused is done at once', () => {
  assert.deepEqual(run(many, new Set()), { done: many, refused: [], tries: 1 })
})

test('one that is refused costs the others nothing but time, wherever it stands', () => {
  for (const bad of [0, 1, 499, 500, 999]) {
    const { done, refused, tries } = run(many, new Set([bad]))
    assert.deepEqual(refused, [bad])
    assert.deepEqual(
      done,
      many.filter((item) => item !== bad),
    )
    assert.ok(tries <= 70, `${tries} tries`)
  }
})

test('where everything is refused that is found out by little more than a try for each', () => {
  const { done, refused, tries } = run(many, new Set(many))
  assert.deepEqual([done, refused], [[], many])
  assert.ok(tries <= 1020, `${tries} tries`)
})

test('every other one', () => {
  const { done, refused, tries } = run(many, new Set(many.filter((item) => item % 2 === 1)))
  assert.equal(done.length, 500)
  assert.equal(refused.length, 500)
  assert.ok(tries <= 2020, `${tries} tries`)
})
