/**
 * Everything that Plenum logs. Values are safe to keep: no keys, no passwords, no texts of members. `address` is a
 * client's address, `request` the id of the request by which he came, `reason` and `error` come from `describeError` or are words of our own.
 */
export type LogEntry =
  | { level: 'info'; event: 'started'; version: string; runtime: string; listen: string; database: string }
  | { level: 'info'; event: 'migrated'; steps: number }
  | { level: 'info'; event: 'serving'; meetings: number }
  | { level: 'info'; event: 'stopping'; signal: string }
  | { level: 'info'; event: 'stopped' }
  | {
      level: 'info'
      event: 'entered'
      meeting: number
      member: number
      address: string
      request: string
      arrival: string
    }
  | {
      level: 'info'
      event: 'ended'
      meeting: number
      member: number
      address: string
      request: string
      how: string
    }
  | { level: 'info'; event: 'refused'; meeting: number; address: string; request: string; reason: string }
  | { level: 'info'; event: 'stateChanged'; meeting: number; state: string }
  | { level: 'info'; event: 'chatServing'; schema: string }
  | { level: 'info'; event: 'chatEntered'; room: number; address: string; request: string }
  | { level: 'info'; event: 'chatEnded'; room: number; address: string; request: string; how: string }
  | { level: 'info'; event: 'chatRefused'; address: string; request: string }
  | { level: 'warn'; event: 'chatNotStored'; room: number; lines: number; error: string }
  | { level: 'warn'; event: 'chatReadFailed'; room: number; error: string }
  | { level: 'info'; event: 'documentsServing' }
  | { level: 'info'; event: 'documentEntered'; document: string; address: string; request: string }
  | { level: 'info'; event: 'documentEnded'; document: string; address: string; request: string; how: string }
  | {
      level: 'info'
      event: 'documentRefused'
      document: string
      address: string
      request: string
      reason: string
    }
  | { level: 'warn'; event: 'documentNotStored'; error: string }
  | {
      level: 'warn'
      event: 'documentWriteRefused'
      document: string
      count: number
      error: string
      table: string
      constraint: string
    }
  | { level: 'warn'; event: 'documentReadFailed'; error: string }
  | { level: 'warn'; event: 'documentDistrusted'; reason: string }
  | { level: 'warn'; event: 'documentUnauthorized'; address: string; request: string }
  | { level: 'warn'; event: 'documentRequestFailed'; error: string; address: string; request: string }
  | { level: 'info'; event: 'documentsPurged'; documents: number; tokens: number }
  | { level: 'warn'; event: 'documentPurgeFailed'; error: string }
  | { level: 'warn'; event: 'webhookFailed'; attempt: number; error: string }
  | { level: 'warn'; event: 'webhookGivenUp'; attempt: number; error: string }
  | { level: 'warn'; event: 'webhookNotRead'; error: string }
  | { level: 'info'; event: 'listening'; channel: string }
  | { level: 'warn'; event: 'listenLost'; channel: string; reason: string }
  | { level: 'warn'; event: 'indexRecommended'; statement: string }
  | { level: 'info'; event: 'databaseBack'; door: 'meetings' | 'chat' }
  | { level: 'info'; event: 'reloaded'; settings: Record<string, string>; certificate?: string }
  | { level: 'info'; event: 'nothingToReload'; reason: string }
  | { level: 'warn'; event: 'restartNeeded'; settings: string[]; reason: string }
  | { level: 'error'; event: 'reloadFailed'; error: string }
  | { level: 'warn'; event: 'logIncomplete'; lost: number; reason: string }
  | { level: 'warn'; event: 'notifyFailed'; error: string }
  | { level: 'warn'; event: 'statusPublic'; reason: string }
  | { level: 'warn'; event: 'documentsPublic'; reason: string }
  | { level: 'warn'; event: 'guessing'; secret: string; address: string }
  | { level: 'warn'; event: 'entryFailed'; error: string }
  | { level: 'warn'; event: 'recordFailed'; meeting: number; error: string }
  | {
      level: 'info' | 'warn'
      event: 'requestRefused'
      reason: string
      listener: string
      /** Who has connected, which may be a proxy. */
      peer?: string
      host?: string
      /** So many, since the last such line. */
      times: number
    }
  | { level: 'warn'; event: 'originRefused'; origin: string; address: string; request: string }
  | { level: 'warn'; event: 'connectionRefused'; address: string; request: string; reason: string }
  | { level: 'warn'; event: 'slowReader'; address: string; request: string }
  | { level: 'warn'; event: 'waiting'; reason: string }
  | { level: 'warn'; event: 'databaseLost'; door: 'meetings' | 'chat'; error: string }
  | { level: 'warn'; event: 'viewDistrusted'; meeting: number; reason: string }
  | {
      level: 'warn'
      event: 'notStored'
      meeting: number
      count: number
      error: string
      table: string
      constraint: string
    }
  | { level: 'warn'; event: 'readFailed'; meeting: number; error: string }
  | { level: 'warn'; event: 'notFollowed'; meeting: number; count: number; error: string }
  | { level: 'info'; event: 'viewReadAnew'; meeting: number }
  | {
      level: 'debug'
      event: 'request'
      method: string
      path: string
      status: number
      ms: number
      address: string
      request: string
    }
  | { level: 'error'; event: 'leaseLost' }
  | { level: 'error'; event: 'roomFailed'; meeting: number; error: string }
  | { level: 'error'; event: 'unexpected'; where: string; error: string; request?: string }

export type Log = (entry: LogEntry) => void

/** From the least important on; the priorities are syslog's. */
const priorities = { debug: 7, info: 6, warn: 4, error: 3 } as const

export type LogLevel = keyof typeof priorities
export const logLevels = Object.keys(priorities) as LogLevel[]

/**
 * `json`: one object a line. `plain`: words for people, with the time. `journal`: the same for journald, which knows the
 * time and takes the priority from the line's beginning (sd-daemon(3)).
 */
export type LogFormat = 'json' | 'plain' | 'journal'

/** Logs one line an entry through `write`, from `least` on; `now` gives the time. */
export function createLog(
  write: (line: string) => void,
  { format, least, now }: { format: LogFormat; least: LogLevel; now: () => Date },
): Log {
  const formats: Record<LogFormat, (entry: LogEntry) => string> = {
    json: (entry) => JSON.stringify({ time: now().toISOString(), ...entry }),
    plain: (entry) => `${now().toISOString()} ${entry.level.padEnd(5)} ${words(entry)}`,
    journal: (entry) => `<${priorities[entry.level]}>${words(entry)}`,
  }
  return (entry) => {
    if (priorities[entry.level] <= priorities[least]) write(`${formats[format](entry)}\n`)
  }
}

/**
 * The event's name and its values, on one line: what is not plain is in quotes, as JSON has it. Values that have names of
 * their own go by these.
 */
function words(entry: LogEntry): string {
  const values = Object.entries(entry).flatMap(([name, value]) =>
    typeof value === 'object' && !Array.isArray(value) ? Object.entries(value) : [[name, value] as const],
  )
  const shown = values.flatMap(([name, value]) => {
    if (name === 'level' || name === 'event') return []
    const text = String(value)
    return `${name}=${/^[^\s"=\p{C}]+$/u.test(text) ? text : JSON.stringify(text)}`
  })
  return [entry.event, ...shown].join(' ')
}

/** A path of a request without what could be a key. */
export function shortPath(path: string): string {
  return path.replace(/[^/]{24,}/g, '…')
}

/** What a client says in a header, as much of it as helps and without what could be a key. */
export function shortHeader(text: string): string {
  return withoutKeys(text).slice(0, 100)
}

/**
 * An error that nobody expected, with its stack. Not for errors of the database, whose texts may hold data. What could be
 * a meeting's key is left out: libraries quote the URL that they failed on.
 */
export function stackOf(error: unknown): string {
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
  return withoutKeys(text)
}

const withoutKeys = (text: string): string => text.replace(/[\w-]{54,}/g, '…')
