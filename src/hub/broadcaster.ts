import type { Socket } from '../edge/socket.ts'
import type { Format, Subscriber } from './subscriber.ts'

/** The bytes of a message, or how to cut it for subscribers who take no longer pieces; null is nothing. */
export type Frame = Buffer | ((longest: number) => Buffer) | null

/** What one subscriber gets in place of what all others get; null is nothing. */
type Exception = Readonly<{ socket: Socket; frame: Buffer | null }>

export type Entry<Audience extends string> = {
  readonly to: Audience | 'everyone' | null
  stock: Frame
  v1: Frame
  readonly except: Exception | null
}

/**
 * Collects a room's frames in order and hands each socket its share in one write at the end of the event-loop turn.
 * The bytes are the same for all of an audience. Whoever changes who is in the room, or in which audience, calls
 * `flush` first: a frame goes to those who were there when it was sent.
 */
export class Broadcaster<Audience extends string> {
  readonly #subscribers: ReadonlyMap<unknown, Subscriber<Audience>>
  readonly #flushed: (milliseconds: number, deliveries: number) => void
  #queue: Entry<Audience>[] = []
  #scheduled: NodeJS.Immediate | null = null

  /** `flushed` is told how long each flush took (milliseconds), and how many frames it handed to sockets. */
  constructor(
    subscribers: ReadonlyMap<unknown, Subscriber<Audience>>,
    flushed: (milliseconds: number, deliveries: number) => void,
  ) {
    this.#subscribers = subscribers
    this.#flushed = flushed
  }

  /** `v1` is for subscribers of that format, `stock` for the others; null is nothing. */
  send(to: Audience | 'everyone', stock: Frame, v1 = stock): void {
    this.#push({ to, stock, v1, except: null })
  }

  /** As `send`, but one subscriber gets something else. Returns what `withdraw` takes. */
  sendExcept(to: Audience | 'everyone', stock: Frame, v1: Frame, except: Exception | null): Entry<Audience> {
    return this.#push({ to, stock, v1, except })
  }

  /** In the same order as all else. */
  sendTo(socket: Socket, frame: Buffer): void {
    this.#push({ to: null, stock: null, v1: null, except: { socket, frame } })
  }

  /** What was sent and not flushed yet goes to nobody but to the one who gets something else. */
  withdraw(entry: Entry<Audience>): void {
    entry.stock = null
    entry.v1 = null
  }

  flush(): void {
    if (this.#scheduled) clearImmediate(this.#scheduled)
    this.#scheduled = null
    const queue = this.#queue
    if (queue.length === 0) return
    this.#queue = []
    const begun = performance.now()
    const exceptions = exceptionsOf(queue)
    const shares = new Map<readonly Audience[], Map<number, Share>>()
    // Where nothing is to be cut all of the same format get the same.
    const isCut = queue.some(({ stock, v1 }) => typeof stock === 'function' || typeof v1 === 'function')
    let deliveries = 0
    for (const { socket, audiences, format, longest = 0 } of this.#subscribers.values()) {
      const known = shares.get(audiences) ?? new Map<number, Share>()
      shares.set(audiences, known)
      const kind = (isCut ? longest * 2 : 0) + Number(format === 'v1')
      let share = known.get(kind)
      if (!share) {
        share = join(queue, audiences, format, longest)
        known.set(kind, share)
      }
      const own = exceptions.get(socket)
      const { bytes, frames } = own ? replace(share, own) : share
      if (bytes.length > 0) socket.write(bytes)
      deliveries += frames
    }
    this.#flushed(performance.now() - begun, deliveries)
  }

  #push(entry: Entry<Audience>): Entry<Audience> {
    this.#queue.push(entry)
    this.#scheduled ??= setImmediate(() => this.flush())
    return entry
  }
}

/** What an audience gets in a flush; `ends`: how far each entry's bytes go. */
type Share = { bytes: Buffer[]; frames: number; ends: number[] }

/** What a subscriber gets in place of the entries at these places of the queue. */
type Exceptions = { at: number; frame: Buffer | null }[]

function exceptionsOf(queue: readonly Entry<string>[]): Map<Socket, Exceptions> {
  const exceptions = new Map<Socket, Exceptions>()
  for (const [at, { except }] of queue.entries()) {
    if (!except) continue
    const known = exceptions.get(except.socket)
    if (known) known.push({ at, frame: except.frame })
    else exceptions.set(except.socket, [{ at, frame: except.frame }])
  }
  return exceptions
}

function join<Audience extends string>(
  queue: readonly Entry<Audience>[],
  audiences: readonly Audience[],
  format: Format,
  longest: number,
): Share {
  const ends: number[] = []
  let end = 0
  const frames = queue.flatMap(({ to, stock, v1 }) => {
    const frame = format === 'v1' ? v1 : stock
    const isFor = frame !== null && to !== null && (to === 'everyone' || audiences.includes(to))
    const own = isFor ? (typeof frame === 'function' ? frame(longest) : frame) : null
    end += own?.length ?? 0
    ends.push(end)
    return own ? [own] : []
  })
  return { bytes: frames.length > 1 ? [Buffer.concat(frames)] : frames, frames: frames.length, ends }
}

/** The share of a subscriber who gets something else in places: parts of the bytes that all others get, and their own. */
function replace({ bytes, frames, ends }: Share, own: Exceptions): { bytes: Buffer[]; frames: number } {
  const [all = Buffer.alloc(0)] = bytes
  const parts: Buffer[] = []
  let from = 0
  for (const { at, frame } of own) {
    const begin = ends[at - 1] ?? 0
    const end = ends[at] ?? begin
    if (begin > from) parts.push(all.subarray(from, begin))
    if (end > begin) frames--
    if (frame) {
      parts.push(frame)
      frames++
    }
    from = end
  }
  if (from < all.length) parts.push(all.subarray(from))
  return { bytes: parts, frames }
}
