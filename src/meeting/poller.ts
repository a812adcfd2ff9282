import type { Sql } from 'postgres'
import type { Retry } from '../db/contention.ts'
import { isRefused } from '../db/failure.ts'
import { Outage } from '../db/outage.ts'
import { describeError } from '../db/pool.ts'
import type { Metrics } from '../edge/metrics.ts'
import { Seldom } from '../edge/seldom.ts'
import { forgetCommands } from '../hub/forget.ts'
import { doInPortions } from '../hub/portion.ts'
import type { Log } from './events.ts'
import type { MeetingRoom } from './room.ts'
import { rememberedMs } from './rules/view.ts'
import { findCredentials } from './store/credentials.ts'
import { readSite, type SiteLook, type Watched, type Zone } from './store/site.ts'

const maxBackoffMs = 5000
const forgetEveryMs = 3_600_000
/** How often it is said at most that meetings are not followed. */
const unfollowedEveryMs = 60_000

type PollerDeps = {
  sql: Sql
  retry: Retry
  clock: () => number
  log: Log
  metrics: Metrics
  pollMs: number
  rooms: () => ReadonlyMap<number, MeetingRoom>
  /** Gives a meeting that has none its room. */
  open: (meeting: number) => MeetingRoom
  onZone: (zone: Zone) => void
}

/**
 * Reads every `pollMs` what pgeu-system may have changed, and hands it to the rooms (meeting door spec, The poller).
 * Meetings that go on by themselves and have no room get one.
 */
export class Poller {
  readonly #deps: PollerDeps
  #timer: NodeJS.Timeout | null = null
  readonly #unfollowed: Seldom
  readonly #outage: Outage
  #forgotAt = -Infinity
  #closed = false

  /** Resolves when the first look is done, whatever it brought. */
  readonly ready: Promise<void>

  constructor(deps: PollerDeps) {
    this.#deps = deps
    this.#unfollowed = new Seldom(unfollowedEveryMs, deps.clock)
    this.#outage = new Outage({ ...deps, door: 'meetings' })
    this.ready = this.#poll()
    void this.ready.then(() => this.#schedule())
  }

  /** Whether the last look failed. */
  get failing(): boolean {
    return this.#outage.failures > 0
  }

  close(): void {
    this.#closed = true
    if (this.#timer) clearTimeout(this.#timer)
  }

  #schedule(): void {
    if (this.#closed) return
    const { pollMs } = this.#deps
    const wait = Math.min(pollMs * 2 ** this.#outage.failures, Math.max(maxBackoffMs, pollMs))
    this.#timer = setTimeout(() => void this.#poll().then(() => this.#schedule()), wait)
  }

  async #poll(): Promise<void> {
    const { rooms, open, onZone } = this.#deps
    const asked = new Map(Array.from(rooms(), ([id, room]) => [id, { room, revision: room.revision }]))
    const watched = Array.from(rooms(), ([id, room]) => ({ id, fingerprint: room.siteFingerprint }))
    try {
      const { reports, live, zone } = await this.#read(watched)
      if (this.#closed) return
      this.#outage.answered()
      onZone(zone)
      for (const report of reports) {
        const about = asked.get(report.id)
        // Another room has taken its place meanwhile, which counts its revisions anew: of who is in there it says nothing.
        if (!about || rooms().get(report.id) !== about.room) continue
        if (report.site !== undefined) about.room.followSite(report, about.revision)
      }
      for (const id of live) open(id).wake()
      await this.#followScreens()
      await this.#forget()
    } catch (error) {
      if (!this.#closed) this.#outage.failed(error)
    }
  }

  /** In one query, unless the database refuses to say what has changed of one of them: the others are followed all the same. */
  async #read(watched: readonly Watched[]): Promise<SiteLook> {
    const { sql, retry } = this.#deps
    const known = watched.map(({ id }) => id)
    const looks: SiteLook[] = []
    const look = async (part: readonly Watched[]): Promise<void> => {
      looks.push(await retry(() => readSite(sql, part, known)))
    }
    // What cannot be read of one meeting must not keep the others from being followed.
    await doInPortions(watched, look, ({ id }, error) => this.#notFollowed(id, error))
    // Of none of them: which others go on is asked for all the same.
    if (looks.length === 0) await look([])
    return { ...(looks.at(-1) as SiteLook), reports: looks.flatMap(({ reports }) => reports) }
  }

  /** Screens show a meeting by the key of somebody who need not attend it, so that its row is none of those read above. */
  async #followScreens(): Promise<void> {
    const { sql, retry, rooms } = this.#deps
    const screens = Array.from(rooms(), ([meeting, room]) =>
      room.screens.map(([client, key]) => ({ meeting, key, client, room })),
    ).flat()
    const look = async (part: readonly (typeof screens)[number][]): Promise<void> => {
      const credentials = await retry(() => findCredentials(sql, part))
      for (const [n, { room, client }] of part.entries()) room.followScreen(client, credentials[n] ?? null)
    }
    await doInPortions(screens, look, ({ meeting }, error) => this.#notFollowed(meeting, error))
  }

  #notFollowed(meeting: number, error: unknown): void {
    const count = this.#unfollowed.happened()
    if (count !== null)
      this.#deps.log({ level: 'warn', event: 'notFollowed', meeting, count, error: describeError(error) })
  }

  /** Once an hour, and at the beginning: of meetings too that nobody reads any more. */
  async #forget(): Promise<void> {
    const { sql, retry, clock, log } = this.#deps
    if (clock() - this.#forgotAt < forgetEveryMs) return
    const told = { level: 'warn', event: 'commandsNotForgotten', door: 'meetings' } as const
    try {
      const isClosed = (): boolean => this.#closed
      const refused = await forgetCommands(sql, { table: 'plenum.command', rememberedMs, retry, isClosed })
      if (refused) log({ ...told, count: refused.count, error: describeError(refused.error) })
    } catch (error) {
      // The database answers, and meetings are followed all the same.
      if (!isRefused(error)) throw error
      log({ ...told, error: describeError(error) })
    }
    this.#forgotAt = clock()
  }
}
