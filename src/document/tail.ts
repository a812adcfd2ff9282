import type { Tail } from '../hub/tail.ts'

/** The bytes of a document from `offset` on, from memory; `end` is where the document ends. */
export function bytesSince(tail: Tail<Buffer>, offset: number, end: number): Buffer {
  const bytes = Buffer.concat(tail.since(offset))
  // The first part may have begun before.
  return bytes.subarray(bytes.length - (end - offset))
}
