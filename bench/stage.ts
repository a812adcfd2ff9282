import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as wait } from 'node:timers/promises'
import { build } from 'esbuild'
import type { Sql } from 'postgres'
import { openPostgres } from '../demo/postgres.ts'
import { tether } from '../demo/tether.ts'
import { createAssociation, createDatabase, createMeeting, createTemplate } from '../test/support/database.ts'
import type { Fellow } from '../test/support/database.ts'
import {
  denoBinary,
  type Plenum,
  type PlenumOptions,
  type Runtime,
  startPlenum,
} from '../test/support/server.ts'
import type { Target } from './client.ts'
import type { Door } from './document/client.ts'
import { DocumentCrowd } from './document/crowd.ts'
import { Crowd, type Expected, type Guest } from './crowd.ts'

const floors = { floor: 'bench/floor.ts', documentFloor: 'bench/document/floor.ts' }
const collects = './bench/collect.js'

export type Floor = { pid: number; target: Target; stop: () => Promise<void> }

export type Meeting = { id: number; members: Fellow[]; keys: Map<number, string> }

type Setting = {
  runtime: Runtime
  /** Where the server leaves its CPU profile when it ends (Node). */
  profileFolder: string | null
  /** The database's own log. */
  logFile: string
  sql: Sql
  database: string
  members: Fellow[]
  folder: string
  remove: () => Promise<void>
}

/** What a scenario plays on: a PostgreSQL that forces each commit to disk, members, servers and crowds. */
export class Stage {
  readonly #setting: Setting
  #ends: (() => Promise<unknown>)[] = []

  private constructor(setting: Setting) {
    this.#setting = setting
  }

  static async open(runtime: Runtime, profileFolder: string | null): Promise<Stage> {
    const folder = await mkdtemp(join(tmpdir(), 'plenum-bench-'))
    await build({
      entryPoints: floors,
      outdir: folder,
      outExtension: { '.js': '.mjs' },
      bundle: true,
      platform: 'node',
      format: 'esm',
      banner: {
        js: "import { createRequire } from 'node:module'\nconst require = createRequire(import.meta.url)",
      },
      logLevel: 'warning',
    })
    const cluster = await openPostgres({ folder: join(folder, 'postgres') })
    await createTemplate(cluster)
    const { sql, url: database } = await createDatabase(cluster.url('postgres'))
    const members = await createAssociation(sql, 5000)
    const remove = async (): Promise<void> => {
      await sql.end({ timeout: 1 })
      await cluster.remove()
      await rm(folder, { recursive: true, force: true })
    }
    const { logFile } = cluster
    return new Stage({ runtime, profileFolder, logFile, sql, database, members, folder, remove })
  }

  get sql(): Sql {
    return this.#setting.sql
  }

  get database(): string {
    return this.#setting.database
  }

  get logFile(): string {
    return this.#setting.logFile
  }

  /** Ends what the scenario has started. */
  async clear(): Promise<void> {
    for (const end of this.#ends.splice(0).reverse()) await end()
  }

  async close(): Promise<void> {
    await this.clear()
    await this.#setting.remove()
  }

  /** An open meeting of `size` members, the first of them its admin. */
  async meeting(size: number): Promise<Meeting> {
    const members = this.#setting.members.slice(0, size)
    const { id, keys } = await createMeeting(this.sql, {
      members,
      admins: members.slice(0, 1),
      state: 1,
      allowrejoin: true,
    })
    // What autovacuum would do in its time: a plan for an empty table is no plan.
    await this.sql`analyze membership_membermeetingkey, membership_meetingmessagelog`
    return { id, members, keys }
  }

  async plenum(options: Omit<PlenumOptions, 'database' | 'runtime'> = {}): Promise<Plenum> {
    const { flags = [], ...others } = options
    const { database, runtime, profileFolder } = this.#setting
    const profile = profileFolder === null ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileFolder}`]
    const plenum = await startPlenum({
      ...others,
      database,
      runtime,
      runtimeFlags: runtime === 'deno' ? ['-A', '--preload', collects] : ['--import', collects, ...profile],
      flags: ['-rate', '0', ...flags],
    })
    this.#ends.push(() => plenum.stop())
    return plenum
  }

  async floor(socketPath?: string, kind: keyof typeof floors = 'floor'): Promise<Floor> {
    const { runtime, folder } = this.#setting
    const floorBundle = join(folder, `${kind}.mjs`)
    const [file, ...args] =
      runtime === 'deno'
        ? [denoBinary, 'run', '--quiet', '--no-config', '-A', '--preload', collects, floorBundle]
        : [process.execPath, '--import', collects, floorBundle]
    const child = spawn(file ?? '', [...args, ...(socketPath ? [socketPath] : [])], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    tether(child, 'KILL')
    const [line] = (await once(createInterface(child.stdout), 'line')) as [string]
    const stop = async (): Promise<void> => {
      if (child.exitCode !== null || child.signalCode !== null) return
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
    this.#ends.push(stop)
    return { pid: child.pid ?? -1, target: socketPath ? { socketPath } : { port: Number(line) }, stop }
  }

  crowd(target: Target): Crowd {
    const crowd = new Crowd(target)
    this.#ends.push(() => crowd.close().catch(() => undefined))
    return crowd
  }

  documentCrowd(door: Door): DocumentCrowd {
    const crowd = new DocumentCrowd(door)
    this.#ends.push(() => crowd.close().catch(() => undefined))
    return crowd
  }

  socketPath(name: string): string {
    return join(this.#setting.folder, name)
  }

  async lastId(meeting: number): Promise<number> {
    const [row] = await this.sql<{ id: number }[]>`
      select coalesce(max(id), 0)::int id from membership_meetingmessagelog where meeting_id = ${meeting}`
    return row?.id ?? 0
  }

  /** The same of several meetings, by their places in `meetings`. */
  async lastIds(meetings: readonly Meeting[]): Promise<Record<number, number>> {
    const ids: Record<number, number> = {}
    for (const [room, { id }] of meetings.entries()) ids[room] = await this.lastId(id)
    return ids
  }

  /** Gives a meeting a record of as many lines, by its members in turn. */
  async record(meeting: Meeting, lines: number): Promise<void> {
    await this.sql`
      insert into membership_meetingmessagelog (t, message, meeting_id, sender_id)
      select now() - (${lines} - n) * interval '1 second', 'line ' || n || ' ' || repeat('x', n % 120), ${meeting.id},
        (${meeting.members.slice(0, 50).map(({ id }) => id)}::int[])[1 + n % ${Math.min(50, meeting.members.length)}]
      from generate_series(1, ${lines}) n`
    await this.sql`analyze membership_meetingmessagelog`
  }

  /** What the record says that everyone in the meeting must have got, once there are `count` lines or more. */
  async expected(meeting: number, after: number, count = 0): Promise<Expected> {
    for (const deadline = performance.now() + 5000; ; await wait(20)) {
      const [row] = await this.sql<[Expected]>`
        select count(*)::int count, coalesce(sum(id), 0)::float8 sum, coalesce(max(id), 0)::int last
        from membership_meetingmessagelog where meeting_id = ${meeting} and id > ${after}`
      if (row.count >= count || performance.now() > deadline) return row
    }
  }

  /** The same of several meetings, with `count` lines in each or more. */
  async expectedIn(
    meetings: readonly Meeting[],
    after: Record<number, number>,
    count: number,
  ): Promise<Record<number, Expected>> {
    const expected: Record<number, Expected> = {}
    for (const [room, { id }] of meetings.entries())
      expected[room] = await this.expected(id, after[room] ?? 0, count)
    return expected
  }
}

/** A line of `length` characters as the simplest of servers would store it: by an INSERT and a commit of its own. */
export async function commitLine(sql: Sql, meeting: Meeting, line: number, length: number): Promise<void> {
  const sender = meeting.members[line % meeting.members.length]
  await sql`
    insert into membership_meetingmessagelog (t, message, meeting_id, sender_id)
    values (now(), ${'x'.repeat(length)}, ${meeting.id}, ${sender?.id ?? null}) returning id, t`
}

export const targetOf = ({ listen, port }: Plenum): Target =>
  listen.startsWith('/') ? { socketPath: listen } : { port }

/** The members of a meeting as guests, all with the same `first`. */
export function guestsOf(meeting: Meeting, first = 0, room = 0, from = 0): Guest[] {
  return meeting.members.map(({ id }, index) => ({
    index: from + index,
    path: `/ws/meeting/${meeting.id}/${meeting.keys.get(id)}/{first}`,
    room,
    first,
    historyEnd: 0,
  }))
}

/** As many guests of a bare server, which says nothing at their entry. */
export function bareGuests(count: number): Guest[] {
  return Array.from({ length: count }, (_, index) => ({
    index,
    path: '/',
    room: 0,
    first: 0,
    historyEnd: -1,
  }))
}
