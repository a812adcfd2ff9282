export type Line = { id: number; time: string; user: string; message: string }

/** What was written and has not come back as a line. `isUnsure`: the connection ended, or there was an error, before it did. */
export type Pending = { key: number; message: string; isUnsure: boolean }

export type Talk = {
  phase: 'connecting' | 'in' | 'waiting' | 'refused'
  user: string | null
  lines: readonly Line[]
  pending: readonly Pending[]
  /** What the server has answered to the last message that it did not take. */
  error: string | null
}

type Frame = Partial<Line> & { authenticated?: boolean; error?: string }

const firstLines = 500
/** So many lines are kept on the page. */
const mostLines = 5000
const finalCodes = [4400, 4401]
const longestWaitMs = 15_000

/** The page's side of a chat: one websocket at a time, and what has come by it. */
export class TalkSession {
  talk: Talk = { phase: 'connecting', user: null, lines: [], pending: [], error: null }
  readonly #address: URL
  readonly #changed: (talk: Talk, news: readonly Line[]) => void
  #socket: WebSocket | null = null
  #retry: ReturnType<typeof setTimeout> | undefined
  #attempt = 0
  #lastKey = 0
  /** Lines that have come in this turn, to be shown together. */
  #arrived: Line[] = []
  #showing = false

  /** `changed` is told of each change, with the lines that are new in it. */
  constructor(page: URL, key: string, changed: (talk: Talk, news: readonly Line[]) => void) {
    this.#address = new URL('ws/chat', page)
    this.#address.protocol = page.protocol.replace('http', 'ws')
    this.#address.search = new URLSearchParams({ session_key: key, ids: '1' }).toString()
    this.#changed = changed
  }

  start(): void {
    this.#connect()
    window.addEventListener('online', () => this.retryNow())
    document.addEventListener('visibilitychange', () => {
      if (document.visibilityState === 'visible') this.retryNow()
    })
  }

  retryNow(): void {
    if (this.talk.phase === 'waiting') this.#connect()
  }

  say(message: string): void {
    this.#socket?.send(JSON.stringify({ message }))
    this.#update({
      pending: [...this.talk.pending, { key: ++this.#lastKey, message, isUnsure: false }],
      error: null,
    })
  }

  sayAgain(key: number): void {
    const pending = this.talk.pending.find((one) => one.key === key)
    this.discard(key)
    if (pending) this.say(pending.message)
  }

  discard(key: number): void {
    this.#update({ pending: this.talk.pending.filter((one) => one.key !== key), error: null })
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
    socket.addEventListener('message', ({ data }) => this.#heard(JSON.parse(String(data)) as Frame))
    socket.addEventListener('close', ({ code }) => this.#closed(code))
  }

  #heard({ authenticated, error, id, time = '', user = '', message }: Frame): void {
    if (authenticated) {
      this.#attempt = 0
      this.#update({ phase: 'in', user })
    } else if (error !== undefined) {
      const pending = this.talk.pending.map((one) => ({ ...one, isUnsure: true }))
      this.#update({ pending, error })
    } else if (id !== undefined && message !== undefined) {
      this.#arrived.push({ id, time, user, message })
      // A long history comes as thousands of frames, and is shown a few times.
      if (!this.#showing) setTimeout(() => this.#show(), 30)
      this.#showing = true
    }
  }

  #show(): void {
    this.#showing = false
    const known = new Set(this.talk.lines.map(({ id }) => id))
    const news = this.#arrived.filter(({ id }) => !known.has(id))
    this.#arrived = []
    let { pending } = this.talk
    for (const { user, message } of news) {
      const own = user === this.talk.user ? pending.findIndex((one) => one.message === message) : -1
      pending = pending.filter((_, index) => index !== own)
    }
    const lines = [...this.talk.lines, ...news].sort((a, b) => a.id - b.id).slice(-mostLines)
    this.#update({ lines, pending }, news)
  }

  #closed(code: number): void {
    this.#show()
    this.#socket = null
    const pending = this.talk.pending.map((one) => ({ ...one, isUnsure: true }))
    if (finalCodes.includes(code)) return this.#update({ phase: 'refused', pending })
    const wait = Math.min(longestWaitMs, 500 * 2 ** this.#attempt++) * (0.5 + Math.random() / 2)
    this.#update({ phase: 'waiting', pending })
    this.#retry = setTimeout(() => this.#connect(), wait)
  }

  #update(change: Partial<Talk>, news: readonly Line[] = []): void {
    this.talk = { ...this.talk, ...change }
    this.#changed(this.talk, news)
  }
}
