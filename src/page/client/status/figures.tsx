import { bytes, latency, number } from './format.ts'
import { Plot } from './plot.tsx'
import type { SeriesName, StatusReport } from './report.ts'

type Series = readonly (number | null)[]

const percent = (value: number): string => `${number(value)} %`

/** The node's figures: each with its value now and its last ten minutes. */
export function Figures({ report }: { report: StatusReport }) {
  const { figures, history, maxDatabaseConnections } = report
  const series = (name: SeriesName): Series => history.series[name] ?? []
  const sampled = history.series.linesPerSecond?.length ?? 0
  // A value of the last sample, or of the last one that had any.
  const last = (name: SeriesName): number | null => series(name).findLast((value) => value !== null) ?? null
  const rate = (name: SeriesName): string => number(last(name) ?? 0)
  const time = (name: SeriesName): string => {
    const value = last(name)
    return value === null ? 'none yet' : latency(value)
  }
  const every = history.everySeconds
  return (
    <>
      <section aria-labelledby="work">
        <h2 id="work">Work</h2>
        <p class="about">
          {sampled === 0
            ? 'The first figures are there after five seconds.'
            : `A figure every ${every} seconds, and their last ten minutes.`}
        </p>
        <div class="plots">
          <Plot
            every={every}
            name="Lines a second"
            note={
              figures.queuedCommands === 0
                ? 'no command waits'
                : `${number(figures.queuedCommands)} commands wait`
            }
            now={rate('linesPerSecond')}
            series={series('linesPerSecond')}
            show={number}
          />
          <Plot
            every={every}
            name="Votes a second"
            note="changed ones too"
            now={rate('votesPerSecond')}
            series={series('votesPerSecond')}
            show={number}
          />
          <Plot
            every={every}
            name="Frames a second"
            note="delivered"
            now={rate('deliveriesPerSecond')}
            series={series('deliveriesPerSecond')}
            show={number}
          />
          <Plot
            every={every}
            name="Commit, 99 %"
            note={`half: ${time('commitP50')}`}
            now={time('commitP99')}
            series={series('commitP99')}
            show={latency}
          />
          <Plot
            every={every}
            name="Fan-out, 99 %"
            note={`half: ${time('fanOutP50')}`}
            now={time('fanOutP99')}
            series={series('fanOutP99')}
            show={latency}
          />
          <Plot
            every={every}
            name="Event loop, 99 %"
            note="how late it is"
            now={time('loopP99')}
            series={series('loopP99')}
            show={latency}
          />
        </div>
      </section>
      <section aria-labelledby="node">
        <h2 id="node">Node</h2>
        <div class="plots">
          <Plot
            every={every}
            name="People"
            note={figures.away > 0 ? `${number(figures.away)} of them away` : 'in meetings'}
            now={number(figures.here + figures.away)}
            series={series('people')}
            show={number}
          />
          <Plot
            every={every}
            name="Websockets"
            note={`other connections: ${number(figures.pending)}`}
            now={number(figures.connections)}
            series={series('connections')}
            show={number}
          />
          <Plot
            every={every}
            name="Unread by clients"
            note="waits to be sent"
            now={bytes(figures.unsentBytes)}
            series={series('unsentBytes')}
            show={bytes}
          />
          <Plot
            every={every}
            name="Database"
            note={`of ${maxDatabaseConnections} connections`}
            now={number(figures.databaseConnections)}
            series={series('databaseConnections')}
            show={number}
          />
          <Plot
            every={every}
            name="Memory"
            note={`${bytes(figures.heapBytes)} of it heap`}
            now={bytes(figures.residentBytes)}
            series={series('residentBytes')}
            show={bytes}
          />
          <Plot
            every={every}
            name="Processor"
            note="of one core"
            now={percent(last('cpuPercent') ?? 0)}
            series={series('cpuPercent')}
            show={percent}
          />
        </div>
      </section>
    </>
  )
}
