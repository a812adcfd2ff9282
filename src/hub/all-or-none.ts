type Closable = { close: () => void }

/**
 * Opens things that belong together. `open` hands each to `keep` as soon as it is there; where `open` rejects in the end,
 * all of these are closed again, the last one first, and the error is passed on.
 */
export async function allOrNone<T>(
  open: (keep: <One extends Closable>(one: One) => One) => Promise<T>,
): Promise<T> {
  const kept: Closable[] = []
  try {
    return await open((one) => {
      kept.push(one)
      return one
    })
  } catch (error) {
    for (const one of kept.reverse()) one.close()
    throw error
  }
}
