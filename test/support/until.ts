import { setTimeout as wait } from 'node:timers/promises'

/** Looks again and again until `look` says true: for what no frame tells. `what` is named when it does not happen. */
export async function until(
  what: string,
  look: () => boolean | Promise<boolean>,
  milliseconds = 5000,
): Promise<void> {
  for (const deadline = Date.now() + milliseconds; !(await look()); await wait(15))
    if (Date.now() > deadline) throw new Error(`not within ${milliseconds} ms: ${what}`)
}
