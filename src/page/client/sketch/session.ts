import { Heartbeat, onOffline, onWake } from '../kit/heartbeat.ts'
import { isRefusedHere } from '../kit/origin.ts'
import { type Entry, isColor, isName, isOnSheet, lineOf, parseLine } from './entries.ts'
import { concernsStep, passes } from './faults.ts'
import {
  appendMessage,
  type Bytes,
  framesOf,
  initMessage,
  Joiner,
  type Key,
  parseMessage,
  setKeyMessage,
} from './protocol.ts'

/** Where somebody is on the sheet, if they are. `drawing` is another number for each of their strokes, 0 while they draw none. */
export type Pointer = { by: string; color: number; x: number | null; y: number | null; drawing: number }

export type Sketch = {
  /** `refused`: the server does not open it; it is tried again when somebody asks for it. */
  phase: 'connecting' | 'in' | 'waiting' | 'gone' | 'denied' | 'refused'
  /** What the server has, in its order. */
  entries: readonly Entry[]
  /** What was done here and is not known to be stored. */
  pending: readonly Entry[]
  /** Others who are here, by the names of their keys. */
  others: ReadonlyMap<string, Pointer>
  /** Whether the server takes no connections from pages of this address. */
  isOriginRefused: boolean
  /** Why nothing can be added, if so. */
  closed: 'readOnly' | 'full' | null
  /** What the server has complained of. */
  fault: string | null
  /** Whether a step was taken back because the server refuses it for good. */
  stepRefused: boolean
}

const maxWaitMs = 15_000
/** So often is told where one's own pointer is. */
const pointerMs = 50
/** So much is appended at once at most, in characters. */
const maxAtOnce = 1_000_000
/** So much of what is not stored yet outlives the page, in characters: what was done first. */
const maxKept = 250_000

/** Where a page finds what the one before it has not got stored, as lines of the document. */
export type Keeping = { read: () => string | null; write: (lines: string | null) => void }

/**
 * The page's side of a document: one websocket at a time. What is drawn shows at once and is appended where the document
 * ends as far as is known here; one append is under way at a time, and whoever was second appends anew after what was
 * first. After a lost connection only what is new is asked for.
 */
export class SketchSession {
  sketch: Sketch = {
    phase: 'connecting',
    entries: [],
    pending: [],
    others: new Map(),
    isOriginRefused: false,
    closed: null,
    fault: null,
    stepRefused: false,
  }
  readonly #address: URL
  readonly #id: string
  readonly #by: string
  readonly #keeping: Keeping
  readonly #changed: (sketch: Sketch, news: readonly Entry[]) => void
  readonly #heartbeat: Heartbeat
  #socket: WebSocket | null = null
  #retry: ReturnType<typeof setTimeout> | undefined
  #attempt = 0
  #wasIn = false
  /** How long the document is as far as is known here, in bytes, and what follows its last line. */
  #length = 0
  #decoder = new TextDecoder()
  #rest = ''
  readonly #known = new Set<string>()
  #underWay: { offset: number; data: Bytes; entries: number } | null = null
  /** What the server said of what is under way: then a no is for what it is, and not for who sent it. */
  #complaint: string | null = null
  /** So many steps are appended at once at most: fewer after a refusal, until the one stands alone that it is for. */
  #most = Infinity
  /** The document's length when an append was refused: what makes it so long has to come first. */
  #awaited = 0
  #key = ''
  #pointer: Pointer
  #pointerIsDue = false

  /** `changed` is told of each change, with what others have done since. */
  constructor(
    given: { page: URL; id: string; by: string; keeping: Keeping },
    changed: (sketch: Sketch, news: readonly Entry[]) => void,
  ) {
    this.#address = new URL('../socket', given.page)
    this.#address.protocol = given.page.protocol.replace('http', 'ws')
    this.#address.hash = ''
    this.#id = given.id
    this.#by = given.by
    this.#pointer = { by: given.by, color: 0, x: null, y: null, drawing: 0 }
    this.#keeping = given.keeping
    this.#changed = changed
    const kept = (given.keeping.read() ?? '').split('\n').map(parseLine)
    this.sketch = { ...this.sketch, pending: kept.filter((entry) => entry !== null) }
    this.#heartbeat = new Heartbeat({
      // The protocol has no other question that changes nothing: its key has another version, so that this is refused.
      ask: () =>
        this.#send(setKeyMessage({ name: this.#key, value: '', oldVersion: 2, version: 3, request: 2 })),
      awaits: () => this.#underWay !== null,
      lost: () => this.#drop(),
    })
  }

  start(): void {
    this.#connect()
    this.#heartbeat.start()
    onWake(() => {
      if (this.sketch.phase === 'waiting') this.#connect()
      this.#heartbeat.check()
    })
    onOffline(() => this.#drop())
  }

  retryNow(): void {
    const { phase } = this.sketch
    if (phase === 'waiting' || phase === 'refused') this.#connect()
  }

  add(entry: Entry): void {
    this.#update({ pending: [...this.sketch.pending, entry], fault: null, stepRefused: false })
    this.#flush()
  }

  /** Tells the others where one is, at most every 50 ms and the last position always. */
  point(change: Partial<Omit<Pointer, 'by'>>): void {
    this.#pointer = { ...this.#pointer, ...change }
    if (this.#pointerIsDue) return
    this.#pointerIsDue = true
    setTimeout(() => {
      this.#pointerIsDue = false
      if (this.sketch.phase === 'in') this.#tellPointer(1)
    }, pointerMs)
  }

  #connect(): void {
    clearTimeout(this.#retry)
    this.#update({ phase: 'connecting' })
    const socket = new WebSocket(this.#address)
    const joiner = new Joiner()
    socket.binaryType = 'arraybuffer'
    this.#socket = socket
    this.#heartbeat.began()
    socket.addEventListener('open', () => {
      if (socket === this.#socket) this.#send(initMessage(this.#id, this.#length))
    })
    socket.addEventListener('message', ({ data }: MessageEvent<ArrayBuffer>) => {
      if (socket !== this.#socket) return
      this.#heartbeat.heard()
      const message = joiner.push(new Uint8Array(data))
      if (message) this.#hear(message)
    })
    socket.addEventListener('close', () => {
      if (socket === this.#socket) this.#closed()
    })
  }

  #hear(message: Bytes): void {
    const heard = parseMessage(message)
    switch (heard.type) {
      case 'append':
        // Bytes are missing, or come twice: what is here is right, and the rest is asked for anew.
        if (heard.offset !== this.#length) return this.#drop()
        this.#take(heard.data)
        if (this.sketch.phase !== 'in') this.#entered()
        return this.#flush()
      case 'answer':
        return this.#answered(heard.result, heard.length)
      case 'keys':
        return this.#hearKeys(heard.keys)
      case 'error':
        return this.#failed(heard.code, heard.text)
      case 'other':
    }
  }

  #entered(): void {
    this.#attempt = 0
    this.#wasIn = true
    this.#heartbeat.entered()
    this.#update({ phase: 'in', fault: null, stepRefused: false })
    // A name that no earlier connection had: the key of a lost one stays until the server has found that out.
    this.#key = `pointer ${Math.random().toString(36).slice(2)}`
    this.#tellPointer(0)
  }

  #tellPointer(oldVersion: number): void {
    const value = JSON.stringify(this.#pointer)
    this.#send(setKeyMessage({ name: this.#key, value, oldVersion, version: 1, request: 1 }))
  }

  #answered(result: 'refused' | 'accepted' | 'notPermitted', length: number): void {
    const sent = this.#underWay
    const complaint = this.#complaint
    this.#underWay = null
    this.#complaint = null
    if (!sent) return
    if (result === 'accepted') {
      this.#most *= 2
      this.#take(sent.data)
    } else if (result === 'notPermitted' && complaint !== null) this.#refused(sent.entries)
    else if (result === 'notPermitted') this.#update({ pending: [], closed: 'readOnly' })
    else if (length !== sent.offset) this.#awaited = length
    // Nobody was first: it is too much, all together or by itself, or the server takes no more.
    else if (sent.entries > 1 || (complaint !== null && concernsStep(complaint))) this.#refused(sent.entries)
    else this.#update({ pending: [], closed: 'full', fault: complaint })
    this.#flush()
  }

  /** For good: one of so many steps, which came first among those that are pending. */
  #refused(entries: number): void {
    this.#most = Math.max(1, Math.ceil(entries / 2))
    if (entries > 1) return
    const [, ...pending] = this.sketch.pending
    this.#update({ pending, fault: null, stepRefused: true })
  }

  /** The next bytes of the document, whoever wrote them. */
  #take(data: Bytes): void {
    this.#length += data.length
    const lines = (this.#rest + this.#decoder.decode(data, { stream: true })).split('\n')
    this.#rest = lines.pop() ?? ''
    const fresh: Entry[] = []
    for (const line of lines) {
      const entry = line === '' ? null : parseLine(line)
      if (!entry || this.#known.has(entry.id)) continue
      this.#known.add(entry.id)
      fresh.push(entry)
    }
    if (fresh.length === 0) return
    const news = this.sketch.phase === 'in' ? fresh.filter(({ by }) => by !== this.#by) : []
    const pending = this.sketch.pending.filter(({ id }) => !this.#known.has(id))
    this.#update({ entries: [...this.sketch.entries, ...fresh], pending }, news)
  }

  #flush(): void {
    const { phase, pending, closed } = this.sketch
    if (phase !== 'in' || this.#underWay || pending.length === 0 || closed) return
    if (this.#length < this.#awaited) return
    let text = ''
    let entries = 0
    for (const entry of pending) {
      const line = lineOf(entry)
      if (entries === this.#most || (text !== '' && text.length + line.length > maxAtOnce)) break
      text += line
      entries++
    }
    const data = new TextEncoder().encode(text)
    this.#underWay = { offset: this.#length, data, entries }
    this.#complaint = null
    this.#send(appendMessage(this.#length, data))
  }

  #hearKeys(keys: readonly Key[]): void {
    const others = new Map(this.sketch.others)
    for (const { name, value } of keys) {
      const pointer = parsePointer(value)
      if (pointer && pointer.by !== this.#by) others.set(name, pointer)
      else others.delete(name)
    }
    this.#update({ others })
  }

  #failed(code: number, text: string): void {
    if (code === 4) this.#update({ phase: 'denied' })
    // It is no more, or another one that is shorter.
    else if (code === 1 || code === 3) this.#update({ phase: 'gone' })
    else if (this.sketch.phase !== 'in' && passes(text)) this.#update({ fault: text })
    else if (this.sketch.phase !== 'in') this.#update({ phase: 'refused', fault: text })
    else if (this.#underWay) {
      this.#complaint = text
      return
    } else return this.#update({ fault: text })
    this.#drop()
  }

  #send(message: Bytes): void {
    for (const frame of framesOf(message)) this.#socket?.send(frame)
  }

  /** Without waiting for an answer, which may never come. */
  #drop(): void {
    const socket = this.#socket
    if (!socket) return
    this.#closed()
    socket.close()
  }

  #closed(): void {
    this.#socket = null
    this.#heartbeat.ended()
    // Whether it was stored shows when the rest of the document has come.
    this.#underWay = null
    if (this.#complaint !== null) this.#update({ fault: this.#complaint })
    this.#complaint = null
    this.#awaited = 0
    const { phase } = this.sketch
    if (phase === 'gone' || phase === 'denied' || phase === 'refused')
      return this.#update({ others: new Map() })
    const wait = Math.min(maxWaitMs, 500 * 2 ** this.#attempt++) * (0.5 + Math.random() / 2)
    this.#update({ phase: 'waiting', others: new Map() })
    this.#retry = setTimeout(() => this.#connect(), wait)
    if (!this.#wasIn) void this.#askForOrigin()
  }

  async #askForOrigin(): Promise<void> {
    const isOriginRefused = await isRefusedHere(this.#address.href)
    if (!this.#wasIn) this.#update({ isOriginRefused })
  }

  #update(change: Partial<Sketch>, news: readonly Entry[] = []): void {
    const before = this.sketch
    this.sketch = { ...before, ...change }
    if (this.sketch.pending !== before.pending || this.sketch.phase === 'gone') this.#keep()
    this.#changed(this.sketch, news)
  }

  /** What belongs to a sketch that is no more is for no other one. */
  #keep(): void {
    let lines = ''
    for (const entry of this.sketch.phase === 'gone' ? [] : this.sketch.pending) {
      const line = lineOf(entry)
      if (lines.length + line.length > maxKept) break
      lines += line
    }
    this.#keeping.write(lines === '' ? null : lines)
  }
}

function parsePointer(value: string): Pointer | null {
  try {
    const { by, color, x, y, drawing } = JSON.parse(value) as Record<string, unknown>
    if (!isName(by) || !isColor(color)) return null
    return isOnSheet(x, y)
      ? { by, color, x: Number(x), y: Number(y), drawing: Number(drawing) }
      : { by, color, x: null, y: null, drawing: 0 }
  } catch {
    return null
  }
}
