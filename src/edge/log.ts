/**
 * Everything that Plenum logs. Values are safe to keep: no keys, no passwords, no texts of members. `address` is a
 * client's address, `reason` and `error` come from `describeError` or are words of our own.
 */
export type LogEntry =
  | { level: 'info'; event: 'started'; version: string; runtime: string; listen: string; database: string }
  | { level: 'info'; event: 'migrated'; steps: number }
  | { level: 'info'; event: 'serving'; meetings: number }
  | { level: 'info'; event: 'stopping'; signal: string }
  | { level: 'info'; event: 'stopped' }
  | { level: 'info'; event: 'entered'; meeting: number; member: number; address: string; arrival: string }
  | { level: 'info'; event: 'ended'; meeting: number; member: number; address: string; how: string }
  | { level: 'info'; event: 'refused'; meeting: number; address: string; reason: string }
  | { level: 'info'; event: 'stateChanged'; meeting: number; state: string }
  | { level: 'info'; event: 'databaseBack' }
  | { level: 'warn'; event: 'notifyFailed'; error: string }
  | { level: 'warn'; event: 'entryFailed'; error: string }
  | { level: 'warn'; event: 'originRefused'; address: string }
  | { level: 'warn'; event: 'connectionRefused'; address: string; reason: string }
  | { level: 'warn'; event: 'badRequest'; address: string; reason: string }
  | { level: 'warn'; event: 'slowReader'; address: string }
  | { level: 'warn'; event: 'waiting'; reason: string }
  | { level: 'warn'; event: 'databaseLost'; error: string }
  | { level: 'warn'; event: 'viewDistrusted'; meeting: number; reason: string }
  | { level: 'warn'; event: 'readFailed'; meeting: number; error: string }
  | { level: 'info'; event: 'viewReadAnew'; meeting: number }
  | { level: 'error'; event: 'leaseLost' }
  | { level: 'error'; event: 'roomFailed'; meeting: number; error: string }
  | { level: 'error'; event: 'unexpected'; where: string; error: string }
  | { level: 'error'; event: 'stoppedByError'; error: string }

export type Log = (entry: LogEntry) => void

/** Logs one JSON line an entry through `write`; `now` gives the time. */
export function createLog(write: (line: string) => void, now: () => Date): Log {
  return (entry) => write(`${JSON.stringify({ time: now().toISOString(), ...entry })}\n`)
}

/**
 * An error that nobody expected, with its stack. Not for errors of the database, whose texts may hold data. What could be
 * a meeting's key is left out: libraries quote the URL that they failed on.
 */
export function stackOf(error: unknown): string {
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
  return text.replace(/[\w-]{54,}/g, '…')
}
