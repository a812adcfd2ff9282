/** How messages come in several frames, and go in several: Zwibbler's continuations, and parts of frames. */
import { headerOf, writeBinaryHeader } from '../edge/frame.ts'
import { GrowingBuffer } from '../edge/growing.ts'
import { type Fault, fault, maxLengthOf, type TooLong, types } from './protocol.ts'

/** What one frame brings: a whole message, nothing yet, or that its message is not understood. */
export type Joined = { type: 'message'; bytes: Buffer } | { type: 'incomplete' } | TooLong | Fault

const noBytes = Buffer.alloc(0)
const frameHead = 2

/**
 * Joins the frames of one client, and the parts of a frame, into messages of at most `limit` bytes. What is longer is not
 * kept, and told of when its end has come.
 */
export class Reassembler {
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
      return frame.length > maxLengthOf(kind, this.#limit)
        ? { type: 'tooLong', kind, limit: maxLengthOf(kind, this.#limit) }
        : { type: 'message', bytes: frame }
    const refused = this.part(frame)
    if (refused) return refused
    if (this.#head.length < frameHead || this.#kind === null) return fault('a frame has two bytes at least')
    const hasMore = this.#head[1] !== 0
    this.#head = noBytes
    if (hasMore) return { type: 'incomplete' }
    const begun = this.#kind
    const limit = maxLengthOf(begun, this.#limit)
    const isTooLong = this.#bytes > limit
    this.#kind = null
    this.#bytes = 0
    return isTooLong ? { type: 'tooLong', kind: begun, limit } : { type: 'message', bytes: this.#held.take() }
  }

  #take(part: Buffer): void {
    this.#bytes += part.length
    if (this.#bytes > maxLengthOf(this.#kind ?? types.more, this.#limit)) this.#held.clear()
    else this.#held.append(part)
  }
}

/** The websocket frames of one message for a client that takes none longer than `longest`. */
export function frameMessage(head: Buffer, data: Buffer, longest: number): Buffer {
  return new Fragmenter(head, longest).end(data)
}

/** Cuts a message of which more is yet to come into websocket frames; the last of them is held until that is known. */
export class Fragmenter {
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
