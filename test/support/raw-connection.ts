import { once } from 'node:events'
import { connect as connectSocket } from 'node:net'
import type { Socket } from 'node:net'

/** A TCP connection for whatever bytes a test wants to send, with everything that came back. */
export class RawConnection {
  readonly socket: Socket
  readonly #chunks: Buffer[] = []
  readonly #wakers = new Set<() => void>()
  readonly #ended: Promise<void>
  #hasEnded = false

  constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (chunk) => {
      this.#chunks.push(chunk)
      this.#wake()
    })
    socket.on('error', () => {}) // 'close' follows
    // The server's end is the end: half a connection is of no use to a test.
    socket.on('end', () => socket.destroy())
    this.#ended = new Promise((resolve) => {
      socket.once('close', () => {
        this.#hasEnded = true
        resolve()
        this.#wake()
      })
    })
  }

  /** Settles when the connection has ended, whoever ended it. */
  get ended(): Promise<void> {
    return this.#ended
  }

  get hasEnded(): boolean {
    return this.#hasEnded
  }

  /** Everything that came so far, as the bytes that they are. */
  get received(): Buffer {
    const all = Buffer.concat(this.#chunks)
    this.#chunks.splice(0, this.#chunks.length, all)
    return all
  }

  /** Takes what came so far away from `received`. */
  take(): Buffer {
    const all = this.received
    this.#chunks.length = 0
    return all
  }

  write(bytes: Buffer | string): void {
    if (this.socket.writable) this.socket.write(bytes)
  }

  /** Resolves when `done` says so, or when the connection has ended: then to false. */
  async until(done: () => boolean): Promise<boolean> {
    for (;;) {
      if (done()) return true
      if (this.#hasEnded) return false
      await new Promise<void>((resolve) => {
        const wake = () => {
          this.#wakers.delete(wake)
          resolve()
        }
        this.#wakers.add(wake)
      })
    }
  }

  /** Ends the connection by a reset, as a client does that is gone; resolves when nothing is left of it here. */
  async reset(): Promise<void> {
    this.socket.resetAndDestroy()
    await this.#ended
  }

  #wake(): void {
    for (const wake of this.#wakers) wake()
  }
}

export async function openRaw(port: number): Promise<RawConnection> {
  const socket = connectSocket({ port, host: '127.0.0.1', noDelay: true })
  await once(socket, 'connect')
  return new RawConnection(socket)
}

export interface UpgradeOptions {
  method?: string
  /** Replaces what a well-behaved client would send, or adds to it; null leaves a header out. */
  headers?: Record<string, string | null>
}

/** The bytes of an upgrade request. `target` is sent as it is. */
export function upgradeRequest(
  target: string,
  { method = 'GET', headers = {} }: UpgradeOptions = {},
): Buffer {
  const all: Record<string, string | null> = {
    Host: 'localhost',
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
    'Sec-WebSocket-Version': '13',
    ...headers,
  }
  const lines = Object.entries(all).flatMap(([name, value]) => (value === null ? [] : [`${name}: ${value}`]))
  return Buffer.from([`${method} ${target} HTTP/1.1`, ...lines, '', ''].join('\r\n'), 'latin1')
}

export const opcodes = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const

export interface FrameOptions {
  opcode?: number
  /** False: more of the message follows. */
  fin?: boolean
  /** The three reserved bits, as a number. */
  reserved?: number
  masked?: boolean
  /** Four bytes; zero without: allowed, and cheap. */
  mask?: readonly number[]
  /** In how many bytes behind the second one the length stands (0, 2 or 8), in place of as few as it takes. */
  lengthBytes?: 0 | 2 | 8
  /** The length that the frame claims to have instead of its own. */
  announced?: bigint
}

/** One websocket frame as a client sends it (RFC 6455, 5.2), or as none should; an object goes as JSON. */
export function clientFrame(content: Buffer | string | object, options: FrameOptions = {}): Buffer {
  const { opcode = opcodes.text, fin = true, reserved = 0, masked = true, mask = [0, 0, 0, 0] } = options
  const bytes =
    typeof content === 'string' || Buffer.isBuffer(content)
      ? Buffer.from(content)
      : Buffer.from(JSON.stringify(content))
  const length = options.announced ?? BigInt(bytes.length)
  const lengthBytes = options.lengthBytes ?? (length < 126n ? 0 : length < 65_536n ? 2 : 8)
  const maskBit = masked ? 0x80 : 0
  const first = (fin ? 0x80 : 0) | (reserved << 4) | opcode
  let header
  if (lengthBytes === 0) header = Buffer.from([first, maskBit | Number(length)])
  else if (lengthBytes === 2) {
    header = Buffer.from([first, maskBit | 126, 0, 0])
    header.writeUInt16BE(Number(length), 2)
  } else {
    header = Buffer.from([first, maskBit | 127, 0, 0, 0, 0, 0, 0, 0, 0])
    header.writeBigUInt64BE(length, 2)
  }
  if (!masked) return Buffer.concat([header, bytes])
  const isPlain = mask.every((byte) => byte === 0)
  const payload = isPlain ? bytes : bytes.map((byte, index) => byte ^ mask[index % 4]!)
  return Buffer.concat([header, Buffer.from(mask), payload])
}

export interface ServerFrame {
  opcode: number
  payload: Buffer
  /** Whole, without reserved bits and unmasked, as this server sends them all. */
  isPlain: boolean
}

/** Takes the whole frames from the front of what a server sent, and returns them with the rest. */
export function readServerFrames(bytes: Buffer): { frames: ServerFrame[]; rest: Buffer } {
  const frames: ServerFrame[] = []
  let at = 0
  while (bytes.length - at >= 2) {
    const short = bytes[at + 1]! & 0x7f
    const header = short === 127 ? 10 : short === 126 ? 4 : 2
    if (bytes.length - at < header) break
    const length =
      short === 127
        ? Number(bytes.readBigUInt64BE(at + 2))
        : short === 126
          ? bytes.readUInt16BE(at + 2)
          : short
    if (bytes.length - at < header + length) break
    frames.push({
      opcode: bytes[at]! & 0x0f,
      isPlain: (bytes[at]! & 0xf0) === 0x80 && (bytes[at + 1]! & 0x80) === 0,
      payload: bytes.subarray(at + header, at + header + length),
    })
    at += header + length
  }
  return { frames, rest: bytes.subarray(at) }
}

/** Before the number of a ping, of which a test may send others. */
const ownPing = 'ping number '

/** A websocket for frames that no websocket library would send. */
export class RawWebSocket {
  readonly connection: RawConnection
  /** The texts that the server sent, as far as they were read. */
  readonly texts: string[] = []
  /** The code of the server's close frame, if there was one. */
  closeCode: number | undefined
  #rest: Buffer
  #pings = 0
  #lastPong = 0

  /** `early`: what came with the answer to the upgrade request. */
  constructor(connection: RawConnection, early: Buffer) {
    this.connection = connection
    this.#rest = early
  }

  /** Waits for the first text frame; undefined where the connection ended before. */
  async firstText(): Promise<string | undefined> {
    await this.connection.until(() => this.#read() && this.texts.length > 0)
    return this.texts[0]
  }

  /** Whether the server has read everything that was sent before. False when it has ended the connection. */
  async reachesServer(): Promise<boolean> {
    const mark = ++this.#pings
    this.connection.write(clientFrame(`${ownPing}${mark}`, { opcode: opcodes.ping }))
    return await this.connection.until(() => this.#read() && this.#lastPong >= mark)
  }

  /** Waits for the server to end the connection. */
  async untilEnded(): Promise<void> {
    await this.connection.until(() => !this.#read())
    this.#read()
  }

  #read(): true {
    const { frames, rest } = readServerFrames(Buffer.concat([this.#rest, this.connection.take()]))
    this.#rest = rest
    for (const { opcode, payload } of frames) {
      if (opcode === opcodes.text) this.texts.push(payload.toString())
      else if (opcode === opcodes.pong && payload.indexOf(ownPing) === 0)
        this.#lastPong = Number(payload.subarray(ownPing.length))
      else if (opcode === opcodes.close) this.closeCode = payload.length > 1 ? payload.readUInt16BE() : 1005
    }
    return true
  }
}

/** Upgrades without waiting for more than the server's first answer; throws where that is a refusal. */
export async function openRawWebSocket(
  port: number,
  path: string,
  options: UpgradeOptions = {},
): Promise<RawWebSocket> {
  const connection = await openRaw(port)
  connection.write(upgradeRequest(path, options))
  const end = () => connection.received.indexOf('\r\n\r\n')
  await connection.until(() => end() >= 0)
  const answer = connection.received.subarray(0, 12).toString('latin1')
  if (answer !== 'HTTP/1.1 101') {
    connection.socket.destroy()
    throw new Error(`the upgrade was answered by '${answer}'`)
  }
  const early = end() + 4
  return new RawWebSocket(connection, connection.take().subarray(early))
}
