import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Point, sheet, type Stroke } from './entries.ts'
import { type Label, placeLabels } from './labels.ts'

const size = 40
const measure = (text: string): number => text.length * 20
const names = new Map([
  ['a', 'Åsa'],
  ['b', 'Maria Dimitrova'],
])
const stroke = (by: string, ...points: Point[]): Stroke => ({
  type: 'stroke',
  id: '1',
  by,
  color: 0,
  width: 6,
  points,
})
const place = (...strokes: Stroke[]): Label[] => placeLabels(strokes, names, { size, measure })

test('a name stands above where the stroke begins; who has none has none there', () => {
  const [label, ...more] = place(
    stroke('a', { x: 500, y: 500 }, { x: 900, y: 900 }),
    stroke('c', { x: 9, y: 9 }),
  )
  assert.equal(label?.text, 'Åsa')
  assert.equal(label.at.x, 500)
  assert.ok(label.at.y < 500 && label.at.y > 500 - 2 * size)
  assert.deepEqual(more, [])
})

test('names are whole on the sheet, and none is over another one', () => {
  const corners = [0, sheet.width].flatMap((x) => [0, sheet.height].map((y) => ({ x, y })))
  const crowd = Array.from({ length: 3000 }, (_, index) => ({
    x: (index * 7919) % sheet.width,
    y: (index * 104_729) % sheet.height,
  }))
  const labels = place(...[...corners, ...crowd].map((at, index) => stroke(index % 2 ? 'a' : 'b', at)))
  assert.ok(labels.length > 50, String(labels.length))
  const boxes = labels.map(({ text, at: { x, y } }) => ({ x, y, right: x + measure(text), top: y - size }))
  for (const box of boxes) {
    assert.ok(box.x >= 0 && box.right <= sheet.width && box.top >= 0 && box.y <= sheet.height)
    const over = boxes.filter(
      (other) =>
        other !== box && other.x < box.right && other.right > box.x && other.top < box.y && other.y > box.top,
    )
    assert.deepEqual(over, [])
  }
})

test('strokes of one person that are near one another have one name', () => {
  const word = Array.from({ length: 8 }, (_, index) => stroke('a', { x: 410 + 20 * index, y: 490 }))
  assert.equal(place(...word).length, 1)
  assert.equal(place(...word, stroke('a', { x: 1500, y: 1200 })).length, 2)
})
