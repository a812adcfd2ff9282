import { isUtf8 } from 'node:buffer'

/** What a client's frame says as text; null where it is binary or not UTF-8. */
export function textOf(data: Buffer, isBinary: boolean): string | null {
  return isBinary || !isUtf8(data) ? null : data.toString()
}

/** One unfragmented, unmasked text frame of a server (RFC 6455, 5.2) around `text`, ready to write to any socket. */
export function textFrame(text: string): Buffer {
  return textFrames([text])
}

/** Such a frame around each of `texts`, one behind the other. */
export function textFrames(texts: readonly string[]): Buffer {
  const lengths = texts.map((text) => Buffer.byteLength(text))
  const frames = Buffer.allocUnsafe(lengths.reduce((sum, length) => sum + headerOf(length) + length, 0))
  let at = 0
  for (const [index, text] of texts.entries()) {
    const length = lengths[index] ?? 0
    const header = headerOf(length)
    writeHeader(frames, at, 0x81, length)
    frames.write(text, at + header)
    at += header + length
  }
  return frames
}

/** A binary frame of a server around `parts`, joined. */
export function binaryFrame(parts: readonly Uint8Array[]): Buffer {
  const length = parts.reduce((sum, part) => sum + part.length, 0)
  const header = Buffer.allocUnsafe(headerOf(length))
  writeHeader(header, 0, 0x82, length)
  return Buffer.concat([header, ...parts], header.length + length)
}

/** Writes the header of a binary frame of a server that has `length` bytes at `at`. */
export function writeBinaryHeader(frames: Buffer, at: number, length: number): void {
  writeHeader(frames, at, 0x82, length)
}

function writeHeader(frames: Buffer, at: number, first: number, length: number): void {
  frames[at] = first
  if (length < 126) frames[at + 1] = length
  else if (length < 65_536) {
    frames[at + 1] = 126
    frames.writeUInt16BE(length, at + 2)
  } else {
    frames[at + 1] = 127
    frames.writeBigUInt64BE(BigInt(length), at + 2)
  }
}

/** How many bytes the header of a server's frame has, by the length of what is in it. */
export const headerOf = (length: number): number => (length < 126 ? 2 : length < 65_536 ? 4 : 10)

/** Where the frame of a server ends that begins at `at`. */
export function frameEnd(frames: Buffer, at: number): number {
  const short = frames[at + 1] as number
  if (short < 126) return at + 2 + short
  return short === 126
    ? at + 4 + frames.readUInt16BE(at + 2)
    : at + 10 + Number(frames.readBigUInt64BE(at + 2))
}
