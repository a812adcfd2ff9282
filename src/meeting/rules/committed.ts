import type { MeetingDecision } from './batch.ts'
import type { Fact, LineDraft, MessageData } from './facts.ts'
import type { Meeting } from './view.ts'

type StoredLine = Pick<MessageData, 'id' | 'time' | 'date' | 'message'>

/** What only the commit knows; `t`: the time of a line as the database writes it. */
type Committed = {
  lines: readonly (StoredLine & { t: string })[]
  poll: { id: number; endsInMs: number } | null
}

/**
 * What is true once a decision is durable: of a poll that it opens first, of its lines last. `committed` is null where
 * nothing had to be written. Throws where the commit has not given what it must.
 */
export function factsOf(
  meeting: Meeting,
  { write, facts }: Pick<MeetingDecision, 'write' | 'facts'>,
  committed: Committed | null,
): Fact[] {
  const known: Fact[] = [...facts]
  if (write?.openPoll) {
    if (!committed?.poll) throw new Error('a poll was committed without an id')
    const { question, answers } = write.openPoll
    known.unshift({ type: 'pollOpened', poll: { ...committed.poll, question, answers } })
  }
  const last = committed?.lines.at(-1)
  if (write && committed && last)
    known.push({ type: 'said', lines: linesOf(meeting, write.lines, committed.lines), time: last.t })
  return known
}

/** The lines of a commit as members read them. */
function linesOf(
  meeting: Meeting,
  drafts: readonly LineDraft[],
  stored: readonly StoredLine[],
): MessageData[] {
  return stored.map(({ id, time, date, message }, index) => {
    const draft = drafts[index]
    if (!draft) throw new Error('the database stored more lines than were written')
    const from = draft.sender ?? -1
    const sender = meeting.attendees.get(from) ?? meeting.departed.get(from)
    const color = draft.sender === null ? 'sys' : (sender?.color ?? 'sys')
    return { id, time, date, from, fromname: sender?.name ?? '', color, message }
  })
}
