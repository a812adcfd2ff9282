import type { Draft } from './protocol.ts'

/** A poll that the chair has prepared. `held`: it was started once. */
export type Prepared = Draft & { id: string; held: boolean }

export type PreparedPolls = readonly Prepared[]

/** Puts a poll at the end, or in the place of the one with its id. */
export function keep(polls: PreparedPolls, poll: Prepared): PreparedPolls {
  return polls.some(({ id }) => id === poll.id)
    ? polls.map((one) => (one.id === poll.id ? poll : one))
    : [...polls, poll]
}

/** Moves one up (-1) or down (1). */
export function move(polls: PreparedPolls, id: string, by: -1 | 1): PreparedPolls {
  const from = polls.findIndex((poll) => poll.id === id)
  const [moved, other] = [polls[from], polls[from + by]]
  if (!moved || !other) return polls
  return polls.with(from, other).with(from + by, moved)
}

export const remove = (polls: PreparedPolls, id: string): PreparedPolls =>
  polls.filter((poll) => poll.id !== id)

/**
 * What the server would refuse; `index`: of the answer at which it is told. What is too long is told at its field all the
 * time: see `excess`.
 */
export type Fault = { type: 'question' | 'minutes' | 'long' } | { type: 'answers' | 'equal'; index: number }

/** Whether both ask the same. */
export const isSame = (
  one: Pick<Draft, 'question' | 'answers'>,
  other: Pick<Draft, 'question' | 'answers'>,
): boolean => one.question === other.question && one.answers.join('\n') === other.answers.join('\n')

/** The polls, of which those that ask the same as this one have been held. */
export const holdOf = (polls: PreparedPolls, held: Pick<Draft, 'question' | 'answers'>): PreparedPolls =>
  polls.map((poll) => (isSame(poll, held) ? { ...poll, held: true } : poll))

/** By how many characters a text is too long, 0 at least, as the server counts: code points, with white space folded. */
export const excess = (text: string, limit: number): number =>
  text.length <= limit ? 0 : Math.max(0, Array.from(fold(text)).length - limit)

const fold = (text: string): string => text.replace(/\s+/gu, ' ').trim()

/** The draft as it is to be sent: white space folded, empty answers left out. */
export function tidy({ question, answers, minutes }: Draft): Draft {
  return { question: fold(question), answers: answers.map(fold).filter((text) => text !== ''), minutes }
}

/** The first thing that is wrong with a draft. */
export function faultOf(
  draft: Draft,
  limits: { question: number; answer: number; answers: number; minutes: number },
): Fault | null {
  const { question, answers, minutes } = tidy(draft)
  if (question === '') return { type: 'question' }
  const filled = draft.answers.map(fold)
  if (answers.length < 2 || answers.length > limits.answers)
    return { type: 'answers', index: (filled[0] ?? '') === '' ? 0 : 1 }
  const repeated = filled.findIndex((text, index) => text !== '' && filled.indexOf(text) < index)
  if (repeated !== -1) return { type: 'equal', index: repeated }
  if (excess(question, limits.question) > 0 || answers.some((text) => excess(text, limits.answer) > 0))
    return { type: 'long' }
  if (!Number.isInteger(minutes) || minutes < 1 || minutes > limits.minutes) return { type: 'minutes' }
  return null
}
