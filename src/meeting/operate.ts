import type { Sql } from 'postgres'
import type { MeetingState } from './rules/view.ts'
import type { MemberId } from './rules/poll.ts'
import { withoutDirections } from '../hub/text.ts'
import { setAllowRejoin, storeBan } from './store/commit.ts'
import { stateOf } from './store/states.ts'

/** By whom a member is banned from the command line: no member has this id. */
const operatorId = 0

/** A member of a meeting, by their id or by their name. */
export type MemberName = MemberId | string

export type Candidate = {
  id: MemberId
  name: string
  banned: boolean
  allowRejoin: boolean
  present: boolean
}

/** What an operator is told of one meeting; `people` are those who are in it. */
export type ListedMeeting = {
  id: number
  name: string
  state: MeetingState
  /** Of the database session's time zone, as YYYY-MM-DD HH:MM. */
  at: string
  people: { id: MemberId; name: string; admin: boolean }[]
}

/** How many meetings that are over are listed. */
const closedListed = 10

/** The meetings on the web that are not over, and the newest of those that are, each with who is in it. */
export async function listMeetings(sql: Sql): Promise<ListedMeeting[]> {
  const rows = await sql<
    { id: number; name: string; state: number; at: string; people: ListedMeeting['people'] | null }[]
  >`
    select m.id, m.name, m.state::int, to_char(m.dateandtime, 'YYYY-MM-DD HH24:MI') as at,
      (select json_agg(json_build_object('id', p.user_id, 'name', p.fullname, 'admin', exists (
            select from membership_meeting_meetingadmins a
            where a.meeting_id = m.id and a.member_id = p.user_id)) order by p.fullname, p.user_id)
        from plenum.attendance t join membership_member p on p.user_id = t.member_id
        where t.meeting_id = m.id and t.left_at is null) people
    from (
      select *, row_number() over (partition by state = 3 order by dateandtime desc, id desc) n
      from membership_meeting where meetingtype = 1) m
    where m.state <> 3 or m.n <= ${closedListed}
    order by m.dateandtime, m.id`
  return rows.map(({ name, state, people, ...row }) => ({
    ...row,
    name: withoutDirections(name),
    state: stateOf(state),
    people: (people ?? []).map((one) => ({ ...one, name: withoutDirections(one.name) })),
  }))
}

/** A meeting on the web; null where there is none of that id. */
export async function findMeeting(
  sql: Sql,
  meeting: number,
): Promise<{ name: string; state: MeetingState } | null> {
  const [row] = await sql<{ name: string; state: number }[]>`
    select name, state::int from membership_meeting where id = ${meeting} and meetingtype = 1`
  return row ? { name: withoutDirections(row.name), state: stateOf(row.state) } : null
}

/**
 * Those who may be meant by `member` among the members who have a key of the meeting, or are banned from it: who has that
 * id, else whose whole name it is (whatever its capitals), else in whose name all of its words are.
 */
export async function findMembers(sql: Sql, meeting: number, member: MemberName): Promise<Candidate[]> {
  const rows = await sql<Candidate[]>`
    select p.user_id id, p.fullname as name, coalesce(k.allowrejoin, false) "allowRejoin",
      exists (select from plenum.ban b where b.meeting_id = ${meeting} and b.member_id = p.user_id) banned,
      exists (select from plenum.attendance t
        where t.meeting_id = ${meeting} and t.member_id = p.user_id and t.left_at is null) present
    from membership_member p
      left join membership_membermeetingkey k on k.meeting_id = ${meeting} and k.member_id = p.user_id
    where k.id is not null
      or exists (select from plenum.ban b where b.meeting_id = ${meeting} and b.member_id = p.user_id)
    order by p.fullname, p.user_id`
  const all = rows.map((row) => ({ ...row, name: withoutDirections(row.name) }))
  if (typeof member === 'number') return all.filter(({ id }) => id === member)
  const wanted = wordsOf(member)
  const whole = all.filter(({ name }) => wordsOf(name).join(' ') === wanted.join(' '))
  if (whole.length > 0) return whole
  return all.filter(({ name }) => {
    const words = new Set(wordsOf(name))
    return wanted.length > 0 && wanted.every((word) => words.has(word))
  })
}

function wordsOf(name: string): string[] {
  return name
    .normalize('NFKC')
    .toLowerCase()
    .split(/[\s\p{Default_Ignorable_Code_Point}]+/u)
    .filter((word) => word !== '')
}

/** Lets a member who was kicked without return enter again. False where there was no such ban. */
export async function deleteBan(sql: Sql, meeting: number, member: MemberId): Promise<boolean> {
  return await sql.begin(async (tx) => {
    const { count } = await tx`
      delete from plenum.ban where meeting_id = ${meeting} and member_id = ${member}`
    if (count === 0) {
      await tx`
        select plenum.require_rows('plenum.ban', 0, count(*)) from plenum.ban
        where meeting_id = ${meeting} and member_id = ${member}`
      return false
    }
    await setAllowRejoin(tx, meeting, [member], true)
    return true
  })
}

/**
 * Kicks a member without return. The process that serves the meeting sees the ban when it next looks at the site (see
 * `followSite`), and ends their connection. False where they were banned already.
 */
export async function insertOperatorsBan(sql: Sql, meeting: number, member: MemberId): Promise<boolean> {
  return await sql.begin(async (tx) => {
    const isNew = await storeBan(tx, meeting, member, operatorId)
    await setAllowRejoin(tx, meeting, [member], false)
    return isNew
  })
}

/** Lets a member enter a meeting that has begun without them: their entry is decided by this, each time anew. */
export async function allowEntry(sql: Sql, meeting: number, member: MemberId): Promise<void> {
  await setAllowRejoin(sql, meeting, [member], true)
}
