import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { get } from 'node:http'
import { join, relative } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import postgres from 'postgres'
import { ensureAssociation } from './association.ts'
import type { SampleMeeting } from './association.ts'
import { ensureChat } from './chat.ts'
import { freePort } from './port.ts'
import { FolderInUse, openPostgres } from './postgres.ts'
import type { Postgres } from './postgres.ts'
import { tether } from './tether.ts'

const folder = fileURLToPath(new URL('../.demo', import.meta.url))
const bundle = fileURLToPath(new URL('../dist/plenum.js', import.meta.url))
const logFile = join(folder, 'plenum.log')

let database: Postgres | undefined
let server: ChildProcess | undefined
let isStopping = false

// From the first moment on: a data folder that is being made must not be left half way either.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.on(signal, () => {
    if (isStopping) return
    console.log('\nStopping …')
    void stop(0)
  })

try {
  await start()
} catch (error) {
  if (!isStopping) {
    const message = error instanceof Error ? error.message : String(error)
    console.error(error instanceof FolderInUse ? `The demo runs already (process ${error.pid}).` : message)
    await stop(1)
  }
}

async function start(): Promise<void> {
  database = await openPostgres({ folder: join(folder, 'postgres') })
  await ensureDatabase(database, 'plenum')
  const sql = postgres(database.url('plenum'), { max: 1, onnotice: () => {} })
  const meeting = await ensureAssociation(sql)

  const serverPort = await freePort(8199)
  const child = launchServer(database.url('plenum'), serverPort)
  server = child
  const address = await untilReady(child)
  child.once('exit', (code, signal) => void reportEnd(code ?? signal))
  const chat = await ensureChat(sql)
  await sql.end()
  if (!isStopping) printLinks({ meeting, chat }, `http://${address}`, database.folder)
}

async function ensureDatabase(cluster: Postgres, name: string): Promise<void> {
  const sql = postgres(cluster.url('postgres'), { max: 1 })
  const found = await sql`select from pg_database where datname = ${name}`
  await sql.end()
  if (found.length === 0) await cluster.exec('postgres', `create database ${name}`)
}

function launchServer(databaseUrl: string, port: number): ChildProcess {
  const log = openSync(logFile, 'w')
  const origin = `http://127.0.0.1:${port},http://localhost:${port}`
  const args = ['-origin', origin, '-listen', `127.0.0.1:${port}`, '-chat', '-document']
  const child = spawn(process.execPath, [bundle, ...args], {
    stdio: ['ignore', log, log],
    detached: true, // Ctrl-C is for us: the server must end before its database does
    env: { ...process.env, PLENUM_DBURL: databaseUrl }, // the password is nobody's business who lists processes
  })
  closeSync(log)
  tether(child, 'TERM')
  return child
}

/** Resolves to the address at which the server says that it listens. */
async function untilReady(child: ChildProcess): Promise<string> {
  for (const deadline = Date.now() + 30_000; Date.now() < deadline; await wait(50)) {
    if (child.exitCode !== null || child.signalCode !== null) break
    const address = listenOf(await readLog())
    if (address !== null && (await isReady(address))) return address
  }
  throw new Error(`The server did not become ready. The end of .demo/plenum.log:\n${await endOfLog()}`)
}

function listenOf(log: string): string | null {
  const line = log.split('\n', 1)[0] ?? ''
  const { event, listen } = line.endsWith('}') ? (JSON.parse(line) as Record<string, string>) : {}
  return event === 'started' && listen !== undefined ? listen : null
}

function isReady(address: string): Promise<boolean> {
  return new Promise((resolve) => {
    get(`http://${address}/readyz`, { agent: false }, (response) => {
      response.resume()
      resolve(response.statusCode === 200)
    }).on('error', () => resolve(false))
  })
}

type Samples = { meeting: SampleMeeting; chat: { user: string; key: string }[] }

function printLinks({ meeting, chat }: Samples, server: string, data: string): void {
  const width = Math.max(...meeting.seats.map(({ name }) => name.length))
  const members = meeting.seats.filter((seat) => !seat.isChair)
  const withProxy = members.filter((seat) => seat.proxyName !== null)
  const seats = [...meeting.seats.filter((seat) => seat.isChair), ...members.slice(0, 2), ...withProxy]
  const show = (what: string, name: string, path: string): void =>
    console.log(`  ${what.padEnd(6)}  ${name.padEnd(width)}  ${server}${path}`)
  console.log(`${meeting.name}: open each link in a window of its own.\n`)
  for (const { name, key, isChair, proxyName } of seats)
    show(isChair ? 'chair' : proxyName ? 'proxy' : 'member', name, `/meeting/${meeting.id}/${key}`)
  console.log(`\nBeside it: a chat, a sheet to draw on together, and what the operator sees.\n`)
  for (const { user, key } of chat) show('chat', user, `/chat?session_key=${key}`)
  show('sketch', 'for everyone', '/document/demo#sketch')
  show('status', '', '/status')
  const inside = relative('.', data)
  console.log(`\nCtrl-C stops everything, and the next start goes on with this meeting until it is finished.`)
  console.log(`To begin anew, remove ${inside.startsWith('..') ? data : inside}.`)
}

async function reportEnd(how: number | string | null): Promise<void> {
  if (isStopping) return
  console.error(`The server has ended (${how}). The end of .demo/plenum.log:\n${await endOfLog()}`)
  await stop(1)
}

async function readLog(): Promise<string> {
  return await readFile(logFile, 'utf8').catch(() => '')
}

async function endOfLog(): Promise<string> {
  const log = await readLog()
  return log.trimEnd().split('\n').slice(-10).join('\n')
}

async function stop(code: number): Promise<void> {
  if (isStopping) return
  isStopping = true
  if (server && server.exitCode === null && server.signalCode === null) {
    server.kill('SIGTERM')
    const timer = setTimeout(() => server?.kill('SIGKILL'), 12_000)
    await once(server, 'exit')
    clearTimeout(timer)
  }
  await database?.stop('fast')
  process.exit(code)
}
