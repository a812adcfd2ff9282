import { setTimeout as wait } from 'node:timers/promises'
import { median } from '../process.ts'
import type { Scenario } from '../scenario.ts'
import { commitLine, type Stage } from '../stage.ts'
import { type Round, sideBySide, type Talk } from './talk.ts'

const attendees = 20
const given: Talk = { speakers: 1, perSecond: 10, seconds: 3, length: 60 }

export const quietRoom: Scenario = {
  name: 'quiet-room',
  about: '20 attendees, now and then one says a line; floors: INSERT and commit of a line, and a bare server',
  async play(stage) {
    const commit = median(await commitTimes(stage))
    const { ours, floors } = await sideBySide(stage, attendees, given)
    const of = (list: Round[], pick: (round: Round) => number): number => median(list.map(pick))
    const rounds = [...ours, ...floors]
    const p50 = of(ours, (round) => round.p50)
    const bare = of(floors, (round) => round.p50)
    return {
      figures: {
        'p50 ms': p50,
        'p99 ms': of(ours, ({ p99 }) => p99),
        'p50 ms of a commit': commit,
        'p50 ms, bare server': bare,
      },
      // Nobody can be faster than the two together.
      goals: [{ name: 'p50, of both floors', value: p50 / (commit + bare), atMost: 1.5 }],
      lost: rounds.reduce((sum, { lost }) => sum + lost, 0),
      repeated: rounds.reduce((sum, { repeated }) => sum + repeated, 0),
    }
  },
}

/** How long it takes to write a line and commit it, now and then (milliseconds). */
async function commitTimes(stage: Stage): Promise<number[]> {
  const meeting = await stage.meeting(attendees)
  const sql = await stage.sql.reserve()
  const times: number[] = []
  for (let line = 0; line < given.perSecond * given.seconds; line++) {
    const begun = performance.now()
    await commitLine(sql, meeting, line, given.length)
    times.push(performance.now() - begun)
    await wait(1000 / given.perSecond)
  }
  sql.release()
  return times
}
