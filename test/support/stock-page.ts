import { setTimeout as wait } from 'node:timers/promises'
import { WebSocket } from 'ws'
import { parseFrame } from './meeting-client.ts'
import type { Frame, Line, Person, PollState, Target } from './meeting-client.ts'
import { Deadline } from './patience.ts'

export interface PageOptions {
  meetingId: number
  key: string | undefined
  headers?: Record<string, string>
  /** Milliseconds before the page connects again; the stock page waits two seconds. */
  retryAfter?: number
}

const known = [
  'message',
  'messages',
  'adduser',
  'removeuser',
  'users',
  'status',
  'poll',
  'error',
  'disconnect',
]

/**
 * A client with the rules of pgeu-system's own page: it resumes after the highest message id it has seen, tries
 * again after two seconds when it sees close code 1006, and gives up for good at a `disconnect` message or at any
 * other code.
 */
export class StockPage {
  /** Replace it when the server comes back elsewhere. */
  target: Target
  readonly frames: Frame[] = []
  /** Every line that was shown, in order, repetitions included. */
  readonly lines: Line[] = []
  readonly people = new Map<number, Person>()
  /** One entry for each attempt to connect: the `first` that it sent. */
  readonly attempts: number[] = []
  readonly closeCodes: number[] = []
  readonly errors: string[] = []
  /** What the stock page would show as a warning: message types that it does not know. */
  readonly unknown: string[] = []
  status: { isopen: boolean; isfinished: boolean } | undefined
  poll: PollState | null = null
  first = 0
  state: 'connecting' | 'open' | 'waiting' | 'stopped' = 'connecting'
  disconnectText: string | undefined
  readonly #options: PageOptions
  #ws: WebSocket | undefined
  #retry: NodeJS.Timeout | undefined

  constructor(target: Target, options: PageOptions) {
    this.target = target
    this.#options = options
    this.#connect()
  }

  send(command: object): void {
    this.#ws?.send(JSON.stringify(command))
  }

  say(message: string): void {
    this.send({ type: 'message', message })
  }

  vote(answer: number): void {
    this.send({ type: 'vote', question: this.poll?.question, vote: answer })
  }

  /** The button of the page. */
  disconnect(): void {
    this.#ws?.close()
  }

  /** The network goes away under the page. */
  lose(): void {
    this.#ws?.terminate()
  }

  /** The person leaves the page: what the browser does then, and no more attempts. */
  leave(): void {
    this.state = 'stopped'
    clearTimeout(this.#retry)
    if (this.#ws?.readyState === WebSocket.CONNECTING) this.#ws.terminate()
    else this.#ws?.close(1001)
  }

  texts(): string[] {
    return this.lines.map((line) => line.message)
  }

  /** Waits until the page satisfies a condition. */
  async until(condition: (page: this) => boolean, milliseconds = 5000): Promise<void> {
    for (const deadline = new Deadline(milliseconds); !condition(this); await wait(5)) {
      if (!deadline.isOver) continue
      const { state, attempts, closeCodes } = this
      const seen = this.frames.map((frame) => JSON.stringify(frame)).join('\n  ')
      throw new Error(`not within ${milliseconds} ms: ${String(condition)}
  ${JSON.stringify({ state, attempts, closeCodes })}\n  ${seen}`)
    }
  }

  #connect(): void {
    const { meetingId, key, headers = {} } = this.#options
    this.state = 'connecting'
    this.attempts.push(this.first)
    const url = this.target.socketUrl(`/ws/meeting/${meetingId}/${key ?? ''}/${this.first}`)
    const ws = new WebSocket(url, { headers })
    this.#ws = ws
    ws.on('upgrade', (response) => response.socket.unref()) // a page left open must not keep the test alive
    ws.on('open', () => (this.state = 'open'))
    ws.on('message', (data) => this.#receive(parseFrame(data)))
    ws.on('error', () => {}) // a browser tells the page nothing but the 1006 that follows
    ws.on('close', (code) => this.#closed(code))
  }

  #closed(code: number): void {
    this.closeCodes.push(code)
    if (this.state === 'stopped') return
    if (code !== 1006 || this.disconnectText !== undefined) {
      this.state = 'stopped'
      return
    }
    this.state = 'waiting'
    this.#retry = setTimeout(() => this.#connect(), this.#options.retryAfter ?? 2000)
    this.#retry.unref()
  }

  #receive(frame: Frame): void {
    this.frames.push(frame)
    if (!known.includes(frame.type)) this.unknown.push(frame.type)
    switch (frame.type) {
      case 'message':
        this.#show(frame.data)
        break
      case 'messages':
        for (const line of frame.data) this.#show(line)
        break
      case 'adduser':
        this.people.set(frame.data.id, frame.data)
        break
      case 'removeuser':
        this.people.delete(frame.data.id)
        break
      case 'users':
        this.people.clear()
        for (const person of frame.data.users) this.people.set(person.id, person)
        break
      case 'status':
        this.status = frame.data
        break
      case 'poll':
        this.poll = frame.data
        break
      case 'error':
        this.errors.push(frame.msg)
        break
      case 'disconnect':
        this.disconnectText = frame.data.message // ending the connection is up to the server
        break
      case 'welcome':
      case 'meeting':
      case 'pollend':
      case 'here':
      case 'ack':
        break // the stock page knows none of these: see `unknown`
    }
  }

  #show(line: Line): void {
    this.lines.push(line)
    this.first = Math.max(this.first, line.id)
  }
}
