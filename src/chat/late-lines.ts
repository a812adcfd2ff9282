/**
 * What somebody gets late who reads the log page by page: ids that nobody could see when a page was read are left out of
 * it, and come once they appear.
 */
export class LateLines {
  /** What pages have left out, up to where they go and in the one that is being read. */
  readonly #hidden = new Set<number>()
  /** What of these has appeared while the page was being read. */
  readonly #appeared = new Map<number, string>()

  /** Which ids a page after the id `behind` is to leave out, where these are missing. */
  hide(missing: readonly number[], behind: number): number[] {
    for (const id of missing) this.#hidden.add(id)
    return Array.from(this.#hidden).filter((id) => id > behind)
  }

  /**
   * A line is new while they have read up to `behind`. Whether they get it now, for their pages have passed it; else it comes
   * with one of these, or was never hidden from them.
   */
  appeared(id: number, json: string, behind: number): boolean {
    if (!this.#hidden.has(id)) return false
    if (id <= behind) return this.#hidden.delete(id)
    this.#appeared.set(id, json)
    return false
  }

  /** What belongs behind a page that ends with the id `last`: it appeared after that had been read. */
  completed(last: number): string[] {
    const late = Array.from(this.#appeared).flatMap(([id, json]) => (id <= last ? [json] : []))
    for (const id of this.#appeared.keys()) this.#hidden.delete(id)
    for (const id of this.#hidden) if (id > last) this.#hidden.delete(id)
    this.#appeared.clear()
    return late
  }
}
