import { steadyNow, wallNow } from './clock.ts'

type Connection = {
  /** Sends something that the server answers at once. */
  ask: () => void
  /** Whether something was sent that will be answered. */
  awaits: () => boolean
  /** The connection is to be taken for lost. */
  lost: () => void
}

/** After so long without a word from the server it is asked for one; earlier where an answer is awaited. */
const silenceMs = { usual: 25_000, awaiting: 5000 }
/** So long may the answer take: in the middle of everything, and where the network may have been away. */
const answerMs = { usual: 10_000, awake: 5000 }
/** So long may a connection take to be made, and then from one word to the next until one is in. */
const entryMs = { usual: 20_000, awake: 10_000 }
/** What comes so soon after the page was away may have been on its way, or have waited, since before. */
const staleMs = 500
const lookEveryMs = 1000

/**
 * Finds out within 40 seconds that a connection is dead which the browser still shows as open: after a sleep, or in another
 * network. A page hears nothing of the server's pings. Whatever comes is a sign of life; where nothing comes the server is
 * asked. Times are those of a clock that nobody sets.
 */
export class Heartbeat {
  readonly #connection: Connection
  readonly #clock: () => number
  #phase: 'off' | 'entering' | 'in' = 'off'
  #heardAt = 0
  /** Since when something from the server is awaited, and for how long at most; null: nothing is. */
  #awaited: { since: number; limitMs: number } | null = null
  #isLate = false
  /** Whether something has come that is no sign of life yet, so that the server is to be asked once more. */
  #isDoubtful = false

  /** Milliseconds of `clock` must not depend on the wall clock. */
  constructor(connection: Connection, clock: () => number = steadyNow) {
    this.#connection = connection
    this.#clock = clock
  }

  start(): void {
    setInterval(() => this.look(), lookEveryMs)
  }

  /** A connection is being made. */
  began(): void {
    this.#phase = 'entering'
    this.#isDoubtful = false
    this.heard()
  }

  /** One is in: from now on what is asked is answered. */
  entered(): void {
    this.heard()
    this.#phase = 'in'
    this.#awaited = null
  }

  /** Something has come from the server. */
  heard(): void {
    const now = this.#clock()
    this.#isLate = false
    const { since, limitMs } = this.#awaited ?? { since: -Infinity, limitMs: 0 }
    if (this.#phase === 'in' && limitMs === answerMs.awake && now - since < staleMs) {
      this.#isDoubtful = true
      return
    }
    this.#heardAt = now
    this.#isDoubtful = false
    this.#awaited = this.#phase === 'entering' ? { since: this.#heardAt, limitMs: entryMs.usual } : null
  }

  /** There is no connection any more. */
  ended(): void {
    this.#phase = 'off'
  }

  /** The machine, the page or the network may have been away: the connection has to show soon that it is alive. */
  check(): void {
    if (this.#phase === 'off') return
    const limitMs = this.#phase === 'entering' ? entryMs.awake : answerMs.awake
    // Of several reasons to ask the first one counts.
    if (this.#awaited?.limitMs === limitMs) return
    this.#await(limitMs)
  }

  /** To be called about every second; a page in the background has fewer turns. */
  look(): void {
    if (this.#phase === 'off') return
    const now = this.#clock()
    if (this.#awaited === null) {
      const most = this.#connection.awaits() ? silenceMs.awaiting : silenceMs.usual
      if (now - this.#heardAt > most) this.#await(answerMs.usual)
      return
    }
    if (this.#isDoubtful && now - this.#awaited.since >= staleMs) {
      this.#isDoubtful = false
      this.#connection.ask()
    }
    if (now - this.#awaited.since <= this.#awaited.limitMs) return
    // The page may have been stopped, and what has come meanwhile is told to it after this turn.
    if (this.#isLate) this.#connection.lost()
    else this.#isLate = true
  }

  #await(limitMs: number): void {
    this.#awaited = { since: this.#clock(), limitMs }
    this.#isLate = false
    this.#isDoubtful = false
    if (this.#phase === 'in') this.#connection.ask()
  }
}

/** Where so much more has passed between two looks, or by one clock alone, the machine has slept, or its clock was set. */
const gapMs = 5000

/**
 * Calls back when the machine, the page or the network may have been away. A machine may sleep while the page is shown, and
 * then the steady clock may stand still: only the device's clock tells. Nobody can tell that from a clock that was set, so
 * that `callback` must change nothing where all is well.
 */
export function onWake(callback: () => void): void {
  let [steady, wall] = [steadyNow(), wallNow()]
  setInterval(() => {
    const passed = steadyNow() - steady
    const apart = Math.abs(wallNow() - wall - passed)
    steady += passed
    wall = wallNow()
    // A page that is not shown gets few turns.
    const isLate = passed > lookEveryMs + gapMs && document.visibilityState === 'visible'
    if (isLate || apart > gapMs) callback()
  }, lookEveryMs)
  for (const event of ['online', 'focus']) window.addEventListener(event, callback)
  // Chromium's, when it goes on with a page that it has frozen.
  document.addEventListener('resume', callback)
  document.addEventListener('visibilitychange', () => {
    if (document.visibilityState === 'visible') callback()
  })
  window.addEventListener('pageshow', ({ persisted }) => {
    if (persisted) callback()
  })
}

/** Calls back when there is no network. What is under way may still arrive if it is only a cable that is changed. */
export function onOffline(callback: () => void): void {
  window.addEventListener('offline', () => {
    setTimeout(() => {
      if (!navigator.onLine) callback()
    }, 1500)
  })
}
