import type { Socket } from 'node:net'
import { saslprep } from '@mongodb-js/saslprep'
import postgres from 'postgres'
import type { Sql } from 'postgres'
import { ConnectError, connectTo } from './connect.ts'
import type { DatabaseHost, DatabaseOptions, SessionAttrs } from './conninfo.ts'

export type PoolOptions = Readonly<{
  /** Connections at most. */
  max: number
  /** Time zone of every session; null leaves it to the connection string and the server. */
  timezone: string | null
  /** For each statement and for a transaction that does nothing. 0 is without end. */
  statementTimeoutMs?: number
  /** For each lock, in a commit too, which the limit for a statement leaves out. 0, as without it, is without end. */
  lockTimeoutMs?: number
  /** Hears of each connection that is made (1) or lost (-1). */
  onConnection?: (change: 1 | -1) => void
  /** Hears what is notified to the channels that its connections listen to. */
  onNotify?: (channel: string, payload: string) => void
}>

const defaultStatementTimeoutMs = 10_000
/** How long, against its own limit for a statement, the server may keep silent before it counts as lost. */
const silenceFactor = 1.5
const maxRetrySeconds = 1
const keepAliveSeconds = 60

/**
 * Opens a pool. It connects when it is first used, and again by itself, at most a second after a loss. What the
 * environment says is not looked at: `options` has it already.
 */
export function openPool(options: DatabaseOptions, pool: PoolOptions): Sql {
  const statementTimeoutMs = pool.statementTimeoutMs ?? defaultStatementTimeoutMs
  const parameters = sessionParameters(options, { ...pool, statementTimeoutMs })
  const watched = parameters.get('statement_timeout') === String(statementTimeoutMs) && statementTimeoutMs > 0
  const silenceMs = watched ? statementTimeoutMs * silenceFactor : null
  const library = {
    // For messages only: `socket` does the connecting.
    host: [options.hosts.map(({ host }) => host).join(',')],
    port: [options.hosts[0]?.port],
    database: options.database,
    user: options.user,
    // A function, so that the library neither shows it in `sql.options` nor looks for PGPASSWORD.
    password: (mechanism?: 'SCRAM') => passwordFor(mechanism, options.password ?? ''),
    connection: {
      application_name: options.applicationName,
      // What the server takes at the start only.
      ...(options.parameters['options'] === undefined ? {} : { options: options.parameters['options'] }),
    },
    setup: setupStatement(parameters),
    max: pool.max,
    // Not `options.connectTimeoutSeconds` alone, for 0 would let a server that says nothing block a connection.
    connect_timeout: options.connectTimeoutSeconds || defaultStatementTimeoutMs / 1000,
    idle_timeout: null,
    max_lifetime: null, // a session may hold an advisory lock
    keep_alive: keepAliveSeconds,
    max_pipeline: 100,
    backoff: (failures: number) => Math.min(0.05 * 2 ** failures, maxRetrySeconds),
    onnotice: () => {},
    onnotify: pool.onNotify,
    ssl: false,
    sslnegotiation: null,
    target_session_attrs: undefined,
    prepare: true,
    debug: false,
    fetch_types: true,
    types: { bigint: wholeNumbers },
    publications: 'alltables',
  }
  // The library's types lack `socket`, and lists of hosts.
  const open = (socket: () => Promise<Socket>, changes?: { max: number }): Sql =>
    postgres({ ...library, ...changes, socket } as unknown as postgres.Options<Record<string, never>>)
  const dial = async (place: DatabaseHost): Promise<Socket> => {
    const socket = await connectTo(place, options.tls, options.connectTimeoutSeconds)
    pool.onConnection?.(1)
    socket.once('close', () => pool.onConnection?.(-1))
    return watchSilence(socket, silenceMs)
  }
  const probe = async (place: DatabaseHost): Promise<Session> => {
    const sql = open(() => dial(place), { max: 1 })
    try {
      return await readSession(sql)
    } finally {
      await sql.end({ timeout: 1 })
    }
  }
  return open(() => dialFirst(options, dial, probe))
}

/** How long a statement may take, in milliseconds: `statement_timeout` of the connection string where that is a number. */
export function statementTimeoutMs({ parameters }: DatabaseOptions): number {
  const given = Object.entries(parameters).find(([name]) => name.toLowerCase() === 'statement_timeout')
  const ms = Number(given?.[1])
  return ms > 0 ? ms : defaultStatementTimeoutMs
}

/**
 * A password as it is sent or hashed. For SCRAM PostgreSQL and its own clients prepare it by SASLprep (RFC 4013), and take
 * it as it is where that refuses it: it may be no text at all.
 */
export function passwordFor(mechanism: 'SCRAM' | undefined, password: string): string {
  if (mechanism !== 'SCRAM') return password
  try {
    return saslprep(password) || password
  } catch {
    return password
  }
}

/** SQL's bigint as a number: ids are, and those that a number cannot hold are not rounded. */
const wholeNumbers = {
  to: 20,
  from: [20],
  serialize: String,
  parse(text: string): number {
    const number = Number(text)
    if (Number.isSafeInteger(number)) return number
    throw new UnreadableNumber('a number of the database is above 2^53, as an id cannot be')
  },
}

/** What the database holds and we cannot: it does not pass by itself. */
export class UnreadableNumber extends Error {
  readonly code = 'NUMBER_TOO_LARGE'
}

type Session = { standby: boolean; readOnly: boolean }

async function readSession(sql: Sql): Promise<Session> {
  const [session] = await sql<Session[]>`
    select pg_is_in_recovery() standby, current_setting('transaction_read_only')::boolean as "readOnly"`
  if (!session) throw new Error('the server did not say what it is')
  return session
}

/** Tries the hosts in their order, and all of them again where `prefer-standby` found no standby. */
async function dialFirst(
  { hosts, targetSessionAttrs }: DatabaseOptions,
  dial: (place: DatabaseHost) => Promise<Socket>,
  probe: (place: DatabaseHost) => Promise<Session>,
): Promise<Socket> {
  const errors: unknown[] = []
  const rounds = targetSessionAttrs === 'prefer-standby' ? (['standby', null] as const) : [targetSessionAttrs]
  for (const attrs of rounds) {
    for (const place of hosts) {
      try {
        if (attrs === null || suits(await probe(place), attrs)) return await dial(place)
        errors.push(new ConnectError('25006', `no server is ${attrs}`))
      } catch (error) {
        errors.push(error)
      }
    }
  }
  const last = errors.at(-1)
  if (errors.length === 1) throw last
  const messages = new Set(errors.map(messageOf))
  throw new ConnectError(codeOf(last) ?? 'ECONNREFUSED', [...messages].join('; '), { cause: last })
}

function suits({ standby, readOnly }: Session, attrs: SessionAttrs): boolean {
  switch (attrs) {
    case 'read-write':
      return !readOnly
    case 'read-only':
      return readOnly
    case 'primary':
      return !standby
    case 'standby':
    case 'prefer-standby':
      return standby
  }
}

/**
 * What a session has to be set to, whatever the server, the database, the role or the connection string says: settings
 * that change what values mean on the wire, and some that would end a session or a transaction for no reason of ours.
 * Those that a server does not know yet are left out.
 */
const pinned: Readonly<Record<string, string>> = {
  datestyle: 'ISO, MDY',
  intervalstyle: 'postgres',
  bytea_output: 'hex',
  extra_float_digits: '1',
  standard_conforming_strings: 'on',
  array_nulls: 'on',
  // A later snapshot in each statement: what another process has done in the meantime must be seen.
  default_transaction_isolation: 'read committed',
  // A connection of ours may be quiet, and a migration may last.
  idle_session_timeout: '0',
  transaction_timeout: '0',
  exit_on_error: 'off',
}

/** By lower-case name, for that is how the server compares them. `pinned` is not among them. */
function sessionParameters(
  { parameters }: DatabaseOptions,
  { timezone, statementTimeoutMs, lockTimeoutMs = 0 }: PoolOptions & { statementTimeoutMs: number },
): Map<string, string> {
  const limit = String(statementTimeoutMs)
  return new Map([
    ['statement_timeout', limit],
    ['lock_timeout', String(lockTimeoutMs)],
    ['idle_in_transaction_session_timeout', limit],
    ...Object.entries(parameters).map(([name, value]): [string, string] => [name.toLowerCase(), value]),
    ...(timezone === null ? [] : [['timezone', timezone] as [string, string]]),
  ])
}

/**
 * What each session begins with. Not parameters of the startup message: PgBouncer takes few of these, and a session that
 * was somebody else's before has had its own.
 */
function setupStatement(parameters: ReadonlyMap<string, string>): string {
  const wanted = Array.from(parameters).filter(([name]) => name !== 'options' && !(name in pinned))
  const set = ([name, value]: readonly [string, string]): string =>
    `pg_catalog.set_config(${literal(name)}, ${literal(value)}, false)`
  const rows = Object.entries(pinned).map(([name, value]) => `(${literal(name)}, ${literal(value)})`)
  return `select ${wanted.map(set).join(', ')};
    select pg_catalog.set_config(name, value, false) from (values ${rows.join(', ')}) pinned(name, value)
    where pg_catalog.current_setting(name, true) is not null`
}

/** A text as SQL takes it, whatever `standard_conforming_strings` is. */
const literal = (text: string): string => `E'${text.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`

/**
 * Ends a connection on which something was sent and nothing comes back for longer than the server may take. Without
 * it a machine that is gone, not down, would hold each statement for the quarter of an hour that TCP tries.
 */
function watchSilence(socket: Socket, silenceMs: number | null): Socket {
  if (silenceMs === null) return socket
  let timer: NodeJS.Timeout | null = null
  const disarm = (): void => {
    if (timer) clearTimeout(timer)
    timer = null
  }
  const write = socket.write.bind(socket) as (...args: unknown[]) => boolean
  socket.write = (...args: unknown[]): boolean => {
    timer ??= setTimeout(() => {
      socket.destroy(new ConnectError('CONNECTION_SILENT', 'the database server does not answer any more'))
    }, silenceMs)
    return write(...args)
  }
  socket.on('data', disarm)
  socket.on('close', disarm)
  return socket
}

/** Gives an error's code and message in one line, for logs: no statement, no parameters, no stack. */
export function describeError(error: unknown): string {
  const code = codeOf(error)
  const message = messageOf(error)
  return (code === null || message.includes(code) ? message : `${code}: ${message}`)
    .replace(/\s+/g, ' ')
    .trim()
}

/** The SQLSTATE of an error that PostgreSQL reported, or the code of a connection's; null where it is neither. */
export function codeOf(error: unknown): string | null {
  const code: unknown = error instanceof Error && 'code' in error ? error.code : null
  return typeof code === 'string' ? code : null
}

function messageOf(error: unknown): string {
  // A name with several addresses fails with one error for each, and no message of its own.
  if (error instanceof AggregateError && error.message === '')
    return [...new Set(error.errors.map(messageOf))].join('; ')
  if (!(error instanceof Error)) return 'an unknown error'
  return error.message || error.name
}
