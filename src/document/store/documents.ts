import type { ISql, Sql } from 'postgres'
import type { Key } from '../protocol.ts'

/** The documents' tables; writes name the lease's epoch, so that they fail once another process has taken over. */
export type Store = Readonly<{ sql: Sql; epoch: string }>

/** A document as it is stored, but for its bytes. `counted`: its bytes count for the quota. */
export type StoredDocument = { number: string; length: number; counted: boolean; keys: Key[] }

const hex = (bytes: Buffer): string => bytes.toString('hex')

/** Bytes are stored in parts of at most this length: as a parameter each is a text twice as long, made in one go. */
const partBytes = 1024 * 1024

/** Makes a document, which counts so much for the quota, or null, not at all; false where there is one of this id. */
export async function createDocument(
  { sql, epoch }: Store,
  id: string,
  data: Buffer,
  quotaBytes: number | null,
): Promise<boolean> {
  if (data.length <= partBytes) return await createWithin(sql, epoch, id, data, quotaBytes)
  return await sql.begin((tx) => createWithin(tx, epoch, id, data, quotaBytes))
}

/** The same as a part of a transaction, where the data is long. */
export async function createWithin(
  sql: ISql,
  epoch: string,
  id: string,
  data: Buffer,
  quotaBytes: number | null,
): Promise<boolean> {
  const part = data.subarray(0, partBytes)
  const [row] = await sql<{ number: string }[]>`
    with fenced as materialized (select plenum.fence(${epoch}::bigint) ok),
    made as (
      insert into plenum.document (id, length, quota_bytes)
      select ${id}, ${data.length}::bigint, ${quotaBytes}::bigint from fenced where ok
      on conflict (id) do nothing returning number),
    part as (
      insert into plenum.document_part (document, at, data)
      select number, 0, ${part}::bytea from made where ${data.length}::bigint > 0 returning at)
    select number::text from made
    where plenum.require_rows('plenum.document_part', (select count(*) from part), ${Number(data.length > 0)})`
  if (row) await writeParts(sql, row.number, 0, data)
  // There is one, or nothing has been made.
  else
    await sql`
      select plenum.require_rows('plenum.document', count(*), 1) from plenum.document where id = ${id}`
  return row !== undefined
}

/** Stores what comes behind the first part of `data`, which begins at `at`. */
async function writeParts(sql: ISql, number: string, at: number, data: Buffer): Promise<void> {
  for (let from = partBytes; from < data.length; from += partBytes)
    await sql`
      with part as (
        insert into plenum.document_part (document, at, data)
        values (${number}::bigint, ${at + from}::bigint, ${data.subarray(from, from + partBytes)}::bytea) returning at)
      select plenum.require_rows('plenum.document_part', count(*), 1) from part`
}

/** Reads a document that is opened, which is an access; null where there is none. */
export async function openDocument({ sql, epoch }: Store, id: string): Promise<StoredDocument | null> {
  const [row] = await sql<
    { number: string; length: string; counted: boolean }[] | { number: null; length: null; counted: null }[]
  >`
    with fenced as materialized (select plenum.fence(${epoch}::bigint) ok),
    opened as (
      update plenum.document set accessed_at = now() where id = ${id} and (select ok from fenced)
      returning number::text, length::text, quota_bytes is not null counted),
    found as materialized (
      select plenum.require_rows('plenum.document', (select count(*) from opened), count(*))
      from plenum.document where id = ${id})
    select opened.* from found left join opened on true`
  if (!row || row.number === null) return null
  const { number } = row
  const keys = await sql<{ name: Buffer; value: Buffer; version: string }[]>`
    select name, value, version::text from plenum.document_key where document = ${number}::bigint order by name`
  return {
    number,
    length: Number(row.length),
    counted: row.counted,
    keys: keys.map(({ name, value, version }) => ({ name, value, version: Number(version) })),
  }
}

/** How long a document is; null where there is none. */
export async function findDocument(
  sql: ISql,
  id: string,
): Promise<{ number: string; length: number } | null> {
  const [row] = await sql<{ number: string; length: string }[]>`
    select number::text, length::text from plenum.document where id = ${id}`
  return row ? { number: row.number, length: Number(row.length) } : null
}

type Change = { length: number; data: Buffer; keys: readonly Key[]; quotaBytes: number }

/**
 * Stores what was accepted, in one commit: bytes at the document's end, where `length` is that, and keys. False: the
 * document is not there any more, or is not as long as that. `quotaBytes`: how much more it counts, if it does.
 */
export async function writeDocument({ sql, epoch }: Store, number: string, change: Change): Promise<boolean> {
  if (change.data.length <= partBytes) return await writeWithin(sql, epoch, number, change)
  return await sql.begin((tx) => writeWithin(tx, epoch, number, change))
}

async function writeWithin(
  sql: ISql,
  epoch: string,
  number: string,
  { length, data, keys, quotaBytes }: Change,
): Promise<boolean> {
  const part = data.subarray(0, partBytes)
  const [row] = await sql<{ done: boolean }[]>`
    with fenced as materialized (select plenum.fence(${epoch}::bigint) ok),
    grown as (
      update plenum.document set length = length + ${data.length}::bigint, quota_bytes = quota_bytes + ${quotaBytes}::bigint
      where number = ${number}::bigint and length = ${length}::bigint and (select ok from fenced) returning number),
    part as (
      insert into plenum.document_part (document, at, data)
      select number, ${length}::bigint, ${part}::bytea from grown where ${data.length}::bigint > 0 returning at),
    keys as (
      insert into plenum.document_key (document, name, value, version)
      select number, decode(key.name, 'hex'), decode(key.value, 'hex'), key.version
      from grown, unnest(${keys.map(({ name }) => hex(name))}::text[], ${keys.map(({ value }) => hex(value))}::text[],
        ${keys.map(({ version }) => version)}::bigint[]) key(name, value, version)
      on conflict (document, name) do update set value = excluded.value, version = excluded.version returning name)
    select
      plenum.require_rows('plenum.document_part', (select count(*) from part), ${Number(data.length > 0)})
      and plenum.require_rows('plenum.document_key', (select count(*) from keys), ${keys.length}) done
    from grown`
  if (row) await writeParts(sql, number, length, data)
  // It has changed or is gone, or its row was left as it is.
  else
    await sql`
      select plenum.require_rows('plenum.document', 0, count(*)) from plenum.document
      where number = ${number}::bigint and length = ${length}::bigint`
  return row !== undefined
}

/** Reads the bytes from `from` up to `to`; fewer where the document ends before. */
export async function readBytes(sql: ISql, number: string, from: number, to: number): Promise<Buffer> {
  const [row] = await sql<{ data: Buffer | null }[]>`
    select string_agg(
      substring(data from (greatest(${from}::bigint - at, 0) + 1)::int
        for (${to}::bigint - greatest(${from}::bigint, at))::int), ''::bytea order by at) data
    from plenum.document_part
    where document = ${number}::bigint and at < ${to}::bigint and at >= coalesce(
      (select max(at) from plenum.document_part where document = ${number}::bigint and at <= ${from}::bigint), 0)`
  return row?.data ?? Buffer.alloc(0)
}

/** What the documents count in all for the quota. */
export async function countQuota(sql: ISql): Promise<number> {
  const [row] = await sql<
    { bytes: string }[]
  >`select coalesce(sum(quota_bytes), 0)::text bytes from plenum.document`
  return Number(row?.bytes ?? 0)
}

/** Deletes a document with all that belongs to it; it need not be there. Returns what it counted for the quota. */
export async function deleteDocument({ sql, epoch }: Store, id: string): Promise<number> {
  const [row] = await sql<{ freed: string | null }[]>`
    with fenced as materialized (select plenum.fence(${epoch}::bigint) ok),
    gone as (
      delete from plenum.document where id = ${id} and (select ok from fenced)
      returning coalesce(quota_bytes, 0)::text freed),
    found as materialized (
      select plenum.require_rows('plenum.document', (select count(*) from gone), count(*))
      from plenum.document where id = ${id})
    select freed from found left join gone on true`
  return Number(row?.freed ?? 0)
}

/** These documents are being used. */
export async function touchDocuments({ sql, epoch }: Store, numbers: readonly string[]): Promise<void> {
  await sql`
    with fenced as materialized (select plenum.fence(${epoch}::bigint) ok),
    touched as (
      update plenum.document set accessed_at = now()
      where number = any(${numbers as string[]}::bigint[]) and (select ok from fenced) returning number)
    select plenum.require_rows('plenum.document', (select count(*) from touched), count(*))
    from plenum.document where number = any(${numbers as string[]}::bigint[])`
}

/** What is to be deleted once it is old: how old, and which it is not to be, by number or id or hash. */
type Expiry = Readonly<{ olderThanMs: number; used: readonly string[] }>

const isExpired = (sql: ISql, { olderThanMs, used }: Expiry) => sql`
  accessed_at < now() - ${olderThanMs} * interval '1 ms' and id <> all(${used as string[]}::text[])`

/** The numbers of documents that nobody has used for so long, the oldest first, without those in `skipped`. */
export async function findExpiredDocuments(
  sql: ISql,
  expiry: Expiry,
  skipped: readonly string[],
  limit: number,
): Promise<string[]> {
  const rows = await sql<{ number: string }[]>`
    select number::text from plenum.document
    where ${isExpired(sql, expiry)} and number <> all(${skipped as string[]}::bigint[])
    order by accessed_at limit ${limit}`
  return rows.map(({ number }) => number)
}

/** Deletes those of these documents that have expired still: all or none. Returns how many, and what they counted. */
export async function purgeDocuments(
  { sql, epoch }: Store,
  numbers: readonly string[],
  expiry: Expiry,
): Promise<{ documents: number; freed: number }> {
  const [row] = await sql<{ documents: number; freed: string }[]>`
    with fenced as materialized (select plenum.fence(${epoch}::bigint) ok),
    gone as (
      delete from plenum.document
      where number = any(${numbers as string[]}::bigint[]) and ${isExpired(sql, expiry)} and (select ok from fenced)
      returning quota_bytes),
    found as materialized (
      select plenum.require_rows('plenum.document', (select count(*) from gone), count(*)) from plenum.document
      where number = any(${numbers as string[]}::bigint[]) and ${isExpired(sql, expiry)})
    select count(gone.*)::int documents, coalesce(sum(quota_bytes), 0)::text freed from found left join gone on true`
  return { documents: row?.documents ?? 0, freed: Number(row?.freed ?? 0) }
}
