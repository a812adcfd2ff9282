import { setTimeout as wait } from 'node:timers/promises'
import type { Sql } from 'postgres'
import type { Config } from './config/config.ts'
import { withAdvice } from './db/advice.ts'
import { isUnavailable } from './db/failure.ts'
import { Lease } from './db/lease.ts'
import { describeError } from './db/pool.ts'
import { refuseSharedSessions } from './db/pooler.ts'
import type { Log } from './edge/log.ts'
import { allOrNone } from './hub/all-or-none.ts'
import type { Door, DoorHub, Node } from './hub/door.ts'
import { checkDoors, checkTables, makeTables, migrateDoors } from './setup.ts'

const retryMs = 1000

/** A door that is to be served, with its config and with what it has of the node. */
export type ServedDoor = Readonly<{ door: Door; config: unknown; node: Node }>

export type ServingDeps = Readonly<{
  config: Config
  log: Log
  /** The one connection for the lease, and for whether the database answers. */
  control: Sql
  /** Opens a connection that is closed again. */
  openOne: () => Sql
}>

/**
 * Which doors are served by this process: once the database is prepared those that every node serves, and those with one owner
 * a room while it has the lease.
 */
export class Serving {
  readonly #doors: readonly ServedDoor[]
  readonly #deps: ServingDeps
  /** By the names of their doors. */
  readonly #hubs = new Map<string, DoorHub>()
  #lease: Lease | null = null
  #waitsFor = 'the database has not answered yet'
  #stopping = false

  constructor(doors: readonly ServedDoor[], deps: ServingDeps) {
    this.#doors = doors
    this.#deps = deps
  }

  /** Whether the database has answered, and has the tables. */
  get prepared(): boolean {
    return this.#lease !== null && !this.#stopping
  }

  /** The hub of the door of this name; null while it is not served here. */
  hub(name: string): DoorHub | null {
    return this.#hubs.get(name) ?? null
  }

  /** The same for those who come, to whom it is closed from `stop` on. */
  openHub(name: string): DoorHub | null {
    return this.#stopping ? null : this.hub(name)
  }

  /** Why what has one owner is not served here; null while it is. */
  waiting(): string | null {
    if (this.#stopping) return 'draining'
    if (!this.#lease) return this.#waitsFor
    const [first] = this.#owned()
    if (!first || this.#hubs.has(first.door.name)) return null
    return this.#lease.waitsFor ?? `${first.door.title} are being read`
  }

  /** How things stand, in words for the operator: of the first door, then of others that have trouble of their own. */
  standing(): string {
    const [first] = this.#owned()
    const reason = this.waiting()
    const words =
      reason !== null
        ? `waiting: ${reason}`
        : (this.#troubleOf(first) ?? `serving ${first?.door.title ?? 'every room'}`)
    const others = this.#doors.filter((door) => door !== first).map((door) => this.#troubleOf(door))
    return [words, ...others.filter((trouble) => trouble !== null)].join('; ')
  }

  /** Resolves when the database has all that is needed, and the doors are served as far as they can be. Throws `SetupError`. */
  async prepare(): Promise<void> {
    const { log } = this.#deps
    while (!this.#stopping) {
      try {
        await this.#setUp()
        for (const served of this.#doors) await this.#openShared(served)
        this.#lease = this.#holdLease()
        return
      } catch (error) {
        if (!isUnavailable(error)) throw withAdvice(error, this.#deps.config.database)
        const reason = `the database does not answer: ${describeError(error)}`
        if (reason !== this.#waitsFor) log({ level: 'warn', event: 'waiting', reason })
        this.#waitsFor = reason
        await wait(retryMs)
      }
    }
  }

  /** Nobody comes in any more. */
  stop(): void {
    this.#stopping = true
  }

  /** Does and sends what is under way, then ends all connections. */
  async drain(): Promise<void> {
    await Promise.all(Array.from(this.#hubs.values(), (hub) => hub.drain()))
  }

  /** Gives back the lease, and what doors have besides their pools. */
  async close(): Promise<void> {
    const shared = this.#doors.filter(({ door }) => door.serving === 'every node')
    await Promise.all([
      this.#lease?.close(),
      ...shared.map(async ({ door }) => await this.#hubs.get(door.name)?.close()),
    ])
  }

  async #setUp(): Promise<void> {
    const { config, control, openOne, log } = this.#deps
    await refuseSharedSessions(control, openOne)
    const steps = await migrateDoors(control)
    if (steps > 0) log({ level: 'info', event: 'migrated', steps })
    await checkDoors(control, config)
    await makeTables(control, config)
    for (const statement of await checkTables(control, config))
      log({ level: 'warn', event: 'indexRecommended', statement })
  }

  async #openShared({ door, config, node }: ServedDoor): Promise<void> {
    if (door.serving !== 'every node' || this.#hubs.has(door.name)) return
    const hub = await door.open(node, config)
    hub.announce()
    this.#hubs.set(door.name, hub)
  }

  #holdLease(): Lease {
    const { control, log } = this.#deps
    let told = ''
    return new Lease(control, {
      gained: async (epoch) => {
        const gained = await this.#openOwned(epoch)
        for (const [name, hub] of gained) this.#hubs.set(name, hub)
        told = ''
        for (const [, hub] of gained) hub.announce()
      },
      lost: () => {
        for (const { door } of this.#owned()) {
          void this.#hubs.get(door.name)?.close()
          this.#hubs.delete(door.name)
        }
        log({ level: 'error', event: 'leaseLost' })
      },
      waits(reason) {
        if (reason !== told) log({ level: 'warn', event: 'waiting', reason })
        told = reason
      },
    })
  }

  async #openOwned(epoch: string): Promise<(readonly [string, DoorHub])[]> {
    const ownership = { epoch, onFenced: () => this.#lease?.fenced(epoch) }
    return await allOrNone(async (keep) => {
      const opened: (readonly [string, DoorHub])[] = []
      for (const { door, config, node } of this.#doors)
        if (door.serving === 'one owner a room')
          opened.push([door.name, keep(await door.open(node, config, ownership))])
      return opened
    })
  }

  #owned(): readonly ServedDoor[] {
    return this.#doors.filter(({ door }) => door.serving === 'one owner a room')
  }

  #troubleOf(served: ServedDoor | undefined): string | null {
    return (served && this.#hubs.get(served.door.name)?.trouble()) ?? null
  }
}
