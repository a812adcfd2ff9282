import { setTimeout as wait } from 'node:timers/promises'
import { microseconds } from '../client.ts'
import { residentBytes } from '../process.ts'
import type { Scenario } from '../scenario.ts'
import { guestsOf, targetOf } from '../stage.ts'

export const restart: Scenario = {
  name: 'restart',
  about: '1,000 attendees who talk, kill -9, start again; pages retry after 2 s',
  async play(stage) {
    const attendees = 1000
    const meeting = await stage.meeting(attendees)
    const before = await stage.plenum()
    const crowd = stage.crowd(targetOf(before))
    await crowd.connect(guestsOf(meeting), { returns: true })
    const after = await stage.lastId(meeting.id)
    await crowd.measure({ 0: after })
    const talk = crowd.speak([0, 1, 2, 3, 4], 4, 60, 8)
    await wait(1500)
    await before.kill()
    const startedAt = microseconds()
    const plenum = await stage.plenum({ listen: before.listen })
    const serving = (microseconds() - startedAt) / 1e6
    const { at, missing } = await crowd.awaitReturn(20)
    await talk
    const { lost, repeated, ended } = await crowd.report({ 0: await stage.expected(meeting.id, after) })
    const [left] = await stage.sql<{ count: number }[]>`
      select count(*)::int from membership_meetingmessagelog
      where meeting_id = ${meeting.id} and id > ${after} and message ~ ' (left|re-joined|joined) the meeting'`
    return {
      figures: {
        'seconds until it serves': serving,
        'seconds until all are back': (at - startedAt) / 1e6,
        'not back': missing,
        'lines of coming and going': left?.count ?? NaN,
        'connections lost': ended,
        'memory MB': residentBytes(plenum.pid) / 2 ** 20,
      },
      goals: [
        { name: 'seconds until all are back', value: (at - startedAt) / 1e6, atMost: 5 },
        { name: 'not back', value: missing, atMost: 0 },
        { name: 'lines of coming and going', value: left?.count ?? NaN, atMost: 0 },
      ],
      lost,
      repeated,
    }
  },
}
