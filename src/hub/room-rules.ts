import type { Retry } from '../db/contention.ts'
import type { Portion } from './portion.ts'
import type { Postponed } from './postponement.ts'
import type { Millis } from './telling.ts'

/** What is decided about jobs at the front: plain data. */
export type Decision<Write, Fact, Answer> = {
  /** How many jobs it is about. */
  taken: number
  /** What has to be durable before anything is told; null where nothing has. */
  write: Write | null
  /** What is true once that is durable, but for what only the commit knows. */
  facts: readonly Fact[]
  /** What those are told who have asked, after the facts. */
  answers: readonly Answer[]
  /**
   * What is true even if the database refuses to store it: a connection has ended, the site has changed. Null where
   * nothing is: then the jobs are rejected.
   */
  regardless: readonly Fact[] | null
}

/** What is due by itself, and by which names it is put off where the database refuses it. */
export type Due<Write, Fact, Answer> = { names: readonly string[]; decision: Decision<Write, Fact, Answer> }

/** What a door says about the owner half of its rooms; all of it is pure. */
export type RoomRules<View, Job, Write, Committed, Fact, Answer> = {
  /** How many jobs at the front can share a commit: one at least. */
  batch: (jobs: readonly Job[]) => number
  decide: (view: View, run: readonly Job[], now: Millis) => Decision<Write, Fact, Answer>
  /** The facts of a decision once it is durable, with what only the commit knows. */
  facts: (view: View, decision: Decision<Write, Fact, Answer>, committed: Committed | null) => readonly Fact[]
  /** What is due by itself and not postponed, no more than `portion` gives at once; null where nothing is. */
  due: (
    view: View,
    now: Millis,
    postponed: Postponed,
    portion: Pick<Portion, 'of'>,
  ) => Due<Write, Fact, Answer> | null
  /** When `due` is next to be asked, or null. */
  nextDue: (view: View, postponed: Postponed) => Millis | null
}

/** The database no longer is as the view says: the commit was undone, and the view must be loaded anew. */
export class Conflict extends Error {}

/** A job was given up, or work that was to go alone: the room has been closed. */
export class RoomClosed extends Error {}

export type RoomStore<View, Write, Committed> = {
  /** Makes all writes fail that were decided on what was loaded before, and loads the room; null where there is none. */
  load: (before: View | null) => Promise<View | null>
  /** Writes all or nothing by `retry`. Throws `Conflict`, or what the database says. */
  commit: (write: Write, view: View, retry: Retry) => Promise<Committed>
}

/**
 * What follows where it is not known what became of a commit, or where the database no longer is as the view says.
 * `reload`: before the next decision the view is loaded anew; who has asked may ask again. `close`: the room is closed, and
 * its clients come back. `reject`: the view is none of the database's, and the room goes on; who has asked may ask again.
 */
export type FailurePolicy = 'reload' | 'close' | 'reject'

/** What a door does and logs of what happens in its rooms. */
export type RoomHooks<View, Job, Write, Committed, Fact, Answer> = {
  /** Makes ready, while others have their turn, what is long to tell of these facts; null where nothing is. */
  prepare?: (facts: readonly Fact[]) => Promise<void> | null
  answer: (answers: readonly Answer[]) => void
  /** There is no such room. */
  absent: (jobs: readonly Job[]) => void
  /** The database refused these for good; each hears so. */
  refused: (jobs: readonly Job[], error: unknown) => void
  /** Nothing of these was done as far as we know; they may be sent again. */
  unavailable: (jobs: readonly Job[], error: unknown) => void
  /** A job is given up without an answer: the room has been closed, or another process owns it. */
  dropped: (jobs: readonly Job[]) => void
  committed: (milliseconds: number, write: Write, committed: Committed) => void
  /** These are true from now on, and have been told. */
  published: (facts: readonly Fact[]) => void
  /** The database failed; not for a refusal. */
  databaseFailed: (error: unknown) => void
  /** The database refused a write. */
  notStored: (error: unknown) => void
  /** The view does not hold any more; by the policy `close` the room is to be closed. */
  invalidated: (error: unknown) => void
  reloaded: (view: View) => void
  /** Another process owns the rooms. */
  fenced: (error: unknown) => void
  /** Nothing is under way: the room may be forgotten if nobody is in it. */
  idle: () => void
  /** An error of ours: the room cannot go on. */
  failed: (error: unknown) => void
}
