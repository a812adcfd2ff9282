import type { ISql } from 'postgres'
import { withoutDirections } from '../../hub/text.ts'
import type { Credential } from '../rules/attendance.ts'
import { stateOf } from './states.ts'

/** The digit that gives a member their color everywhere: the last one of their key row's id. */
const colorOf = (keyId: number): string => String(keyId % 10)

/**
 * Finds what the database knows of those who want to enter, all of them in one query. The answer has one entry for
 * each request, in their order; null for an unknown key, an unknown meeting and a meeting that is not on the web.
 */
export async function findCredentials(
  sql: ISql,
  requests: readonly { meeting: number; key: string }[],
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
    from unnest(${requests.map(({ meeting }) => meeting)}::bigint[], ${requests.map(({ key }) => key)}::text[])
        with ordinality w(meeting, key, n)
      join membership_membermeetingkey k on k.meeting_id = w.meeting and k.key = w.key
      join membership_meeting m on m.id = k.meeting_id and m.meetingtype = 1
      join membership_member p on p.user_id = k.member_id`
  const found = new Map(rows.map((row) => [row.n, row]))
  return requests.map((_, index) => {
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
