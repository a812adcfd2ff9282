import { type DatabaseOptions, parseDatabaseUrl } from '../db/conninfo.ts'
import { collide, type ListenAddress, maxSocketPathBytes, parseAddress } from '../edge/address.ts'
import { type LogLevel, logLevels } from '../edge/events.ts'
import type { LogFormat } from '../edge/log.ts'
import { type AllowedOrigins, noOrigins, parseOrigins } from '../edge/origin.ts'
import type { CertificateFiles } from '../edge/tls.ts'
import {
  file,
  flag,
  oneOf,
  onOff,
  parseDecimal,
  seconds,
  UsageError,
  type Values,
  wholeNumber,
  withReason,
} from './flag.ts'

/** What the server is told, whatever doors it has. */
export type ServerConfig = Readonly<{
  origins: AllowedOrigins
  behindProxy: boolean
  trustedHops: number
  database: DatabaseOptions
  listen: ListenAddress
  socketMode: number
  /** What `listen` speaks TLS with; null is plain HTTP. */
  tls: CertificateFiles | null
  adminListen: ListenAddress | null
  profileListen: ListenAddress | null
  /** Names under which status, health and profiles may be asked for, besides those that are ours anyway. */
  adminHosts: readonly string[]
  pingMs: number
  pollMs: number
  /** Commands a second and connection; 0 is without limit. */
  ratePerSecond: number
  maxConnections: number
  maxPerAddress: number
  maxPending: number
  requestTimeoutMs: number
  /** IANA name; null leaves it to the database's session. */
  timezone: string | null
  /** The file that says whose pages these are; null where nobody's name is shown. */
  brand: string | null
  /** The file with the links that `/` lists; null where it lists none. */
  home: string | null
  logLevel: LogLevel
  /** `auto`: what suits where the log goes. */
  logFormat: LogFormat | 'auto'
}>

const maxRate = 1_000_000
const maxHops = 100
const maxConnections = 1_000_000

const address = `host:port, :port for all addresses, or the path of a Unix socket (from / on, at most ${maxSocketPathBytes} bytes)`

const logFormats = [
  'auto',
  'json',
  'plain',
  'journal',
] as const satisfies readonly ServerConfig['logFormat'][]

/** The server's own flags, but for those that are shown last. */
export const serverFlags = {
  origin: flag<AllowedOrigins | null>({
    value: 'ORIGIN',
    default: null,
    live: true,
    help: 'Origin of the pages that may connect: one or several, comma-separated, or * for all',
    meaning:
      'Pages of which origin may connect: one or several, comma-separated, or `*` for all; `https://*.example.org` is any with one label in place of `*`. Scheme, host and port count, a path or a trailing slash does not. A request without `Origin` is allowed, as no browser sends one',
    takes: 'an origin like https://www.example.org, several separated by commas, or *',
    parse: (text) => withReason(() => parseOrigins(text)),
  }),
  behindproxy: flag({
    ...onOff,
    help: "take the client's address from X-Forwarded-For",
    meaning:
      "Take the client's address from the last entry of `X-Forwarded-For`. It is shown, logged and used to slow down guessing, never to admit",
  }),
  trustedhops: flag({
    ...wholeNumber(1, maxHops),
    default: '1',
    help: 'how many proxies of your own there are, with -behindproxy',
    meaning:
      'With `-behindproxy`: how many proxies of your own there are, thus which entry from the end it is',
  }),
  dburl: flag({
    secret: true,
    value: 'URL',
    default: 'postgres:///postgresqleu',
    help: 'PostgreSQL database, as a URL or as keywords (host=... dbname=...)',
    meaning:
      "The database as lib/pq takes it: a URL or `keyword=value` pairs, over the `PG*` variables and `~/.pgpass`. Without a host it is the Unix socket in `/var/run/postgresql`, without a user the operating system's; over TCP `sslmode` is `require` unless given",
    takes: 'a PostgreSQL URL (postgres://user@host/database) or keywords (host=... dbname=...)',
    parse: (text, { env, host }) => withReason(() => parseDatabaseUrl(text, env, host)),
  }),
  listen: flag({
    value: 'ADDR',
    default: '127.0.0.1:8199',
    help: 'host:port, or the path of a Unix socket',
    meaning:
      '`host:port`, `:port` for all addresses, or the path of a Unix socket. Sockets that systemd passes (`LISTEN_FDS`) are used in its place',
    takes: address,
    parse: parseListener,
  }),
  socketmode: flag({
    value: 'MODE',
    default: '0660',
    help: 'permissions of a Unix socket, in octal',
    meaning: "Permissions of a Unix socket's file, in octal",
    takes: 'permissions in octal, for example 0660',
    parse: parseMode,
  }),
  tlscert: flag({
    ...file,
    live: true,
    help: 'certificate in PEM, with its chain: -listen speaks TLS then (https, wss)',
    meaning:
      'With `-tlskey`: `-listen` speaks TLS (1.2 or newer), for those without a proxy. The certificate in PEM, its chain behind it',
    takes: 'a file with a certificate in PEM',
  }),
  tlskey: flag({
    ...file,
    live: true,
    help: 'its key in PEM, without a passphrase',
    meaning: 'Its key in PEM, without a passphrase',
    takes: 'a file with the key of -tlscert in PEM',
  }),
  adminlisten: flag({
    value: 'ADDR',
    default: '',
    help: 'where status and health are served, instead of on -listen',
    meaning:
      'Where `/__meetingstatus`, `/status`, `/metrics`, `/livez`, `/readyz` and `/healthz` are served, in place of `-listen`',
    takes: address,
    parse: (text) => (text === '' ? null : parseListener(text)),
  }),
  adminhosts: flag({
    value: 'NAMES',
    default: '',
    live: true,
    help: 'further names, comma-separated, under which status, health and profiles are asked for',
    meaning:
      'Names, comma-separated, under which status, health and profiles may be asked for, besides IP addresses, `localhost`, and the hosts of `-origin` and of the listeners ([why](operations.md#monitoring))',
    takes: 'names of hosts, separated by commas, without scheme and port',
    parse: parseHosts,
  }),
  profilelisten: flag({
    value: 'ADDR',
    default: '',
    help: 'where profiles are served, without authentication',
    meaning:
      'Where profiles for Chrome DevTools are served, without authentication: `/debug/pprof/profile?seconds=30` (CPU) and `/debug/pprof/heap`',
    takes: address,
    parse: (text) => (text === '' ? null : parseListener(text)),
  }),
  ping: flag({
    ...seconds(0.1),
    default: '30',
    help: 'time between two pings to a client',
    meaning:
      'Time between two pings to a client. One that is silent for two and a half times as long is disconnected',
  }),
  poll: flag({
    ...seconds(0.1),
    default: '2',
    help: 'time between two looks at what the site has changed',
    meaning: 'Time between two looks at what the site has changed',
  }),
  rate: flag({
    value: 'N',
    default: '5',
    live: true,
    help: 'commands a second that a client may send; 0 is without limit',
    meaning: 'Commands a second that a client may send, after 20 at once; 0 is without limit',
    takes: 'a number of commands a second, 0 for no limit',
    parse: (text) => parseDecimal(text, 0, maxRate),
  }),
  maxconnections: flag({
    ...wholeNumber(0, maxConnections),
    default: '20000',
    live: true,
    help: 'websockets in all; 0 is without limit',
    meaning: 'Websockets in all; one more gets 503, and its page tries again. 0 is without limit',
  }),
  maxperaddress: flag({
    ...wholeNumber(0, maxConnections),
    default: '1000',
    live: true,
    help: 'websockets from one address (IPv6: /64 network), this machine excepted; 0 is without limit',
    meaning:
      "The same from one address (of IPv6 from one /64 network); without `-behindproxy` it bounds also its connections that are no websockets. It does not count for this machine's own, where a proxy may stand for all. 0 is without limit",
  }),
  maxpending: flag({
    ...wholeNumber(1, maxConnections),
    default: '5000',
    live: true,
    help: 'connections that are no websockets (yet); past it the oldest is cut',
    meaning:
      'Connections that are no websockets, or not yet. Past it the one that has asked for nothing for longest is cut: let it be more than may come at the same moment',
  }),
  requesttimeout: flag({
    ...seconds(0.1),
    default: '10',
    live: true,
    help: 'how long a connection may take to send a request',
    meaning:
      'How long a connection may take to send a request, or 16 KiB of a long one; six times as long to read as much of an answer',
  }),
  timezone: flag({
    value: 'NAME',
    default: '',
    help: "time zone of what is shown (the database session's when not given)",
    meaning:
      'Time zone of all times that members see, for example `Europe/Prague`. Without it, that of the database session',
    takes: 'the name of a time zone, for example Europe/Prague',
    parse: parseTimezone,
  }),
  brand: flag({
    ...file,
    live: true,
    help: 'JSON file with the name, the logo and the accent color that the pages show; SIGHUP reads it again',
    meaning:
      'A JSON file with the name, the logo and the accent color that the pages show ([how](operations.md#name-logo-and-color)). Read again at SIGHUP, the logo too',
    takes: 'a JSON file with the name of your association',
  }),
  home: flag({
    ...file,
    help: 'file with what / lists for everybody: a line is an address and its name, or a text',
    meaning:
      "A text file with what the page at `/` lists, for everybody who opens it: a line is an address (`/…` or `https://…`) and, after a space, what it is called, or a text that stands above the next ones. It is read each time. Put nobody's key there",
    takes: 'a text file',
  }),
} as const

/** Those that are shown behind the doors' flags. */
export const lastFlags = {
  loglevel: flag({
    ...oneOf(logLevels),
    value: 'LEVEL',
    default: 'info',
    help: `what is logged: this and what is more important (${logLevels.join(', ')})`,
    meaning: `What is logged: this and what is more important, of ${logLevels.map((level) => `\`${level}\``).join(', ')}`,
  }),
  logformat: flag({
    ...oneOf(logFormats),
    value: 'FORMAT',
    default: 'auto',
    help: 'json, plain or journal (plain with priorities); auto is what suits where the log goes',
    meaning:
      '`json`; `plain`, for people; `journal`, the same with priorities for journald; `auto` is what suits where the log goes',
  }),
  config: flag({
    ...file,
    help: 'file of such variables, a NAME=value a line, for those that are not set; SIGHUP reads it again',
    meaning:
      "These variables, and `PG*`, a `NAME=value` a line as in systemd's EnvironmentFile, for those that the environment does not have. Read again at SIGHUP",
    takes: 'a file of NAME=value lines',
  }),
} as const

/** What the values of the server's own flags come to. `servesPages`: it needs to know of which origin they are. */
export function toServerConfig(
  values: Values<typeof serverFlags & typeof lastFlags>,
  { servesPages }: { servesPages: boolean },
): ServerConfig {
  if (servesPages && values.origin === null)
    throw new UsageError(`-origin is required and takes ${serverFlags.origin.takes}`)
  checkListeners(values)
  return {
    origins: values.origin ?? noOrigins,
    behindProxy: values.behindproxy,
    trustedHops: values.trustedhops,
    database: values.dburl,
    listen: values.listen,
    socketMode: values.socketmode,
    tls: readFiles(values),
    adminListen: values.adminlisten,
    profileListen: values.profilelisten,
    adminHosts: values.adminhosts,
    pingMs: values.ping,
    pollMs: values.poll,
    ratePerSecond: values.rate,
    maxConnections: values.maxconnections,
    maxPerAddress: values.maxperaddress,
    maxPending: values.maxpending,
    requestTimeoutMs: values.requesttimeout,
    timezone: values.timezone,
    brand: values.brand,
    home: values.home,
    logLevel: values.loglevel,
    logFormat: values.logformat,
  }
}

type ServerValues = Values<typeof serverFlags>

function readFiles({
  tlscert: cert,
  tlskey: key,
}: Pick<ServerValues, 'tlscert' | 'tlskey'>): CertificateFiles | null {
  if (cert && key) return { cert, key }
  if (!cert && !key) return null
  const [given, missing] = cert ? (['tlscert', 'tlskey'] as const) : (['tlskey', 'tlscert'] as const)
  throw new UsageError(`-${missing} takes ${serverFlags[missing].takes}: -${given} is not given without it`)
}

function checkListeners({
  listen,
  adminlisten,
  profilelisten,
}: Pick<ServerValues, 'listen' | 'adminlisten' | 'profilelisten'>): void {
  const listeners = Object.entries({ listen, adminlisten, profilelisten })
  for (const [index, [name, address]] of listeners.entries()) {
    for (const [otherName, other] of listeners.slice(index + 1))
      if (address && other && collide(address, other))
        throw new UsageError(`-${name} and -${otherName} take different addresses, but are given the same`)
  }
}

function parseMode(text: string): number {
  if (!/^(?:0o?)?[0-7]{3}$/.test(text)) throw new Error('not octal')
  return Number.parseInt(text.slice(-3), 8)
}

function parseHosts(text: string): string[] {
  const hosts = text.split(',').map((host) => host.trim().toLowerCase())
  const given = hosts.filter((host) => host !== '')
  if (
    given.some(
      (host) => !/^[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*$/.test(host),
    )
  )
    throw new Error('no name of a host')
  return given
}

function parseTimezone(text: string): string | null {
  if (text === '') return null
  // PostgreSQL takes offsets for what they are in POSIX, the other way round.
  if (!/^[a-z]/i.test(text)) throw new Error('not a name')
  return Intl.DateTimeFormat('en', { timeZone: text }) && text
}

function parseListener(text: string): ListenAddress {
  const found = parseAddress(text)
  if (!found) throw new Error('no address')
  return found
}

/** In words, that whoever reaches a server without a proxy may read who is in its meetings; null where nobody can. */
export function publicStatus({
  tls,
  adminApart,
}: Pick<ServerConfig, 'tls'> & { adminApart: boolean }): string | null {
  return tls && !adminApart
    ? 'status and metrics are on -listen for everybody who reaches it: give them an address of their own by -adminlisten'
    : null
}
