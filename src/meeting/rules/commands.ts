import { disconnects, kickedForGood } from '../disconnects.ts'
import { isRejection, reject, type Rejection } from '../../hub/rejection.ts'
import type { Millis } from '../../hub/telling.ts'
import { depart } from './attendance.ts'
import { type Change, change, type DoneCommand, type LineDraft, systemLine } from './facts.ts'
import { marks } from './marks.ts'
import {
  castVote,
  endingLines,
  type MemberId,
  missingVotes,
  type Poll,
  type PollDraft,
  type PollEnding,
  sameQuestionMs,
  type Vote,
} from './poll.ts'
import type { Attendee, Meeting } from './view.ts'

export type Command =
  | { type: 'say'; text: string }
  | { type: 'vote'; question: string; poll: number | null; answer: number | null }
  | { type: 'open' }
  | { type: 'finish' }
  | { type: 'newPoll'; draft: PollDraft | Rejection }
  | { type: 'abortPoll' }
  | { type: 'kick'; target: { member: MemberId; canRejoin: boolean } | Rejection }

const closed = reject('This meeting is closed')

/** Which commands are an admin's. The one place where a role is checked. */
export function authorise(attendee: Attendee, command: Command): Rejection | null {
  switch (command.type) {
    case 'say':
    case 'vote':
      return null
    case 'open':
    case 'finish':
    case 'newPoll':
    case 'abortPoll':
    case 'kick':
      return attendee.admin ? null : reject('Permission denied')
  }
}

/** `change`, and that it does `commands`. */
export function remember({ write, facts }: Change, commands: DoneCommand[]): Change {
  if (commands.length === 0) return { write, facts }
  return { write: { ...write, done: commands }, facts: [...facts, { type: 'commandsDone', commands }] }
}

/** What a run of lines does: they are said in their order. */
export function say(meeting: Meeting, lines: { by: MemberId; text: string }[]): Change | Rejection {
  if (meeting.state === 'closed') return closed
  return change({ lines: lines.map(({ by, text }) => ({ sender: by, text })) })
}

/**
 * What a run of votes does. It ends early, before the vote that follows the last one missing (that one ends the poll)
 * and before a member's second vote. `answers` holds for each vote that was taken its rejection, or null.
 */
export function vote(
  meeting: Meeting,
  votes: readonly Vote[],
  now: Millis,
): { answers: (Rejection | null)[]; change: Change } {
  const { poll } = meeting
  const answers: (Rejection | null)[] = []
  const lines: LineDraft[] = []
  const cast: { member: MemberId; answer: number }[] = []
  const voters = new Set<MemberId>()
  let missing = poll ? missingVotes(poll, meeting.attendees.keys()) : 0
  for (const one of votes) {
    if (voters.has(one.by)) break
    const outcome = castVote(poll, one, meeting.attendees.get(one.by)?.name ?? '', now)
    answers.push(isRejection(outcome) ? outcome : null)
    if (!outcome || isRejection(outcome)) continue
    voters.add(one.by)
    lines.push(systemLine(outcome.line))
    cast.push({ member: one.by, answer: outcome.answer })
    if (!poll?.votes.has(one.by) && --missing === 0) break
  }
  if (!poll || cast.length === 0) return { answers, change: change({ lines }) }
  const write = { lines, votes: { poll: poll.id, cast } }
  return { answers, change: change(write, { type: 'voted', votes: cast }) }
}

/** What an admin's command does. `by` is an attendee whose right has been checked. */
export function decide(
  meeting: Meeting,
  by: Attendee,
  command: Exclude<Command, { type: 'say' | 'vote' }>,
  now: Millis,
): Change | Rejection {
  if (meeting.state === 'closed') return closed
  switch (command.type) {
    case 'open':
      return open(meeting, by)
    case 'finish':
      return finish(meeting)
    case 'newPoll':
      return openPoll(meeting, by, command.draft, now)
    case 'abortPoll':
      return meeting.poll ? endPoll(meeting.poll, 'aborted') : reject('There is no active poll')
    case 'kick':
      return kick(meeting, by, command.target)
  }
}

function open({ state }: Meeting, by: Attendee): Change | Rejection {
  if (state === 'open') return reject('Meeting is already open')
  const lines = [
    systemLine(marks.open),
    systemLine('Anything sent from now on will be part of the permanent record'),
  ]
  if (state === 'finished') lines.unshift(systemLine(`This meeting is being re-opened by ${by.name}`))
  return change({ lines, state: { from: state, to: 'open' } }, { type: 'stateChanged', state: 'open' })
}

function finish({ state, poll }: Meeting): Change | Rejection {
  if (state === 'finished') return reject('Meeting is already finished')
  if (state === 'pending') return reject('Meeting is not open')
  const { write, facts } = poll ? endPoll(poll, 'finished') : change({ lines: [] })
  return {
    write: {
      ...write,
      lines: [...write.lines, systemLine(marks.finished)],
      state: { from: 'open', to: 'finished' },
    },
    facts: [...facts, { type: 'stateChanged', state: 'finished' }],
  }
}

/** The fact that the poll is open has the id that the commit gives. */
function openPoll(
  { state, poll, endedPolls }: Meeting,
  by: Attendee,
  draft: PollDraft | Rejection,
  now: Millis,
): Change | Rejection {
  if (isRejection(draft)) return draft
  if (state !== 'open') return reject('Meeting is not open')
  if (poll) return reject('There is already an active poll')
  const endedAt = endedPolls.get(draft.question)
  if (endedAt !== undefined && now < endedAt + sameQuestionMs)
    return reject('This question was just asked, please word it differently or wait a moment')
  const lines = [systemLine(`A new poll has been posted for ${draft.question}`)]
  return change({ lines, openPoll: { ...draft, by: by.id } })
}

/** What ends a poll. */
export function endPoll(poll: Poll, ending: PollEnding): Change {
  const lines = endingLines(poll, ending).map(systemLine)
  return change({ lines, endPoll: { id: poll.id, ending } }, { type: 'pollEnded', ending })
}

/** `by` is a name, or what stands for one. */
export const kickLine = (name: string, by: string): LineDraft =>
  systemLine(`User ${name} has been disconnected by ${by}`)

function kick(
  meeting: Meeting,
  by: Attendee,
  target: { member: MemberId; canRejoin: boolean } | Rejection,
): Change | Rejection {
  if (isRejection(target)) return target
  const attendee = meeting.attendees.get(target.member)
  if (!attendee) return reject('User to kick not found')
  if (attendee.id === by.id) return reject('You cannot disconnect yourself')
  const { id, name } = attendee
  const { write, facts } = depart(
    [{ attendee, told: target.canRejoin ? disconnects.kicked : kickedForGood, lost: false }],
    [kickLine(name, by.name)],
  )
  if (target.canRejoin) return { write, facts }
  return {
    write: { ...write, ban: { member: id, by: by.id } },
    facts: [...facts, { type: 'banned', members: [id] }],
  }
}
