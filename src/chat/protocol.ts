import { textFrame, textFrames } from '../edge/frame.ts'
import { cleanText, isAtMost } from '../hub/text.ts'

const maxMessage = 10_000

/** How a connection ends (docs/chat.md, How connections end). */
export const closeCodes = { stopping: 1012, unavailable: 1013, badRequest: 4400, unknownKey: 4401 } as const

/** Why a request or a frame is not carried out; the text is what the client reads. */
export type Refusal = { type: 'refusal'; text: string }

export const refuse = (text: string): Refusal => ({ type: 'refusal', text })

export const refusals = {
  notText: refuse('Only text frames of UTF-8 are understood'),
  tooFast: refuse('You are sending too fast'),
  busy: refuse('The chat is very busy, please try again'),
  /** Where the connection is lost in the middle of a commit, nobody knows what became of it. */
  notStored: refuse('The database is not available: the message may not have been stored'),
} as const

/** What one frame of a client says, as it is to be stored, or why it is nothing. */
export function parseMessage(text: string): string | Refusal {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    return refuse('Invalid JSON')
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json))
    return refuse('A JSON object is expected')
  const said: unknown = 'message' in json ? json.message : undefined
  // The test client of nodejschat says numbers.
  const message = typeof said === 'number' && Number.isFinite(said) ? String(said) : said
  if (typeof message !== 'string') return refuse('Invalid or no message')
  const cleaned = cleanText(message)
  if (cleaned.trim() === '') return refuse('The message is empty')
  if (!isAtMost(cleaned, maxMessage)) return refuse(`Message too long, at most ${maxMessage} characters`)
  return cleaned
}

export function isRefusal(value: object | string): value is Refusal {
  return typeof value === 'object' && 'type' in value && value.type === 'refusal'
}

/** The first frame. Old clients get what they always got; those that ask for ids learn who they are. */
export function authenticatedFrame(who: { user: string; room: number }, ids: boolean): Buffer {
  return textFrame(JSON.stringify({ authenticated: true, ...(ids && { user: who.user, room: who.room }) }))
}

export const errorFrame = ({ text }: Refusal): Buffer => textFrame(JSON.stringify({ error: text }))

/** The frames of lines, one each. A line is JSON as the database made it, its id at the end. */
export function lineFrames(lines: readonly string[], ids: boolean): Buffer {
  return textFrames(ids ? lines : lines.map(withoutId))
}

const withoutId = (line: string): string => `${line.slice(0, line.lastIndexOf(',"id":'))}}`
