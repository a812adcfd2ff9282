import { cannotRead, isSocket } from './place.ts'
import type { DatabaseHost, Host, Settings } from './place.ts'

type Account = {
  settings: Settings
  hosts: readonly DatabaseHost[]
  database: string
  user: string
}

/**
 * Finds the password in the password file (`passfile`, `PGPASSFILE` or `~/.pgpass`), in lines of
 * `host:port:database:user:password` where `*` matches everything and a backslash escapes. For several hosts it is
 * the one of the first host that has a line.
 *
 * @throws Error where a file that was asked for cannot be read
 */
export function findPassword({ settings, hosts, database, user }: Account, host: Host): string | null {
  const given = settings.get('passfile')
  const text = host.readFile(given ?? `${host.home}/.pgpass`)
  // Silence would end in "password authentication failed", which sends people to look elsewhere.
  if (text === null && given !== undefined) throw new Error(`passfile: ${cannotRead(given, host)}`)
  if (text === null) return null
  const lines = text.split(/\r?\n/).filter((line) => line !== '' && !line.startsWith('#'))
  for (const place of hosts) {
    for (const line of lines) {
      const password = matchLine(line, place, [String(place.port), database, user])
      if (password) return password
    }
  }
  return null
}

function matchLine(line: string, place: DatabaseHost, wanted: readonly string[]): string | null {
  // The password is the rest of the line, colons included.
  const match = /^((?:[^:\\]|\\.)*):((?:[^:\\]|\\.)*):((?:[^:\\]|\\.)*):((?:[^:\\]|\\.)*):(.*)$/s.exec(line)
  if (!match) return null
  const [host = '', ...fields] = match.slice(1, 5)
  const hostMatches = matches(host, place.host) || (isSocket(place) && host === 'localhost')
  if (!hostMatches || !fields.every((field, index) => matches(field, wanted[index] ?? ''))) return null
  return unescaped(match[5] ?? '')
}

function matches(field: string, wanted: string): boolean {
  return field === '*' || unescaped(field) === wanted
}

function unescaped(field: string): string {
  return field.replace(/\\(.)/gs, '$1')
}
