import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import postgres from 'postgres'
import type { Sql } from 'postgres'
import { newKey, pgeuSchema } from '../../demo/association.ts'
import { openPostgres } from '../../demo/postgres.ts'
import type { Postgres } from '../../demo/postgres.ts'

export const templateName = 'plenum_template'

export interface Database {
  name: string
  url: string
  sql: Sql
  /** Ends `sql` and removes the database, whoever is connected to it. Tests that do not call it do no harm. */
  drop(): Promise<void>
}

export interface Fellow {
  id: number
  name: string
}

export interface MeetingOptions {
  members: Fellow[]
  admins?: Fellow[]
  name?: string
  dateandtime?: Date
  /** 0 pending, 1 open, 2 finished, 3 closed. */
  state?: 0 | 1 | 2 | 3
  /** 0 IRC, 1 web. */
  meetingtype?: 0 | 1
  /** For all, or for these. */
  allowrejoin?: boolean | Fellow[]
  /** Names of proxies by member id. */
  proxynames?: Record<number, string>
}

export interface TestMeeting {
  id: number
  keys: Map<number, string>
  keyIds: Map<number, number>
}

/** The database that tests are copied from. Its ids start apart from each other: a mix-up must not go unnoticed. */
export async function createTemplate(cluster: Postgres): Promise<void> {
  await cluster.exec('postgres', `create database ${templateName}`)
  await cluster.exec(
    templateName,
    `${pgeuSchema}
    insert into country values ('SE', 'Sweden');
    alter table auth_user alter column id restart with 101;
    alter table membership_meeting alter column id restart with 11;
    alter table membership_membermeetingkey alter column id restart with 5003;
    alter table membership_meetingmessagelog alter column id restart with 70001;`,
  )
}

/**
 * A new database with empty pgeu tables, on the cluster that the runner started or on another one; of that `encoding`
 * where one is given, and not of the cluster's.
 */
export async function createDatabase(
  clusterUrl = process.env['PLENUM_TEST_PG'],
  encoding?: string,
): Promise<Database> {
  if (!clusterUrl)
    throw new Error('PLENUM_TEST_PG is not set: run tests by node --import tsx test/run.ts [name]')
  const name = `test_${randomBytes(8).toString('hex')}`
  const kind = encoding ? `template template0 encoding '${encoding}' locale 'C'` : `template ${templateName}`
  await administer(clusterUrl, `create database ${name} ${kind}`)
  const url = urlOf(clusterUrl, name)
  if (encoding) await administer(url, `${pgeuSchema} insert into country values ('SE', 'Sweden');`)
  // Idle connections end by themselves, so that a test which forgets to drop does not keep its process alive.
  const bigint = { to: 20, from: [20], serialize: String, parse: Number }
  const sql: Sql = postgres(url, {
    max: 4,
    idle_timeout: 2,
    onnotice: () => {},
    types: { bigint },
  })
  return {
    name,
    url,
    sql,
    async drop() {
      await sql.end({ timeout: 1 })
      await administer(clusterUrl, `drop database if exists ${name} with (force)`)
    },
  }
}

/** A new role that may log in to this database, and its address for it. It may do what is granted to it, or has `attributes`. */
export async function createRole(
  { sql, url }: Pick<Database, 'sql' | 'url'>,
  attributes = '',
): Promise<{ role: string; url: string }> {
  const role = `role_${randomBytes(6).toString('hex')}`
  await sql.unsafe(`create role ${role} ${attributes} login password 'x'`)
  const address = new URL(url)
  address.username = role
  address.password = 'x'
  return { role, url: address.href }
}

/** A PostgreSQL of one's own, for tests that stop, crash or freeze it. */
export async function createCluster(
  settings: Record<string, string> = {},
): Promise<{ postgres: Postgres; createDatabase(): Promise<Database>; remove(): Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), 'plenum-test-'))
  const pristine = process.env['PLENUM_TEST_PRISTINE']
  if (pristine) await copyCluster(pristine, folder)
  const cluster = await openPostgres({ folder, durable: false, settings })
  if (!pristine) await createTemplate(cluster)
  return {
    postgres: cluster,
    createDatabase: () => createDatabase(cluster.url('postgres')),
    remove: () => cluster.remove(),
  }
}

/** Copies what a stopped PostgreSQL has in `from`: that takes a tenth of the time of making it anew. */
export async function copyCluster(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true })
  // Its files belong to the account that PostgreSQL runs as.
  await promisify(execFile)('cp', ['-a', join(from, 'data'), join(from, 'password'), to])
}

/** Makes n members and returns them. */
export async function createAssociation(sql: Sql, n: number): Promise<Fellow[]> {
  const batch = randomBytes(4).toString('hex') // user names are unique in a database
  const members = await sql<Fellow[]>`
    with users as (
      insert into auth_user (username)
      select ${`member-${batch}-`} || g from generate_series(1, ${n}) g
      returning id
    )
    insert into membership_member (user_id, fullname, country_id)
    select id, 'Member ' || id, 'SE' from users
    returning user_id as id, fullname as name`
  return [...members].sort((a, b) => a.id - b.id)
}

/** Makes a meeting with a key for each of its members: one statement, so that thousands are no burden. */
export async function createMeeting(sql: Sql, options: MeetingOptions): Promise<TestMeeting> {
  const {
    members,
    admins = [],
    name = 'Meeting',
    dateandtime = new Date(),
    state = 0,
    meetingtype = 1,
  } = options
  const { allowrejoin = false, proxynames = {} } = options
  const mayRejoin = allowrejoin === true ? members : allowrejoin || []
  const rows = members.map(({ id }) => ({
    member: id,
    key: newKey(),
    rejoin: mayRejoin.some((fellow) => fellow.id === id),
    proxy: proxynames[id] ?? null,
  }))
  const found = await sql<{ meetingId: number; keyId: number | null; memberId: number }[]>`
    with meeting as (
      insert into membership_meeting (name, dateandtime, allmembers, meetingtype, state)
      values (${name}, ${dateandtime}, true, ${meetingtype}, ${state})
      returning id
    ), admins as (
      insert into membership_meeting_meetingadmins (meeting_id, member_id)
      select meeting.id, a from meeting, unnest(${admins.map((admin) => admin.id)}::bigint[]) a
    ), keys as (
      insert into membership_membermeetingkey (key, meeting_id, member_id, proxyname, proxyaccesskey, allowrejoin)
      select k.key, meeting.id, k.member, k.proxy, case when k.proxy is not null then md5(k.key) end, k.rejoin
      from meeting, jsonb_to_recordset(${sql.json(rows)}) as k (key text, member bigint, proxy text, rejoin boolean)
      returning id, member_id
    )
    select meeting.id as "meetingId", keys.id as "keyId", keys.member_id as "memberId"
    from meeting left join keys on true`
  return {
    id: found[0]!.meetingId,
    keys: new Map(rows.map((row) => [row.member, row.key])),
    keyIds: new Map(found.flatMap((row) => (row.keyId === null ? [] : [[row.memberId, row.keyId] as const]))),
  }
}

async function administer(clusterUrl: string, statement: string): Promise<void> {
  const sql = postgres(clusterUrl, { max: 1, onnotice: () => {} })
  try {
    await sql.unsafe(statement)
  } finally {
    await sql.end({ timeout: 5 })
  }
}

function urlOf(clusterUrl: string, database: string): string {
  const url = new URL(clusterUrl)
  url.pathname = `/${database}`
  return url.href
}
