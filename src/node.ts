import { setTimeout as wait } from 'node:timers/promises'
import type { MiddlewareHandler } from 'hono'
import type { Sql } from 'postgres'
import { createApps } from './app.ts'
import { type Config, servedDoors } from './config/config.ts'
import { publicStatus } from './config/server-flags.ts'
import { describeDatabase } from './db/conninfo.ts'
import { openBulkhead } from './db/contention.ts'
import { openPool } from './db/pool.ts'
import { doors as allDoors } from './doors.ts'
import { ConnectionLimits } from './edge/connection-limits.ts'
import { AuthThrottle } from './edge/auth-throttle.ts'
import { ownHosts, ownNames } from './edge/host.ts'
import { Keepalive } from './edge/keepalive.ts'
import type { Log, LogEntry } from './edge/log.ts'
import { MetricsRegistry } from './edge/metrics.ts'
import type { PassedSockets } from './edge/passed-sockets.ts'
import { profileRoutes } from './edge/profile.ts'
import { StatsSampler } from './edge/stats-sampler.ts'
import { RecentEntries } from './edge/recent.ts'
import { type ListenerName, Refusals } from './edge/refusals.ts'
import type { Brand } from './edge/brand.ts'
import type { Certificate } from './edge/tls.ts'
import type { About, Door } from './hub/door.ts'
import { Listeners } from './listeners.ts'
import { report } from './report.ts'
import { type ServedDoor, Serving } from './serving.ts'

const maxDatabaseConnections = 10
/** Of these: for the lease, and for whether the database answers. The doors have the others. */
const controlConnections = 1
/** Less than who asks whether we are ready has patience for. */
const maxAnswerMs = 2000
/** With what comes after it, well below the 10 s within which the server ends. */
const drainMs = 6000

type AdjustableName =
  | 'origins'
  | 'adminHosts'
  | 'ratePerSecond'
  | 'maxConnections'
  | 'maxPerAddress'
  | 'maxPending'
  | 'requestTimeoutMs'

export type NodeDeps = {
  version: string
  runtime: string
  passed: PassedSockets
  certificate: Certificate | null
  /** Whose name, logo and color the pages show. */
  brand: Brand | null
  log: Log<LogEntry>
  /** How many entries the log could not be told. */
  logLost: () => number
  /** Hears of what only the operator can mend. */
  onFatal: (error: Error) => void
}

/**
 * Starts the server. Resolves when it listens; it serves its doors when the database answers and as far as no other process
 * does. With a certificate `config.listen` speaks TLS, the others do not. Throws `ListenError`.
 */
export async function startNode(config: Config, deps: NodeDeps): Promise<RunningNode> {
  const node = new RunningNode(config, deps)
  await node.start()
  return node
}

/** One process that serves doors, from its start to its end. */
export class RunningNode {
  readonly #config: Config
  readonly #deps: NodeDeps
  /** Origins and limits as they are now. */
  #adjusted: Pick<Config, AdjustableName>
  #brand: Brand | null
  readonly #about: About
  readonly #clock = (): number => performance.now()
  readonly #control: Sql
  readonly #keepalive: Keepalive
  readonly #connectionLimits: ConnectionLimits
  readonly #sampler: StatsSampler
  readonly #registry: MetricsRegistry
  readonly #recent = new RecentEntries(() => new Date())
  readonly #refusals: Refusals
  readonly #authThrottle: AuthThrottle
  readonly #doors: readonly ServedDoor[]
  readonly #serving: Serving
  readonly #listeners: Listeners
  /** Whether status and health have a listener of their own. */
  readonly #adminApart: boolean
  #databaseConnections = 0
  #stopping = false

  constructor(config: Config, deps: NodeDeps) {
    const { version, runtime, passed, certificate } = deps
    this.#config = config
    this.#deps = deps
    this.#adjusted = config
    this.#brand = deps.brand
    this.#about = { version, runtime, upSince: new Date() }
    this.#adminApart = config.adminListen !== null || passed.admin.length > 0
    // It does not connect before it is used; no pool does.
    this.#control = this.#openPool(controlConnections)
    this.#keepalive = new Keepalive({ pingMs: config.pingMs, clock: this.#clock })
    this.#connectionLimits = new ConnectionLimits(config, this.#clock, (reason, peer) =>
      this.#refusals.refused(reason, { listener: 'listen', peer }),
    )
    this.#sampler = new StatsSampler(() => this.#stats())
    this.#registry = new MetricsRegistry({ version, runtime }, () => this.#stats(), this.#sampler)
    this.#refusals = new Refusals({
      log: this.log,
      count: (reason) => this.#registry.refusedRequest(reason),
    })
    this.#authThrottle = new AuthThrottle(this.#clock, (secret, address) =>
      this.log({ level: 'warn', event: 'guessing', secret, address }),
    )
    this.#doors = this.#supplyDoors()
    this.#serving = new Serving(this.#doors, {
      config,
      log: this.log,
      control: this.#control,
      openOne: () => this.#openPool(1),
    })
    this.#listeners = new Listeners(config, {
      ...this.#createApps(),
      profiles: profileRoutes(this.#ownHost('profilelisten')),
      passed,
      certificate,
      connectionLimits: this.#connectionLimits,
      refusals: this.#refusals,
    })
  }

  /** Logs, with the entry counted. */
  readonly log: Log<LogEntry> = (entry) => {
    this.#registry.count(entry)
    this.#recent.add(entry)
    this.#deps.log(entry)
  }

  /** How things stand, in words. */
  readonly standing = (): string => this.#serving.standing()

  /** Resolves when it listens. */
  async start(): Promise<void> {
    const { version, runtime, onFatal } = this.#deps
    const addresses = await this.#listeners.open()
    const database = describeDatabase(this.#config.database)
    this.log({ level: 'info', event: 'started', version, runtime, ...addresses, database })
    const exposure = publicStatus({ ...this.#config, adminApart: this.#adminApart })
    if (exposure !== null) this.log({ level: 'warn', event: 'statusPublic', reason: exposure })
    for (const { door, config } of this.#doors) {
      const exposed = door.exposure?.(config) ?? null
      if (exposed !== null) this.log({ level: 'warn', ...exposed })
    }
    this.#serving
      .prepare()
      .catch((error: unknown) => onFatal(error instanceof Error ? error : new Error(String(error))))
  }

  /** Origins and limits are those of `config` from now on; whoever is in stays. */
  adjust(config: Pick<Config, AdjustableName>): void {
    if (this.#stopping) return
    this.#adjusted = config
    this.#connectionLimits.limit(config)
    this.#listeners.limit(config)
  }

  /** New connections of a server that speaks TLS get this certificate. */
  certify(certificate: Certificate): void {
    this.#listeners.certify(certificate)
  }

  /** Pages that are loaded from now on show this. */
  show(brand: Brand | null): void {
    this.#brand = brand
  }

  /** Commits and sends what is under way, ends all connections and gives everything back. */
  async stop(): Promise<void> {
    this.#stopping = true
    this.#serving.stop()
    await this.#listeners.close()
    const drained = this.#serving.drain().then(() => this.#keepalive.emptied())
    await Promise.race([drained, wait(drainMs, undefined, { ref: false })])
    this.#keepalive.close()
    this.#connectionLimits.close()
    this.#refusals.close()
    this.#registry.close()
    this.#sampler.close()
    const pools = [this.#control, ...this.#doors.map(({ node }) => node.sql)]
    await Promise.all([this.#serving.close(), ...pools.map((sql) => sql.end({ timeout: 1 }))])
    this.log({ level: 'info', event: 'stopped' })
  }

  get #poolOptions() {
    return {
      timezone: this.#config.timezone,
      onConnection: (change: number) => {
        this.#databaseConnections += change
      },
    }
  }

  #openPool(max: number): Sql {
    return openPool(this.#config.database, { ...this.#poolOptions, max })
  }

  /** Gives each door that is to be served what it has of this node, its share of the connections among it. */
  #supplyDoors(): ServedDoor[] {
    const config = this.#config
    const served = servedDoors(config)
    const share = sharesOf(served.map(({ door }) => door))
    // Those that are not served have metrics as well: they say 0.
    const metrics = new Map(
      allDoors.map((door: Door) => [
        door.name,
        this.#registry.add(door.metrics, () => this.#serving?.hub(door.name)?.stats() ?? null),
      ]),
    )
    return served.map(({ door, config: own }) => ({
      door,
      config: own,
      node: {
        ...openBulkhead(config.database, { ...this.#poolOptions, max: share(door) }, this.#clock),
        version: this.#deps.version,
        clock: this.#clock,
        log: this.log,
        metrics: metrics.get(door.name) ?? this.#registry.metrics,
        authThrottle: this.#authThrottle,
        pollMs: config.pollMs,
        ratePerSecond: () => this.#adjusted.ratePerSecond,
        database: { options: config.database, pool: this.#poolOptions },
      },
    }))
  }

  #createApps(): ReturnType<typeof createApps> {
    const { log } = this
    const serving = this.#serving
    return createApps({
      about: this.#about,
      doors: this.#doors,
      serving,
      proxy: this.#config,
      registry: this.#registry,
      origins: () => this.#adjusted.origins,
      brand: () => this.#brand,
      clock: this.#clock,
      log,
      keepalive: this.#keepalive,
      connectionLimits: this.#connectionLimits,
      databaseAnswers: () => this.#databaseAnswers(),
      readiness: async () => serving.waiting() ?? (await this.#databaseAnswers()),
      home: this.#config.home,
      report: () =>
        report({
          about: this.#about,
          maxDatabaseConnections,
          serving,
          stats: () => this.#stats(),
          sampler: this.#sampler,
          recent: this.#recent,
        }),
      adminApart: this.#adminApart,
      ownHost: this.#ownHost(this.#adminApart ? 'adminlisten' : 'listen'),
      upgradeRefused: (reason, peer) => this.#refusals.refused(reason, { listener: 'listen', peer }),
    })
  }

  #ownHost(listener: ListenerName): MiddlewareHandler {
    const { listen, adminListen, profileListen } = this.#config
    const listeners = [listen, adminListen, profileListen]
    return ownHosts({
      names: () => ownNames(this.#adjusted.adminHosts, this.#adjusted.origins, listeners),
      // The status page's address may stand anywhere; what a profile costs is not for a link.
      links: listener !== 'profilelisten',
      refused: (reason, request) => this.#refusals.refused(reason, { listener, ...request }),
    })
  }

  #stats() {
    return {
      connections: this.#connectionLimits.connections,
      maxConnections: this.#adjusted.maxConnections,
      pending: this.#connectionLimits.pending,
      unsentBytes: this.#keepalive.unsentBytes,
      databaseConnections: this.#databaseConnections,
      logLost: this.#deps.logLost(),
    }
  }

  /** Null where it does, else why not. */
  async #databaseAnswers(): Promise<string | null> {
    const silence = 'the database does not answer'
    const patience = new AbortController()
    const answers = this.#control`select 1`.then(
      () => null,
      () => silence,
    )
    const late = wait(maxAnswerMs, silence, { signal: patience.signal }).catch(() => silence)
    return await Promise.race([answers, late]).finally(() => patience.abort())
  }
}

/** How many connections each door has for its transactions: what it asks for, or its share of the rest. */
function sharesOf(doors: readonly Door[]): (door: Door) => number {
  let rest = maxDatabaseConnections - controlConnections
  for (const { connections } of doors)
    if (connections !== 'the rest') rest -= connections.pool + connections.listening
  const sharing = doors.filter(({ connections }) => connections === 'the rest').length
  return ({ connections }) =>
    connections === 'the rest' ? Math.max(1, Math.floor(rest / sharing)) : connections.pool
}
