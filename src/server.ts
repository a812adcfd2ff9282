import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Server as TlsServer } from 'node:https'
import { setTimeout as wait } from 'node:timers/promises'
import type { MiddlewareHandler } from 'hono'
import { createApps } from './app.ts'
import { ChatHub, channel } from './chat/hub.ts'
import type { Config } from './config/config.ts'
import { publicStatus } from './config/server-flags.ts'
import { withAdvice } from './db/advice.ts'
import { type Bulkhead, openBulkhead } from './db/contention.ts'
import { describeDatabase } from './db/conninfo.ts'
import { Lease } from './db/lease.ts'
import { Listener } from './db/listen.ts'
import { isUnavailable } from './db/failure.ts'
import { describeError, openPool } from './db/pool.ts'
import { refuseSharedSessions } from './db/pooler.ts'
import { importKey } from './document/access.ts'
import { Budget } from './document/budget.ts'
import { anonymousDocuments, type DocumentConfig } from './document/flags.ts'
import { DocumentHub } from './document/hub.ts'
import { allOrNone } from './hub/all-or-none.ts'
import { doors as allDoors } from './doors.ts'
import { Admission, type Progress } from './edge/admission.ts'
import { Guesses } from './edge/guesses.ts'
import { Keepalive } from './edge/keepalive.ts'
import { ownHosts, ownNames } from './edge/host.ts'
import { createHttpServer, toTls } from './edge/http.ts'
import { describeAddress, listen, type Place } from './edge/listen.ts'
import type { Log } from './edge/log.ts'
import { memoryInUse } from './edge/memory.ts'
import type { MetricTable } from './edge/metric-table.ts'
import { type Metrics, MetricsRegistry, type ServerStats } from './edge/metrics.ts'
import type { PassedSockets } from './edge/passed-sockets.ts'
import { profileRoutes } from './edge/profile.ts'
import { Pulse } from './edge/pulse.ts'
import { RecentEntries } from './edge/recent.ts'
import { type ListenerName, Refusals } from './edge/refusals.ts'
import type { Certificate } from './edge/tls.ts'
import { MeetingHub } from './meeting/hub.ts'
import { checkDoors, checkTables, makeTables, migrateDoors } from './setup.ts'

const mostDatabaseConnections = 10
/** Of these; the meetings have the others. One is for the lease and for whether the database answers. */
const connectionsFor = { control: 1, chat: 2, chatListener: 1, documents: 2 } as const
/** Less than who asks whether we are ready has patience for. */
const mostAnswerMs = 2000
/** Of messages of clients at the document door, which wait. */
const mostHeldBytes = 512 * 1024 * 1024
const retryMs = 1000
/** With what comes after it, well below the 10 s within which the server ends. */
const drainMs = 6000

export type Running = {
  /** Commits and sends what is under way, ends all connections and gives everything back. */
  stop: () => Promise<void>
  /** Origins and limits are those of `config` from now on; whoever is in stays. */
  adjust: (config: Pick<Config, AdjustableName>) => void
  /** New connections of a server that speaks TLS get this certificate. */
  certify: (certificate: Certificate) => void
  /** The log, with the entries counted. */
  log: Log
  /** How things stand, in words. */
  standing: () => string
}

type AdjustableName =
  | 'origins'
  | 'adminHosts'
  | 'ratePerSecond'
  | 'maxConnections'
  | 'maxPerAddress'
  | 'maxPending'
  | 'requestTimeoutMs'

/**
 * Starts the server. Resolves when it listens; it serves the meetings when the database answers and no other process
 * does. `onFatal` hears of what only the operator can mend. With a certificate `config.listen` speaks TLS, the others do
 * not.
 */
export async function startServer(
  config: Config,
  deps: {
    version: string
    runtime: string
    passed: PassedSockets
    certificate: Certificate | null
    log: Log
    /** How many entries the log could not be told. */
    logLost: () => number
    onFatal: (error: Error) => void
  },
): Promise<Running> {
  const { version, runtime } = deps
  const clock = (): number => performance.now()
  let adjusted: Pick<Config, AdjustableName> = config
  const listeners = [config.listen, config.adminListen, config.profileListen]
  const upsince = new Date()
  let databaseConnections = 0
  const database = {
    timezone: config.timezone,
    onConnection(change: number) {
      databaseConnections += change
    },
  }
  // None of these connects before it is used.
  const control = openPool(config.database, { ...database, max: connectionsFor.control })
  const openDoor = (max: number): Bulkhead => openBulkhead(config.database, { ...database, max }, clock)
  const forChat = config.doors.chat ? connectionsFor.chat + connectionsFor.chatListener : 0
  const forDocuments = config.doors.document ? connectionsFor.documents : 0
  const doors = {
    meetings: openDoor(mostDatabaseConnections - connectionsFor.control - forChat - forDocuments),
    chat: openDoor(connectionsFor.chat),
    documents: openDoor(connectionsFor.documents),
  }
  const keepalive = new Keepalive({ pingMs: config.pingMs, clock })
  const admission = new Admission(config, clock, (reason, peer) =>
    refusals.refused(reason, { listener: 'listen', peer }),
  )
  let lease: Lease | null = null
  let hub: MeetingHub | null = null
  const heldByClients = new Budget(mostHeldBytes)
  let documents: DocumentHub | null = null
  let chat: { hub: ChatHub; listener: Listener } | null = null
  let waitsFor = 'the database has not answered yet'
  let stopping = false
  const stats = (): ServerStats => ({
    connections: admission.connections,
    maxConnections: adjusted.maxConnections,
    pending: admission.pending,
    unsentBytes: keepalive.unsentBytes,
    databaseConnections,
    logLost: deps.logLost(),
  })
  const statsOf = {
    meeting: () => hub?.census() ?? null,
    chat: () => chat?.hub.census() ?? null,
    document: () => documents && { ...documents.census(), heldBytes: heldByClients.bytes },
  }
  const pulse = new Pulse(stats)
  const registry = new MetricsRegistry({ version, runtime }, stats, pulse)
  const metricsOf = Object.fromEntries(
    allDoors.map(({ name, metrics }) => [name, registry.add(metrics as MetricTable, statsOf[name])]),
  ) as Record<keyof typeof statsOf, Metrics>
  const recent = new RecentEntries(() => new Date())
  const log: Log = (entry) => {
    registry.count(entry)
    recent.add(entry)
    deps.log(entry)
  }
  const refusals = new Refusals({ log, count: (reason) => registry.refusedRequest(reason) })
  const ownHost = (listener: ListenerName): MiddlewareHandler =>
    ownHosts({
      names: () => ownNames(adjusted.adminHosts, adjusted.origins, listeners),
      // The status page's address may stand anywhere; what a profile costs is not for a link.
      links: listener !== 'profilelisten',
      refused: (reason, request) => refusals.refused(reason, { listener, ...request }),
    })
  const guesses = new Guesses(clock, (secret, address) =>
    log({ level: 'warn', event: 'guessing', secret, address }),
  )

  /** Why the meetings are not served here; null while they are. */
  const waiting = (): string | null => {
    if (stopping) return 'draining'
    if (!lease) return waitsFor
    return hub ? null : (lease.waitsFor ?? 'the meetings are being read')
  }

  /** How things stand, in words for the operator: of the meetings first, then of the chat where it has trouble of its own. */
  const standing = (): string => {
    const reason = waiting()
    const meetings =
      reason !== null
        ? `waiting: ${reason}`
        : hub?.databaseFails
          ? 'the database does not answer'
          : 'serving the meetings'
    return chat?.hub.databaseFails ? `${meetings}; the chat cannot read its log` : meetings
  }

  const databaseAnswers = async (): Promise<string | null> => {
    const silence = 'the database does not answer'
    const patience = new AbortController()
    const answers = control`select 1`.then(
      () => null,
      () => silence,
    )
    const late = wait(mostAnswerMs, silence, { signal: patience.signal }).catch(() => silence)
    return await Promise.race([answers, late]).finally(() => patience.abort())
  }

  const adminApart = config.adminListen !== null || deps.passed.admin.length > 0
  const { app, admin, attach } = createApps({
    ...config,
    origins: () => adjusted.origins,
    ratePerSecond: () => adjusted.ratePerSecond,
    proxy: config,
    ...doors.meetings,
    clock,
    log,
    guesses,
    keepalive,
    admission,
    metrics: metricsOf.meeting,
    registry,
    hub: () => (stopping ? null : hub),
    prepared: () => lease !== null && !stopping,
    chat: config.doors.chat && { hub: () => (stopping ? null : (chat?.hub ?? null)) },
    databaseAnswers,
    document: config.doors.document && {
      ...config.doors.document,
      budget: heldByClients,
      hub: () => (stopping ? null : documents),
    },
    adminApart,
    ownHost: ownHost(adminApart ? 'adminlisten' : 'listen'),
    upgradeRefused: (reason, peer) => refusals.refused(reason, { listener: 'listen', peer }),
    async readiness() {
      return waiting() ?? (await databaseAnswers())
    },
    status: () => ({
      upsince: upsince.toISOString(),
      timestamp: new Date().toISOString(),
      runtime: { version, runtime },
      meetings: hub?.status() ?? [],
    }),
    report() {
      const { logLost: _, ...figures } = stats()
      const { people = { here: 0, away: 0 }, queuedCommands = 0 } = statsOf.meeting() ?? {}
      return {
        waitsFor: waiting(),
        version,
        runtime,
        upSince: upsince.getTime(),
        now: Date.now(),
        maxDatabaseConnections: mostDatabaseConnections,
        figures: { ...figures, queuedCommands, chat: statsOf.chat(), ...people, ...memoryInUse() },
        history: pulse.history(),
        meetings: hub?.overview() ?? [],
        recent: recent.list(),
      }
    },
  })

  const stops: (() => Promise<void>)[] = []
  // Sockets that are passed take the place of the flag's address.
  const placesOf = (name: keyof PassedSockets, address: Config['listen'] | null): Place[] => {
    const passed = deps.passed[name].map((descriptor): Place => ({ type: 'passed', descriptor }))
    return passed.length > 0 || !address ? passed : [address]
  }
  const open = async (
    listener: ListenerName,
    serves: typeof app,
    places: readonly Place[],
    certificate: Certificate | null = null,
  ): Promise<(Server | TlsServer)[]> => {
    const opened: (Server | TlsServer)[] = []
    for (const place of places) {
      const server = createHttpServer(serves, { listener, certificate, refusals })
      server.headersTimeout = config.requestTimeoutMs
      stops.push(await listen(server, place, { socketMode: config.socketMode, flag: `-${listener}` }))
      opened.push(server)
    }
    return opened
  }
  const places = placesOf('listen', config.listen)
  const servers = await open('listen', app, places, deps.certificate)
  for (const server of servers) {
    // Of TLS too this is the TCP connection, before its handshake.
    server.on('connection', (socket) => admission.connected(socket))
    server.on('request', (request: IncomingMessage, response: ServerResponse) =>
      admission.requested(request.socket, () => progressOf(request, response)),
    )
    server.on('upgrade', ({ socket }: IncomingMessage) => admission.requested(socket))
    // Admission cuts who does not go on; a long body that comes steadily may take its time.
    server.requestTimeout = 0
    attach(server)
  }
  await open('adminlisten', admin, placesOf('admin', config.adminListen))
  await open(
    'profilelisten',
    profileRoutes(ownHost('profilelisten')),
    placesOf('profile', config.profileListen),
  )
  log({
    level: 'info',
    event: 'started',
    version,
    runtime,
    listen: describePlaces(places),
    database: describeDatabase(config.database),
  })
  const exposure = publicStatus({ ...config, adminApart })
  if (exposure !== null) log({ level: 'warn', event: 'statusPublic', reason: exposure })
  const anonymous = anonymousDocuments(config.doors.document)
  if (anonymous !== null) log({ level: 'warn', event: 'documentsPublic', reason: anonymous })

  const holdLease = (): Lease => {
    let told = ''
    return new Lease(control, {
      async gained(epoch) {
        const gained = await allOrNone(async (keep) => {
          const meetings = keep(createMeetings(epoch))
          await meetings.ready
          return {
            meetings,
            documents: config.doors.document && keep(await createDocuments(epoch, config.doors.document)),
          }
        })
        hub = gained.meetings
        documents = gained.documents
        told = ''
        log({ level: 'info', event: 'serving', meetings: hub.size })
        if (documents) log({ level: 'info', event: 'documentsServing' })
      },
      lost() {
        hub?.close()
        hub = null
        documents?.close()
        documents = null
        log({ level: 'error', event: 'leaseLost' })
      },
      waits(reason) {
        if (reason !== told) log({ level: 'warn', event: 'waiting', reason })
        told = reason
      },
    })
  }

  const createMeetings = (epoch: string): MeetingHub =>
    new MeetingHub(epoch, {
      ...config,
      ...config.doors.meeting,
      ratePerSecond: () => adjusted.ratePerSecond,
      version,
      ...doors.meetings,
      clock,
      log,
      metrics: metricsOf.meeting,
      guesses,
      onFenced: () => lease?.fenced(epoch),
    })

  const createDocuments = async (epoch: string, document: DocumentConfig): Promise<DocumentHub> => {
    const { webhook, credentials } = document
    return new DocumentHub(epoch, {
      ...document,
      jwtKey: document.jwtKey && (await importKey(document.jwtKey)),
      webhook: webhook === null ? null : { url: webhook, user: '', password: '', ...credentials },
      ...doors.documents,
      clock,
      log,
      metrics: metricsOf.document,
      budget: heldByClients,
      guesses,
      onFenced: () => lease?.fenced(epoch),
    })
  }

  const serveChat = async ({ schema }: { schema: string }): Promise<typeof chat> => {
    const hub = new ChatHub({
      ...config,
      ...doors.chat,
      schema,
      clock,
      log,
      metrics: metricsOf.chat,
      guesses,
    })
    const listener = new Listener(config.database, database, channel, {
      listening() {
        log({ level: 'info', event: 'listening', channel })
        hub.listening()
      },
      notified: (payload) => hub.notified(payload),
      lost: (reason) => log({ level: 'warn', event: 'listenLost', channel, reason }),
    })
    log({ level: 'info', event: 'chatServing', schema })
    return { hub, listener }
  }

  const prepare = async (): Promise<void> => {
    while (!stopping) {
      try {
        await refuseSharedSessions(control, () => openPool(config.database, { ...database, max: 1 }))
        const steps = await migrateDoors(control)
        if (steps > 0) log({ level: 'info', event: 'migrated', steps })
        await checkDoors(control, config)
        await makeTables(control, config)
        for (const statement of await checkTables(control, config))
          log({ level: 'warn', event: 'indexRecommended', statement })
        if (config.doors.chat) chat = await serveChat(config.doors.chat)
        lease = holdLease()
        return
      } catch (error) {
        if (!isUnavailable(error)) throw withAdvice(error, config.database)
        const reason = `the database does not answer: ${describeError(error)}`
        if (reason !== waitsFor) log({ level: 'warn', event: 'waiting', reason })
        waitsFor = reason
        await wait(retryMs)
      }
    }
  }
  prepare().catch((error: unknown) => deps.onFatal(error instanceof Error ? error : new Error(String(error))))

  return {
    log,
    standing,
    adjust(config) {
      if (stopping) return
      adjusted = config
      admission.limit(config)
      for (const server of servers) server.headersTimeout = config.requestTimeoutMs
    },
    certify(certificate) {
      for (const server of servers)
        if ('setSecureContext' in server) server.setSecureContext(toTls(certificate))
    },
    async stop() {
      stopping = true
      for (const stop of stops) await stop()
      const drained = Promise.all([hub?.drain(), documents?.drain(), chat?.hub.drain()]).then(() =>
        keepalive.emptied(),
      )
      await Promise.race([drained, wait(drainMs, undefined, { ref: false })])
      keepalive.close()
      admission.close()
      refusals.close()
      registry.close()
      pulse.close()
      const pools = [control, ...Object.values(doors).map(({ sql }) => sql)]
      await Promise.all([
        lease?.close(),
        chat?.listener.close(),
        ...pools.map((sql) => sql.end({ timeout: 1 })),
      ])
      log({ level: 'info', event: 'stopped' })
    },
  }
}

function progressOf(request: IncomingMessage, response: ServerResponse): Progress {
  if (!request.complete) return 'asking'
  if (!response.headersSent) return 'owed'
  return response.writableFinished ? 'answered' : 'asking'
}

function describePlaces(places: readonly Place[]): string {
  const [first] = places
  if (first && first.type !== 'passed') return describeAddress(first)
  return places.length === 1
    ? 'the socket passed by systemd'
    : `the ${places.length} sockets passed by systemd`
}
