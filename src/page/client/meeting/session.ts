import { steadyNow } from '../kit/clock.ts'
import { Heartbeat, onOffline, onWake } from '../kit/heartbeat.ts'
import { randomId } from '../kit/id.ts'
import { isRefusedHere } from '../kit/origin.ts'
import type { Vault } from '../kit/vault.ts'
import * as box from './outbox.ts'
import type { Outbox } from './outbox.ts'
import { isFinal, leavingCode, lostCode, retryDelay, subprotocol } from './protocol.ts'
import type { Command, Frame } from './protocol.ts'
import * as states from './state.ts'
import type { Refusal, State } from './state.ts'

/** So often is looked whether something may be sent that had to wait. */
const lookEveryMs = 1000

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
  readonly #heartbeat: Heartbeat
  /** By the steady clock, as all that is counted here. */
  #heardAt = 0
  /** The ids of what was sent on this connection to be answered, and nothing else. */
  readonly #probes = new Set<string>()
  /** Whether the steady clock may have stood still since the server's was last heard. */
  #mayHaveSlept = false
  /** Of which state the outbox and the refusals are in the vault. */
  #kept: State
  /** So many commands may go out at once (the server's limit), and since when that is known. */
  #tokens = { left: 1, at: 0 }

  /** `address`: of the websocket, without the last part. */
  constructor(address: string, vault: Vault, dayOf: (instant: number) => string) {
    this.#address = address
    this.#vault = vault
    this.#dayOf = dayOf
    this.#heartbeat = new Heartbeat({
      ask: () => this.#ask(),
      awaits: () => box.isUnderWay(this.state.outbox),
      lost: () => this.#giveUp(),
    })
    const { outbox, refusals } = this.#stored()
    const seen = vault.read<number | null>('seen', null)
    this.state = states.firstState({ outbox, refusals, seen, looking: false })
    this.#shown = this.state
    this.#kept = this.state
  }

  start(): void {
    this.#connect()
    this.#heartbeat.start()
    onWake(() => {
      this.retryNow()
      this.#mayHaveSlept = true
      this.#heartbeat.check()
    })
    onOffline(() => this.#giveUp())
    setInterval(() => this.#sendDue(), lookEveryMs)
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
    this.state = { ...this.state, ...this.#stored() }
    this.#kept = this.state
    this.#connect()
  }

  #stored(): { outbox: Outbox; refusals: readonly Refusal[] } {
    return {
      outbox: box.lost(this.#vault.read<Outbox>('outbox', [])),
      refusals: this.#vault.read<readonly Refusal[]>('refused', []),
    }
  }

  #connect(): void {
    clearTimeout(this.#retry)
    this.#update({ ...this.state, phase: { type: 'connecting', again: this.state.wasIn } })
    const socket = new WebSocket(`${this.#address}/${this.state.log.last}`, subprotocol)
    this.#socket = socket
    this.#probes.clear()
    this.#heartbeat.began()
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
    this.#heartbeat.heard()
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
      if (frame.type === 'error' && frame.id !== undefined && this.#probes.delete(frame.id)) continue
      if (frame.type === 'ack' && this.#probes.delete(frame.data.id)) {
        if (this.#mayHaveSlept) state = states.awoken(state, this.#heardAt, frame.data.now)
        this.#mayHaveSlept = false
        continue
      }
      state = states.receive(state, frame, this.#heardAt, this.#dayOf)
    }
    if (state.phase.type === 'in' && this.state.phase.type !== 'in') {
      this.#attempt = 0
      this.#heartbeat.entered()
      this.#tokens = { left: state.limits.burst - 2, at: steadyNow() }
    }
    this.#update(state)
    this.#sendDue()
  }

  #closed(code: number): void {
    this.#take()
    this.#socket = null
    this.#heartbeat.ended()
    const wait = retryDelay(this.#attempt++, Math.random)
    this.#update(states.disconnected(this.state, code, steadyNow() + wait, !navigator.onLine))
    if (this.state.phase.type === 'waiting') this.#retry = setTimeout(() => this.#connect(), wait)
    if (isFinal(code)) this.#attempt = 0
    if (!this.state.wasIn) void this.#askForOrigin()
  }

  async #askForOrigin(): Promise<void> {
    const isOriginRefused = await isRefusedHere(`${this.#address}/0`)
    if (!this.state.wasIn) this.#update({ ...this.state, isOriginRefused })
  }

  /** Does not wait for a closing that nobody may answer. */
  #giveUp(): void {
    const socket = this.#socket
    if (!socket) return
    this.#closed(lostCode)
    socket.close(lostCode)
  }

  /** A command that does nothing and is acknowledged. */
  #ask(): void {
    const id = randomId()
    this.#probes.add(id)
    this.#socket?.send(JSON.stringify({ type: 'message', message: '', id }))
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
    if (state.phase.type !== 'ended') {
      const kept = this.#kept
      this.#kept = state
      if (state.outbox !== kept.outbox)
        this.#vault.write('outbox', state.outbox.length > 0 ? state.outbox : null)
      if (state.refusals !== kept.refusals) {
        const written = state.refusals.filter(({ command }) => states.isWritten(command))
        this.#vault.write('refused', written.length > 0 ? written : null)
      }
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
