import { randomBytes } from 'node:crypto'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { startPlenum } from './server.ts'
import type { Plenum, PlenumOptions } from './server.ts'

/** What the main thread of a program has done since it was asked last. */
export interface LoopReport {
  /** Processor time of the longest turn of its event loop, in milliseconds. */
  longestMs: number
  turns: number
  /** Processor time in all, in milliseconds. */
  cpuMs: number
}

/** Watches the event loop of a program that is started with these flags and variables on Node; Linux it has to be. */
export function loopProbe(): {
  runtimeFlags: string[]
  env: Record<string, string>
  ask: () => Promise<LoopReport>
} {
  const name = `plenum-loop-${randomBytes(9).toString('hex')}`
  return {
    runtimeFlags: ['--import', fileURLToPath(new URL('probe.js', import.meta.url))],
    env: { LOOP_PROBE: name },
    ask: async () => JSON.parse(await text(connect(`\0${name}`))) as LoopReport,
  }
}

/**
 * Starts a server, on Node, whose event loop is watched. `loop` tells about the time since it was asked last. What the
 * first use of a thing costs (its code is compiled) is in it: do once what is to be measured, and ask, before.
 */
export async function startWatched(
  options: PlenumOptions,
): Promise<{ plenum: Plenum; loop: () => Promise<LoopReport> }> {
  const probe = loopProbe()
  const plenum = await startPlenum({
    ...options,
    runtime: 'node',
    runtimeFlags: [...(options.runtimeFlags ?? []), ...probe.runtimeFlags],
    env: { ...options.env, ...probe.env },
  })
  return { plenum, loop: probe.ask }
}
