import type { ISql } from 'postgres'
import type { Store } from './documents.ts'

/** A document whose application is to hear that nobody uses it. */
export type IdleSession = { number: string; id: string; failures: number; dueAt: string }

const idleMs = 10_000

/** Remembers which documents are being used, and since when the others are not. */
export async function writeSessions(
  { sql, epoch }: Store,
  { used, idle }: { used: readonly string[]; idle: readonly string[] },
): Promise<void> {
  await sql`
    with fenced as materialized (select plenum.fence(${epoch}::bigint) ok),
    stored as (
      insert into plenum.document_session (document, due_at)
      select number, case when number = any(${idle as string[]}::bigint[]) then now() + ${idleMs} * interval '1 ms' end
      from plenum.document, fenced
      where ok and number = any(${[...used, ...idle]}::bigint[])
      on conflict (document) do update set due_at = excluded.due_at, failures = 0 returning document)
    select plenum.require_rows('plenum.document_session', (select count(*) from stored), count(*))
    from plenum.document where number = any(${[...used, ...idle]}::bigint[])`
}

/** The numbers of documents that are being used, as far as is stored. */
export async function findUsedSessions(sql: ISql): Promise<string[]> {
  const rows = await sql<{ number: string }[]>`
    select document::text as number from plenum.document_session where due_at is null`
  return rows.map(({ number }) => number)
}

/** All who used these documents when the last process ended have lost their connections. */
export async function endSessions({ sql, epoch }: Store, numbers: readonly string[]): Promise<void> {
  await sql`
    with fenced as materialized (select plenum.fence(${epoch}::bigint) ok),
    ended as (
      update plenum.document_session set due_at = now() + ${idleMs} * interval '1 ms'
      where document = any(${numbers as string[]}::bigint[]) and due_at is null and (select ok from fenced)
      returning document)
    select plenum.require_rows('plenum.document_session', (select count(*) from ended), count(*))
    from plenum.document_session where document = any(${numbers as string[]}::bigint[]) and due_at is null`
}

/** The documents whose application is to be called now, without those in `skipped`. */
export async function findIdleSessions(
  sql: ISql,
  skipped: readonly string[],
  limit: number,
): Promise<IdleSession[]> {
  return await sql<IdleSession[]>`
    select d.number::text, d.id, s.failures, s.due_at::text as "dueAt"
    from plenum.document_session s join plenum.document d on d.number = s.document
    where s.due_at <= now() and d.number <> all(${skipped as string[]}::bigint[]) order by s.due_at limit ${limit}`
}

/**
 * Takes note of what became of a call, unless the document has been used since. `retryMs` null: there is no other. The time
 * goes as text: of a time the driver would drop the microseconds.
 */
export async function finishSession(
  { sql, epoch }: Store,
  { number, dueAt }: IdleSession,
  retryMs: number | null,
): Promise<void> {
  const isThis = sql`document = ${number}::bigint and due_at = ${dueAt}::text::timestamptz`
  const noted =
    retryMs === null
      ? sql`delete from plenum.document_session where ${isThis} and (select ok from fenced) returning document`
      : sql`
        update plenum.document_session set due_at = now() + ${retryMs} * interval '1 ms', failures = failures + 1
        where ${isThis} and (select ok from fenced) returning document`
  await sql`
    with fenced as materialized (select plenum.fence(${epoch}::bigint) ok), noted as (${noted})
    select plenum.require_rows('plenum.document_session', (select count(*) from noted), count(*))
    from plenum.document_session where ${isThis}`
}
