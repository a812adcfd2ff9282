import { isRefused, isSchemaFault } from '../db/failure.ts'

/**
 * Does `work` with all of `items` in their order, in one go unless the database refuses that; `onRefused` is called for each
 * that it refuses alone. Rejects with any other error, and with what concerns all of them (`isSchemaFault`).
 */
export async function doInPortions<Item>(
  items: readonly Item[],
  work: (part: readonly Item[]) => Promise<void>,
  onRefused: (item: Item, error: unknown) => void,
): Promise<void> {
  const portion = new Portion()
  let rest = items
  while (rest.length > 0) {
    const part = portion.of(rest)
    try {
      await work(part)
      portion.done()
    } catch (error) {
      if (!isRefused(error) || isSchemaFault(error)) throw error
      if (portion.refused(part.length)) continue
      for (const item of part) onRefused(item, error)
    }
    rest = rest.slice(part.length)
  }
}

/**
 * How much of what waits is done at once: all of it, until the database refuses that. Then halves are tried until the one
 * that it refuses stands alone, so that the others are done all the same, in their order; and what follows is taken in
 * doubling portions again. One in a thousand costs some fifty tries, and all of them little more than one each.
 */
export class Portion {
  #most = Infinity

  /** The part of `items` that is next, from the front. */
  of<Item>(items: readonly Item[]): readonly Item[] {
    return items.length <= this.#most ? items : items.slice(0, this.#most)
  }

  /** The last portion was done. */
  done(): void {
    this.#most *= 2
  }

  /** The last portion, so many items, was refused: returns whether a smaller one is to be tried. */
  refused(length: number): boolean {
    this.#most = Math.max(1, Math.ceil(length / 2))
    return length > 1
  }
}
