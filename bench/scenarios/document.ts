import { randomBytes } from 'node:crypto'
import type { Door } from '../document/client.ts'
import { DocumentCrowd, type Report } from '../document/crowd.ts'
import { Times } from '../document/times.ts'
import { cpuSeconds, heldBytes, median, peakResident } from '../process.ts'
import type { Outcome, Scenario } from '../scenario.ts'
import type { Stage } from '../stage.ts'

export type Stress = { teachers: number; students: number; seconds: number }

export const defaultStress: Stress = { teachers: 5, students: 1000, seconds: 6 }

const changeSize = 200
const rounds = 3
/** A change a second each, as the reference's own stress tester makes them. */
const pace = { mean: 1000, deviation: 500 }

const doorAt = (port: number): Door => ({ host: '127.0.0.1', port, path: '/socket' })
const newId = (): string => `bench-${randomBytes(8).toString('hex')}`

type Class = { teachers: DocumentCrowd; students: DocumentCrowd; newcomer: DocumentCrowd; id: string }
type Round = { times: Times; delivered: number; cpu: number; refused: number; length: number; wrong: Wrong }
type Wrong = { lost: number; repeated: number }

/** Everyone opens one document, those who change it in a process of their own. */
async function assemble(
  open: (door: Door) => DocumentCrowd,
  door: Door,
  { teachers, students }: Stress,
): Promise<Class> {
  const id = newId()
  const crowds = { teachers: open(door), students: open(door), newcomer: open(door), id }
  await crowds.teachers.connect(Array<string>(teachers).fill(id))
  await crowds.students.connect(Array<string>(students).fill(id))
  return crowds
}

/** `pid`: of the server, where its processor time is to be read. */
async function teach({ teachers, students }: Class, seconds: number, pid: number | null): Promise<Round> {
  await Promise.all([teachers.measure(), students.measure()])
  const before = pid === null ? NaN : cpuSeconds(pid)
  const length = await teachers.teach({ seconds, size: changeSize, ...pace })
  const reports = [await teachers.report(length), await students.report(length)]
  const used = pid === null ? NaN : cpuSeconds(pid) - before
  const times = new Times()
  for (const { spread } of reports) times.merge(Times.from(spread))
  const sum = (pick: (report: Report) => number): number => reports.reduce((all, one) => all + pick(one), 0)
  const delivered = sum((report) => report.delivered)
  const wrong = { lost: sum(({ lost, ended }) => lost + ended), repeated: sum((one) => one.repeated) }
  const refused = sum((report) => report.refused)
  return { times, delivered, cpu: (used / delivered) * 1e6, refused, length, wrong }
}

/** Whether who comes now gets the very bytes that all others have. Returns how many have others. */
async function compareWhole({ teachers, students, newcomer, id }: Class): Promise<number> {
  const { length } = await newcomer.connect([id])
  const reports = await Promise.all([teachers, students, newcomer].map((crowd) => crowd.report(length)))
  return new Set(reports.flatMap(({ checksums }) => checksums)).size - 1
}

function spreadFigures(times: Times): Record<string, number> {
  return {
    'screen to screen ms, min': times.least / 1000,
    'screen to screen ms, average': times.sum / times.count / 1000,
    'screen to screen ms, max': times.most / 1000,
    'screen to screen ms, p50': times.quantile(0.5),
    'screen to screen ms, p99': times.quantile(0.99),
  }
}

function allTimes(list: readonly Round[]): Times {
  const all = new Times()
  for (const { times } of list) all.merge(times)
  return all
}

const totalOf = (list: readonly Round[], pick: (round: Round) => number): number =>
  list.reduce((sum, round) => sum + pick(round), 0)

const aboutStress = ({ teachers, students }: Stress): string =>
  `${teachers} change a document now and then, ${students} watch; floor: a server that holds it in memory`

export const document = (given: Stress): Scenario => ({
  name: 'document',
  about: aboutStress(given),
  async play(stage) {
    const plenum = await stage.plenum({ flags: ['-document'] })
    const floor = await documentFloor(stage)
    const open = (door: Door): DocumentCrowd => stage.documentCrowd(door)
    const bare = await assemble(open, floor.door, given)
    const ours = await assemble(open, doorAt(plenum.port), given)
    const played: Record<'ours' | 'floors', Round[]> = { ours: [], floors: [] }
    for (let round = 0; round < rounds; round++) {
      played.floors.push(await teach(bare, given.seconds, floor.pid))
      played.ours.push(await teach(ours, given.seconds, plenum.pid))
    }
    const different = (await compareWhole(ours)) + (await compareWhole(bare))
    const times = allTimes(played.ours)
    const every = [...played.ours, ...played.floors]
    const cpu = (list: readonly Round[]): number => median(list.map((round) => round.cpu))
    const p99 = times.quantile(0.99)
    const cpuRatio = median(played.ours.map((round, index) => round.cpu / (played.floors[index]?.cpu ?? NaN)))
    return {
      figures: {
        connections: given.teachers + given.students,
        'document length, bytes': played.ours.at(-1)?.length ?? NaN,
        ...spreadFigures(times),
        'p99 ms, floor': allTimes(played.floors).quantile(0.99),
        'cpu µs a delivery': cpu(played.ours),
        'cpu µs a delivery, floor': cpu(played.floors),
        'appends that came second': totalOf(played.ours, ({ refused }) => refused),
      },
      goals: [
        { name: 'screen to screen ms, p99', value: p99, atMost: 50 },
        {
          name: 'p99, of the floor',
          value: p99 / allTimes(played.floors).quantile(0.99),
          atMost: 1.5,
        },
        { name: 'cpu a delivery, of the floor', value: cpuRatio, atMost: 1.5 },
      ],
      lost: totalOf(every, ({ wrong }) => wrong.lost) + different,
      repeated: totalOf(every, ({ wrong }) => wrong.repeated),
    }
  },
})

/** The same at any server of the protocol. */
export async function stressAt(url: string, given: Stress): Promise<{ about: string; outcome: Outcome }> {
  const { protocol, hostname, port, pathname, search } = new URL(url)
  if (protocol !== 'ws:') throw new Error('--url takes ws://host:port/path')
  const door = { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port || 80), path: pathname + search }
  const crowds: DocumentCrowd[] = []
  const open = (door: Door): DocumentCrowd => {
    const crowd = new DocumentCrowd(door)
    crowds.push(crowd)
    return crowd
  }
  try {
    const all = await assemble(open, door, given)
    const round = await teach(all, given.seconds * rounds, null)
    const { times, length, refused, wrong } = round
    return {
      about: `${given.teachers} change a document now and then, ${given.students} watch, at ${url}`,
      outcome: {
        figures: {
          connections: given.teachers + given.students,
          'document length, bytes': length,
          ...spreadFigures(times),
          'appends that came second': refused,
        },
        goals: [{ name: 'screen to screen ms, p99', value: times.quantile(0.99), atMost: 50 }],
        lost: wrong.lost + (await compareWhole(all)),
        repeated: wrong.repeated,
      },
    }
  } finally {
    for (const crowd of crowds) await crowd.close()
  }
}

async function documentFloor(stage: Stage): Promise<{ pid: number; door: Door }> {
  const { pid, target } = await stage.floor(undefined, 'documentFloor')
  if (!('port' in target)) throw new Error('the floor has no port')
  return { pid, door: doorAt(target.port) }
}

const perSecond = 1000
const rateSeconds = 3
const inFlight = 64
const aloneCount = 200

export const documentRate: Scenario = {
  name: 'document-rate',
  about:
    `one changes a document alone: ${perSecond} changes a second, then ${inFlight} in flight, then one by one; ` +
    'floors: one INSERT and commit each, and a server that holds it in memory',
  async play(stage) {
    const plenum = await stage.plenum({ flags: ['-document'] })
    const bare = await documentFloor(stage)
    const open = async (door: Door): Promise<DocumentCrowd> => {
      const crowd = stage.documentCrowd(door)
      await crowd.connect([newId()])
      return crowd
    }
    const crowd = await open(doorAt(plenum.port))
    const floor = await open(bare.door)
    const insert = await insertFloor(stage)
    const reached: number[] = []
    const waits: number[] = []
    const inserts: number[] = []
    const cpus: number[] = []
    const pumped: number[] = []
    const single: Record<'ours' | 'memory' | 'insert', number[]> = { ours: [], memory: [], insert: [] }
    for (let round = 0; round < rounds; round++) {
      const before = cpuSeconds(plenum.pid)
      const rate = await crowd.pipeline({ client: 0, perSecond, size: changeSize, seconds: rateSeconds })
      cpus.push(((cpuSeconds(plenum.pid) - before) / rate.milliseconds.length) * 1e6)
      reached.push(rate.perSecond)
      waits.push(...rate.milliseconds)
      const pump = { client: 0, inFlight, size: changeSize, seconds: rateSeconds }
      pumped.push((await crowd.pump(pump)).perSecond)
      for (const [crowded, list] of [
        [crowd, single.ours],
        [floor, single.memory],
      ] as const)
        list.push(median((await crowded.alone([0], aloneCount, changeSize))[0] ?? []))
      const inserted = await insert(aloneCount)
      inserts.push(...inserted)
      single.insert.push(median(inserted))
    }
    const report = await crowd.report(0)
    const ofInsert = median(single.ours.map((value, index) => value / (single.insert[index] ?? NaN)))
    return {
      figures: {
        [`appends a second, of ${perSecond}`]: median(reached),
        'ms until acknowledged, p50': median(waits),
        'ms until acknowledged, p99': highest(waits),
        'cpu µs an append': median(cpus),
        [`appends a second, ${inFlight} in flight`]: median(pumped),
        'ms an append, one by one': median(single.ours),
        'ms an append, one by one, in memory': median(single.memory),
        'ms an INSERT and commit': median(single.insert),
        'ms an INSERT and commit, p99': highest(inserts),
      },
      goals: [
        { name: 'appends a second', value: median(reached), atLeast: perSecond * 0.98 },
        { name: 'one by one, of an INSERT and commit', value: ofInsert, atMost: 2.5 },
      ],
      lost: report.lost + report.ended,
      repeated: report.repeated,
    }
  },
}

/** What 99 of 100 stay below. */
const highest = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length * 0.99)] ?? NaN

/** How long it takes to insert a row of the same size, one by one (milliseconds each). */
async function insertFloor(stage: Stage): Promise<(count: number) => Promise<number[]>> {
  await stage.sql`create table if not exists appended (id int generated always as identity primary key, data bytea)`
  const data = Buffer.alloc(changeSize, 'x')
  return async (count) => {
    const times: number[] = []
    const sql = await stage.sql.reserve()
    for (let row = 0; row < count; row++) {
      const at = performance.now()
      await sql`insert into appended (data) values (${data})`
      times.push(performance.now() - at)
    }
    sql.release()
    return times
  }
}

const sizes = { '1 KB': 2 ** 10, '1 MB': 2 ** 20, '50 MB': 50 * 2 ** 20 } as const
const piece = 4 * 2 ** 20

/** How long the parts are in which 50 MB came, of bytes that cannot be compressed. */
const partSizes = { '1 KB': 2 ** 10, '1 MB': 2 ** 20 } as const

/** Stores a document of 50 MB that came in parts of this length. */
async function storeInParts({ sql }: Stage, id: string, bytes: number): Promise<void> {
  const length = sizes['50 MB']
  await sql`
    with made as (insert into plenum.document (id, length) values (${id}, ${length}) returning number)
    insert into plenum.document_part (document, at, data)
    select number, n * ${bytes}::bigint,
      (select string_agg(decode(md5(concat(n, ' ', piece)), 'hex'), '') from generate_series(1, ${bytes / 16}::int) piece)
    from made, generate_series(0, ${length / bytes - 1}::int) n`
}

export const documentSize: Scenario = {
  name: 'document-size',
  about: 'documents of 1 KB, 1 MB and 50 MB: one append at a time at each of them in turn, and opening them',
  async play(stage) {
    const plenum = await stage.plenum({ flags: ['-document'] })
    const ids = Object.values(sizes).map(newId)
    const crowd = stage.documentCrowd(doorAt(plenum.port))
    await crowd.connect(ids)
    for (const [index, bytes] of Object.values(sizes).entries()) await crowd.fill(index, bytes, piece)
    // What the fill has left to do for the database and the garbage collector is not the appends'.
    await stage.sql`checkpoint`
    await crowd.alone([0, 1, 2], 20, changeSize)
    const alone = await crowd.alone([0, 1, 2], aloneCount, changeSize)
    const [small = NaN, medium = NaN, large = NaN] = alone.map(median)
    const before = await heldBytes(plenum.pid)
    const opened: number[] = []
    let peak = before
    const reader = stage.documentCrowd(doorAt(plenum.port))
    await reader.connect(ids.slice(0, 1))
    for (const id of ids) {
      const seen = await peakResident(plenum.pid, reader.connect([id]))
      opened.push(seen.result.milliseconds)
      peak = Math.max(peak, seen.peak)
    }
    const inParts: number[] = []
    for (const bytes of Object.values(partSizes)) {
      const id = newId()
      await storeInParts(stage, id, bytes)
      await stage.sql`checkpoint`
      const times: number[] = []
      for (let round = 0; round < rounds; round++) {
        const once = stage.documentCrowd(doorAt(plenum.port))
        times.push((await once.connect([id])).milliseconds)
      }
      inParts.push(median(times))
    }
    const report = await crowd.report(0)
    const read = await reader.report(0)
    const different = read.checksums.filter((one) => !report.checksums.includes(one)).length
    return {
      figures: {
        'ms an append at 1 KB': small,
        'ms an append at 1 MB': medium,
        'ms an append at 50 MB': large,
        'ms to open 1 KB': opened[0] ?? NaN,
        'ms to open 1 MB': opened[1] ?? NaN,
        'ms to open 50 MB': opened[2] ?? NaN,
        'ms to open 50 MB that came by 1 KB': inParts[0] ?? NaN,
        'ms to open 50 MB that came by 1 MB': inParts[1] ?? NaN,
        'memory growth of opening, MB': (peak - before) / 2 ** 20,
      },
      goals: [
        { name: 'an append at 1 MB, of that at 1 KB', value: medium / small, atMost: 1.5 },
        { name: 'an append at 50 MB, of that at 1 KB', value: large / small, atMost: 1.5 },
      ],
      lost: report.lost + report.ended + read.ended + different,
      repeated: report.repeated,
    }
  },
}
