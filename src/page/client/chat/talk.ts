import { steadyNow } from '../kit/clock.ts'
import { Heartbeat, onOffline, onWake } from '../kit/heartbeat.ts'
import { randomId } from '../kit/id.ts'
import { isRefusedHere } from '../kit/origin.ts'
import type { Vault } from '../kit/vault.ts'

export type Line = { id: number; time: string; user: string; message: string }

/** What was written and is not known to be stored. */
export type Pending = {
  /** Under which the server stores it once, however often it is sent. */
  id: string
  message: string
  /** `unsure` and `refused` are up to the one who wrote it: nobody knows whether it was said, or it was not. */
  state: 'sending' | 'unsure' | 'refused'
  /** By the server's clock; null where that was not known: just now. */
  madeAt: number | null
  tries: number
}

export type Talk = {
  phase: 'connecting' | 'in' | 'waiting' | 'refused'
  user: string | null
  lines: readonly Line[]
  pending: readonly Pending[]
  /** What the server has answered to the last message that it did not take. */
  error: string | null
  /** How the connection has ended for good; 0 while it has not. */
  code: number
  /** Whether the server takes no connections from pages of this address. */
  isOriginRefused: boolean
  /** Whether all has come that was said before: what comes from here on is new. */
  live: boolean
}

type Frame = Partial<Omit<Line, 'id'>> & {
  /** Of a line it is a number, of a refusal what the page has called its message. */
  id?: number | string
  authenticated?: boolean
  /** What time it is, by the server's clock. */
  now?: number
  ack?: string
  live?: boolean
  error?: string
  again?: boolean
}

const firstLines = 500
/** So many lines are kept on the page. */
const maxLines = 5000
/** How connections end that the page does not begin again (docs/chat.md). */
export const badRequestCode = 4400
export const refusedCode = 4500
const finalCodes = [badRequestCode, 4401, refusedCode]
const maxWaitMs = 15_000
/** Nobody expects words to be said that have waited for longer. The server knows for days whether it has stored them. */
const freshMs = 3_600_000
/** So often is tried what the server could not do just now, and after what time. */
const maxTries = 4
const againMs = 2000

const keptName = 'pending'

/** What another page has left: how long ago, nobody knows where it did not know the time itself. */
const ofAnotherPage = (one: Pending): Pending =>
  one.state === 'sending' && one.madeAt === null ? { ...one, state: 'unsure' } : { ...one, tries: 0 }

const without =
  (id: string) =>
  (pending: readonly Pending[]): readonly Pending[] =>
    pending.filter((one) => one.id !== id)

/** The page's side of a chat: one websocket at a time, and what has come by it. */
export class TalkSession {
  talk: Talk = {
    phase: 'connecting',
    user: null,
    lines: [],
    pending: [],
    error: null,
    code: 0,
    isOriginRefused: false,
    live: false,
  }
  readonly #address: URL
  readonly #vault: Vault
  readonly #changed: (talk: Talk, news: readonly Line[]) => void
  readonly #heartbeat: Heartbeat
  #socket: WebSocket | null = null
  #retry: ReturnType<typeof setTimeout> | undefined
  #attempt = 0
  /** What this tab sends: its own, and what it found when it came in. All tabs show what waits in one of them. */
  readonly #own = new Set<string>()
  /** The message that waits for its answer: one at a time, so that they stay in order. */
  #underWay: string | null = null
  #again: ReturnType<typeof setTimeout> | undefined
  /** By how much the server's clock is ahead of the page's, which may stand still in a sleep; null after one. */
  #ahead: number | null = null
  /** Lines that have come in this turn, to be shown together. */
  #arrived: Line[] = []
  #showing = false

  /** `changed` is told of each change, with the lines that are new in it. */
  constructor(
    { page, key, vault }: { page: URL; key: string; vault: Vault },
    changed: (talk: Talk, news: readonly Line[]) => void,
  ) {
    this.#address = new URL('ws/chat', page)
    this.#address.protocol = page.protocol.replace('http', 'ws')
    this.#address.search = new URLSearchParams({ session_key: key, ids: '1' }).toString()
    this.#vault = vault
    this.#changed = changed
    const pending = this.#kept().map(ofAnotherPage)
    if (pending.length > 0) vault.write(keptName, pending)
    this.talk = { ...this.talk, pending }
    this.#heartbeat = new Heartbeat({
      ask: () => this.#socket?.send(JSON.stringify({ ping: true })),
      awaits: () => this.#underWay !== null,
      lost: () => this.#giveUp(),
    })
  }

  start(): void {
    this.#connect()
    this.#vault.watch(keptName, () => this.#update({ pending: this.#kept() }))
    this.#heartbeat.start()
    onWake(() => {
      this.#ahead = null
      this.retryNow()
      this.#heartbeat.check()
    })
    onOffline(() => this.#giveUp())
  }

  retryNow(): void {
    if (this.talk.phase === 'waiting') this.#connect()
  }

  say(message: string): void {
    const entry: Pending = {
      id: randomId(),
      message,
      state: 'sending',
      madeAt: this.#now(),
      tries: 0,
    }
    this.#own.add(entry.id)
    this.#changePending((pending) => [...pending, entry], { error: null })
    this.#sendDue()
  }

  /** Sends what was not taken, or may not have been. It is the same message: it is said once. */
  sayAgain(id: string): void {
    this.#own.add(id)
    this.#change(id, { state: 'sending', madeAt: this.#now(), tries: 0 }, { error: null })
    this.#sendDue()
  }

  discard(id: string): void {
    this.#changePending(without(id), { error: null })
  }

  #now(): number | null {
    return this.#ahead === null ? null : steadyNow() + this.#ahead
  }

  #connect(): void {
    clearTimeout(this.#retry)
    this.#update({ phase: 'connecting' })
    const address = new URL(this.#address)
    const last = this.talk.lines.at(-1)
    if (last) address.searchParams.set('after', String(last.id))
    else address.searchParams.set('limit', String(firstLines))
    const socket = new WebSocket(address)
    this.#socket = socket
    this.#heartbeat.began()
    socket.addEventListener('message', ({ data }) => {
      if (socket !== this.#socket) return
      this.#heartbeat.heard()
      this.#heard(JSON.parse(String(data)) as Frame)
    })
    socket.addEventListener('close', ({ code }) => {
      if (socket === this.#socket) this.#closed(code)
    })
  }

  #heard({ authenticated, now, ack, live, error, again, id, time = '', user = '', message }: Frame): void {
    if (now !== undefined) this.#ahead = now - steadyNow()
    if (authenticated) this.#entered(user)
    else if (ack !== undefined) this.#stored(ack)
    else if (live) this.#live()
    else if (error !== undefined) this.#refused(typeof id === 'string' ? id : this.#underWay, error, again)
    else if (typeof id === 'number' && message !== undefined) {
      this.#arrived.push({ id, time, user, message })
      // A long history comes as thousands of frames, and is shown a few times.
      if (!this.#showing) setTimeout(() => this.#show(), 30)
      this.#showing = true
    }
  }

  #entered(user: string): void {
    this.#attempt = 0
    this.#heartbeat.entered()
    const now = this.#now() ?? 0
    const grown = (one: Pending): Pending => {
      const isOld = one.state === 'sending' && now - (one.madeAt ?? now) > freshMs
      return isOld ? { ...one, state: 'unsure' } : one
    }
    this.#changePending((pending) => pending.map(grown), { phase: 'in', user })
    for (const { id } of this.talk.pending) this.#own.add(id)
    this.#sendDue()
  }

  #live(): void {
    this.#show()
    this.#update({ live: true })
  }

  #stored(id: string): void {
    this.#answered(id)
    // Its line has come before: from one to the next moment it stands there.
    this.#show(id)
    this.#sendDue()
  }

  #refused(id: string | null, error: string, again = false): void {
    const entry = this.talk.pending.find((one) => one.id === id)
    if (id === null || !entry) return this.#update({ error })
    const tries = entry.tries + 1
    if (!again) this.#change(id, { state: 'refused' }, { error })
    else if (tries >= maxTries) this.#change(id, { state: 'unsure', tries }, { error })
    else {
      this.#change(id, { tries })
      // Until then it counts as under way, and the others keep their places behind it.
      this.#again = setTimeout(() => {
        this.#answered(id)
        this.#sendDue()
      }, againMs)
      return
    }
    this.#answered(id)
    this.#sendDue()
  }

  #answered(id: string): void {
    if (id === this.#underWay) this.#underWay = null
  }

  #sendDue(): void {
    const socket = this.#socket
    if (this.talk.phase !== 'in' || socket?.readyState !== WebSocket.OPEN || this.#underWay !== null) return
    const next = this.talk.pending.find(({ id, state }) => state === 'sending' && this.#own.has(id))
    if (!next) return
    this.#underWay = next.id
    socket.send(JSON.stringify({ message: next.message, id: next.id }))
  }

  /** `stored`: the line that is shown from now on, and waits no more. */
  #show(stored: string | null = null): void {
    this.#showing = false
    const known = new Set(this.talk.lines.map(({ id }) => id))
    const news = this.#arrived.filter(({ id }) => !known.has(id))
    this.#arrived = []
    const lines = [...this.talk.lines, ...news].sort((a, b) => a.id - b.id).slice(-maxLines)
    if (stored === null) this.#update({ lines }, news)
    else this.#changePending(without(stored), { lines }, news)
  }

  /** Does not wait for a closing that nobody may answer. */
  #giveUp(): void {
    const socket = this.#socket
    if (!socket) return
    this.#closed(1006)
    socket.close()
  }

  /** Without the key, which the question does not need. */
  async #askForOrigin(): Promise<void> {
    const address = new URL(this.#address)
    address.search = ''
    const isOriginRefused = await isRefusedHere(address.href)
    if (this.talk.user === null) this.#update({ isOriginRefused })
  }

  #closed(code: number): void {
    this.#show()
    this.#socket = null
    this.#heartbeat.ended()
    // It is sent again: what the server has stored already it does not say twice.
    this.#underWay = null
    clearTimeout(this.#again)
    if (finalCodes.includes(code)) {
      const unsure = (one: Pending): Pending => ({ ...one, state: 'unsure' })
      return this.#changePending((pending) => pending.map(unsure), { phase: 'refused', code })
    }
    const wait = Math.min(maxWaitMs, 500 * 2 ** this.#attempt++) * (0.5 + Math.random() / 2)
    this.#update({ phase: 'waiting', live: false })
    if (this.talk.user === null) void this.#askForOrigin()
    this.#retry = setTimeout(() => this.#connect(), wait)
  }

  #change(id: string, change: Partial<Pending>, more: Partial<Talk> = {}): void {
    this.#changePending(
      (pending) => pending.map((one) => (one.id === id ? { ...one, ...change } : one)),
      more,
    )
  }

  #kept(): readonly Pending[] {
    return this.#vault.read<readonly Pending[]>(keptName, [])
  }

  /** What waits is kept before it is shown, and outlives the page. Other tabs may have changed it meanwhile. */
  #changePending(
    change: (pending: readonly Pending[]) => readonly Pending[],
    more: Partial<Talk> = {},
    news: readonly Line[] = [],
  ): void {
    const before = this.#kept()
    const pending = change(before)
    if (pending.length > 0 || before.length > 0)
      this.#vault.write(keptName, pending.length > 0 ? pending : null)
    this.#update({ ...more, pending }, news)
  }

  #update(change: Partial<Talk>, news: readonly Line[] = []): void {
    this.talk = { ...this.talk, ...change }
    this.#changed(this.talk, news)
  }
}
