/** What is counted beyond the bytes that clients send: rows of the database that are nearly empty are not free. */
export const rowCosts = { document: 1024, part: 128, key: 128 } as const

/** What a document of so many bytes counts when it is made. */
export const costOf = (length: number): number =>
  rowCosts.document + (length > 0 ? rowCosts.part + length : 0)

/**
 * Bounds what the documents take up in all that were made without a credential. The one process that serves documents
 * counts: bytes are taken before they are written, so that writes under way at the same time cannot pass the limit together.
 */
export class Quota {
  readonly #limit: number
  #used = 0
  /** Taken, and not known yet to be stored or not. */
  #underWay = 0
  /** Changes since the last `recount` began. */
  #since = 0
  #doubtful = false

  constructor(limit: number) {
    this.#limit = limit
  }

  get left(): number {
    return Math.max(0, this.#limit - this.#used)
  }

  /** Whether what became of something is not known, so that more may be counted than there is. */
  get doubtful(): boolean {
    return this.#doubtful
  }

  /** Takes so many bytes for a write, which may also need fewer than before; false, and nothing is taken, where they are too many. */
  take(bytes: number): boolean {
    if (bytes <= 0) return true
    if (bytes > this.left) return false
    this.#change(bytes)
    this.#underWay += bytes
    return true
  }

  /** That write is done, has changed nothing, or nobody knows. */
  settle(bytes: number, how: 'stored' | 'notStored' | 'unknown'): void {
    if (bytes > 0) this.#underWay -= bytes
    if (bytes > 0 && how === 'notStored') this.#change(-bytes)
    // What a write frees is free once it is stored.
    if (bytes < 0 && how === 'stored') this.#change(bytes)
    if (how === 'unknown') this.#doubtful = true
  }

  /** Documents that had so many are gone; null: nobody knows. */
  gone(bytes: number | null): void {
    if (bytes === null) this.#doubtful = true
    else this.#change(-bytes)
  }

  /**
   * Counts anew by what `read` sums up. What is being written meanwhile may be in the sum or not and is counted beside it:
   * too much rather than too little, and then it is still in doubt. Rejects as `read` does.
   */
  async recount(read: () => Promise<number>): Promise<void> {
    const before = Math.max(0, this.#underWay)
    this.#since = 0
    const sum = await read()
    this.#doubtful = before !== 0 || this.#since !== 0
    this.#used = sum + before + Math.max(0, this.#since)
  }

  #change(bytes: number): void {
    this.#used += bytes
    this.#since += bytes
  }
}
