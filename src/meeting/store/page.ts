import type { ISql } from 'postgres'
import { directionMarks } from '../../hub/text.ts'

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
