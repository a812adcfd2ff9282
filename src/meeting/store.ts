import type { ISql, PendingQuery, Row, Sql, TransactionSql } from 'postgres'
import {
  type Credential,
  type DoneCommand,
  type LineDraft,
  type MeetingState,
  rememberedMs,
  type SiteState,
  type Write,
} from './meeting.ts'
import { directionMarks, withoutDirections } from '../hub/text.ts'
import { foldText, type MemberId, type PollEnding, sameQuestionMs } from './poll.ts'

const states: readonly MeetingState[] = ['pending', 'open', 'finished', 'closed']

/** The state that a code of the site means. */
export function stateOf(code: number): MeetingState {
  return states[code] ?? 'closed'
}

const codeOf = (state: MeetingState): number => states.indexOf(state)

/** The digit that gives a member his color everywhere: the last one of his key row's id. */
const colorOf = (keyId: number): string => String(keyId % 10)

/**
 * Finds what the database knows of those who want to enter, all of them in one query. The answer has one entry for
 * each wish, in their order; null for an unknown key, an unknown meeting and a meeting that is not on the web.
 */
export async function findCredentials(
  sql: ISql,
  wishes: readonly { meeting: number; key: string }[],
): Promise<(Credential | null)[]> {
  const rows = await sql<
    {
      n: number
      meeting: number
      key: string
      key_id: number
      member: number
      name: string
      admin: boolean
      banned: boolean
      proxyname: string | null
      allowrejoin: boolean
      state: number
      starts_in: number
    }[]
  >`
    select w.n::int, k.meeting_id meeting, k.key, k.id key_id, k.member_id member, p.fullname as name, k.proxyname,
      k.allowrejoin, m.state, extract(epoch from m.dateandtime - now())::float8 starts_in,
      exists (select from membership_meeting_meetingadmins a
        where a.meeting_id = k.meeting_id and a.member_id = k.member_id) as admin,
      exists (select from plenum.ban b
        where b.meeting_id = k.meeting_id and b.member_id = k.member_id) banned
    from unnest(${wishes.map(({ meeting }) => meeting)}::bigint[], ${wishes.map(({ key }) => key)}::text[])
        with ordinality w(meeting, key, n)
      join membership_membermeetingkey k on k.meeting_id = w.meeting and k.key = w.key
      join membership_meeting m on m.id = k.meeting_id and m.meetingtype = 1
      join membership_member p on p.user_id = k.member_id`
  const found = new Map(rows.map((row) => [row.n, row]))
  return wishes.map((_, index) => {
    const row = found.get(index + 1)
    if (!row) return null
    return {
      meeting: row.meeting,
      key: row.key,
      id: row.member,
      name: withoutDirections(row.name),
      color: colorOf(row.key_id),
      admin: row.admin,
      banned: row.banned,
      proxyName: row.proxyname && withoutDirections(row.proxyname),
      allowRejoin: row.allowrejoin,
      state: stateOf(row.state),
      startsInMs: row.starts_in * 1000,
    }
  })
}

/** What a view of one meeting is made of. Times are milliseconds from now, for they are measured by another clock. */
export type StoredMeeting = {
  name: string
  state: MeetingState
  attendance: {
    id: MemberId
    name: string
    color: string
    admin: boolean
    proxyName: string | null
    present: boolean
  }[]
  banned: MemberId[]
  poll: {
    id: number
    question: string
    answers: string[]
    endsInMs: number
    votes: [MemberId, number][]
  } | null
  /** Those that ended within the last `sameQuestionMs`. */
  endedPolls: { question: string; endedAgoMs: number }[]
  /** The last one that ended, however long ago, aborted or not. */
  lastPoll: { id: number; question: string; answers: string[]; ending: PollEnding; tally: number[] } | null
  /** The commands with an id that were done within the last `rememberedMs`, in that order. */
  done: (DoneCommand & { doneAgoMs: number })[]
  lastLine: { id: number; time: string | null }
}

/** What a write must name: the lease's epoch, and which reading of the meeting it was decided on. */
export type Fence = Readonly<{ epoch: string; meeting: number; reading: string }>

/**
 * To be called before a meeting is read: waits for its writes that are under way, on connections that are lost too, and
 * makes those fail that have not got so far. Returns what later writes must name.
 */
export async function beginReading(sql: ISql, epoch: string, meeting: number): Promise<Fence> {
  const [row] = await sql<{ reading: string }[]>`
    with begun as materialized (select plenum.begin_reading(${epoch}::bigint, ${meeting}::bigint)::text reading)
    select reading from begun where plenum.require_rows('plenum.lease', (reading is not null)::int, 1)`
  if (!row) throw new Error('the reading was not written')
  return { epoch, meeting, reading: row.reading }
}

/** So many at once: a deletion is not to hold up for long who remembers new ones. */
const mostForgotten = 10_000

/** Deletes the ids of commands that were done too long ago to be asked for. True where there may be more of them. */
export async function forgetCommands(sql: ISql): Promise<boolean> {
  const { count } = await sql`
    delete from plenum.command where ctid = any(array(
      select ctid from plenum.command where done_at < now() - ${rememberedMs} * interval '1 ms' limit ${mostForgotten}))`
  return count === mostForgotten
}

/** Reads one meeting; null where there is none on the web of that id. */
export async function readMeeting(sql: ISql, meeting: number): Promise<StoredMeeting | null> {
  const [row] = await sql<
    {
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
    }[]
  >`
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
  if (!row) return null
  return {
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
  }
}

/** As it would be put today. */
const folded = <Asked extends { question: string; answers: string[] }>(poll: Asked): Asked => ({
  ...poll,
  question: foldText(poll.question),
  answers: poll.answers.map(foldText),
})

/** How many lines, and about how many bytes of them, are read at once. */
const page = { lines: 500, bytes: 64 * 1024 }

/**
 * Reads a part of a meeting's record: lines with ids above `after` and up to `upTo`, in order of id, as many as a page
 * holds. `json` is the data of a `message` frame of each with commas between them; `last` is the highest id that need not be looked for
 * again; `full` says that there may be more.
 */
export async function readPage(
  sql: ISql,
  meeting: number,
  after: number,
  upTo: number,
): Promise<{ json: string; last: number; full: boolean }> {
  const [row] = await sql<{ json: string | null; last: number | null; lines: number; found: number }[]>`
    with found as (
      select *, row_number() over w n, sum(octet_length(message)) over w - octet_length(message) bytes_before
      from (select * from membership_meetingmessagelog
        where meeting_id = ${meeting} and id > ${after} and id <= ${upTo} order by id limit ${page.lines}) l
      window w as (order by id))
    select string_agg(row_to_json(line)::text, ',' order by line.id) json, max(line.id) last, count(*)::int lines,
      (select count(*)::int from found) found
    from (
      select l.id, to_char(l.t, 'HH24:MI:SS') as time, to_char(l.t, 'YYYY-MM-DD') date,
        coalesce(l.sender_id, -1) as from, regexp_replace(coalesce(p.fullname, ''), ${directionMarks}, '', 'g') fromname,
        case when l.sender_id is null then 'sys' else coalesce(k.id, l.sender_id) % 10 || '' end color,
        case when l.sender_id is null then regexp_replace(l.message, ${directionMarks}, '', 'g') else l.message end message
      from found l
        left join membership_member p on p.user_id = l.sender_id
        left join membership_membermeetingkey k on k.meeting_id = ${meeting} and k.member_id = l.sender_id
      where l.bytes_before < ${page.bytes}) line`
  const { json = null, last = null, lines = 0, found = 0 } = row ?? {}
  const full = lines === page.lines || lines < found
  return { json: json ?? '', last: full ? (last ?? upTo) : upTo, full }
}

/**
 * What has become of the lines of a commit in the database: `t` as it writes it, `time` and `date` as members read them.
 * A trigger of the site may have given them another `message`.
 */
export type StoredLine = { id: number; t: string; time: string; date: string; message: string }

/** The database no longer is as the view says: the commit was undone, and the view must be read anew. */
export class Conflict extends Error {}

/**
 * Writes all of `write`, or nothing. The commit fails when another process has taken over (`fencedState`), or when the
 * meeting has been read anew since (`outdatedState`). Throws `Conflict` when the meeting or its poll has changed in the
 * meantime.
 */
export async function commit(
  sql: Sql,
  fence: Fence,
  write: Write,
  lastTime: string | null,
): Promise<{ lines: StoredLine[]; poll: { id: number; endsInMs: number } | null }> {
  const { lines, done = [], ...others } = write
  const { meeting } = fence
  if (Object.values(others).every((part) => Array.isArray(part) && part.length === 0)) {
    if (lines.length === 0 && done.length === 0) return { lines: [], poll: null }
    return { lines: await insertLines(sql, fence, lines, done, lastTime), poll: null }
  }
  return await sql.begin(async (tx) => {
    const [stored, poll] = await allSettled([
      insertLines(tx, fence, lines, done, lastTime),
      write.openPoll ? insertPoll(tx, meeting, write.openPoll) : null,
      write.state && updateState(tx, meeting, write.state),
      write.attend && write.attend.length > 0 && insertAttendance(tx, meeting, write.attend),
      write.depart && write.depart.length > 0 && updateAttendance(tx, meeting, write.depart),
      write.ban && insertBan(tx, meeting, write.ban),
      write.votes && upsertVotes(tx, write.votes),
      write.endPoll && updatePoll(tx, write.endPoll),
    ])
    return { lines: stored, poll }
  })
}

/**
 * As `Promise.all`, but rejects only when nothing is under way any more: a transaction that has ended must not be asked for
 * what one of its statements has still to look at.
 */
async function allSettled<Parts extends readonly unknown[] | []>(
  parts: Parts,
): Promise<{ -readonly [Index in keyof Parts]: Awaited<Parts[Index]> }> {
  try {
    return await Promise.all(parts)
  } catch (error) {
    await Promise.allSettled(parts)
    throw error
  }
}

/**
 * Passes the fence, whatever there is to write. `t` grows with the id by at least a microsecond: the site orders the
 * record by `t`.
 */
async function insertLines(
  sql: ISql,
  { epoch, meeting, reading }: Fence,
  lines: readonly LineDraft[],
  done: readonly DoneCommand[],
  lastTime: string | null,
): Promise<StoredLine[]> {
  const fence = sql`fence as materialized (
    select plenum.fence(${epoch}::bigint, ${meeting}::bigint, ${reading}::bigint) held)`
  // An id whose hour is over may still be there, or be used again.
  const remembered = sql`
    insert into plenum.command (meeting_id, member_id, id)
    select ${meeting}::bigint, command.member, command.id
    from fence, unnest(${done.map(({ member }) => member)}::bigint[], ${done.map(({ id }) => id)}::text[])
      command(member, id)
    where fence.held
    on conflict (meeting_id, member_id, id) do update set done_at = excluded.done_at
    returning id`
  const known = sql`known as materialized (
    select plenum.require_rows('plenum.command', count(*), ${done.length}::bigint) from remembered)`
  if (lines.length === 0) {
    await sql`with ${fence}, remembered as (${remembered}), ${known} select held from fence, known`
    return []
  }
  return await sql<StoredLine[]>`
    with ${fence} ${done.length > 0 ? sql`, remembered as (${remembered}), ${known}` : sql``},
    stored as (
      insert into membership_meetingmessagelog (t, message, meeting_id, sender_id)
      select greatest(now(), ${lastTime ?? '-infinity'}::text::timestamptz + interval '1 microsecond')
          + (n - 1) * interval '1 microsecond', message, ${meeting}::bigint, sender
      from fence, unnest(${lines.map(({ text }) => text)}::text[],
        ${lines.map(({ sender }) => sender)}::bigint[]) with ordinality line(message, sender, n)
      where fence.held
      order by n
      returning id, t, message),
    whole as materialized (
      select plenum.require_rows('membership_meetingmessagelog', count(*), ${lines.length}::bigint) from stored)
    select stored.id, t::text, to_char(t, 'HH24:MI:SS') as time, to_char(t, 'YYYY-MM-DD') as date, message
    from whole ${done.length > 0 ? sql`cross join known` : sql``} left join stored on true order by stored.id`
}

/**
 * Each of the following writes asks, where it has stored less than it was to, for the row that it was decided on. Where that
 * is still as it was, the database has left something out, which is a refusal (`plenum.require_rows`); else it was changed
 * elsewhere, which is a `Conflict`: then the view that is read anew is another one, and so is what is decided on it.
 */
async function updateState(
  tx: TransactionSql,
  meeting: number,
  { from, to }: { from: MeetingState; to: MeetingState },
): Promise<void> {
  const { count } = await tx`
    update membership_meeting set state = ${codeOf(to)} where id = ${meeting} and state = ${codeOf(from)}`
  if (count > 0) return
  await tx`
    select plenum.require_rows('membership_meeting', 0, count(*)) from membership_meeting
    where id = ${meeting} and state = ${codeOf(from)}`
  throw new Conflict('the state of the meeting was changed elsewhere')
}

async function insertAttendance(tx: TransactionSql, meeting: number, members: MemberId[]): Promise<void> {
  await allSettled([
    tx`
      with stored as (
        insert into plenum.attendance (meeting_id, member_id)
        select ${meeting}::bigint, member from unnest(${members}::bigint[]) member
        on conflict (meeting_id, member_id) do update set left_at = null,
          entered_at = case when attendance.left_at is null then attendance.entered_at else excluded.entered_at end
        returning member_id)
      select plenum.require_rows('plenum.attendance', count(*), ${members.length}::bigint) from stored`,
    setAllowRejoin(tx, meeting, members, true),
  ])
}

async function updateAttendance(tx: TransactionSql, meeting: number, members: MemberId[]): Promise<void> {
  const { count } = await tx`
    update plenum.attendance set left_at = now()
    where meeting_id = ${meeting} and member_id = any(${members}::bigint[])`
  if (count === members.length) return
  await tx`
    select plenum.require_rows('plenum.attendance', 0, count(*)) from plenum.attendance
    where meeting_id = ${meeting} and member_id = any(${members}::bigint[]) and left_at is null`
}

async function insertBan(
  tx: TransactionSql,
  meeting: number,
  { member, by }: { member: MemberId; by: MemberId },
): Promise<void> {
  await allSettled([storeBan(tx, meeting, member, by), setAllowRejoin(tx, meeting, [member], false)])
}

/** Bans a member; false where somebody else has done so. To be called in a transaction. */
export async function storeBan(tx: ISql, meeting: number, member: MemberId, by: MemberId): Promise<boolean> {
  const { count } = await tx`
    insert into plenum.ban (meeting_id, member_id, banned_by) values (${meeting}, ${member}, ${by})
    on conflict do nothing`
  if (count > 0) return true
  await tx`
    select plenum.require_rows('plenum.ban', count(*), 1) from plenum.ban
    where meeting_id = ${meeting} and member_id = ${member}`
  return false
}

/** Says of members who have a key of the meeting whether they may come back. */
export async function setAllowRejoin(
  tx: ISql,
  meeting: number,
  members: MemberId[],
  allowed: boolean,
): Promise<void> {
  const [left] = await tx<{ some: boolean }[]>`
    with others as materialized (
      select count(*) n from membership_membermeetingkey
      where meeting_id = ${meeting} and member_id = any(${members}::bigint[]) and allowrejoin is distinct from ${allowed}),
    stored as (
      update membership_membermeetingkey set allowrejoin = ${allowed}
      where meeting_id = ${meeting} and member_id = any(${members}::bigint[]) and allowrejoin is distinct from ${allowed}
      returning id)
    select (select n from others) > (select count(*) from stored) as some`
  // The site may have done the same in this moment.
  if (!left?.some) return
  await tx`
    select plenum.require_rows('membership_membermeetingkey', 0, count(*)) from membership_membermeetingkey
    where meeting_id = ${meeting} and member_id = any(${members}::bigint[]) and allowrejoin is distinct from ${allowed}`
}

async function insertPoll(
  tx: TransactionSql,
  meeting: number,
  poll: Exclude<Write['openPoll'], undefined>,
): Promise<{ id: number; endsInMs: number }> {
  const [row] = await tx<{ id: number }[]>`
    insert into plenum.poll (meeting_id, question, answers, opened_by, closes_at)
    values (${meeting}, ${poll.question}, ${poll.answers}::text[], ${poll.by},
      now() + ${poll.minutes} * interval '1 minute')
    on conflict (meeting_id) where ended_at is null do nothing
    returning id`
  if (row) return { id: row.id, endsInMs: poll.minutes * 60_000 }
  await tx`
    select plenum.require_rows('plenum.poll', count(*), 1) from plenum.poll
    where meeting_id = ${meeting} and ended_at is null`
  throw new Conflict('a poll was opened elsewhere')
}

async function updatePoll(
  tx: TransactionSql,
  { id, ending }: Exclude<Write['endPoll'], undefined>,
): Promise<void> {
  const { count } = await tx`
    update plenum.poll set ended_at = now(), ending = ${ending} where id = ${id} and ended_at is null`
  if (count > 0) return
  await tx`
    select plenum.require_rows('plenum.poll', 0, count(*)) from plenum.poll where id = ${id} and ended_at is null`
  throw new Conflict('the poll was ended elsewhere')
}

/** The share lock keeps the poll from ending between the check and the commit. */
async function upsertVotes(
  tx: TransactionSql,
  { poll, cast }: Exclude<Write['votes'], undefined>,
): Promise<void> {
  const { count } = await tx`
    insert into plenum.vote (poll_id, member_id, answer)
    select o.id, v.member, v.answer
    from (select id from plenum.poll where id = ${poll} and ended_at is null for share) o,
      unnest(${cast.map(({ member }) => member)}::bigint[], ${cast.map(({ answer }) => answer)}::int[])
        v(member, answer)
    on conflict (poll_id, member_id) do update set answer = excluded.answer, cast_at = excluded.cast_at`
  if (count === cast.length) return
  await tx`
    select plenum.require_rows('plenum.vote', 0, count(*)) from plenum.poll where id = ${poll} and ended_at is null`
  throw new Conflict('the poll was ended elsewhere')
}

/** The meetings that go on by themselves: someone attends, a poll is under way, or the end is yet to be closed. */
const isLive = (sql: ISql): PendingQuery<Row[]> => sql`
  m.meetingtype = 1 and (m.state = ${codeOf('finished')}
    or exists (select from plenum.attendance t where t.meeting_id = m.id and t.left_at is null)
    or exists (select from plenum.poll o where o.meeting_id = m.id and o.ended_at is null))`

/** That of the times in the record. `utcOffset`: how far it is ahead of UTC now, in seconds. */
export type Zone = { timezone: string; utcOffset: number }

/**
 * What changed on the site of one meeting since `fingerprint` was taken; `site` is undefined where nothing did, null
 * where there is no such meeting on the web (any more).
 */
export type SiteReport = { id: number; fingerprint: string; site: SiteState | undefined }

/** A meeting, and the fingerprint of what was last seen of it, '' for nothing. */
export type Watched = Readonly<{ id: number; fingerprint: string }>

/** What a look at the site says. `live`: other meetings that go on by themselves. */
export type SiteLook = { reports: SiteReport[]; live: number[]; zone: Zone }

/**
 * Reads, in one query, what the site may have changed: of each meeting in `watched`, and which meetings go on by themselves
 * but for those in `known`. Also says in which zone the times are that members read, and how far it is ahead of UTC, in seconds.
 */
export async function readSite(
  sql: ISql,
  watched: readonly Watched[],
  known: readonly number[],
): Promise<SiteLook> {
  const ids = watched.map(({ id }) => id)
  // By `limit 1` the details of no other meeting are looked at, whatever the plan.
  const rows = await sql<
    {
      timezone: string
      utc_offset: number
      live: number[]
      id: number | null
      known: string
      fingerprint: string
      details: {
        name: string
        state: number
        admins: number[]
        banned: number[]
        keys: { member: number; key: string; name: string; allowRejoin: boolean; proxyName: string | null }[]
      } | null
    }[]
  >`
    select current_setting('timezone') timezone, extract(timezone from now())::int utc_offset, one.live,
      s.id, s.known, s.fingerprint, case when s.fingerprint <> s.known then s.details end details
    from (
      select coalesce(json_agg(m.id), '[]') live from membership_meeting m
      where m.id <> all (${known as number[]}::bigint[]) and ${isLive(sql)}) one
    left join (
      select w.id, w.known, d.details, coalesce(md5(d.details::text), 'gone') fingerprint
      from unnest(${ids}::bigint[], ${watched.map(({ fingerprint }) => fingerprint)}::text[]) w(id, known)
      left join lateral (
        select json_build_object('name', m.name, 'state', m.state,
          'admins', coalesce((select json_agg(a.member_id order by a.member_id)
            from membership_meeting_meetingadmins a where a.meeting_id = m.id), '[]'),
          'banned', coalesce((select json_agg(b.member_id order by b.member_id)
            from plenum.ban b where b.meeting_id = m.id), '[]'),
          'keys', coalesce((select json_agg(json_build_object('member', k.member_id, 'key', k.key, 'name', p.fullname,
              'allowRejoin', k.allowrejoin, 'proxyName', k.proxyname) order by k.member_id)
            from membership_membermeetingkey k
              join plenum.attendance t on t.meeting_id = k.meeting_id and t.member_id = k.member_id
              join membership_member p on p.user_id = k.member_id
            where k.meeting_id = m.id and t.left_at is null), '[]')) details
        from membership_meeting m where m.id = w.id and m.meetingtype = 1 limit 1) d on true) s on true`
  const reports = rows.flatMap(({ id, known, fingerprint, details }): SiteReport[] => {
    if (id === null) return []
    if (fingerprint === known) return [{ id, fingerprint, site: undefined }]
    if (!details) return [{ id, fingerprint, site: null }]
    const { name, state, admins, banned, keys } = details
    return [
      {
        id,
        fingerprint,
        site: {
          name: withoutDirections(name),
          state: stateOf(state),
          admins: new Set(admins),
          banned: new Set(banned),
          keys: new Map(
            keys.map(({ member, name, proxyName, ...key }) => [
              member,
              { ...key, name: withoutDirections(name), proxyName: proxyName && withoutDirections(proxyName) },
            ]),
          ),
        },
      },
    ]
  })
  const { timezone = 'UTC', utc_offset: utcOffset = 0, live = [] } = rows[0] ?? {}
  return { reports, live, zone: { timezone, utcOffset } }
}
