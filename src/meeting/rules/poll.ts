import { reject, type Rejection } from '../../hub/rejection.ts'
import type { Millis } from '../../hub/telling.ts'
import { withoutDirections } from '../../hub/text.ts'

export type MemberId = number

/** What an admin asked for, its texts already folded (see `foldText`) and its limits checked. */
export type PollDraft = { question: string; answers: string[]; minutes: number }

/** A poll under way. `votes` holds one answer (an index into `answers`) a member. */
export type Poll = {
  id: number
  question: string
  answers: string[]
  votes: Map<MemberId, number>
  endsAt: Millis
}

/** Why a poll ended. */
export type PollEnding = 'voted' | 'time' | 'finished' | 'aborted'

/** How a poll ended; an aborted one has no `tally`. */
export type PollResult = {
  id: number
  question: string
  answers: string[]
  tally: number[] | null
  ending: PollEnding
}

/**
 * A vote as it was sent; `answer` is null where the frame held none that could be one, `poll` where it did not say for
 * which poll it is.
 */
export type Vote = { by: MemberId; question: string; poll: number | null; answer: number | null }

/** The time for which the question of a poll that ended may not be asked again: votes name only the question. */
export const sameQuestionMs = 10_000

/** White space folded and trimmed, for the stock page sends back what the browser rendered; and without what turns text. */
export function foldText(text: string): string {
  return withoutDirections(text).replace(/\s+/g, ' ').trim()
}

/** Says what a vote does: a rejection, null where it changes nothing, or the answer and the line of the record. */
export function castVote(
  poll: Poll | null,
  vote: Vote,
  name: string,
  now: Millis,
): Rejection | { answer: number; line: string } | null {
  if (!poll || now >= poll.endsAt) return reject('There is no active poll')
  if (foldText(vote.question) !== poll.question || (vote.poll !== null && vote.poll !== poll.id))
    return reject('Vote for the wrong question received')
  const text = vote.answer === null ? undefined : poll.answers[vote.answer]
  if (vote.answer === null || text === undefined) return reject('Invalid vote')
  const before = poll.votes.get(vote.by)
  if (before === vote.answer) return null
  const line = before === undefined ? `${name} voted ${text}` : `${name} changed their vote to ${text}`
  return { answer: vote.answer, line }
}

/** Votes for each answer, as long as the poll has answers. */
export function tally(poll: Poll): number[] {
  const counts = poll.answers.map(() => 0)
  for (const answer of poll.votes.values()) counts[answer] = (counts[answer] ?? 0) + 1
  return counts
}

export function resultOf(poll: Poll, ending: PollEnding): PollResult {
  const { id, question, answers } = poll
  return { id, question, answers, tally: ending === 'aborted' ? null : tally(poll), ending }
}

/** How many of `attendees` have not voted yet. */
export function missingVotes(poll: Poll, attendees: Iterable<MemberId>): number {
  let missing = 0
  for (const id of attendees) if (!poll.votes.has(id)) missing++
  return missing
}

/** The lines that end a poll in the record. */
export function endingLines(poll: Poll, ending: PollEnding): string[] {
  if (ending === 'aborted') return ['The current poll has been aborted']
  const counts = tally(poll)
  return [
    ending === 'voted' ? 'All attendees have voted, poll has completed.' : 'Poll has completed',
    ...poll.answers.map((answer, index) => {
      const votes = counts[index] ?? 0
      return `Answer "${answer}": ${votes} ${votes === 1 ? 'vote' : 'votes'}`
    }),
  ]
}
