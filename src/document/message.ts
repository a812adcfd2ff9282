import { binaryFrame } from '../edge/frame.ts'
import type { Frame } from '../hub/broadcaster.ts'
import { Fragmenter, frameMessage } from './fragments.ts'
import { minLongest } from './protocol.ts'

const sliceBytes = 512 * 1024

/** A message for many: its frames are made once for each maximum of theirs, however many they are. */
export class Message {
  readonly #head: Buffer
  readonly #data: Buffer
  /** By the maximum. */
  readonly #frames = new Map<number, Buffer>()

  /** `head` has the type, MORE and what else stands before the data. */
  constructor(head: Buffer, data: Buffer) {
    this.#head = head
    this.#data = data
  }

  get length(): number {
    return this.#head.length + this.#data.length
  }

  /** For the broadcaster. */
  get frame(): Frame {
    if (this.length <= minLongest) return binaryFrame([this.#head, this.#data])
    return (longest) => this.framesFor(longest)
  }

  /** For a client that takes no longer frames. */
  framesFor(longest: number): Buffer {
    const known = this.#frames.get(this.#form(longest))
    if (known) return known
    const frames = frameMessage(this.#head, this.#data, longest)
    this.#frames.set(this.#form(longest), frames)
    return frames
  }

  isReady(longest: number): boolean {
    return this.#frames.has(this.#form(longest))
  }

  /** Makes the frames for this maximum, a slice in each turn of the event loop. */
  async prepare(longest: number): Promise<void> {
    const fragmenter = new Fragmenter(this.#head, longest)
    const slices: Buffer[] = []
    let size = 0
    for (let at = 0; at < this.#data.length; at += sliceBytes) {
      const data = this.#data.subarray(at, at + sliceBytes)
      const frames = at + sliceBytes < this.#data.length ? fragmenter.push(data) : fragmenter.end(data)
      slices.push(frames)
      size += frames.length
      await nextTurn()
    }
    const all = Buffer.allocUnsafeSlow(size)
    let at = 0
    for (const slice of slices.splice(0)) {
      at += slice.copy(all, at)
      await nextTurn()
    }
    this.#frames.set(this.#form(longest), all)
  }

  /** Where it is one frame it is the same for all. */
  #form(longest: number): number {
    return Math.min(longest, this.length)
  }
}

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
