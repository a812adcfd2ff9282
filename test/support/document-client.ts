import { once } from 'node:events'
import type { ClientOptions } from 'ws'
import { WebSocket } from 'ws'
import type { Target } from './meeting-client.ts'
import { until } from './until.ts'

/** The bytes of a hex text; white space is for readers. */
export const hex = (text: string): Buffer => Buffer.from(text.replaceAll(/\s/g, ''), 'hex')

const number = (value: number | bigint, bytes: 1 | 2 | 4 | 8): Buffer => {
  const buffer = Buffer.alloc(8)
  buffer.writeBigUInt64BE(BigInt(value))
  return buffer.subarray(8 - bytes)
}

export interface InitOptions {
  version?: number
  longest?: number
  mode?: number
  offset?: number | bigint
  data?: Buffer | string
}

export function initMessage(id: Buffer | string, options: InitOptions = {}): Buffer {
  const { version = 3, longest = 0, mode = 0, offset = 0, data = '' } = options
  const name = Buffer.from(id)
  const generation = version === 2 ? [] : [number(0, 4)]
  const length = number(name.length, version === 2 ? 1 : 4)
  return Buffer.concat([
    Buffer.from([1, 0]),
    number(version, 2),
    number(longest, 4),
    number(mode, 1),
    ...generation,
    number(offset, 8),
    length,
    name,
    Buffer.from(data),
  ])
}

export function appendMessage(offset: number | bigint, data: Buffer | string, version = 3): Buffer {
  const head = version === 2 ? [Buffer.from([2, 0])] : [Buffer.from([5, 0]), number(0, 4)]
  return Buffer.concat([...head, number(offset, 8), Buffer.from(data)])
}

export function broadcastMessage(data: Buffer | string): Buffer {
  return Buffer.concat([Buffer.from([4, 0]), number(Buffer.byteLength(data), 4), Buffer.from(data)])
}

export interface KeyDraft {
  request?: number
  stored?: boolean
  old: number
  version: number
  name: string
  value: string
}

export function setKeyMessage({ request = 1, stored = true, old, version, name, value }: KeyDraft): Buffer {
  return Buffer.concat([
    Buffer.from([3, 0]),
    number(request, 2),
    number(Number(stored), 1),
    number(old, 4),
    number(version, 4),
    number(Buffer.byteLength(name), 4),
    Buffer.from(name),
    number(Buffer.byteLength(value), 4),
    Buffer.from(value),
  ])
}

/** A message cut into frames of at most `longest` bytes, as a client cuts it. */
export function cut(message: Buffer, longest: number): Buffer[] {
  if (message.length <= longest) return [message]
  const frames = [Buffer.from(message.subarray(0, longest))]
  frames[0]![1] = 1
  for (let at = longest; at < message.length; at += longest - 2) {
    const part = message.subarray(at, at + longest - 2)
    frames.push(Buffer.concat([Buffer.from([0xff, Number(at + longest - 2 < message.length)]), part]))
  }
  return frames
}

export type Heard =
  | { type: 'append'; offset: number; data: Buffer }
  | { type: 'broadcast'; data: string }
  | { type: 'error'; code: number; text: string }
  | { type: 'answer'; status: number; length: number }
  | { type: 'keys'; keys: { name: string; value: string; version: number }[] }
  | { type: 'keyAnswer'; status: number; request: number }

/** Understands one whole message of the server. */
export function understand(bytes: Buffer): Heard {
  const head = bytes[0] === 2 ? 10 : 14
  switch (bytes[0]) {
    case 2:
    case 5:
      return {
        type: 'append',
        offset: Number(bytes.readBigUInt64BE(head - 8)),
        data: bytes.subarray(head),
      }
    case 4:
      return { type: 'broadcast', data: bytes.toString('latin1', 6) }
    case 0x80:
      return { type: 'error', code: bytes.readUInt16BE(2), text: bytes.toString('utf8', 4) }
    case 0x81:
      return { type: 'answer', status: bytes.readUInt16BE(2), length: Number(bytes.readBigUInt64BE(4)) }
    case 0x83:
      return { type: 'keyAnswer', status: bytes.readUInt16BE(2), request: bytes.readUInt16BE(4) }
    case 0x82: {
      const keys = []
      for (let at = 2; at < bytes.length;) {
        const version = bytes.readUInt32BE(at)
        const nameEnd = at + 8 + bytes.readUInt32BE(at + 4)
        const valueEnd = nameEnd + 4 + bytes.readUInt32BE(nameEnd)
        keys.push({
          name: bytes.toString('latin1', at + 8, nameEnd),
          value: bytes.toString('latin1', nameEnd + 4, valueEnd),
          version,
        })
        at = valueEnd
      }
      return { type: 'keys', keys }
    }
    case undefined:
    default:
      throw new Error(`the server sent a message of type ${bytes[0]}`)
  }
}

/** A client at the document door that sends what it is told to, and keeps all that comes. */
export class DocumentClient {
  readonly ws: WebSocket
  /** Frames as they came. */
  readonly frames: Buffer[] = []
  readonly heard: Heard[] = []
  closeCode: number | null = null
  /** Hears of each message when it is whole. */
  onHeard: (heard: Heard) => void = () => {}
  #parts: Buffer[] = []

  constructor(target: Target, { path = '/socket', ...options }: ClientOptions & { path?: string } = {}) {
    this.ws = new WebSocket(target.socketUrl(path), options)
    // One that is left open must not keep the test alive.
    this.ws.on('upgrade', (response) => response.socket.unref())
    this.ws.on('message', (data: Buffer) => this.#take(data))
    this.ws.on('error', () => {})
    this.ws.on('close', (code) => (this.closeCode = code))
  }

  async opened(): Promise<this> {
    if (this.ws.readyState !== WebSocket.OPEN) await once(this.ws, 'open')
    return this
  }

  send(...frames: (Buffer | string)[]): void {
    for (const frame of frames) this.ws.send(typeof frame === 'string' ? hex(frame) : frame)
  }

  /** What is there of a document, from the appends that came and those that were accepted. */
  all<Type extends Heard['type']>(type: Type): Extract<Heard, { type: Type }>[] {
    return this.heard.filter((heard) => heard.type === type) as Extract<Heard, { type: Type }>[]
  }

  /** Waits for the next frame that was not waited for yet, as hex. */
  async nextFrame(milliseconds = 5000): Promise<string> {
    await until('a frame comes', () => this.frames.length > 0, milliseconds)
    return (this.frames.shift() as Buffer).toString('hex')
  }

  /** Waits for a message of this type, the last one of them. */
  async hears<Type extends Heard['type']>(
    type: Type,
    count = 1,
    milliseconds = 5000,
  ): Promise<Extract<Heard, { type: Type }>> {
    await until(`it hears '${type}'`, () => this.all(type).length >= count, milliseconds)
    return this.all(type)[count - 1] as Extract<Heard, { type: Type }>
  }

  async ended(milliseconds = 5000): Promise<number | null> {
    await until('its connection ends', () => this.closeCode !== null, milliseconds)
    return this.closeCode
  }

  leave(): void {
    this.ws.terminate()
  }

  #take(frame: Buffer): void {
    this.frames.push(frame)
    this.#parts.push(this.#parts.length === 0 ? frame : frame.subarray(2))
    if (frame[1] !== 0) return
    const message = Buffer.concat(this.#parts)
    this.#parts = []
    const heard = understand(message)
    this.heard.push(heard)
    this.onHeard(heard)
  }
}
