import { linesAfter } from './log.ts'
import type { LogLine } from './log.ts'
import type { Poll, Result } from './protocol.ts'
import type { State } from './state.ts'

/** What is worth to be told to who does not see it, and by a sound. */
export type Notice =
  | { type: 'pollBegan'; poll: Poll }
  | { type: 'pollEnded'; result: Result }
  | { type: 'lines'; lines: LogLine[] }

/** What has happened between two states: history that is read in at entry is nothing new. */
export function noticesOf(before: State, after: State): Notice[] {
  const notices: Notice[] = []
  if (after.poll && after.newestPoll > before.newestPoll)
    notices.push({ type: 'pollBegan', poll: after.poll })
  if (!before.wasIn) return notices
  if (after.result && after.result.id !== before.result?.id)
    notices.push({ type: 'pollEnded', result: after.result })
  if (after.log.last > before.log.last) {
    // Votes are many, and their sums are told; so is the result.
    const lines = linesAfter(after.log, before.log.last).filter(
      ({ from, kind }) => from !== after.you?.id && kind !== 'vote' && kind !== 'poll',
    )
    if (lines.length > 0) notices.push({ type: 'lines', lines })
  }
  return notices
}
