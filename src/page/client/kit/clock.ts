/**
 * Milliseconds by a clock that nobody sets, from which all durations, limits and countdowns are taken: a laptop's own clock
 * goes wrong by minutes, and jumps when it is mended. Only differences mean anything. While a machine sleeps it may stand
 * still (it does in most browsers), so that what must be right after a sleep is asked anew then: see `onWake`.
 */
export const steadyNow = (): number => performance.now()

/** The time of day, in milliseconds since 1970, as far as this machine knows: to be shown, and never to be counted with. */
// oxlint-disable-next-line no-restricted-properties -- here alone
export const wallNow = (): number => Date.now()

/** A look each second: where so much more has passed, or by one clock alone, there was a sleep, or a clock was set. */
const lookMs = 1000
const gapMs = 5000

/**
 * Calls back when the page may have been without a network or without time for a while: it is shown again, the network is
 * back, or the machine has slept. Nobody can tell a sleep from a clock that was set, so that `woken` must change nothing
 * where all is well: it looks whether the connection still lives.
 */
export function onWake(woken: () => void): void {
  for (const event of ['online', 'pageshow']) window.addEventListener(event, woken)
  document.addEventListener('resume', woken)
  document.addEventListener('visibilitychange', () => {
    if (document.visibilityState === 'visible') woken()
  })
  let [steady, wall] = [steadyNow(), wallNow()]
  setInterval(() => {
    const passed = steadyNow() - steady
    const apart = Math.abs(wallNow() - wall - passed)
    steady += passed
    wall = wallNow()
    // A page that is not shown gets few turns.
    const isLate = passed > lookMs + gapMs && document.visibilityState === 'visible'
    if (isLate || apart > gapMs) woken()
  }, lookMs)
}
