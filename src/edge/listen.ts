import { constants } from 'node:fs'
import { access, chmod, lstat, unlink } from 'node:fs/promises'
import { connect, type Server } from 'node:net'
import { dirname } from 'node:path'
import type { ListenAddress } from './address.ts'
import { pathOfPassed } from './passed-sockets.ts'

/** Connections that wait to be accepted: everybody returns at the same moment after a restart. */
const backlog = 4096

/** How an address is written for people and logs. */
export function describeAddress(address: ListenAddress): string {
  if (address.type === 'unix') return address.path
  const host = address.host.includes(':') ? `[${address.host}]` : address.host
  return `${host}:${address.port}`
}

/** Where a server is to listen: an address, or a socket that somebody has opened already (LISTEN_FDS). */
export type Place = ListenAddress | { type: 'passed'; descriptor: number }

/** A server that listens. */
export type Listening = {
  /** Where it is reached, for people and logs: with the port that the system chose where 0 was asked for. */
  readonly address: string
  /** Ends listening: nothing new is accepted, and a socket file of ours is removed. */
  close: () => Promise<void>
}

/**
 * Makes `server` listen. A Unix socket's file that nobody answers on is replaced; one that is answered, or a file of
 * another kind, is an error.
 *
 * @param flag is named where it cannot listen
 * @throws ListenError
 */
export async function listen(
  server: Server,
  place: Place,
  { socketMode, flag }: { socketMode: number; flag: string },
): Promise<Listening> {
  const ours = place.type === 'unix' ? place.path : null
  if (ours) await removeStale(ours)
  const where =
    place.type === 'passed'
      ? { fd: place.descriptor }
      : place.type === 'unix'
        ? { path: place.path, backlog }
        : { host: place.host, port: place.port, backlog }
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(where, () => {
      server.off('error', reject)
      resolve()
    })
  }).catch(async (error: unknown) => {
    // Of a folder that is not there the runtimes say that it may not be written to.
    const seen = place.type === 'passed' ? null : await obstacle(place)
    throw new ListenError(`${flag}: ${seen ?? explain(error, place)}`, { cause: error })
  })
  if (ours) await chmod(ours, socketMode)
  return {
    address: addressOf(server, place),
    async close() {
      server.close()
      if (ours) await unlink(ours).catch(() => undefined)
    },
  }
}

/** The runtimes know the address of each TCP socket, but of a passed Unix socket they do not tell the path. */
function addressOf(server: Server, place: Place): string {
  const bound = server.address()
  const described =
    bound === null || typeof bound === 'string'
      ? bound
      : describeAddress({ type: 'tcp', host: bound.address, port: bound.port })
  if (place.type !== 'passed') return described ?? describeAddress(place)
  const path = described ?? pathOfPassed(place.descriptor) ?? `descriptor ${place.descriptor}`
  return `${path} (passed by systemd)`
}

/** It cannot be listened there; the message is one line and says what to do. */
export class ListenError extends Error {}

/** Why no server could listen at `address`, as far as can be seen without doing it; null where nothing is seen. */
export async function obstacle(address: ListenAddress): Promise<string | null> {
  if (address.type !== 'unix') return null
  try {
    await access(dirname(address.path), constants.W_OK | constants.X_OK)
    const found = await lstat(address.path).catch(() => null)
    return found && !found.isSocket() ? notSocket(address.path) : null
  } catch (error) {
    return explain(error, address)
  }
}

function explain(error: unknown, place: Place): string {
  const { code = '', message } = error as Error & { code?: string }
  if (place.type === 'passed')
    return `the socket that systemd passed as descriptor ${place.descriptor} cannot be listened on (${code || message}): a stream socket (ListenStream=) with Accept=no is needed`
  const where = describeAddress(place)
  if (place.type === 'unix') {
    const folder = dirname(place.path)
    const unit = 'a unit of systemd makes one below /run by RuntimeDirectory='
    if (code === 'ENOENT')
      return `the folder ${folder} for the socket ${where} does not exist: make it (${unit})`
    if (code === 'ENOTDIR') return `${folder} is not a folder: the socket ${where} cannot be made in it`
    if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS')
      return `the socket ${where} cannot be made (${code}): whoever runs this needs the right to write to the folder ${folder} (${unit})`
    return message
  }
  if (code === 'EADDRINUSE') return `${where} is in use by another process (EADDRINUSE)`
  if (code === 'EADDRNOTAVAIL') return `this machine has no address ${place.host} (EADDRNOTAVAIL)`
  if (code === 'EACCES' && place.port < 1024)
    return `whoever runs this may not listen on port ${place.port} (EACCES): let systemd open it (plenum.socket), or take one from 1024 on`
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN')
    return `the name ${place.host} is not known here (${code}): an address is safer`
  return message
}

const notSocket = (path: string): string =>
  `${path} exists and is not a socket; remove it or choose another path`

async function removeStale(path: string): Promise<void> {
  const found = await lstat(path).catch(() => null)
  if (!found) return
  if (!found.isSocket()) throw new ListenError(notSocket(path))
  const answered = await new Promise<boolean>((resolve) => {
    const probe = connect({ path })
    probe.once('connect', () => {
      probe.destroy()
      resolve(true)
    })
    probe.once('error', () => resolve(false))
  })
  if (answered) throw new ListenError(`${path} is in use by another process`)
  await unlink(path)
}
