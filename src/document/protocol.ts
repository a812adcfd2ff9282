/**
 * The messages of Zwibbler's collaboration protocol, versions 2 and 3 (docs/document.md). All integers are unsigned and
 * big-endian; byte 0 of each frame is its type, byte 1 says whether more of the message follows.
 */
import { headerOf, writeBinaryHeader } from '../edge/frame.ts'
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
  /** The database does not give it, or does not take it, for good. */
  unreadable: fault('The database refuses this document: please tell the organisers'),
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

/** What the reference sends to clients that say nothing of it. */
const usualLongest = 102_400
/**
 * Frames are cut anew for each of these, so that there are few: a client gets the longest that is not longer than what it
 * asks for. The shortest is for all who ask for less. Longer ones are asked for by nobody.
 */
const frameClasses = [262_144, usualLongest, 65_536, 16_384, 4096] as const
/** What every client takes as one frame. */
export const shortestFrame = 4096
/** Broadcasts are for pointers and the like: what is told to everyone and kept nowhere. */
const mostBroadcast = 64 * 1024
const longestIds = { 2: 255, 3: 1024 } as const

const tooShort = fault('the message is shorter than its fields')

/** What one frame brings: a whole message, nothing yet, or that its message is not understood. */
export type Joined =
  | { type: 'message'; bytes: Buffer }
  | { type: 'incomplete' }
  | { type: 'tooLong'; kind: number; limit: number }
  | Fault

const noBytes = Buffer.alloc(0)
const frameHead = 2
const broadcastHead = 6

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

  /** How long a message of the type may be. */
  #limitOf(kind: number): number {
    return kind === types.broadcast ? Math.min(broadcastHead + mostBroadcast, this.#limit) : this.#limit
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
      return frame.length > this.#limitOf(kind)
        ? { type: 'tooLong', kind, limit: this.#limitOf(kind) }
        : { type: 'message', bytes: frame }
    const refused = this.part(frame)
    if (refused) return refused
    if (this.#head.length < frameHead || this.#kind === null) return fault('a frame has two bytes at least')
    const hasMore = this.#head[1] !== 0
    this.#head = noBytes
    if (hasMore) return { type: 'incomplete' }
    const begun = this.#kind
    const limit = this.#limitOf(begun)
    const isTooLong = this.#bytes > limit
    this.#kind = null
    this.#bytes = 0
    return isTooLong ? { type: 'tooLong', kind: begun, limit } : { type: 'message', bytes: this.#held.take() }
  }

  #take(part: Buffer): void {
    this.#bytes += part.length
    if (this.#bytes > this.#limitOf(this.#kind ?? types.more)) this.#held.clear()
    else this.#held.append(part)
  }
}

const frameClass = (longest: number): number =>
  longest === 0 ? usualLongest : (frameClasses.find((most) => most <= longest) ?? shortestFrame)

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
    longest: frameClass(longest),
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

/** What stands before the data of a broadcast. */
export function broadcastHeadOf(data: Buffer): Buffer {
  const head = Buffer.alloc(broadcastHead)
  head[0] = types.broadcast
  head.writeUInt32BE(data.length, 2)
  return head
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

/** How many bytes a key has in a message. */
export const encodedLength = ({ name, value }: Pick<Key, 'name' | 'value'>): number =>
  12 + name.length + value.length

/** Keys as a message has them, one behind the other, in memory of their own. */
export function encodeKeys(keys: readonly Key[]): Buffer {
  const size = keys.reduce((sum, key) => sum + encodedLength(key), 0)
  const bytes = Buffer.allocUnsafeSlow(size)
  let at = 0
  for (const { name, value, version } of keys) {
    at = bytes.writeUInt32BE(version, at)
    at = bytes.writeUInt32BE(name.length, at)
    at += name.copy(bytes, at)
    at = bytes.writeUInt32BE(value.length, at)
    at += value.copy(bytes, at)
  }
  return bytes
}

/** What stands before the keys that a message tells of. */
export const keysHead = Buffer.from([types.keys, 0])

/** The websocket frames of one message for a client that takes none longer than `longest`. */
export function frameMessage(head: Buffer, data: Buffer, longest: number): Buffer {
  return new Cutter(head, longest).end(data)
}

/** Cuts a message of which more is yet to come into websocket frames; the last of them is held until that is known. */
export class Cutter {
  readonly #longest: number
  #head: Buffer
  #rest: Buffer = noBytes

  /** `head` has the type, MORE and what else belongs to the first frame. */
  constructor(head: Buffer, longest: number) {
    this.#head = head
    this.#longest = longest
  }

  /** The frames that are whole with `data`, and not the last. */
  push(data: Buffer): Buffer {
    return this.#cut(data, false)
  }

  /** The frames that are left with `data`, the last of the message among them. */
  end(data: Buffer): Buffer {
    return this.#cut(data, true)
  }

  /** In one piece of memory: a message may have thousands of frames. */
  #cut(data: Buffer, isLast: boolean): Buffer {
    const total = this.#rest.length + data.length
    const parts: { head: Buffer; from: number; to: number; more: 0 | 1 }[] = []
    let [head, from, size] = [this.#head, 0, 0]
    const add = (to: number, more: 0 | 1): void => {
      parts.push({ head, from, to, more })
      const length = head.length + to - from
      size += headerOf(length) + length
      head = continuation
      from = to
    }
    while (total - from > this.#longest - head.length) add(from + this.#longest - head.length, 1)
    if (isLast) add(total, 0)
    const frames = Buffer.allocUnsafeSlow(size)
    let at = 0
    for (const { head, from, to, more } of parts) {
      const length = head.length + to - from
      writeBinaryHeader(frames, at, length)
      at += headerOf(length)
      head.copy(frames, at)
      frames[at + 1] = more
      at += head.length
      at += this.#copy(data, frames, at, from, to)
    }
    this.#head = head
    // A copy: what is held must not hold a page.
    const rest = Buffer.allocUnsafeSlow(total - from)
    this.#copy(data, rest, 0, from, total)
    this.#rest = rest
    return frames
  }

  /** Copies a part of what was held and `data`, taken as one. */
  #copy(data: Buffer, target: Buffer, at: number, from: number, to: number): number {
    const held = this.#rest.length
    if (from < held) this.#rest.copy(target, at, from, Math.min(to, held))
    if (to > held) data.copy(target, at + Math.max(0, held - from), Math.max(0, from - held), to - held)
    return to - from
  }
}

const continuation = Buffer.from([types.more, 0])
