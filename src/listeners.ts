import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Server as TlsServer } from 'node:https'
import type { Hono } from 'hono'
import type { ServerConfig } from './config/server-flags.ts'
import type { Admission, Progress } from './edge/admission.ts'
import { createHttpServer, toTls } from './edge/http.ts'
import { describeAddress, listen, type Place } from './edge/listen.ts'
import type { PassedSockets } from './edge/passed-sockets.ts'
import type { ListenerName, Refusals } from './edge/refusals.ts'
import type { Certificate } from './edge/tls.ts'

type AnyServer = Server | TlsServer

/** What is served where: `app` with its websockets on -listen, and beside it what is for the operator. */
export type ListenerTerms = {
  app: Hono
  admin: Hono
  profiles: Hono
  /** Has the websockets of `app` on a server. */
  attach: (server: Server) => void
  passed: PassedSockets
  certificate: Certificate | null
  admission: Admission
  refusals: Refusals
}

/** The sockets that this process listens on. */
export class Listeners {
  readonly #config: ServerConfig
  readonly #terms: ListenerTerms
  readonly #stops: (() => Promise<void>)[] = []
  /** Those of -listen. */
  #servers: readonly AnyServer[] = []

  constructor(config: ServerConfig, terms: ListenerTerms) {
    this.#config = config
    this.#terms = terms
  }

  /** Resolves when it listens everywhere, to where members come, in words. Throws `ListenError`. */
  async open(): Promise<string> {
    const { listen, adminListen, profileListen } = this.#config
    const { app, admin, profiles, certificate } = this.#terms
    const places = this.#places('listen', listen)
    this.#servers = await this.#open('listen', app, places, certificate)
    for (const server of this.#servers) this.#admit(server)
    await this.#open('adminlisten', admin, this.#places('admin', adminListen))
    await this.#open('profilelisten', profiles, this.#places('profile', profileListen))
    return describePlaces(places)
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
    const passed = this.#terms.passed[name].map((descriptor): Place => ({ type: 'passed', descriptor }))
    return passed.length > 0 || !address ? passed : [address]
  }

  async #open(
    listener: ListenerName,
    serves: Hono,
    places: readonly Place[],
    certificate: Certificate | null = null,
  ): Promise<AnyServer[]> {
    const { socketMode, requestTimeoutMs } = this.#config
    const opened: AnyServer[] = []
    for (const place of places) {
      const server = createHttpServer(serves, { listener, certificate, refusals: this.#terms.refusals })
      server.headersTimeout = requestTimeoutMs
      this.#stops.push(await listen(server, place, { socketMode, flag: `-${listener}` }))
      opened.push(server)
    }
    return opened
  }

  #admit(server: AnyServer): void {
    const { admission, attach } = this.#terms
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
