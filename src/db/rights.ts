import type { ISql } from 'postgres'
import { grantsOnSchema, quoteName, SetupError } from './schema.ts'

/** Tables of another program that a door reads or writes: never altered, and as they have to be. */
export type ForeignTables = Readonly<{
  /** Whose they are. */
  of: string
  needs: readonly Readonly<{ object: string; privilege: string; columns?: string }>[]
  /** Columns of ids, which are numbers for whoever hears of them. */
  ids: readonly (readonly [table: string, column: string])[]
  /** Columns that may have their values from a sequence, to which a right is needed as well. */
  serials: readonly (readonly [table: string, column: string])[]
}>

/**
 * Throws `SetupError` with the GRANTs that are missing on the tables of others and on our own, or with the tables that are not
 * there.
 */
export async function checkRights(sql: ISql, foreign: readonly ForeignTables[]): Promise<void> {
  const grants: string[] = []
  for (const tables of foreign) {
    grants.push(...(await missingGrants(sql, tables)))
    await checkIds(sql, tables)
    grants.push(...(await missingOnSequences(sql, tables)))
  }
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

async function missingGrants(sql: ISql, { of, needs }: ForeignTables): Promise<string[]> {
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
      `this is not the database of ${of}, or its tables are not in the search_path: missing ${[...names].join(', ')}`,
    )
  }
  return rows.flatMap(({ granted, n, role }) => {
    const need = needs[n - 1]
    if (granted || !need) return []
    return `GRANT ${need.privilege}${need.columns ? ` (${need.columns})` : ''} ON ${need.object} TO ${quoteName(role)};`
  })
}

/** Throws `SetupError` where a column of ids is not there, or is of a type that has no numbers or others than these. */
async function checkIds(sql: ISql, { ids }: ForeignTables): Promise<void> {
  const rows = await sql<{ name: string; type: string | null }[]>`
    select col.tab || '.' || col.name as name, format_type(a.atttypid, null) as type
    from unnest(${ids.map(([table]) => table)}::text[], ${ids.map(([, name]) => name)}::text[])
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

/** An identity column needs no right on its sequence; the serial column of an older Django does. */
async function missingOnSequences(sql: ISql, { serials }: ForeignTables): Promise<string[]> {
  const rows = await sql<{ sequence: string; role: string }[]>`
    select pg_get_serial_sequence(attrelid::regclass::text, attname) sequence, current_user as role
    from unnest(${serials.map(([table]) => table)}::text[], ${serials.map(([, name]) => name)}::text[]) col(tab, name)
      join pg_attribute on attrelid = to_regclass(col.tab) and attname = col.name and attidentity = ''
    where not has_sequence_privilege(pg_get_serial_sequence(attrelid::regclass::text, attname), 'USAGE')`
  return rows.map(({ sequence, role }) => `GRANT USAGE ON SEQUENCE ${sequence} TO ${quoteName(role)};`)
}
