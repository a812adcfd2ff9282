import { fstatSync, readFileSync } from 'node:fs'

/** The first descriptor that systemd passes (sd_listen_fds(3)). */
const firstDescriptor = 3
const maxSockets = 100

/** What can be listened to: the flags' names, without `listen` at their end for those that have more. */
export const listeners = ['listen', 'admin', 'profile'] as const

/** The descriptors of sockets that somebody has opened for us, by what is to be served on them. */
export type PassedSockets = Readonly<Record<(typeof listeners)[number], readonly number[]>>

/** What was passed cannot be used; the message is one line. */
export class PassedSocketError extends Error {}

/** What a socket is called whose unit gives it no name: by systemd its unit, by others what sd_listen_fds(3) says. */
const isNameless = (name: string): boolean => name === '' || name === 'unknown' || name.endsWith('.socket')

/**
 * Reads which sockets systemd has passed to the process `pid` (LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES), and takes these
 * variables away: they are not for other programs that this one starts. A name says what a socket serves; one without a
 * name serves what -listen does.
 *
 * @throws PassedSocketError
 */
export function takePassedSockets(
  env: Record<string, string | undefined>,
  pid: number,
  isSocket: (descriptor: number) => boolean = mayBeSocket,
): PassedSockets {
  const sockets: Record<(typeof listeners)[number], number[]> = { listen: [], admin: [], profile: [] }
  // Read whoever they are for: under Deno a permission that is lacking is to show at the first start.
  const { LISTEN_PID: whose, LISTEN_FDS: passed } = env
  if (whose !== String(pid)) return sockets
  const count = Number(passed)
  const names = env['LISTEN_FDNAMES']?.split(':')
  for (const name of ['LISTEN_PID', 'LISTEN_FDS', 'LISTEN_FDNAMES']) delete env[name]
  if (!Number.isInteger(count) || count < 0 || count > maxSockets)
    throw new PassedSocketError('LISTEN_FDS is no number of sockets')
  if (count > 0 && names && names.length !== count)
    throw new PassedSocketError(`LISTEN_FDNAMES has ${names.length} names for ${count} sockets`)
  for (let n = 0; n < count; n++) {
    const descriptor = firstDescriptor + n
    const given = names?.[n] ?? ''
    const name = isNameless(given) ? 'listen' : listeners.find((one) => one === given)
    if (!name)
      throw new PassedSocketError(
        `a socket passed by systemd has the name ${JSON.stringify(given)}: FileDescriptorName= takes ${listeners.join(', ')}`,
      )
    if (!isSocket(descriptor))
      throw new PassedSocketError(`descriptor ${descriptor}, passed by systemd as ${name}, is no socket`)
    sockets[name].push(descriptor)
  }
  return sockets
}

function mayBeSocket(descriptor: number): boolean {
  try {
    return fstatSync(descriptor).isSocket()
  } catch {
    // Deno looks at what it has opened itself only. Listening shows it.
    return true
  }
}

/**
 * The path at which a passed Unix socket was bound (proc_net(5), unix(7)); an abstract one begins with @. Null where
 * nothing says it: outside Linux, and under Deno, which lets no program look that has not every permission.
 */
export function pathOfPassed(descriptor: number): string | null {
  try {
    const { ino } = fstatSync(descriptor)
    for (const line of readFileSync('/proc/net/unix', 'utf8').split('\n')) {
      const [, inode, path] = /^(?:\S+ +){6}(\d+) (.+)$/.exec(line) ?? []
      if (inode === String(ino)) return path ?? null
    }
  } catch {
    // it stays without a name
  }
  return null
}
