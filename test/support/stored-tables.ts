import { isDeepStrictEqual } from 'node:util'
import type { Sql } from 'postgres'
import type { Model } from './model.ts'
import { Difference } from './frame-oracle.ts'
import type { LineFacts } from './frame-oracle.ts'

const states = ['pending', 'open', 'finished', 'closed'] as const

/** What the tables say of a meeting. Sets are in ascending order. */
export interface Tables {
  state: Model['state']
  record: { id: number; from: number | null; text: string; time: string; date: string }[]
  /** Whether times never decrease with ids. */
  inOrder: boolean
  present: number[]
  mayRejoin: number[]
  banned: number[]
  polls: { question: string; answers: string[]; ended: boolean; votes: [member: number, answer: number][] }[]
}

export async function readTables(sql: Sql, meeting: number): Promise<Tables> {
  const [row] = await sql<(Omit<Tables, 'state'> & { state: number })[]>`
    select m.state,
      coalesce((select json_agg(json_build_object('id', l.id, 'from', l.sender_id, 'text', l.message,
          'time', to_char(l.t, 'HH24:MI:SS'), 'date', to_char(l.t, 'YYYY-MM-DD')) order by l.id)
        from membership_meetingmessagelog l where l.meeting_id = m.id), '[]') record,
      coalesce((select bool_and(t >= before) from (
          select t, lag(t) over (order by id) before from membership_meetingmessagelog where meeting_id = m.id
        ) l where before is not null), true) "inOrder",
      array(select member_id from plenum.attendance
        where meeting_id = m.id and left_at is null order by member_id) present,
      array(select member_id from membership_membermeetingkey
        where meeting_id = m.id and allowrejoin order by member_id) "mayRejoin",
      array(select member_id from plenum.ban where meeting_id = m.id order by member_id) banned,
      coalesce((select json_agg(json_build_object('question', p.question, 'answers', p.answers,
          'ended', p.ended_at is not null, 'votes', coalesce(
            (select json_agg(json_build_array(v.member_id, v.answer) order by v.member_id)
              from plenum.vote v where v.poll_id = p.id), '[]')) order by p.id)
        from plenum.poll p where p.meeting_id = m.id), '[]') polls
    from membership_meeting m where m.id = ${meeting}`
  if (!row) throw new Error(`meeting ${meeting} is gone`)
  return { ...row, state: states[row.state] ?? 'closed' }
}

/** Throws at the first thing that is not as the model has it. `lines`: what is known of them from frames. */
export function compareTables(model: Model, tables: Tables, lines: LineFacts): void {
  const ascending = (ids: Iterable<number>): number[] => [...ids].toSorted((a, b) => a - b)
  const compare = (what: string, found: unknown, expected: unknown): void => {
    if (isDeepStrictEqual(found, expected)) return
    throw new Difference(
      `${what}: the tables have\n  ${JSON.stringify(found)}\nbut were to have\n  ${JSON.stringify(expected)}`,
    )
  }
  const { record, polls } = tables
  for (let place = 0; place < Math.max(record.length, model.lines.length); place++) {
    const found = record[place]
    compare(`line ${place + 1}`, found && { from: found.from, text: found.text }, model.lines[place])
    const { id, time, date } = record[place]!
    if (lines[place]) compare(`line ${place + 1}, as it was told`, { id, time, date }, lines[place])
  }
  compare('that times do not decrease', tables.inOrder, true)
  compare('state', tables.state, model.state)
  compare('plenum.attendance', tables.present, ascending(model.present.keys()))
  compare('allowrejoin', tables.mayRejoin, ascending(model.mayRejoin))
  compare('plenum.ban', tables.banned, ascending(model.banned))
  const expected = model.polls.map(({ votes, ...poll }) => ({
    ...poll,
    votes: [...votes].toSorted(([a], [b]) => a - b),
  }))
  for (let index = 0; index < Math.max(polls.length, expected.length); index++)
    compare(`poll ${index + 1}`, polls[index], expected[index])
}

/** Takes a meeting away from the server, so that neither that nor its poller is kept busy by it. */
export async function withdrawMeeting(sql: Sql, meeting: number): Promise<void> {
  await sql`update membership_meeting set meetingtype = 0 where id = ${meeting}`
}
