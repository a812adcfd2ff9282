const least = 1024
const small = 16

/**
 * Joins bytes that come in parts in one buffer that grows: a part costs what it has, however small it is. Kept as a list
 * each would cost a hundred bytes more, and a client may send millions of them.
 */
export class GrowingBuffer {
  readonly #most: number
  #bytes = Buffer.alloc(0)
  #length = 0

  /** `most`: how many bytes there can be; it makes room for no more. */
  constructor(most: number) {
    this.#most = most
  }

  get length(): number {
    return this.#length
  }

  /** The memory that it takes, in bytes. */
  get capacity(): number {
    return this.#bytes.length
  }

  /** What there is; good until the next change. */
  get view(): Buffer {
    return this.#bytes.subarray(0, this.#length)
  }

  append(part: Uint8Array): void {
    const length = this.#length + part.length
    if (length > this.#bytes.length) {
      // Twice as much each time, so that all copies together are no more than what there is in the end.
      const capacity = Math.max(length, Math.min(Math.max(this.#bytes.length * 2, least), this.#most))
      const bytes = Buffer.allocUnsafeSlow(capacity)
      this.view.copy(bytes)
      this.#bytes = bytes
    }
    // Of a few bytes `set` costs many times as much.
    if (part.length <= small)
      for (let at = 0; at < part.length; at++) this.#bytes[this.#length + at] = part[at] as number
    else this.#bytes.set(part, this.#length)
    this.#length = length
  }

  /** Gives what there is away, and begins anew. */
  take(): Buffer {
    const { view } = this
    this.clear()
    return view
  }

  clear(): void {
    this.#bytes = Buffer.alloc(0)
    this.#length = 0
  }
}

/** The same bytes, in memory of their own where they are the smaller part of a larger buffer: to be kept for a while. */
export function owned(bytes: Buffer): Buffer {
  if (bytes.length * 2 >= bytes.buffer.byteLength) return bytes
  const copy = Buffer.allocUnsafeSlow(bytes.length)
  bytes.copy(copy)
  return copy
}
