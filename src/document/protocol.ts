/**
 * The messages of Zwibbler's collaboration protocol, versions 2 and 3 (docs/document.md). All integers are unsigned and
 * big-endian; byte 0 of each frame is its type, byte 1 says whether more of the message follows.
 */
import { binaryFrame } from '../edge/frame.ts'
import { GrowingBuffer } from '../edge/growing.ts'

export type Version = 2 | 3

export const types = {
  init: 0x01,
  append2: 0x02,
  setKey: 0x03,
  broadcast: 0x04,
  append3: 0x05,
  error: 0x80,
  appendAnswer: 0x81,
  keys: 0x82,
  setKeyAnswer: 0x83,
  more: 0xff,
} as const

/** What a client is told before its connection ends, or when something cannot be done. */
export type Fault = Readonly<{ type: 'fault'; code: 0 | 1 | 2 | 3 | 4; text: string }>

export const fault = (text: string): Fault => ({ type: 'fault', code: 0, text })

export const faults = {
  missing: { type: 'fault', code: 1, text: 'does not exist' },
  exists: { type: 'fault', code: 2, text: 'already exists' },
  offset: { type: 'fault', code: 3, text: 'invalid offset' },
  denied: { type: 'fault', code: 4, text: 'access denied' },
} as const satisfies Record<string, Fault>

/** What to do with the document that the init message names. */
export type Mode = 'openOrCreate' | 'open' | 'create'

export type Init = Readonly<{
  type: 'init'
  version: Version
  /** The longest frame that the client takes. */
  longest: number
  mode: Mode
  offset: number
  /** A document's id, or what stands for one. */
  id: Buffer
  data: Buffer
}>

export type Append = Readonly<{ type: 'append'; offset: number; data: Buffer }>
export type SetKey = Readonly<{
  type: 'setKey'
  request: number
  /** Whether it is stored with the document, or ends with the connection. */
  stored: boolean
  oldVersion: number
  newVersion: number
  name: Buffer
  value: Buffer
}>
export type Broadcast = Readonly<{ type: 'broadcast'; data: Buffer }>
export type Command = Append | SetKey | Broadcast

export type Key = Readonly<{ name: Buffer; value: Buffer; version: number }>

const usualLongest = 102_400
const leastLongest = 64
/** Longer frames are asked for by nobody, and would have to be held as a whole. */
const mostLongest = 256 * 1024
const longestIds = { 2: 255, 3: 1024 } as const

const tooShort = fault('the message is shorter than its fields')

/** What one frame brings: a whole message, nothing yet, or that its message is not understood. */
export type Joined =
  { type: 'message'; bytes: Buffer } | { type: 'incomplete' } | { type: 'tooLong'; kind: number } | Fault

const noBytes = Buffer.alloc(0)
const frameHead = 2

/**
 * Joins the frames of one client, and the parts of a frame, into messages of at most `limit` bytes. What is longer is not
 * kept, and told of when its end has come.
 */
export class Joiner {
  readonly #limit: number
  readonly #held: GrowingBuffer
  /** The type of the message under way. */
  #kind: number | null = null
  #bytes = 0
  /** Of the frame under way, as far as they have come: its type and MORE. */
  #head = noBytes

  constructor(limit: number) {
    this.#limit = limit
    this.#held = new GrowingBuffer(limit)
  }

  /** The memory that a message takes that is not complete yet. */
  get heldBytes(): number {
    return this.#held.capacity
  }

  /** What there is of that message. */
  get begun(): Buffer {
    return this.#held.view
  }

  /** Keeps nothing of a message that is not complete. */
  clear(): void {
    this.#held.clear()
  }

  /** Takes a part of a frame of which more is to come. */
  part(data: Buffer): Fault | null {
    let rest = data
    if (this.#head.length < frameHead) {
      const lacking = frameHead - this.#head.length
      rest = data.subarray(lacking)
      this.#head = Buffer.concat([this.#head, data.subarray(0, lacking)])
      const [kind, more] = this.#head
      if (kind === undefined || more === undefined) return null
      if (this.#kind !== null && kind !== types.more)
        return fault('a message began before the last one had ended')
      if (this.#kind === null) {
        if (kind === types.more) return fault('a continuation of no message')
        this.#kind = kind
        this.#take(this.#head)
      }
    }
    this.#take(rest)
    return null
  }

  /** Takes a frame, or what is left of the one of which there were parts. */
  push(frame: Buffer): Joined {
    const [kind, more] = frame
    const isAlone = this.#kind === null && this.#head.length === 0
    if (isAlone && kind !== undefined && kind !== types.more && more === 0)
      return frame.length > this.#limit ? { type: 'tooLong', kind } : { type: 'message', bytes: frame }
    const refused = this.part(frame)
    if (refused) return refused
    if (this.#head.length < frameHead || this.#kind === null) return fault('a frame has two bytes at least')
    const hasMore = this.#head[1] !== 0
    this.#head = noBytes
    if (hasMore) return { type: 'incomplete' }
    const begun = this.#kind
    const isTooLong = this.#bytes > this.#limit
    this.#kind = null
    this.#bytes = 0
    return isTooLong ? { type: 'tooLong', kind: begun } : { type: 'message', bytes: this.#held.take() }
  }

  #take(part: Buffer): void {
    this.#bytes += part.length
    if (this.#bytes > this.#limit) this.#held.clear()
    else this.#held.append(part)
  }
}

/** Understands the beginning of a client's first message, up to its id; null where more of it has to come. */
export function parseInitHead(bytes: Buffer): (Omit<Init, 'data'> & { length: number }) | Fault | null {
  const [kind] = bytes
  if (kind === undefined) return null
  if (kind !== types.init) return fault('the first message has to be init')
  if (bytes.length < 4) return null
  const version = bytes.readUInt16BE(2)
  if (version !== 2 && version !== 3) return fault('protocol versions 2 and 3 are understood')
  const at = version === 2 ? { offset: 9, length: 17, id: 18 } : { offset: 13, length: 21, id: 25 }
  if (bytes.length < at.id) return null
  const length = version === 2 ? bytes.readUInt8(at.length) : bytes.readUInt32BE(at.length)
  if (length < 1 || length > longestIds[version])
    return fault(`an id has 1 to ${longestIds[version]} bytes in version ${version}`)
  if (bytes.length < at.id + length) return null
  const longest = bytes.readUInt32BE(4)
  return {
    type: 'init',
    version,
    longest: longest === 0 ? usualLongest : Math.min(Math.max(longest, leastLongest), mostLongest),
    mode: modeOf(bytes.readUInt8(8)),
    offset: readOffset(bytes, at.offset),
    id: bytes.subarray(at.id, at.id + length),
    length: at.id + length,
  }
}

/** Understands a client's first message. */
export function parseInit(bytes: Buffer): Init | Fault {
  const head = parseInitHead(bytes)
  if (head === null) return tooShort
  if (head.type === 'fault') return head
  const { length, ...init } = head
  return { ...init, data: bytes.subarray(length) }
}

/** Understands any later message. Both forms of append are taken from everyone. */
export function parseCommand(bytes: Buffer): Command | Fault {
  switch (bytes[0]) {
    case types.append2:
      if (bytes.length < 10) return tooShort
      return { type: 'append', offset: readOffset(bytes, 2), data: bytes.subarray(10) }
    case types.append3:
      if (bytes.length < 14) return tooShort
      return { type: 'append', offset: readOffset(bytes, 6), data: bytes.subarray(14) }
    case types.broadcast:
      // The stated length is not looked at: clients that state a wrong one are heard by others.
      return bytes.length < 6 ? tooShort : { type: 'broadcast', data: bytes.subarray(6) }
    case types.setKey:
      return parseSetKey(bytes)
    case types.init:
      return fault('the document is open already')
    case undefined:
    default:
      return fault('a message of an unknown type')
  }
}

function parseSetKey(bytes: Buffer): SetKey | Fault {
  if (bytes.length < 17) return tooShort
  const nameEnd = 17 + bytes.readUInt32BE(13)
  if (bytes.length < nameEnd + 4) return tooShort
  const valueEnd = nameEnd + 4 + bytes.readUInt32BE(nameEnd)
  if (bytes.length < valueEnd) return tooShort
  return {
    type: 'setKey',
    request: bytes.readUInt16BE(2),
    stored: bytes[4] !== 0,
    oldVersion: bytes.readUInt32BE(5),
    newVersion: bytes.readUInt32BE(9),
    name: bytes.subarray(17, nameEnd),
    value: bytes.subarray(nameEnd + 4, valueEnd),
  }
}

const modeOf = (byte: number): Mode => (byte === 1 ? 'open' : byte === 2 ? 'create' : 'openOrCreate')

/** No document is so long that it matters what a number beyond the safe ones is. */
function readOffset(bytes: Buffer, at: number): number {
  const offset = bytes.readBigUInt64BE(at)
  return offset > Number.MAX_SAFE_INTEGER ? Infinity : Number(offset)
}

/** What stands before the data of an append, in the form of the version. */
export function appendHead(version: Version, offset: number): Buffer {
  const head = Buffer.alloc(version === 2 ? 10 : 14)
  head[0] = version === 2 ? types.append2 : types.append3
  head.writeBigUInt64BE(BigInt(offset), head.length - 8)
  return head
}

export function broadcastMessage(data: Buffer): Buffer {
  const head = Buffer.alloc(6)
  head[0] = types.broadcast
  head.writeUInt32BE(data.length, 2)
  return Buffer.concat([head, data])
}

export function errorMessage({ code, text }: Fault): Buffer {
  return Buffer.concat([Buffer.from([types.error, 0, 0, code]), Buffer.from(text)])
}

export const appendResults = { refused: 0, accepted: 1, notPermitted: 2 } as const

export function appendAnswer(result: keyof typeof appendResults, length: number): Buffer {
  const message = Buffer.alloc(12)
  message[0] = types.appendAnswer
  message[3] = appendResults[result]
  message.writeBigUInt64BE(BigInt(length), 4)
  return message
}

export function setKeyAnswer(done: boolean, request: number): Buffer {
  const message = Buffer.from([types.setKeyAnswer, 0, 0, Number(done), 0, 0])
  message.writeUInt16BE(request, 4)
  return message
}

export function keysMessage(keys: Iterable<Key>): Buffer {
  const parts = Array.from(keys).flatMap(({ name, value, version }) => {
    const head = Buffer.alloc(8)
    head.writeUInt32BE(version)
    head.writeUInt32BE(name.length, 4)
    const length = Buffer.alloc(4)
    length.writeUInt32BE(value.length)
    return [head, name, length, value]
  })
  return Buffer.concat([Buffer.from([types.keys, 0]), ...parts])
}

/** The websocket frames of one message for a client that takes none longer than `longest`. */
export function frameMessage(message: Buffer, longest: number): Buffer {
  if (message.length <= longest) return binaryFrame([message])
  const cutter = new Cutter(message.subarray(0, 2), longest)
  return Buffer.concat([...cutter.push(message.subarray(2)), cutter.finish()])
}

/** Cuts a message of which more is yet to come into websocket frames; the last of them is held until that is known. */
export class Cutter {
  readonly #longest: number
  #head: Buffer
  #rest: Buffer = Buffer.alloc(0)

  /** `head` has the type, MORE and what else belongs to the first frame. */
  constructor(head: Buffer, longest: number) {
    this.#head = head
    this.#longest = longest
  }

  /** The frames that are whole with `data`, and not the last. */
  push(data: Buffer): Buffer[] {
    const all = this.#rest.length === 0 ? data : Buffer.concat([this.#rest, data])
    const frames: Buffer[] = []
    let at = 0
    while (all.length - at > this.#longest - this.#head.length) {
      const end = at + this.#longest - this.#head.length
      frames.push(this.#frame(1, all.subarray(at, end)))
      this.#head = Buffer.from([types.more, 0])
      at = end
    }
    // A copy: what is held must not hold a page.
    this.#rest = Buffer.from(all.subarray(at))
    return frames
  }

  finish(): Buffer {
    return this.#frame(0, this.#rest)
  }

  #frame(more: 0 | 1, data: Buffer): Buffer {
    const frame = binaryFrame([this.#head, data])
    frame[frame.length - data.length - this.#head.length + 1] = more
    return frame
  }
}
