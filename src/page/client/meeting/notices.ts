import { linesAfter } from './log.ts'
import type { LogLine } from './log.ts'
import type { Entry } from './outbox.ts'
import type { Poll, Result } from './protocol.ts'
import { troubled } from './state.ts'
import type { State } from './state.ts'

/** What is worth to be told to who does not see it, and by a sound. */
export type Notice =
  | { type: 'pollBegan'; poll: Poll }
  | { type: 'pollEnded'; result: Result }
  | { type: 'lines'; lines: LogLine[] }
  /** What one has said or done is found not to get through. */
  | { type: 'trouble'; entry: Entry }

/** What has happened between two states: history that is read in at entry is nothing new. */
export function noticesOf(before: State, after: State): Notice[] {
  const notices: Notice[] = []
  if (after.poll && after.newestPoll > before.newestPoll)
    notices.push({ type: 'pollBegan', poll: after.poll })
  if (after.wasIn && after.outbox !== before.outbox) {
    const known = new Set(troubled(before).map(({ id }) => id))
    for (const entry of troubled(after)) if (!known.has(entry.id)) notices.push({ type: 'trouble', entry })
  }
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
