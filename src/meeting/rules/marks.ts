/** The two lines by which the site finds the permanent record. */
export const marks = {
  open: 'This meeting is now open',
  finished: 'This meeting is now finished',
}

/**
 * Whether a member's text would pass for the opening or the end of the record, which the site finds by its text
 * alone: compared without regard to case, spacing, invisible characters and Unicode variants of the letters.
 */
export function isReserved(text: string): boolean {
  const bare = withoutInvisible(text)
  // What is normalized to a mark has no more letters than it. Normalizing costs the square of the length of a run of
  // accents: seconds for a long message of nothing else.
  if (bare.length > maxMarkLength) return false
  return reserved.has(withoutInvisible(bare.normalize('NFKC')).toLowerCase())
}

function withoutInvisible(text: string): string {
  return text.replace(/[\s\p{Default_Ignorable_Code_Point}]+/gu, '')
}

const reserved = new Set(Object.values(marks).map((mark) => withoutInvisible(mark).toLowerCase()))
/** In UTF-16 units, of which a letter of another alphabet's variant may take two. */
const maxMarkLength = 2 * Math.max(...Array.from(reserved, ({ length }) => length))
