import { fstatSync, writeSync } from 'node:fs'
import { Socket } from 'node:net'
import process from 'node:process'
import { isatty } from 'node:tty'

/** How much may wait for a reader that does not keep up. */
const defaultMostBytes = 1024 * 1024
const retryMs = 50
/** How long a last word waits for its reader. */
const maxWaitMs = 1000

/** Writes a part of what it is given and says how much. Throws an error with code EAGAIN instead of waiting. */
type WriteSome = (bytes: Uint8Array) => number

/** Pipes and sockets that we have made non-blocking: were these objects collected, their descriptors would be closed. */
const held = new Set<Socket>()

/**
 * Writes the log to a descriptor and never waits for who reads it: a pipe that nobody empties, a disk that is full, a
 * reader that is gone cost entries and nothing else. (Under Deno `process.stderr` stops the whole process until its
 * reader reads, and under both runtimes it ends the process when the reader is gone.)
 */
export class LogSink {
  readonly #writeSome: WriteSome
  readonly #maxBytes: number
  readonly #onRecovered: (gap: { lost: number; reason: string }) => void
  readonly #queue: Buffer[] = []
  /** Of `#queue`, and of its first one that has been written. */
  #queuedBytes = 0
  #writtenBytes = 0
  #lost = 0
  #untold = { lost: 0, reason: '' }
  /** A line was begun and could not be ended. */
  #torn = false
  #writing = false
  #timer: NodeJS.Timeout | null = null

  /** `onRecovered` hears that writing works again, and how many entries are missing before what it logs now. */
  constructor(
    descriptor: number,
    onRecovered: (gap: { lost: number; reason: string }) => void,
    maxBytes: number = defaultMostBytes,
  ) {
    this.#writeSome = withoutWaiting(descriptor)
    this.#onRecovered = onRecovered
    this.#maxBytes = maxBytes
  }

  /** How many entries could not be written since the start. */
  get lost(): number {
    return this.#lost
  }

  /** Writes a line, which ends in a line feed: at once, or when the reader takes it. */
  write(line: string): void {
    const bytes = Buffer.from(line)
    if (this.#queuedBytes + bytes.length > this.#maxBytes) return this.#lose('the reader does not keep up')
    this.#queue.push(bytes)
    this.#queuedBytes += bytes.length
    if (!this.#timer && !this.#writing) this.#pump()
  }

  /** Resolves when all has been written, or after so many milliseconds. */
  async flushed(milliseconds: number): Promise<void> {
    for (let waited = 0; this.#queue.length > 0 && waited < milliseconds; waited += retryMs)
      await new Promise((resolve) => setTimeout(resolve, retryMs))
  }

  #pump(): void {
    this.#timer = null
    this.#writing = true
    try {
      while (this.#queue.length > 0) if (!this.#writeFirst()) return this.#retry()
    } finally {
      this.#writing = false
    }
  }

  #retry(): void {
    this.#timer = setTimeout(() => this.#pump(), retryMs).unref()
  }

  /** False where the reader has to read before more can be written. */
  #writeFirst(): boolean {
    const [first] = this.#queue
    if (!first) return true
    try {
      if (this.#torn) {
        this.#writeSome(Buffer.from('\n'))
        this.#torn = false
      }
      this.#writtenBytes += this.#writeSome(first.subarray(this.#writtenBytes))
      if (this.#writtenBytes < first.length) return true
      this.#shift(first)
      if (this.#queuedBytes <= this.#maxBytes / 2) this.#tell()
    } catch (error) {
      if (codeOf(error) === 'EAGAIN') return false
      this.#torn ||= this.#writtenBytes > 0
      this.#shift(first)
      this.#lose(codeOf(error))
    }
    return true
  }

  #shift(first: Buffer): void {
    this.#queue.shift()
    this.#queuedBytes -= first.length
    this.#writtenBytes = 0
  }

  #lose(reason: string): void {
    this.#lost++
    this.#untold = { lost: this.#untold.lost + 1, reason }
  }

  #tell(): void {
    const gap = this.#untold
    this.#untold = { lost: 0, reason: '' }
    if (gap.lost > 0) this.#onRecovered(gap)
  }
}

/**
 * Writes what a command says, or a last word, before it returns. A reader that is gone wants no more, as
 * `plenum help | head -1`: that is no failure. Returns why it could not be written, or null.
 */
export function print(descriptor: number, text: string): string | null {
  let rest = Buffer.from(text)
  for (let waited = 0; rest.length > 0;) {
    try {
      rest = rest.subarray(writeSync(descriptor, rest))
    } catch (error) {
      const code = codeOf(error)
      if (code === 'EPIPE') return null
      if (code !== 'EAGAIN' || waited >= maxWaitMs) return code
      waited += retryMs
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, retryMs)
    }
  }
  return null
}

function withoutWaiting(descriptor: number): WriteSome {
  if (descriptor === process.stderr.fd && isatty(descriptor)) return throughTerminal()
  const stat = fstatSync(descriptor)
  // What the runtimes' network takes over is non-blocking from then on. A file has nobody wait.
  if (stat.isFIFO() || stat.isSocket())
    held.add(new Socket({ fd: descriptor, readable: false, writable: true }).unref())
  return (bytes) => writeSync(descriptor, bytes)
}

/** A terminal can be halted (Ctrl+S), and be gone. The descriptor stays as other programs expect it: they wait. */
function throughTerminal(): WriteSome {
  const { stderr } = process
  stderr.on('error', () => undefined)
  // What both runtimes do without being asked is to wait.
  const { _handle: handle } = stderr as { _handle?: { setBlocking?: (blocking: boolean) => void } }
  handle?.setBlocking?.(false)
  return (bytes) => {
    if (stderr.writableLength > 0) throw Object.assign(new Error('it is halted'), { code: 'EAGAIN' })
    stderr.write(bytes)
    return bytes.length
  }
}

function codeOf(error: unknown): string {
  const code: unknown = error instanceof Error && 'code' in error ? error.code : null
  return typeof code === 'string' ? code : 'unknown error'
}
