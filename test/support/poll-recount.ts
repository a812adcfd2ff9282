import { isDeepStrictEqual } from 'node:util'
import type { Frame, PollState } from './meeting-client.ts'
import type { Tables } from './stored-tables.ts'
import { Difference } from './frame-oracle.ts'

/** A poll as the record tells it. */
export interface RecordedPoll {
  question: string
  answers: string[]
  /** By member, with the index of the answer. */
  votes: Map<number, number>
  ending: 'voted' | 'time' | 'aborted' | null
}

/** What a page may be told of the polls, after a line of the record. Who has voted is in ascending order. */
type Sum = { question: string; tally: number[]; voted: number[] } | null

export interface Recount {
  polls: RecordedPoll[]
  /** In their order: what was so from the beginning, and after each line that says something of a poll. */
  sums: Sum[]
  /** What the system said besides. */
  others: string[]
}

const ascending = (a: number, b: number): number => a - b

/**
 * Counts the polls of a record again, from its lines alone; throws a `Difference` where a line cannot stand where it is.
 * `members`: ids by name. `answersOf`: what each question was asked with.
 */
export function recount(
  record: Tables['record'],
  members: ReadonlyMap<string, number>,
  answersOf: ReadonlyMap<string, string[]>,
): Recount {
  const polls: RecordedPoll[] = []
  const sums: Sum[] = [null]
  const others: string[] = []
  /** The lines that must come next. */
  const due: string[] = []
  let poll: RecordedPoll | null = null
  const fail = (what: string, place: number): never => {
    const before = record.slice(Math.max(0, place - 20), place + 1)
    const shown = before.map(({ id, from, text }) => `${id} ${from ?? '-'}: ${text}`)
    throw new Difference(`the record ends here with ${what}:\n  ${shown.join('\n  ')}`)
  }
  for (const [place, { from, text }] of record.entries()) {
    const next = due.shift()
    if (next !== undefined && (from !== null || text !== next)) fail(`not '${next}'`, place)
    if (from !== null || next !== undefined) continue
    const vote = /^(.+?) (voted|changed their vote to) (.+)$/.exec(text)
    const question = /^A new poll has been posted for (.+)$/.exec(text)?.[1]
    const ending = endings.get(text)
    if (question !== undefined) {
      const answers = answersOf.get(question)
      if (poll || !answers) return fail(poll ? 'a second poll' : 'a question that nobody asked', place)
      poll = { question, answers, votes: new Map(), ending: null }
      polls.push(poll)
    } else if (ending !== undefined) {
      if (!poll) return fail('the end of no poll', place)
      poll.ending = ending
      if (ending !== 'aborted') due.push(...resultOf(poll))
      poll = null
    } else if (vote) {
      const [, name = '', how, answer = ''] = vote
      const member = members.get(name)
      if (!poll || member === undefined) return fail('a vote in no poll, or of nobody', place)
      const before = poll.votes.get(member)
      const index = poll.answers.indexOf(answer)
      if (index === -1 || before === index || (before === undefined) !== (how === 'voted'))
        fail('a vote that changes nothing', place)
      poll.votes.set(member, index)
    } else {
      others.push(text)
      continue
    }
    sums.push(
      poll && { question: poll.question, tally: tally(poll), voted: [...poll.votes.keys()].sort(ascending) },
    )
  }
  return { polls, sums, others }
}

const endings = new Map<string, RecordedPoll['ending']>([
  ['All attendees have voted, poll has completed.', 'voted'],
  ['Poll has completed', 'time'],
  ['The current poll has been aborted', 'aborted'],
])

const tally = ({ answers, votes }: RecordedPoll): number[] =>
  answers.map((_, index) => [...votes.values()].filter((vote) => vote === index).length)

function resultOf(poll: RecordedPoll): string[] {
  const counts = tally(poll)
  return poll.answers.map(
    (answer, index) => `Answer "${answer}": ${counts[index]} ${counts[index] === 1 ? 'vote' : 'votes'}`,
  )
}

/** Throws unless the tables have the same polls and votes as the record. */
export function comparePolls(polls: readonly RecordedPoll[], tables: Tables): void {
  const recorded = polls.map(({ question, answers, ending, votes }) => {
    return { question, answers, ended: ending !== null, votes: [...votes].sort(([a], [b]) => a - b) }
  })
  for (let index = 0; index < Math.max(recorded.length, tables.polls.length); index++) {
    const [stored, told] = [tables.polls[index], recorded[index]]
    if (isDeepStrictEqual(stored, told)) continue
    throw new Difference(
      `of a poll is stored\n  ${JSON.stringify(stored)}\nand recorded\n  ${JSON.stringify(told)}`,
    )
  }
}

/** Throws unless each poll that a page was told of was so once, and one after the other. */
export function compareSums(frames: readonly Frame[], { sums }: Recount, who: string): void {
  let place = 0
  for (const [index, frame] of frames.entries()) {
    if (frame.type !== 'poll') continue
    // At entry: the page takes up a poll only after a null.
    const next = frames[index + 1]
    if (frame.data === null && next?.type === 'poll' && next.data !== null) continue
    const found = sums.findIndex((sum, at) => at >= place && isSum(frame.data, sum))
    if (found === -1)
      throw new Difference(
        `${who} was told, as frame ${index + 1} of ${frames.length}, of a poll that was not so at that time:\n  ${JSON.stringify(frame.data)}\nit was\n  ${JSON.stringify(sums.slice(place, place + 3))}`,
      )
    place = found
  }
}

function isSum(told: PollState | null, sum: Sum): boolean {
  if (!told || !sum) return told === sum
  const voted = told.voted?.toSorted(ascending) ?? sum.voted
  return (
    told.question === sum.question &&
    isDeepStrictEqual(told.tally, sum.tally) &&
    isDeepStrictEqual(voted, sum.voted)
  )
}
