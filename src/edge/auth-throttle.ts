import { clientNetwork } from './remote.ts'

const minuteMs = 60_000
const perMinute = 10
/** Of a network from which the right one has come: others there may guess, but whoever knows it is not locked out by them. */
const provenPerMinute = 600
const inAllPerMinute = 100
const maxNetworks = 10_000
/** 22 characters of Base64 have 128 bits. */
const minUnguessable = 22

const lateMs = 1000
const apartMs = 100
/** Well within the time that a plain request has (-requesttimeout). */
const maxWaitMs = 5000
const maxWaiting = 2000

/** Whether a secret of so many characters can be found by trying. */
export const isGuessable = (secret: { length: number }): boolean => secret.length < minUnguessable

type Minute = { count: number; since: number; toldAt: number }

/**
 * Bounds how fast secrets can be tried, by the client's network (IPv6: /64) and in all, however many try at the same time.
 *
 * What can be guessed is not even looked at past 10 failures a minute of a network, or past the first one while there are
 * more than 100 a minute in all: then it is for good that a right one is refused, too, until the minute is over. What cannot
 * be guessed, a meeting's key of 320 bits or a signed token, always enters; a wrong one is told late, so that somebody who
 * tries does not keep out the hundreds who share their address.
 *
 * `Secret`: names of what can be guessed, for people choose it, or it is as short. Failures at one do not count at the
 * others. A door names its own; 'key' is what cannot be guessed.
 */
export class AuthThrottle<Secret extends string = string> {
  readonly #clock: () => number
  readonly #onMany: (secret: string, address: string) => void
  /** By what was tried and from which network, in the order of their minutes' beginnings. */
  readonly #minutes = new Map<string, Minute>()
  /** Networks from which a right one has come, the last at the end. */
  readonly #proven = new Set<string>()
  readonly #inAll = new Map<string, Minute>()
  #waiting = 0

  /** `onMany` hears, once a minute and network, that it has failed as often as it may. */
  constructor(clock: () => number, onMany: (secret: string, address: string) => void) {
    this.#clock = clock
    this.#onMany = onMany
  }

  /** In how many milliseconds a secret from `address` is looked at again; null: it is now. */
  lockedMs(secret: Secret, address: string): number | null {
    const now = this.#clock()
    const name = nameOf(secret, address)
    const minute = this.#minutes.get(name)
    if (!minute || isOver(minute, now)) return null
    return minute.count < this.#maxOf(secret, name, now) ? null : minute.since + minuteMs - now
  }

  /** A secret from `address` was looked at, and was right. */
  proven(secret: Secret, address: string): void {
    const name = nameOf(secret, address)
    this.#proven.delete(name)
    this.#proven.add(name)
    const [oldest = ''] = this.#proven
    if (this.#proven.size > maxNetworks) this.#proven.delete(oldest)
  }

  /** A secret from `address` was looked at, and was wrong. */
  failed(secret: Secret, address: string): void {
    const now = this.#clock()
    const name = nameOf(secret, address)
    const all = this.#inAll.get(secret)
    if (all && !isOver(all, now)) all.count++
    else this.#inAll.set(secret, { count: 1, since: now, toldAt: now })
    const { count } = this.#count(name, now)
    if (count === this.#maxOf(secret, name, now)) this.#onMany(secret, address)
  }

  /**
   * Takes note that what cannot be guessed was wrong, and calls `tell`, which says so: at once, or past 10 in a minute from
   * this network a second later and one each 100 ms. Where too many wait already it calls `drop`, which ends the
   * connection without a word.
   */
  refuse(address: string, tell: () => void, drop: () => void): void {
    const now = this.#clock()
    const minute = this.#count(nameOf('key', address), now)
    if (minute.count === perMinute + 1) this.#onMany('key', address)
    if (minute.count <= perMinute) return tell()
    const at = Math.max(now + lateMs, minute.toldAt + apartMs)
    if (at - now > maxWaitMs) return drop()
    minute.toldAt = at
    this.#later(at - now, tell, drop)
  }

  /** The same for who answers by returning: resolves when it may be told; false: too many wait. */
  async refused(address: string): Promise<boolean> {
    return await new Promise((resolve) =>
      this.refuse(
        address,
        () => resolve(true),
        () => resolve(false),
      ),
    )
  }

  /** Calls `tell` for somebody who has a right key and is refused nevertheless: a second late where many are wrong. */
  turnAway(address: string, tell: () => void): void {
    const minute = this.#minutes.get(nameOf('key', address))
    const isLate = minute && !isOver(minute, this.#clock()) && minute.count > perMinute
    if (isLate) this.#later(lateMs, tell, tell)
    else tell()
  }

  #later(ms: number, tell: () => void, drop: () => void): void {
    if (this.#waiting >= maxWaiting) return drop()
    this.#waiting++
    setTimeout(() => {
      this.#waiting--
      tell()
    }, ms)
  }

  #maxOf(secret: Secret, name: string, now: number): number {
    if (this.#proven.has(name)) return provenPerMinute
    const all = this.#inAll.get(secret)
    return all && !isOver(all, now) && all.count > inAllPerMinute ? 1 : perMinute
  }

  #count(name: string, now: number): Minute {
    const known = this.#minutes.get(name)
    if (known && !isOver(known, now)) {
      known.count++
      return known
    }
    const minute = { count: 1, since: now, toldAt: known?.toldAt ?? now }
    this.#minutes.delete(name)
    this.#minutes.set(name, minute)
    for (const [oldest, begun] of this.#minutes) {
      if (this.#minutes.size <= maxNetworks && !isOver(begun, now)) break
      this.#minutes.delete(oldest)
    }
    return minute
  }
}

const isOver = ({ since }: Minute, now: number): boolean => now - since >= minuteMs

const nameOf = (secret: string, address: string): string => `${secret} ${clientNetwork(address) ?? address}`
