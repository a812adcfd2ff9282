import { median } from '../process.ts'
import type { Scenario } from '../scenario.ts'
import { commitLine, guestsOf, targetOf } from '../stage.ts'

const seconds = 3
const rounds = 3

export const hotRoom: Scenario = {
  name: 'hot-room',
  about:
    '20 attendees, each with 8 lines in flight, as fast as they come back; floor: one INSERT and commit a line',
  async play(stage) {
    const plenum = await stage.plenum()
    const meeting = await stage.meeting(20)
    const crowd = stage.crowd(targetOf(plenum))
    await crowd.connect(guestsOf(meeting))
    const other = await stage.meeting(20)
    const floors: number[] = []
    const ours: number[] = []
    const p50s: number[] = []
    const p99s: number[] = []
    let lost = 0
    let repeated = 0
    await stage.sql.reserve().then(async (sql) => {
      for (let round = 0; round < rounds; round++) {
        let lines = 0
        const begun = performance.now()
        for (; performance.now() - begun < seconds * 1000; lines++) await commitLine(sql, other, lines, 60)
        floors.push(lines / ((performance.now() - begun) / 1000))
        const after = await stage.lastId(meeting.id)
        await crowd.measure({ 0: after })
        ours.push((await crowd.pump(8, 60, seconds)) / seconds)
        const told = await crowd.report({ 0: await stage.expected(meeting.id, after) })
        p50s.push(told.p50)
        p99s.push(told.p99)
        lost += told.lost
        repeated += told.repeated
      }
      sql.release()
    })
    return {
      figures: {
        'lines a second': median(ours),
        'lines a second, floor': median(floors),
        'p50 ms': median(p50s),
        'p99 ms': median(p99s),
      },
      goals: [
        {
          name: 'lines a second, of the floor',
          value: median(ours.map((value, index) => value / (floors[index] ?? NaN))),
          atLeast: 8,
        },
        { name: 'p99 ms', value: median(p99s), atMost: 50 },
      ],
      lost,
      repeated,
    }
  },
}
