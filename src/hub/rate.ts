/**
 * A token bucket: `burst` at once, `perSecond` on. Returns a function that says whether one more may pass at `now`
 * (milliseconds of a clock that never goes back). `perSecond` 0 lets everything pass.
 */
export function createRateLimit(burst: number, perSecond: number): (now: number) => boolean {
  let tokens = burst
  let at: number | null = null
  return (now) => {
    if (perSecond === 0) return true
    if (at !== null) tokens = Math.min(burst, tokens + ((now - at) / 1000) * perSecond)
    at = now
    if (tokens < 1) return false
    tokens -= 1
    return true
  }
}
