import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Stroke } from './entries.ts'
import { svgOf } from './picture-file.ts'

const stroke: Stroke = {
  type: 'stroke',
  id: '1',
  by: 'a',
  color: 1,
  width: 14,
  points: [
    { x: 10, y: 20 },
    { x: 30, y: 40 },
    { x: 50, y: 65 },
  ],
}
const palette = { pens: ['#000', '#c00'], card: '#fff', ink: '#000', font: "'Segoe UI', sans-serif" }
const svg = (strokes: Stroke[], names: [string, string][] = []): string =>
  svgOf({ title: 'Sketch <1> & "2"', strokes, names: new Map(names), palette }, (text) => 20 * text.length)

test('an SVG has each stroke as it is painted, on a sheet of the same size', () => {
  const dot = { ...stroke, points: [{ x: 7, y: 8 }] }
  const text = svg([stroke, dot])
  assert.match(text, /^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg" [^>]*viewBox="0 0 2000 1600">/)
  assert.ok(text.includes('<path stroke="#c00" stroke-width="14" d="M10 20Q30 40 40 52.5L50 65"/>'), text)
  assert.ok(text.includes('d="M7 8L7 8"'), text)
  assert.ok(!text.includes('<text'), text)
})

test('what people are called is text in an SVG, whatever it is', () => {
  const text = svg([stroke], [['a', '</text><script>"&']])
  assert.ok(text.includes('>&lt;/text&gt;&lt;script&gt;&quot;&amp;</text>'), text)
  assert.ok(text.includes('<title>Sketch &lt;1&gt; &amp; &quot;2&quot;</title>'), text)
})
