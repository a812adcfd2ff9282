import { randomBytes } from 'node:crypto'
import type { Plenum } from './server.ts'
import {
  appendMessage,
  broadcastMessage,
  initMessage,
  setKeyMessage,
  DocumentClient,
} from './document-client.ts'
import type { Heard } from './document-client.ts'

export interface SketcherOptions {
  name: string
  version: number
  longest: number
  returnAfterMs?: number
}

/**
 * A client as Zwibbler's: one append outstanding, again at the new end when somebody else was first, and back with its
 * offset whenever its connection is lost. What breaks the order of the document is an error of its.
 */
export class SketchClient {
  readonly name: string
  readonly accepted: { offset: number; data: Buffer }[] = []
  readonly keys = new Map<string, string>()
  readonly errors: string[] = []
  refused = 0
  returns = -1
  broadcasts = 0
  isLive = false
  readonly #server: () => Plenum
  readonly #id: string
  readonly #options: SketcherOptions
  #client: DocumentClient | null = null
  #parts: Buffer[] = []
  #length = 0
  #versions = new Map<string, number>()
  #outstanding: Buffer | null = null
  /** What was sent when the connection was lost: nobody knows whether it is there. */
  #doubtful: Buffer | null = null
  /** Answered by a no, and waiting for what it lacks. */
  #behind = false
  #waiting: Buffer[] = []
  #unansweredKeys: { name: string; value: string; version: number }[] = []
  #count = 0
  #ended = false

  constructor(server: () => Plenum, id: string, options: SketcherOptions) {
    this.#server = server
    this.#id = id
    this.#options = options
    this.name = options.name
    this.#connect()
  }

  get length(): number {
    return this.#length
  }

  get bytes(): Buffer {
    this.#parts = [Buffer.concat(this.#parts)]
    return this.#parts[0] as Buffer
  }

  get isWriting(): boolean {
    return this.#outstanding !== null || this.#waiting.length > 0
  }

  /** Appends a text of its own and so many bytes more. */
  write(more: number): void {
    this.#waiting.push(Buffer.from(`<${this.name}:${this.#count++}:${randomBytes(more).toString('hex')}>`))
    this.#next()
  }

  setKey(name: string, stored: boolean): void {
    if (!this.isLive || this.#unansweredKeys.length > 0) return
    const id = stored ? name : `${name} of a connection`
    const old = this.#versions.get(id) ?? 0
    const key = { name: id, value: `${this.name} ${this.#count++}`, version: old + 1 }
    this.#unansweredKeys.push(key)
    this.#client?.send(setKeyMessage({ request: 1, stored, old, ...key }))
  }

  broadcast(): void {
    if (this.isLive) this.#client?.send(broadcastMessage(this.name))
  }

  drop(): void {
    this.#client?.leave()
  }

  end(): void {
    this.#ended = true
    this.#client?.leave()
  }

  #connect(): void {
    if (this.#ended) return
    this.returns++
    const { version, longest } = this.#options
    const client = new DocumentClient(this.#server())
    this.#client = client
    client.ws.on('open', () => client.send(initMessage(this.#id, { version, longest, offset: this.#length })))
    client.onHeard = (heard) => this.#hear(client, heard)
    client.ws.on('close', () => this.#lost(client))
  }

  #lost(client: DocumentClient): void {
    if (this.#client !== client) return
    this.isLive = false
    this.#behind = false
    this.#unansweredKeys = []
    this.keys.clear()
    this.#versions.clear()
    this.#doubtful = this.#outstanding ?? this.#doubtful
    this.#outstanding = null
    setTimeout(() => this.#connect(), this.#options.returnAfterMs ?? 20).unref()
  }

  #hear(client: DocumentClient, heard: Heard): void {
    if (client !== this.#client) return
    client.heard.length = 0
    client.frames.length = 0
    switch (heard.type) {
      case 'append':
        if (heard.offset !== this.#length) this.errors.push(`append at ${heard.offset}, not ${this.#length}`)
        this.#take(heard.data)
        if (!this.isLive) this.#entered(heard)
        else if (this.#behind) this.#again()
        return
      case 'answer':
        return this.#answered(heard)
      case 'keys':
        for (const { name, value, version } of heard.keys) this.#learn(name, value, version)
        return
      case 'keyAnswer': {
        const key = this.#unansweredKeys.shift()
        if (!key) this.errors.push('an answer about a key that was not set')
        else if (heard.status === 1) this.#learn(key.name, key.value, key.version)
        return
      }
      case 'broadcast':
        this.broadcasts++
        return
      case 'error':
        this.errors.push(`${heard.code} ${heard.text}`)
    }
  }

  #entered({ offset, data }: { offset: number; data: Buffer }): void {
    this.isLive = true
    const doubtful = this.#doubtful
    this.#doubtful = null
    if (doubtful) {
      const at = data.indexOf(doubtful)
      if (at < 0) this.#waiting.unshift(doubtful)
      else this.accepted.push({ offset: offset + at, data: doubtful })
    }
    this.#next()
  }

  #answered({ status, length }: { status: number; length: number }): void {
    const data = this.#outstanding
    if (!data) return void this.errors.push('an answer to nothing')
    if (status === 1) {
      this.accepted.push({ offset: this.#length, data })
      this.#take(data)
      if (length !== this.#length) this.errors.push(`accepted up to ${length}, not ${this.#length}`)
      this.#outstanding = null
      return this.#next()
    }
    this.refused++
    this.#behind = true
    if (length === this.#length) this.#again()
  }

  #again(): void {
    this.#behind = false
    if (this.#outstanding) this.#waiting.unshift(this.#outstanding)
    this.#outstanding = null
    this.#next()
  }

  #next(): void {
    if (!this.isLive || this.#outstanding) return
    const data = this.#waiting.shift()
    if (!data) return
    this.#outstanding = data
    this.#client?.send(appendMessage(this.#length, data, this.#options.version))
  }

  #take(data: Buffer): void {
    if (data.length > 0) this.#parts.push(data)
    this.#length += data.length
  }

  #learn(name: string, value: string, version: number): void {
    if (value === '') {
      this.keys.delete(name)
      this.#versions.delete(name)
    } else {
      this.keys.set(name, `${value} ${version}`)
      this.#versions.set(name, version)
    }
  }
}
