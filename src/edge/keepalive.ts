import type { LiveSocket } from './socket.ts'

/**
 * Pings every socket each `pingMs` and ends those from which nothing came for two and a half times as long (meeting
 * door spec, Time, keep-alive, end). Pings are spread over the interval.
 */
export class Keepalive {
  readonly #sockets = new Set<LiveSocket>()
  readonly #pingMs: number
  readonly #clock: () => number
  readonly #timer: NodeJS.Timeout
  readonly #whenEmpty: (() => void)[] = []
  #sweptAt: number

  constructor(deps: { pingMs: number; clock: () => number }) {
    this.#pingMs = deps.pingMs
    this.#clock = deps.clock
    this.#sweptAt = deps.clock()
    this.#timer = setInterval(() => this.#sweep(), Math.min(1000, deps.pingMs / 4))
  }

  add(socket: LiveSocket): void {
    socket.pingAt = Math.trunc(this.#clock() + this.#pingMs)
    this.#sockets.add(socket)
  }

  remove(socket: LiveSocket): void {
    this.#sockets.delete(socket)
    if (this.#sockets.size === 0) for (const resolve of this.#whenEmpty.splice(0)) resolve()
  }

  /** What waits for clients to read it, in bytes. */
  get unsentBytes(): number {
    let bytes = 0
    for (const socket of this.#sockets) bytes += socket.unsentBytes
    return bytes
  }

  /** Resolves when no socket is left. */
  emptied(): Promise<void> {
    if (this.#sockets.size === 0) return Promise.resolve()
    return new Promise((resolve) => this.#whenEmpty.push(resolve))
  }

  close(): void {
    clearInterval(this.#timer)
  }

  #sweep(): void {
    const now = this.#clock()
    // After a pause of this process (a suspended machine, SIGSTOP) the silence was ours: the peers' signs of life wait
    // in the kernel, so the time that we slept does not count against them.
    const slept = now - this.#sweptAt > this.#pingMs
    const pause = slept ? now - this.#sweptAt : 0
    this.#sweptAt = now
    for (const socket of this.#sockets) {
      if (slept) socket.lastSeen += Math.trunc(pause)
      // Of whom we read nothing nothing can come.
      if (socket.isPaused) continue
      if (now - socket.lastSeen > this.#pingMs * 2.5) socket.destroy()
      else if (now >= socket.pingAt) {
        socket.ping()
        socket.pingAt = Math.trunc(now + this.#pingMs)
      }
    }
  }
}
