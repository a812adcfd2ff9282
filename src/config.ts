import { isDeepStrictEqual } from 'node:util'
import { nearest } from './edge/nearest.ts'
import { printable } from './edge/printable.ts'
import { cannotRead } from './db/place.ts'
import { databaseVariables, parseDatabaseUrl, unsupportedVariables } from './db/conninfo.ts'
import type { DatabaseOptions, Env, Host } from './db/conninfo.ts'
import { collide, maxSocketPathBytes, parseAddress } from './edge/address.ts'
import type { ListenAddress } from './edge/address.ts'
import { type LogFormat, type LogLevel, logLevels } from './edge/log.ts'
import { noOrigins, parseOrigins } from './edge/origin.ts'
import type { AllowedOrigins } from './edge/origin.ts'
import type { CertificateFiles } from './edge/tls.ts'
import { parseEnvFile } from './envfile.ts'

export type { ListenAddress }

export type Config = Readonly<{
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
  graceMs: number
  closeAfterMs: number
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
  /** How long before a meeting's time its members may enter; null is at any time. */
  joinWindowMs: number | null
  /** The chat's tables; null where it is not served. */
  chat: Readonly<{ schema: string }> | null
  /** Null where no documents are served. */
  document: DocumentConfig | null
  logLevel: LogLevel
  /** `auto`: what suits where the log goes. */
  logFormat: LogFormat | 'auto'
}>

export type DocumentConfig = Readonly<{
  origins: AllowedOrigins
  /** What applications show at the management; null where nobody may. */
  credentials: Readonly<{ user: string; password: string }> | null
  /** What JWTs are signed with; null where none are taken. */
  jwtKey: Buffer | null
  expirationMs: number | null
  webhook: string | null
  maxMessage: number
  maxSize: number
  maxTotal: number
}>

export type Invocation =
  | { command: 'serve' | 'migrate' | 'check' | 'health' | 'meetings'; config: Config; settings: Settings }
  | { command: MemberCommand; config: Config; meeting: number; member: number | string }
  | { command: 'version' }
  | { command: 'help' }

/** What each flag is set to, by whichever way, as it was written and as it was understood. May hold a password. */
export type Settings = Readonly<Record<Name, Readonly<{ text: string | null; value: unknown }>>>

/** The command line or the environment cannot be used; the message is one line and repeats nothing that may be secret. */
export class UsageError extends Error {}

type Flag<T> = Readonly<{
  /** What stands for the value in the usage; null for a flag that is on or off. */
  value: string | null
  /** As the operator would write it; null where there is none. */
  default: string | null
  help: string
  /** Ends the sentence 'the flag takes ...'. */
  takes: string
  /** Whether a running server takes a new value (SIGHUP). No such value is secret: it is logged. */
  live?: true
  /** Whether nothing, given for it on the command line, is an error: a variable of a shell that was not set. */
  filled?: true
  /** Its value is never repeated. */
  secret?: true
  parse: (text: string, context: Context) => T
}>

type Context = Readonly<{ env: Env; host: Host; file: SettingsFile | null }>

/** What -config names: variables of the environment, for those that are not in it. */
type SettingsFile = Readonly<{ path: string; variables: ReadonlyMap<string, string> }>

/** A reason that is worth telling beyond what the flag takes, and safe to tell. */
class Reason extends Error {}

const longestSeconds = 86_400
const longestMinutes = 366 * 24 * 60
const longestExpiration = 10 * longestMinutes * 60
const mostMebibytes = 1024
const mostTotalMebibytes = 1024 * 1024
const maxRate = 1_000_000
const maxHops = 100
const mostConnections = 1_000_000
const maxId = Number.MAX_SAFE_INTEGER
/** Of a value that is shown. */
const longestShown = 60
/** Of a password that is all there is; more wrong ones than some thousand a day cannot be tried (`Guesses`). */
const leastPassword = 12
/** RFC 7518, section 3.2: a key for HS256 is no shorter than its hash. From one JWT a shorter one can be searched at leisure. */
const leastKeyBytes = 32

const address = `host:port, :port for all addresses, or the path of a Unix socket (from / on, at most ${maxSocketPathBytes} bytes)`

const seconds = (least: number) => ({
  value: 'SECONDS',
  takes: `seconds, ${least} or more`,
  parse: (text: string) => Math.round(parseDecimal(text, least, longestSeconds) * 1000),
})

const wholeNumber = (least: number, most: number) => ({
  value: 'N',
  takes: `a whole number from ${least} to ${most}`,
  parse: (text: string) => parseWhole(text, least, most),
})

const mebibytes = (most: number) => ({
  value: 'MIB',
  takes: `mebibytes, from 0.001 to ${most}`,
  parse: (text: string) => Math.round(parseDecimal(text, 0.001, most) * 1024 * 1024),
})

const logFormats = ['auto', 'json', 'plain', 'journal'] as const satisfies readonly Config['logFormat'][]

// The one place that knows the flags: parsing, usage text and environment twins come from here.
const table = {
  origin: flag({
    value: 'ORIGIN',
    default: null,
    live: true,
    help: 'Origin of the pages that may connect: one or several, comma-separated, or * for all',
    takes: 'an origin like https://www.example.org, several separated by commas, or *',
    parse: (text) => withReason(() => parseOrigins(text)),
  }),
  behindproxy: flag({
    value: null,
    default: 'false',
    help: "take the client's address from X-Forwarded-For",
    takes: 'true or false, after =',
    parse: parseBoolean,
  }),
  trustedhops: flag({
    ...wholeNumber(1, maxHops),
    default: '1',
    help: 'how many proxies of your own there are, with -behindproxy',
  }),
  dburl: flag({
    secret: true,
    value: 'URL',
    default: 'postgres:///postgresqleu',
    help: 'PostgreSQL database, as a URL or as keywords (host=... dbname=...)',
    takes: 'a PostgreSQL URL (postgres://user@host/database) or keywords (host=... dbname=...)',
    parse: (text, { env, host }) => withReason(() => parseDatabaseUrl(text, env, host)),
  }),
  listen: flag({
    value: 'ADDR',
    default: '127.0.0.1:8199',
    help: 'host:port, or the path of a Unix socket',
    takes: address,
    parse: parseListener,
  }),
  socketmode: flag({
    value: 'MODE',
    default: '0660',
    help: 'permissions of a Unix socket, in octal',
    takes: 'permissions in octal, for example 0660',
    parse: parseMode,
  }),
  tlscert: flag({
    value: 'FILE',
    default: '',
    live: true,
    help: 'certificate in PEM, with its chain: -listen speaks TLS then (https, wss)',
    takes: 'a file with a certificate in PEM',
    parse: parseFile,
  }),
  tlskey: flag({
    value: 'FILE',
    default: '',
    live: true,
    help: 'its key in PEM, without a passphrase',
    takes: 'a file with the key of -tlscert in PEM',
    parse: parseFile,
  }),
  adminlisten: flag({
    value: 'ADDR',
    default: '',
    help: 'where status and health are served, instead of on -listen',
    takes: address,
    parse: (text) => (text === '' ? null : parseListener(text)),
  }),
  adminhosts: flag({
    value: 'NAMES',
    default: '',
    live: true,
    help: 'further names, comma-separated, under which status, health and profiles are asked for',
    takes: 'names of hosts, separated by commas, without scheme and port',
    parse: parseHosts,
  }),
  profilelisten: flag({
    value: 'ADDR',
    default: '',
    help: 'where profiles are served, without authentication',
    takes: address,
    parse: (text) => (text === '' ? null : parseListener(text)),
  }),
  grace: flag({
    ...seconds(0),
    default: '10',
    help: 'how long a member may lose the connection without having left',
  }),
  closeafter: flag({
    ...seconds(0),
    default: '300',
    help: 'how long a finished meeting that has lost everyone waits before it is closed for good',
  }),
  ping: flag({
    ...seconds(0.1),
    default: '30',
    help: 'time between two pings to a client',
  }),
  poll: flag({
    ...seconds(0.1),
    default: '2',
    help: 'time between two looks at what the site has changed',
  }),
  rate: flag({
    value: 'N',
    default: '5',
    live: true,
    help: 'commands a second that a client may send; 0 is without limit',
    takes: 'a number of commands a second, 0 for no limit',
    parse: (text) => parseDecimal(text, 0, maxRate),
  }),
  maxconnections: flag({
    ...wholeNumber(0, mostConnections),
    default: '20000',
    live: true,
    help: 'websockets in all; 0 is without limit',
  }),
  maxperaddress: flag({
    ...wholeNumber(0, mostConnections),
    default: '1000',
    live: true,
    help: 'websockets from one address (IPv6: /64 network), this machine excepted; 0 is without limit',
  }),
  maxpending: flag({
    ...wholeNumber(1, mostConnections),
    default: '5000',
    live: true,
    help: 'connections that are no websockets (yet); past it the oldest is cut',
  }),
  requesttimeout: flag({
    ...seconds(0.1),
    default: '10',
    live: true,
    help: 'how long a connection may take to send a request',
  }),
  timezone: flag({
    value: 'NAME',
    default: '',
    help: "time zone of what is shown (the database session's when not given)",
    takes: 'the name of a time zone, for example Europe/Prague',
    parse: parseTimezone,
  }),
  joinwindow: flag({
    value: 'MINUTES',
    default: 'off',
    help: "how long before a meeting's time members may enter; off is at any time",
    takes: 'off, or minutes, 0 or more',
    parse: (text) => (text === 'off' ? null : Math.round(parseDecimal(text, 0, longestMinutes) * 60_000)),
  }),
  chat: flag({
    value: null,
    default: 'false',
    help: 'serve the chat too, at /ws/chat and /chat, and to clients of nodejschat at /',
    takes: 'true or false, after =',
    parse: parseBoolean,
  }),
  'chat-schema': flag({
    value: 'NAME',
    default: 'chat',
    help: 'schema of the tables of the chat, which may be those of a nodejschat',
    takes: 'the name of a schema: small letters, digits and _',
    parse: parseSchema,
  }),
  document: flag({
    value: null,
    default: 'false',
    help: 'serve shared documents too, at /socket, to Zwibbler clients',
    takes: 'true or false, after =',
    parse: parseBoolean,
  }),
  'document-origin': flag({
    value: 'ORIGIN',
    default: '*',
    help: 'origin of the pages that may open documents, as for -origin',
    takes: 'an origin like https://www.example.org, several separated by commas, or *',
    parse: (text) => withReason(() => parseOrigins(text)),
  }),
  'document-user': flag({
    // What has a colon may be a name with its password.
    secret: true,
    value: 'NAME',
    default: '',
    help: 'name of the applications that manage documents',
    takes: 'a name without a colon',
    filled: true,
    parse: parseUser,
  }),
  'document-password': flag({
    secret: true,
    value: 'PASSWORD',
    default: '',
    help: 'their password; without name and password nobody manages documents',
    takes: `a password of ${leastPassword} characters at least`,
    filled: true,
    parse: parsePassword,
  }),
  'document-jwtkey': flag({
    secret: true,
    value: 'KEY',
    default: '',
    help: 'key that JWTs are signed with (HS256): documents are open to tokens and JWTs only then',
    takes: `a key of ${leastKeyBytes} bytes at least`,
    filled: true,
    parse: (text) => text || null,
  }),
  'document-jwtkey-base64': flag({
    value: null,
    default: 'false',
    help: 'that key is given in Base64',
    takes: 'true or false, after =',
    parse: parseBoolean,
  }),
  'document-expiration': flag({
    value: 'SECONDS',
    default: 'never',
    help: 'how long a document is kept that nobody uses',
    takes: 'never, or seconds, 1 or more',
    parse: (text) => (text === 'never' ? null : Math.round(parseDecimal(text, 1, longestExpiration) * 1000)),
  }),
  'document-webhook': flag({
    secret: true,
    value: 'URL',
    default: '',
    help: 'what is called when nobody has had a document open for 10 seconds',
    takes: 'an http or https URL without a name and a password',
    parse: parseWebhook,
  }),
  'document-maxmessage': flag({
    ...mebibytes(mostMebibytes),
    default: '16',
    help: 'longest message of a client in MiB',
  }),
  'document-maxsize': flag({
    ...mebibytes(mostMebibytes),
    default: '256',
    help: 'longest document in MiB',
  }),
  'document-maxtotal': flag({
    ...mebibytes(mostTotalMebibytes),
    default: '1024',
    help: 'what documents have in all that were made without a token, a JWT or credentials, in MiB',
  }),
  loglevel: flag({
    value: 'LEVEL',
    default: 'info',
    help: `what is logged: this and what is more important (${logLevels.join(', ')})`,
    takes: logLevels.join(', '),
    parse: (text) => oneOf(logLevels, text),
  }),
  logformat: flag({
    value: 'FORMAT',
    default: 'auto',
    help: 'json, plain or journal (plain with priorities); auto is what suits where the log goes',
    takes: logFormats.join(', '),
    parse: (text) => oneOf(logFormats, text),
  }),
  config: flag({
    value: 'FILE',
    default: '',
    help: 'file of such variables, a NAME=value a line, for those that are not set; SIGHUP reads it again',
    takes: 'a file of NAME=value lines',
    parse: parseFile,
  }),
} as const

type Table = typeof table
type Name = keyof Table
type Values = { [K in Name]: ReturnType<Table[K]['parse']> | null }

const names = Object.keys(table) as Name[]
const fileVariables = new Set([...names.map(envTwin), ...databaseVariables, ...unsupportedVariables])
const memberCommands = ['kick', 'unban', 'admit'] as const
/** What is done to a member of a meeting. */
export type MemberCommand = (typeof memberCommands)[number]
export const commands = [
  'serve',
  'migrate',
  'check',
  'health',
  'meetings',
  ...memberCommands,
  'version',
  'help',
] as const
export type Command = (typeof commands)[number]

/** What is to be known of each flag to document it, in the order of the usage text. */
export const flags: readonly Readonly<{
  name: string
  env: string
  value: string | null
  default: string | null
  help: string
  live: boolean
}>[] = names.map((name) => ({
  name,
  env: envTwin(name),
  value: table[name].value,
  default: table[name].default,
  help: table[name].help,
  live: isLive(name),
}))

/**
 * Reads the command line, the environment and the file of -config (meeting door spec, Command line). The syntax is that of Go's flag
 * package, except that flags may also stand behind positional arguments.
 *
 * @param args without the names of runtime and script
 * @throws UsageError
 */
export function parseInvocation(args: readonly string[], env: Env, host: Host): Invocation {
  const [first] = args
  const given = first !== undefined && !first.startsWith('-')
  const command = given ? commands.find((name) => name === first) : 'serve'
  if (!command) throw new UsageError(unknownCommand(first ?? ''))
  const { texts, positional, asked } = splitArguments(given ? args.slice(1) : args)
  const told = asked ?? command
  if (told === 'version' || told === 'help') return { command: told }
  checkPositional(told, positional)
  const { config, settings } = readConfig(told, texts, withFile(texts, env, host))
  if (!isMemberCommand(told)) return { command: told, config, settings }
  return { command: told, config, ...parseMember(told, positional) }
}

/** The text of `plenum --help`. */
export function usage(): string {
  const lines = names.flatMap((name) => {
    const { value, default: normal, help } = table[name]
    const twin = `${envTwin(name)}${normal === null ? ', required by serve and check' : normal === '' ? '' : `, default ${normal}`}`
    return [`  -${name}${value === null ? '' : ` ${value}`}  (${twin})`, `        ${help}`]
  })
  return `usage: plenum [serve] -origin ORIGIN [flags]   serve meetings
       plenum migrate [flags]                  create or update Plenum's tables, then end
       plenum check -origin ORIGIN [flags]     check configuration and database, then end
       plenum health [flags]                   ask the server at -adminlisten or -listen if it is ready
       plenum meetings [flags]                 list meetings, their states, and who is in them
       plenum kick MEETING MEMBER [flags]      disconnect a member, without return
       plenum unban MEETING MEMBER [flags]     let a member enter who was kicked without return
       plenum admit MEETING MEMBER [flags]     let a member into an open meeting who comes late
       plenum version | help

Flags take one dash or two, and their value after a space or =. In parentheses is the environment
variable that counts when the flag is not given.

${lines.join('\n')}
`
}

/**
 * What has changed between two readings of the settings: `taken` has what a running server takes, with its new value,
 * `later` what it takes at its next start. `settings` is what the server runs with once the former are taken.
 */
export function compareSettings(
  running: Settings,
  read: Settings,
): { taken: Record<string, string>; later: string[]; settings: Settings } {
  const changed = names.filter((name) => !isDeepStrictEqual(running[name].value, read[name].value))
  // A server that speaks TLS may be given other files; whether it does is settled when it starts.
  const takes = (name: Name): boolean =>
    isLive(name) &&
    (!['tlscert', 'tlskey'].includes(name) || (running[name].value === null) === (read[name].value === null))
  const taken = changed.filter(takes)
  return {
    taken: Object.fromEntries(taken.map((name) => [name, read[name].text ?? ''])),
    later: changed.filter((name) => !takes(name)),
    settings: { ...running, ...Object.fromEntries(taken.map((name) => [name, read[name]])) },
  }
}

function withFile(texts: Partial<Record<Name, string>>, env: Env, host: Host): Context {
  const none = { env, host, file: null }
  const { value: path } = readSetting('config', texts.config, none)
  if (typeof path !== 'string') return none
  const where = texts.config === undefined ? ` (from ${envTwin('config')})` : ''
  const refuse = (reason: string): never => {
    throw new UsageError(`-config${where} takes ${table.config.takes}: ${path}${reason}`)
  }
  const text = host.readFile(path) ?? refuse(cannotRead(path, host).slice(path.length))
  const variables = new Map<string, string>()
  try {
    for (const { name, value, line } of parseEnvFile(text)) {
      if (!fileVariables.has(name) || name === envTwin('config')) refuse(`: ${unknownVariable(name, line)}`)
      variables.set(name, value)
    }
  } catch (error) {
    if (error instanceof UsageError) throw error
    refuse(`: ${error instanceof Error ? error.message : 'unusable'}`)
  }
  const merged = Array.from(fileVariables, (name) => [name, env[name] || variables.get(name)])
  return { env: Object.fromEntries(merged) as Env, host, file: { path, variables } }
}

function unknownVariable(name: string, line: number): string {
  const what = /^[A-Z][A-Z0-9_]{0,30}$/.test(name) ? name : 'what it sets'
  const meant = nearest(name, [...fileVariables])
  const hint = meant && meant !== name ? `: did you mean ${meant}?` : ''
  return `line ${line}: ${what} is no variable of Plenum's or PostgreSQL's that may stand there${hint}`
}

function readConfig(
  command: Command,
  texts: Partial<Record<Name, string>>,
  context: Context,
): { config: Config; settings: Settings } {
  const settings = Object.fromEntries(
    names.map((name) => [name, readSetting(name, texts[name], context)]),
  ) as Settings
  const values = Object.fromEntries(names.map((name) => [name, settings[name].value])) as Values
  return { config: toConfig(command, values), settings }
}

function toConfig(command: Command, values: Values): Config {
  const needsOrigin = command === 'serve' || command === 'check'
  if (needsOrigin && values.origin === null)
    throw new UsageError(`-origin is required and takes ${table.origin.takes}`)
  checkListeners(values)
  return Object.freeze({
    origins: values.origin ?? noOrigins,
    behindProxy: required(values, 'behindproxy'),
    trustedHops: required(values, 'trustedhops'),
    database: required(values, 'dburl'),
    listen: required(values, 'listen'),
    socketMode: required(values, 'socketmode'),
    tls: readFiles(values),
    adminListen: values.adminlisten,
    profileListen: values.profilelisten,
    adminHosts: required(values, 'adminhosts'),
    graceMs: required(values, 'grace'),
    closeAfterMs: required(values, 'closeafter'),
    pingMs: required(values, 'ping'),
    pollMs: required(values, 'poll'),
    ratePerSecond: required(values, 'rate'),
    maxConnections: required(values, 'maxconnections'),
    maxPerAddress: required(values, 'maxperaddress'),
    maxPending: required(values, 'maxpending'),
    requestTimeoutMs: required(values, 'requesttimeout'),
    timezone: values.timezone,
    joinWindowMs: values.joinwindow,
    chat: values.chat ? { schema: required(values, 'chat-schema') } : null,
    document: values.document ? toDocumentConfig(values) : null,
    logLevel: required(values, 'loglevel'),
    logFormat: required(values, 'logformat'),
  })
}

function toDocumentConfig(values: Values): DocumentConfig {
  const user = values['document-user']
  const password = values['document-password']
  for (const [name, given, other] of [
    ['document-password', password, user],
    ['document-user', user, password],
  ] as const)
    if (!given && other)
      throw new UsageError(
        `-${name} takes ${table[name].takes}: -document-user and -document-password go together`,
      )
  return {
    origins: required(values, 'document-origin'),
    credentials: user && password ? { user, password } : null,
    jwtKey: readKey(values),
    expirationMs: values['document-expiration'],
    webhook: values['document-webhook'],
    maxMessage: required(values, 'document-maxmessage'),
    maxSize: required(values, 'document-maxsize'),
    maxTotal: required(values, 'document-maxtotal'),
  }
}

function readKey(values: Values): Buffer | null {
  const text = values['document-jwtkey']
  if (!text) return null
  const isBase64 = values['document-jwtkey-base64']
  const key = Buffer.from(text, isBase64 ? 'base64' : 'utf8')
  if (isBase64 && !/^[\w+/-]+={0,2}$/.test(text))
    throw new UsageError('-document-jwtkey takes Base64, with -document-jwtkey-base64')
  if (key.length < leastKeyBytes)
    throw new UsageError(
      `-document-jwtkey takes ${table['document-jwtkey'].takes}${isBase64 ? ', once it is decoded' : ''}: this one has ${key.length}`,
    )
  return key
}

function required<K extends Name>(values: Values, name: K): NonNullable<Values[K]> {
  const value = values[name]
  if (value === null) throw new UsageError(`-${name} takes ${table[name].takes}`)
  return value
}

function readFiles({ tlscert: cert, tlskey: key }: Values): CertificateFiles | null {
  if (cert && key) return { cert, key }
  if (!cert && !key) return null
  const [given, missing] = cert ? (['tlscert', 'tlskey'] as const) : (['tlskey', 'tlscert'] as const)
  throw new UsageError(`-${missing} takes ${table[missing].takes}: -${given} is not given without it`)
}

/** The flag, else its environment twin unless that is empty, else the default. */
function readSetting(name: Name, given: string | undefined, context: Context): Settings[Name] {
  const flag: Flag<unknown> = table[name]
  const twin = context.env[envTwin(name)] || undefined
  const text = given ?? twin ?? flag.default
  if (text === null) return { text, value: null }
  try {
    if (given === '' && flag.filled) throw new Reason('nothing was given')
    return { text, value: flag.parse(text, context) }
  } catch (error) {
    const inFile = context.file?.variables.get(envTwin(name)) === twin ? ` in ${context.file?.path}` : ''
    const where = given === undefined && twin !== undefined ? ` (from ${envTwin(name)}${inFile})` : ''
    const reason = error instanceof Reason ? `: ${error.message}` : ''
    // What is on the command line is no secret, but for what may have been meant for another flag.
    const shown = given !== undefined && given !== '' && !flag.secret && !/@|pass/i.test(given)
    const was = shown ? `; ${printable(given.slice(0, longestShown))} was given` : ''
    throw new UsageError(`-${name}${where} takes ${flag.takes}${reason}${was}`, { cause: error })
  }
}

type Arguments = {
  texts: Partial<Record<Name, string>>
  positional: string[]
  asked: 'version' | 'help' | null
}

function splitArguments(args: readonly string[]): Arguments {
  const texts: Partial<Record<Name, string>> = {}
  const positional: string[] = []
  for (let index = 0; index < args.length; index++) {
    const arg = args[index] ?? ''
    if (arg === '--') {
      positional.push(...args.slice(index + 1))
      break
    }
    if (!arg.startsWith('-') || arg === '-') {
      positional.push(arg)
      continue
    }
    const [, flagName = '', inline] = /^--?([^-=][^=]*)(?:=(.*))?$/s.exec(arg) ?? []
    if (flagName === 'h' || flagName === 'help') return { texts, positional, asked: 'help' }
    if (flagName === 'version') return { texts, positional, asked: 'version' }
    const name = names.find((name) => name === flagName)
    if (!name) throw new UsageError(unknownFlag(flagName))
    if (inline !== undefined) texts[name] = inline
    else if (table[name].value === null) texts[name] = 'true'
    else if (index + 1 < args.length) texts[name] = args[++index] ?? ''
    else throw new UsageError(`-${name} takes ${table[name].takes}`)
  }
  return { texts, positional, asked: null }
}

function unknownCommand(given: string): string {
  const takes = `the first argument takes a command (${commands.join(', ')}) or a flag`
  const meant = nearest(given, commands)
  return meant ? `${takes}; ${printable(given)} was given: did you mean ${meant}?` : takes
}

function unknownFlag(name: string): string {
  // Whatever else it is may be a password that went astray.
  if (!/^[a-z][\w-]{0,30}$/i.test(name)) return 'an argument that begins with - is not a flag'
  const meant = nearest(name, names)
  return `-${name} is not a flag: ${meant ? `did you mean -${meant}?` : '"plenum help" lists them'}`
}

function checkPositional(command: Command, positional: readonly string[]): void {
  if (isMemberCommand(command)) {
    parseMember(command, positional)
    return
  }
  if (positional.length > 0) {
    const on = names.filter((name) => table[name].value === null).map((name) => `-${name}=false`)
    throw new UsageError(
      `${command} takes only flags; one argument too many (quote a value with spaces; on-off flags are set as ${on.join(', ')})`,
    )
  }
}

function isMemberCommand(command: Command): command is MemberCommand {
  return memberCommands.some((one) => one === command)
}

/** A name may be several arguments. */
function parseMember(
  command: MemberCommand,
  [first = '', ...others]: readonly string[],
): { meeting: number; member: number | string } {
  const meeting = parseId(first)
  const text = others.join(' ').trim()
  const member = /^[-+.\d\s]+$/.test(text) ? parseId(text) : text
  if (meeting === 0 || member === 0 || member === '')
    throw new UsageError(
      `${command} takes MEETING (its id) and MEMBER (the user id, or the name); "plenum meetings" lists them`,
    )
  return { meeting, member }
}

function checkListeners({ listen, adminlisten, profilelisten }: Values): void {
  const listeners = Object.entries({ listen, adminlisten, profilelisten })
  for (const [index, [name, address]] of listeners.entries()) {
    for (const [otherName, other] of listeners.slice(index + 1))
      if (address && other && collide(address, other))
        throw new UsageError(`-${name} and -${otherName} take different addresses, but are given the same`)
  }
}

function isLive(name: Name): boolean {
  const flag: Flag<unknown> = table[name]
  return flag.live ?? false
}

function flag<T>(definition: Flag<T>): Flag<T> {
  return definition
}

function envTwin(name: string): string {
  return `PLENUM_${name.toUpperCase().replaceAll('-', '_')}`
}

/** For messages that are known to repeat no value. */
function withReason<T>(parse: () => T): T {
  try {
    return parse()
  } catch (error) {
    throw new Reason(error instanceof Error ? error.message : 'unusable', { cause: error })
  }
}

function oneOf<const Word extends string>(words: readonly Word[], text: string): Word {
  const word = words.find((word) => word === text)
  if (!word) throw new Error('none of the words')
  return word
}

function parseBoolean(text: string): boolean {
  if (/^(?:1|t|true)$/i.test(text)) return true
  if (/^(?:0|f|false)$/i.test(text)) return false
  throw new Error('neither true nor false')
}

function parseDecimal(text: string, least: number, most: number): number {
  const number = /^(?:\d+\.?\d*|\.\d+)$/.test(text) ? Number(text) : Number.NaN
  if (!(number >= least && number <= most)) throw new Error('not such a number')
  return number
}

function parseWhole(text: string, least: number, most: number): number {
  if (!/^\d+$/.test(text)) throw new Error('not a whole number')
  return parseDecimal(text, least, most)
}

/** 0 for what is no id. */
function parseId(text: string): number {
  const id = /^\d{1,16}$/.test(text) ? Number(text) : 0
  return id <= maxId ? id : 0
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

function parseSchema(text: string): string {
  if (!/^(?!pg_)[a-z_][a-z0-9_]{0,62}$/.test(text)) throw new Error('no plain name')
  if (text === 'plenum' || text === 'information_schema') throw new Reason('this one is taken')
  return text
}

function parseFile(text: string): string | null {
  if (text.includes('\0') || text.includes('\n')) throw new Error('no path')
  return text === '' ? null : text
}

function parseUser(text: string): string | null {
  if (text.includes(':')) throw new Error('a colon ends the name')
  return text || null
}

function parsePassword(text: string): string | null {
  if (text !== '' && Array.from(text).length < leastPassword) throw new Reason('this one is shorter')
  return text || null
}

function parseWebhook(text: string): string | null {
  if (text === '') return null
  const { protocol, username, password } = new URL(text)
  if (!/^https?:$/.test(protocol) || username !== '' || password !== '') throw new Error('no such URL')
  return text
}

function parseListener(text: string): ListenAddress {
  const found = parseAddress(text)
  if (!found) throw new Error('no address')
  return found
}

/** In words, that whoever reaches a server without a proxy may read who is in its meetings; null where he may not. */
export function publicStatus({
  tls,
  adminApart,
}: Pick<Config, 'tls'> & { adminApart: boolean }): string | null {
  return tls && !adminApart
    ? 'status and metrics are on -listen for everybody who reaches it: give them an address of their own by -adminlisten'
    : null
}

/** In words, that whoever reaches the document door may make documents; null where tokens or JWTs are asked for. */
export function anonymousDocuments({ document }: Pick<Config, 'document'>): string | null {
  return document && !document.jwtKey
    ? 'anybody may create documents, and write to those whose ids they know: -document-jwtkey asks for tokens or JWTs'
    : null
}
