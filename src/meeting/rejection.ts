/** Answers one command and changes nothing; the connection stays. `text` is what the member reads. */
export type Rejection = { type: 'rejection'; text: string }

export function reject(text: string): Rejection {
  return { type: 'rejection', text }
}

/** What a connection that ends for good is told (meeting door spec, Who may enter; the stock page shows the text). */
export const disconnects = {
  notAllowed: 'You are not allowed to enter this meeting',
  finished: 'This meeting is already finished and can no longer be joined.',
  inProgress: 'This meeting is already in progress and can no longer be joined.',
  notYet: 'This meeting cannot be entered yet.',
  takenOver: 'You have connected from a different session. This session is disconnected.',
  kicked: 'You have been forcibly disconnected from this meeting',
  deleted: 'This meeting no longer exists',
} as const

export type DisconnectText = (typeof disconnects)[keyof typeof disconnects]
