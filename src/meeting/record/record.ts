import type { ISql, PendingQuery, Row, Sql } from 'postgres'
import type { Retry } from '../../db/contention.ts'
import { withoutDirections } from '../../hub/text.ts'
import { marks } from '../rules/marks.ts'
import type { MeetingState } from '../rules/view.ts'
import type { PollEnding } from '../rules/poll.ts'
import { stateOf } from '../store/states.ts'

/** A moment in the zone of the record, in ISO 8601 with its offset: 2026-03-14T19:02:11+01:00. */
export type Moment = string

/** What is known of a record before it is read. */
export type RecordHead = {
  meeting: number
  name: string
  state: MeetingState
  timezone: string
  scheduled: Moment
  /** When this was looked up: what came later is not in it. */
  asOf: Moment
  /** Null: it has never been opened, so that there is no record. */
  opened: Moment | null
  /** Null while the record is not final, and where nobody finished the meeting. */
  finished: Moment | null
  /** The meeting is over. (An admin can still open it again.) */
  final: boolean
  lines: number
  /** How many members have said something in it. */
  speakers: number
  /** How many members were in the meeting while the record went on; 0 where nobody wrote that down. */
  present: number
  /** How many of them by a proxy. */
  byProxy: number
}

/** Somebody who was in the meeting while the record went on. */
export type RecordAttendee = {
  id: number
  /** Null where there is no such member any more. */
  name: string | null
  /** The name of who was there for them, by the site's table. */
  proxy: string | null
}

export type RecordLine = {
  id: number
  time: Moment
  /** Null: the system says it. */
  member: { id: number; name: string } | null
  text: string
}

export type RecordPoll = {
  id: number
  question: string
  answers: string[]
  /** A sum for each answer; null for an aborted poll, which has no result. */
  tally: number[] | null
  /** How many members have voted. */
  voters: number
  /** How many could have: they were in the meeting when it ended, or have voted. Null where that was not written down. */
  present: number | null
  /** `name` is null where there is no such member any more. */
  by: { id: number; name: string | null }
  opened: Moment
  /** When its time is, or would have been, up. */
  closes: Moment
  /** Both null while it is under way. */
  ended: Moment | null
  ending: PollEnding | null
}

/** The permanent record of a meeting, to be read in pages while it is given out. */
export type MeetingRecord = {
  head: RecordHead
  /** In the order of their names. */
  attendees: () => AsyncGenerator<RecordAttendee[]>
  polls: () => AsyncGenerator<RecordPoll[]>
  lines: () => AsyncGenerator<RecordLine[]>
}

/** As many as a page holds; of lines about so many bytes. */
const page = { lines: 500, bytes: 64 * 1024, polls: 50, attendees: 500 }

/**
 * Finds the permanent record of a meeting on the web; null where there is no such meeting. It is what the site takes for
 * it: the lines from the first `This meeting is now open` to the last `This meeting is now finished`, in order of time,
 * whoever said them. While the meeting is open (again) it goes up to now.
 *
 * All reading goes through `read`, one page at a time: who reads on slowly holds nothing.
 */
export async function openRecord(sql: Sql, read: Retry, meeting: number): Promise<MeetingRecord | null> {
  const found = await read(() => readHead(sql, meeting))
  if (!found) return null
  const { head, from, to, finished } = found
  return {
    head,
    async *attendees() {
      if (from === null) return
      let after = { name: '', id: 0 }
      for (;;) {
        const { attendees, last } = await read(() => readAttendees(sql, meeting, { from, finished }, after))
        if (attendees.length > 0) yield attendees
        if (!last) return
        after = last
      }
    },
    async *polls() {
      if (from === null) return
      let after = 0
      for (;;) {
        const polls = await read(() => readPolls(sql, meeting, after))
        if (polls.length > 0) yield polls
        if (polls.length < page.polls) return
        after = polls.at(-1)?.id ?? after
      }
    },
    async *lines() {
      if (from === null || to === null) return
      let after = { t: from, id: 0 }
      for (;;) {
        const { lines, last } = await read(() => readLines(sql, meeting, after, to))
        if (lines.length > 0) yield lines
        if (!last) return
        after = last
      }
    },
  }
}

const moment = (sql: ISql, name: string): PendingQuery<Row[]> =>
  sql`to_char(${sql(name)}, 'YYYY-MM-DD"T"HH24:MI:SSTZH:TZM')`

/** The times besides `head` are as the database writes them, to the microsecond. */
async function readHead(
  sql: Sql,
  meeting: number,
): Promise<{ head: RecordHead; from: string | null; to: string | null; finished: string | null } | null> {
  const [row] = await sql<
    {
      name: string
      state: number
      timezone: string
      scheduled: string
      as_of: string
      opened: string | null
      finished: string | null
      opened_t: string | null
      finished_t: string | null
      last_t: string | null
      lines: number
      speakers: number
      present: number
      by_proxy: number
    }[]
  >`
    select m.name, m.state, current_setting('timezone') timezone, ${moment(sql, 'm.dateandtime')} scheduled,
      ${moment(sql, 'n.t')} as_of, ${moment(sql, 'o.t')} opened, ${moment(sql, 'f.t')} finished,
      o.t::text opened_t, f.t::text finished_t, s.last::text last_t, s.lines, s.speakers, a.present, a.by_proxy
    from membership_meeting m
      cross join (select now() t) n
      left join lateral (select t from membership_meetingmessagelog
        where meeting_id = m.id and message = ${marks.open} order by t, id limit 1) o on true
      left join lateral (select t from membership_meetingmessagelog
        where meeting_id = m.id and message = ${marks.finished} and t >= o.t and m.state in (2, 3)
        order by t desc, id desc limit 1) f on true
      cross join lateral (select count(*)::int lines, count(distinct sender_id)::int speakers, max(t) as last
        from membership_meetingmessagelog
        where meeting_id = m.id and t >= o.t and t <= coalesce(f.t, 'infinity')) s
      cross join lateral (select count(*)::int present, count(nullif(k.proxyname, ''))::int by_proxy
        from plenum.attendance a
          left join membership_membermeetingkey k on k.meeting_id = a.meeting_id and k.member_id = a.member_id
        where a.meeting_id = m.id and ${attended(sql, sql`o.t`, sql`f.t`)}) a
    where m.id = ${meeting} and m.meetingtype = 1`
  if (!row) return null
  const state = stateOf(row.state)
  const head = {
    meeting,
    name: withoutDirections(row.name),
    state,
    timezone: row.timezone,
    scheduled: row.scheduled,
    asOf: row.as_of,
    opened: row.opened,
    finished: row.finished,
    final: row.opened !== null && (state === 'finished' || state === 'closed'),
    lines: row.lines,
    speakers: row.speakers,
    present: row.present,
    byProxy: row.by_proxy,
  }
  return { head, from: row.opened_t, to: row.last_t, finished: row.finished_t }
}

/**
 * Whether a row `a` of plenum.attendance is of somebody who was there between the two times, of which the second may be
 * null. It has the time of the last stay alone: who came back after the end is known by `attended_at`.
 */
const attended = (sql: ISql, from: PendingQuery<Row[]>, to: PendingQuery<Row[]>): PendingQuery<Row[]> => sql`(
  a.attended_at is not null
  or (a.entered_at <= coalesce(${to}, 'infinity') and coalesce(a.left_at, 'infinity') >= ${from}))`

/** `last` is null where there are no more. */
async function readAttendees(
  sql: Sql,
  meeting: number,
  { from, finished }: { from: string; finished: string | null },
  after: { name: string; id: number },
): Promise<{ attendees: RecordAttendee[]; last: { name: string; id: number } | null }> {
  const rows = await sql<RecordAttendee[]>`
    select a.member_id id, p.fullname as name, nullif(k.proxyname, '') proxy
    from plenum.attendance a
      left join membership_member p on p.user_id = a.member_id
      left join membership_membermeetingkey k on k.meeting_id = a.meeting_id and k.member_id = a.member_id
    where a.meeting_id = ${meeting} and (coalesce(p.fullname, ''), a.member_id) > (${after.name}::text, ${after.id}::bigint)
      and ${attended(sql, sql`${from}::text::timestamptz`, sql`${finished}::text::timestamptz`)}
    order by coalesce(p.fullname, ''), a.member_id limit ${page.attendees}`
  const last = rows.length === page.attendees ? rows.at(-1) : undefined
  return {
    attendees: rows.map(({ id, name, proxy }) => ({
      id,
      name: name && withoutDirections(name),
      proxy: proxy && withoutDirections(proxy),
    })),
    last: last ? { name: last.name ?? '', id: last.id } : null,
  }
}

/** `last` is null where there are no more. */
async function readLines(
  sql: Sql,
  meeting: number,
  after: { t: string; id: number },
  to: string,
): Promise<{ lines: RecordLine[]; last: { t: string; id: number } | null }> {
  const rows = await sql<
    {
      id: number
      t: string
      time: string
      member: number | null
      name: string | null
      text: string
      found: number
    }[]
  >`
    with found as (
      select *, sum(octet_length(message)) over w - octet_length(message) bytes_before, count(*) over () found
      from (select id, t, sender_id, message from membership_meetingmessagelog
        where meeting_id = ${meeting} and (t, id) > (${after.t}::text::timestamptz, ${after.id})
          and t <= ${to}::text::timestamptz
        order by t, id limit ${page.lines}) l
      window w as (order by t, id))
    select l.id, l.t::text, ${moment(sql, 'l.t')} as time, l.sender_id member, p.fullname as name, l.message as text,
      l.found::int
    from found l left join membership_member p on p.user_id = l.sender_id
    where l.bytes_before < ${page.bytes}
    order by l.t, l.id`
  const last = rows.at(-1)
  const full = rows.length === page.lines || rows.length < (last?.found ?? 0)
  const lines = rows.map(({ id, time, member, name, text }) => ({
    id,
    time,
    member: member === null ? null : { id: member, name: withoutDirections(name ?? '') },
    text: member === null ? withoutDirections(text) : text,
  }))
  return { lines, last: full && last ? { t: last.t, id: last.id } : null }
}

async function readPolls(sql: Sql, meeting: number, after: number): Promise<RecordPoll[]> {
  const rows = await sql<
    (Omit<RecordPoll, 'by'> & { opened_by: number; opener: string | null; tally: number[] })[]
  >`
    select o.id, o.question, o.answers, o.opened_by, p.fullname opener, o.ending,
      ${moment(sql, 'o.opened_at')} opened, ${moment(sql, 'o.closes_at')} closes, ${moment(sql, 'o.ended_at')} ended,
      (select count(*)::int from plenum.vote v where v.poll_id = o.id) voters,
      case when o.ended_at is null then plenum.electorate(o.id) else o.present end present,
      (select json_agg((select count(*) from plenum.vote v
          where v.poll_id = o.id and v.answer = a.n - 1) order by a.n)
        from unnest(o.answers) with ordinality a(text, n)) tally
    from plenum.poll o left join membership_member p on p.user_id = o.opened_by
    where o.meeting_id = ${meeting} and o.id > ${after} order by o.id limit ${page.polls}`
  return rows.map(({ opened_by: id, opener: name, tally, ...poll }) => ({
    ...poll,
    question: withoutDirections(poll.question),
    answers: poll.answers.map(withoutDirections),
    by: { id, name: name && withoutDirections(name) },
    tally: poll.ending === 'aborted' ? null : tally,
  }))
}
