import type { ISql, Sql, TransactionSql } from 'postgres'
import { Conflict } from '../../hub/room-rules.ts'
import type { DoneCommand, LineDraft, Write } from '../rules/facts.ts'
import type { MemberId } from '../rules/poll.ts'
import type { MeetingState } from '../rules/view.ts'
import type { Fence } from './load.ts'
import { codeOf } from './states.ts'

/**
 * What has become of the lines of a commit in the database: `t` as it writes it, `time` and `date` as members read them.
 * A trigger of the site may have given them another `message`.
 */
export type StoredLine = { id: number; t: string; time: string; date: string; message: string }

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
  { epoch, meeting, generation }: Fence,
  lines: readonly LineDraft[],
  done: readonly DoneCommand[],
  lastTime: string | null,
): Promise<StoredLine[]> {
  const fence = sql`fence as materialized (
    select plenum.fence(${epoch}::bigint, ${meeting}::bigint, ${generation}::bigint) held)`
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
  if (count > 0) {
    if (to === 'open')
      await tx`
        update plenum.attendance set attended_at = now()
        where meeting_id = ${meeting} and left_at is null and attended_at is null`
    return
  }
  await tx`
    select plenum.require_rows('membership_meeting', 0, count(*)) from membership_meeting
    where id = ${meeting} and state = ${codeOf(from)}`
  throw new Conflict('the state of the meeting was changed elsewhere')
}

async function insertAttendance(tx: TransactionSql, meeting: number, members: MemberId[]): Promise<void> {
  await allSettled([
    tx`
      with stored as (
        insert into plenum.attendance (meeting_id, member_id, attended_at)
        select ${meeting}::bigint, member, (
          select now() from membership_meeting where id = ${meeting} and state = ${codeOf('open')})
        from unnest(${members}::bigint[]) member
        on conflict (meeting_id, member_id) do update set left_at = null,
          attended_at = coalesce(attendance.attended_at, excluded.attended_at),
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
    update plenum.poll set ended_at = now(), ending = ${ending}, present = plenum.electorate(id) where id = ${id} and ended_at is null`
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
