import { createHash } from 'node:crypto'
import type { ISql } from 'postgres'
import { createWithin, type Store } from './documents.ts'

/** What the database keeps of a token in place of it. */
export const hashOf = (token: Buffer): string => createHash('sha256').update(token).digest('hex')

export type TokenDraft = Readonly<{
  token: Buffer
  document: string
  user: string
  permissions: string
  expiresAt: Date
  /** What the document is made with; null: the document may be there. */
  contents: Buffer | null
}>

/**
 * Stores a token, and makes its document where contents are given: both or nothing. False where the token is known and
 * has not expired, or the document that is to be made is there.
 */
export async function addToken({ sql, epoch }: Store, draft: TokenDraft): Promise<boolean> {
  const { document, user, permissions, contents } = draft
  const made = await sql
    .begin(async (tx) => {
      await tx`select plenum.fence(${epoch}::bigint)`
      const added = await tx`
      insert into plenum.document_token as known (hash, document, user_id, permissions, expires_at)
      values (${hashOf(draft.token)}, ${document}, ${user}, ${permissions}, ${draft.expiresAt.toISOString()}::timestamptz)
      on conflict (hash) do update set document = excluded.document, user_id = excluded.user_id,
        permissions = excluded.permissions, expires_at = excluded.expires_at
      where known.expires_at <= now()`
      if (added.count === 0) {
        await tx`
          select plenum.require_rows('plenum.document_token', count(*), 1) from plenum.document_token
          where hash = ${hashOf(draft.token)} and expires_at > now()`
        return false
      }
      if (contents === null) return true
      return await createWithin(tx, epoch, document, contents, null).then((isNew) => {
        if (!isNew) throw new NothingAdded()
        return true
      })
    })
    .catch((error: unknown) => {
      if (error instanceof NothingAdded) return false
      throw error
    })
  return made
}

/** Ends a transaction that is to change nothing. */
class NothingAdded extends Error {}

/** Changes what a user may do, by all of their tokens and by the JWTs that they have got so far. */
export async function updateUser({ sql, epoch }: Store, user: string, permissions: string): Promise<void> {
  await sql`
    with fenced as materialized (select plenum.fence(${epoch}::bigint) ok),
    tokens as (
      update plenum.document_token set permissions = ${permissions}
      where user_id = ${user} and (select ok from fenced) returning hash),
    users as (
      insert into plenum.document_user as known (id, permissions) select ${user}, ${permissions} from fenced where ok
      on conflict (id) do update set permissions = excluded.permissions, changed_at = now() returning id)
    select plenum.require_rows('plenum.document_user', (select count(*) from users), 1),
      plenum.require_rows('plenum.document_token', (select count(*) from tokens), count(*))
    from plenum.document_token where user_id = ${user}`
}

export type StoredToken = {
  hash: string
  document: string
  user: string
  permissions: string
  leftMs: number
}

/** The tokens among these that are known, expired ones too. */
export async function findTokens(sql: ISql, hashes: readonly string[]): Promise<Map<string, StoredToken>> {
  const rows = await sql<StoredToken[]>`
    select hash, document, user_id as user, permissions,
      (extract(epoch from expires_at - now()) * 1000)::float8 as "leftMs"
    from plenum.document_token where hash = any(${hashes as string[]}::text[])`
  return new Map(rows.map((row) => [row.hash, row]))
}

export type ChangedUser = { id: string; permissions: string; changedAt: number }

/** What was changed of these users' permissions, and when (seconds since 1970). */
export async function findUsers(sql: ISql, ids: readonly string[]): Promise<Map<string, ChangedUser>> {
  const rows = await sql<ChangedUser[]>`
    select id, permissions, extract(epoch from changed_at)::float8 as "changedAt"
    from plenum.document_user where id = any(${ids as string[]}::text[])`
  return new Map(rows.map((row) => [row.id, row]))
}

/** The hashes of tokens that expired so long ago, without those in `skipped`. */
export async function findExpiredTokens(
  sql: ISql,
  olderThanDays: number,
  skipped: readonly string[],
  limit: number,
): Promise<string[]> {
  const rows = await sql<{ hash: string }[]>`
    select hash from plenum.document_token
    where expires_at < now() - ${olderThanDays} * interval '1 day' and hash <> all(${skipped as string[]}::text[])
    order by expires_at limit ${limit}`
  return rows.map(({ hash }) => hash)
}

/** Deletes those of these tokens that have expired still: all or none. Returns how many. */
export async function purgeTokens({ sql, epoch }: Store, hashes: readonly string[]): Promise<number> {
  const [row] = await sql<{ tokens: number }[]>`
    with fenced as materialized (select plenum.fence(${epoch}::bigint) ok),
    gone as (
      delete from plenum.document_token
      where hash = any(${hashes as string[]}::text[]) and expires_at < now() and (select ok from fenced)
      returning hash),
    found as materialized (
      select plenum.require_rows('plenum.document_token', (select count(*) from gone), count(*))
      from plenum.document_token where hash = any(${hashes as string[]}::text[]) and expires_at < now())
    select count(gone.*)::int tokens from found left join gone on true`
  return row?.tokens ?? 0
}
