import type { HttpBindings } from '@hono/node-server'
import type { MiddlewareHandler } from 'hono'
import { isIP } from 'node:net'
import type { ListenAddress } from './address.ts'
import { refuseRequest } from './notice.ts'
import type { AllowedOrigins } from './origin.ts'

/**
 * Whether a server that asks for no password may answer to this `Host`. A page of a foreign site can have its own name lead
 * to an address of ours (DNS rebinding), and then reads what it is answered as its own: so a name has to be one of `names`,
 * in small letters. An address is nobody's name. No header is one of no browser (RFC 9112, 3.2).
 */
export function isKnownHost(header: string, names: ReadonlySet<string>): boolean {
  if (header === '') return true
  const [, bracketed, plain = ''] = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::\d*)?$/.exec(header) ?? []
  if (bracketed !== undefined) return isIP(bracketed) === 6
  const name = plain.toLowerCase().replace(/\.$/, '')
  return isIP(name) === 4 || name === 'localhost' || names.has(name)
}

/** The names under which an operator's pages are asked for: those given, and those that are the operator's anyway. */
export function ownNames(
  given: readonly string[],
  origins: AllowedOrigins,
  listeners: readonly (ListenAddress | null)[],
): ReadonlySet<string> {
  const pages =
    origins.type === 'list' ? Array.from(origins.origins, (origin) => new URL(origin).hostname) : []
  const listening = listeners.flatMap((listener) => (listener?.type === 'tcp' ? listener.host : []))
  return new Set([...given, ...pages, ...listening].map((name) => name.toLowerCase()))
}

type Headers = Readonly<Record<string, string | string[] | undefined>>

/**
 * Whether a page of another site has its browser ask, by what browsers say themselves (Fetch Metadata, and `Origin`). A link
 * that somebody follows is no such request where `links` are good: a page's address may stand anywhere.
 */
export function isCrossSite(headers: Headers, { links }: { links: boolean }): boolean {
  const { host, origin, 'sec-fetch-site': site, 'sec-fetch-mode': mode, 'sec-fetch-dest': target } = headers
  if (typeof origin === 'string' && !/^https?:\/\//.test(origin)) return true
  if (typeof origin === 'string' && origin.replace(/^https?:\/\//, '') !== host) return true
  if (site === undefined || site === 'same-origin' || site === 'none') return false
  return !(links && mode === 'navigate' && target === 'document')
}

export type HostOptions = {
  names: () => ReadonlySet<string>
  /** Whether a link of another site may lead here. */
  links: boolean
  refused: (reason: 'foreign host' | 'foreign page', request: { peer: string; host: string }) => void
}

/** For what asks for no password: whoever does not mean this server is refused in words. */
export function ownHosts({ names, links, refused }: HostOptions): MiddlewareHandler {
  return async function ownHost(c, next) {
    const { headers, socket } = (c.env as HttpBindings).incoming
    const { host = '' } = headers
    const request = { peer: socket.remoteAddress ?? 'unix', host }
    if (!isKnownHost(host, names())) {
      refused('foreign host', request)
      return refuseRequest(c, 421, foreignHost)
    }
    if (isCrossSite(headers, { links })) {
      refused('foreign page', request)
      return refuseRequest(c, 403, foreignPage)
    }
    return await next()
  }
}

const foreignHost =
  'This is not answered under that name: ask by IP address or as localhost, or add the name to -adminhosts.'
const foreignPage = 'This is not answered to pages of other sites: open it by itself.'
