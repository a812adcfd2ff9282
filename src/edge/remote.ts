import { isIP } from 'node:net'

/** Who has sent a request, and by which id the log knows it. */
export type Caller = { address: string; request: string }

export type ProxyTrust = Readonly<{
  behindProxy: boolean
  /** How many proxies of our own append to X-Forwarded-For: 1 means that its last entry is the client. */
  trustedHops: number
}>

// An IPv6 address with an IPv4 tail has 45 characters; the rest is room for a zone and a port.
const longestEntry = 64

/**
 * Gives the client's address for logs, for the status page and for slowing down guesses, never for admission:
 * the entry of `X-Forwarded-For` that our own outermost proxy wrote, else the peer, else `unix`.
 *
 * Entries further to the left are the client's own words and are not looked at.
 */
export function clientAddress(
  peer: string | undefined,
  forwardedFor: string | undefined,
  { behindProxy, trustedHops }: ProxyTrust,
): string {
  const forwarded = behindProxy ? parseAddress(forwardedFor?.split(',').at(-trustedHops)) : null
  return forwarded ?? parseAddress(peer) ?? 'unix'
}

/**
 * What stands for one client where clients are counted: an IPv4 address, or the /64 network of an IPv6 one, of which a
 * subscriber has all. Null for this machine and for what is no address.
 */
export function clientNetwork(address: string): string | null {
  if (isIP(address) === 0 || address.startsWith('127.') || address === '::1') return null
  if (!address.includes(':')) return address
  const [head = '', tail] = (address.split('%')[0] ?? '').split('::')
  const groups = (text: string): string[] => (text === '' ? [] : text.split(':'))
  const known = groups(head)
  // Eight groups of 16 bits, of which `::` stands for as many zeros as are missing.
  const zeros = tail === undefined ? 0 : 8 - known.length - groups(tail).length
  const all = [...known, ...Array.from({ length: Math.max(0, zeros) }, () => '0'), ...groups(tail ?? '')]
  return `${all
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':')}::/64`
}

function parseAddress(entry: string | undefined): string | null {
  const text = entry?.trim() ?? ''
  if (text.length > longestEntry) return null
  const bare = /^\[([^\]]+)\](?::\d+)?$/.exec(text)?.[1] ?? /^([\d.]+):\d+$/.exec(text)?.[1] ?? text
  return isIP(bare) === 0 ? null : unmapped(bare.toLowerCase())
}

/** A dual-stack listener shows IPv4 clients as `::ffff:1.2.3.4`. */
function unmapped(address: string): string {
  const tail = /^::ffff:([\d.]+)$/.exec(address)?.[1]
  return tail ?? address
}
