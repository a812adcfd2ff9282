import type { MeetingState } from '../rules/view.ts'

const states: readonly MeetingState[] = ['pending', 'open', 'finished', 'closed']

/** The state that a code of the site means. */
export function stateOf(code: number): MeetingState {
  return states[code] ?? 'closed'
}

/** The code of the site for a state. */
export const codeOf = (state: MeetingState): number => states.indexOf(state)
