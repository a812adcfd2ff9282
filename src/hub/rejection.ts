/**
 * Answers one command and changes nothing; the connection stays. `text` is what the person reads. `again`: the same
 * command may be sent again, for nothing was wrong with it.
 */
export type Rejection = { type: 'rejection'; text: string; again: boolean }

/** A rejection by this text; `again` as in `Rejection`. */
export function reject(text: string, { again = false } = {}): Rejection {
  return { type: 'rejection', text, again }
}

/** Tells a rejection from what stands in its place where there is none. */
export function isRejection(value: unknown): value is Rejection {
  return typeof value === 'object' && value !== null && 'type' in value && value.type === 'rejection'
}
