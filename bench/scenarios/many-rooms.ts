import type { Sql } from 'postgres'
import { cpuSeconds, residentBytes } from '../process.ts'
import type { Scenario } from '../scenario.ts'
import { guestsOf, type Meeting, targetOf } from '../stage.ts'

const rooms = 500
const size = 20
const seconds = 8

export const manyRooms: Scenario = {
  name: 'many-rooms',
  about: '500 meetings of 20, 2 lines a second in each',
  async play(stage) {
    const meetings: Meeting[] = []
    for (let room = 0; room < rooms; room++) meetings.push(await stage.meeting(size))
    const plenum = await stage.plenum()
    const crowd = stage.crowd(targetOf(plenum))
    await crowd.connect(meetings.flatMap((meeting, room) => guestsOf(meeting, 0, room, room * size)))
    const after = await stage.lastIds(meetings)
    await crowd.measure(after)
    const cpu = cpuSeconds(plenum.pid)
    const connections = maxConnections(stage.sql)
    const said = await crowd.speak(
      meetings.map((_, room) => room * size),
      2,
      60,
      seconds,
    )
    const told = await crowd.report(await stage.expectedIn(meetings, after, said / rooms))
    const used = cpuSeconds(plenum.pid) - cpu
    const atMost = await connections()
    return {
      figures: {
        'lines a second': said / seconds,
        'deliveries a second': told.delivered / seconds,
        'p50 ms': told.p50,
        'p99 ms': told.p99,
        'cpu of a core': used / seconds,
        'database connections': atMost,
        'memory MB': residentBytes(plenum.pid) / 2 ** 20,
        'connections that ended': told.ended,
      },
      goals: [
        { name: 'p99 ms', value: told.p99, atMost: 50 },
        { name: 'database connections', value: atMost, atMost: 10 },
        { name: 'connections that ended', value: told.ended, atMost: 0 },
      ],
      lost: told.lost,
      repeated: told.repeated,
    }
  },
}

/** Looks now and then how many connections the server has; the function returned ends that and says the most. */
function maxConnections(sql: Sql): () => Promise<number> {
  let most = 0
  let looks = Promise.resolve()
  const look = async (): Promise<void> => {
    const [row] = await sql<{ count: number }[]>`
      select count(*)::int from pg_stat_activity where application_name = 'plenum'`
    most = Math.max(most, row?.count ?? 0)
  }
  const timer = setInterval(() => {
    looks = looks.then(look)
  }, 500)
  return async () => {
    clearInterval(timer)
    await looks
    return most
  }
}
