import type { ISql, Sql, TransactionSql } from 'postgres'
import { codeOf } from '../db/pool.ts'
import { lockSpace, locks, type Migrations, quoteName, SetupError } from '../db/schema.ts'
import type { DoorSchema } from '../hub/door.ts'
import type { ChatConfig } from './flags.ts'

/** The first integer of the locks around new lines of one chat room: the second one is the room. */
const chatLockSpace = lockSpace + 2

const migrations: Migrations = {
  // Lines of the chat that were stored with an id of their client's, so that one which comes again is known.
  5: `
  create table plenum.chat_command (
    room integer not null,
    id text not null,
    done_at timestamptz not null default now(),
    primary key (room, id)
  );
  create index chat_command_done on plenum.chat_command (done_at)`,
  // What "new_message" has stored is seen by another statement alone, as each of a function is. Where a chat has that
  // function from elsewhere, lines that others write to the room in this moment are counted, too.
  9: `
  create function plenum.begin_lines(log regclass, room integer) returns bigint language plpgsql volatile as $$
  declare
    last bigint;
  begin
    perform pg_advisory_xact_lock(${chatLockSpace}, room);
    execute format('select coalesce(max(message_id), 0) from %s', log) into last;
    return last;
  end $$;
  create function plenum.require_lines(log regclass, in_room integer, after bigint, wanted bigint, ids text[])
  returns boolean language plpgsql volatile as $$
  declare
    stored bigint;
  begin
    execute format('select count(*) from %s where room = $1 and message_id > $2', log)
      into stored using in_room, after;
    perform plenum.require_rows(log::text, stored, wanted);
    select count(*) into stored from plenum.chat_command where room = in_room and id = any(ids);
    return plenum.require_rows('plenum.chat_command', stored, cardinality(ids));
  end $$`,
}

const columns: Readonly<Record<'sessions' | 'log', readonly string[]>> = {
  sessions: ['key', 'user', 'room'],
  log: ['message_id', 'room', 'time', 'user', 'message'],
}
const signature = 'new_message(integer, timestamp with time zone, text, text)'

/**
 * Makes the tables of the chat in `schema` where there are none, under the lock of all migrations. Those of a nodejschat
 * are taken as they are. Returns whether anything was made. Throws `SetupError` where the role may not, or where what is
 * there is neither.
 */
async function migrateChat(sql: Sql, schema: string): Promise<boolean> {
  try {
    return await sql.begin(async (tx) => {
      await tx`select pg_advisory_xact_lock(${lockSpace}, ${locks.migration})`
      if (await isThere(tx, schema)) return false
      const [there] = await tx`select from pg_namespace where nspname = ${schema}`
      if (!there) await tx.unsafe(`create schema ${quoteName(schema)}`)
      await tx.unsafe(statements(quoteName(schema)))
      return true
    })
  } catch (error) {
    if (codeOf(error) !== '42501') throw error
    const name = quoteName(schema)
    const [who] = await sql<{ role: string; database: string; exists: boolean; usable: boolean }[]>`
      select current_user role, current_database() database, n.oid is not null as exists,
        coalesce(has_schema_privilege(n.oid, 'USAGE'), false) usable
      from (values (1)) one left join pg_namespace n on n.nspname = ${schema}`
    const role = quoteName(who?.role ?? '')
    if (who?.exists && !who.usable)
      throw new SetupError(
        `the role ${who.role} may not use the chat's schema; as its owner run: GRANT USAGE ON SCHEMA ${name} TO ${role};`,
      )
    const statements = who?.exists
      ? `: GRANT CREATE ON SCHEMA ${name} TO ${role};`
      : ` one of these:\n  CREATE SCHEMA ${name} AUTHORIZATION ${role};\n  GRANT CREATE ON DATABASE ${quoteName(who?.database ?? '')} TO ${role};`
    throw new SetupError(
      `the role ${who?.role} may not make the chat's tables; run "plenum migrate -chat" as a role that may, or as the database's owner run${statements}`,
    )
  }
}

async function isThere(tx: TransactionSql, schema: string): Promise<boolean> {
  const rows = await tx<{ name: string; found: string[] | null }[]>`
    select c.relname as name, array_agg(a.attname::text) found
    from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    where c.relnamespace = to_regnamespace(${quoteName(schema)}) and c.relname in ('sessions', 'log')
    group by c.relname`
  const [written] = await tx<{ name: string | null }[]>`
    select to_regprocedure(${`${quoteName(schema)}.${signature}`})::text as name`
  const missing = Object.entries(columns).flatMap(([table, wanted]) => {
    const found = rows.find(({ name }) => name === table)?.found
    return wanted.filter((column) => !found?.includes(column)).map((column) => `${table}.${column}`)
  })
  if (!written?.name) missing.push(signature)
  if (missing.length === 0) return true
  if (rows.length === 0 && !written?.name) return false
  throw new SetupError(
    `schema ${schema} has tables like the chat's, but not all of it: missing ${missing.join(', ')}. Name another by -chat-schema`,
  )
}

/**
 * Names and types are those of nodejschat, for the applications that use them. What is new: `new_message` lets one
 * transaction at a time write to a room, so that ids are committed in the order in which they were given, and whoever
 * has read up to one has missed nothing; times are UTC, whatever the session's zone is.
 */
const statements = (schema: string): string => `
  create sequence ${schema}.message_id_sequence as integer;
  create table ${schema}.sessions (
    key text not null unique,
    "user" text not null,
    room integer not null
  );
  create table ${schema}.log (
    message_id integer not null unique default nextval('${schema}.message_id_sequence'),
    room integer not null,
    "time" timestamp not null,
    "user" text not null,
    message text not null
  );
  alter sequence ${schema}.message_id_sequence owned by ${schema}.log.message_id;
  create index log_room on ${schema}.log (room, message_id);
  create function ${schema}.new_message(room integer, message_time timestamp with time zone, message_user text,
    message text) returns void language plpgsql as $$
  declare
    id integer;
  begin
    perform pg_advisory_xact_lock(${chatLockSpace}, new_message.room);
    insert into ${schema}.log (room, "time", "user", message)
    values (new_message.room, message_time at time zone 'UTC', message_user, new_message.message)
    returning message_id into id;
    perform pg_notify('nodejschat', id::text);
  end $$`

/**
 * Throws `SetupError` with the GRANTs that the role lacks for the chat. Returns statements that are not needed but would
 * make it faster.
 */
async function checkChat(sql: ISql, schema: string): Promise<string[]> {
  const name = quoteName(schema)
  const [found] = await sql<
    {
      role: string
      usable: boolean
      sessions: boolean
      reads: boolean
      writes: boolean
      calls: boolean
      sequence: string | null
      indexed: boolean
    }[]
  >`
    select current_user role, has_schema_privilege(${schema}, 'USAGE') usable,
      has_table_privilege(s.oid, 'SELECT') sessions, has_table_privilege(l.oid, 'SELECT') reads,
      p.prosecdef or has_table_privilege(l.oid, 'INSERT') writes, has_function_privilege(p.oid, 'EXECUTE') calls,
      (select q.oid::regclass::text from pg_depend d
          join pg_attrdef a on a.oid = d.objid and d.classid = 'pg_attrdef'::regclass and a.adrelid = l.oid
          join pg_class q on q.oid = d.refobjid and d.refclassid = 'pg_class'::regclass and q.relkind = 'S'
        where case when q.relkind = 'S' then not p.prosecdef and not has_sequence_privilege(q.oid, 'USAGE') end limit 1) sequence,
      exists (select from pg_index i join pg_attribute a on a.attrelid = l.oid and a.attname = 'room'
        where i.indrelid = l.oid and i.indkey[0] = a.attnum and i.indpred is null) indexed
    from pg_class s, pg_class l, pg_proc p
    where s.relnamespace = to_regnamespace(${name}) and s.relname = 'sessions'
      and l.relnamespace = s.relnamespace and l.relname = 'log'
      and p.oid = to_regprocedure(${`${name}.${signature}`})`
  if (!found)
    throw new SetupError(`schema ${schema} has not the tables of the chat; run "plenum migrate -chat"`)
  const role = quoteName(found.role)
  const grants = [
    found.usable || `USAGE ON SCHEMA ${name}`,
    found.sessions || `SELECT ON ${name}.sessions`,
    found.reads || `SELECT ON ${name}.log`,
    found.writes || `INSERT ON ${name}.log`,
    found.calls || `EXECUTE ON FUNCTION ${name}.${signature}`,
    found.sequence === null || `USAGE ON SEQUENCE ${found.sequence}`,
  ].flatMap((grant) => (grant === true ? [] : [`GRANT ${grant} TO ${role};`]))
  if (grants.length > 0)
    throw new SetupError(`rights on the chat's tables are missing; as their owner run: ${grants.join(' ')}`)
  return found.indexed ? [] : [`CREATE INDEX CONCURRENTLY ON ${name}.log (room, message_id);`]
}

/** The tables of the chat: those that a nodejschat has as well, in a schema of their own, and one in ours. */
export const chatSchema: DoorSchema<ChatConfig> = {
  migrations,
  make: async (sql, { schema }) =>
    (await migrateChat(sql, schema)) ? `the chat's tables were made in schema ${schema}` : null,
  check: (sql, { schema }) => checkChat(sql, schema),
  trial: (_tx, attempt, { schema }) =>
    attempt(
      `a line of the chat (${schema}.log)`,
      (tx) => tx`insert into ${tx(schema)}.log select * from ${tx(schema)}.log where false`,
    ),
}
