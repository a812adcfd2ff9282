/**
 * The messages of Zwibbler's collaboration protocol, versions 2 and 3 (docs/document.md). All integers are unsigned and
 * big-endian; byte 0 of each frame is its type, byte 1 says whether more of the message follows.
 */
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

/** Either form is taken from everyone. */
export const appendTypes: ReadonlySet<number> = new Set([types.append2, types.append3])

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
const defaultLongest = 102_400
/**
 * Frames are cut anew for each of these, so that there are few: a client gets the longest that is not longer than what it
 * asks for. The shortest is for all who ask for less. Longer ones are asked for by nobody.
 */
const maxFrameClasses = [262_144, defaultLongest, 65_536, 16_384, 4096] as const
/** What every client takes as one frame. */
export const minLongest = 4096
/** Broadcasts are for pointers and the like: what is told to everyone and kept nowhere. */
const maxBroadcast = 64 * 1024
const maxIdLengths = { 2: 255, 3: 1024 } as const

/** A message of the type `kind` that was longer than `limit`. */
export type TooLong = Readonly<{ type: 'tooLong'; kind: number; limit: number }>

/** What is told of a message that has more than `limit` bytes; its connection may go on. */
export const tooLongFault = (limit: number): Fault =>
  fault(`a message of more than ${limit} bytes is not taken`)

const tooShort = fault('the message is shorter than its fields')

const broadcastHead = 6

/** How long a message of the type may be, where none may be longer than `limit`. */
export const maxLengthOf = (kind: number, limit: number): number =>
  kind === types.broadcast ? Math.min(broadcastHead + maxBroadcast, limit) : limit

const classOf = (longest: number): number =>
  longest === 0 ? defaultLongest : (maxFrameClasses.find((most) => most <= longest) ?? minLongest)

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
  if (length < 1 || length > maxIdLengths[version])
    return fault(`an id has 1 to ${maxIdLengths[version]} bytes in version ${version}`)
  if (bytes.length < at.id + length) return null
  const longest = bytes.readUInt32BE(4)
  return {
    type: 'init',
    version,
    longest: classOf(longest),
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
