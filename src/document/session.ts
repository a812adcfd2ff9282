import { binaryFrame } from '../edge/frame.ts'
import type { Metrics } from '../edge/metrics.ts'
import type { Ending, Socket, SocketHandlers } from '../edge/socket.ts'
import type { Access } from './access.ts'
import type { Budget, Holder } from './budget.ts'
import type { Permissions } from './document.ts'
import {
  type Command,
  errorMessage,
  type Fault,
  fault,
  faults,
  type Init,
  Joiner,
  parseCommand,
  parseInit,
} from './protocol.ts'

export type DocumentSessionDeps = {
  maxMessage: number
  budget: Budget
  metrics: Metrics
  /** Decides about a session whose init message has come. */
  enter: (session: DocumentSession) => void
}

/** A message that was too long, of the type `kind`. */
export type TooLong = Readonly<{ type: 'tooLong'; kind: number }>

/** What a session needs of the document that it is in. */
export type SessionRoom = {
  /** `bytes`: what `session.answered` gives back once it is done. */
  command: (session: DocumentSession, command: Command | TooLong, bytes: number) => void
  /** Tells why and ends the connection, in order with what is being sent. */
  dismiss: (session: DocumentSession, fault: Fault) => void
  ended: (session: DocumentSession, how: Ending) => void
}

const initWithinMs = 30_000
const mostUnanswered = 10_000
const mostEarlyBytes = 1024 * 1024
const longestTimerMs = 2 ** 31 - 1

/** One connection at the document door, from the upgrade to its end. */
export class DocumentSession implements SocketHandlers, Holder {
  readonly socket: Socket
  readonly #deps: DocumentSessionDeps
  readonly #joiner: Joiner
  #init: Init | null = null
  #access: Access | null = null
  #room: SessionRoom | null = null
  /** What came after init and before the document did; null from then on. */
  #early: Buffer[] | null = []
  #earlyBytes = 0
  #initBytes = 0
  #joining = 0
  #unanswered = { commands: 0, bytes: 0 }
  #timer: NodeJS.Timeout | null
  #open = true

  constructor(socket: Socket, deps: DocumentSessionDeps) {
    this.socket = socket
    this.#deps = deps
    this.#joiner = new Joiner(deps.maxMessage)
    this.#timer = setTimeout(() => this.fail(fault('no init message came in time')), initWithinMs)
  }

  /** False once the connection has ended or has been told to. */
  get open(): boolean {
    return this.#open
  }

  /** To be asked for after `enter` was called. */
  get init(): Init {
    if (!this.#init) throw new Error('no init message has come yet')
    return this.#init
  }

  get user(): string | null {
    return this.#access?.user ?? null
  }

  get permissions(): Permissions {
    return this.#access?.permissions ?? { read: false, write: false, admin: false }
  }

  frame(data: Buffer): void {
    if (!this.#open) return
    const joined = this.#joiner.push(data)
    const held = this.#joiner.heldBytes - this.#joining
    this.#joining = this.#joiner.heldBytes
    this.#deps.budget.change(this, held)
    if (!this.#open) return
    switch (joined.type) {
      case 'incomplete':
        return
      case 'fault':
        return this.fail(joined)
      case 'tooLong':
        if (!this.#room || this.#early) return this.fail(tooLongFault(this.#deps.maxMessage))
        return this.#take(joined, 0)
      case 'message':
        return this.#message(joined.bytes)
    }
  }

  ended(how: Ending): void {
    this.#close()
    this.#room?.ended(this, how)
  }

  /** Settled before the session enters a room. */
  grant(access: Access): void {
    this.#access = access
    const { leftMs } = access
    // What lasts longer than a timer can is not ended by one.
    if (leftMs !== null && leftMs <= longestTimerMs)
      this.#timer = setTimeout(() => this.fail(faults.denied), leftMs)
  }

  /** What the connection may do from now on. Without reading it ends. */
  permit(permissions: Permissions): void {
    if (!this.#access) return
    this.#access = { ...this.#access, permissions }
    if (!permissions.read) this.fail(faults.denied)
  }

  /** The room that it is in from now on; what it sends still waits for `live`. */
  admit(room: SessionRoom): void {
    this.#room = room
    // They may be large, and have been used.
    const none = Buffer.alloc(0)
    this.#init = { ...this.init, id: none, data: none }
  }

  /** The document has been sent: commands are taken, those that waited first. */
  live(): void {
    const early = this.#early ?? []
    this.#early = null
    const held = this.#earlyBytes + this.#initBytes
    this.#earlyBytes = 0
    this.#initBytes = 0
    this.#deps.budget.change(this, -held)
    for (const bytes of early) if (this.#open) this.#command(bytes)
  }

  /** A command is done or dropped. */
  answered(bytes: number): void {
    this.#unanswered.commands--
    this.#unanswered.bytes -= bytes
    this.#deps.budget.change(this, -bytes)
  }

  /** More waits than the server can keep, and nobody keeps more of it. */
  shed(): void {
    this.fail(fault('the server is too busy'))
  }

  /** Says why, and ends the connection. */
  fail(fault: Fault): void {
    if (!this.#open) return
    this.#deps.metrics.rejected(fault.text)
    if (this.#room) return this.#room.dismiss(this, fault)
    this.socket.write([binaryFrame([errorMessage(fault)])])
    this.end()
  }

  /** Ends the connection without a word: clients come back. */
  end(): void {
    this.#close()
    this.socket.end(null)
  }

  #message(bytes: Buffer): void {
    if (!this.#init) {
      const init = parseInit(bytes)
      if (init.type === 'fault') return this.fail(init)
      this.#init = init
      if (this.#timer) clearTimeout(this.#timer)
      this.#timer = null
      this.#initBytes = bytes.length
      this.#deps.budget.change(this, bytes.length)
      return this.#open ? this.#deps.enter(this) : undefined
    }
    if (!this.#early) return this.#command(bytes)
    this.#early.push(bytes)
    this.#earlyBytes += bytes.length
    this.#deps.budget.change(this, bytes.length)
    if (this.#earlyBytes > mostEarlyBytes || this.#early.length > mostUnanswered)
      this.fail(fault('too much came before the document was open'))
  }

  #command(bytes: Buffer): void {
    const command = parseCommand(bytes)
    if (command.type === 'fault') this.fail(command)
    else this.#take(command, bytes.length)
  }

  #take(command: Command | TooLong, bytes: number): void {
    const unanswered = this.#unanswered
    unanswered.commands++
    unanswered.bytes += bytes
    this.#deps.budget.change(this, bytes)
    this.#room?.command(this, command, bytes)
    if (unanswered.commands > mostUnanswered || unanswered.bytes > 2 * this.#deps.maxMessage)
      this.fail(fault('too much is unanswered'))
  }

  #close(): void {
    if (!this.#open) return
    this.#open = false
    if (this.#timer) clearTimeout(this.#timer)
    this.#early = []
    const held = this.#joining + this.#earlyBytes + this.#initBytes
    this.#initBytes = 0
    this.#joining = 0
    this.#earlyBytes = 0
    this.#deps.budget.change(this, -held)
  }
}

export const tooLongFault = (maxMessage: number): Fault =>
  fault(`a message of more than ${maxMessage} bytes is not taken`)
