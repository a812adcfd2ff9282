import type { ISql, PendingQuery, Row } from 'postgres'
import { withoutDirections } from '../../hub/text.ts'
import type { SiteState } from '../rules/site.ts'
import { codeOf, stateOf } from './states.ts'

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

type SiteRow = {
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
}

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
  const rows = await sql<SiteRow[]>`
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
  const { timezone = 'UTC', utc_offset: utcOffset = 0, live = [] } = rows[0] ?? {}
  return { reports: rows.flatMap(reportsOf), live, zone: { timezone, utcOffset } }
}

/** None for the row that says what is true of all. */
function reportsOf({ id, known, fingerprint, details }: SiteRow): SiteReport[] {
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
}
