/** From the least important on; the priorities are syslog's. */
export const priorities = { debug: 7, info: 6, warn: 4, error: 3 } as const

export type LogLevel = keyof typeof priorities
export const logLevels = Object.keys(priorities) as LogLevel[]

/**
 * What a value of an entry can be. All are safe to keep: no keys, no passwords, no texts of members. `settings` are values
 * of flags by their names.
 */
type Kinds = {
  number: number
  text: string
  texts: readonly string[]
  settings: Readonly<Record<string, string>>
}
type Kind = keyof Kinds
type KindsOf = Readonly<Record<string, Kind | `${Kind}?`>>

/**
 * Events of the log by their names, with the names and kinds of their values. A value whose kind ends in ? may be missing.
 * What is logged is held to these by types.
 */
export type EventTable = Readonly<Record<string, Readonly<{ levels: readonly LogLevel[]; values: KindsOf }>>>

type ValuesOf<V extends KindsOf> = {
  readonly [Name in keyof V as V[Name] extends Kind ? Name : never]: V[Name] extends Kind
    ? Kinds[V[Name]]
    : never
} & {
  readonly [
    Name in keyof V as V[Name] extends Kind ? never : Name
  ]?: V[Name] extends `${infer K extends Kind}?` ? Kinds[K] : never
}

/** The entries that a table allows. */
export type EntryOf<Table extends EventTable> = {
  [Event in keyof Table & string]: {
    readonly level: Table[Event]['levels'][number]
    readonly event: Event
  } & ValuesOf<Table[Event]['values']>
}[keyof Table & string]

type Definition<Level extends LogLevel, V extends KindsOf> = { levels: readonly Level[]; values: V }

const define =
  <Level extends LogLevel>(level: Level) =>
  <const V extends KindsOf>(values: V): Definition<Level, V> => ({ levels: [level], values })

export const debug = define('debug')
export const info = define('info')
export const warn = define('warn')
export const error = define('error')

/**
 * What any server logs, whatever its doors. `address` is a client's address, `request` the id of the request by which they
 * came; `reason` and `error` come from `describeError` or are words of our own.
 */
export const serverEvents = {
  // Where each listener is reached; several sockets of one are in a row, with commas between.
  started: info({
    version: 'text',
    runtime: 'text',
    listen: 'text',
    adminlisten: 'text?',
    profilelisten: 'text?',
    database: 'text',
  }),
  migrated: info({ steps: 'number' }),
  stopping: info({ signal: 'text' }),
  stopped: info({}),
  waiting: warn({ reason: 'text' }),
  leaseLost: error({}),
  listening: info({ channel: 'text' }),
  listenLost: warn({ channel: 'text', reason: 'text' }),
  indexRecommended: warn({ statement: 'text' }),
  databaseLost: warn({ door: 'text', error: 'text' }),
  databaseBack: info({ door: 'text' }),
  commandsNotForgotten: warn({ door: 'text', count: 'number?', error: 'text' }),
  entryFailed: warn({ error: 'text' }),
  reloaded: info({ settings: 'settings', certificate: 'text?' }),
  nothingToReload: info({ reason: 'text' }),
  restartNeeded: warn({ settings: 'texts', reason: 'text' }),
  reloadFailed: error({ error: 'text' }),
  logIncomplete: warn({ lost: 'number', reason: 'text' }),
  notifyFailed: warn({ error: 'text' }),
  statusPublic: warn({ reason: 'text' }),
  guessing: warn({ secret: 'text', address: 'text' }),
  // `peer` is who has connected, which may be a proxy; `times` so many, since the last such line.
  requestRefused: {
    levels: ['info', 'warn'],
    values: { reason: 'text', listener: 'text', peer: 'text?', host: 'text?', times: 'number' },
  },
  homeUnreadable: warn({ count: 'number', error: 'text' }),
  originRefused: warn({ origin: 'text', address: 'text', request: 'text' }),
  connectionRefused: warn({ address: 'text', request: 'text', reason: 'text' }),
  slowReader: warn({ address: 'text', request: 'text' }),
  request: debug({
    method: 'text',
    path: 'text',
    status: 'number',
    ms: 'number',
    address: 'text',
    request: 'text',
  }),
  unexpected: error({ where: 'text', error: 'text', request: 'text?' }),
} as const satisfies EventTable

export type ServerEntry = EntryOf<typeof serverEvents>
