import { isIPv6 } from 'node:net'
import { posix } from 'node:path'

/** Where a server listens. Host '' means all addresses of the machine, IPv6 included; port 0 a free one. */
export type ListenAddress = { type: 'tcp'; host: string; port: number } | { type: 'unix'; path: string }

/** The least of what Linux and macOS allow. */
export const maxSocketPathBytes = 103

/**
 * Reads `host:port`, `:port`, `[IPv6]:port`, or the path of a Unix socket, which begins with `/`.
 *
 * @returns null where it is none of these
 */
export function parseAddress(text: string): ListenAddress | null {
  if (text.startsWith('/'))
    return Buffer.byteLength(text) <= maxSocketPathBytes ? { type: 'unix', path: text } : null
  const match = /^(?:\[([^\]]+)\]|([\w.-]*)):(\d{1,5})$/.exec(text)
  if (!match) return null
  const [, bracketed, plain = '', digits] = match
  const port = Number(digits)
  if (port > 65_535 || (bracketed !== undefined && !isIPv6(bracketed))) return null
  return { type: 'tcp', host: bracketed ?? plain, port }
}

/** Says whether two servers cannot listen at the two addresses at once. */
export function collide(one: ListenAddress, other: ListenAddress): boolean {
  if (one.type === 'unix')
    return other.type === 'unix' && posix.normalize(one.path) === posix.normalize(other.path)
  if (other.type === 'unix' || one.port !== other.port || one.port === 0) return false
  const hosts = [one, other].map(({ host }) => (host === 'localhost' ? '127.0.0.1' : host.toLowerCase()))
  return hosts[0] === hosts[1] || hosts.some((host) => ['', '0.0.0.0', '::'].includes(host))
}
