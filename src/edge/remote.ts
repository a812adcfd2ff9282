import { isIP } from 'node:net'

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
