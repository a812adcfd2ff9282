import { setTimeout as wait } from 'node:timers/promises'
import { Deadline } from './patience.ts'

/**
 * Looks again and again until `look` says true: for what no frame tells. `what` is named when it does not happen within
 * `milliseconds` of a quiet machine.
 */
export async function until(
  what: string,
  look: () => boolean | Promise<boolean>,
  milliseconds = 5000,
): Promise<void> {
  for (const deadline = new Deadline(milliseconds); !(await look()); await wait(15))
    if (deadline.isOver) throw new Error(`not within ${milliseconds} ms of a quiet machine: ${what}`)
}
