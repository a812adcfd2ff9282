import type { Socket as NetSocket } from 'node:net'
import { transportOf } from './tls.ts'
import { clientAddress, clientNetwork, type ProxyTrust } from './remote.ts'

/** Where a connection stands: it has to ask, or to go on asking or reading; waits for our answer; has read it whole. */
export type Progress = 'asking' | 'owed' | 'answered'

/** `asking` is what has sent a request: with TLS not the connection itself. */
type Pending = { since: number; network: string | null; asking: NetSocket; progress: () => Progress }

/** Why a connection was cut. */
type Cut = 'too slow' | 'too many pending' | 'too many pending from this address'

/**
 * So many times the usual who still has something to read: the kernel holds megabytes for a slow reader, and says nothing
 * of it until a third of them has gone.
 */
const patienceWithReaders = 6

export type Limits = Readonly<{
  /** Websockets in all; 0 is without limit. */
  maxConnections: number
  /** Websockets, and others, from one client; 0 is without limit. */
  maxPerAddress: number
  /** Connections that are no websockets (yet). */
  maxPending: number
  /** How long one of these may take to send a request. */
  requestTimeoutMs: number
}>

/**
 * Bounds what strangers can hold open: connections that never ask for anything or never finish asking, and websockets
 * by their number. A refused client may try again; the stock page does.
 */
export class ConnectionLimits {
  readonly #proxy: ProxyTrust
  #limits: Limits
  readonly #clock: () => number
  readonly #onCut: (reason: Cut, peer: string) => void
  /** By the time of their beginning, or of their last request: the oldest first. */
  readonly #pending = new Map<NetSocket, Pending>()
  readonly #pendingPerNetwork = new Map<string, number>()
  readonly #perNetwork = new Map<string, number>()
  #connections = 0
  #timer: NodeJS.Timeout

  /** `onCut` hears of each connection that is cut, and who had connected; not of one that has nothing to ask any more. */
  constructor(limits: Limits & ProxyTrust, clock: () => number, onCut: (reason: Cut, peer: string) => void) {
    this.#proxy = limits
    this.#limits = limits
    this.#clock = clock
    this.#onCut = onCut
    this.#timer = this.#sweeping()
  }

  /** From now on these hold. Nobody who is here is cut for them, but for taking too long to ask. */
  limit(limits: Limits): void {
    this.#limits = limits
    clearInterval(this.#timer)
    this.#timer = this.#sweeping()
  }

  /**
   * A connection has been made, of which a TLS handshake may be still to come. From a client that has too many it is cut; where there are too many in all, it is the one
   * that has kept us waiting for longest.
   */
  connected(socket: NetSocket): void {
    // One that asked for something else than a websocket is read once more.
    if (this.#pending.has(socket)) return
    const { maxPending, maxPerAddress } = this.#limits
    // What a proxy passes on is counted when it has said for whom.
    const network = this.#proxy.behindProxy
      ? null
      : clientNetwork(clientAddress(socket.remoteAddress, undefined, this.#proxy))
    this.#pending.set(socket, { since: this.#clock(), network, asking: socket, progress: asking })
    count(this.#pendingPerNetwork, network, 1)
    const ofClient = (): number => (network === null ? 0 : (this.#pendingPerNetwork.get(network) ?? 0))
    const tooMany = (): boolean =>
      this.#pending.size > maxPending || (maxPerAddress > 0 && ofClient() > maxPerAddress)
    if (!tooMany()) return
    this.#forgetEnded()
    if (!tooMany()) return
    const [oldest = socket] = this.#pending.keys()
    if (this.#pending.size > maxPending) this.#cut(oldest, 'too many pending')
    else this.#cut(socket, 'too many pending from this address')
  }

  /**
   * It has sent a request or a part of one, or reads what it asked for: it may take its time for the next anew. `progress`
   * tells from then on where it stands.
   */
  requested(asking: NetSocket, progress?: () => Progress): void {
    const socket = transportOf(asking)
    const pending = this.#pending.get(socket)
    if (!pending) return
    this.#pending.delete(socket)
    this.#pending.set(socket, {
      ...pending,
      since: this.#clock(),
      asking,
      progress: progress ?? pending.progress,
    })
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
    this.#forget(transportOf(socket))
    this.#connections++
    count(this.#perNetwork, clientNetwork(address), 1)
  }

  closed(address: string): void {
    this.#connections--
    count(this.#perNetwork, clientNetwork(address), -1)
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

  #sweeping(): NodeJS.Timeout {
    return setInterval(() => this.#sweep(), Math.min(1000, this.#limits.requestTimeoutMs / 4))
  }

  #forget(socket: NetSocket): void {
    const pending = this.#pending.get(socket)
    if (!pending) return
    this.#pending.delete(socket)
    count(this.#pendingPerNetwork, pending.network, -1)
  }

  #forgetEnded(): void {
    for (const socket of this.#pending.keys()) if (socket.destroyed) this.#forget(socket)
  }

  #sweep(): void {
    this.#forgetEnded()
    const now = this.#clock()
    const { requestTimeoutMs } = this.#limits
    for (const [socket, { since, asking, progress }] of this.#pending) {
      if (now - since < requestTimeoutMs) return
      if (progress() === 'owed') continue
      if (asking.writableLength === 0 || now - since >= patienceWithReaders * requestTimeoutMs)
        this.#cut(socket, 'too slow')
    }
  }

  #cut(socket: NetSocket, reason: Cut): void {
    // A browser keeps a connection for a while that it may have no more use for.
    if (this.#pending.get(socket)?.progress() !== 'answered')
      this.#onCut(reason, socket.remoteAddress ?? 'unix')
    this.#forget(socket)
    socket.destroy()
  }
}

const asking = (): Progress => 'asking'

function count(counts: Map<string, number>, network: string | null, change: 1 | -1): void {
  if (network === null) return
  const now = (counts.get(network) ?? 0) + change
  if (now > 0) counts.set(network, now)
  else counts.delete(network)
}
