import { cpuSeconds, median } from '../process.ts'
import type { Plot } from '../plot.ts'
import type { Scenario } from '../scenario.ts'
import { guestsOf, type Meeting, type Stage, targetOf } from '../stage.ts'
import { type Round, type Talk, sideBySide, talk } from './talk.ts'

const length = 60
const attendees = [10, 30, 100, 300, 1000, 3000]
const rates = [2, 10, 50, 200, 500]
const meetings = [1, 5, 20, 100, 500]
/** A server that has just been started is slower. */
const warmUpSeconds = 3
/** How long each rate and each number of meetings is looked at. */
const seconds = 6
const records = [100, 1000, 10_000, 100_000]

/** What a row of measurements has found, and what was wrong in it. */
type Row = { plots: Plot[]; rounds: Pick<Round, 'lost' | 'repeated'>[] }

/** How cost grows with attendees, lines, meetings and the length of the record. */
export const growth: Scenario = {
  name: 'growth',
  about: 'meetings of every size',
  async play(stage) {
    const rows: Row[] = []
    for (const measure of [byAttendees, byRate, byMeetings, byEntering, byRecord]) {
      rows.push(await measure(stage))
      await stage.clear()
    }
    const plots = rows.flatMap((row) => row.plots)
    const rounds = rows.flatMap((row) => row.rounds)
    return {
      figures: Object.fromEntries(
        plots.flatMap(({ title, x, series }) =>
          series.flatMap(({ name, points }) =>
            points.map(([at, value]) => [
              `${title}${series.length > 1 ? `, ${name}` : ''}, ${at} ${x}`,
              value,
            ]),
          ),
        ),
      ),
      goals: [],
      lost: rounds.reduce((sum, { lost }) => sum + lost, 0),
      repeated: rounds.reduce((sum, { repeated }) => sum + repeated, 0),
      plots,
    }
  },
}

const line = (title: string, x: string, points: [number, number][]): Plot => ({
  title,
  x,
  series: [{ name: '', points }],
})

async function byAttendees(stage: Stage): Promise<Row> {
  const given: Talk = { speakers: 10, perSecond: 2, seconds: 4, length }
  const sizes: { size: number; ours: Round[]; floors: Round[] }[] = []
  for (const size of attendees) {
    sizes.push({ size, ...(await sideBySide(stage, size, given)) })
    await stage.clear()
  }
  const plot = (title: string, pick: (round: Round, size: number) => number): Plot => ({
    title,
    x: 'attendees, 20 lines a second',
    series: (['ours', 'floors'] as const).map((side) => ({
      name: side === 'ours' ? 'Plenum' : 'bare ws server, nothing stored',
      points: sizes.map((one) => [one.size, median(one[side].map((round) => pick(round, one.size)))]),
    })),
  })
  return {
    plots: [
      plot('CPU a line, ms', ({ cpu }, size) => (cpu * size) / 1000),
      plot('From saying to hearing, p99, ms', ({ p99 }) => p99),
    ],
    rounds: sizes.flatMap(({ ours, floors }) => [...ours, ...floors]),
  }
}

async function byRate(stage: Stage): Promise<Row> {
  const size = 100
  const plenum = await stage.plenum()
  const meeting = await stage.meeting(size)
  const crowd = stage.crowd(targetOf(plenum))
  await crowd.connect(guestsOf(meeting))
  const points: [number, number][] = []
  const rounds: Round[] = []
  await crowd.speak([...Array(size).keys()], 5, length, warmUpSeconds)
  for (const rate of rates) {
    const from = await stage.lastId(meeting.id)
    const speakers = Math.min(size, rate)
    const before = cpuSeconds(plenum.pid)
    rounds.push(
      await talk(
        { pid: plenum.pid, crowd, expected: (said) => stage.expected(meeting.id, from, said), from },
        { speakers, perSecond: rate / speakers, seconds, length },
      ),
    )
    points.push([rate, ((cpuSeconds(plenum.pid) - before) / seconds) * 100])
  }
  const plot = line('CPU, % of a core', 'lines a second in a meeting of 100', points)
  return { plots: [plot], rounds }
}

async function byMeetings(stage: Stage): Promise<Row> {
  const size = 20
  const points: [number, number][] = []
  const rounds: Row['rounds'] = []
  for (const count of meetings) {
    const rooms: Meeting[] = []
    for (let room = 0; room < count; room++) rooms.push(await stage.meeting(size))
    const plenum = await stage.plenum()
    const crowd = stage.crowd(targetOf(plenum))
    await crowd.connect(rooms.flatMap((meeting, room) => guestsOf(meeting, 0, room, room * size)))
    const speakers = rooms.map((_, room) => room * size)
    await crowd.speak(speakers, Math.max(2, 500 / count), length, warmUpSeconds)
    const after = await stage.lastIds(rooms)
    await crowd.measure(after)
    const before = cpuSeconds(plenum.pid)
    const said = await crowd.speak(speakers, 2, length, seconds)
    rounds.push(await crowd.report(await stage.expectedIn(rooms, after, said / count)))
    points.push([count, ((cpuSeconds(plenum.pid) - before) / seconds) * 100])
    await stage.clear()
  }
  const plot = line('CPU, % of a core', 'meetings of 20, each 2 lines a second', points)
  return { plots: [plot], rounds }
}

async function byEntering(stage: Stage): Promise<Row> {
  const points: [number, number][] = []
  for (const size of attendees) {
    const [others, meeting] = [await stage.meeting(300), await stage.meeting(size)]
    const plenum = await stage.plenum()
    await stage.crowd(targetOf(plenum)).connect(guestsOf(others))
    const before = cpuSeconds(plenum.pid)
    await stage.crowd(targetOf(plenum)).connect(guestsOf(meeting), { atOnce: size })
    points.push([size, ((cpuSeconds(plenum.pid) - before) / size) * 1000])
    await stage.clear()
  }
  const plot = line('CPU for each who enters, ms', 'who enter at the same moment', points)
  return { plots: [plot], rounds: [] }
}

async function byRecord(stage: Stage): Promise<Row> {
  const guests = 12
  const [first, all]: [[number, number][], [number, number][]] = [[], []]
  const rounds: Row['rounds'] = []
  for (const lines of records) {
    const meeting = await stage.meeting(guests)
    await stage.record(meeting, lines)
    const historyEnd = await stage.lastId(meeting.id)
    const plenum = await stage.plenum()
    const times: { first: number; all: number }[] = []
    for (const guest of guestsOf(meeting)) {
      const alone = stage.crowd(targetOf(plenum))
      const { first, all } = await alone.connect([{ ...guest, historyEnd }])
      times.push({ first: first[0] ?? NaN, all: all[0] ?? NaN })
      rounds.push(await alone.report({ 0: await stage.expected(meeting.id, 0) }))
    }
    first.push([lines, median(times.map((time) => time.first))])
    all.push([lines, median(times.map((time) => time.all))])
    await stage.clear()
  }
  const plot = {
    title: 'One enters, ms',
    x: 'lines in the record',
    series: [
      { name: 'has all of it', points: all },
      { name: 'has the first frame', points: first },
    ],
  }
  return { plots: [plot], rounds }
}
