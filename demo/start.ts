import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { get } from 'node:http'
import { join, relative } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import postgres from 'postgres'
import { ensureAssociation } from './association.ts'
import { ensureChat } from './chat.ts'
import { homeFile, lanAddress, linksOf } from './links.ts'
import type { Samples } from './links.ts'
import { freePort } from './port.ts'
import { FolderInUse, openPostgres } from './postgres.ts'
import type { Postgres } from './postgres.ts'
import { tether } from './tether.ts'

const usage = `usage: npm start -- [--lan] [--folder FOLDER]
  --lan            phones and other devices of your network reach it too
  --folder FOLDER  where everything is kept (.demo)`
const { lan: isOpen, folder } = options()
const bundle = fileURLToPath(new URL('../dist/plenum.js', import.meta.url))
const logFile = join(folder, 'plenum.log')
const home = join(folder, 'links')

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

function options(): { lan: boolean; folder: string } {
  const ours = fileURLToPath(new URL('../.demo', import.meta.url))
  try {
    const options = {
      lan: { type: 'boolean', default: false },
      folder: { type: 'string', default: ours },
    } as const
    return parseArgs({ options }).values
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n${usage}`)
    process.exit(2)
  }
}

async function start(): Promise<void> {
  const host = isOpen ? lanAddress() : '127.0.0.1'
  if (host === null)
    throw new Error('--lan: this machine is in no network that another device could reach it by')
  await mkdir(folder, { recursive: true })
  database = await openPostgres({ folder: join(folder, 'postgres') })
  await ensureDatabase(database, 'plenum')
  const sql = postgres(database.url('plenum'), { max: 1, onnotice: () => {} })
  const meeting = await ensureAssociation(sql)

  const serverPort = await freePort(8199)
  const child = launchServer(database.url('plenum'), host, serverPort)
  server = child
  await untilReady(child)
  child.once('exit', (code, signal) => void reportEnd(code ?? signal))
  const chat = await ensureChat(sql)
  await sql.end()
  if (!isStopping) await showLinks({ meeting, chat }, `http://${host}:${serverPort}`, database.folder)
}

async function ensureDatabase(cluster: Postgres, name: string): Promise<void> {
  const sql = postgres(cluster.url('postgres'), { max: 1 })
  const found = await sql`select from pg_database where datname = ${name}`
  await sql.end()
  if (found.length === 0) await cluster.exec('postgres', `create database ${name}`)
}

function launchServer(databaseUrl: string, host: string, port: number): ChildProcess {
  const log = openSync(logFile, 'w')
  const origins = Array.from(new Set([host, '127.0.0.1', 'localhost']), (name) => `http://${name}:${port}`)
  const listen = `${isOpen ? '' : host}:${port}`
  const args = ['-origin', origins.join(), '-listen', listen, '-home', home, '-chat', '-document']
  const child = spawn(process.execPath, [bundle, ...args], {
    stdio: ['ignore', log, log],
    detached: true, // Ctrl-C is for us: the server must end before its database does
    env: { ...process.env, PLENUM_DBURL: databaseUrl }, // the password is nobody's business who lists processes
  })
  closeSync(log)
  tether(child, 'TERM')
  return child
}

async function untilReady(child: ChildProcess): Promise<void> {
  for (const deadline = Date.now() + 30_000; Date.now() < deadline; await wait(50)) {
    if (child.exitCode !== null || child.signalCode !== null) break
    const address = listenOf(await readLog())
    if (address !== null && (await isReady(address))) return
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

/** All of them are on a page, and the first one here. */
async function showLinks(samples: Samples, server: string, data: string): Promise<void> {
  const [first, ...groups] = linksOf(samples)
  await writeFile(home, homeFile(groups), { mode: 0o600 })
  const count = groups.reduce((sum, { links }) => sum + links.length, 0)
  const inside = relative('.', data)
  console.log(`Open this first, as ${first.words}:

  ${server}${first.path}

All ${count} links, to the seats of ${samples.meeting.seats.length} members and more, are on ${server}/
${isOpen ? 'Everybody in your network can open them, and be each of these members.\n' : 'For a phone, start it by npm start -- --lan.\n'}
Ctrl-C stops everything, and the next start goes on with this meeting until it is finished.
To begin anew, remove ${inside.startsWith('..') ? data : inside}.`)
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
