import * as v from 'valibot'
import { textFrame } from '../edge/frame.ts'
import { burst } from '../hub/rate.ts'
import { cleanText, isAtMost } from '../hub/text.ts'
import { isRejection, reject, type Rejection } from '../hub/rejection.ts'
import type { DisconnectText } from './disconnects.ts'
import type { Command } from './rules/commands.ts'
import type { MessageData } from './rules/facts.ts'
import { isReserved } from './rules/marks.ts'
import { foldText, type MemberId, type Poll, type PollDraft, type PollResult, tally } from './rules/poll.ts'
import { type Meeting, type Person, rememberedMs } from './rules/view.ts'

/** The subprotocol for newer clients (docs/protocol.md, plenum.v1). */
export const subprotocol = 'plenum.v1'

const maxMessage = 10_000
const maxQuestion = 500
const minAnswers = 2
const maxAnswers = 5
const maxAnswer = 200
const maxMinutes = 120

const atMost = (limit: number, message: string) =>
  v.check<string, string>((text) => isAtMost(text, limit), message)

const cleaned = (invalid: string) => v.pipe(v.string(invalid), v.transform(cleanText))
const folded = (invalid: string) => v.pipe(cleaned(invalid), v.transform(foldText))

const Message = v.object({
  message: v.pipe(
    cleaned('Invalid or no message'),
    v.trim(),
    atMost(maxMessage, `Message too long, at most ${maxMessage} characters`),
    v.check((text) => !isReserved(text), 'This text is reserved for the meeting record'),
  ),
})

const Vote = v.object({
  question: v.string('Invalid or no question'),
  // What is no number at all is an invalid vote too, but only once there is a poll and the question is the right one.
  vote: v.fallback(v.nullable(v.pipe(v.number(), v.safeInteger())), null),
})

const VoteInPoll = v.object({
  poll: v.optional(v.nullable(v.number('Invalid poll')), null),
})

const CommandId = v.object({
  id: v.optional(v.nullable(v.pipe(v.string('Invalid id'), v.regex(/^[\w-]{1,64}$/, 'Invalid id'))), null),
})

const PollFields = v.object({
  question: v.pipe(
    folded('Invalid or no question'),
    v.nonEmpty('Invalid or no question'),
    atMost(maxQuestion, `Question too long, at most ${maxQuestion} characters`),
  ),
  answers: v.pipe(
    // First: thousands of them would each be looked at.
    v.array(v.unknown(), 'Invalid or no answers'),
    v.maxLength(maxAnswers, `Too many answers, at most ${maxAnswers}`),
    v.array(
      v.pipe(
        folded('Invalid or unparsable answer'),
        v.nonEmpty('Invalid or unparsable answer'),
        atMost(maxAnswer, `Answer too long, at most ${maxAnswer} characters`),
      ),
    ),
    v.minLength(minAnswers, `Too few answers, at least ${minAnswers}`),
    v.check((answers) => new Set(answers).size === answers.length, 'The answers must be different'),
  ),
  minutes: v.pipe(
    v.number('Invalid or no minutes'),
    v.integer('Invalid or no minutes'),
    v.minValue(1, `Invalid or no minutes, from 1 to ${maxMinutes}`),
    v.maxValue(maxMinutes, `Invalid or no minutes, from 1 to ${maxMinutes}`),
  ),
}) satisfies v.GenericSchema<unknown, PollDraft>

const KickFields = v.pipe(
  v.object({
    user: v.pipe(v.number('Invalid or no user'), v.safeInteger('Invalid or no user')),
    canrejoin: v.boolean('Invalid or no canrejoin'),
  }),
  v.transform(({ user, canrejoin }) => ({ member: user, canRejoin: canrejoin })),
)

function parse<Schema extends v.GenericSchema>(
  schema: Schema,
  input: unknown,
): v.InferOutput<Schema> | Rejection {
  const parsed = v.safeParse(schema, input, { abortEarly: true })
  return parsed.success ? parsed.output : reject(textOf(parsed.issues[0]))
}

/** A field that is not there is reported by the object, without a text of ours. */
function textOf(issue: v.BaseIssue<unknown>): string {
  const field = issue.type === 'object' ? v.getDotPath(issue) : null
  return field ? `Invalid or no ${field}` : issue.message
}

/** What one frame asks for: a command, or why it is none; null: to be ignored. `id` is the client's, to be answered. */
export type Request = { id: string | null; command: Command | Rejection | null }

/**
 * Parses one text frame of a member (meeting door spec, What the client may say). What is wrong in an admin's command
 * stands inside it, so that others are told first that they may not. `newer`: whether the client speaks `plenum.v1`.
 */
export function parseRequest(text: string, newer: boolean): Request {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    return { id: null, command: reject('Invalid JSON') }
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json))
    return { id: null, command: reject('A JSON object is expected') }
  if (!newer) return { id: null, command: parseCommand(json, false) }
  const parsed = parse(CommandId, json)
  if (isRejection(parsed)) return { id: null, command: parsed }
  return { id: parsed.id, command: parseCommand(json, true) }
}

function parseCommand(json: object, newer: boolean): Command | Rejection | null {
  const type = 'type' in json ? json.type : undefined
  if (typeof type !== 'string') return reject('Invalid or no type')
  switch (type) {
    case 'message': {
      const parsed = parse(Message, json)
      if (isRejection(parsed)) return parsed
      return parsed.message === '' ? null : { type: 'say', text: parsed.message }
    }
    case 'vote': {
      const parsed = parse(Vote, json)
      if (isRejection(parsed)) return parsed
      const named = newer ? parse(VoteInPoll, json) : { poll: null }
      if (isRejection(named)) return named
      return { type: 'vote', question: parsed.question, poll: named.poll, answer: parsed.vote }
    }
    case 'open':
      return { type: 'open' }
    case 'finish':
      return { type: 'finish' }
    case 'newpoll':
      return { type: 'newPoll', draft: parse(PollFields, json) }
    case 'abortpoll':
      return { type: 'abortPoll' }
    case 'kick':
      return { type: 'kick', target: parse(KickFields, json) }
    default:
      return reject('Unknown command')
  }
}

const frame = (type: string, data: unknown): Buffer => textFrame(JSON.stringify({ type, data }))
const person = ({ id, name, color }: Person): Person => ({ name, color, id })

/** Somebody who is here, with whom they speak for. */
type Represented = Person & { proxyName: string | null }

/** For `plenum.v1`: `proxy` is by whom a member is represented, and is left out where they are here by themselves. */
const represented = (one: Represented): Person & { proxy?: string } =>
  one.proxyName === null ? person(one) : { ...person(one), proxy: one.proxyName }

/** A frame in both formats, which is one and the same where nobody is represented. */
export type BothFormats = Readonly<{ stock: Buffer; v1: Buffer }>

export function addUserFrame(one: Represented): BothFormats {
  const stock = frame('adduser', person(one))
  return { stock, v1: one.proxyName === null ? stock : frame('adduser', represented(one)) }
}
export function removeUserFrame(one: Person): BothFormats {
  const both = frame('removeuser', person(one))
  return { stock: both, v1: both }
}
/** `id`: that of the command which is answered. */
export const errorFrame = ({ text, again }: Rejection, id: string | null): Buffer =>
  textFrame(JSON.stringify({ type: 'error', msg: text, ...(id !== null && { id, ...(again && { again }) }) }))
/** `now` is the wall clock's, in milliseconds. */
export const ackFrame = (id: string, now: number): Buffer => frame('ack', { id, now })

/** A line of the record as the data of a `message`, or one of those of `messages`. */
export const encodeLine = (line: MessageData): string => JSON.stringify(line)

export const messageFrame = (line: string): Buffer => textFrame(`{"type":"message","data":${line}}`)

/** `lines`: encoded, with commas between them. */
export const messagesFrame = (lines: string): Buffer => textFrame(`{"type":"messages","data":[${lines}]}`)

export function usersFrame({ attendees }: Meeting): BothFormats {
  const people = Array.from(attendees.values())
  const stock = frame('users', { users: people.map(person) })
  const isAlone = people.every(({ proxyName }) => proxyName === null)
  return { stock, v1: isAlone ? stock : frame('users', { users: people.map(represented) }) }
}

/** For a screen, which shows how many are in and not who. */
export const hereFrame = ({ attendees }: Meeting): Buffer => frame('here', { count: attendees.size })

export function statusFrame(meeting: Meeting): Buffer {
  return frame('status', { isopen: meeting.state === 'open', isfinished: meeting.state === 'finished' })
}

/** What of a meeting clients of `plenum.v1` are told, at entry and when it changes. */
function meetingData({ id, name, state, attendees }: Meeting): object {
  const admins = Array.from(attendees.values()).flatMap(({ admin, id }) => (admin ? [id] : []))
  return { id, name, state, admins }
}

export const meetingFrame = (meeting: Meeting): Buffer => frame('meeting', meetingData(meeting))

/** The first frame of a client of `plenum.v1`, null for a screen; `now` is the wall clock's, in milliseconds. */
export function welcomeFrame(
  meeting: Meeting,
  member: MemberId | null,
  server: {
    version: string
    now: number
    timezone: string
    utcOffset: number
    graceMs: number
    ratePerSecond: () => number
  },
): Buffer {
  const { version, now, timezone, utcOffset, graceMs, ratePerSecond } = server
  const you = member === null ? null : meeting.attendees.get(member)
  return frame('welcome', {
    version,
    now,
    timezone,
    utcOffset,
    you: you && person(you),
    meeting: meetingData(meeting),
    vote: (you && meeting.poll?.votes.get(you.id)) ?? null,
    result: meeting.result,
    graceSeconds: graceMs / 1000,
    rememberedSeconds: rememberedMs / 1000,
    limits: {
      message: maxMessage,
      question: maxQuestion,
      answer: maxAnswer,
      answers: maxAnswers,
      minutes: maxMinutes,
      burst,
      perSecond: ratePerSecond(),
    },
  })
}

/** Admins see who has voted, others do not. `times` (milliseconds of the wall clock) are for clients of `plenum.v1`. */
export function pollFrame(
  poll: Poll | null,
  audience: 'admins' | 'members',
  times?: { closesAt: number; now: number },
): Buffer {
  if (!poll) return noPollFrame
  const { id, question, answers } = poll
  const voted = audience === 'admins' ? [...poll.votes.keys()] : null
  return frame('poll', { ...(times && { id, ...times }), question, answers, tally: tally(poll), voted })
}

export const pollEndFrame = (result: PollResult): Buffer => frame('pollend', result)

export const noPollFrame = frame('poll', null)

export function disconnectFrame(
  text: DisconnectText,
  { date, time }: { date: string; time: string },
): Buffer {
  return frame('disconnect', { id: -1, time, date, from: -1, fromname: '', color: 'sys', message: text })
}
