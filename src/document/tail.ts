const mostBytes = 512 * 1024

/** The newest bytes of a document, without gaps and bounded. */
export class Tail {
  #parts: { at: number; data: Buffer }[] = []
  /** All bytes from here on are here. */
  #from: number
  #end: number

  /** Begins at the end of a document of this length. */
  constructor(length: number) {
    this.#from = length
    this.#end = length
  }

  append(data: Buffer): void {
    if (data.length === 0) return
    this.#parts.push({ at: this.#end, data })
    this.#end += data.length
    if (this.#end - this.#from <= mostBytes) return
    // Half of it goes, so that this is done rarely.
    const kept = this.#parts.findIndex(({ at }) => this.#end - at <= mostBytes / 2)
    this.#parts = kept < 0 ? [] : this.#parts.slice(kept)
    this.#from = this.#parts[0]?.at ?? this.#end
  }

  /** Whether `since(offset)` has all of it. */
  covers(offset: number): boolean {
    return offset >= this.#from
  }

  /** The bytes from `offset` on. */
  since(offset: number): Buffer {
    let first = this.#parts.length
    while (first > 0 && (this.#parts[first - 1]?.at ?? 0) >= offset) first--
    const [begun] = first > 0 ? this.#parts.slice(first - 1, first) : []
    const whole = this.#parts.slice(first).map(({ data }) => data)
    return Buffer.concat(begun ? [begun.data.subarray(offset - begun.at), ...whole] : whole)
  }
}
