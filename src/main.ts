import { fstatSync, readFileSync } from 'node:fs'
import { homedir, userInfo } from 'node:os'
import process from 'node:process'
import { isatty } from 'node:tty'
import { type Outcome, runCheck, runHealth, runMigrate, runUnban } from './commands.ts'
import { type Config, type Invocation, parseInvocation, type Settings, usage, UsageError } from './config.ts'
import { describeError } from './db/pool.ts'
import { SetupError } from './db/schema.ts'
import { createLog, type Log, type LogFormat, stackOf } from './edge/log.ts'
import { LogSink, print } from './edge/log-sink.ts'
import { Supervisor, type SupervisorTerms } from './edge/supervisor.ts'
import { type Certificate, CertificateError, readCertificate } from './edge/tls.ts'
import { createReload } from './reload.ts'
import { startServer } from './server.ts'

/** Set by the build. */
declare const PLENUM_VERSION: string

const stdoutFd = 1
const stderrFd = 2
/** How long the last entries may wait for who reads them. */
const flushMs = 500
const firstInheritedFd = 3
const usageStatus = 2

function readFile(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return null
  }
}

/** The descriptor of the socket that systemd opened for us (sd_listen_fds(3)), or null. */
function inheritedSocket(): number | null {
  const { LISTEN_PID, LISTEN_FDS } = process.env
  return LISTEN_PID === String(process.pid) && Number(LISTEN_FDS) >= 1 ? firstInheritedFd : null
}

function supervisorTerms(): SupervisorTerms {
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

/** Why it ends. In the journal it is an error, and the one line that "systemctl status" shows last. */
function complain(text: string, help = ''): void {
  const inJournal = suitingFormat() === 'journal'
  print(stderrFd, inJournal ? `<3>plenum: ${text}\n` : `plenum: ${text}\n${help}`)
}

function fail(error: unknown): never {
  complain(error instanceof SetupError ? error.message : describeError(error))
  process.exit(1)
}

async function serve(config: Config, settings: Settings, certificate: Certificate | null): Promise<void> {
  let tell: Log = () => undefined
  const sink = new LogSink(stderrFd, (gap) => tell({ level: 'warn', event: 'logIncomplete', ...gap }))
  const write = createLog((line) => sink.write(line), {
    format: config.logFormat === 'auto' ? suitingFormat() : config.logFormat,
    least: config.logLevel,
    now: () => new Date(),
  })
  const supervisor = new Supervisor(supervisorTerms(), (error) =>
    write({ level: 'warn', event: 'notifyFailed', error: describeError(error) }),
  )
  const log: Log = (entry) => {
    write(entry)
    if (entry.event === 'serving' || entry.event === 'databaseBack') supervisor.status('serving the meetings')
    if (entry.event === 'databaseLost') supervisor.status('the database does not answer')
    if (entry.event === 'waiting') supervisor.status(`waiting: ${entry.reason}`)
  }
  tell = log
  // Each await that a socket can reach has an owner; should one have been forgotten, the meeting goes on.
  process.on('unhandledRejection', (error) => {
    log({ level: 'error', event: 'unexpected', where: 'unhandled rejection', error: stackOf(error) })
  })
  // Unheard this signal ends the process: whoever sends it too early has it done as soon as it can be.
  let reload = (): void => {
    asked = true
  }
  let asked = false
  process.on('SIGHUP', () => reload())
  const running = await startServer(config, {
    version: PLENUM_VERSION,
    runtime: runtimeName(),
    inherited: inheritedSocket(),
    certificate,
    log,
    logLost: () => sink.lost,
    onFatal: fail,
  })
  tell = running.log
  reload = createReload(settings, {
    read() {
      const invocation = parse()
      // The command line is what it was.
      if (invocation.command !== 'serve') throw new Error('the command line has changed')
      return invocation
    },
    readCertificate: (files) => readCertificate(files, readFile),
    running,
    log: running.log,
  })
  if (asked) reload()
  supervisor.ready()
  let signals = 0
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (++signals > 1) process.exit(1)
      log({ level: 'info', event: 'stopping', signal })
      supervisor.stopping()
      const stopped = running.stop().then(() => sink.flushed(flushMs))
      void stopped.then(() => process.exit(0), fail)
    })
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

async function run({ invocation, certificate }: Prepared): Promise<void> {
  switch (invocation.command) {
    case 'serve':
      return await serve(invocation.config, invocation.settings, certificate)
    case 'migrate':
      return await finish(runMigrate(invocation.config))
    case 'check':
      return await finish(runCheck(invocation.config, certificate))
    case 'health':
      return await finish(runHealth(invocation.config))
    case 'unban':
      return await finish(runUnban(invocation.config, invocation.meeting, invocation.member))
    case 'version':
      return say(`plenum ${PLENUM_VERSION} (${runtimeName()})\n`)
    case 'help':
      return say(usage())
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

type Prepared = { invocation: Invocation; certificate: Certificate | null }

function parse(): Invocation {
  return parseInvocation(process.argv.slice(2), process.env, { ...account(), readFile })
}

function prepareCertificate(invocation: Invocation): Certificate | null {
  if (invocation.command !== 'serve' && invocation.command !== 'check') return null
  const { tls } = invocation.config
  if (!tls) return null
  try {
    return readCertificate(tls, readFile)
  } catch (error) {
    if (!(error instanceof CertificateError)) throw error
    throw new UsageError(error.message, { cause: error })
  }
}

function prepare(): Prepared {
  try {
    const invocation = parse()
    return { invocation, certificate: prepareCertificate(invocation) }
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    complain(error.message, `\n${usage()}`)
    return process.exit(usageStatus)
  }
}

run(prepare()).catch((error: unknown) => fail(error))
