import type { Socket } from '../edge/socket.ts'

export type Recipient<Audience extends string> = {
  readonly socket: Socket
  /** Of what he gets, beside what is for everyone. One and the same list for all who are in the same. */
  readonly audiences: readonly Audience[]
  /** Whether he speaks the newer form of the door's protocol. */
  readonly newer: boolean
}

type Entry<Audience> = { to: Audience | 'everyone'; frame: Buffer | null; newer: Buffer | null }

/**
 * Collects a room's frames in order and hands each socket its share in one write at the end of the event-loop turn.
 * The bytes are the same for all of an audience. Whoever changes who is in the room, or in which audience, calls
 * `flush` first: a frame goes to those who were there when it was sent.
 */
export class Outbox<Audience extends string> {
  readonly #recipients: ReadonlyMap<unknown, Recipient<Audience>>
  readonly #flushed: (milliseconds: number, deliveries: number) => void
  #queue: Entry<Audience>[] = []
  #scheduled: NodeJS.Immediate | null = null

  /** `flushed` is told how long each flush took (milliseconds), and how many frames it handed to sockets. */
  constructor(
    recipients: ReadonlyMap<unknown, Recipient<Audience>>,
    flushed: (milliseconds: number, deliveries: number) => void,
  ) {
    this.#recipients = recipients
    this.#flushed = flushed
  }

  /** `newer` is for those who speak the newer form of the protocol; null: nothing for these, or for the others. */
  send(to: Audience | 'everyone', frame: Buffer | null, newer = frame): void {
    this.#queue.push({ to, frame, newer })
    this.#scheduled ??= setImmediate(() => this.flush())
  }

  flush(): void {
    if (this.#scheduled) clearImmediate(this.#scheduled)
    this.#scheduled = null
    const queue = this.#queue
    if (queue.length === 0) return
    this.#queue = []
    const begun = performance.now()
    const shares = {
      older: new Map<readonly Audience[], Share>(),
      newer: new Map<readonly Audience[], Share>(),
    }
    let deliveries = 0
    for (const { socket, audiences, newer } of this.#recipients.values()) {
      const known = newer ? shares.newer : shares.older
      let share = known.get(audiences)
      if (!share) {
        share = join(queue, audiences, newer)
        known.set(audiences, share)
      }
      if (share.frames > 0) socket.write(share.bytes)
      deliveries += share.frames
    }
    this.#flushed(performance.now() - begun, deliveries)
  }
}

/** What an audience gets in a flush. */
type Share = { bytes: Buffer[]; frames: number }

function join<Audience extends string>(
  queue: readonly Entry<Audience>[],
  audiences: readonly Audience[],
  isNewer: boolean,
): Share {
  const frames = queue.flatMap(({ to, frame, newer }) => {
    const own = isNewer ? newer : frame
    return own && (to === 'everyone' || audiences.includes(to)) ? [own] : []
  })
  return { bytes: frames.length > 1 ? [Buffer.concat(frames)] : frames, frames: frames.length }
}
