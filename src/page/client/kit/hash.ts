/**
 * A name for what a browser keeps for a secret address, from which the address cannot be had: 53 bits of something that
 * has 320. Browsers offer no better hash to pages without TLS, and nothing rests on this one but that names differ.
 */
export function nameFor(secret: string): string {
  let [high, low] = [0xdeadbeef, 0x41c6ce57]
  for (let index = 0; index < secret.length; index++) {
    const code = secret.charCodeAt(index)
    high = Math.imul(high ^ code, 2654435761)
    low = Math.imul(low ^ code, 1597334677)
  }
  high = Math.imul(high ^ (high >>> 16), 2246822507) ^ Math.imul(low ^ (low >>> 13), 3266489909)
  low = Math.imul(low ^ (low >>> 16), 2246822507) ^ Math.imul(high ^ (high >>> 13), 3266489909)
  return (4294967296 * (2097151 & low) + (high >>> 0)).toString(36)
}
