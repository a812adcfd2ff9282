/** What a connection that ends for good is told (meeting door spec, Who may enter; the stock page shows the text). */
export const disconnects = {
  notAllowed: 'You are not allowed to enter this meeting',
  finished: 'This meeting is already finished and can no longer be joined.',
  inProgress: 'This meeting is already in progress and can no longer be joined.',
  notYet: 'This meeting cannot be entered yet.',
  takenOver: 'You have connected from a different session. This session is disconnected.',
  kicked: 'You have been forcibly disconnected from this meeting',
  deleted: 'This meeting no longer exists',
  refused: 'The meeting database refuses to let you in. Please tell the organisers.',
} as const

export type DisconnectText = (typeof disconnects)[keyof typeof disconnects]

/** Who is kicked without return is told the same text as others who are kicked, but by a close code of their own. */
export const kickedForGood = 'kicked without return' as const

/** Why a connection ends for good. */
export type DisconnectWord = DisconnectText | typeof kickedForGood

/** What is told of it, to old clients too. */
export const toldText = (word: DisconnectWord): DisconnectText =>
  word === kickedForGood ? disconnects.kicked : word

/**
 * How connections that speak `plenum.v1` end (docs/protocol.md, Close codes): up to 4499 they come back. 1012 is that of
 * RFC 6455's registry for a restart.
 */
export const closeCodes = { stopping: 1012, forNow: 4000, notLookedUp: 4001 } as const

const closeCodesOf: Record<DisconnectWord, number> = {
  [disconnects.notAllowed]: 4500,
  [disconnects.finished]: 4501,
  [disconnects.inProgress]: 4502,
  [disconnects.notYet]: 4503,
  [disconnects.takenOver]: 4504,
  [disconnects.kicked]: 4505,
  [disconnects.deleted]: 4506,
  [disconnects.refused]: 4507,
  [kickedForGood]: 4508,
}

export const closeCodeOf = (word: DisconnectWord): number => closeCodesOf[word]
