/**
 * The one of `known` that was probably meant by `given`: the nearest by letters added, left out, exchanged or swapped, at
 * most one in three, or the only one that begins with it. Null where there is none.
 */
export function nearest(given: string, known: readonly string[]): string | null {
  const wanted = given.toLowerCase()
  const most = Math.max(1, Math.floor(wanted.length / 3))
  let best: { word: string; distance: number } | null = null
  for (const word of known) {
    // Longer by more than that it is further away, too.
    if (Math.abs(word.length - wanted.length) > most) continue
    const distance = distanceOf(wanted, word.toLowerCase())
    if (distance <= most && distance < (best?.distance ?? Infinity)) best = { word, distance }
  }
  if (best) return best.word
  const [only, ...others] = known.filter(
    (word) => wanted.length >= 3 && word.toLowerCase().startsWith(wanted),
  )
  return only !== undefined && others.length === 0 ? only : null
}

/** How many letters have to be added, left out, exchanged, or swapped with the next (optimal string alignment). */
function distanceOf(one: string, other: string): number {
  let before: number[] = []
  let row = Array.from({ length: other.length + 1 }, (_, n) => n)
  for (let i = 1; i <= one.length; i++) {
    const next = [i]
    for (let j = 1; j <= other.length; j++) {
      const exchanged = (row[j - 1] ?? 0) + (one[i - 1] === other[j - 1] ? 0 : 1)
      const isSwapped = one[i - 1] === other[j - 2] && one[i - 2] === other[j - 1]
      const swapped = isSwapped ? (before[j - 2] ?? 0) + 1 : Infinity
      next.push(Math.min(exchanged, swapped, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    before = row
    row = next
  }
  return row[other.length] ?? 0
}
