import type { Sql } from 'postgres'
import type { Retry } from '../db/contention.ts'
import type { AuthThrottle } from '../edge/auth-throttle.ts'
import type { Metrics } from '../edge/metrics.ts'
import { PageCache } from '../hub/page-cache.ts'
import type { Log } from './events.ts'
import { JoinQueue, type JoinRequest } from './join-queue.ts'
import type { MeetingState } from './rules/view.ts'
import { Poller } from './poller.ts'
import { closeCodes } from './disconnects.ts'
import { MeetingRoom } from './room.ts'
import type { Zone } from './store/site.ts'

export type HubDeps = {
  sql: Sql
  /** Makes another for whoever does one transaction after the other. */
  retrier: () => Retry
  clock: () => number
  log: Log
  metrics: Metrics
  authThrottle: AuthThrottle
  graceMs: number
  closeAfterMs: number
  pollMs: number
  joinWindowMs: number | null
  ratePerSecond: () => number
  version: string
  /** A write was refused because another process serves the meetings. */
  onFenced: () => void
}

type StatusPerson = { uid: number; name: string; admin: boolean; remote: string }

/** What pgeu-system's status page reads of one meeting. */
export type MeetingStatus = {
  id: number
  state: MeetingState
  members: StatusPerson[]
  disconnectedmembers: StatusPerson[]
}

export type MeetingOverview = {
  id: number
  name: string
  state: MeetingState
  here: number
  away: number
  pollUnderWay: boolean
  queuedCommands: number
  /** The ids of those who were removed without return, as `plenum unban` takes them. */
  banned: number[]
}

/** The meetings of this process by id, while it is the one that serves them. */
export class MeetingHub {
  readonly #deps: HubDeps
  readonly #rooms = new Map<number, MeetingRoom>()
  readonly #joins: JoinQueue
  readonly #poller: Poller
  readonly #epoch: string
  readonly #pages: PageCache
  readonly #retryReading: Retry
  #zone: Zone = { timezone: 'UTC', utcOffset: 0 }
  #closed = false

  /** `epoch` is the lease's (see `Lease`): writes name it, so that they fail once another process has taken over. */
  constructor(epoch: string, deps: HubDeps) {
    this.#epoch = epoch
    this.#deps = deps
    this.#pages = new PageCache(deps.clock)
    this.#retryReading = deps.retrier()
    this.#joins = new JoinQueue({
      ...deps,
      retry: deps.retrier(),
      utcOffset: () => this.#zone.utcOffset,
      viewOf: (meeting) => this.#rooms.get(meeting)?.view ?? null,
      join: (meeting, joining) => this.#room(meeting).join(joining),
    })
    // Its first look opens the rooms of the meetings that were under way when the last process ended.
    this.#poller = new Poller({
      ...deps,
      retry: deps.retrier(),
      rooms: () => this.#rooms,
      open: (meeting) => this.#room(meeting),
      onZone: (zone) => {
        this.#zone = zone
      },
    })
  }

  /** Resolves when the meetings that were under way have their rooms again. */
  get ready(): Promise<void> {
    return this.#poller.ready
  }

  /** Whether the database failed the last look at the site. */
  get databaseFails(): boolean {
    return this.#poller.failing
  }

  /** Has a connection join a meeting, or tells it why not. */
  join(request: JoinRequest): void {
    this.#joins.ask(request)
  }

  /** How many meetings have a room here. */
  get size(): number {
    return this.#rooms.size
  }

  status(): MeetingStatus[] {
    return Array.from(this.#rooms.values()).flatMap(({ view }) => {
      if (!view) return []
      const members: StatusPerson[] = []
      const disconnectedmembers: StatusPerson[] = []
      for (const { id, name, admin, remote, presence } of view.attendees.values())
        (presence.type === 'here' ? members : disconnectedmembers).push({ uid: id, name, admin, remote })
      for (const { id, name, admin, remote } of view.departed.values())
        disconnectedmembers.push({ uid: id, name, admin, remote })
      return [{ id: view.id, state: view.state, members, disconnectedmembers }]
    })
  }

  /** What an operator sees of each meeting, without naming anybody. */
  overview(): MeetingOverview[] {
    return Array.from(this.#rooms.values()).flatMap(({ view, queued }) => {
      if (!view) return []
      const { id, name, state, poll, attendees, banned } = view
      const people = { here: 0, away: 0 }
      for (const { presence } of attendees.values()) people[presence.type]++
      return [
        {
          id,
          name,
          state,
          ...people,
          pollUnderWay: poll !== null,
          queuedCommands: queued,
          banned: [...banned],
        },
      ]
    })
  }

  /** How many meetings there are of each state, how many people in them, and how many commands wait. */
  stats(): {
    meetings: Record<MeetingState, number>
    people: { here: number; away: number }
    queuedCommands: number
  } {
    const meetings = { pending: 0, open: 0, finished: 0, closed: 0 }
    const people = { here: 0, away: 0 }
    let queuedCommands = 0
    for (const { view, queued } of this.#rooms.values()) {
      queuedCommands += queued
      if (!view) continue
      meetings[view.state]++
      for (const { presence } of view.attendees.values()) people[presence.type]++
    }
    return { meetings, people, queuedCommands }
  }

  /** Does and sends what is under way, then closes. */
  async drain(): Promise<void> {
    this.#joins.close()
    await Promise.all(Array.from(this.#rooms.values(), (room) => room.drain()))
    this.close(closeCodes.stopping)
  }

  /** Ends all connections without a word: the stock page comes back, to whoever serves the meetings then. */
  close(code: number = closeCodes.forNow): void {
    this.#closed = true
    this.#joins.close()
    this.#poller.close()
    for (const room of this.#rooms.values()) room.close(code)
    this.#rooms.clear()
  }

  #room(id: number): MeetingRoom {
    const known = this.#rooms.get(id)
    if (known) return known
    const forget = (): void => {
      if (this.#rooms.get(id) === room) this.#rooms.delete(id)
    }
    const room = new MeetingRoom(id, {
      ...this.#deps,
      retry: this.#deps.retrier(),
      retryReading: this.#retryReading,
      epoch: this.#epoch,
      zone: () => this.#zone,
      pages: this.#pages,
      onIdle: forget,
      onFailed: forget,
    })
    if (!this.#closed) this.#rooms.set(id, room)
    return room
  }
}
