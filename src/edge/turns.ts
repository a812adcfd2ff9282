const perTurn = 4
const everyMs = 1
let waiting: (() => void)[] = []

/**
 * Resolves soon, for only so many callers in a millisecond: for heavy work that must not hold up what else there is to
 * do. Pages of history leave at 256 MB a second at most, connections are taken in at 4,000.
 */
export function turn(): Promise<void> {
  return new Promise((resolve) => {
    if (waiting.push(resolve) === 1) setImmediate(next)
  })
}

function next(): void {
  const now = waiting.slice(0, perTurn)
  waiting = waiting.slice(perTurn)
  if (waiting.length > 0) setTimeout(next, everyMs)
  for (const resolve of now) resolve()
}
