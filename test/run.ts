import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { folderOwner, openPostgres } from '../demo/postgres.ts'
import { createTemplate } from './support/database.ts'
import type { Runtime } from './support/server.ts'

// Arguments: [--runtime node|deno] [--faults] [--long] [--concurrency N] [part of a test file's path ...]
process.chdir(fileURLToPath(new URL('..', import.meta.url)))
const { runtimes, faultsOnly, long, concurrency, patterns } = readArguments()
const faultFolder = join('test', 'faults')
const unitTests = faultsOnly ? [] : await testFiles('src', patterns)
const serverTests = faultsOnly
  ? []
  : (await testFiles('test', patterns)).filter((file) => !file.startsWith(faultFolder))
// They take minutes, and what they do to a process is the same to both runtimes' servers.
const faultTests = runtimes.includes('node') ? await testFiles(faultFolder, patterns) : []
if (unitTests.length + serverTests.length + faultTests.length === 0) {
  console.error(`no test file matches ${patterns.join(', ') || 'src/**/*.test.ts or test/**/*.test.ts'}`)
  process.exit(1)
}

await removeLeftovers()
const folder = await mkdtemp(join(tmpdir(), 'plenum-test-'))
// A zone that is neither the process's nor UTC: whoever mixes up two clocks is found out.
const cluster = await openPostgres({ folder, durable: false, settings: { timezone: 'Europe/Stockholm' } })
const interruption = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => interruption.abort())

const failed: string[] = []
try {
  await createTemplate(cluster)
  for (const runtime of runtimes) {
    // Unit tests start no server, so that one round of them says all.
    const files = runtime === runtimes[0] ? [...unitTests, ...serverTests] : serverTests
    if (files.length === 0 || interruption.signal.aborted) continue
    console.log(`\n${files.length} test files, server on ${runtime}`)
    if (!(await runTests(files, runtime))) failed.push(runtime)
  }
  if (faultTests.length > 0 && !interruption.signal.aborted) {
    console.log(`\n${faultTests.length} files of fault tests${long ? ', in their long form' : ''}`)
    if (!(await runTests(faultTests, 'node'))) failed.push('node, under faults')
  }
} finally {
  await cluster.remove()
}
if (failed.length > 0) console.error(`\ntests failed with the server on ${failed.join(' and on ')}`)
process.exitCode = failed.length > 0 || interruption.signal.aborted ? 1 : 0

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

/** These begin first, so that in the end nobody waits for one of them alone. */
function isLengthy(file: string): boolean {
  const names = ['model', 'nginx', 'page', 'polls', 'adversary', 'kill', 'process', 'soak']
  return names.some((name) => basename(file) === `${name}.test.ts`)
}

async function testFiles(root: string, patterns: string[]): Promise<string[]> {
  const entries = await readdir(root, { recursive: true })
  return entries
    .map((entry) => join(root, entry))
    .filter((file) => file.endsWith('.test.ts'))
    .filter((file) => patterns.length === 0 || patterns.some((pattern) => file.includes(pattern)))
    .sort((a, b) => Number(isLengthy(b)) - Number(isLengthy(a)) || a.localeCompare(b))
}

/** Not by `node --test`, which would sort the files. */
async function runTests(files: string[], runtime: Runtime): Promise<boolean> {
  Object.assign(process.env, {
    PLENUM_TEST_PG: cluster.url('postgres'),
    PLENUM_RUNTIME: runtime,
    PLENUM_LONG: long ? '1' : '',
  })
  const timeout = long ? 3 * 3_600_000 : 300_000
  const events = run({ files, concurrency, timeout, signal: interruption.signal })
  let passed = true
  events.on('test:fail', () => {
    passed = false
  })
  for await (const text of events.compose(new spec())) process.stdout.write(text)
  return passed
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
