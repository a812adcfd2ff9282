import { isIP, isIPv4, isIPv6 } from 'node:net'
import {
  convertIPv4BinaryToString,
  convertIPv4MappedIPv6ToIPv4,
  convertIPv6BinaryToString,
  convertIPv6ToBinary,
  isIPv4MappedIPv6,
} from 'hono/utils/ipaddr'

/** Who has sent a request, and by which id the log knows it. */
export type Caller = { address: string; request: string }

export type ProxyTrust = Readonly<{
  behindProxy: boolean
  /** How many proxies of our own append to X-Forwarded-For: 1 means that its last entry is the client. */
  trustedHops: number
}>

// An IPv6 address with an IPv4 tail has 45 characters; the rest is room for a zone and a port.
const maxEntryLength = 64
const loopback = 1n

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
  if (isIPv4(address)) return address.startsWith('127.') ? null : address
  if (!isIPv6(address)) return null
  const bits = bitsOf(address)
  return bits === loopback ? null : `${convertIPv6BinaryToString((bits >> 64n) << 64n)}/64`
}

function parseAddress(entry: string | undefined): string | null {
  const text = entry?.trim() ?? ''
  if (text.length > maxEntryLength) return null
  const bare = /^\[([^\]]+)\](?::\d+)?$/.exec(text)?.[1] ?? /^([\d.]+):\d+$/.exec(text)?.[1] ?? text
  return isIP(bare) === 0 ? null : unmapped(bare.toLowerCase())
}

/** A dual-stack listener shows IPv4 clients as `::ffff:1.2.3.4`, which others write `::ffff:102:304`. */
function unmapped(address: string): string {
  if (isIPv4(address)) return address
  const bits = bitsOf(address)
  return isIPv4MappedIPv6(bits) ? convertIPv4BinaryToString(convertIPv4MappedIPv6ToIPv4(bits)) : address
}

/** Of an IPv6 address, without its zone. */
function bitsOf(address: string): bigint {
  return convertIPv6ToBinary(address.split('%')[0] ?? '')
}
