import * as v from 'valibot'
import { textFrame } from '../edge/frame.ts'
import { type Command, isReserved, type Meeting, type Person } from './meeting.ts'
import { foldText, type Poll, type PollDraft, tally } from './poll.ts'
import { type DisconnectText, reject, type Rejection } from './rejection.ts'

const maxMessage = 10_000
const maxQuestion = 500
const maxAnswer = 200
const maxMinutes = 120

const atMost = (limit: number, message: string) =>
  v.check<string, string>((text) => text.length <= limit || Array.from(text).length <= limit, message)

/**
 * Control characters but newline and tab are removed, lone surrogates replaced: PostgreSQL stores neither NUL nor
 * broken UTF-16.
 */
const clean = v.transform((text: string) =>
  // oxlint-disable-next-line no-control-regex -- control characters are what it is about
  text.toWellFormed().replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, ''),
)

const cleanText = (invalid: string) => v.pipe(v.string(invalid), clean)
const folded = (invalid: string) => v.pipe(cleanText(invalid), v.transform(foldText))

const Message = v.object({
  message: v.pipe(
    cleanText('Invalid or no message'),
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

const PollFields = v.object({
  question: v.pipe(
    folded('Invalid or no question'),
    v.nonEmpty('Invalid or no question'),
    atMost(maxQuestion, `Question too long, at most ${maxQuestion} characters`),
  ),
  answers: v.pipe(
    v.array(
      v.pipe(
        folded('Invalid or unparsable answer'),
        v.nonEmpty('Invalid or unparsable answer'),
        atMost(maxAnswer, `Answer too long, at most ${maxAnswer} characters`),
      ),
      'Invalid or no answers',
    ),
    v.minLength(2, 'Too few answers, at least 2'),
    v.maxLength(5, 'Too many answers, at most 5'),
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

/**
 * Parses one text frame of a member (meeting door spec, What the client may say). Null: to be ignored. What is wrong in
 * an admin's command stands inside it, so that others are told first that they may not.
 */
export function parseCommand(text: string): Command | Rejection | null {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    return reject('Invalid JSON')
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json))
    return reject('A JSON object is expected')
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
      return { type: 'vote', question: parsed.question, answer: parsed.vote }
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

export function isRejection(value: object | null): value is Rejection {
  return value !== null && 'type' in value && value.type === 'rejection'
}

/** One line of the record as it goes over the wire. */
export type MessageData = {
  id: number
  time: string
  date: string
  from: number
  fromname: string
  color: string
  message: string
}

const frame = (type: string, data: unknown): Buffer => textFrame(JSON.stringify({ type, data }))
const person = ({ id, name, color }: Person): Person => ({ name, color, id })

export const addUserFrame = (one: Person): Buffer => frame('adduser', person(one))
export const removeUserFrame = (one: Person): Buffer => frame('removeuser', person(one))
export const errorFrame = ({ text }: Rejection): Buffer =>
  textFrame(JSON.stringify({ type: 'error', msg: text }))

/** A line of the record as the data of a `message`, or one of those of `messages`. */
export const encodeLine = (line: MessageData): string => JSON.stringify(line)

export const messageFrame = (line: string): Buffer => textFrame(`{"type":"message","data":${line}}`)

/** `lines`: encoded, with commas between them. */
export const messagesFrame = (lines: string): Buffer => textFrame(`{"type":"messages","data":[${lines}]}`)

export function usersFrame(meeting: Meeting): Buffer {
  return frame('users', { users: Array.from(meeting.attendees.values(), person) })
}

export function statusFrame(meeting: Meeting): Buffer {
  return frame('status', { isopen: meeting.state === 'open', isfinished: meeting.state === 'finished' })
}

/** Admins see who has voted, others do not. */
export function pollFrame(poll: Poll | null, audience: 'admins' | 'members'): Buffer {
  if (!poll) return noPollFrame
  const { question, answers } = poll
  const voted = audience === 'admins' ? [...poll.votes.keys()] : null
  return frame('poll', { question, answers, tally: tally(poll), voted })
}

export const noPollFrame = frame('poll', null)

export function disconnectFrame(
  text: DisconnectText,
  { date, time }: { date: string; time: string },
): Buffer {
  return frame('disconnect', { id: -1, time, date, from: -1, fromname: '', color: 'sys', message: text })
}
