/** A piece of a text: with an `href` if it is an address. */
export type Piece = { text: string; href?: string }

// What ends an address in all scripts that do without spaces between words is left to who writes it.
const address = /\bhttps?:\/\/[^\s<>"“”„«»`]+/giu
const closers: Record<string, string> = { ')': '(', ']': '[', '}': '{' }

/** Splits a text into plain pieces and addresses of the web. No other scheme ever becomes a link. */
export function findLinks(text: string): Piece[] {
  const pieces: Piece[] = []
  let from = 0
  for (const match of text.matchAll(address)) {
    const found = trimEnd(match[0])
    if (!URL.canParse(found)) continue
    const { href, protocol, hostname } = new URL(found)
    if ((protocol !== 'http:' && protocol !== 'https:') || hostname === '') continue
    if (match.index > from) pieces.push({ text: text.slice(from, match.index) })
    pieces.push({ text: found, href })
    from = match.index + found.length
  }
  if (from < text.length) pieces.push({ text: text.slice(from) })
  return pieces
}

/** Without the punctuation of the sentence around it: a bracket stays if it was opened in the address. */
function trimEnd(found: string): string {
  // How many of each closing bracket have nothing to close: counted once, as a text may be nothing but brackets.
  const loose = new Map<string, number>()
  for (const [closer, opener] of Object.entries(closers)) {
    const count = (character: string): number => found.split(character).length - 1
    loose.set(closer, count(closer) - count(opener))
  }
  let end = found.length
  for (; end > 0; end--) {
    const last = found[end - 1] ?? ''
    const tooMany = loose.get(last)
    if (tooMany === undefined ? !/[.,;:!?'’…*_~|\\]/.test(last) : tooMany <= 0) break
    if (tooMany !== undefined) loose.set(last, tooMany - 1)
  }
  return found.slice(0, end)
}
