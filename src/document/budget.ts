/** How many bytes of clients' messages wait in this process, however many connections they came by. */
export class Budget {
  readonly #limit: number
  #bytes = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Whether nothing more should be taken. */
  get isSpent(): boolean {
    return this.#bytes > this.#limit
  }

  change(bytes: number): void {
    this.#bytes += bytes
  }
}
