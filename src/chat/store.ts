import { createHash } from 'node:crypto'
import type { ISql, Sql } from 'postgres'
import { quoteName } from '../db/schema.ts'
import type { HistoryQuery } from './query.ts'
import type { Draft, Identity, Line } from './rules.ts'

/** The tables of the chat, and the way to them. */
export type Store = Readonly<{ sql: Sql; schema: string }>

/** What is read of a page at most, in lines and about as many bytes. */
const page = { lines: 1000, bytes: 256 * 1024 }
/** For so long a line that comes again is known. */
export const rememberedDays = 7
/** So many new lines are told at once; where there are more, everyone reads them at their own pace. */
const maxNews = 1000

/** The rows of these keys that there are. */
export async function readSessions(
  { sql, schema }: Store,
  keys: readonly string[],
): Promise<Map<string, Identity>> {
  const rows = await sql<Identity[]>`
    select key, "user", room from ${sql(`${schema}.sessions`)} where key = any(${keys as string[]}::text[])`
  return new Map(rows.map(({ key, user, room }) => [key, { key, user, room }]))
}

/**
 * Writes lines of one room, in their order and in one commit, and notifies of each. Of those with an id each is written
 * once, however often and to whichever process it comes. Where a trigger leaves out one of them, or its id, nothing is
 * written, and it is a refusal (`leftOutState`). An old `new_message` writes times in the zone of its session, and
 * finds its table by the search path.
 */
export async function appendLines(
  { sql, schema }: Store,
  room: number,
  lines: readonly Draft[],
): Promise<void> {
  const known = new Set<string>()
  const drafts = lines.flatMap(({ user, message, id }) => {
    const name = id === null ? null : nameOf(user, id)
    if (name !== null && known.has(name)) return []
    if (name !== null) known.add(name)
    return { user, message, name }
  })
  const texts = (of: 'user' | 'message' | 'name') => drafts.map((draft) => draft[of]) as string[]
  const log = `${quoteName(schema)}.log`
  // What is new is settled first: whoever waits there for another process must not hold the room.
  await sql`
    with fresh as (
      insert into plenum.chat_command (room, id)
      select ${room}::int, id from unnest(${Array.from(known)}::text[]) id order by id
      on conflict do nothing returning id),
    settings as materialized (
      select set_config('timezone', 'UTC', true),
        set_config('search_path', ${quoteName(schema)} || ', ' || current_setting('search_path'), true),
        array(select id from fresh) fresh),
    begun as materialized (
      select fresh, plenum.begin_lines(${log}::text::regclass, ${room}::int) last from settings),
    written as materialized (
      select ${sql(`${schema}.new_message`)}(${room}::int, clock_timestamp(), line."user", line.message)
      from begun, (
        select "user", message, name
        from unnest(${texts('user')}::text[], ${texts('message')}::text[], ${texts('name')}::text[])
          with ordinality line("user", message, name, n)
        order by n) line
      where name is null or name = any(fresh))
    select plenum.require_lines(${log}::text::regclass, ${room}::int, begun.last, (select count(*) from written),
      ${Array.from(known)}::text[])
    from begun`
}

/** A line's id as it is stored: one of this speaker's, and short. */
const nameOf = (user: string, id: string): string =>
  createHash('sha256').update(`${id} ${user}`).digest('base64url').slice(0, 22)

/** The last id of the log, and which of the `window` ids before it, above `after`, nobody can see (yet). */
export async function readTop(
  { sql, schema }: Store,
  after: number,
  window: number,
): Promise<{ top: number; gaps: number[] }> {
  const log = sql(`${schema}.log`)
  const [row] = await sql<{ top: number; gaps: number[] }[]>`
    with top as materialized (select coalesce(max(message_id), 0)::bigint id from ${log})
    select top.id top, array(
      select id from generate_series(greatest(${after}::bigint, top.id - ${window}::int, 0) + 1, top.id) id
      where not exists (select from ${log} where message_id = id)) gaps
    from top`
  if (!row) throw new Error('the log did not say how far it goes')
  return row
}

/**
 * What is new since the id `seen`: the lines of `rooms` above it, those of the ids in `missing` that have appeared in any
 * room, how far the log goes, and which ids up to there are missing. All of it is of one moment. `full`: there is more than
 * is told at once, and no line above `seen` is in it.
 */
export async function readNews(
  { sql, schema }: Store,
  from: { seen: number; missing: readonly number[]; rooms: readonly number[]; window: number },
): Promise<{ lines: Line[]; top: number; gaps: number[]; full: boolean }> {
  const log = sql(`${schema}.log`)
  const { seen, missing, rooms, window } = from
  const rows = await sql<{ id: number; room: number | null; json: string }[]>`
    with fresh as materialized (
      select * from ${log} where message_id > ${seen} and room = any(${rooms as number[]}::int[])
      order by message_id limit ${maxNews + 1}),
    late as materialized (select * from ${log} where message_id = any(${missing as number[]}::bigint[])),
    top as materialized (select coalesce(max(message_id), 0)::bigint id from ${log})
    select message_id::bigint id, room, ${toJson(sql)} json
    from (select * from fresh where (select count(*) from fresh) <= ${maxNews} union all select * from late) line
    union all
    select top.id, null, array_to_string(array(
        select id from generate_series(greatest(${seen}::bigint, top.id - ${window}::int) + 1, top.id) id
        where not exists (select from ${log} where message_id = id)), ',')
      || case when (select count(*) from fresh) > ${maxNews} then ' full' else '' end
    from top
    order by room nulls first, id`
  const [end, ...lines] = rows
  if (end?.room !== null) throw new Error('the log did not say how far it goes')
  const [gaps = '', full] = end.json.split(' ')
  return {
    lines: lines as Line[],
    top: end.id,
    gaps: gaps === '' ? [] : gaps.split(',').map(Number),
    full: full !== undefined,
  }
}

/** The id after which a reader with this query lacks the lines up to `upTo`. */
export async function findStart(
  { sql, schema }: Store,
  room: number,
  { after, since, limit }: HistoryQuery,
  upTo: number,
): Promise<number> {
  const [row] = await sql<{ start: number }[]>`
    select coalesce(min(message_id) - 1, ${upTo}::bigint)::bigint start
    from (select message_id from ${sql(`${schema}.log`)}
      where room = ${room} and message_id > ${after ?? 0} and message_id <= ${upTo} and ${isSince(sql, since)}
      order by message_id desc limit ${limit}) line`
  return row?.start ?? upTo
}

/**
 * Reads a part of a room's log: lines with ids above `after` and up to `upTo` without those in `hidden`, in order of id, as
 * many as a page holds. `last` is the highest id that need not be looked for again; `full` says that there may be more.
 */
export async function readPage(
  { sql, schema }: Store,
  room: number,
  range: { after: number; upTo: number; hidden: readonly number[]; since: string | null },
): Promise<{ lines: string[]; last: number; full: boolean }> {
  const { after, upTo, hidden, since } = range
  const [row] = await sql<{ json: string | null; last: number | null; lines: number; found: number }[]>`
    with found as (
      select *, sum(octet_length(message)) over (order by message_id) - octet_length(message) bytes_before
      from (select * from ${sql(`${schema}.log`)}
        where room = ${room} and message_id > ${after} and message_id <= ${upTo}
          and message_id <> all(${hidden as number[]}::bigint[]) and ${isSince(sql, since)}
        order by message_id limit ${page.lines}) l)
    select string_agg(${toJson(sql)}, E'\n' order by message_id) json, max(message_id)::bigint last,
      count(*)::int lines, (select count(*)::int from found) found
    from found line where bytes_before < ${page.bytes}`
  const { json = null, last = null, lines = 0, found = 0 } = row ?? {}
  const full = lines === page.lines || lines < found
  // No line feed stands in JSON as it is.
  return { lines: json?.split('\n') ?? [], last: full ? (last ?? upTo) : upTo, full }
}

const toJson = (sql: ISql) => sql`
  (select row_to_json(l)::text from (select to_char("time", 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as "time", "user", message,
    message_id::bigint id) l)`

/** Clients know times in milliseconds. */
const isSince = (sql: ISql, since: string | null) => sql`
  (${since}::text is null or date_trunc('milliseconds', "time") > (${since}::text::timestamptz at time zone 'UTC'))`
