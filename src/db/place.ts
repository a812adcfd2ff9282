/** Environment variables, as `process.env` has them. */
export type Env = Readonly<Record<string, string | undefined>>

/**
 * What the operating system knows. `readFile` gives null for a file that cannot be read; `whyUnreadable` says then why, as
 * the end of a sentence, and what to do.
 */
export type Host = Readonly<{
  osUser: string
  home: string
  readFile: (path: string) => string | null
  whyUnreadable?: (path: string) => string
}>

/** For people: that a file cannot be read, and why. */
export function cannotRead(path: string, host: Pick<Host, 'whyUnreadable'>): string {
  const reason = host.whyUnreadable?.(path)
  return `${path} cannot be read${reason ? `: ${reason}` : ''}`
}

/** Settings of a connection by libpq's keywords. Empty ones are absent. */
export type Settings = ReadonlyMap<string, string>

/** Where a server listens. A host that begins with `/` is the folder of a Unix socket. */
export type DatabaseHost = Readonly<{ host: string; port: number }>

export function isSocket({ host }: DatabaseHost): boolean {
  return host.startsWith('/')
}

export function socketPath({ host, port }: DatabaseHost): string {
  return `${host.replace(/\/+$/, '')}/.s.PGSQL.${port}`
}

/** For people: a socket's path, or host and port. */
export function describePlace(place: DatabaseHost): string {
  if (isSocket(place)) return socketPath(place)
  return place.host.includes(':') ? `[${place.host}]:${place.port}` : `${place.host}:${place.port}`
}
