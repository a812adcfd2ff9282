const perTurn = 16
let waiting: (() => void)[] = []

/**
 * Resolves in a later turn of the event loop, for only so many callers in each: for heavy work that must not hold up
 * what else there is to do.
 */
export function turn(): Promise<void> {
  return new Promise((resolve) => {
    if (waiting.push(resolve) === 1) setImmediate(next)
  })
}

function next(): void {
  const now = waiting.slice(0, perTurn)
  waiting = waiting.slice(perTurn)
  if (waiting.length > 0) setImmediate(next)
  for (const resolve of now) resolve()
}
