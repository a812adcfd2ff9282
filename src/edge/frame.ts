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
    frames[at] = 0x81
    if (header === 2) frames[at + 1] = length
    else if (header === 4) {
      frames[at + 1] = 126
      frames.writeUInt16BE(length, at + 2)
    } else {
      frames[at + 1] = 127
      frames.writeBigUInt64BE(BigInt(length), at + 2)
    }
    frames.write(text, at + header)
    at += header + length
  }
  return frames
}

const headerOf = (length: number): number => (length < 126 ? 2 : length < 65_536 ? 4 : 10)
