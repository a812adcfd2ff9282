import type { Sql } from 'postgres'
import { codeOf } from './pool.ts'

/** The namespace of Plenum's advisory locks: the first of the two integers that name one ("Plen"). */
export const lockSpace = 0x506c656e

/** The second integer. `meetings` is held by the process that serves them, `meetingsFence` around each of its writes. */
export const locks = { migration: 0, meetings: 1, meetingsFence: 2 } as const

/** SQLSTATE that `plenum.fence` raises when another process has become the one that serves the meetings. */
export const fencedState = 'PL001'

/** SQLSTATE that `plenum.fence` raises when the meeting has been read anew since the write was decided. */
export const outdatedState = 'PL002'

/** SQLSTATE that `plenum.require_rows` raises when fewer rows were stored than were to be: a refusal like any other. */
export const leftOutState = 'PL003'

/**
 * SQL that makes or changes tables in schema `plenum`, by the version of the schema that it leads to. Versions are counted over
 * all doors; what has been released stays as it is, and what is new has the next number.
 */
export type Migrations = Readonly<Record<number, string>>

export const ownMigrations: Migrations = {
  1: `
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
  end $$`,
  // A trigger or policy of the site may leave out rows without an error. What is not stored must not be told, so that each
  // write says how many rows it wants.
  8: `
  create function plenum.require_rows(table_name text, stored bigint, wanted bigint) returns boolean
  language plpgsql volatile as $$
  begin
    if stored < wanted then
      raise exception '%: a trigger or policy has left out rows, % of % are stored', table_name, stored, wanted
        using errcode = '${leftOutState}', table = table_name;
    end if;
    return true;
  end $$`,
}

/** What the operator has to do before Plenum can run on this database; `message` says it in full, alternatives in lines of their own. */
export class SetupError extends Error {}

/**
 * Brings schema `plenum` up to date, under an advisory lock, so that several processes may start at once: what is for all, and
 * what the doors want. Returns how many steps were done. Throws `SetupError` where the role may not.
 */
export async function migrate(sql: Sql, ofDoors: readonly Migrations[] = []): Promise<number> {
  const steps = inOrder([ownMigrations, ...ofDoors])
  const latest = steps.at(-1)?.version ?? 0
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
      const rows = await tx<{ version: number }[]>`select version from plenum.migration`
      const done = new Set(rows.map(({ version }) => version))
      const version = Math.max(0, ...done)
      if (version > latest)
        throw new SetupError(
          `schema plenum is at version ${version}, newer than the ${latest} this Plenum knows; run the newer Plenum`,
        )
      const missing = steps.filter(({ version }) => !done.has(version))
      for (const { version, statements } of missing) {
        for (const text of statements) await tx.unsafe(text)
        await tx`insert into plenum.migration (version) values (${version})`
      }
      return missing.length
    })
  } catch (error) {
    if (codeOf(error) !== '42501') throw error
    throw new SetupError(
      `the role ${who.role} may not write Plenum's schema; run "plenum migrate" as the role that owns it, and then as that role: ${grantsOnSchema(role)}`,
    )
  }
}

/** The steps by version; of one version those of the doors behind our own. */
export function inOrder(migrations: readonly Migrations[]): { version: number; statements: string[] }[] {
  const versions = new Set(migrations.flatMap((steps) => Object.keys(steps).map(Number)))
  return Array.from(versions)
    .sort((one, other) => one - other)
    .map((version) => ({ version, statements: migrations.flatMap((steps) => steps[version] ?? []) }))
}

export function grantsOnSchema(role: string): string {
  return `GRANT USAGE ON SCHEMA plenum TO ${role}; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA plenum TO ${role}; ALTER DEFAULT PRIVILEGES IN SCHEMA plenum GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO ${role};`
}

/** A name as SQL takes it whatever it is. */
export const quoteName = (name: string): string => `"${name.replaceAll('"', '""')}"`
