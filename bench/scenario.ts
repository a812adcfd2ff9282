import type { Plot } from './plot.ts'
import type { Stage } from './stage.ts'

/** A figure that is to be reached: at most or at least `limit`. */
export type Goal =
  { name: string; value: number; atMost: number } | { name: string; value: number; atLeast: number }

export type Outcome = {
  /** Everything that was measured, by names with units. */
  figures: Record<string, number>
  goals: Goal[]
  lost: number
  repeated: number
  plots?: Plot[]
}

export type Scenario = { name: string; about: string; play: (stage: Stage) => Promise<Outcome> }

export const isReached = (goal: Goal): boolean =>
  'atMost' in goal ? goal.value <= goal.atMost : goal.value >= goal.atLeast
