const width = 360
const height = 64
/** Of ten minutes. */
const samples = 120
const step = width / samples

export type Series = readonly (number | null)[]

type PlotProps = {
  name: string
  /** The value now, in words. */
  now: string
  /** What stands behind it, smaller: its unit, or which quantile it is. */
  unit?: string
  note: string
  /** Oldest first; null where there was nothing to measure. */
  series: Series
  /** A part of `series` that is shown within it, as the half of latencies. */
  within?: Series
  /** `bars`: each value stands for itself, as what is counted or measured in a while; `line`: a level that goes on. */
  kind: 'bars' | 'line'
  /** The end of the axis, for the largest value. */
  end: (most: number) => number
  show: (value: number) => string
  /** Seconds from one value to the next. */
  every: number
}

/** A figure with its course over the last ten minutes, from zero up; the newest value is at the right. */
export function Plot({ name, now, unit, note, series, within, kind, end, show, every }: PlotProps) {
  const known = series.filter((value) => value !== null)
  const most = Math.max(0, ...known)
  const top = end(most)
  const minutes = Math.max(1, Math.round((series.length * every) / 60))
  const words =
    known.length === 0
      ? `${name}: nothing measured yet`
      : `${name}, the last ${minutes === 1 ? 'minute' : `${minutes} minutes`}: from ${show(Math.min(...known))} to ${show(most)}`
  return (
    <div class="plot">
      <h3>{name}</h3>
      <p class="value">
        {now}
        {unit && <span class="unit"> {unit}</span>}
      </p>
      <p class="note">{note}</p>
      <div class="chart" role="img" aria-label={words}>
        <div class="ends" aria-hidden="true">
          <span>{show(top)}</span>
          <span>{show(top / 2)}</span>
          <span>0</span>
        </div>
        <svg viewBox={`0 0 ${width} ${height}`} preserveAspectRatio="none" aria-hidden="true">
          {kind === 'line' && <path class="area" d={areaOf(series, top)} />}
          {[0, 0.5, 1].map((part) => (
            <line key={part} x1="0" x2={width} y1={part * height} y2={part * height} class="grid" />
          ))}
          {kind === 'line' ? (
            <path class="course" d={lineOf(series, top)} />
          ) : (
            <path class={within ? 'bars pale' : 'bars'} d={barsOf(series, top)} />
          )}
          {within && <path class="bars" d={barsOf(within, top)} />}
        </svg>
        <div class="times" aria-hidden="true">
          <span>−10 min</span>
          <span>−5 min</span>
          <span>now</span>
        </div>
      </div>
    </div>
  )
}

const xOf = (index: number, { length }: Series): number => width - (length - index) * step
const yOf = (value: number, top: number): number => Number((height - (value / top) * height).toFixed(1))

function barsOf(series: Series, top: number): string {
  return series
    .map((value, index) =>
      value === null || value === 0
        ? ''
        : `M${xOf(index, series) + 0.4} ${height}V${yOf(value, top)}h${step - 0.8}V${height}Z`,
    )
    .join('')
}

/** A level is there at each sample: what is not known is left out. */
function lineOf(series: Series, top: number): string {
  const points = series.flatMap((value, index) =>
    value === null ? [] : [`${xOf(index, series)} ${yOf(value, top)}H${xOf(index + 1, series)}`],
  )
  return points.length === 0 ? '' : `M${points.join('L')}`
}

function areaOf(series: Series, top: number): string {
  const line = lineOf(series, top)
  return line === '' ? '' : `${line}V${height}H${xOf(0, series)}Z`
}
