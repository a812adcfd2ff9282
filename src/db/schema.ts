import type { ISql, Sql } from 'postgres'
import { codeOf } from './pool.ts'

/** The namespace of Plenum's advisory locks: the first of the two integers that name one ("Plen"). */
export const lockSpace = 0x506c656e
/** That of the locks around the writes of one meeting: the second integer is the meeting's id. */
const meetingLockSpace = lockSpace + 1
/** That of the locks around new lines of one chat room: the second integer is the room. */
export const chatLockSpace = lockSpace + 2

/** The second integer. `meetings` is held by the process that serves them, `meetingsFence` around each of its writes. */
export const locks = { migration: 0, meetings: 1, meetingsFence: 2 } as const

/** SQLSTATE that `plenum.fence` raises when another process has become the one that serves the meetings. */
export const fencedState = 'PL001'

/** SQLSTATE that `plenum.fence` raises when the meeting has been read anew since the write was decided. */
export const outdatedState = 'PL002'

/** SQLSTATE that `plenum.require_rows` raises when fewer rows were stored than were to be: a refusal like any other. */
export const leftOutState = 'PL003'

// The pgeu tables are not referenced: a foreign key would put triggers on tables that belong to the site, and stop it
// from deleting a meeting.
const migrations = [
  `
  create table plenum.lease (
    door text primary key,
    epoch bigint not null
  );
  create function plenum.fence(expected bigint) returns boolean language plpgsql volatile as $$
  begin
    -- Whoever takes over raises the epoch under the exclusive form of this lock: it waits for the writes that are
    -- under way, and all later ones of the old holder fail here.
    perform pg_advisory_xact_lock_shared(${lockSpace}, ${locks.meetingsFence});
    if not exists (select from plenum.lease where door = 'meetings' and epoch = expected) then
      raise exception 'another Plenum process serves the meetings now' using errcode = '${fencedState}';
    end if;
    return true;
  end $$;
  create table plenum.attendance (
    meeting_id integer not null,
    member_id integer not null,
    entered_at timestamptz not null default now(),
    left_at timestamptz,
    primary key (meeting_id, member_id)
  );
  create index attendance_present on plenum.attendance (meeting_id) where left_at is null;
  create table plenum.ban (
    meeting_id integer not null,
    member_id integer not null,
    banned_by integer not null,
    banned_at timestamptz not null default now(),
    primary key (meeting_id, member_id)
  );
  create table plenum.poll (
    id integer generated always as identity primary key,
    meeting_id integer not null,
    question text not null,
    answers text[] not null,
    opened_by integer not null,
    opened_at timestamptz not null default now(),
    closes_at timestamptz not null,
    ended_at timestamptz,
    ending text check (ending in ('voted', 'time', 'finished', 'aborted')),
    check ((ended_at is null) = (ending is null))
  );
  create unique index poll_under_way on plenum.poll (meeting_id) where ended_at is null;
  create index poll_meeting on plenum.poll (meeting_id, ended_at);
  create table plenum.vote (
    poll_id integer not null references plenum.poll on delete cascade,
    member_id integer not null,
    answer integer not null,
    cast_at timestamptz not null default now(),
    primary key (poll_id, member_id)
  )`,
  // A write whose connection is lost may still wait in the database, or not even have been read there. Whoever reads the
  // meeting anew waits for the former here, and the latter names a reading that is not the last one any more. That is
  // kept among the leases, so that a role which does not own the schema needs no right that it did not need before.
  `
  create function plenum.fence(expected bigint, meeting integer, reading bigint) returns boolean
  language plpgsql volatile as $$
  begin
    perform plenum.fence(expected);
    perform pg_advisory_xact_lock(${meetingLockSpace}, meeting);
    if not exists (select from plenum.lease where door = 'meeting ' || meeting and epoch = reading) then
      raise exception 'the meeting has been read anew since' using errcode = '${outdatedState}';
    end if;
    return true;
  end $$;
  create function plenum.begin_reading(expected bigint, meeting integer) returns bigint
  language plpgsql volatile as $$
  declare
    reading bigint;
  begin
    perform plenum.fence(expected);
    perform pg_advisory_xact_lock(${meetingLockSpace}, meeting);
    insert into plenum.lease as known (door, epoch) values ('meeting ' || meeting, 1)
      on conflict (door) do update set epoch = known.epoch + 1
      returning known.epoch into reading;
    return reading;
  end $$`,
  `
  create table plenum.command (
    meeting_id integer not null,
    member_id integer not null,
    id text not null,
    done_at timestamptz not null default now(),
    primary key (meeting_id, member_id, id)
  )`,
  // What is stored of a document goes by its number, so that one which was deleted and made again is another. Its bytes are
  // kept as they came: compressed ones could not be read from the middle.
  `
  create table plenum.document (
    number bigint generated always as identity primary key,
    id text not null unique,
    length bigint not null,
    accessed_at timestamptz not null default now()
  ) with (fillfactor = 80);
  create index document_accessed on plenum.document (accessed_at);
  create table plenum.document_part (
    document bigint not null references plenum.document on delete cascade,
    at bigint not null,
    data bytea not null,
    primary key (document, at)
  );
  alter table plenum.document_part alter column data set storage external;
  create table plenum.document_key (
    document bigint not null references plenum.document on delete cascade,
    name bytea not null,
    value bytea not null,
    version bigint not null,
    primary key (document, name)
  );
  create table plenum.document_token (
    hash text primary key,
    document text not null,
    user_id text not null,
    permissions text not null,
    expires_at timestamptz not null
  );
  create index document_token_user on plenum.document_token (user_id);
  create index document_token_expires on plenum.document_token (expires_at);
  create table plenum.document_user (
    id text primary key,
    permissions text not null,
    changed_at timestamptz not null default now()
  );
  create table plenum.document_session (
    document bigint primary key references plenum.document on delete cascade,
    due_at timestamptz,
    failures integer not null default 0
  );
  create index document_session_due on plenum.document_session (due_at)`,
  // Lines of the chat that were stored with an id of their client's, so that one which comes again is known.
  `
  create table plenum.chat_command (
    room integer not null,
    id text not null,
    done_at timestamptz not null default now(),
    primary key (room, id)
  );
  create index chat_command_done on plenum.chat_command (done_at)`,
  // What a document counts of those that nobody with a credential has made; null: somebody with one has.
  `alter table plenum.document add column quota_bytes bigint`,
  // The site's ids may be bigint. A process of an older version goes on with the functions that it knows.
  `
  alter table plenum.attendance alter meeting_id type bigint, alter member_id type bigint;
  alter table plenum.ban alter meeting_id type bigint, alter member_id type bigint, alter banned_by type bigint;
  alter table plenum.poll alter meeting_id type bigint, alter opened_by type bigint;
  alter table plenum.vote alter member_id type bigint;
  alter table plenum.command alter meeting_id type bigint, alter member_id type bigint;
  create function plenum.fence(expected bigint, meeting bigint, reading bigint) returns boolean
  language plpgsql volatile as $$
  begin
    perform plenum.fence(expected);
    -- Of two meetings with one lock the one waits for the other's commit, no more.
    perform pg_advisory_xact_lock(${meetingLockSpace}, (meeting % 2147483648)::integer);
    if not exists (select from plenum.lease where door = 'meeting ' || meeting and epoch = reading) then
      raise exception 'the meeting has been read anew since' using errcode = '${outdatedState}';
    end if;
    return true;
  end $$;
  create function plenum.begin_reading(expected bigint, meeting bigint) returns bigint
  language plpgsql volatile as $$
  declare
    reading bigint;
  begin
    perform plenum.fence(expected);
    perform pg_advisory_xact_lock(${meetingLockSpace}, (meeting % 2147483648)::integer);
    insert into plenum.lease as known (door, epoch) values ('meeting ' || meeting, 1)
      on conflict (door) do update set epoch = known.epoch + 1
      returning known.epoch into reading;
    return reading;
  end $$`,
  // A trigger or policy of the site may leave out rows without an error. What is not stored must not be told, so that each
  // write says how many rows it wants.
  `
  create function plenum.require_rows(table_name text, stored bigint, wanted bigint) returns boolean
  language plpgsql volatile as $$
  begin
    if stored < wanted then
      raise exception '%: a trigger or policy has left out rows, % of % are stored', table_name, stored, wanted
        using errcode = '${leftOutState}', table = table_name;
    end if;
    return true;
  end $$`,
]

/** What the operator has to do before Plenum can run on this database; `message` says it in full, alternatives in lines of their own. */
export class SetupError extends Error {}

/**
 * Brings schema `plenum` up to date, under an advisory lock, so that several processes may start at once.
 * Returns how many steps were done. Throws `SetupError` where the role may not.
 */
export async function migrate(sql: Sql): Promise<number> {
  const [who] = await sql<
    { role: string; database: string; exists: boolean; may_create: boolean; may_use: boolean }[]
  >`
    select current_user role, current_database() database, n.oid is not null as exists,
      has_database_privilege(current_database(), 'CREATE') may_create,
      coalesce(has_schema_privilege(n.oid, 'USAGE'), false) may_use
    from (values (1)) one left join pg_namespace n on n.nspname = 'plenum'`
  if (!who) throw new Error('the database did not say who we are')
  const role = quoteName(who.role)
  if (!who.exists && !who.may_create)
    throw new SetupError(
      `the role ${who.role} may not create Plenum's schema; as the database's owner run one of these:\n  CREATE SCHEMA plenum AUTHORIZATION ${role};\n  GRANT CREATE ON DATABASE ${quoteName(who.database)} TO ${role};`,
    )
  if (who.exists && !who.may_use)
    throw new SetupError(
      `the role ${who.role} may not use Plenum's schema; as its owner run: ${grantsOnSchema(role)}`,
    )
  try {
    return await sql.begin(async (tx) => {
      await tx`select pg_advisory_xact_lock(${lockSpace}, ${locks.migration})`
      const [there] = await tx<{ schema: boolean; migration: boolean }[]>`
        select to_regnamespace('plenum') is not null as schema,
          to_regclass('plenum.migration') is not null migration`
      if (!there?.schema) await tx`create schema plenum`
      if (!there?.migration)
        await tx`
          create table plenum.migration (
            version integer primary key, applied_at timestamptz not null default now())`
      const [done] = await tx<{ version: number }[]>`
        select coalesce(max(version), 0)::int as version from plenum.migration`
      const version = done?.version ?? 0
      if (version > migrations.length)
        throw new SetupError(
          `schema plenum is at version ${version}, newer than the ${migrations.length} this Plenum knows; run the newer Plenum`,
        )
      for (const [index, statements] of migrations.entries()) {
        if (index < version) continue
        await tx.unsafe(statements)
        await tx`insert into plenum.migration (version) values (${index + 1})`
      }
      return migrations.length - version
    })
  } catch (error) {
    if (codeOf(error) !== '42501') throw error
    throw new SetupError(
      `the role ${who.role} may not write Plenum's schema; run "plenum migrate" as the role that owns it, and then as that role: ${grantsOnSchema(role)}`,
    )
  }
}

function grantsOnSchema(role: string): string {
  return `GRANT USAGE ON SCHEMA plenum TO ${role}; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA plenum TO ${role}; ALTER DEFAULT PRIVILEGES IN SCHEMA plenum GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO ${role};`
}

type Need = { object: string; privilege: string; columns?: string }

const needs: Need[] = [
  ...[
    'membership_meeting',
    'membership_member',
    'membership_meeting_meetingadmins',
    'membership_membermeetingkey',
    'membership_meetingmessagelog',
  ].map((object) => ({ object, privilege: 'SELECT' })),
  { object: 'membership_meeting', privilege: 'UPDATE', columns: 'state' },
  { object: 'membership_membermeetingkey', privilege: 'UPDATE', columns: 'allowrejoin' },
  { object: 'membership_meetingmessagelog', privilege: 'INSERT' },
]

/** Throws `SetupError` with the GRANTs that are missing on the site's tables, or with the tables that are not there. */
export async function checkRights(sql: ISql): Promise<void> {
  const rows = await sql<{ n: number; role: string; there: boolean; granted: boolean | null }[]>`
    select n::int, current_user as role, to_regclass(object) is not null as there,
      case when columns <> '' then has_column_privilege(to_regclass(object), columns, privilege)
        else has_table_privilege(to_regclass(object), privilege) end as granted
    from unnest(${needs.map((need) => need.object)}::text[], ${needs.map((need) => need.privilege)}::text[],
      ${needs.map((need) => need.columns ?? '')}::text[]) with ordinality need(object, privilege, columns, n)
    order by n`
  const missing = rows.filter(({ there }) => !there)
  if (missing.length > 0) {
    const names = new Set(missing.map(({ n }) => needs[n - 1]?.object))
    throw new SetupError(
      `this is not the database of pgeu-system, or its tables are not in the search_path: missing ${[...names].join(', ')}`,
    )
  }
  const grants = rows
    .filter(({ granted }) => !granted)
    .map(({ n, role }) => {
      const need = needs[n - 1] as Need
      return `GRANT ${need.privilege}${need.columns ? ` (${need.columns})` : ''} ON ${need.object} TO ${quoteName(role)};`
    })
  await checkIds(sql)
  // An identity column needs no right on its sequence; the serial column of an older Django does.
  const [serial] = await sql<{ sequence: string; role: string }[]>`
    select pg_get_serial_sequence(attrelid::regclass::text, attname) sequence, current_user as role
    from pg_attribute
    where attrelid = to_regclass('membership_meetingmessagelog') and attname = 'id' and attidentity = ''
      and not has_sequence_privilege(pg_get_serial_sequence(attrelid::regclass::text, attname), 'USAGE')`
  if (serial) grants.push(`GRANT USAGE ON SEQUENCE ${serial.sequence} TO ${quoteName(serial.role)};`)
  const [closed] = await sql<{ role: string }[]>`
    select current_user as role from pg_class
    where relnamespace = to_regnamespace('plenum') and relkind = 'r'
      and not (has_table_privilege(oid, 'SELECT') and has_table_privilege(oid, 'INSERT')
        and has_table_privilege(oid, 'UPDATE') and has_table_privilege(oid, 'DELETE'))`
  if (closed)
    throw new SetupError(
      `rights on Plenum's own tables are missing; as their owner run: ${grantsOnSchema(quoteName(closed.role))}`,
    )
  if (grants.length > 0)
    throw new SetupError(`rights are missing; as the owner of the site's tables run: ${grants.join(' ')}`)
}

/** The ids of the site's tables, which are numbers for whoever hears of them. */
const idColumns = [
  ['membership_meeting', 'id'],
  ['membership_member', 'user_id'],
  ['membership_meeting_meetingadmins', 'meeting_id'],
  ['membership_meeting_meetingadmins', 'member_id'],
  ['membership_membermeetingkey', 'id'],
  ['membership_membermeetingkey', 'meeting_id'],
  ['membership_membermeetingkey', 'member_id'],
  ['membership_meetingmessagelog', 'id'],
  ['membership_meetingmessagelog', 'meeting_id'],
  ['membership_meetingmessagelog', 'sender_id'],
] as const

/** Throws `SetupError` where a column of ids is not there, or is of a type that has no numbers or others than these. */
async function checkIds(sql: ISql): Promise<void> {
  const rows = await sql<{ name: string; type: string | null }[]>`
    select col.tab || '.' || col.name as name, format_type(a.atttypid, null) as type
    from unnest(${idColumns.map(([table]) => table)}::text[], ${idColumns.map(([, name]) => name)}::text[])
        col(tab, name)
      left join pg_attribute a on a.attrelid = to_regclass(col.tab) and a.attname = col.name and not a.attisdropped`
  const wrong = rows.filter(({ type }) => type === null || !['smallint', 'integer', 'bigint'].includes(type))
  if (wrong.length === 0) return
  const list = wrong.map(({ name, type }) =>
    type === null ? `${name} is missing` : `${name} is of type ${type}`,
  )
  throw new SetupError(
    `ids of the site have to be smallint, integer or bigint: ${list.join(', ')}; this Plenum cannot work with that`,
  )
}

/** A name as SQL takes it whatever it is. */
export const quoteName = (name: string): string => `"${name.replaceAll('"', '""')}"`
