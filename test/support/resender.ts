import { setTimeout as wait } from 'node:timers/promises'
import type { MeetingFixture } from './meeting-fixture.ts'
import type { Frame, Line, Member } from './meeting-client.ts'

const retryMs = 50

/**
 * A client of plenum.v1 that never gives up: what it was told to send it sends again, on this connection and on later
 * ones, until it is answered for good.
 */
export class Resender {
  readonly lines: Line[] = []
  /** The texts of errors that were final, by the ids of their commands. */
  readonly rejected = new Map<string, string>()
  /** How often something was sent again. */
  repeats = 0
  poll: { id: number; question: string } | null = null
  readonly #meeting: MeetingFixture
  readonly #index: number
  readonly #pending = new Map<string, { command: object; sentOn: Member | null }>()
  #member: Member | null = null
  #count = 0
  #left = false
  readonly #running: Promise<void>

  constructor(meeting: MeetingFixture, index: number) {
    this.#meeting = meeting
    this.#index = index
    this.#running = this.#run()
  }

  /** How many commands have no answer yet. */
  get waiting(): number {
    return this.#pending.size
  }

  get isHere(): boolean {
    return this.#member !== null
  }

  /** Gives the id under which it is sent. */
  send(command: object): string {
    const id = `${this.#index}-${++this.#count}`
    this.#pending.set(id, { command, sentOn: null })
    this.#sendNext()
    return id
  }

  /** Whether it has no answer yet. */
  isPending(id: string): boolean {
    return this.#pending.has(id)
  }

  async leave(): Promise<void> {
    this.#left = true
    this.#member?.ws.terminate()
    await this.#running
  }

  async #run(): Promise<void> {
    while (!this.#left) {
      try {
        const first = this.lines.at(-1)?.id ?? 0
        const member = await this.#meeting.connect(this.#index, { first, protocols: ['plenum.v1'] })
        member.ws.on('message', (data) => this.#take(JSON.parse((data as Buffer).toString()) as Frame))
        for (const frame of member.frames) this.#take(frame)
        await member.next('welcome', () => true, 20_000)
        this.#member = member
        this.#sendNext()
        await member.closed
      } catch {
        // refused or lost while it came in: it comes back
      }
      this.#member = null
      await wait(retryMs)
    }
  }

  /** The next one waits for the answer to the one before: else an answer `again` would change their order. */
  #sendNext(): void {
    const [next] = this.#pending
    if (!this.#member || !next) return
    const [id, one] = next
    if (one.sentOn === this.#member) return
    if (one.sentOn) this.repeats++
    one.sentOn = this.#member
    this.#member.send({ ...one.command, id })
  }

  #take(frame: Frame): void {
    switch (frame.type) {
      case 'message':
        this.lines.push(frame.data)
        break
      case 'messages':
        this.lines.push(...frame.data)
        break
      case 'poll':
        this.poll = frame.data && { id: frame.data.id ?? 0, question: frame.data.question }
        break
      case 'ack':
        this.#pending.delete(frame.data.id)
        this.#sendNext()
        break
      case 'error': {
        const { id, msg, again } = frame
        const one = id === undefined ? undefined : this.#pending.get(id)
        if (id === undefined || !one) break
        if (again) {
          setTimeout(() => {
            this.repeats++
            one.sentOn = null
            this.#sendNext()
          }, retryMs)
          break
        }
        this.#pending.delete(id)
        this.rejected.set(id, msg)
        this.#sendNext()
        break
      }
      case 'adduser':
      case 'removeuser':
      case 'users':
      case 'status':
      case 'disconnect':
      case 'welcome':
      case 'meeting':
      case 'pollend':
      case 'here':
    }
  }
}
