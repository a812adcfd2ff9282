import { textFrame, textFrames } from '../edge/frame.ts'
import { isRejection, reject, type Rejection } from '../hub/rejection.ts'
import { cleanText, isAtMost } from '../hub/text.ts'

const maxMessage = 10_000

/** How a connection ends (docs/chat.md, How connections end). */
export const closeCodes = {
  stopping: 1012,
  unavailable: 1013,
  badRequest: 4400,
  unknownKey: 4401,
  refused: 4500,
} as const

export type CloseCode = (typeof closeCodes)[keyof typeof closeCodes]

export const refusals = {
  notText: reject('Only text frames of UTF-8 are understood'),
  tooFast: reject('You are sending too fast', { again: true }),
  busy: reject('The chat is very busy, please try again', { again: true }),
  /** Where the connection is lost in the middle of a commit, nobody knows what became of it. */
  notStored: reject('The database is not available: the message may not have been stored', { again: true }),
} as const

/** What one frame of a client asks for. `id`: the client's, under which it wants an answer. */
export type Request = Readonly<{ id: string | null; command: Command | Rejection }>
export type Command = Readonly<{ type: 'say'; message: string } | { type: 'ping' }>

const commandId = /^[\w-]{1,64}$/

/** Understands one frame of a client; `ids`: whether it has asked for ids, and so may give them and ping. */
export function parseRequest(text: string, ids: boolean): Request {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    return { id: null, command: reject('Invalid JSON') }
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json))
    return { id: null, command: reject('A JSON object is expected') }
  if (ids && 'ping' in json && json.ping === true) return { id: null, command: { type: 'ping' } }
  const id: unknown = ids && 'id' in json ? (json.id ?? null) : null
  if (id !== null && !(typeof id === 'string' && commandId.test(id)))
    return { id: null, command: reject('Invalid id') }
  const message = parseMessage('message' in json ? json.message : undefined)
  return { id, command: isRejection(message) ? message : { type: 'say', message } }
}

/** What is said, as it is to be stored. */
function parseMessage(said: unknown): string | Rejection {
  // The test client of nodejschat says numbers.
  const message = typeof said === 'number' && Number.isFinite(said) ? String(said) : said
  if (typeof message !== 'string') return reject('Invalid or no message')
  const cleaned = cleanText(message)
  if (cleaned.trim() === '') return reject('The message is empty')
  if (!isAtMost(cleaned, maxMessage)) return reject(`Message too long, at most ${maxMessage} characters`)
  return cleaned
}

/**
 * The first frame. Old clients get what they always got; those that ask for ids learn who they are, and what time it is:
 * `now` is the wall clock's, in milliseconds.
 */
export function authenticatedFrame(who: { user: string; room: number; now: number }, ids: boolean): Buffer {
  const { user, room, now } = who
  return textFrame(JSON.stringify({ authenticated: true, ...(ids && { user, room, now }) }))
}

/** `id`: that of the line which is refused. */
export const errorFrame = ({ text, again }: Rejection, id: string | null): Buffer =>
  textFrame(JSON.stringify({ error: text, ...(id !== null && { id, ...(again && { again }) }) }))

/** The line with this id of the client's is stored. */
export const ackFrame = (id: string): Buffer => textFrame(JSON.stringify({ ack: id }))

/** All that was said before has been told; what comes from here on is new. Only for those that ask for ids. */
export const liveFrame: Buffer = textFrame(JSON.stringify({ live: true }))

/** Answers a ping; `now` is the wall clock's, in milliseconds since 1970. */
export const pongFrame = (now: number): Buffer => textFrame(JSON.stringify({ pong: true, now }))

/** The frames of lines, one each. A line is JSON as the database made it, its id at the end. */
export function lineFrames(lines: readonly string[], ids: boolean): Buffer {
  return textFrames(ids ? lines : lines.map(withoutId))
}

const withoutId = (line: string): string => `${line.slice(0, line.lastIndexOf(',"id":'))}}`
