/**
 * Messages of Zwibbler's collaboration protocol, version 3, as a client speaks it: integers are unsigned and big-endian,
 * byte 0 is the type, byte 1 says whether more of the message follows. Nothing here needs a browser.
 */
export type Bytes = Uint8Array<ArrayBuffer>

export type Key = { name: string; value: string; version: number }

export type Heard =
  | { type: 'append'; offset: number; data: Bytes }
  | { type: 'answer'; result: 'refused' | 'accepted' | 'notPermitted'; length: number }
  | { type: 'keys'; keys: Key[] }
  | { type: 'error'; code: number; text: string }
  | { type: 'other' }

const [init, setKey, append2, append3, error, answer, keys, more] = [1, 3, 2, 5, 0x80, 0x81, 0x82, 0xff]
const headLengths = { init: 25, append: 14, setKey: 13 }
const results = ['refused', 'accepted', 'notPermitted'] as const
/** What both sides take in one frame unless they say something else. */
const maxFrame = 102_400

const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** Opens the document, or creates it; everything after `offset` is asked for. */
export function initMessage(id: string, offset: number, data: Uint8Array = new Uint8Array()): Bytes {
  const name = encoder.encode(id)
  const message = new Uint8Array(headLengths.init + name.length + data.length)
  const view = new DataView(message.buffer)
  view.setUint8(0, init)
  view.setUint16(2, 3)
  view.setBigUint64(13, BigInt(offset))
  view.setUint32(21, name.length)
  message.set(name, headLengths.init)
  message.set(data, headLengths.init + name.length)
  return message
}

export function appendMessage(offset: number, data: Uint8Array): Bytes {
  const message = new Uint8Array(headLengths.append + data.length)
  const view = new DataView(message.buffer)
  view.setUint8(0, append3)
  view.setBigUint64(6, BigInt(offset))
  message.set(data, headLengths.append)
  return message
}

/** A key that ends with the connection. With equal versions it is not answered unless it is refused. */
export function setKeyMessage(key: Key & { oldVersion: number; request: number }): Bytes {
  const [name, value] = [encoder.encode(key.name), encoder.encode(key.value)]
  const message = new Uint8Array(headLengths.setKey + 8 + name.length + value.length)
  const view = new DataView(message.buffer)
  view.setUint8(0, setKey)
  view.setUint16(2, key.request)
  view.setUint32(5, key.oldVersion)
  view.setUint32(9, key.version)
  view.setUint32(13, name.length)
  message.set(name, 17)
  view.setUint32(17 + name.length, value.length)
  message.set(value, 21 + name.length)
  return message
}

/** The frames of a message, none longer than the other side takes. */
export function framesOf(message: Bytes): Bytes[] {
  if (message.length <= maxFrame) return [message]
  const first = message.slice(0, maxFrame)
  first[1] = 1
  const frames = [first]
  for (let at = maxFrame; at < message.length; at += maxFrame - 2) {
    const part = message.subarray(at, at + maxFrame - 2)
    const frame = new Uint8Array(2 + part.length)
    frame[0] = more
    frame[1] = at + part.length < message.length ? 1 : 0
    frame.set(part, 2)
    frames.push(frame)
  }
  return frames
}

/** Joins frames to messages. */
export class Joiner {
  #parts: Bytes[] = []

  /** The whole message, with its last frame. */
  push(frame: Bytes): Bytes | null {
    this.#parts.push(this.#parts.length === 0 ? frame : frame.subarray(2))
    if (frame[1] !== 0) return null
    const parts = this.#parts
    this.#parts = []
    if (parts.length === 1) return frame
    const message = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0))
    let at = 0
    for (const part of parts) {
      message.set(part, at)
      at += part.length
    }
    return message
  }
}

/** What the server says. Throws on a message that is shorter than its fields. */
export function parseMessage(message: Bytes): Heard {
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength)
  switch (view.getUint8(0)) {
    case append2:
      return { type: 'append', offset: Number(view.getBigUint64(2)), data: message.subarray(10) }
    case append3:
      return { type: 'append', offset: Number(view.getBigUint64(6)), data: message.subarray(14) }
    case answer: {
      const result = results[view.getUint16(2)] ?? 'notPermitted'
      return { type: 'answer', result, length: Number(view.getBigUint64(4)) }
    }
    case keys:
      return { type: 'keys', keys: parseKeys(message, view) }
    case error:
      return { type: 'error', code: view.getUint16(2), text: decoder.decode(message.subarray(4)) }
    default:
      return { type: 'other' }
  }
}

function parseKeys(message: Bytes, view: DataView): Key[] {
  const found: Key[] = []
  let at = 2
  const text = (): string => {
    const length = view.getUint32(at)
    at += 4 + length
    return decoder.decode(message.subarray(at - length, at))
  }
  while (at < message.length) {
    const version = view.getUint32(at)
    at += 4
    found.push({ version, name: text(), value: text() })
  }
  return found
}
