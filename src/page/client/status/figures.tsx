import { bytes, duration, latency, number } from './format.ts'
import { Plot, type Series } from './plot.tsx'
import type { SeriesName, StatusReport } from './report.ts'
import { axisEnd, bytesAxisEnd } from './scale.ts'

const percent = (value: number): string => `${number(value)} %`
const MiB = 2 ** 20

/** What the process does and how it is: each figure with its value now and its last ten minutes. */
export function Figures({ report }: { report: StatusReport }) {
  const { figures, history, maxDatabaseConnections } = report
  const series = (name: SeriesName): Series => history.series[name] ?? []
  const sampled = history.series.linesPerSecond?.length ?? 0
  // A value of the last sample, or of the last one that had any.
  const last = (name: SeriesName): number | null => series(name).findLast((value) => value !== null) ?? null
  const every = history.everySeconds

  const rate = (name: string, of: SeriesName, note: string) => (
    <Plot
      kind="bars"
      name={name}
      now={number(last(of) ?? 0)}
      unit="/s"
      note={note}
      series={series(of)}
      end={(most) => axisEnd(most, 10)}
      show={number}
      every={every}
    />
  )
  const delay = (name: string, p50: SeriesName, p99: SeriesName, note: string) => {
    const [half, most] = [last(p50), last(p99)]
    return (
      <Plot
        kind="bars"
        name={name}
        now={half === null || most === null ? 'none yet' : latency(half, most)}
        note={note}
        series={series(p99)}
        within={series(p50)}
        end={(most) => axisEnd(most, 10)}
        show={(value) => latency(value)}
        every={every}
      />
    )
  }
  const level = (
    name: string,
    of: SeriesName,
    given: { now: string; note: string; end: (most: number) => number; show?: (value: number) => string },
  ) => <Plot kind="line" name={name} series={series(of)} show={number} every={every} {...given} />

  return (
    <>
      {sampled === 0 && <p class="about">The first figures are there after {every} seconds.</p>}
      <section aria-labelledby="throughput">
        <h2 id="throughput">Throughput</h2>
        <div class="plots">
          {rate(
            'Lines stored',
            'linesPerSecond',
            figures.queuedCommands === 0
              ? 'queue: empty'
              : `queue: ${number(figures.queuedCommands)} commands`,
          )}
          {rate('Votes stored', 'votesPerSecond', 'changed votes too')}
          {rate('Frames sent', 'deliveriesPerSecond', 'one for each connection')}
        </div>
      </section>
      <section aria-labelledby="delay">
        <h2 id="delay">
          Delay <span class="legend">p50 / p99</span>
        </h2>
        <div class="plots">
          {delay('Database commit', 'commitP50', 'commitP99', 'until it is on disk')}
          {delay('Fan-out', 'fanOutP50', 'fanOutP99', 'until a frame is handed to all')}
          {delay('Event loop', 'loopP50', 'loopP99', 'how late a timer runs')}
        </div>
      </section>
      <section aria-labelledby="process">
        <h2 id="process">Process</h2>
        <p class="about">
          Version {report.version} on {report.runtime}, pid {report.pid}, up for{' '}
          {duration(report.now - report.upSince)}
        </p>
        <div class="plots">
          {level('Members in meetings', 'people', {
            now: number(figures.here + figures.away),
            note: `disconnected, within -grace: ${number(figures.away)}`,
            end: (most) => axisEnd(most, 10),
          })}
          {level('WebSockets', 'connections', {
            now: number(figures.connections),
            note: `other connections: ${number(figures.pending)}`,
            end: (most) => axisEnd(most, 10),
          })}
          {level('Send queue', 'unsentBytes', {
            now: bytes(figures.unsentBytes),
            note: 'not read by clients yet',
            end: (most) => bytesAxisEnd(most, MiB),
            show: bytes,
          })}
          {level('Database connections', 'databaseConnections', {
            now: number(figures.databaseConnections),
            note: `pool: at most ${maxDatabaseConnections}`,
            end: (most) => Math.max(most, maxDatabaseConnections),
          })}
          {level('Memory (RSS)', 'residentBytes', {
            now: bytes(figures.residentBytes),
            note: `heap: ${bytes(figures.heapBytes)}`,
            end: (most) => bytesAxisEnd(most, 64 * MiB),
            show: bytes,
          })}
          {level('CPU', 'cpuPercent', {
            now: percent(last('cpuPercent') ?? 0),
            note: '100 % is one core',
            end: (most) => axisEnd(most, 100),
            show: percent,
          })}
        </div>
      </section>
    </>
  )
}
