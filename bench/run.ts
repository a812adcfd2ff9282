import { writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { draw } from './plot.ts'
import { isReached, type Outcome, type Scenario } from './scenario.ts'
import { attacks } from './scenarios/attacks.ts'
import { chat, chatHistory } from './scenarios/chat.ts'
import { document, documentRate, documentSize, stressAt, defaultStress } from './scenarios/document.ts'
import { bigRoom, fanOut, slowReaders } from './scenarios/fan-out.ts'
import { growth } from './scenarios/growth.ts'
import { history } from './scenarios/history.ts'
import { hotRoom } from './scenarios/hot-room.ts'
import { idle } from './scenarios/idle.ts'
import { joinStorm } from './scenarios/join-storm.ts'
import { manyRooms } from './scenarios/many-rooms.ts'
import { quietRoom } from './scenarios/quiet-room.ts'
import { restart } from './scenarios/restart.ts'
import { Stage } from './stage.ts'

// Arguments: [--runtime node|deno] [--profile FOLDER, for the server's CPU profiles, on Node] [scenario ...]
//   attack, and the name of one of them behind a hyphen; played only when it is named
//   growth [--plot FILE.svg], minutes long and played only when it is named
//   document [--teachers N] [--students N] [--seconds N, of each round] [--url ws://host:port/path, of any other server]
process.chdir(fileURLToPath(new URL('..', import.meta.url)))
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    runtime: { type: 'string', default: 'node' },
    profile: { type: 'string' },
    plot: { type: 'string' },
    url: { type: 'string' },
    teachers: { type: 'string', default: String(defaultStress.teachers) },
    students: { type: 'string', default: String(defaultStress.students) },
    seconds: { type: 'string', default: String(defaultStress.seconds) },
  },
})
const stress = {
  teachers: Number(values.teachers),
  students: Number(values.students),
  seconds: Number(values.seconds),
}
const all: Scenario[] = [
  fanOut,
  bigRoom,
  hotRoom,
  quietRoom,
  joinStorm(1000, 2),
  joinStorm(3000, 8),
  restart,
  manyRooms,
  idle,
  slowReaders,
  history,
  chat,
  chatHistory,
  document(stress),
  documentRate,
  documentSize,
]
const onlyNamed = [...attacks, growth]
const chosen =
  positionals.length === 0
    ? all
    : [...all, ...onlyNamed].filter(({ name }) => positionals.some((part) => name.startsWith(part)))
const isStress = stress.teachers >= 1 && stress.students >= 0 && stress.seconds > 0
if (!isStress) {
  console.error('--teachers takes a number from 1 on, --students from 0 on, --seconds one above 0')
  process.exit(2)
}
if (chosen.length === 0 || (values.runtime !== 'node' && values.runtime !== 'deno')) {
  console.error(
    `scenarios: ${[...all, ...onlyNamed].map(({ name }) => name).join(', ')}; --runtime takes node or deno`,
  )
  process.exit(2)
}

let failures = 0
if (values.url !== undefined) {
  const { about, outcome } = await stressAt(values.url, stress)
  print({ name: 'document', about }, outcome)
  process.exit(failures > 0 ? 1 : 0)
}

const begun = performance.now()
const [cpu] = cpus()
console.log(
  `${cpus().length} cores (${cpu?.model.trim()}), server on ${values.runtime}, load and PostgreSQL beside it`,
)
const stage = await Stage.open(values.runtime, values.profile ?? null)
try {
  for (const scenario of chosen) {
    try {
      const outcome = await scenario.play(stage)
      print(scenario, outcome)
      if (values.plot !== undefined && outcome.plots) writeFileSync(values.plot, draw(outcome.plots))
    } catch (error) {
      failures++
      console.log(`\n${scenario.name}: failed: ${error instanceof Error ? error.stack : String(error)}`)
    }
    await stage.clear()
  }
} finally {
  await stage.close()
}
console.log(`\n${((performance.now() - begun) / 1000).toFixed(0)} s in all`)
// Goals depend on the machine and on what else it does; a lost or repeated line is wrong everywhere.
process.exit(failures > 0 ? 1 : 0)

function print(
  { name, about }: Pick<Scenario, 'name' | 'about'>,
  { figures, goals, lost, repeated }: Outcome,
): void {
  console.log(`\n${name}: ${about}`)
  const width = Math.max(...Object.keys(figures).map((key) => key.length))
  for (const [key, value] of Object.entries(figures)) console.log(`  ${key.padEnd(width)}  ${round(value)}`)
  for (const goal of goals) {
    const limit = 'atMost' in goal ? `at most ${goal.atMost}` : `at least ${goal.atLeast}`
    console.log(`  ${isReached(goal) ? 'reached' : 'MISSED '}  ${goal.name}: ${round(goal.value)} (${limit})`)
  }
  console.log(`  ${lost + repeated === 0 ? 'reached' : 'WRONG  '}  lost ${lost}, repeated ${repeated}`)
  if (lost + repeated > 0) failures++
  const rounded = Object.fromEntries(Object.entries(figures).map(([key, value]) => [key, round(value)]))
  const server = values.url === undefined ? { runtime: values.runtime } : { url: values.url }
  const reached = goals.every(isReached) && lost + repeated === 0
  console.log(JSON.stringify({ scenario: name, ...server, ...rounded, lost, repeated, reached }))
}

function round(value: number): number {
  return Number(value.toPrecision(value >= 1000 ? 6 : 3))
}
