import { findPassword } from './passfile.ts'
import { describePlace, isSocket } from './place.ts'
import type { DatabaseHost, Env, Host, Settings } from './place.ts'
import { readTls } from './tls.ts'
import type { Tls } from './tls.ts'

export type { DatabaseHost, Env, Host, Tls }

export type SessionAttrs = (typeof sessionAttrs)[number]

export type DatabaseOptions = Readonly<{
  /** Tried in this order for each new connection. Never empty. */
  hosts: readonly DatabaseHost[]
  database: string
  user: string
  password: string | null
  /** Means the hosts on TCP: a Unix socket never uses TLS. */
  tls: Tls
  /** For each host. 0 is without end. */
  connectTimeoutSeconds: number
  applicationName: string
  targetSessionAttrs: SessionAttrs | null
  /** Run-time parameters of every session, for example `search_path`. */
  parameters: Readonly<Record<string, string>>
}>

/** Where no host is given. */
const defaultSocketFolder = '/var/run/postgresql'
const defaultPort = '5432'
const defaultConnectTimeoutSeconds = 10

const sessionAttrs = ['read-write', 'read-only', 'primary', 'standby', 'prefer-standby'] as const

const environment: readonly (readonly [variable: string, keyword: string])[] = [
  ['PGHOST', 'host'],
  ['PGPORT', 'port'],
  ['PGDATABASE', 'dbname'],
  ['PGUSER', 'user'],
  ['PGPASSWORD', 'password'],
  ['PGPASSFILE', 'passfile'],
  ['PGSSLMODE', 'sslmode'],
  ['PGSSLROOTCERT', 'sslrootcert'],
  ['PGSSLCERT', 'sslcert'],
  ['PGSSLKEY', 'sslkey'],
  ['PGCONNECT_TIMEOUT', 'connect_timeout'],
  ['PGAPPNAME', 'application_name'],
  ['PGTARGETSESSIONATTRS', 'target_session_attrs'],
  ['PGTZ', 'TimeZone'],
  ['PGOPTIONS', 'options'],
]

/** The variables of libpq that say where and how to connect, as far as the connection string does not. */
export const databaseVariables: readonly string[] = environment.map(([variable]) => variable)

/** To go on without these would connect elsewhere, or less safely, than the operator believes. */
export const unsupportedVariables: readonly string[] = [
  'PGHOSTADDR',
  'PGSERVICE',
  'PGREQUIREAUTH',
  'PGREQUIREPEER',
  'PGREQUIRESSL',
  'PGSSLCRL',
  'PGSSLCRLDIR',
]

const unsupportedKeywords = new Set([
  'hostaddr',
  'service',
  'servicefile',
  'require_auth',
  'requirepeer',
  'requiressl',
  'sslcrl',
  'sslcrldir',
  'ssl_min_protocol_version',
  'ssl_max_protocol_version',
  'replication',
])

// They tune the client library that they were written for and say nothing about where or how safely to connect.
const ignoredKeywords = new Set([
  'keepalives',
  'keepalives_idle',
  'keepalives_interval',
  'keepalives_count',
  'tcp_user_timeout',
  'gssencmode',
  'gsslib',
  'gssdelegation',
  'krbsrvname',
  'krbspn',
  'sslcompression',
  'sslsni',
  'min_protocol_version',
  'max_protocol_version',
  'binary_parameters',
  'disable_prepared_binary_result',
])

// Each has only one value that works here, which the driver uses anyway.
const fixedKeywords: Readonly<Record<string, RegExp>> = {
  client_encoding: /^(utf-?8|auto)$/i,
  datestyle: /^iso(, *mdy)?$/i,
  channel_binding: /^(prefer|disable)$/,
  sslnegotiation: /^postgres$/,
  load_balance_hosts: /^disable$/,
}

const ownKeywords = new Set([
  ...environment
    .map(([, keyword]) => keyword)
    .filter((keyword) => !['TimeZone', 'options'].includes(keyword)),
  'fallback_application_name',
  'sslinline',
])

/**
 * Reads a connection string as lib/pq does, URL or keywords, over the `PG*` environment and `~/.pgpass` (meeting
 * door spec, Command line). Two things differ from lib/pq: no host means the Unix socket, and a certificate file that
 * is named but missing is an error.
 *
 * @throws Error whose message contains no value: neither the password nor another part of the string
 */
export function parseDatabaseUrl(text: string, env: Env, host: Host): DatabaseOptions {
  const settings = new Map([...fromEnvironment(env), ...fromText(text)])
  const hosts = readHosts(settings)
  const user = settings.get('user') ?? host.osUser
  if (user === '') throw new Error('no user is given, and the operating system names none')
  const database = settings.get('dbname') ?? user
  const parameters = readParameters(settings)
  return {
    hosts,
    database,
    user,
    password: settings.get('password') ?? findPassword({ settings, hosts, database, user }, host),
    tls: hosts.every(isSocket) ? { type: 'disable' } : readTls(settings, host),
    connectTimeoutSeconds: readConnectTimeout(settings),
    applicationName:
      settings.get('application_name') ?? settings.get('fallback_application_name') ?? 'plenum',
    targetSessionAttrs: readSessionAttrs(settings),
    parameters,
  }
}

/** Says for a log which database is meant, without the password. */
export function describeDatabase({ hosts, database, user }: DatabaseOptions): string {
  const places = hosts.map(describePlace)
  return `database ${database} as user ${user} at ${places.join(' or ')}`
}

function fromEnvironment(env: Env): [string, string][] {
  const unsupported = unsupportedVariables.find((variable) => env[variable])
  if (unsupported) throw new Error(`the environment variable ${unsupported} is not supported`)
  return environment.flatMap(([variable, keyword]) => {
    const value = env[variable]
    return value ? [[keyword, value]] : []
  })
}

function fromText(text: string): [string, string][] {
  const trimmed = text.trim()
  const url = /^postgres(?:ql)?:\/\/(.*)$/s.exec(trimmed)
  if (!url && /^[\w+.-]*:\/\//.test(trimmed))
    throw new Error('a URL begins with postgres:// or postgresql://')
  const pairs = url ? parseUrl(url[1] ?? '') : parseKeywords(trimmed)
  for (const [keyword, value] of pairs) {
    if (!/^[a-z_][\w.]*$/i.test(keyword)) throw new Error('a keyword is not made of letters, digits and _')
    if (value.includes('\0')) throw new Error(`${keyword} contains a zero byte`)
    if (unsupportedKeywords.has(keyword)) throw new Error(`${keyword} is not supported`)
  }
  return pairs.filter(([, value]) => value !== '')
}

/** `[user[:password]@][host][:port][,...][/database][?keyword=value&...]` */
function parseUrl(text: string): [string, string][] {
  const [, authority = '', path = '', query = ''] = /^([^/?]*)(?:\/([^?]*))?(?:\?(.*))?$/s.exec(text) ?? []
  const at = authority.lastIndexOf('@')
  const [, user = '', password = ''] = /^([^:]*):?(.*)$/s.exec(authority.slice(0, Math.max(at, 0))) ?? []
  const places = authority.slice(at + 1)
  const pairs: [string, string][] = [
    ['user', decode(user)],
    ['password', decode(password)],
    ['dbname', decode(path)],
    ...parsePlaces(places),
  ]
  for (const part of query.split('&').filter((part) => part !== '')) {
    const equals = part.indexOf('=')
    if (equals === -1) throw new Error('a part of the URL after ? has no =')
    // Go reads + as a space here, unlike libpq.
    const [keyword = '', value = ''] = [part.slice(0, equals), part.slice(equals + 1)].map((half) =>
      decode(half.replaceAll('+', ' ')),
    )
    if (value !== '') pairs.push([keyword, value])
  }
  return pairs
}

function parsePlaces(text: string): [string, string][] {
  if (text === '') return []
  const places = text.split(',').map((place) => {
    const match = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::(\d*))?$/.exec(place)
    if (!match)
      throw new Error('a host is a name, an address or [an IPv6 address], then perhaps : and a port number')
    return { host: decode(match[1] ?? match[2] ?? ''), port: match[3] ?? '' }
  })
  const hosts = places.map(({ host }) => host)
  const ports = places.map(({ port }) => port)
  return [
    ['host', hosts.some((host) => host !== '') ? hosts.join(',') : ''],
    ['port', ports.some((port) => port !== '') ? ports.join(',') : ''],
  ]
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new Error('a percent sign in the URL is not followed by two hexadecimal digits of UTF-8')
  }
}

/** `keyword = value` and `keyword='it\'s'`, separated by white space, as libpq's conninfo_parse has it. */
function parseKeywords(text: string): [string, string][] {
  const pairs: [string, string][] = []
  // A doubled quote inside quotes is read as one: libpq would only fail on it.
  const pair =
    /\s*([^\s=']+)\s*=\s*(?:'((?:[^'\\]|\\.|'')*)'|((?:[^\s'\\]|\\.)(?:[^\s\\]|\\.)*)?(?=\s|$))\s*/sy
  while (pair.lastIndex < text.length) {
    const match = pair.exec(text)
    if (!match)
      throw new Error(
        "it is neither a URL (postgres://...) nor made of keyword=value pairs ('...' around spaces)",
      )
    const [, keyword = '', quoted, bare = ''] = match
    pairs.push([keyword, (quoted?.replaceAll("''", "\\'") ?? bare).replace(/\\(.)/gs, '$1')])
  }
  return pairs
}

function readHosts(settings: Settings): DatabaseHost[] {
  const hosts = settings.get('host')?.split(',') ?? ['']
  const ports = settings.get('port')?.split(',') ?? [defaultPort]
  if (ports.length !== 1 && ports.length !== hosts.length)
    throw new Error(
      `${hosts.length} hosts and ${ports.length} ports are given: give one port, or one for each host`,
    )
  return hosts.map((host, index) => {
    if (host.startsWith('@'))
      throw new Error('abstract Unix sockets (a host that begins with @) are not supported')
    return { host: host || defaultSocketFolder, port: readPort(ports[index] ?? ports[0] ?? '') }
  })
}

function readPort(text: string): number {
  const port = Number(text || defaultPort)
  if (!Number.isInteger(port) || port < 1 || port > 65535)
    throw new Error('port takes a number from 1 to 65535')
  return port
}

function readConnectTimeout(settings: Settings): number {
  const text = settings.get('connect_timeout')
  if (text === undefined) return defaultConnectTimeoutSeconds
  const seconds = Number(text)
  if (!Number.isInteger(seconds) || seconds > 86_400) throw new Error('connect_timeout takes whole seconds')
  return Math.max(seconds, 0)
}

function readSessionAttrs(settings: Settings): SessionAttrs | null {
  const text = settings.get('target_session_attrs') ?? 'any'
  if (text === 'any') return null
  const found = sessionAttrs.find((attrs) => attrs === text)
  if (!found) throw new Error(`target_session_attrs takes any, ${sessionAttrs.join(', ')}`)
  return found
}

function readParameters(settings: Settings): Record<string, string> {
  const parameters: Record<string, string> = {}
  for (const [keyword, value] of settings) {
    const allowed = fixedKeywords[keyword]
    if (allowed && !allowed.test(value)) throw new Error(`this value of ${keyword} is not supported`)
    if (allowed || ownKeywords.has(keyword) || ignoredKeywords.has(keyword)) continue
    const name = keyword === 'tz' ? 'TimeZone' : keyword
    // PGTZ and the string may spell one parameter differently; the string comes later and wins.
    for (const other of Object.keys(parameters))
      if (other.toLowerCase() === name.toLowerCase()) delete parameters[other]
    parameters[name] = value
  }
  return parameters
}
