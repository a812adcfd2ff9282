import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { get } from 'node:http'
import { get as getSecurely } from 'node:https'
import type { IncomingHttpHeaders } from 'node:http'
import type { Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import { setTimeout as wait } from 'node:timers/promises'
import { createInterface } from 'node:readline'
import { freePort } from '../../demo/port.ts'
import { tether } from '../../demo/tether.ts'
import { Deadline, patience } from './patience.ts'

export type Runtime = 'node' | 'deno'

/**
 * What the server needs under Deno, wherever its sockets are; docs/operations.md tells operators the same list. For given
 * addresses it can be less: see bundle.test.ts.
 */
export const denoPermissions = [
  '--allow-net',
  '--allow-env=PLENUM_*,PG*,LISTEN_PID,LISTEN_FDS,LISTEN_FDNAMES,NOTIFY_SOCKET,WATCHDOG_USEC,WATCHDOG_PID,JOURNAL_STREAM,WS_NO_BUFFER_UTIL',
  '--allow-sys=uid,gid,userInfo,homedir',
  '--allow-read',
  '--allow-write',
]

/** Another build than dist's: for a test that is to be seen failing. */
export const builtBundle =
  process.env['PLENUM_BUNDLE'] ?? fileURLToPath(new URL('../../dist/plenum.js', import.meta.url))
export const denoBinary = fileURLToPath(new URL('../../node_modules/.bin/deno', import.meta.url))

export interface LaunchOptions {
  env?: Record<string, string>
  runtime?: Runtime
  /** Another file than the build's, and where it is run. */
  bundle?: string
  cwd?: string
  /** Arguments of the runtime itself, under Deno in place of its permissions. */
  runtimeFlags?: string[]
  /** Descriptors of listening sockets, to be passed as systemd does, and their names. */
  passedSockets?: number[]
  passedNames?: string
  /** How many descriptors the process may have open. */
  descriptors?: number
  /** Where its stderr leads, as it is told. A terminal needs script(1). */
  stderrTo?: 'journald' | 'a terminal'
  /** Where its output leads, in the shell's words. */
  redirect?: string
}

export interface PlenumOptions extends LaunchOptions {
  /** The database URL. */
  database: string
  /** Further arguments, among them a subcommand if it comes first. `-listen` is taken from here if it is here. */
  flags?: string[]
  /** An address to listen on instead of a free port: '127.0.0.1:1234' or the path of a Unix socket. */
  listen?: string
  origin?: string
  /** Only `flags` are given: the database, the origin and the address are set by another way. */
  bare?: boolean
  /** Seconds before an absence becomes a departure. */
  grace?: number
  /** Seconds for which a finished meeting waits for those who were lost; where `grace` is given, else its default. */
  closeAfter?: number
  /** Seconds between two looks at the site's tables. */
  poll?: number
  /** False: do not wait until it is ready. */
  ready?: boolean
  /** What its clients have to trust, where it speaks TLS. */
  certificate?: Buffer
  /** Where /readyz is asked if not on `listen` (with -adminlisten), in plain HTTP. */
  readyAt?: string
}

export interface Answer {
  status: number
  headers: IncomingHttpHeaders
  body: string
}

export interface Exit {
  code: number | null
  signal: NodeJS.Signals | null
}

export type LogLine = Record<string, unknown>

/** A server in a process of its own. It is killed when the test's process ends, at the latest. */
export class Plenum {
  readonly listen: string
  /** What its clients have to trust, where it speaks TLS. */
  readonly certificate?: Buffer
  /** Every line of stderr as it came. */
  readonly stderr: string[] = []
  /** The lines that are JSON objects, parsed. */
  readonly logs: LogLine[] = []
  readonly stdout: string[] = []
  readonly #child: ChildProcess
  readonly #exited: Promise<Exit>

  constructor(child: ChildProcess, listen: string, certificate?: Buffer) {
    this.#child = child
    this.listen = listen
    if (certificate) this.certificate = certificate
    this.#exited = new Promise((resolve, reject) => {
      child.once('error', reject)
      child.once('close', (code, signal) => resolve({ code, signal }))
    })
    this.#exited.catch(() => {})
    if (child.stdout) createInterface(child.stdout).on('line', (line) => this.stdout.push(line))
    if (child.stderr) createInterface(child.stderr).on('line', (line) => this.#takeLogLine(line))
    this.#keepAlive(false)
    tether(child, 'KILL')
  }

  get pid(): number {
    return this.#child.pid ?? -1
  }

  get port(): number {
    return Number(this.listen.slice(this.listen.lastIndexOf(':') + 1))
  }

  get hasExited(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null
  }

  /** Settles when the process has ended and its output has been read. */
  get exited(): Promise<Exit> {
    this.#keepAlive(true)
    return this.#exited
  }

  url(path = '/'): string {
    return `http://${this.listen}${path}`
  }

  /** The URL for the `ws` package, which reaches Unix sockets by a scheme of its own. */
  socketUrl(path: string): string {
    const secure = this.certificate ? 's' : ''
    if (this.listen.startsWith('/')) return `ws${secure}+unix://${this.listen}:${path}`
    return `ws${secure}://${this.listen}${path}`
  }

  get(path: string, headers: Record<string, string> = {}): Promise<Answer> {
    return fetchFrom(this.listen, path, headers, this.certificate)
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name)
  }

  /** Reads its log no more, for a while (until the returned function is called) or for good. */
  ignoreLog(how: 'pause' | 'close'): () => void {
    const { stderr } = this.#child
    if (how === 'close') stderr?.destroy()
    else stderr?.pause()
    return () => stderr?.resume()
  }

  /** Ends the process as a crash would. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.exited
  }

  /** Asks it to end and returns the exit code; null when it had to be killed. */
  async stop(signal: NodeJS.Signals = 'SIGTERM', seconds = 15): Promise<number | null> {
    this.#child.kill(signal)
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), patience(seconds * 1000))
    const { code } = await this.exited
    clearTimeout(timer)
    return code
  }

  /** Waits for a log line, also one that has been written before. */
  async logged(predicate: (line: LogLine) => boolean, milliseconds = 5000): Promise<LogLine> {
    for (const deadline = new Deadline(milliseconds); ; await wait(10)) {
      const line = this.logs.find(predicate)
      if (line) return line
      if (deadline.isOver) throw new Error(`no such log line; stderr was:\n${this.stderr.join('\n')}`)
    }
  }

  // A test that fails before it stops its server must not keep the test's process alive.
  #keepAlive(on: boolean): void {
    for (const handle of [this.#child, this.#child.stdout, this.#child.stderr] as (
      ChildProcess | Socket | null
    )[])
      if (on) handle?.ref()
      else handle?.unref()
  }

  #takeLogLine(line: string): void {
    this.stderr.push(line)
    try {
      const entry: unknown = JSON.parse(line)
      if (typeof entry === 'object' && entry !== null) this.logs.push(entry as LogLine)
    } catch {
      // not a log entry: usage, or the runtime's own words
    }
  }
}

/** Starts the built server and waits until it is ready. */
export async function startPlenum(options: PlenumOptions): Promise<Plenum> {
  const { flags = [], origin = 'http://localhost', grace, poll, closeAfter = 1 } = options
  for (let attempt = 1; ; attempt++) {
    const listen = options.listen ?? `127.0.0.1:${await freePort()}`
    const args = [
      ...flags,
      ...(options.bare ? [] : ['-origin', origin, '-dburl', options.database, '-listen', listen]),
      ...(grace === undefined ? [] : ['-grace', String(grace), '-closeafter', String(closeAfter)]),
      ...(poll === undefined ? [] : ['-poll', String(poll)]),
    ]
    const plenum = new Plenum(launch(args, options), listen, options.certificate)
    if (options.ready === false) return plenum
    try {
      await untilReady(plenum, options.readyAt ?? listen, options.readyAt ? undefined : options.certificate)
      return plenum
    } catch (error) {
      // Somebody may have taken the free port between our look and the server's.
      const taken = options.listen === undefined && plenum.stderr.some((line) => line.includes('EADDRINUSE'))
      if (!taken || attempt === 3) throw error
    }
  }
}

/** Runs the server with exactly these arguments to its end: for wrong flags, --version, migrate, check. */
export async function runPlenum(
  args: string[],
  options: LaunchOptions & { seconds?: number } = {},
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const plenum = new Plenum(launch(args, options), '')
  const timer = setTimeout(() => plenum.signal('SIGKILL'), patience((options.seconds ?? 20) * 1000))
  const { code } = await plenum.exited
  clearTimeout(timer)
  return { code, stdout: plenum.stdout.join('\n'), stderr: plenum.stderr.join('\n') }
}

/** An HTTP request to an address as -listen takes it, over TLS where there is a certificate to trust. */
export function fetchFrom(
  listen: string,
  path: string,
  headers: Record<string, string> = {},
  certificate?: Buffer,
): Promise<Answer> {
  const [host = '', port] = listen.split(':')
  const target = listen.startsWith('/') ? { socketPath: listen } : { host, port: Number(port) }
  return new Promise((resolve, reject) => {
    const options = { ...target, path, headers, agent: false as const, timeout: patience(10_000) }
    const ask: typeof get = certificate ? getSecurely : get
    const trust = certificate ? { ca: certificate, servername: 'localhost' } : {}
    const request = ask({ ...options, ...trust }, (response) => {
      let body = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => (body += chunk))
      response.on('error', reject)
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }))
    })
    request.on('error', reject)
    request.on('timeout', () => request.destroy(new Error(`no answer from ${listen}${path}`)))
  })
}

/** The runtime that this run of the tests is about. */
export function currentRuntime(): Runtime {
  return process.env['PLENUM_RUNTIME'] === 'deno' ? 'deno' : 'node'
}

function launch(args: string[], options: LaunchOptions): ChildProcess {
  const { bundle = builtBundle, passedSockets = [], passedNames, descriptors } = options
  const isDeno = (options.runtime ?? currentRuntime()) === 'deno'
  const command = [
    ...(isDeno ? [denoBinary, 'run', '--quiet', '--no-prompt', '--no-config'] : [process.execPath]),
    ...(options.runtimeFlags ?? (isDeno ? denoPermissions : [])),
    bundle,
    ...args,
  ]
  // The process that is to take the socket over must be the one that LISTEN_PID names.
  if (passedSockets.length > 0) {
    const names = passedNames === undefined ? '' : `LISTEN_FDNAMES='${passedNames}'`
    command.unshift(
      '/bin/sh',
      '-c',
      `LISTEN_PID=$$ LISTEN_FDS=${passedSockets.length} ${names} exec "$@"`,
      'sh',
    )
  }
  // Both limits: Node raises the soft one to the hard one.
  if (descriptors !== undefined)
    command.unshift('/bin/sh', '-c', `ulimit -n ${descriptors} && exec "$@"`, 'sh')
  if (options.stderrTo === 'journald')
    command.unshift('/bin/sh', '-c', 'JOURNAL_STREAM=$(stat -Lc %d:%i /proc/self/fd/2) exec "$@"', 'sh')
  if (options.stderrTo === 'a terminal') {
    const quoted = command.map((word) => `'${word.replaceAll("'", `'\\''`)}'`)
    // It would outlive its terminal.
    const mortal = `exec setpriv --pdeathsig KILL ${quoted.join(' ')} >/dev/null`
    command.splice(0, command.length, 'script', '-qefc', mortal, '/dev/null')
  }
  if (options.redirect !== undefined) {
    // Signals are for the server itself, unless there is somebody behind it.
    const exec = options.redirect.startsWith('|') ? '' : 'exec '
    command.unshift('/bin/sh', '-c', `${exec}"$@" ${options.redirect}`, 'sh')
  }
  const [file = '', ...rest] = command
  // What the runner and the developer's shell have set for other programs must not configure the server.
  const inherited = Object.entries(process.env).filter(([name]) => !/^(PLENUM_|PG|NODE_)/.test(name))
  return spawn(file, rest, {
    stdio: ['ignore', 'pipe', 'pipe', ...passedSockets],
    cwd: options.cwd,
    env: { ...Object.fromEntries(inherited), NO_COLOR: '1', ...options.env },
  })
}

async function untilReady(plenum: Plenum, address: string, certificate?: Buffer): Promise<void> {
  let last = 'nothing'
  // Another test's server may have taken the address first: ours has said that it listens, unless it is to be quiet.
  let answered: number | null = null
  const isOurs = (): boolean =>
    plenum.stderr.some((line) => line.includes('started')) || Date.now() - (answered ?? Infinity) > 500
  for (const deadline = new Deadline(20_000); !deadline.isOver && !plenum.hasExited; await wait(15)) {
    try {
      const { status, body } = await fetchFrom(address, '/readyz', {}, certificate)
      if (status === 200) answered ??= Date.now()
      if (status === 200 && isOurs()) return
      last = `${status} ${body}`
    } catch (error) {
      last = String(error)
    }
  }
  const end = plenum.hasExited ? 'it ended' : `/readyz said: ${last}`
  await plenum.kill()
  throw new Error(`plenum did not become ready, ${end}; its stderr:\n${plenum.stderr.join('\n')}`)
}
