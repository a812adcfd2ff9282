import { nearest } from './nearest.ts'

/** The origins whose pages may open a connection. An empty list lets no page in. */
export type AllowedOrigins = { type: 'any' } | { type: 'list'; origins: ReadonlySet<string> }

const defaultPorts: Readonly<Record<string, string>> = { 'http:': '80', 'https:': '443' }

/** What a browser can have for a host: names in the letters that it sends, and addresses. `*` stands for a first label. */
const browsersHost = /^(?:\[[0-9a-f:.]+\]|(?:\*\.)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.?)$/

/** Lets no page in: for commands that listen to nobody. */
export const noOrigins: AllowedOrigins = { type: 'list', origins: new Set() }

/**
 * Reads one or several origins, comma-separated, or `*`. Path, query and trailing slash are ignored, because
 * operators write `https://www.domain.com/` (meeting door spec, Command line). A host that begins with `*.` is any with
 * exactly one label in its place.
 *
 * @throws Error when nothing is left, or a part has no scheme or no host, or one that no page can have
 */
export function parseOrigins(text: string): AllowedOrigins {
  const parts = text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
  if (parts.length === 0) throw new Error('no origin is given')
  const origins = new Set(parts.filter((part) => part !== '*').map(parseOrigin))
  return parts.includes('*') ? { type: 'any' } : { type: 'list', origins }
}

/**
 * Says whether a request with this `Origin` header may be upgraded. No header is allowed: every browser sends
 * one, so who sends none is not a page that abuses somebody's cookies or keys.
 */
export function isAllowedOrigin(allowed: AllowedOrigins, header: string | undefined): boolean {
  if (header === undefined || allowed.type === 'any') return true
  // URL forgives much ("https:/\evil", user:password@, white space) that no browser puts into this header.
  if (!/^[a-z][a-z0-9+.-]*:\/\/[^/\\?#@\s,]+$/i.test(header)) return false
  const origin = canonicalOrigin(header)
  if (origin === null || origin.includes('*')) return false
  return allowed.origins.has(origin) || allowed.origins.has(origin.replace(/\/\/[^.:[\]]+\./, '//*.'))
}

function parseOrigin(text: string): string {
  if (/^wss?:/i.test(text)) throw new Error('an origin begins with the scheme of the page, http or https')
  const origin = canonicalOrigin(text)
  if (origin === null)
    throw new Error('an origin is a scheme and a host, for example https://www.example.org')
  const { hostname, protocol } = new URL(text)
  const meant = nearest(protocol, Object.keys(defaultPorts))
  if (meant !== null && meant !== protocol)
    throw new Error(
      `no page has an origin with the scheme ${protocol.slice(0, -1)}: did you mean ${meant.slice(0, -1)}?`,
    )
  if (!browsersHost.test(hostname.toLowerCase()))
    throw new Error(
      'no page has an origin with such a host: several origins are separated by commas, and * may stand for its first label alone (https://*.example.org)',
    )
  // One label for a whole top-level domain would let in everybody's pages.
  if (/^\*\.[^.]+\.?$/.test(hostname))
    throw new Error('behind *. there are at least two labels, as in https://*.example.org')
  return origin
}

function canonicalOrigin(text: string): string | null {
  if (!URL.canParse(text)) return null
  const { protocol, hostname, port, username, password } = new URL(text)
  if (hostname === '' || username !== '' || password !== '') return null
  return `${protocol}//${hostname.toLowerCase()}:${port || (defaultPorts[protocol] ?? '')}`
}
