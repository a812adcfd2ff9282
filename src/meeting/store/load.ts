import type { ISql } from 'postgres'
import { withoutDirections } from '../../hub/text.ts'
import { foldText, sameQuestionMs } from '../rules/poll.ts'
import { rememberedMs, type StoredMeeting } from '../rules/view.ts'
import { stateOf } from './states.ts'

/** What a write must name: the lease's epoch, and the generation of the view that it was decided on. */
export type Fence = Readonly<{ epoch: string; meeting: number; generation: string }>

/**
 * To be called before a meeting is read: waits for its writes that are under way, on connections that are lost too, and
 * makes those fail that have not got so far. Returns what later writes must name.
 */
export async function beginReading(sql: ISql, epoch: string, meeting: number): Promise<Fence> {
  const [row] = await sql<{ generation: string }[]>`
    with begun as materialized (select plenum.begin_reading(${epoch}::bigint, ${meeting}::bigint)::text generation)
    select generation from begun where plenum.require_rows('plenum.lease', (generation is not null)::int, 1)`
  if (!row) throw new Error('the generation was not written')
  return { epoch, meeting, generation: row.generation }
}

type MeetingRow = {
  name: string
  state: number
  last_id: number | null
  last_time: string | null
  attendance: StoredMeeting['attendance'] | null
  banned: number[] | null
  poll: Exclude<StoredMeeting['poll'], null> | null
  ended_polls: StoredMeeting['endedPolls'] | null
  last_poll: StoredMeeting['lastPoll']
  done: StoredMeeting['done'] | null
}

/** Reads one meeting; null where there is none on the web of that id. */
export async function readMeeting(sql: ISql, meeting: number): Promise<StoredMeeting | null> {
  const [row] = await sql<MeetingRow[]>`
    select m.name, m.state, l.id last_id, l.t::text last_time,
      (select json_agg(json_build_object('id', a.member_id, 'name', p.fullname, 'present', a.left_at is null,
          'color', coalesce(k.id, a.member_id) % 10 || '', 'proxyName', k.proxyname,
          'admin', exists (select from membership_meeting_meetingadmins d
            where d.meeting_id = m.id and d.member_id = a.member_id)) order by a.entered_at, a.member_id)
        from plenum.attendance a
          join membership_member p on p.user_id = a.member_id
          left join membership_membermeetingkey k on k.meeting_id = a.meeting_id and k.member_id = a.member_id
        where a.meeting_id = m.id) attendance,
      (select json_agg(b.member_id) from plenum.ban b where b.meeting_id = m.id) banned,
      (select json_build_object('id', o.id, 'question', o.question, 'answers', o.answers,
          'endsInMs', extract(epoch from o.closes_at - now()) * 1000,
          'votes', coalesce((select json_agg(json_build_array(v.member_id, v.answer))
            from plenum.vote v where v.poll_id = o.id), '[]'))
        from plenum.poll o where o.meeting_id = m.id and o.ended_at is null) poll,
      (select json_agg(json_build_object('question', o.question,
          'endedAgoMs', extract(epoch from now() - o.ended_at) * 1000) order by o.ended_at)
        from plenum.poll o
        where o.meeting_id = m.id and o.ended_at > now() - ${sameQuestionMs} * interval '1 ms') ended_polls,
      (select json_build_object('id', o.id, 'question', o.question, 'answers', o.answers, 'ending', o.ending,
          'tally', (select json_agg((select count(*) from plenum.vote v
              where v.poll_id = o.id and v.answer = a.n - 1) order by a.n)
            from unnest(o.answers) with ordinality a(text, n)))
        from plenum.poll o where o.meeting_id = m.id and o.ended_at is not null
        order by o.ended_at desc, o.id desc limit 1) last_poll,
      (select json_agg(json_build_object('member', c.member_id, 'id', c.id,
          'doneAgoMs', extract(epoch from now() - c.done_at) * 1000) order by c.done_at)
        from plenum.command c
        where c.meeting_id = m.id and c.done_at > now() - ${rememberedMs} * interval '1 ms') done
    from membership_meeting m
      -- The newest time may stand at an older id in a record that another server wrote. Without the offset the highest id
      -- would be looked for from the end of the whole log, beneath the lines of all later meetings; without the number of
      -- the meeting the planner would take it for one of the average length.
      cross join lateral (select max(id) id, max(t) t from (
        select id, t from membership_meetingmessagelog where meeting_id = ${meeting} offset 0) line) l
    where m.id = ${meeting} and m.meetingtype = 1`
  return row ? fromRow(row) : null
}

const fromRow = (row: MeetingRow): StoredMeeting => ({
  name: withoutDirections(row.name),
  state: stateOf(row.state),
  attendance: (row.attendance ?? []).map(({ name, proxyName, ...person }) => ({
    ...person,
    name: withoutDirections(name),
    proxyName: proxyName && withoutDirections(proxyName),
  })),
  banned: row.banned ?? [],
  poll: row.poll && folded(row.poll),
  endedPolls: (row.ended_polls ?? []).map((poll) => ({ ...poll, question: foldText(poll.question) })),
  lastPoll: row.last_poll && folded(row.last_poll),
  done: row.done ?? [],
  lastLine: { id: row.last_id ?? 0, time: row.last_time },
})

/** As it would be put today. */
const folded = <Asked extends { question: string; answers: string[] }>(poll: Asked): Asked => ({
  ...poll,
  question: foldText(poll.question),
  answers: poll.answers.map(foldText),
})
