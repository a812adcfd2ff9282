import { Buffer } from 'node:buffer'
import { closeSync, fstatSync, openSync, readFileSync, readSync } from 'node:fs'
import { homedir, userInfo } from 'node:os'
import process from 'node:process'
import { isatty } from 'node:tty'
import { runCheck, runHealth, runMigrate, withDatabase } from './commands.ts'
import { type Config, type Invocation, parseInvocation, usage } from './config/config.ts'
import { UsageError } from './config/flag.ts'
import type { Settings } from './config/settings.ts'
import { cannotRead } from './db/place.ts'
import { describeError } from './db/pool.ts'
import { SetupError } from './db/schema.ts'
import { type Brand, BrandError, readBrand } from './edge/brand.ts'
import { ListenError } from './edge/listen.ts'
import { createLog, type Log, type LogEntry, type LogFormat, stackOf } from './edge/log.ts'
import { LogSink, print } from './edge/log-sink.ts'
import { PassedSocketError, type PassedSockets, takePassedSockets } from './edge/passed-sockets.ts'
import { Supervisor, type SupervisorOptions } from './edge/supervisor.ts'
import { leaveLostTerminals, terminals } from './edge/terminal.ts'
import { type Certificate, CertificateError, readCertificate } from './edge/tls.ts'
import { createReload } from './reload.ts'
import type { Outcome } from './hub/door.ts'
import { type RunningNode, startNode } from './node.ts'
import { Signals } from './signals.ts'

/** Set by the build. */
declare const PLENUM_VERSION: string

const stdoutFd = 1
const stderrFd = 2
/** How long the last entries may wait for who reads them. */
const flushMs = 500
const usageStatus = 2

function readFile(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return null
  }
}

/** At most so many bytes of a file from its beginning. */
function readBytes(path: string, most: number): Uint8Array | null {
  let descriptor: number | null = null
  try {
    descriptor = openSync(path, 'r')
    const bytes = Buffer.alloc(most)
    let length = 0
    for (let got = -1; got !== 0; length += got)
      got = readSync(descriptor, bytes, length, most - length, null)
    return bytes.subarray(0, length)
  } catch {
    return null
  } finally {
    if (descriptor !== null) closeSync(descriptor)
  }
}

/** Asked after `readFile` or `readBytes` has given null. */
function whyUnreadable(path: string): string {
  try {
    readFileSync(path)
    return 'it can be now'
  } catch (error) {
    const { code = '', message } = error as Error & { code?: string }
    const user = attempt(() => userInfo().username) ?? `user ${process.getuid?.() ?? ''}`
    switch (code) {
      case 'ENOENT':
        return 'it does not exist (ENOENT)'
      case 'ENOTDIR':
        return 'what stands for its folder is none (ENOTDIR)'
      case 'EACCES':
      case 'EPERM':
        return `${user} has no right to (${code}): give it that right to the file and its folders (ls -l, chown, chmod)`
      case 'EISDIR':
        return 'it is a folder (EISDIR)'
      default:
        return code || message
    }
  }
}

const sayCannotRead = (path: string): string => cannotRead(path, { whyUnreadable })

const readOwnBrand = (path: string): Brand => readBrand(path, { read: readBytes, cannotRead: sayCannotRead })

function supervisorOptions(): SupervisorOptions {
  const { NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID } = process.env
  const forUs = WATCHDOG_PID === undefined || WATCHDOG_PID === String(process.pid)
  const watchdogMs = Number(WATCHDOG_USEC) / 1000
  return { socket: NOTIFY_SOCKET || null, watchdogMs: forUs && watchdogMs > 0 ? watchdogMs : null }
}

function runtimeName(): string {
  const { deno, node } = process.versions as { deno?: string; node: string }
  return deno ? `deno ${deno}` : `node ${node}`
}

/** What suits where stderr leads: systemd says which of a service's streams are journald's (systemd.exec(5)). */
function suitingFormat(): LogFormat {
  if (isatty(stderrFd)) return 'plain'
  const { dev, ino } = fstatSync(stderrFd)
  return process.env['JOURNAL_STREAM'] === `${dev}:${ino}` ? 'journal' : 'json'
}

/** Why it ends, in one line or few: "systemctl status" shows but the last ten. In the journal each is an error. */
function complain(text: string): void {
  const lines = `plenum: ${text}`.split('\n')
  const priority = suitingFormat() === 'journal' ? '<3>' : ''
  print(stderrFd, lines.map((line) => `${priority}${line}\n`).join(''))
}

function fail(error: unknown): never {
  complain(error instanceof SetupError || error instanceof ListenError ? error.message : describeError(error))
  process.exit(1)
}

async function serve(
  config: Config,
  settings: Settings,
  { certificate, brand, passed }: Prepared,
): Promise<void> {
  let tell: Log<LogEntry> = () => undefined
  const sink = new LogSink(stderrFd, (gap) => tell({ level: 'warn', event: 'logIncomplete', ...gap }))
  const write = createLog((line) => sink.write(line), {
    format: config.logFormat === 'auto' ? suitingFormat() : config.logFormat,
    least: config.logLevel,
    now: () => new Date(),
  })
  const supervisor = new Supervisor(supervisorOptions(), (error) =>
    write({ level: 'warn', event: 'notifyFailed', error: describeError(error) }),
  )
  let report = (): void => undefined
  const log: Log<LogEntry> = (entry) => {
    write(entry)
    // What has happened is in the log before it is so.
    setImmediate(() => report())
  }
  tell = log
  // Each await that a socket can reach has an owner; should one have been forgotten, the meeting goes on.
  process.on('unhandledRejection', (error) => {
    log({ level: 'error', event: 'unexpected', where: 'unhandled rejection', error: stackOf(error) })
  })
  const signals = new Signals()
  const running = await startNode(config, {
    version: PLENUM_VERSION,
    runtime: runtimeName(),
    passed,
    certificate,
    brand,
    log,
    logLost: () => sink.lost,
    onFatal: fail,
  })
  tell = running.log
  report = standingReporter(supervisor, running)
  supervisor.ready()
  report()
  signals.handle({
    reload: reloader(settings, running),
    stop(signal) {
      log({ level: 'info', event: 'stopping', signal })
      supervisor.stopping()
      const stopped = running.stop().then(() => sink.flushed(flushMs))
      void stopped.then(() => process.exit(0), fail)
    },
  })
}

function reloader(settings: Settings, running: RunningNode): () => void {
  return createReload(settings, {
    read() {
      const invocation = parse()
      // The command line is what it was.
      if (invocation.command !== 'serve') throw new Error('the command line has changed')
      return invocation
    },
    readCertificate: (files) => readCertificate(files, readFile, sayCannotRead),
    readBrand: readOwnBrand,
    running,
    log: running.log,
  })
}

/** Tells the supervisor how things stand, where that has changed. */
function standingReporter(supervisor: Supervisor, { standing }: { standing: () => string }): () => void {
  let told = ''
  return () => {
    const text = standing()
    if (text === told) return
    told = text
    supervisor.status(text)
  }
}

async function finish(outcome: Promise<Outcome>): Promise<void> {
  const { text, ok } = await outcome
  if (ok) return say(`${text}\n`)
  print(stderrFd, `${text}\n`)
  process.exitCode = 1
}

function say(text: string): void {
  const failure = print(stdoutFd, text)
  if (failure === null) return
  complain(`the answer cannot be written: ${failure}`)
  process.exitCode = 1
}

async function run(prepared: Prepared): Promise<void> {
  const { invocation, certificate, brand } = prepared
  switch (invocation.command) {
    case 'serve':
      return await serve(invocation.config, invocation.settings, prepared)
    case 'migrate':
      return await finish(runMigrate(invocation.config))
    case 'check':
      return await finish(runCheck(invocation.config, { certificate, brand }))
    case 'health':
      return await finish(runHealth(invocation.config))
    case 'version':
      return say(`plenum ${PLENUM_VERSION} (${runtimeName()})\n`)
    case 'help':
      return say(usage())
    default: {
      const { command, input, config } = invocation
      return await finish(withDatabase(config, (sql) => command.run(sql, input)))
    }
  }
}

/** Who runs this. In a container it may be a number without an account: then the settings have to name the role. */
function account(): { osUser: string; home: string } {
  return { osUser: attempt(() => userInfo().username) ?? '', home: attempt(homedir) ?? '/' }
}

function attempt<T>(read: () => T): T | null {
  try {
    return read()
  } catch (error) {
    // Deno, which was not allowed to look: without a word another role than the right one might be taken.
    if (error instanceof Error && error.name === 'NotCapable') throw error
    return null
  }
}

type Prepared = {
  invocation: Invocation
  certificate: Certificate | null
  brand: Brand | null
  passed: PassedSockets
}

function parse(): Invocation {
  return parseInvocation(process.argv.slice(2), process.env, { ...account(), readFile, whyUnreadable })
}

/** The files that the settings name, of commands that serve what is in them, or check it. */
function prepareFiles(invocation: Invocation): Pick<Prepared, 'certificate' | 'brand'> {
  if (invocation.command !== 'serve' && invocation.command !== 'check')
    return { certificate: null, brand: null }
  const { tls, brand } = invocation.config
  try {
    return {
      certificate: tls && readCertificate(tls, readFile, sayCannotRead),
      brand: brand === null ? null : readOwnBrand(brand),
    }
  } catch (error) {
    if (!(error instanceof CertificateError || error instanceof BrandError)) throw error
    throw new UsageError(error.message, { cause: error })
  }
}

function prepare(): Prepared {
  try {
    const invocation = parse()
    const passed = takePassedSockets(process.env, process.pid)
    return { invocation, ...prepareFiles(invocation), passed }
  } catch (error) {
    if (!(error instanceof UsageError || error instanceof PassedSocketError)) throw error
    complain(error.message)
    return process.exit(usageStatus)
  }
}

const atStart = terminals()
process.on('exit', () => leaveLostTerminals(atStart))
run(prepare()).catch((error: unknown) => fail(error))
