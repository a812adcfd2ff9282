import type { Socket } from '../edge/socket.ts'

export type Audience = 'everyone' | 'admins' | 'members' | Socket
type Recipient = { socket: Socket; admin: boolean }

/**
 * Collects a room's frames in order and hands each socket its share in one write at the end of the event-loop turn.
 * Frames for many are the same bytes for all of them. Whoever changes who is in the room, or who is an admin, calls
 * `flush` first: a frame goes to those who were there when it was sent.
 */
export class Outbox {
  readonly #recipients: () => Iterable<Recipient>
  #queue: { to: Audience; frame: Buffer }[] = []
  #scheduled: NodeJS.Immediate | null = null

  constructor(recipients: () => Iterable<Recipient>) {
    this.#recipients = recipients
  }

  send(to: Audience, frame: Buffer): void {
    this.#queue.push({ to, frame })
    this.#scheduled ??= setImmediate(() => this.flush())
  }

  flush(): void {
    if (this.#scheduled) clearImmediate(this.#scheduled)
    this.#scheduled = null
    const queue = this.#queue
    if (queue.length === 0) return
    this.#queue = []

    const single = new Set<Socket>()
    for (const { to } of queue) if (typeof to === 'object') single.add(to)
    const shared = { admins: join(queue, 'admins'), members: join(queue, 'members') }

    for (const { socket, admin } of this.#recipients()) {
      if (single.has(socket)) continue
      const frames = admin ? shared.admins : shared.members
      if (frames.length > 0) socket.write(frames)
    }
    if (single.size === 0) return
    const roles = new Map<Socket, boolean>()
    for (const { socket, admin } of this.#recipients()) if (single.has(socket)) roles.set(socket, admin)
    for (const socket of single) {
      const admin = roles.get(socket)
      const mine = queue.filter(
        ({ to }) =>
          to === socket ||
          (admin !== undefined && (to === 'everyone' || to === (admin ? 'admins' : 'members'))),
      )
      socket.write(mine.map(({ frame }) => frame))
    }
  }
}

function join(queue: readonly { to: Audience; frame: Buffer }[], role: 'admins' | 'members'): Buffer[] {
  const frames = queue.filter(({ to }) => to === 'everyone' || to === role).map(({ frame }) => frame)
  return frames.length > 1 ? [Buffer.concat(frames)] : frames
}
