import { execFile } from 'node:child_process'
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join, resolve } from 'node:path'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { folderOwner, openPostgres } from '../demo/postgres.ts'
import { copyCluster, createTemplate } from './support/database.ts'
import { idleMeter } from './support/idle.ts'
import { patience, tellSlowness } from './support/patience.ts'
import type { Runtime } from './support/server.ts'
import { isSummary, Tally } from './support/tally.ts'

/**
 * What can be another thing on Deno than on Node: the bundle, sockets, TLS, signals, files, processes, memory. The rules of
 * the doors are the same code in both, and are played on Node only, unless files are named.
 */
const playedOnDeno = (
  'bundle chat commands conformance document fuzz guards log metrics ' +
  'plenum-v1 reload restart standby systemd tls'
).split(' ')

/** These begin first, the longest before the others, so that in the end nobody waits for one of them alone. */
const lengthy = (
  'soak kill page nginx process polls fuzz document-page release acknowledged model document-cost commands page-browsers ' +
  'page-habits page-connections cost adversary database document-life conformance bundle container chat restart'
).split(' ')

/** What --quick plays beside the unit tests. */
const quickFiles = [join('test', 'operations', 'doors.test.ts')]

/** How long a process takes to start on a quiet machine of the kind that this was written on. */
const quietStartMs = 60
let slowest = 0

const idleLookMs = 1000
/** Of all cores' time: then there is work for another file's process. */
const enoughIdle = 0.2

// Arguments: [--quick] [--runtime node|deno] [--faults] [--long] [--concurrency N] [part of a test file's path ...]
process.chdir(fileURLToPath(new URL('..', import.meta.url)))
const options = readArguments()
const jobs = await listJobs()
if (jobs.length === 0) {
  const { patterns } = options
  console.error(`no test file matches ${patterns.join(', ') || 'src/**/*.test.ts or test/**/*.test.ts'}`)
  process.exit(1)
}

const interruption = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => interruption.abort())
await removeLeftovers()
const folder = await mkdtemp(join(tmpdir(), 'plenum-test-'))
const ofPatience = join(folder, 'patience')
const pristine = join(folder, 'pristine')
const cluster = await openPostgres({
  folder,
  durable: false,
  settings: {
    // A zone that is neither the process's nor UTC: whoever mixes up two clocks is found out.
    timezone: 'Europe/Stockholm',
    // Nothing is kept, and hundreds of databases would be visited for nothing.
    autovacuum: 'off',
    wal_level: 'minimal',
    max_wal_senders: '0',
    max_wal_size: '4GB',
    checkpoint_timeout: '1h',
  },
})
Object.assign(process.env, {
  PLENUM_TEST_PG: cluster.url('postgres'),
  PLENUM_TEST_PATIENCE: ofPatience,
  PLENUM_TEST_PRISTINE: pristine,
  PLENUM_LONG: options.long ? '1' : '',
})

const tally = new Tally()
const idleInAll = idleMeter()
const measuring = new AbortController()
let measured = Promise.resolve()
try {
  await createTemplate(cluster)
  // Tests that stop, crash or freeze a PostgreSQL have copies of it.
  await cluster.stop('fast')
  await copyCluster(cluster.folder, pristine)
  await cluster.start()
  await measureSlowness(3)
  measured = keepMeasuring()
  await runJobs()
} finally {
  measuring.abort()
  // What it writes is in the folder that is removed.
  await measured
  await cluster.remove()
}
for (const line of tally.report()) console.log(line)
const idlePercent = Math.round(idleInAll() * 100)
console.log(
  `in ${(performance.now() / 60_000).toFixed(1)} minutes, in which the cores were idle for ${idlePercent} %`,
)
if (interruption.signal.aborted) console.error('interrupted')
process.exit(tally.failed > 0 || interruption.signal.aborted ? 1 : 0)

type Options = {
  quick: boolean
  runtimes: Runtime[]
  faultsOnly: boolean
  long: boolean
  /** How many files are played at a time: at least, and at most. */
  concurrency: { least: number; most: number }
  patterns: string[]
}

function readArguments(): Options {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      quick: { type: 'boolean', default: false },
      runtime: { type: 'string' },
      faults: { type: 'boolean', default: false },
      long: { type: 'boolean', default: false },
      concurrency: { type: 'string' },
    },
  })
  const { quick, long, faults: faultsOnly } = values
  const runtimes = (['node', 'deno'] as const).filter((name) => (values.runtime ?? name) === name)
  if (runtimes.length === 0) throw new Error('--runtime takes node or deno')
  let concurrency = { least: 3, most: 6 }
  if (values.concurrency !== undefined) {
    const given = Number(values.concurrency)
    if (!Number.isInteger(given) || given < 1) throw new Error('--concurrency takes a number')
    concurrency = { least: given, most: given }
  }
  return { quick, runtimes, faultsOnly, long, concurrency, patterns: positionals }
}

/** What one process plays: a file, or many of which none needs one for itself. */
type Job = { name: string; files: string[]; runtime: Runtime }

/** In the order in which they begin. */
async function listJobs(): Promise<Job[]> {
  const { quick, runtimes, faultsOnly } = options
  const faultFolder = join('test', 'faults')
  const units = faultsOnly ? [] : await testFiles('src')
  const blackBox = quick ? quickFiles : await testFiles('test')
  const jobs: Job[] = []
  for (const runtime of quick ? (['node'] as const) : runtimes)
    for (const file of blackBox) {
      const isFault = file.startsWith(faultFolder)
      // What fault tests do to a process is the same to both runtimes' servers.
      if (isFault ? runtime === 'node' : !faultsOnly && isPlayedOn(runtime, file))
        jobs.push({ name: file, files: [file], runtime })
    }
  // A process for each of the unit tests would take longer than the tests.
  const together = []
  for (const file of units)
    if ((await readFile(file, 'utf8')).includes('createCluster'))
      jobs.push({ name: file, files: [file], runtime: 'node' })
    else together.push(file)
  if (together.length > 0)
    jobs.push({ name: `${together.length} unit tests`, files: together, runtime: 'node' })
  return jobs.toSorted((a, b) => place(a) - place(b))
}

function isPlayedOn(runtime: Runtime, file: string): boolean {
  return (
    runtime === 'node' || options.patterns.length > 0 || playedOnDeno.includes(basename(file, '.test.ts'))
  )
}

function place({ name }: Job): number {
  const found = lengthy.indexOf(basename(name, '.test.ts'))
  return found < 0 ? lengthy.length : found
}

async function testFiles(root: string): Promise<string[]> {
  const { patterns } = options
  const entries = await readdir(root, { recursive: true })
  return entries
    .map((entry) => join(root, entry))
    .filter((file) => file.endsWith('.test.ts'))
    .filter((file) => patterns.length === 0 || patterns.some((pattern) => file.includes(pattern)))
    .toSorted()
}

/** Most files wait more than they work: another one begins whenever a core has had nothing to do for a moment. */
async function runJobs(): Promise<void> {
  const { concurrency, long } = options
  const files = new Set(jobs.flatMap(({ files }) => files)).size
  const onDeno = jobs.filter(({ runtime }) => runtime === 'deno').length
  console.log(
    `\n${files} test files${long ? ' in their long form' : ''}, ${onDeno} of them with a server on Deno`,
  )
  const idle = idleMeter()
  const running = new Set<Promise<void>>()
  const waiting = [...jobs]
  while (waiting.length > 0 && !interruption.signal.aborted) {
    const isRoom =
      running.size < concurrency.least || (running.size < concurrency.most && idle() > enoughIdle)
    if (isRoom) {
      const ended = runJob(waiting.shift()!).finally(() => running.delete(ended))
      running.add(ended)
    }
    if (running.size >= concurrency.least)
      await Promise.race([...running, wait(idleLookMs, undefined, { ref: false })])
  }
  await Promise.all(running)
}

/** What is said in a process is printed when it has ended, so that it stands together. */
async function runJob(job: Job): Promise<void> {
  const { name, runtime } = job
  const begun = performance.now()
  const what = `server on ${runtime}`
  const timeout = options.long ? 3 * 3_600_000 : patience(300_000)
  const interrupted = new AbortController()
  const interrupt = (): void => interrupted.abort()
  interruption.signal.addEventListener('abort', interrupt)
  const reporter = new spec()
  let text = ''
  reporter.setEncoding('utf8').on('data', (part: string) => (text += part))
  const { starter, cpuFile } = await writeStarter(job)
  for await (const event of run({ files: [starter], timeout, signal: interrupted.signal })) {
    // What is cut short by the interruption has not failed.
    if (!interruption.signal.aborted) tally.count(event, name, what)
    if (!isSummary(event)) reporter.write(event)
  }
  reporter.end()
  await new Promise((resolve) => reporter.once('end', resolve))
  interruption.signal.removeEventListener('abort', interrupt)
  // Of a process that was killed nothing is known.
  const cpu = Number(await readFile(cpuFile, 'utf8').catch(() => 0))
  tally.took(name, what, (performance.now() - begun) / 1000, cpu)
  process.stdout.write(`\n${name}, ${what}\n${text}`)
}

/** The runtime's name is set in the process itself: others begin meanwhile that are about the other one. */
async function writeStarter({ name, files, runtime }: Job): Promise<{ starter: string; cpuFile: string }> {
  const starter = join(folder, `${name.replaceAll(/\W+/g, '-')}-${runtime}.mjs`)
  const cpuFile = `${starter}.cpu`
  const address = (file: string): string => `'${pathToFileURL(resolve(file)).href}'`
  const lines = [
    `import { writeFileSync } from 'node:fs'`,
    `import { cpuSeconds } from ${address('test/support/cpu-time.ts')}`,
    `process.on('exit', () => writeFileSync('${cpuFile}', String(cpuSeconds())))`,
    `process.env.PLENUM_RUNTIME = '${runtime}'`,
    ...files.map((file) => `await import(${address(file)})`),
  ]
  await writeFile(starter, `${lines.join('\n')}\n`)
  return { starter, cpuFile }
}

/** How long a process takes to start, in which is what tests wait for: the kernel, the disk, a share of a core. */
async function startOfProcess(): Promise<number> {
  const begun = performance.now()
  await new Promise((resolve) => execFile(process.execPath, ['-e', '0'], resolve))
  return performance.now() - begun
}

async function measureSlowness(times = 1): Promise<void> {
  const took = []
  for (let n = 0; n < times; n++) took.push(await startOfProcess())
  slowest = Math.max(slowest, Math.min(...took) / quietStartMs)
  tellSlowness(ofPatience, slowest)
}

async function keepMeasuring(): Promise<void> {
  try {
    for (;;) {
      await wait(2000, undefined, { signal: measuring.signal, ref: false })
      await measureSlowness()
    }
  } catch (error) {
    if (!measuring.signal.aborted) throw error
  }
}

// A run that was killed could not remove its folder; its PostgreSQL has ended with it.
async function removeLeftovers(): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    if (!name.startsWith('plenum-test-')) continue
    const leftover = join(tmpdir(), name)
    // No owner is written yet while another run is just making its cluster.
    if ((await folderOwner(leftover)) === 'gone') await rm(leftover, { recursive: true, force: true })
  }
}
