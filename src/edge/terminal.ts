import { closeSync } from 'node:fs'
import { isatty } from 'node:tty'

const standardDescriptors = [0, 1, 2]

/** Which of stdin, stdout and stderr are terminals now. */
export function terminals(): readonly number[] {
  return standardDescriptors.filter((descriptor) => isatty(descriptor))
}

/**
 * Gives up those of `found` that are gone, as when their window was closed. Node, when it exits, brings each terminal back
 * to what it was at the start, and crashes (SIGABRT or SIGSEGV instead of the exit status) where that cannot be done.
 */
export function leaveLostTerminals(found: readonly number[]): void {
  for (const descriptor of found) if (!isatty(descriptor)) closeSync(descriptor)
}
