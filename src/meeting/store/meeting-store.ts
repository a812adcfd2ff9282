import type { Sql } from 'postgres'
import type { Retry } from '../../db/contention.ts'
import type { RoomStore } from '../../hub/room-rules.ts'
import type { Write } from '../rules/facts.ts'
import type { MemberId } from '../rules/poll.ts'
import { buildView, type Meeting } from '../rules/view.ts'
import { commit, type StoredLine } from './commit.ts'
import { beginReading, type Fence, readMeeting } from './load.ts'

/** What only a commit knows. `endsInMs`: milliseconds from when it is known. */
export type Committed = { lines: StoredLine[]; poll: { id: number; endsInMs: number } | null }

type Deps = {
  sql: Sql
  retry: Retry
  epoch: string
  meeting: number
  clock: () => number
  graceMs: number
}

/** The tables of one meeting, as its room uses them. */
export class MeetingStore implements RoomStore<Meeting, Write, Committed> {
  readonly #deps: Deps
  readonly #here: () => ReadonlyMap<MemberId, number>
  /** What belongs to the view, and is named by what is written on its ground. */
  #fence: Fence | null = null

  /** `here`: who is connected at the time, and by which subscriber. */
  constructor(deps: Deps, here: () => ReadonlyMap<MemberId, number>) {
    this.#deps = deps
    this.#here = here
  }

  /** Which loading of the meeting the view is of; null before the first. */
  get generation(): string | null {
    return this.#fence?.generation ?? null
  }

  async load(before: Meeting | null): Promise<Meeting | null> {
    const { sql, retry, epoch, meeting, clock, graceMs } = this.#deps
    this.#fence = await retry(() => beginReading(sql, epoch, meeting))
    const stored = await retry(() => readMeeting(sql, meeting))
    return stored && buildView(meeting, stored, before, this.#here(), { now: clock(), graceMs })
  }

  async commit(write: Write, { lastLine }: Meeting, retry: Retry): Promise<Committed> {
    const { sql, clock } = this.#deps
    return await retry(async () => {
      if (!this.#fence) throw new Error('a meeting was written before it was loaded')
      const asked = clock()
      const { lines, poll } = await commit(sql, this.#fence, write, lastLine.time)
      // The poll's time began when it was asked for.
      return { lines, poll: poll && { id: poll.id, endsInMs: asked + poll.endsInMs - clock() } }
    })
  }
}
