import { readFile } from 'node:fs/promises'
import { cpuSeconds } from '../process.ts'
import type { Scenario } from '../scenario.ts'
import { bareGuests, guestsOf, targetOf } from '../stage.ts'

export function joinStorm(attendees: number, withinSeconds: number): Scenario {
  return {
    name: `join-storm-${attendees}`,
    about: `${attendees} into one open meeting at the same moment; floor: bare accept and upgrade`,
    async play(stage) {
      const floor = await stage.floor()
      const bare = stage.crowd(floor.target)
      const floorCpu = cpuSeconds(floor.pid)
      const { seconds: floorSeconds } = await bare.connect(bareGuests(attendees), { atOnce: attendees })
      const floorCpuUsed = cpuSeconds(floor.pid) - floorCpu

      const meeting = await stage.meeting(attendees)
      await stage.sql`
        insert into membership_meetingmessagelog (t, message, meeting_id)
        select now() + n * interval '1 microsecond', 'before', ${meeting.id} from generate_series(1, 20) n`
      const first = await stage.lastId(meeting.id)
      // The server's statements, and only they, are logged.
      const plenum = await stage.plenum({ env: { PGOPTIONS: '-c log_statement=all' } })
      const statements = async (): Promise<number> =>
        (await readFile(stage.logFile, 'utf8')).match(/LOG: {2}(?:execute|statement)/g)?.length ?? 0
      const statementsBefore = await statements()
      const cpuBefore = cpuSeconds(plenum.pid)
      const crowd = stage.crowd(targetOf(plenum))
      const { seconds, all } = await crowd.connect(guestsOf(meeting, first), { atOnce: attendees })
      const used = cpuSeconds(plenum.pid) - cpuBefore
      const asked = (await statements()) - statementsBefore
      const { lost, repeated, bytes } = await crowd.report({ 0: await stage.expected(meeting.id, first) })
      return {
        figures: {
          'seconds until the last': seconds,
          'seconds until the last, floor': floorSeconds,
          'p50 ms to enter': all.sort((a, b) => a - b)[all.length >> 1] ?? NaN,
          'cpu seconds': used,
          'cpu seconds, floor': floorCpuUsed,
          'MB received': bytes / 2 ** 20,
          statements: asked,
        },
        goals: [
          { name: 'seconds until the last', value: seconds, atMost: withinSeconds },
          { name: 'statements a hundred joins', value: (asked / attendees) * 100, atMost: 10 },
        ],
        lost,
        repeated,
      }
    },
  }
}
