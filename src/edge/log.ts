import { type LogLevel, priorities, type ServerEntry } from './events.ts'

/** One entry of the log, as the tables of events allow it (`EntryOf`). */
export type LogEntry = Readonly<{
  level: LogLevel
  event: string
  [name: string]: number | string | readonly string[] | Readonly<Record<string, string>> | undefined
}>

/** Logs an entry: one of those that `Entry` allows. */
export type Log<Entry extends LogEntry = ServerEntry> = (entry: Entry) => void

/**
 * `json`: one object a line. `plain`: words for people, with the time. `journal`: the same for journald, which knows the
 * time and takes the priority from the line's beginning (sd-daemon(3)).
 */
export type LogFormat = 'json' | 'plain' | 'journal'

/** Logs one line an entry through `write`, from `least` on; `now` gives the time. */
export function createLog(
  write: (line: string) => void,
  { format, least, now }: { format: LogFormat; least: LogLevel; now: () => Date },
): Log<LogEntry> {
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
