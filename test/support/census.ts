import { readFile } from 'node:fs/promises'
import { currentRuntime, denoPermissions, fetchFrom } from './server.ts'
import type { PlenumOptions } from './server.ts'

/** What stands for a connection in the server's memory: each of these is garbage when its connection has ended. */
export const kinds = ['IncomingMessage', 'ServerResponse', 'Socket', 'Session'] as const

export type Census = Record<(typeof kinds)[number], number>

interface Snapshot {
  snapshot: { meta: { node_fields: string[]; node_types: [string[], ...unknown[]] } }
  nodes: number[]
  strings: string[]
}

/** What a server is to be started with so that its objects can be counted. */
export function countable(
  profileListen: string,
  flags: string[] = [],
): Pick<PlenumOptions, 'flags' | 'runtimeFlags'> {
  const permissions = denoPermissions.map((one) =>
    one.startsWith('--allow-sys=') ? `${one},inspector` : one,
  )
  return {
    flags: [...flags, '-profilelisten', profileListen],
    ...(currentRuntime() === 'deno' ? { runtimeFlags: permissions } : {}),
  }
}

/** Counts the objects that are alive, by a heap snapshot from the server's -profilelisten address. */
export async function takeCensus(profileListen: string): Promise<Census> {
  const { status, body } = await fetchFrom(profileListen, '/debug/pprof/heap')
  if (status !== 200) throw new Error(body)
  const { snapshot, nodes, strings } = JSON.parse(body) as Snapshot
  const { node_fields: fields, node_types: types } = snapshot.meta
  const [typeAt, nameAt] = [fields.indexOf('type'), fields.indexOf('name')]
  const object = types[0].indexOf('object')
  const names = kinds.map((name) => strings.indexOf(name))
  const counts = kinds.map(() => 0)
  for (let node = 0; node < nodes.length; node += fields.length) {
    if (nodes[node + typeAt] !== object) continue
    const index = names.indexOf(nodes[node + nameAt]!)
    if (index >= 0) counts[index]!++
  }
  return Object.fromEntries(kinds.map((name, index) => [name, counts[index]])) as Census
}

/** The memory that a process holds, in MiB. */
export async function residentMiB(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024
}
