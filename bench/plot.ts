/** Points are [x, y], both above 0, in the order of x. */
export type Plot = { title: string; x: string; series: { name: string; points: [number, number][] }[] }

const columns = 2
const margin = 12
const cell = { width: 460, height: 300 }
const inner = { left: 56, right: 24, top: 44, bottom: 48 }
const width = cell.width - inner.left - inner.right
const height = cell.height - inner.top - inner.bottom

/** Plots beside and below each other as an SVG, both axes logarithmic. */
export function draw(plots: readonly Plot[]): string {
  const rows = Math.ceil(plots.length / columns)
  const cells = plots.map((plot, index) => {
    const left = (index % columns) * cell.width
    const top = Math.floor(index / columns) * cell.height
    return `<g transform="translate(${left + inner.left} ${top + inner.top})">${drawOne(plot)}</g>`
  })
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${columns * cell.width + margin} ${rows * cell.height}">
<style>
  svg { font: 12px system-ui, sans-serif; background: #fff; fill: #222 }
  .title { font-weight: 600; font-size: 14px }
  .axis { fill: #666 }
  .grid { stroke: #ddd }
  .line { fill: none; stroke-width: 2 }
  .first { color: #0b62b0 }
  .second { color: #b3560b }
  .line { stroke: currentColor }
  .name, circle { fill: currentColor }
  @media (prefers-color-scheme: dark) {
    svg { background: #14171a; fill: #e6e6e6 }
    .axis { fill: #a0a6ab }
    .grid { stroke: #33393e }
    .first { color: #6db3f2 }
    .second { color: #f0a35e }
  }
</style>
${cells.join('\n')}
</svg>
`
}

function drawOne({ title, x, series }: Plot): string {
  const points = series.flatMap(({ points }) => points)
  const xs = [...new Set(points.map(([value]) => value))].sort((a, b) => a - b)
  const ys = ticks(points.map(([, value]) => value))
  const right = scale(xs, width)
  const up = scale(ys, height)
  const place = ([px, py]: readonly [number, number]): string =>
    `${right(px).toFixed(1)} ${(height - up(py)).toFixed(1)}`
  const text = (at: string, words: string, as: string): string =>
    `<text transform="translate(${at})" ${as}>${escape(words)}</text>`

  const grid = ys.map((value) => {
    const y = (height - up(value)).toFixed(1)
    return `<path class="grid" d="M0 ${y}H${width}"/>${text(`-8 ${y}`, short(value), 'class="axis" text-anchor="end" dy="4"')}`
  })
  const below = xs.map((value) =>
    text(`${right(value).toFixed(1)} ${height + 18}`, short(value), 'class="axis" text-anchor="middle"'),
  )
  const lines = series.map(({ name, points }, index) => {
    const dots = points.map((point) => `<circle r="3" transform="translate(${place(point)})"/>`)
    const label = `${(width * index) / series.length} -10`
    return `<g class="${index === 0 ? 'first' : 'second'}"><path class="line" d="M${points.map(place).join('L')}"/>${dots.join('')}${series.length > 1 ? text(label, name, 'class="name"') : ''}</g>`
  })
  return [
    text('0 -28', title, 'class="title"'),
    ...grid,
    ...below,
    text(`${width / 2} ${height + 38}`, x, 'class="axis" text-anchor="middle"'),
    ...lines,
  ].join('\n')
}

/** 1, 2 and 5 times the powers of ten, from below the least of `values` to above the greatest. */
function ticks(values: readonly number[]): number[] {
  const steps = Array.from({ length: 16 }, (_, power) =>
    [1, 2, 5].map((step) => step * 10 ** (power - 6)),
  ).flat()
  const least = steps.findLastIndex((step) => step <= Math.min(...values))
  const greatest = steps.findIndex((step) => step >= Math.max(...values))
  return steps.slice(Math.max(0, least), greatest + 1)
}

function scale(values: readonly number[], length: number): (value: number) => number {
  const least = Math.log(Math.min(...values))
  const span = Math.log(Math.max(...values)) - least || 1
  return (value) => ((Math.log(value) - least) / span) * length
}

const short = (value: number): string => Number(value.toPrecision(3)).toLocaleString('en')
const escape = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
