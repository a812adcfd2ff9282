import type { Decision, RoomRules } from '../hub/room-rules.ts'
import type { HistoryQuery } from './query.ts'

/** Whom a key stands for. */
export type Identity = Readonly<{ key: string; user: string; room: number }>

/** A row of the log; `json` is its frame, the id at its end. */
export type Line = Readonly<{ id: number; room: number; json: string }>

/** `id`: the client's, by which a line that comes again is known. */
export type Draft = Readonly<{ user: string; message: string; id: string | null }>

/** What is known of a room: how far the log has been told there, but for lines that are missing. */
export type View = { seen: number }

/** Everyone but those who still lack older lines. */
export type Audience = 'readers'

/** What has become true of a room's log. */
export type Fact =
  /** These lines have become visible, in order of id: older ones may be among them. */
  | Readonly<{ type: 'said'; lines: readonly Line[]; seen: number }>
  /** What came after the id `after` is more than is told at once, or nobody has looked at it. */
  | Readonly<{ type: 'missed'; after: number; seen: number }>

/** Somebody says something; `subscriber` is the id of their socket. */
export type Job = Draft & Readonly<{ subscriber: number }>

/** The line with this id of its client's is stored. */
export type Answer = Readonly<{ subscriber: number; id: string }>

/** How many lines share a commit at most. */
const maxAtOnce = 500

/**
 * The rules of a room's owner half: all that is said is written, by every process for itself. What has been written is
 * told once it is seen in the log, wherever it came from.
 */
export const rules: RoomRules<View, Job, readonly Draft[], void, Fact, Answer> = {
  batch: (jobs) => Math.min(jobs.length, maxAtOnce),
  decide: (_view, run): Decision<readonly Draft[], Fact, Answer> => ({
    taken: run.length,
    write: run,
    facts: [],
    answers: run.flatMap(({ subscriber, id }) => (id === null ? [] : [{ subscriber, id }])),
    regardless: null,
  }),
  facts: () => [],
  due: () => null,
  nextDue: () => null,
}

/** The only way in which a view changes. */
export function apply(view: View, { seen }: Fact): void {
  view.seen = seen
}

/**
 * Where somebody begins who joins a room that has been told the log up to `seen`: `behind`, after which they lack all; and
 * `upTo`, how far they read it from the database, before the rest comes from memory. `isAtHand`: whether memory has all
 * after an id.
 */
export function startOf(
  { after, since, limit }: HistoryQuery,
  seen: number,
  isAtHand: (after: number) => boolean,
): { behind: number; upTo: number } {
  // What has not been there yet will come like everything else.
  const behind = Math.min(after ?? 0, seen)
  return { behind, upTo: limit === null && since === null && isAtHand(behind) ? behind : seen }
}

/**
 * Whether somebody's session is gone, or is somebody else's now: of the keys in `asked` the database has those in `found`.
 * Of a key that was not asked for nobody knows.
 */
export function isSessionGone(
  { key, user, room }: Identity,
  found: ReadonlyMap<string, Identity>,
  asked: ReadonlySet<string>,
): boolean {
  const known = found.get(key)
  return asked.has(key) && !(known?.user === user && known.room === room)
}
