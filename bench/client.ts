import { connect, type Socket } from 'node:net'
import type { Histogram } from '../src/edge/histogram.ts'

export type Target = { port: number } | { socketPath: string }

/** What all clients of one process share: the clock's readings and who wants to hear of what. */
export type Listeners = {
  latencies: Histogram
  /** The whole history that there was at entry has come. */
  admitted: (client: Client) => void
  /** A line that this client said itself has come back. */
  returned: (client: Client) => void
  /** The connection is gone. */
  gone: (client: Client) => void
}

const request = (path: string): string =>
  `GET ${path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
  'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n'

/** `{"type":"message","data":{"id":` and `{"type":"messages"`, by the positions of what tells them apart. */
const typeAt = 9
const afterMessage = 16
const messageIdAt = 31
const idMark = Buffer.from('{"id":')
/** The chat's `{"time":`, by its third letter; its lines end with `","id":` and the id. */
const chatAt = 3
const chatIdMark = Buffer.from('","id":')
const [quote, letterI, letterM, letterS, letterU, hash, at, zero, ping] = [
  0x22, 0x69, 0x6d, 0x73, 0x75, 0x23, 0x40, 0x30, 0x9,
]
/** `#IIIIII@TTTTTTTTTTTTTTTT"}}` ends a line that was said by a client here: its number, and when (microseconds). */
const indexDigits = 6
const timeDigits = 16
const tail = 3

/** One buffer for all sockets of the process: what is read is looked at before the next read. */
const readBuffer = Buffer.allocUnsafe(256 * 1024)

export const microseconds = (): number => Number(process.hrtime.bigint() / 1000n)

/** A line's text of `length` characters that tells who said it and when. */
export function stampedText(index: number, length: number): string {
  const stamp = `#${String(index).padStart(indexDigits, '0')}@${String(microseconds()).padStart(timeDigits, '0')}`
  return 'x'.repeat(Math.max(0, length - stamp.length)) + stamp
}

/**
 * A websocket client that looks at as little as it can: ids of lines and stamps of times are read from the bytes, and
 * no JSON is parsed. It costs about as much as the kernel's share of receiving.
 */
export class Client {
  readonly index: number
  readonly path: string
  readonly room: number
  readonly target: Target
  readonly #listeners: Listeners
  #socket: Socket | null = null
  #upgraded = false
  #rest: Buffer | null = null
  /** Bytes of a frame that need not be looked at. */
  #skip = 0
  #seen = 0
  /** With a history that is known to be long: admitted when this line has come. */
  readonly #historyEnd: number
  #admitted = false
  /** The highest id seen; history after it is asked for. */
  cursor: number
  /** When it began to connect, and when its first frame and the whole history were there (microseconds). */
  startedAt = 0
  firstFrameAt = 0
  admittedAt = 0
  /** Lines with ids above `after`: how many and the sum of their ids. */
  after: number
  count = 0
  sum = 0
  repeated = 0
  bytes = 0
  connects = 0

  constructor(
    given: { index: number; path: string; room: number; first: number; historyEnd: number; target: Target },
    listeners: Listeners,
  ) {
    this.index = given.index
    this.path = given.path
    this.room = given.room
    this.target = given.target
    this.cursor = given.first
    this.after = given.first
    this.#historyEnd = given.historyEnd
    this.#listeners = listeners
  }

  get isAdmitted(): boolean {
    return this.#admitted
  }

  connect(): void {
    this.connects++
    this.startedAt = microseconds()
    this.#upgraded = false
    this.#admitted = false
    this.#rest = null
    this.#skip = 0
    const where =
      'port' in this.target ? { port: this.target.port, host: '127.0.0.1' } : { path: this.target.socketPath }
    const socket = connect({
      ...where,
      onread: {
        buffer: readBuffer,
        callback: (bytes, buffer) => {
          this.#read((buffer as Buffer).subarray(0, bytes))
          return true
        },
      },
    })
    socket.once('connect', () => socket.write(request(this.path.replace('{first}', String(this.cursor)))))
    socket.on('error', () => undefined)
    socket.once('close', () => {
      if (this.#socket !== socket) return
      this.#socket = null
      this.#admitted = false
      this.#listeners.gone(this)
    })
    this.#socket = socket
  }

  /** Sends one JSON command in a frame whose mask is zero. */
  send(command: string): void {
    const payload = Buffer.from(command)
    const long = payload.length >= 126
    const header = Buffer.alloc(long ? 8 : 6)
    header[0] = 0x81
    header[1] = 0x80 | (long ? 126 : payload.length)
    if (long) header.writeUInt16BE(payload.length, 2)
    this.#socket?.write(Buffer.concat([header, payload]))
  }

  say(length: number): void {
    this.send(`{"type":"message","message":"${stampedText(this.index, length)}"}`)
  }

  pause(): void {
    this.#socket?.pause()
  }

  close(): void {
    const socket = this.#socket
    this.#socket = null
    socket?.destroy()
  }

  measure(after: number): void {
    this.after = after
    this.count = 0
    this.sum = 0
    this.repeated = 0
    this.bytes = 0
  }

  #read(chunk: Buffer): void {
    this.bytes += chunk.length
    let data = this.#rest ? Buffer.concat([this.#rest, chunk]) : chunk
    this.#rest = null
    if (!this.#upgraded) {
      const end = data.indexOf('\r\n\r\n')
      if (end < 0) {
        this.#rest = Buffer.from(data)
        return
      }
      if (data.toString('latin1', 9, 12) !== '101') {
        this.#socket?.destroy()
        return
      }
      this.#upgraded = true
      this.#seen = 0
      data = data.subarray(end + 4)
      // A bare server says nothing more.
      if (this.#historyEnd < 0) this.#nowAdmitted()
    }
    let from = 0
    if (this.#skip > 0) {
      from = Math.min(this.#skip, data.length)
      this.#skip -= from
    }
    while (data.length - from >= 2) {
      const short = (data[from + 1] ?? 0) & 0x7f
      const header = short < 126 ? 2 : short === 126 ? 4 : 10
      if (data.length - from < header) break
      const length =
        short < 126
          ? short
          : short === 126
            ? data.readUInt16BE(from + 2)
            : data.readUInt32BE(from + 2) * 2 ** 32 + data.readUInt32BE(from + 6)
      const start = from + header
      const end = start + length
      if (end > data.length) {
        // Of a list of people nothing is read: it may be long.
        if (
          data.length - start > afterMessage &&
          data[start + typeAt] !== letterM &&
          data[start + chatAt] !== letterI
        ) {
          this.#begin()
          this.#skip = end - data.length
          from = data.length
        }
        break
      }
      this.#take(data, from, start, end)
      from = end
    }
    if (from < data.length) this.#rest = Buffer.from(data.subarray(from))
  }

  #begin(): void {
    if (this.#seen++ === 0) this.firstFrameAt = microseconds()
  }

  #take(data: Buffer, frame: number, start: number, end: number): void {
    if (((data[frame] ?? 0) & 0xf) === ping) {
      // A pong with the same words, masked by zero.
      const words = data.subarray(start, end)
      this.#socket?.write(Buffer.concat([Buffer.from([0x8a, 0x80 | words.length, 0, 0, 0, 0]), words]))
      return
    }
    this.#begin()
    if (data[start + chatAt] === letterI) {
      const id = data.lastIndexOf(chatIdMark, end)
      this.#line(readNumber(data, id + chatIdMark.length))
      this.#stamped(data, id - timeDigits)
      if (!this.#admitted && this.cursor >= this.#historyEnd) this.#nowAdmitted()
      return
    }
    // The chat's `{"authenticated":true}`.
    if (data[start + chatAt] === letterU && this.cursor >= this.#historyEnd) this.#nowAdmitted()
    if (data[start + typeAt] !== letterM) return
    if (data[start + afterMessage] === quote) {
      this.#line(readNumber(data, start + messageIdAt))
      this.#stamped(data, end - tail - timeDigits)
    } else if (data[start + afterMessage] === letterS) {
      let found = start - 1
      while ((found = data.indexOf(idMark, found + 1)) >= 0 && found < end)
        this.#line(readNumber(data, found + idMark.length))
      if (!this.#admitted && this.cursor >= this.#historyEnd) this.#nowAdmitted()
    }
  }

  /** `time`: where a line that was said by a client here has its time. */
  #stamped(data: Buffer, time: number): void {
    if (data[time - 1] !== at || data[time - 2 - indexDigits] !== hash) return
    this.#listeners.latencies.add((microseconds() - readNumber(data, time)) / 1000)
    if (readNumber(data, time - 1 - indexDigits) === this.index) this.#listeners.returned(this)
  }

  #nowAdmitted(): void {
    this.#admitted = true
    this.admittedAt = microseconds()
    this.#listeners.admitted(this)
  }

  #line(id: number): void {
    if (id <= this.cursor) this.repeated++
    else this.cursor = id
    if (id <= this.after) return
    this.count++
    this.sum += id
  }
}

function readNumber(data: Buffer, from: number): number {
  let value = 0
  for (let i = from; ; i++) {
    const digit = (data[i] ?? 0) - zero
    if (digit < 0 || digit > 9) return value
    value = value * 10 + digit
  }
}
