import { setTimeout as wait } from 'node:timers/promises'
import { median, peakResident, residentBytes } from '../process.ts'
import type { Scenario } from '../scenario.ts'
import { guestsOf, targetOf } from '../stage.ts'

const lines = 20_000
const talkers = 20
const readers = 200

export const history: Scenario = {
  name: 'history',
  about: 'a meeting of 20,000 lines: one enters, then 200 at once while 20 talk',
  async play(stage) {
    const meeting = await stage.meeting(talkers + readers + 5)
    await stage.record(meeting, lines)
    const end = await stage.lastId(meeting.id)
    const plenum = await stage.plenum()
    const guests = guestsOf(meeting)
    const crowd = stage.crowd(targetOf(plenum))
    await crowd.connect(guests.slice(0, talkers).map((guest) => ({ ...guest, first: end })))

    // One after another, as the first of all and as later ones.
    const alone = stage.crowd(targetOf(plenum))
    const singles: { first: number; all: number }[] = []
    for (const guest of guests.slice(-5)) {
      const { first, all } = await alone.connect([{ ...guest, first: 0, historyEnd: end }])
      singles.push({ first: first[0] ?? NaN, all: all[0] ?? NaN })
    }
    const after = await stage.lastId(meeting.id)
    await crowd.measure({ 0: after })
    const before = residentBytes(plenum.pid)
    const many = stage.crowd(targetOf(plenum))
    const talk = crowd.speak([0, 1, 2, 3, 4, 5, 6, 7, 8, 9], 5, 60, 4)
    await wait(500)
    const { peak, result } = await peakResident(
      plenum.pid,
      many.connect(
        guests.slice(talkers, talkers + readers).map((guest) => ({ ...guest, first: 0, historyEnd: end })),
        { atOnce: readers },
      ),
    )
    await talk
    const told = await crowd.report({ 0: await stage.expected(meeting.id, after) })
    const read = await many.report({ 0: await stage.expected(meeting.id, 0) })
    return {
      figures: {
        'ms to the first frame, alone': singles[0]?.first ?? NaN,
        'ms to the last line, alone': singles[0]?.all ?? NaN,
        'ms to the last line, alone, later': median(singles.slice(1).map(({ all }) => all)),
        'seconds for the 200': result.seconds,
        'memory growth MB': (peak - before) / 2 ** 20,
        "the others' p50 ms": told.p50,
        "the others' p99 ms": told.p99,
        'MB received': read.bytes / 2 ** 20,
      },
      goals: [
        { name: 'ms to the first frame, alone', value: singles[0]?.first ?? NaN, atMost: 100 },
        { name: 'memory growth MB', value: (peak - before) / 2 ** 20, atMost: 50 },
        { name: "the others' p99 ms", value: told.p99, atMost: 50 },
      ],
      lost: told.lost + read.lost,
      repeated: told.repeated + read.repeated,
    }
  },
}
