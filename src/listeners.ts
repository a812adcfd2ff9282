import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Server as TlsServer } from 'node:https'
import type { Hono } from 'hono'
import type { ServerConfig } from './config/server-flags.ts'
import type { ConnectionLimits, Progress } from './edge/connection-limits.ts'
import { createHttpServer, toTls } from './edge/http.ts'
import { listen, type Place } from './edge/listen.ts'
import type { PassedSockets } from './edge/passed-sockets.ts'
import type { ListenerName, Refusals } from './edge/refusals.ts'
import type { Certificate } from './edge/tls.ts'

type AnyServer = Server | TlsServer
type Opened = Readonly<{ server: AnyServer; address: string }>

/** What is served where: `app` with its websockets on -listen, and beside it what is for the operator. */
export type ListenerOptions = {
  app: Hono
  admin: Hono
  profiles: Hono
  /** Has the websockets of `app` on a server. */
  attach: (server: Server) => void
  passed: PassedSockets
  certificate: Certificate | null
  connectionLimits: ConnectionLimits
  refusals: Refusals
}

/** Where each listener is reached, in words. A listener that is not open has no entry. */
export type Addresses = Readonly<{ listen: string } & Partial<Record<ListenerName, string>>>

/** The sockets that this process listens on. */
export class Listeners {
  readonly #config: ServerConfig
  readonly #options: ListenerOptions
  readonly #stops: (() => Promise<void>)[] = []
  /** Those of -listen. */
  #servers: readonly AnyServer[] = []

  constructor(config: ServerConfig, options: ListenerOptions) {
    this.#config = config
    this.#options = options
  }

  /** Resolves when it listens everywhere, to where that is. Throws `ListenError`. */
  async open(): Promise<Addresses> {
    const { listen, adminListen, profileListen } = this.#config
    const { app, admin, profiles, certificate } = this.#options
    const members = await this.#open('listen', app, this.#places('listen', listen), certificate)
    this.#servers = members.map(({ server }) => server)
    for (const server of this.#servers) this.#admit(server)
    const adminlisten = await this.#open('adminlisten', admin, this.#places('admin', adminListen))
    const profilelisten = await this.#open('profilelisten', profiles, this.#places('profile', profileListen))
    return { listen: describe(members), ...named({ adminlisten, profilelisten }) }
  }

  /** So long a connection may take to send a request, from now on. */
  limit({ requestTimeoutMs }: Pick<ServerConfig, 'requestTimeoutMs'>): void {
    for (const server of this.#servers) server.headersTimeout = requestTimeoutMs
  }

  /** New connections of servers that speak TLS get this certificate. */
  certify(certificate: Certificate): void {
    for (const server of this.#servers)
      if ('setSecureContext' in server) server.setSecureContext(toTls(certificate))
  }

  /** Nothing new is accepted any more. */
  async close(): Promise<void> {
    for (const stop of this.#stops) await stop()
  }

  /** Sockets that are passed take the place of the flag's address. */
  #places(name: keyof PassedSockets, address: ServerConfig['listen'] | null): readonly Place[] {
    const passed = this.#options.passed[name].map((descriptor): Place => ({ type: 'passed', descriptor }))
    return passed.length > 0 || !address ? passed : [address]
  }

  async #open(
    listener: ListenerName,
    serves: Hono,
    places: readonly Place[],
    certificate: Certificate | null = null,
  ): Promise<Opened[]> {
    const { socketMode, requestTimeoutMs } = this.#config
    const opened: Opened[] = []
    for (const place of places) {
      const server = createHttpServer(serves, { listener, certificate, refusals: this.#options.refusals })
      server.headersTimeout = requestTimeoutMs
      const { address, close } = await listen(server, place, { socketMode, flag: `-${listener}` })
      this.#stops.push(close)
      opened.push({ server, address })
    }
    return opened
  }

  #admit(server: AnyServer): void {
    const { connectionLimits, attach } = this.#options
    // Of TLS too this is the TCP connection, before its handshake.
    server.on('connection', (socket) => connectionLimits.connected(socket))
    server.on('request', (request: IncomingMessage, response: ServerResponse) =>
      connectionLimits.requested(request.socket, () => progressOf(request, response)),
    )
    server.on('upgrade', ({ socket }: IncomingMessage) => connectionLimits.requested(socket))
    // The connection limits cut who does not go on; a long body that comes steadily may take its time.
    server.requestTimeout = 0
    attach(server)
  }
}

function progressOf(request: IncomingMessage, response: ServerResponse): Progress {
  if (!request.complete) return 'asking'
  if (!response.headersSent) return 'owed'
  return response.writableFinished ? 'answered' : 'asking'
}

const describe = (opened: readonly Opened[]): string => opened.map(({ address }) => address).join(', ')

/** Those that are open. */
function named(
  listeners: Readonly<Record<string, readonly Opened[]>>,
): Partial<Record<ListenerName, string>> {
  const open = Object.entries(listeners).filter(([, opened]) => opened.length > 0)
  return Object.fromEntries(open.map(([name, opened]) => [name, describe(opened)]))
}
