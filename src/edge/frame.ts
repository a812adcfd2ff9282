/** One unfragmented, unmasked text frame of a server (RFC 6455, 5.2) around `text`, ready to write to any socket. */
export function textFrame(text: string): Buffer {
  const length = Buffer.byteLength(text)
  const frame = Buffer.allocUnsafe(headerLength(length) + length)
  frame.write(text, writeHeader(frame, length))
  return frame
}

/** The same around the UTF-8 bytes of `parts`, one after another. */
export function textFrameOf(parts: readonly Buffer[]): Buffer {
  const length = parts.reduce((sum, part) => sum + part.length, 0)
  const header = Buffer.allocUnsafe(headerLength(length))
  writeHeader(header, length)
  return Buffer.concat([header, ...parts])
}

/** The text's bytes within such a frame. */
export function payloadOf(frame: Buffer): Buffer {
  const short = frame[1] ?? 0
  return frame.subarray(short < 126 ? 2 : short === 126 ? 4 : 10)
}

function headerLength(length: number): number {
  return length < 126 ? 2 : length < 65_536 ? 4 : 10
}

function writeHeader(frame: Buffer, length: number): number {
  const header = headerLength(length)
  frame[0] = 0x81
  frame[1] = header === 2 ? length : header === 4 ? 126 : 127
  if (header === 4) frame.writeUInt16BE(length, 2)
  if (header === 10) frame.writeBigUInt64BE(BigInt(length), 2)
  return header
}
