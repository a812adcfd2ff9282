import { connect, type Socket } from 'node:net'
import { crc32 } from 'node:zlib'
import { appendMessage, type Bytes, framesOf, initMessage } from '../../src/page/client/sketch/protocol.ts'
import { microseconds } from '../client.ts'
import type { Times } from './times.ts'

/** Where the document protocol is spoken. */
export type Door = { host: string; port: number; path: string }

export type Listeners = {
  /** How long each change was under way from one screen to another. */
  times: Times
  /** What there was at entry has come. */
  admitted: (client: DocumentClient) => void
  gone: (client: DocumentClient) => void
}

const [append2, append3, answer, more] = [2, 5, 0x81, 0xff]
const [opText, opBinary, opPing, opPong] = [1, 2, 9, 10]
/** A change begins with this, and with when it was made. */
const mark = Buffer.from('PLNM')
const stampLength = mark.length + 8

/** One buffer for all sockets of the process: what is read is looked at before the next read. */
const readBuffer = Buffer.allocUnsafe(1024 * 1024)

export function stampedChange(length: number): Uint8Array {
  const change = Buffer.alloc(Math.max(length, stampLength), 'x')
  mark.copy(change)
  change.writeBigUInt64BE(BigInt(microseconds()), mark.length)
  return change
}

type Sent = { data: Uint8Array; answered: (taken: boolean) => void }

/**
 * A client of the document protocol that keeps no document: only its length and its checksum, which tell whether anything
 * is missing, comes twice or is in another order than with others.
 */
export class DocumentClient {
  readonly #door: Door
  readonly #id: string
  readonly #listeners: Listeners
  #socket: Socket | null = null
  #upgraded = false
  #rest: Buffer | null = null
  #admitted = false
  /** More of an append's data is to come, or of another message. */
  #continues: 'append' | 'other' | null = null
  /** What was sent and is not answered, and how long the document is with it. */
  #sent: Sent[] = []
  #end = 0
  /** After a refusal: go on when the document is as long as this. */
  #awaited: { length: number; goOn: () => void } | null = null
  length = 0
  checksum = 0
  /** Changes of others since `measure`. */
  delivered = 0
  lost = 0
  repeated = 0
  refused = 0

  constructor(door: Door, id: string, listeners: Listeners) {
    this.#door = door
    this.#id = id
    this.#listeners = listeners
  }

  get isAdmitted(): boolean {
    return this.#admitted
  }

  connect(): void {
    const { host, port, path } = this.#door
    const socket = connect({
      host,
      port,
      noDelay: true,
      onread: {
        buffer: readBuffer,
        callback: (bytes, buffer) => {
          this.#read((buffer as Buffer).subarray(0, bytes))
          return true
        },
      },
    })
    socket.once('connect', () =>
      socket.write(
        `GET ${path} HTTP/1.1\r\nHost: ${host}:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
          'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n',
      ),
    )
    socket.on('error', () => undefined)
    socket.once('close', () => {
      if (this.#socket !== socket) return
      this.#socket = null
      for (const { answered } of this.#sent.splice(0)) answered(false)
      this.#awaited?.goOn()
      this.#listeners.gone(this)
    })
    this.#socket = socket
  }

  close(): void {
    const socket = this.#socket
    this.#socket = null
    socket?.destroy()
  }

  measure(): void {
    this.delivered = this.lost = this.repeated = this.refused = 0
  }

  /** Appends where the document will end when all that was sent before is taken. Resolves with whether it was. */
  append(data: Uint8Array): Promise<boolean> {
    return new Promise((resolve) => {
      if (this.#sent.length === 0) this.#end = this.length
      this.#sent.push({ data, answered: resolve })
      this.#write(appendMessage(this.#end, data))
      this.#end += data.length
    })
  }

  /** Appends among others: after a refusal it waits for what was first and tries again. */
  async change(data: Uint8Array): Promise<void> {
    while (this.#socket && !(await this.append(data)))
      await new Promise<void>((resolve) => {
        if (!this.#awaited || !this.#socket) return resolve()
        this.#awaited.goOn = resolve
        this.#mayGoOn()
      })
  }

  #write(message: Bytes): void {
    for (const frame of framesOf(message)) this.#writeFrame(opBinary, frame)
  }

  /** The mask is zero. */
  #writeFrame(opcode: number, payload: Uint8Array): void {
    const { length } = payload
    const header = Buffer.alloc(length < 126 ? 6 : length < 65_536 ? 8 : 14)
    header[0] = 0x80 | opcode
    header[1] = 0x80 | (length < 126 ? length : length < 65_536 ? 126 : 127)
    if (header.length === 8) header.writeUInt16BE(length, 2)
    if (header.length === 14) header.writeBigUInt64BE(BigInt(length), 2)
    this.#socket?.write(Buffer.concat([header, payload]))
  }

  #read(chunk: Buffer): void {
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
      data = data.subarray(end + 4)
      this.#write(initMessage(this.#id, 0))
    }
    let from = 0
    while (data.length - from >= 2) {
      const short = (data[from + 1] ?? 0) & 0x7f
      const header = short < 126 ? 2 : short === 126 ? 4 : 10
      if (data.length - from < header) break
      const length =
        short < 126
          ? short
          : short === 126
            ? data.readUInt16BE(from + 2)
            : Number(data.readBigUInt64BE(from + 2))
      const end = from + header + length
      if (end > data.length) break
      const payload = data.subarray(from + header, end)
      const opcode = (data[from] ?? 0) & 0xf
      if (opcode === opPing) this.#writeFrame(opPong, payload)
      else if (opcode === opBinary || opcode === opText) this.#hear(payload)
      from = end
    }
    if (from < data.length) this.#rest = Buffer.from(data.subarray(from))
  }

  /** A long message is looked at piece by piece, as its frames come. */
  #hear(frame: Buffer): void {
    const [kind, hasMore] = frame
    const isAppend = kind === append2 || kind === append3
    if (kind === more && this.#continues === 'append') this.#take(frame.subarray(2))
    else if (isAppend) this.#hearAppend(frame, kind === append2 ? 2 : 6)
    else if (kind === answer) this.#hearAnswer(frame.readUInt16BE(2), Number(frame.readBigUInt64BE(4)))
    if (hasMore !== 0) {
      this.#continues = isAppend ? 'append' : (this.#continues ?? 'other')
      return
    }
    const wasAppend = isAppend || this.#continues === 'append'
    this.#continues = null
    if (wasAppend && !this.#admitted) {
      this.#admitted = true
      this.#listeners.admitted(this)
    }
  }

  #hearAppend(frame: Buffer, offsetAt: number): void {
    const offset = Number(frame.readBigUInt64BE(offsetAt))
    const data = frame.subarray(offsetAt + 8)
    if (this.#admitted) {
      this.delivered++
      if (data.length >= stampLength && data.subarray(0, mark.length).equals(mark))
        this.#listeners.times.add(microseconds() - Number(data.readBigUInt64BE(mark.length)))
      if (offset > this.length) this.lost++
      if (offset < this.length) this.repeated++
    }
    // Who enters a document that has just been created may be told of its end alone.
    this.length = offset
    this.#take(data)
  }

  #hearAnswer(result: number, length: number): void {
    const sent = this.#sent.shift()
    if (!sent) return
    if (result === 1) this.#take(sent.data)
    else {
      this.refused++
      this.#awaited = { length, goOn: () => undefined }
    }
    sent.answered(result === 1)
  }

  #take(data: Uint8Array): void {
    this.length += data.length
    this.checksum = crc32(data, this.checksum)
    if (this.#awaited) this.#mayGoOn()
  }

  #mayGoOn(): void {
    if (!this.#awaited || this.length < this.#awaited.length) return
    const { goOn } = this.#awaited
    this.#awaited = null
    goOn()
  }
}
