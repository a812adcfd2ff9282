import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/**
 * A TCP port of 127.0.0.1 that is free now: the first one from `preferred` on, or without it a random one, which as long as
 * this process lives no other gets here, also while the server that listens on it is being restarted.
 */
export async function freePort(preferred?: number): Promise<number> {
  for (let attempt = 0; attempt < 200; attempt++) {
    // Below every system's ephemeral range: else an outgoing connection could sit on the port of a server that
    // is being restarted.
    const port = preferred === undefined ? randomInt(20_000, 32_000) : preferred + attempt
    if ((preferred !== undefined || reserve(port)) && (await isFree(port))) return port
  }
  throw new Error('no free TCP port found on 127.0.0.1')
}

function reserve(port: number): boolean {
  const folder = join(tmpdir(), 'plenum-ports')
  const file = join(folder, String(port))
  try {
    mkdirSync(folder, { recursive: true })
    if (!isHeld(file)) rmSync(file, { force: true })
    writeFileSync(file, String(process.pid), { flag: 'wx' })
    return true
  } catch {
    return false
  }
}

function isHeld(file: string): boolean {
  try {
    process.kill(Number(readFileSync(file, 'utf8')), 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

async function isFree(port: number): Promise<boolean> {
  const probe = createServer()
  try {
    probe.listen(port, '127.0.0.1')
    await once(probe, 'listening')
    return true
  } catch {
    return false
  } finally {
    probe.close()
  }
}
