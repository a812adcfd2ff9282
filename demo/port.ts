import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'

/** A TCP port of 127.0.0.1 that is free now: the first one from `preferred` on, or without it a random one. */
export async function freePort(preferred?: number): Promise<number> {
  for (let attempt = 0; attempt < 200; attempt++) {
    // Below every system's ephemeral range: else an outgoing connection could sit on the port of a server that
    // is being restarted.
    const port = preferred === undefined ? randomInt(20_000, 32_000) : preferred + attempt
    if (await isFree(port)) return port
  }
  throw new Error('no free TCP port found on 127.0.0.1')
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
