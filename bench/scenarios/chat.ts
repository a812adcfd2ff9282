import { setTimeout as wait } from 'node:timers/promises'
import type { Crowd, Expected, Guest } from '../crowd.ts'
import { cpuSeconds, median, peakResident, residentBytes } from '../process.ts'
import type { Scenario } from '../scenario.ts'
import { guestsOf, type Stage, targetOf } from '../stage.ts'

const people = 200
const speakers = Array.from({ length: 10 }, (_, index) => index)
const perSecond = 5
const seconds = 4
const lineLength = 60
const rounds = 3
const pumping = 20

let lastRoom = 0

/** As many clients of a chat room, each with a key of its own. */
async function chatters(stage: Stage, room: number, count: number, historyEnd = 0): Promise<Guest[]> {
  const keys = Array.from({ length: count }, (_, index) => `room ${room} key ${index}`)
  await stage.sql`
    insert into chat.sessions (key, "user", room)
    select key, 'User ' || n, ${room}::int from unnest(${keys}::text[]) with ordinality k(key, n)
    on conflict do nothing`
  return keys.map((key, index) => ({
    index,
    path: `/ws/chat?session_key=${encodeURIComponent(key)}&ids=1&after={first}`,
    room: 0,
    first: 0,
    historyEnd,
  }))
}

async function lastId(stage: Stage): Promise<number> {
  const [row] = await stage.sql<{ id: number }[]>`select coalesce(max(message_id), 0)::int id from chat.log`
  return row?.id ?? 0
}

/** What the log says that everyone in the room must have got, once there are `count` lines or more. */
async function expected(stage: Stage, room: number, after: number, count = 0): Promise<Expected> {
  for (const deadline = performance.now() + 5000; ; await wait(20)) {
    const [row] = await stage.sql<[Expected]>`
      select count(*)::int count, coalesce(sum(message_id), 0)::float8 sum, coalesce(max(message_id), 0)::int last
      from chat.log where room = ${room} and message_id > ${after}`
    if (row.count >= count || performance.now() > deadline) return row
  }
}

type Side = {
  crowd: Crowd
  pump: Crowd
  lastId: () => Promise<number>
  expected: (after: number, count?: number) => Promise<Expected>
  pumped: (after: number) => Promise<Expected>
}
type Round = { perLine: number; perDelivery: number; p50: number; p99: number; pumped: number; wrong: number }

/** One round at one door: some talk, then as many lines as go through. */
async function play(pid: number, { crowd, pump, ...side }: Side): Promise<Round> {
  const after = await side.lastId()
  await crowd.measure({ 0: after })
  const before = cpuSeconds(pid)
  const said = await crowd.speak(speakers, perSecond, lineLength, seconds)
  const told = await crowd.report({ 0: await side.expected(after, said) })
  const cpu = (cpuSeconds(pid) - before) * 1e6
  const from = await side.lastId()
  await pump.measure({ 0: from })
  const pumped = (await pump.pump(8, lineLength, seconds / 2)) / (seconds / 2)
  const rest = await pump.report({ 0: await side.pumped(from) })
  return {
    perLine: cpu / said,
    perDelivery: cpu / told.delivered,
    p50: told.p50,
    p99: told.p99,
    pumped,
    wrong: told.lost + told.repeated + rest.lost + rest.repeated,
  }
}

export const chat: Scenario = {
  name: 'chat',
  about: `a chat room and a meeting of ${people}, in turn: 10 say 5 lines a second each; ${pumping} with 8 in flight`,
  async play(stage) {
    const plenum = await stage.plenum({ flags: ['-chat'] })
    const [room, pumpRoom] = [++lastRoom, ++lastRoom]
    const [meeting, pumpMeeting] = [await stage.meeting(people), await stage.meeting(pumping)]
    const open = async (guests: Guest[]): Promise<Crowd> => {
      const crowd = stage.crowd(targetOf(plenum))
      await crowd.connect(guests)
      return crowd
    }
    const doors: Record<'chat' | 'meeting', Side> = {
      chat: {
        crowd: await open(await chatters(stage, room, people)),
        pump: await open(await chatters(stage, pumpRoom, pumping)),
        lastId: () => lastId(stage),
        expected: (after, count) => expected(stage, room, after, count),
        pumped: (after) => expected(stage, pumpRoom, after),
      },
      meeting: {
        crowd: await open(guestsOf(meeting)),
        pump: await open(guestsOf(pumpMeeting)),
        lastId: async () => Math.max(await stage.lastId(meeting.id), await stage.lastId(pumpMeeting.id)),
        expected: (after, count) => stage.expected(meeting.id, after, count),
        pumped: (after) => stage.expected(pumpMeeting.id, after),
      },
    }
    const played: Record<'chat' | 'meeting', Round[]> = { chat: [], meeting: [] }
    for (let round = 0; round < rounds; round++)
      for (const door of ['chat', 'meeting'] as const) played[door].push(await play(plenum.pid, doors[door]))
    const of = (door: 'chat' | 'meeting', pick: (round: Round) => number): number =>
      median(played[door].map(pick))
    const figures: Record<string, number> = {}
    for (const door of ['chat', 'meeting'] as const) {
      figures[`cpu µs a line, ${door}`] = of(door, ({ perLine }) => perLine)
      figures[`cpu µs a delivery, ${door}`] = of(door, ({ perDelivery }) => perDelivery)
      figures[`p50 ms, ${door}`] = of(door, ({ p50 }) => p50)
      figures[`p99 ms, ${door}`] = of(door, ({ p99 }) => p99)
      figures[`lines a second, ${door}`] = of(door, ({ pumped }) => pumped)
    }
    return {
      figures,
      goals: [
        {
          name: 'cpu a line, of that in a meeting',
          value: of('chat', ({ perLine }) => perLine) / of('meeting', ({ perLine }) => perLine),
          atMost: 1.5,
        },
        { name: 'p99 ms', value: of('chat', ({ p99 }) => p99), atMost: 50 },
      ],
      lost: [...played.chat, ...played.meeting].reduce((sum, { wrong }) => sum + wrong, 0),
      repeated: 0,
    }
  },
}

const historyLines = 100_000
const readers = 20

export const chatHistory: Scenario = {
  name: 'chat-history',
  about: `a chat room of ${historyLines} lines: one enters, then ${readers} at once while 10 talk`,
  async play(stage) {
    const plenum = await stage.plenum({ flags: ['-chat'] })
    const room = ++lastRoom
    await stage.sql`
      insert into chat.log (room, "time", "user", message)
      select ${room}::int, now() - (${historyLines} - n) * interval '1 second', 'User ' || n % 50,
        'line ' || n || ' ' || repeat('x', n % 120)
      from generate_series(1, ${historyLines}) n order by n`
    await stage.sql`analyze chat.log`
    const end = await lastId(stage)
    const guests = await chatters(stage, room, readers + speakers.length + 3, end)
    const talkers = stage.crowd(targetOf(plenum))
    await talkers.connect(guests.slice(0, speakers.length).map((guest) => ({ ...guest, first: end })))
    const before = residentBytes(plenum.pid)
    const alone = stage.crowd(targetOf(plenum))
    const single = await peakResident(plenum.pid, alone.connect(guests.slice(-1)))
    await talkers.measure({ 0: end })
    const many = stage.crowd(targetOf(plenum))
    const talk = talkers.speak(speakers, perSecond, lineLength, seconds)
    await wait(500)
    const { peak, result } = await peakResident(
      plenum.pid,
      many.connect(guests.slice(speakers.length, speakers.length + readers), { atOnce: readers }),
    )
    await talk
    const told = await talkers.report({ 0: await expected(stage, room, end) })
    const read = await many.report({ 0: await expected(stage, room, 0) })
    return {
      figures: {
        'ms to the first frame, alone': single.result.first[0] ?? NaN,
        'ms to the last line, alone': single.result.all[0] ?? NaN,
        'memory growth MB, alone': (single.peak - before) / 2 ** 20,
        [`seconds for the ${readers}`]: result.seconds,
        'memory growth MB': (peak - before) / 2 ** 20,
        "the others' p99 ms": told.p99,
        'MB received': read.bytes / 2 ** 20,
      },
      goals: [
        { name: 'ms to the first frame, alone', value: single.result.first[0] ?? NaN, atMost: 100 },
        { name: 'memory growth MB', value: (peak - before) / 2 ** 20, atMost: 80 },
        { name: "the others' p99 ms", value: told.p99, atMost: 50 },
      ],
      lost: told.lost + read.lost,
      repeated: told.repeated + read.repeated,
    }
  },
}
