import { execFile } from 'node:child_process'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { folderOwner, openPostgres } from '../demo/postgres.ts'
import { createTemplate } from './support/database.ts'
import { patience, tellSlowness } from './support/patience.ts'
import type { Runtime } from './support/server.ts'
import { isSummary, Tally } from './support/tally.ts'

/**
 * What can be another thing on Deno than on Node: the bundle, sockets, TLS, signals, files, processes, memory. The rules of
 * the doors are the same code in both, and are played on Node only, unless files are named.
 */
const playedOnDeno = (
  'bundle chat commands conformance database document fuzz guards log metrics ' +
  'plenum-v1 reload restart standby systemd tls'
).split(' ')

/** These begin first, the longest before the others, so that in the end nobody waits for one of them alone. */
const lengthy = ['soak', 'page', 'nginx', 'polls', 'adversary', 'kill', 'process', 'model', 'document-life']

/** How long a process takes to start on a quiet machine of the kind that this was written on. */
const quietStartMs = 60
let slowest = 0

// Arguments: [--runtime node|deno] [--faults] [--long] [--concurrency N] [part of a test file's path ...]
process.chdir(fileURLToPath(new URL('..', import.meta.url)))
const { runtimes, faultsOnly, long, concurrency, patterns } = readArguments()
const faultFolder = join('test', 'faults')
const unitTests = faultsOnly ? [] : await testFiles('src', patterns)
const serverTests = faultsOnly
  ? []
  : (await testFiles('test', patterns)).filter((file) => !file.startsWith(faultFolder))
// What they do to a process is the same to both runtimes' servers.
const faultTests = runtimes.includes('node') ? await testFiles(faultFolder, patterns) : []
if (unitTests.length + serverTests.length + faultTests.length === 0) {
  console.error(`no test file matches ${patterns.join(', ') || 'src/**/*.test.ts or test/**/*.test.ts'}`)
  process.exit(1)
}

const interruption = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => interruption.abort())
await removeLeftovers()
const folder = await mkdtemp(join(tmpdir(), 'plenum-test-'))
const ofPatience = join(folder, 'patience')
// A zone that is neither the process's nor UTC: whoever mixes up two clocks is found out.
const cluster = await openPostgres({ folder, durable: false, settings: { timezone: 'Europe/Stockholm' } })
Object.assign(process.env, {
  PLENUM_TEST_PG: cluster.url('postgres'),
  PLENUM_TEST_PATIENCE: ofPatience,
  PLENUM_LONG: long ? '1' : '',
})

const tally = new Tally()
const measuring = new AbortController()
let measured = Promise.resolve()
try {
  await createTemplate(cluster)
  await measureSlowness(3)
  measured = keepMeasuring()
  for (const runtime of runtimes) {
    // Unit tests start no server, and fault tests one on Node: one round of them says all.
    const once = runtime === runtimes[0] ? [...unitTests, ...faultTests] : []
    await runTests([...once, ...serverTests.filter((file) => isPlayedOn(runtime, file))], runtime)
  }
} finally {
  measuring.abort()
  // What it writes is in the folder that is removed.
  await measured
  await cluster.remove()
}
for (const line of tally.report()) console.log(line)
if (interruption.signal.aborted) console.error('interrupted')
process.exit(tally.failed > 0 || interruption.signal.aborted ? 1 : 0)

function readArguments(): {
  runtimes: Runtime[]
  faultsOnly: boolean
  long: boolean
  concurrency: number
  patterns: string[]
} {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      runtime: { type: 'string' },
      faults: { type: 'boolean', default: false },
      long: { type: 'boolean', default: false },
      concurrency: { type: 'string', default: '3' },
    },
  })
  const runtimes = (['node', 'deno'] as const).filter((name) => (values.runtime ?? name) === name)
  const concurrency = Number(values.concurrency)
  if (runtimes.length === 0) throw new Error('--runtime takes node or deno')
  if (!Number.isInteger(concurrency) || concurrency < 1) throw new Error('--concurrency takes a number')
  const { faults: faultsOnly, long } = values
  return { runtimes, faultsOnly, long, concurrency, patterns: positionals }
}

function isPlayedOn(runtime: Runtime, file: string): boolean {
  return runtime === 'node' || patterns.length > 0 || playedOnDeno.includes(basename(file, '.test.ts'))
}

function place(file: string): number {
  const found = lengthy.indexOf(basename(file, '.test.ts'))
  return found < 0 ? lengthy.length : found
}

async function testFiles(root: string, patterns: string[]): Promise<string[]> {
  const entries = await readdir(root, { recursive: true })
  return entries
    .map((entry) => join(root, entry))
    .filter((file) => file.endsWith('.test.ts'))
    .filter((file) => patterns.length === 0 || patterns.some((pattern) => file.includes(pattern)))
}

async function runTests(files: string[], runtime: Runtime): Promise<void> {
  if (files.length === 0 || interruption.signal.aborted) return
  const what = `server on ${runtime}`
  console.log(`\n${files.length} test files, ${what}${long ? ', in their long form' : ''}`)
  process.env['PLENUM_RUNTIME'] = runtime
  const waiting = files.toSorted((a, b) => place(a) - place(b) || a.localeCompare(b))
  const work = async (): Promise<void> => {
    for (let file = waiting.shift(); file && !interruption.signal.aborted; file = waiting.shift())
      await runFile(file, what)
  }
  await Promise.all(Array.from({ length: concurrency }, work))
}

/** One file in a process of its own; what it says is printed when it has ended, so that it stands together. */
async function runFile(file: string, what: string): Promise<void> {
  const begun = performance.now()
  const timeout = long ? 3 * 3_600_000 : patience(300_000)
  const interrupted = new AbortController()
  const interrupt = (): void => interrupted.abort()
  interruption.signal.addEventListener('abort', interrupt)
  const reporter = new spec()
  let text = ''
  reporter.setEncoding('utf8').on('data', (part: string) => (text += part))
  for await (const event of run({ files: [file], timeout, signal: interrupted.signal })) {
    // What is cut short by the interruption has not failed.
    if (!interruption.signal.aborted) tally.count(event, file, what)
    if (!isSummary(event)) reporter.write(event)
  }
  reporter.end()
  await new Promise((resolve) => reporter.once('end', resolve))
  interruption.signal.removeEventListener('abort', interrupt)
  tally.took(file, what, performance.now() - begun)
  process.stdout.write(text)
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
