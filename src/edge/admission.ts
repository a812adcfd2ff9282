import type { Socket as NetSocket } from 'node:net'
import { clientNetwork } from './remote.ts'

export type AdmissionLimits = Readonly<{
  /** Websockets in all, and from one client; 0 is without limit. */
  maxConnections: number
  maxPerAddress: number
  /** Connections that are no websockets (yet). */
  maxPending: number
  /** How long one of these may take to send a request. */
  requestTimeoutMs: number
}>

/**
 * Bounds what strangers can hold open: connections that never ask for anything or never finish asking, and websockets
 * by their number. Whoever is refused finds no page that gives up: browsers come back.
 */
export class Admission {
  readonly #limits: AdmissionLimits
  readonly #clock: () => number
  /** By the time of their beginning, or of their last request: the oldest first. */
  readonly #pending = new Map<NetSocket, number>()
  readonly #perNetwork = new Map<string, number>()
  #connections = 0
  readonly #timer: NodeJS.Timeout

  constructor(limits: AdmissionLimits, clock: () => number) {
    this.#limits = limits
    this.#clock = clock
    this.#timer = setInterval(() => this.#sweep(), Math.min(1000, limits.requestTimeoutMs / 4))
  }

  /** A connection has been made. Where there are too many, the one that has kept us waiting for longest is cut. */
  connected(socket: NetSocket): void {
    this.#pending.set(socket, this.#clock())
    if (this.#pending.size <= this.#limits.maxPending) return
    this.#forgetEnded()
    const [oldest] = this.#pending.keys()
    if (this.#pending.size > this.#limits.maxPending && oldest) this.#cut(oldest)
  }

  /** It has sent a request: it may take its time for the next one anew. */
  requested(socket: NetSocket): void {
    if (!this.#pending.delete(socket)) return
    this.#pending.set(socket, this.#clock())
  }

  /** Why one more websocket from `address` cannot be: too many in all, or from there; null if it can. */
  refusal(address: string): 'too many connections' | 'too many connections from this address' | null {
    const { maxConnections, maxPerAddress } = this.#limits
    if (maxConnections > 0 && this.#connections >= maxConnections) return 'too many connections'
    const network = clientNetwork(address)
    // A proxy on this machine that was not announced is no client.
    if (network === null || maxPerAddress === 0) return null
    if ((this.#perNetwork.get(network) ?? 0) < maxPerAddress) return null
    return 'too many connections from this address'
  }

  /** The connection has become a websocket. */
  opened(socket: NetSocket, address: string): void {
    this.#pending.delete(socket)
    this.#connections++
    this.#count(address, 1)
  }

  closed(address: string): void {
    this.#connections--
    this.#count(address, -1)
  }

  get connections(): number {
    return this.#connections
  }

  get pending(): number {
    this.#forgetEnded()
    return this.#pending.size
  }

  close(): void {
    clearInterval(this.#timer)
  }

  #count(address: string, change: 1 | -1): void {
    const network = clientNetwork(address)
    if (network === null) return
    const count = (this.#perNetwork.get(network) ?? 0) + change
    if (count > 0) this.#perNetwork.set(network, count)
    else this.#perNetwork.delete(network)
  }

  #forgetEnded(): void {
    for (const socket of this.#pending.keys()) if (socket.destroyed) this.#pending.delete(socket)
  }

  #sweep(): void {
    this.#forgetEnded()
    const before = this.#clock() - this.#limits.requestTimeoutMs
    for (const [socket, since] of this.#pending) {
      if (since > before) return
      this.#cut(socket)
    }
  }

  #cut(socket: NetSocket): void {
    this.#pending.delete(socket)
    socket.destroy()
  }
}
