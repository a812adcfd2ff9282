import { binaryFrame } from '../edge/frame.ts'
import { owned } from '../edge/growing.ts'
import type { Metrics } from '../edge/metrics.ts'
import type { Ending, Socket, SocketHandlers } from '../edge/socket.ts'
import { Pace } from '../hub/rate.ts'
import type { Format } from '../hub/subscriber.ts'
import type { Access } from './access.ts'
import type { Budget, Holder } from './budget.ts'
import type { Audience, Listener } from './announce.ts'
import type { Permissions } from './draft.ts'
import { Fragmenter, Reassembler } from './fragments.ts'
import {
  appendHead,
  type Command,
  errorMessage,
  type Fault,
  fault,
  faults,
  type Init,
  parseCommand,
  parseInit,
  parseInitHead,
  type TooLong,
  tooLongFault,
  type Version,
} from './protocol.ts'
import type { Sender } from './rules.ts'

export type DocumentClientDeps = {
  maxMessage: number
  budget: Budget
  metrics: Metrics
  clock: () => number
  /** Decides about a client of which it is known who wants to open what; the rest of its init message may be to come. */
  join: (client: DocumentClient) => void
}

/** What a client needs of the document that it is in. */
export type DocumentClientRoom = {
  /** `cost`: what `client.answered` gives back once it is done. */
  command: (client: DocumentClient, command: Command | TooLong, cost: number) => void
  /** Ends the connection in order with what is being sent, and tells why unless `fault` is null. */
  dismiss: (client: DocumentClient, fault: Fault | null) => void
  /** The client is in the document no more; `how`, in words for the log. */
  left: (client: DocumentClient, how: string) => void
}

const initWithinMs = 30_000
/** A message may take that long; and again as long when so many bytes of it have come within. */
const messageWithinMs = 60_000
const minInTime = 1024 * 1024
const maxUnanswered = 10_000
const maxEarlyBytes = 1024 * 1024
const maxTimerMs = 2 ** 31 - 1
/** What a client may send at once, and a second: bytes, of which each frame has some. The others wait in the network. */
const burst = 4 * 1024 * 1024
const perSecond = 4 * 1024 * 1024
const minFrame = 512

/** What a message that waits costs in memory: its bytes, and the objects around them. */
const costOf = (bytes: Buffer): number => bytes.buffer.byteLength + 512

/** One connection at the document door, from the upgrade to its end. */
export class DocumentClient implements SocketHandlers, Holder, Listener, Sender {
  readonly socket: Socket
  /** How far it has the document; null once it hears of all that is new. */
  behind: number | null = null
  audiences: readonly Audience[] = []
  readonly #deps: DocumentClientDeps
  readonly #reassembler: Reassembler
  readonly #pace = new Pace(burst, perSecond)
  #init: Init | null = null
  #access: Access | null = null
  #room: DocumentClientRoom | null = null
  /** Cuts the document as it was when the client joined, until it has been sent; and whether any of it has. */
  #fragmenter: Fragmenter | null = null
  #begun = false
  /** Whether all of the init message has come, and what is to be done then. */
  #initIsWhole = false
  #whenWhole: (() => void) | null = null
  /** What came after init and before the document did; null from then on. */
  #early: Buffer[] | null = []
  #earlyCost = 0
  #initCost = 0
  #arrivingBytes = 0
  #unanswered = { commands: 0, cost: 0 }
  #timer: NodeJS.Timeout | null
  #expiry: NodeJS.Timeout | null = null
  /** Of the message under way. */
  #arriving: NodeJS.Timeout | null = null
  #arrived = 0
  /** Why nothing more is read. */
  readonly #pauses = new Set<'access' | 'pace'>()
  #resting: NodeJS.Timeout | null = null
  #open = true
  /** How the connection ended by itself. */
  #ending: Ending | null = null

  constructor(socket: Socket, deps: DocumentClientDeps) {
    this.socket = socket
    this.#deps = deps
    this.#reassembler = new Reassembler(deps.maxMessage)
    this.#timer = setTimeout(() => this.fail(fault('no init message came in time')), initWithinMs)
  }

  /** False once the connection has ended or has been told to. */
  get open(): boolean {
    return this.#open
  }

  /** To be asked for after `join` was called. */
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

  get version(): Version {
    return this.init.version
  }

  get format(): Format {
    return this.version === 3 ? 'v1' : 'stock'
  }

  /** The longest frame that it takes. */
  get longest(): number {
    return this.init.longest
  }

  part(data: Buffer): void {
    if (!this.#open) return
    this.#spend(data.length)
    const refused = this.#reassembler.part(data)
    this.#hold()
    if (refused) return this.fail(refused)
    this.#await(data.length)
    if (!this.#init && this.#open) this.#lookForInit()
  }

  frame(data: Buffer): void {
    if (!this.#open) return
    this.#spend(data.length)
    const joined = this.#reassembler.push(data)
    this.#hold()
    if (!this.#open) return
    if (joined.type === 'incomplete') {
      this.#await(data.length)
      if (!this.#init) this.#lookForInit()
      return
    }
    if (this.#arriving) clearInterval(this.#arriving)
    this.#arriving = null
    switch (joined.type) {
      case 'fault':
        return this.fail(joined)
      case 'tooLong':
        if (!this.#room || this.#early) return this.fail(tooLongFault(joined.limit))
        return this.#take(joined, 0)
      case 'message':
        return this.#message(owned(joined.bytes))
    }
  }

  ended(how: Ending): void {
    this.#ending = how
    this.#close()
    this.#room?.dismiss(this, null)
  }

  /** Settled before the client joins a room, which is to be done by `whole`: when its init message has come whole. */
  grant(access: Access, whole: () => void): void {
    this.#access = access
    if (this.#initIsWhole) whole()
    else this.#whenWhole = whole
    this.#goOn('access')
    const { leftMs } = access
    // What lasts longer than a timer can is not ended by one.
    if (leftMs !== null && leftMs <= maxTimerMs)
      this.#expiry = setTimeout(() => this.fail(faults.denied), leftMs)
  }

  /** What the connection may do from now on. Without reading it ends. */
  permit(permissions: Permissions): void {
    if (!this.#access) return
    this.#access = { ...this.#access, permissions }
    if (!permissions.read) this.fail(faults.denied)
  }

  /** The room that it joins, and how far it has the document; what it sends waits until it is live. */
  enter(room: DocumentClientRoom, offset: number): void {
    this.#room = room
    this.behind = offset
    this.#fragmenter = new Fragmenter(appendHead(this.version, offset), this.longest)
    // They may be large, and have been used.
    const none = Buffer.alloc(0)
    this.#init = { ...this.init, id: none, data: none }
  }

  /** In the room: the document is sent next. */
  joined(): void {}

  /** Sends a part of the document as it was when the client joined, which is one message. */
  send(data: Buffer): void {
    const frames = this.#fragmenter?.push(data)
    if (!frames) return
    this.#begun = true
    this.socket.write([frames])
  }

  /** Ends that message, after which `frames` are sent. */
  finish(data: Buffer, frames: readonly Buffer[]): void {
    const last = this.#fragmenter?.end(data)
    this.#fragmenter = null
    if (!last) return
    this.socket.allowBacklog(data.length)
    this.socket.write([last])
    if (frames.length > 0) this.socket.write(frames)
  }

  /** The document has been sent: commands are taken, those that waited first. */
  live(): void {
    const early = this.#early ?? []
    this.#early = null
    const held = this.#earlyCost + this.#initCost
    this.#earlyCost = 0
    this.#initCost = 0
    this.#deps.budget.change(this, -held)
    for (const bytes of early) if (this.#open) this.#command(bytes)
  }

  /** A command is done or dropped. */
  answered(cost: number): void {
    this.#unanswered.commands--
    this.#unanswered.cost -= cost
    this.#deps.budget.change(this, -cost)
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
    this.#say(fault)
    this.close()
  }

  /** It is in the document no more. */
  end(fault: Fault | null): void {
    if (fault) this.#say(fault)
    this.#room?.left(this, fault?.text ?? this.#ending ?? 'dismissed')
    this.close()
  }

  /** Ends the connection without a word: clients come back. */
  close(): void {
    this.#close()
    this.socket.end(null)
  }

  /** Who comes is asked who they are before more is kept than what came with the beginning of their first message. */
  #lookForInit(): void {
    const head = parseInitHead(this.#reassembler.begun)
    if (head === null) return
    if (head.type === 'fault') return this.fail(head)
    this.#init = { ...head, id: Buffer.from(head.id), data: Buffer.alloc(0) }
    this.#pause('access')
    this.#deps.join(this)
  }

  #message(bytes: Buffer): void {
    if (!this.#initIsWhole) return this.#wholeInit(bytes)
    if (!this.#early) return this.#command(bytes)
    const cost = costOf(bytes)
    this.#early.push(bytes)
    this.#earlyCost += cost
    this.#deps.budget.change(this, cost)
    if (this.#earlyCost > maxEarlyBytes) this.fail(fault('too much came before the document was open'))
  }

  #wholeInit(bytes: Buffer): void {
    const init = parseInit(bytes)
    if (init.type === 'fault') return this.fail(init)
    const isKnown = this.#init !== null
    this.#init = init
    this.#initIsWhole = true
    if (this.#timer) clearTimeout(this.#timer)
    this.#timer = null
    this.#initCost = costOf(bytes)
    this.#deps.budget.change(this, this.#initCost)
    if (!this.#open) return
    if (!isKnown) return this.#deps.join(this)
    const whole = this.#whenWhole
    this.#whenWhole = null
    whole?.()
  }

  #command(bytes: Buffer): void {
    const command = parseCommand(bytes)
    if (command.type === 'fault') this.fail(command)
    else this.#take(command, costOf(bytes))
  }

  #take(command: Command | TooLong, cost: number): void {
    const unanswered = this.#unanswered
    unanswered.commands++
    unanswered.cost += cost
    this.#deps.budget.change(this, cost)
    this.#room?.command(this, command, cost)
    const max = 2 * (this.#deps.maxMessage + minFrame)
    if (unanswered.commands > maxUnanswered || unanswered.cost > max)
      this.fail(fault('too much is unanswered'))
  }

  /** Counts what the message under way takes. */
  #hold(): void {
    const held = this.#reassembler.heldBytes - this.#arrivingBytes
    this.#arrivingBytes = this.#reassembler.heldBytes
    this.#deps.budget.change(this, held)
  }

  /** A message under way has to go on. */
  #await(bytes: number): void {
    this.#arrived += bytes
    if (this.#arriving || !this.#open) return
    this.#arrived = bytes
    this.#arriving = setInterval(() => {
      if (this.#arrived < minInTime) this.fail(fault('a message was not complete in time'))
      this.#arrived = 0
    }, messageWithinMs)
  }

  #spend(bytes: number): void {
    const ms = this.#pace.spend(Math.max(bytes, minFrame), this.#deps.clock())
    if (ms === 0 || this.#resting) return
    this.#pause('pace')
    const rest = (ms: number): void => {
      this.#resting = setTimeout(() => {
        const left = this.#pace.spend(0, this.#deps.clock())
        if (left > 0) return rest(left)
        this.#resting = null
        this.#goOn('pace')
      }, ms)
    }
    rest(ms)
  }

  #pause(why: 'access' | 'pace'): void {
    this.#pauses.add(why)
    this.socket.pause()
  }

  #goOn(why: 'access' | 'pace'): void {
    if (this.#pauses.delete(why) && this.#pauses.size === 0 && this.#open) this.socket.resume()
  }

  /** A message that has begun is ended before: the client could not see anything else. */
  #say(fault: Fault): void {
    if (this.#begun) this.finish(Buffer.alloc(0), [])
    this.socket.write([binaryFrame([errorMessage(fault)])])
  }

  #close(): void {
    if (!this.#open) return
    this.#open = false
    for (const timer of [this.#timer, this.#expiry, this.#resting]) if (timer) clearTimeout(timer)
    if (this.#arriving) clearInterval(this.#arriving)
    this.#early = []
    this.#reassembler.clear()
    const held = this.#arrivingBytes + this.#earlyCost + this.#initCost
    this.#initCost = 0
    this.#arrivingBytes = 0
    this.#earlyCost = 0
    this.#deps.budget.change(this, -held)
  }
}
