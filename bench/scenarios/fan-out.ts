import { median, peakResident, residentBytes } from '../process.ts'
import type { Scenario } from '../scenario.ts'
import { guestsOf, targetOf } from '../stage.ts'
import { type Round, rounds, sideBySide, type Talk, talk } from './talk.ts'

const lineLength = 60

function compare(
  name: string,
  about: string,
  attendees: number,
  given: Talk,
  withLatency: boolean,
): Scenario {
  return {
    name,
    about,
    async play(stage) {
      const { ours, floors } = await sideBySide(stage, attendees, given)
      const ratio = (pick: (round: Round) => number): number =>
        median(ours.map((round, index) => pick(round) / pick(floors[index] as Round)))
      const of = (list: Round[], pick: (round: Round) => number): number => median(list.map(pick))
      const sum = (pick: (round: Round) => number): number =>
        [...ours, ...floors].reduce((all, one) => all + pick(one), 0)
      return {
        figures: {
          'deliveries a second': of(ours, ({ delivered }) => delivered) / given.seconds,
          'cpu µs a delivery': of(ours, ({ cpu }) => cpu),
          'cpu µs a delivery, floor': of(floors, ({ cpu }) => cpu),
          'p50 ms': of(ours, ({ p50 }) => p50),
          'p50 ms, floor': of(floors, ({ p50 }) => p50),
          'p99 ms': of(ours, ({ p99 }) => p99),
          'p99 ms, floor': of(floors, ({ p99 }) => p99),
          'connections that ended': sum(({ ended }) => ended),
        },
        goals: [
          { name: 'cpu a delivery, of the floor', value: ratio(({ cpu }) => cpu), atMost: 1.15 },
          ...(withLatency
            ? [{ name: 'p99, of the floor', value: ratio(({ p99 }) => p99), atMost: 1.5 }]
            : []),
          { name: 'connections that ended', value: sum(({ ended }) => ended), atMost: 0 },
        ],
        lost: sum(({ lost }) => lost),
        repeated: sum(({ repeated }) => repeated),
      }
    },
  }
}

export const fanOut = compare(
  'fan-out',
  '1,000 attendees, 10 of them say 5 lines a second each',
  1000,
  { speakers: 10, perSecond: 5, seconds: 4, length: lineLength },
  true,
)

export const bigRoom = compare(
  'big-room',
  '5,000 attendees, 2 lines a second',
  5000,
  { speakers: 2, perSecond: 1, seconds: 4, length: lineLength },
  false,
)

/**
 * Lines are long, and the connections go over a Unix socket, as behind nginx: what a connection holds in the kernel is
 * small there, and those who do not read are found out in seconds.
 */
export const slowReaders: Scenario = {
  name: 'slow-readers',
  about: '1,000 attendees, 50 of whom stop reading; 50 lines of 2,000 characters a second',
  async play(stage) {
    const attendees = 1000
    const given: Talk = { speakers: 10, perSecond: 5, seconds: 4, length: 2000 }
    const plenum = await stage.plenum({ listen: stage.socketPath('plenum.sock') })
    const meeting = await stage.meeting(attendees)
    const crowd = stage.crowd(targetOf(plenum))
    await crowd.connect(guestsOf(meeting))
    const slow = Array.from({ length: 50 }, (_, index) => attendees - 1 - index)
    const window = async (seconds: number, except: number[]): Promise<Round> => {
      const after = await stage.lastId(meeting.id)
      const expected = (said: number) => stage.expected(meeting.id, after, said)
      return await talk({ pid: plenum.pid, crowd, expected, from: after, except }, { ...given, seconds })
    }

    const before: Round[] = []
    for (let round = 0; round < rounds; round++) before.push(await window(given.seconds, []))
    const memory = residentBytes(plenum.pid)
    await crowd.pause(slow)
    const during = await peakResident(plenum.pid, window(20, slow))
    const rest = during.result
    const p99 = median(before.map((round) => round.p99))
    const dropped = plenum.logs.filter(({ event }) => event === 'slowReader').length
    return {
      figures: {
        'p99 ms without them': p99,
        'p99 ms with them': rest.p99,
        'memory MB before': memory / 2 ** 20,
        'memory MB at most': during.peak / 2 ** 20,
        dropped,
      },
      goals: [
        { name: "the others' p99, of that without them", value: rest.p99 / p99, atMost: 1.5 },
        { name: 'dropped', value: dropped, atLeast: slow.length },
        { name: 'memory growth, MB', value: (during.peak - memory) / 2 ** 20, atMost: 150 },
      ],
      lost: rest.lost + before.reduce((sum, { lost }) => sum + lost, 0),
      repeated: rest.repeated + before.reduce((sum, { repeated }) => sum + repeated, 0),
    }
  },
}
