import type { ReplicaRules } from '../hub/replica.ts'
import type { Listening, Telling } from '../hub/telling.ts'
import { type CloseCode, closeCodes, lineFrames } from './protocol.ts'
import { apply, type Audience, type Fact, type View } from './rules.ts'

type One = Listening<Audience, CloseCode>

const audiences = { reads: ['readers'], lags: [] } as const satisfies Record<string, readonly Audience[]>

/** The rules of a room's listening half. */
export const announcer: ReplicaRules<View, Fact, Audience, CloseCode, One> = {
  apply,
  audiences: (_view, { behind }) => (behind === null ? audiences.reads : audiences.lags),
  changesAudience: ({ type }) => type === 'missed',
  tell: (_view, fact) => tell(fact),
  sums: () => [],
  newest: ({ seen }) => seen,
  dismissal: () => undefined,
  gone: closeCodes.unavailable,
  looksSame: () => true,
  reloaded: () => [],
}

/** What a fact has a room's clients told. */
export function tell(fact: Fact): Telling<Audience, CloseCode, One>[] {
  if (fact.type === 'missed') return [{ type: 'missed', after: fact.after }]
  return fact.lines.map(({ id, json }) => ({
    type: 'line',
    to: 'readers',
    id,
    item: json,
    stock: lineFrames([json], false),
    v1: lineFrames([json], true),
  }))
}
