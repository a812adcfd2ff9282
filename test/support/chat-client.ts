import { randomBytes } from 'node:crypto'
import type { Sql } from 'postgres'
import { WebSocket } from 'ws'
import type { Target } from './meeting-client.ts'
import { until } from './until.ts'

export type ChatLine = { time: string; user: string; message: string; id?: number }
export type ChatFrame = Partial<Omit<ChatLine, 'id'>> & {
  authenticated?: true
  error?: string
  room?: number
  /** Of a line it is a number, of a refusal what its speaker has called it. */
  id?: number | string
  again?: true
  ack?: string
  live?: true
  pong?: true
  now?: number
}

/** Makes a session of this user in this room, as an embedding application does, and returns its key. */
export async function invite(
  sql: Sql,
  user: string,
  room: number,
  { schema = 'chat', key = randomBytes(12).toString('base64url') } = {},
): Promise<string> {
  await sql`insert into ${sql(`${schema}.sessions`)} (key, "user", room) values (${key}, ${user}, ${room})`
  return key
}

/** A client at the chat door. Where it connects is settled by `path`: that of nodejschat's clients, unless another is given. */
export class ChatClient {
  readonly ws: WebSocket
  readonly frames: ChatFrame[] = []
  /** What came as text, before it was understood. */
  readonly texts: string[] = []
  closeCode: number | null = null

  constructor(target: Target, key: string, { path = '/', query = '', headers = {} } = {}) {
    const address = `${path}?session_key=${encodeURIComponent(key)}${query && `&${query}`}`
    this.ws = new WebSocket(target.socketUrl(address), { headers })
    // One that is left open must not keep the test alive.
    this.ws.on('upgrade', (response) => response.socket.unref())
    this.ws.on('message', (data: Buffer) => {
      const text = data.toString()
      this.texts.push(text)
      this.frames.push(JSON.parse(text) as ChatFrame)
    })
    this.ws.on('error', () => {})
    this.ws.on('close', (code) => (this.closeCode = code))
  }

  get isIn(): boolean {
    return this.frames[0]?.authenticated === true
  }

  get lines(): ChatLine[] {
    return this.frames.filter((frame) => frame.message !== undefined) as ChatLine[]
  }

  get messages(): string[] {
    return this.lines.map(({ message }) => message)
  }

  get errors(): string[] {
    return this.frames.flatMap(({ error }) => error ?? [])
  }

  /** The answers to lines with an id: what is stored, what is refused. */
  get acks(): string[] {
    return this.frames.flatMap(({ ack }) => ack ?? [])
  }

  /** `id`: under which it wants an answer, with `ids=1`. */
  say(message: unknown, id?: string): void {
    this.ws.send(JSON.stringify({ message, ...(id !== undefined && { id }) }))
  }

  /** Waits until it is in. */
  async entered(): Promise<this> {
    await until('the chat lets it in', () => this.isIn)
    return this
  }

  /** Waits until this line has come. */
  async hears(message: string, milliseconds = 5000): Promise<ChatLine> {
    const find = () => this.lines.findLast((line) => line.message === message)
    await until(`it hears '${message}'`, () => find() !== undefined, milliseconds)
    return find() as ChatLine
  }

  async refused(error: RegExp): Promise<void> {
    await until(`it is told ${String(error)}`, () => this.errors.some((text) => error.test(text)))
  }

  async ended(): Promise<number | null> {
    await until('its connection ends', () => this.closeCode !== null)
    return this.closeCode
  }

  leave(): void {
    this.ws.terminate()
  }
}
