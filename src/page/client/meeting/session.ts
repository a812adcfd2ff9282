import { onWake, steadyNow } from '../kit/clock.ts'
import type { Vault } from '../kit/vault.ts'
import * as box from './outbox.ts'
import type { Outbox } from './outbox.ts'
import { isFinal, leavingCode, lostCode, retryDelay, subprotocol } from './protocol.ts'
import type { Command, Frame } from './protocol.ts'
import * as states from './state.ts'
import type { State } from './state.ts'

/** After so long without an answer a connection is taken for dead. */
const answerMs = 10_000
/** After so long without a word from the server it is asked for one. */
const silenceMs = 30_000

/**
 * The page's side of a meeting: one websocket at a time, what is known by it, and what waits to be said. Whoever shows
 * it is told once for each frame of the screen, however much came.
 */
export class MeetingSession {
  state: State
  readonly #address: string
  readonly #vault: Vault
  readonly #dayOf: (instant: number) => string
  readonly #watchers = new Set<(state: State, before: State) => void>()
  #shown: State
  #socket: WebSocket | null = null
  #attempt = 0
  #retry: ReturnType<typeof setTimeout> | undefined
  #flush: ReturnType<typeof setTimeout> | undefined
  #frames: Frame[] = []
  #isDrawing = false
  // By the steady clock, as all that is counted here.
  #heardAt = 0
  #probedAt: number | null = null
  #storedOutbox: Outbox
  /** So many commands may go out at once (the server's limit), and since when that is known. */
  #tokens = { left: 1, at: 0 }

  /** `address`: of the websocket, without the last part. */
  constructor(address: string, vault: Vault, dayOf: (instant: number) => string) {
    this.#address = address
    this.#vault = vault
    this.#dayOf = dayOf
    const outbox = vault.read<Outbox>('outbox', [])
    const seen = vault.read<number | null>('seen', null)
    this.state = states.firstState({ outbox, seen, looking: false })
    this.#shown = this.state
    this.#storedOutbox = this.state.outbox
  }

  start(): void {
    this.#connect()
    onWake(() => this.#woken())
    window.addEventListener('offline', () => {
      // What is still on its way may arrive, if it is only a cable that is changed.
      setTimeout(() => {
        if (!navigator.onLine) this.#giveUp()
      }, 1500)
    })
    setInterval(() => this.#checkLife(), 1000)
  }

  /** Calls back with each new state that is to be shown. */
  watch(watcher: (state: State, before: State) => void): void {
    this.#watchers.add(watcher)
  }

  /** Gives a command to the server, at once or when it can be reached again. */
  give(command: Command): string {
    const id = randomId()
    this.#update(states.command(this.state, id, command, steadyNow()))
    this.#sendDue()
    return id
  }

  /** Sends what has asked whether it is to be sent. */
  insist(id: string): void {
    const outbox = box.insisted(this.state.outbox, id, randomId(), states.momentAt(this.state, steadyNow()))
    this.#update({ ...this.state, outbox })
    this.#sendDue()
  }

  discard(id: string): void {
    this.#update({ ...this.state, outbox: box.answered(this.state.outbox, id) })
  }

  dismissRefusal(key: string): void {
    const refusals = this.state.refusals.filter((refusal) => refusal.key !== key)
    this.#update({ ...this.state, refusals })
  }

  /** Whether somebody looks at the end of the log. */
  look(looking: boolean): void {
    this.#update(states.look(this.state, looking))
  }

  /** Leaves the meeting: a departure at once, unlike a page that is closed. */
  leave(): void {
    clearTimeout(this.#retry)
    this.#update({ ...this.state, phase: { type: 'left' } })
    this.#socket?.close(leavingCode)
  }

  /** Tries to connect now, if it is waiting. */
  retryNow(): void {
    if (this.state.phase.type === 'waiting') this.#connect()
  }

  /** Comes back after the end or a departure. What another tab has kept meanwhile counts. */
  comeBack(): void {
    this.#storedOutbox = box.lost(this.#vault.read<Outbox>('outbox', []))
    this.#update({ ...this.state, outbox: this.#storedOutbox })
    this.#connect()
  }

  #connect(): void {
    clearTimeout(this.#retry)
    this.#update({ ...this.state, phase: { type: 'connecting', again: this.state.wasIn } })
    const socket = new WebSocket(`${this.#address}/${this.state.log.last}`, subprotocol)
    this.#socket = socket
    this.#heardAt = steadyNow()
    this.#probedAt = null
    socket.addEventListener('message', ({ data }) => {
      // Who has left hears nothing more, not even the rest of an entry.
      if (socket === this.#socket && this.state.phase.type !== 'left') this.#heard(String(data))
    })
    socket.addEventListener('close', ({ code }) => {
      if (socket === this.#socket) this.#closed(code)
    })
  }

  #heard(text: string): void {
    this.#heardAt = steadyNow()
    this.#probedAt = null
    this.#frames.push(JSON.parse(text) as Frame)
    // A page that is not shown gets no frames of the screen, and few turns.
    if (document.visibilityState === 'hidden') this.#flush ??= setTimeout(() => this.#take(), 200)
    else this.#draw()
  }

  #take(): void {
    clearTimeout(this.#flush)
    this.#flush = undefined
    const frames = this.#frames
    if (frames.length === 0) return
    this.#frames = []
    let { state } = this
    for (const frame of frames) {
      if (frame.type === 'ack' && frame.data.id === this.#probe) {
        if (this.#isWaking) state = states.awoken(state, this.#heardAt, frame.data.now)
        this.#isWaking = false
        continue
      }
      state = states.receive(state, frame, this.#heardAt, this.#dayOf)
    }
    if (state.phase.type === 'in' && this.state.phase.type !== 'in') {
      this.#attempt = 0
      this.#tokens = { left: state.limits.burst - 2, at: steadyNow() }
    }
    this.#update(state)
    this.#sendDue()
  }

  #closed(code: number): void {
    this.#take()
    this.#socket = null
    const wait = retryDelay(this.#attempt++, Math.random)
    this.#update(states.disconnected(this.state, code, steadyNow() + wait, !navigator.onLine))
    if (this.state.phase.type === 'waiting') this.#retry = setTimeout(() => this.#connect(), wait)
    if (isFinal(code)) this.#attempt = 0
  }

  /** Does not wait for a closing that nobody may answer. */
  #giveUp(): void {
    const socket = this.#socket
    if (!socket) return
    this.#closed(lostCode)
    socket.close(lostCode)
  }

  /** Asks at once whether the connection has outlived what may have been a sleep. */
  #woken(): void {
    this.retryNow()
    if (this.state.phase.type !== 'in') return
    this.#isWaking = true
    this.#sendProbe()
  }

  #probe = ''
  #isWaking = false

  /** A browser tells a page nothing of pings: a command that does nothing and is acknowledged takes their place. */
  #sendProbe(): void {
    this.#probe = randomId()
    this.#probedAt ??= steadyNow()
    this.#socket?.send(JSON.stringify({ type: 'message', message: '', id: this.#probe }))
  }

  #checkLife(): void {
    const now = steadyNow()
    if (this.state.phase.type === 'connecting' && this.#socket && now - this.#heardAt > 2 * answerMs)
      return this.#giveUp()
    if (this.state.phase.type !== 'in') return
    if (this.#probedAt === null && now - this.#heardAt > silenceMs) this.#sendProbe()
    const since = [this.#probedAt, box.waitingSince(this.state.outbox)].filter((at) => at !== null)
    // Also right after a sleep of the machine, during which nothing could come.
    if (since.some((at) => now - at > answerMs) && now - this.#heardAt > answerMs) this.#giveUp()
    else this.#sendDue()
  }

  #sendDue(): void {
    const socket = this.#socket
    if (this.state.phase.type !== 'in' || socket?.readyState !== WebSocket.OPEN) return
    const now = steadyNow()
    const { burst, perSecond } = this.state.limits
    const isLimited = perSecond > 0
    const left = this.#tokens.left + ((now - this.#tokens.at) / 1000) * perSecond
    this.#tokens = { left: Math.min(burst - 2, left), at: now }
    const moment = states.momentAt(this.state, now)
    const next = box.due(this.state.outbox, moment)
    if (!next || (isLimited && this.#tokens.left < 1)) return
    this.#tokens.left--
    socket.send(JSON.stringify({ ...next.command, id: next.id }))
    this.#update({ ...this.state, outbox: box.sent(this.state.outbox, next.id, moment) })
  }

  #update(state: State): void {
    this.state = state
    // Before anything is sent or shown: what was typed survives whatever comes.
    if (state.outbox !== this.#storedOutbox && state.phase.type !== 'ended') {
      this.#storedOutbox = state.outbox
      this.#vault.write('outbox', state.outbox.length > 0 ? state.outbox : null)
    }
    if (document.visibilityState === 'hidden') this.#show()
    else this.#draw()
  }

  #draw(): void {
    if (this.#isDrawing) return
    this.#isDrawing = true
    requestAnimationFrame(() => {
      this.#isDrawing = false
      this.#take()
      this.#show()
    })
    // Hidden meanwhile: no frame of the screen comes any more.
    setTimeout(() => {
      if (!this.#isDrawing || document.visibilityState !== 'hidden') return
      this.#isDrawing = false
      this.#take()
      this.#show()
    }, 300)
  }

  #show(): void {
    const before = this.#shown
    if (before === this.state) return
    this.#shown = this.state
    if (this.state.log !== before.log || this.state.looking !== before.looking) this.#keepSeen()
    for (const watcher of this.#watchers) watcher(this.state, before)
  }

  #keepSeen(): void {
    const { looking, log, seen } = this.state
    this.#vault.write('seen', looking ? log.last : seen)
  }
}

/** 120 bits, of letters that a command's id may have. */
export function randomId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(15))
  return btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
}
