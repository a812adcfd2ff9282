import type { Migrations } from '../db/schema.ts'
import type { DoorSchema } from '../hub/door.ts'

const migrations: Migrations = {
  // What is stored of a document goes by its number, so that one which was deleted and made again is another. Its bytes are
  // kept as they came: compressed ones could not be read from the middle.
  4: `
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
  // What a document counts of those that nobody with a credential has made; null: somebody with one has.
  6: `alter table plenum.document add column quota_bytes bigint`,
}

/** The tables of the documents. */
export const documentSchema: DoorSchema = { migrations }
