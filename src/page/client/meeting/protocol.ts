// What the page is told and what it says: docs/protocol.md of the repository, with plenum.v1.

export type Line = {
  id: number
  time: string
  date: string
  from: number
  fromname: string
  color: string
  message: string
}
/** `proxy`: by whom the member is represented. */
export type Person = { id: number; name: string; color: string; proxy?: string }
export type MeetingState = 'pending' | 'open' | 'finished' | 'closed'
export type Meeting = { id: number; name: string; state: MeetingState; admins: number[] }
export type Ending = 'voted' | 'time' | 'finished' | 'aborted'

export type Poll = {
  id: number
  question: string
  answers: string[]
  tally: number[]
  /** The ids of those who have voted, for admins. */
  voted: number[] | null
  closesAt: number
  now: number
}

export type Result = {
  id: number
  question: string
  answers: string[]
  /** None for an aborted poll. */
  tally: number[] | null
  ending: Ending
  /** How many were there when it ended; the page counts them, and does not know it of a poll that ended before it came. */
  present?: number
}

export type Limits = {
  message: number
  question: number
  answer: number
  answers: number
  minutes: number
  burst: number
  perSecond: number
}

export type Welcome = {
  now: number
  timezone: string
  utcOffset: number
  /** Null for a screen. */
  you: Person | null
  meeting: Meeting
  vote: number | null
  result: Result | null
  rememberedSeconds: number
  limits: Limits
}

export type Frame =
  | { type: 'welcome'; data: Welcome }
  | { type: 'users'; data: { users: Person[] } }
  | { type: 'adduser'; data: Person }
  | { type: 'removeuser'; data: Person }
  /** For a screen, in place of who is here. */
  | { type: 'here'; data: { count: number } }
  | { type: 'meeting'; data: Meeting }
  | { type: 'poll'; data: Poll | null }
  | { type: 'pollend'; data: Result }
  | { type: 'message'; data: Line }
  | { type: 'messages'; data: Line[] }
  | { type: 'ack'; data: { id: string; now: number } }
  | { type: 'error'; msg: string; id?: string; again?: boolean }
  | { type: 'disconnect'; data: Line }

export type Draft = { question: string; answers: string[]; minutes: number }

export type Command =
  | { type: 'message'; message: string }
  | { type: 'vote'; poll: number; question: string; vote: number }
  | { type: 'open' }
  | { type: 'finish' }
  | ({ type: 'newpoll' } & Draft)
  | { type: 'abortpoll' }
  | { type: 'kick'; user: number; canrejoin: boolean }

/** What the server says to what this page never sends. */
export const technical: readonly string[] = [
  'Invalid or no type',
  'Unknown command',
  'Invalid vote',
  'Invalid poll',
  'Invalid or no question',
  'Invalid or no answers',
  'Invalid or unparsable answer',
  'Invalid or no minutes',
  'Invalid or no vote',
  'Invalid or no user',
  'Invalid or no canrejoin',
]

export const subprotocol = 'plenum.v1'
export const leavingCode = 1000
/** The page's own, for a connection that it gives up. The server takes it as lost. */
export const lostCode = 3001
export const elsewhereCode = 4504
export const kickedCode = 4505
const deletedCode = 4506
export const kickedForGoodCode = 4508

/** Whether nothing that a member can do lets them in again. */
export const isForGood = (code: number): boolean => code === kickedForGoodCode || code === deletedCode

/** Whether a close code of the server says not to come back. */
export const isFinal = (code: number): boolean => code >= 4500 && code <= 4999

/** How long to wait before another attempt to connect, the first one being 0: longer each time, and not all at once. */
export function retryDelay(attempt: number, random: () => number): number {
  return Math.min(10_000, 1000 * 1.7 ** attempt) * (0.75 + random() / 2)
}
