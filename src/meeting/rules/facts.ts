import type { DisconnectWord } from '../disconnects.ts'
import type { MemberId, PollDraft, PollEnding } from './poll.ts'
import type { MeetingState, Person } from './view.ts'

/** A line of the record as members read it; the fact and the frame have the same form. */
export type MessageData = {
  id: number
  time: string
  date: string
  from: number
  fromname: string
  color: string
  message: string
}

/** 'joined' and 'rejoined' were not in the list; 'returned' was away, 'tookOver' was connected elsewhere. */
export type Arrival = 'joined' | 'rejoined' | 'returned' | 'tookOver'

/** Somebody who joins by the connection `subscriber`; `previous` is the one that it takes the place of. */
export type Joined = Person & {
  admin: boolean
  proxyName: string | null
  /** Never to be shown or logged. */
  key: string
  remote: string
  subscriber: number
  previous: number | null
  arrival: Arrival
}

/** A command that a member has given an `id`, to send it again without its being done again. */
export type DoneCommand = { member: MemberId; id: string }

/** Somebody whose connection `subscriber` is in the meeting no more; null where they had none. */
type Gone = { member: MemberId; subscriber: number | null; told: DisconnectWord | null }

/** An attendee as the site has them now. */
type Changed = {
  member: MemberId
  name: string
  admin: boolean
  proxyName: string | null
  isRenamed: boolean
}

/**
 * What has become of a meeting: plain data, true once its write is durable. Durations are milliseconds from the moment
 * that the fact is applied.
 */
export type Fact =
  | { type: 'joined'; people: Joined[] }
  | { type: 'away'; people: Gone[]; forMs: number }
  /** `lost`: they were given up, and had not left by themselves or been sent away. */
  | { type: 'departed'; people: (Gone & { lost: boolean })[] }
  | { type: 'banned'; members: MemberId[] }
  | { type: 'unbanned'; members: MemberId[] }
  | { type: 'stateChanged'; state: MeetingState }
  | { type: 'renamed'; name: string }
  | { type: 'attendeesChanged'; people: Changed[] }
  | { type: 'pollOpened'; poll: { id: number; question: string; answers: string[]; endsInMs: number } }
  | { type: 'voted'; votes: { member: MemberId; answer: number }[] }
  | { type: 'pollEnded'; ending: PollEnding }
  | { type: 'commandsDone'; commands: DoneCommand[] }
  /** The site has been followed up to here. */
  | { type: 'followed'; fingerprint: string }
  | { type: 'vanished' }
  /** `time`: that of the newest line as the database writes it. */
  | { type: 'said'; lines: MessageData[]; time: string }

/** A line for the record; `sender` is null for what the system says. */
export type LineDraft = { sender: MemberId | null; text: string }

export const systemLine = (text: string): LineDraft => ({ sender: null, text })

/** What is to become durable, all of it or nothing. */
export type Write = {
  lines: LineDraft[]
  state?: { from: MeetingState; to: MeetingState }
  attend?: MemberId[]
  depart?: MemberId[]
  ban?: { member: MemberId; by: MemberId }
  openPoll?: PollDraft & { by: MemberId }
  endPoll?: { id: number; ending: PollEnding }
  votes?: { poll: number; cast: { member: MemberId; answer: number }[] }
  /** The commands with an id that this does. */
  done?: DoneCommand[]
}

/** What is to be written, and what is true then: part of a decision. */
export type Change = { write: Write; facts: Fact[] }

export const change = (write: Write, ...facts: Fact[]): Change => ({ write, facts })
