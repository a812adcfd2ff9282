import type { Socket } from '../edge/socket.ts'

/** `readers`: everyone but those who still lack older lines. */
export type Audience = 'everyone' | 'readers' | 'admins' | 'members'

export type Recipient = {
  readonly socket: Socket
  readonly admin: boolean
  /** The id after which he still lacks lines; null for one who has them all. */
  readonly behind: number | null
  /** Whether he speaks the newer form of the door's protocol. */
  readonly newer: boolean
}

type Entry = { to: Audience; frame: Buffer | null; newer: Buffer | null }

/**
 * Collects a room's frames in order and hands each socket its share in one write at the end of the event-loop turn.
 * The bytes are the same for all of an audience. Whoever changes who is in the room, or in which audience, calls
 * `flush` first: a frame goes to those who were there when it was sent.
 */
export class Outbox {
  readonly #recipients: ReadonlyMap<unknown, Recipient>
  readonly #flushed: (milliseconds: number, deliveries: number) => void
  #queue: Entry[] = []
  #scheduled: NodeJS.Immediate | null = null

  /** `flushed` is told how long each flush took (milliseconds), and how many frames it handed to sockets. */
  constructor(
    recipients: ReadonlyMap<unknown, Recipient>,
    flushed: (milliseconds: number, deliveries: number) => void,
  ) {
    this.#recipients = recipients
    this.#flushed = flushed
  }

  /** `newer` is for those who speak the newer form of the protocol; null: nothing for these, or for the others. */
  send(to: Audience, frame: Buffer | null, newer = frame): void {
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
    const shares = new Map<string, Share>()
    let deliveries = 0
    for (const { socket, admin, behind, newer } of this.#recipients.values()) {
      const audience = `${admin ? 'admins' : 'members'}${behind === null ? '' : ' behind'}${newer ? ' newer' : ''}`
      let share = shares.get(audience)
      if (!share) {
        share = join(queue, [admin ? 'admins' : 'members', behind === null ? 'readers' : 'everyone'], newer)
        shares.set(audience, share)
      }
      if (share.frames > 0) socket.write(share.bytes)
      deliveries += share.frames
    }
    this.#flushed(performance.now() - begun, deliveries)
  }
}

/** What an audience gets in a flush. */
type Share = { bytes: Buffer[]; frames: number }

function join(queue: readonly Entry[], audiences: readonly Audience[], isNewer: boolean): Share {
  const frames = queue.flatMap(({ to, frame, newer }) => {
    const own = isNewer ? newer : frame
    return own && (to === 'everyone' || audiences.includes(to)) ? [own] : []
  })
  return { bytes: frames.length > 1 ? [Buffer.concat(frames)] : frames, frames: frames.length }
}
