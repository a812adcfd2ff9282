import { connect, isIP } from 'node:net'
import type { Socket } from 'node:net'
import * as tls from 'node:tls'
import { describePlace, isSocket, socketPath } from './place.ts'
import type { DatabaseHost } from './place.ts'
import type { Tls } from './tls.ts'

/** Length and code of the message with which PostgreSQL's protocol asks for TLS. */
const sslRequest = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47])

/** An error of the way to the server; its code has the same place as those of Node and of SQL. */
export class ConnectError extends Error {
  readonly code: string
  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/**
 * Opens the way to one server, up to where PostgreSQL's startup message goes, TLS included. postgres.js could do it
 * too, but waits for ever where all of several hosts are down, and compares certificates with "localhost" where the
 * host is an address.
 *
 * @param timeoutSeconds for all of it; 0 is without end
 */
export async function connectTo(place: DatabaseHost, mode: Tls, timeoutSeconds: number): Promise<Socket> {
  const encryption: Tls = isSocket(place) ? { type: 'disable' } : mode
  const deadline = new Deadline(timeoutSeconds, place)
  try {
    const raw = await openSocket(place, deadline)
    if (encryption.type === 'disable') return raw
    if (!(await offersTls(raw, place))) {
      if (encryption.type === 'prefer') return raw
      raw.destroy()
      throw new ConnectError(
        'TLS_NOT_OFFERED',
        `${describePlace(place)} does not offer TLS: turn it on there, or set sslmode=disable`,
      )
    }
    try {
      return await encrypt(raw, place, encryption, deadline)
    } catch (error) {
      if (encryption.type !== 'prefer') throw error
      return await openSocket(place, deadline)
    }
  } finally {
    deadline.clear()
  }
}

/** Destroys the socket of the moment when the time is over. */
class Deadline {
  readonly #timer: NodeJS.Timeout | null = null
  readonly #error: ConnectError
  #socket: Socket | null = null
  #over = false

  constructor(seconds: number, place: DatabaseHost) {
    this.#error = new ConnectError(
      'CONNECT_TIMEOUT',
      `${describePlace(place)} does not answer in time: is that machine up, and does a firewall let this one through?`,
    )
    if (seconds > 0) this.#timer = setTimeout(() => this.#end(), seconds * 1000)
  }

  watch<T extends Socket>(socket: T): T {
    this.#socket = socket
    if (this.#over) socket.destroy(this.#error)
    return socket
  }

  clear(): void {
    if (this.#timer) clearTimeout(this.#timer)
  }

  #end(): void {
    this.#over = true
    this.#socket?.destroy(this.#error)
  }
}

async function openSocket(place: DatabaseHost, deadline: Deadline): Promise<Socket> {
  const socket = connect(isSocket(place) ? { path: socketPath(place) } : place)
  // Between our last listener and the driver's first one an error must not end the process.
  socket.on('error', () => {})
  await until(deadline.watch(socket), 'connect', place).catch((error: unknown) => {
    throw isSocket(place) ? explained(error, place) : unreachable(error, place)
  })
  return socket
}

/** Of a Unix socket it is said what is missing: the system's words name its path and nothing else. */
function explained(error: unknown, place: DatabaseHost): unknown {
  const path = socketPath(place)
  switch (codeOf(error)) {
    case 'ENOENT':
      return new ConnectError(
        'ENOENT',
        `there is no socket ${path} (ENOENT): is PostgreSQL up, on this port, and is that its folder (unix_socket_directories)?`,
        { cause: error },
      )
    case 'EACCES':
    case 'EPERM':
      return new ConnectError(
        'EACCES',
        `no right to connect to the socket ${path} (EACCES): the rights on it (unix_socket_permissions) and on its folder do not let this user`,
        { cause: error },
      )
    case 'ECONNREFUSED':
      return new ConnectError(
        'ECONNREFUSED',
        `nobody listens on the socket ${path} (ECONNREFUSED): is PostgreSQL up?`,
        { cause: error },
      )
    default:
      return error
  }
}

/** Of host and port: what they are, and what to do. The runtimes name an address only, or nothing. */
function unreachable(error: unknown, place: DatabaseHost): unknown {
  const code = codeOf(error)
  const where = describePlace(place)
  const words: Readonly<Record<string, string>> = {
    ECONNREFUSED: `nobody listens at ${where} (ECONNREFUSED): is PostgreSQL up, on this port, and does it listen there (listen_addresses)?`,
    ENOTFOUND: `the name ${place.host} is not known here (ENOTFOUND): is it written right, and does this machine resolve it?`,
    EAI_AGAIN: `the name ${place.host} cannot be resolved now (EAI_AGAIN): does this machine's DNS answer?`,
    ETIMEDOUT: `${where} does not answer (ETIMEDOUT): is that machine up, and does a firewall let this one through?`,
    EHOSTUNREACH: `there is no way to ${where} (EHOSTUNREACH): is that machine up, and does a firewall let this one through?`,
    ENETUNREACH: `there is no way to ${where} (ENETUNREACH): has this machine an address and a route of that network?`,
    ECONNRESET: `${where} ended the connection (ECONNRESET): is it PostgreSQL that listens there, and what does its log say?`,
  }
  const text = typeof code === 'string' ? words[code] : undefined
  return text === undefined ? error : new ConnectError(code as string, text, { cause: error })
}

const codeOf = (error: unknown): unknown => (error instanceof Error && 'code' in error ? error.code : null)

async function offersTls(socket: Socket, place: DatabaseHost): Promise<boolean> {
  socket.write(sslRequest)
  const answer = await until(socket, 'data', place).catch((error: unknown) => {
    throw unreachable(error, place)
  })
  const text = Buffer.isBuffer(answer) ? answer.toString('latin1') : ''
  if (text === 'S' || text === 'N') return text === 'S'
  // More than the one byte would be somebody in between who wants it to be taken for what comes after TLS.
  socket.destroy()
  throw new ConnectError('08P01', `${describePlace(place)} answered the question for TLS with something else`)
}

async function encrypt(
  raw: Socket,
  place: DatabaseHost,
  mode: Exclude<Tls, { type: 'disable' }>,
  deadline: Deadline,
): Promise<Socket> {
  const verifies = mode.type === 'verify-ca' || mode.type === 'verify-full'
  const socket = tls.connect({
    socket: raw,
    ...(isIP(place.host) ? {} : { servername: place.host }),
    ...(verifies && mode.ca !== null ? { ca: mode.ca } : {}),
    ...mode.client,
    rejectUnauthorized: verifies,
    // Without a name (an address is none to TLS) Node would compare with "localhost".
    checkServerIdentity: (_name, certificate) =>
      mode.type === 'verify-full' ? tls.checkServerIdentity(place.host, certificate) : undefined,
  })
  socket.on('error', () => {})
  try {
    await until(deadline.watch(socket), 'secureConnect', place)
    return socket
  } catch (error) {
    raw.destroy()
    const { code = 'TLS_FAILED', message } = error as Error & { code?: string }
    throw new ConnectError(code, `TLS with ${describePlace(place)}: ${message}`, { cause: error })
  }
}

/** The argument of the event, or the error with which the socket ended before it. */
function until(socket: Socket, event: string, place: DatabaseHost): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const settle = (): void => {
      socket.off(event, happened)
      socket.off('error', failed)
      socket.off('close', closed)
    }
    const happened = (argument: unknown): void => {
      settle()
      resolve(argument)
    }
    const failed = (error: Error): void => {
      settle()
      reject(error)
    }
    const closed = (): void => {
      failed(unreachable(new ConnectError('ECONNRESET', 'closed'), place) as Error)
    }
    socket.on(event, happened)
    socket.on('error', failed)
    socket.on('close', closed)
  })
}
