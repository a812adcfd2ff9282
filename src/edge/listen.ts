import { chmod, lstat, unlink } from 'node:fs/promises'
import { connect, type Server } from 'node:net'
import type { ListenAddress } from '../config.ts'

/** Connections that wait to be accepted: everybody returns at the same moment after a restart. */
const backlog = 4096

/** How an address is written for people and logs. */
export function describeAddress(address: ListenAddress): string {
  if (address.type === 'unix') return address.path
  const host = address.host.includes(':') ? `[${address.host}]` : address.host
  return `${host}:${address.port}`
}

/**
 * Makes `server` listen. A Unix socket's file that nobody answers on is replaced; one that is answered, or a file of
 * another kind, is an error. `inherited` is a descriptor that systemd has opened already (LISTEN_FDS).
 * Returns what ends listening: nothing new is accepted, and a socket file of ours is removed.
 */
export async function listen(
  server: Server,
  address: ListenAddress,
  socketMode: number,
  inherited: number | null,
): Promise<() => Promise<void>> {
  const ours = inherited === null && address.type === 'unix' ? address.path : null
  if (ours) await removeStale(ours)
  const where =
    inherited !== null
      ? { fd: inherited }
      : address.type === 'unix'
        ? { path: address.path, backlog }
        : { host: address.host, port: address.port, backlog }
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(where, () => {
      server.off('error', reject)
      resolve()
    })
  })
  if (ours) await chmod(ours, socketMode)
  return async () => {
    server.close()
    if (ours) await unlink(ours).catch(() => undefined)
  }
}

async function removeStale(path: string): Promise<void> {
  const found = await lstat(path).catch(() => null)
  if (!found) return
  if (!found.isSocket())
    throw new Error(`${path} exists and is not a socket; remove it or choose another path`)
  const answered = await new Promise<boolean>((resolve) => {
    const probe = connect({ path })
    probe.once('connect', () => {
      probe.destroy()
      resolve(true)
    })
    probe.once('error', () => resolve(false))
  })
  if (answered) throw new Error(`${path} is in use by another process`)
  await unlink(path)
}
