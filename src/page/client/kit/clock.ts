/**
 * Milliseconds by a clock that nobody sets, from which all durations, limits and countdowns are taken: a laptop's own clock
 * goes wrong by minutes, and jumps when it is mended. Only differences mean anything. While a machine sleeps it may stand
 * still (it does in most browsers), so that what must be right after a sleep is asked anew then: see `onWake`.
 */
export const steadyNow = (): number => performance.now()

/** The time of day, in milliseconds since 1970, as far as this machine knows: to be shown, and never to be counted with. */
// oxlint-disable-next-line no-restricted-properties -- here alone
export const wallNow = (): number => Date.now()
