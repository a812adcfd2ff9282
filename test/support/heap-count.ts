import { readFile } from 'node:fs/promises'
import { currentRuntime, denoPermissions } from './server.ts'
import type { Plenum, PlenumOptions } from './server.ts'

/** What stands for a connection in the server's memory: each of these is garbage when its connection has ended. */
export const kinds = ['IncomingMessage', 'ServerResponse', 'Socket', 'Client', 'Timeout'] as const

type Kind = (typeof kinds)[number]

/** How many there are of each kind, and how much memory everything takes that is alive. */
export type HeapCount = Record<Kind | 'MiB', number>

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

/** Looks what is alive, by a heap snapshot from the server's -profilelisten address; garbage is collected for it. */
export async function countHeap(profileListen: string): Promise<HeapCount> {
  const { snapshot, nodes, strings } = await fetchSnapshot(profileListen)
  const { node_fields: fields, node_types: types } = snapshot.meta
  const at = (field: string): number => fields.indexOf(field)
  const object = types[0].indexOf('object')
  const counts = new Map(kinds.map((kind) => [strings.indexOf(kind), { kind, count: 0 }]))
  let bytes = 0
  for (let node = 0; node < nodes.length; node += fields.length) {
    bytes += nodes[node + at('self_size')]!
    const counted = nodes[node + at('type')] === object && counts.get(nodes[node + at('name')]!)
    if (counted) counted.count++
  }
  const found = Object.fromEntries(Array.from(counts.values(), ({ kind, count }) => [kind, count]))
  return { ...(found as Record<Kind, number>), MiB: bytes / 2 ** 20 }
}

/** How many websockets the server says that it has. */
export async function connectionsOf(plenum: Plenum): Promise<number> {
  const { body } = await plenum.get('/metrics')
  return Number(/^plenum_connections (\d+)$/m.exec(body)?.[1])
}

async function fetchSnapshot(profileListen: string): Promise<Snapshot> {
  const response = await fetch(`http://${profileListen}/debug/pprof/heap`)
  if (!response.ok) throw new Error(await response.text())
  return (await response.json()) as Snapshot
}

/** The memory that a process holds, in MiB. */
export async function residentMiB(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024
}

/** The processor time that a process has used. */
export async function cpuSeconds(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
  const [user = 0, system = 0] = stat.slice(stat.lastIndexOf(')')).split(' ').slice(12, 14).map(Number)
  const ticksPerSecond = 100
  return (user + system) / ticksPerSecond
}
