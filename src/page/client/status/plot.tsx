const width = 240
const height = 40
const samples = 120

type PlotProps = {
  name: string
  note: string
  /** The value now, in words. */
  now: string
  /** Oldest first; null where there was nothing to measure. */
  series: readonly (number | null)[]
  show: (value: number) => string
  /** Seconds from one value to the next. */
  every: number
}

/** A figure with its course over the last ten minutes, from zero up; the newest value is at the right. */
export function Plot({ name, note, now, series, show, every }: PlotProps) {
  const known = series.filter((value) => value !== null)
  const most = Math.max(0, ...known)
  const least = known.length > 0 ? Math.min(...known) : 0
  const minutes = Math.max(1, Math.round((series.length * every) / 60))
  const words =
    known.length === 0
      ? `${name}: nothing measured yet`
      : `${name}, the last ${minutes === 1 ? 'minute' : `${minutes} minutes`}: from ${show(least)} to ${show(most)}`
  return (
    <div class="plot">
      <h3>{name}</h3>
      <p class="value">{now}</p>
      <p class="note">{note}</p>
      <svg viewBox={`0 0 ${width} ${height}`} preserveAspectRatio="none" role="img" aria-label={words}>
        <line x1="0" x2={width} y1={height - 0.5} y2={height - 0.5} class="ground" />
        {runs(series).map(({ start, values }) => {
          const points = values.map((value, index) => point(start + index, value, most, series.length))
          const [first, last] = [points[0], points.at(-1)]
          if (!first || !last) return null
          const line = points.map(({ x, y }) => `${x} ${y}`).join(' L')
          return (
            <g key={start}>
              <path class="area" d={`M${first.x} ${height} L${line} L${last.x} ${height} Z`} />
              {/* A lone value would be no line. */}
              <path class="course" d={`M${first.x - (points.length === 1 ? 1 : 0)} ${first.y} L${line}`} />
            </g>
          )
        })}
      </svg>
      <p class="most">{known.length === 0 ? 'nothing yet' : `at most ${show(most)}`}</p>
    </div>
  )
}

function point(index: number, value: number, most: number, length: number): { x: number; y: number } {
  const x = width - ((length - 1 - index) * width) / (samples - 1)
  const y = height - 1 - (most === 0 ? 0 : (value / most) * (height - 4))
  return { x: Number(x.toFixed(1)), y: Number(y.toFixed(1)) }
}

/** The stretches without a gap. */
function runs(series: readonly (number | null)[]): { start: number; values: number[] }[] {
  const found: { start: number; values: number[] }[] = []
  let open = false
  for (const [index, value] of series.entries()) {
    if (value === null) open = false
    else if (open) found.at(-1)?.values.push(value)
    else {
      found.push({ start: index, values: [value] })
      open = true
    }
  }
  return found
}
