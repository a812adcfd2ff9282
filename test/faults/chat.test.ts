import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { WebSocket } from 'ws'
import { tether } from '../../demo/tether.ts'
import type { ChatFrame } from '../support/chat-client.ts'
import { invite } from '../support/chat-client.ts'
import { openServerFixture } from '../support/server-fixture.ts'
import type { ServerFixture } from '../support/server-fixture.ts'
import { Random } from '../support/random.ts'
import type { Plenum } from '../support/server.ts'
import { until } from '../support/until.ts'

const seed = Number(process.env['PLENUM_FAULT_SEED'] ?? randomInt(2 ** 31))
const isLong = process.env['PLENUM_LONG'] === '1'

const clientsEach = 50
const rooms = [0, 1, 2]
const lines = isLong ? 50_000 : 10_000
const lineEveryMs = isLong ? 3 : 2.5
const longestPauseMs = 900

/**
 * A client that comes back with the highest id that it has, to either process, and says again what was not acknowledged.
 */
class Returner {
  readonly room: number
  readonly key: string
  readonly server: () => Plenum
  readonly ids: number[] = []
  readonly errors: string[] = []
  /** Of those it has been told. */
  messages = 0
  returns = -1
  ws: WebSocket | null = null
  /** What it has said, by the ids that it has given, until it is acknowledged. */
  readonly unsure = new Map<string, string>()
  again = 0
  #isIn = false
  #said = 0
  #ended = false

  constructor(server: () => Plenum, room: number, key: string) {
    this.server = server
    this.room = room
    this.key = key
    this.#connect()
  }

  say(message: string): void {
    const id = `line-${this.#said++}`
    this.unsure.set(id, message)
    if (this.#isIn) this.#send(id, message)
  }

  #send(id: string, message: string): void {
    this.ws?.send(JSON.stringify({ id, message }))
  }

  end(): void {
    this.#ended = true
    this.ws?.terminate()
  }

  #connect(): void {
    const query = `session_key=${this.key}&ids=1&after=${this.ids.at(-1) ?? 0}`
    this.ws = new WebSocket(this.server().socketUrl(`/?${query}`))
    this.ws.on('open', () => this.returns++)
    this.ws.on('message', (data: Buffer) => {
      const { authenticated, id, ack, error } = JSON.parse(data.toString()) as ChatFrame
      if (typeof id === 'number') this.ids.push(id)
      if (error) this.errors.push(error)
      if (ack !== undefined) this.unsure.delete(ack)
      if (!authenticated) return
      this.#isIn = true
      this.again += this.unsure.size
      for (const [name, message] of this.unsure) this.#send(name, message)
    })
    this.ws.on('error', () => {})
    this.ws.on('close', () => {
      this.#isIn = false
      if (!this.#ended) setTimeout(() => this.#connect(), 100).unref()
    })
  }
}

/** An application that says things: a session of psql where there is one, else of our own. */
function openApplication(fixture: ServerFixture): {
  by: string
  post: (room: number, text: string) => void
  end: () => Promise<void>
} {
  const statement = (room: number, text: string): string =>
    `select chat.new_message(${room}, now(), 'App', '${text}');`
  if (spawnSync('psql', ['--version']).status !== 0) {
    let last: Promise<unknown> = Promise.resolve()
    const post = (room: number, text: string): void => {
      last = last.then(() => fixture.db.sql.unsafe(statement(room, text)))
    }
    return { by: 'a session of our own', post, end: async () => void (await last) }
  }
  const child = spawn('psql', ['-X', '-q', '-v', 'ON_ERROR_STOP=1', fixture.db.url], {
    stdio: ['pipe', 'ignore', 'inherit'],
  })
  tether(child, 'KILL')
  return {
    by: 'psql',
    post: (room, text) => void child.stdin.write(`${statement(room, text)}\n`),
    async end() {
      child.stdin.end()
      const [code] = (await once(child, 'exit')) as [number | null]
      assert.equal(code, 0)
    },
  }
}

test(`two processes and an application on one database, ${clientsEach} clients on each, kills and lost LISTENs: every line is said once, and comes to every client once and in order`, async (t) => {
  t.diagnostic(`to repeat: PLENUM_FAULT_SEED=${seed}`)
  const random = new Random(seed)
  const fixture = await openServerFixture(t, { flags: ['-chat', '-rate', '0'] })
  const { sql } = fixture.db
  const servers = [await fixture.start(), await fixture.start({ ready: false })]
  await servers[1]?.logged(({ event }) => event === 'chatServing', 10_000)
  const application = openApplication(fixture)
  const clients: Returner[] = []
  t.after(() => clients.forEach((client) => client.end()))
  for (const place of [0, 1])
    for (let n = 0; n < clientsEach; n++) {
      const room = rooms[n % rooms.length] ?? 0
      const key = await invite(sql, `${place}-${n}`, room)
      clients.push(new Returner(() => servers[random.below(2)] as Plenum, room, key))
    }
  await until('all are in', () => clients.every(({ returns }) => returns >= 0), 15_000)

  const counts = { kills: 0, stops: 0, listens: 0 }
  const isEnough = (): boolean => counts.kills >= 3 && counts.listens >= 5
  let talking = true
  const begun = performance.now()
  let saidInAll = 0
  const talk = async (): Promise<void> => {
    for (let said = 0; ;) {
      const [row] = await sql<{ count: number }[]>`select count(*)::int count from chat.log`
      // On a slow machine the lines are there before enough has befallen them.
      if ((row?.count ?? 0) >= lines && isEnough()) break
      const due = (performance.now() - begun) / lineEveryMs
      for (; said < due; said++) {
        if (said % 4 === 0) application.post(random.pick(rooms), `line ${said}`)
        else random.pick(clients).say(`line ${said}`)
      }
      saidInAll = said
      await wait(20)
    }
    talking = false
  }
  const harm = async (): Promise<void> => {
    for (let n = 0; talking; n++) {
      await wait(random.below(longestPauseMs))
      if (n % 3 === 0) {
        const place = random.below(2)
        const former = servers[place] as Plenum
        if (random.chance(0.25)) {
          counts.stops++
          await former.stop()
        } else {
          counts.kills++
          await former.kill()
        }
        servers[place] = await fixture.restart(former, { ready: false })
        await servers[place]?.logged(({ event }) => event === 'chatServing', 15_000)
      } else {
        const lost = await sql`
          select pg_terminate_backend(pid) from pg_stat_activity
          where datname = current_database() and query like 'listen %'`
        counts.listens += lost.length
      }
    }
  }
  await Promise.all([talk(), harm()])
  await application.end()
  await until(
    'all that was said is acknowledged',
    () => clients.every(({ unsure }) => unsure.size === 0),
    20_000,
  )
  const said = await sql<{ message: string }[]>`select message from chat.log`
  assert.equal(new Set(said.map(({ message }) => message)).size, said.length)
  assert.equal(said.length, saidInAll)
  for (const room of rooms) await sql`select chat.new_message(${room}::int, now(), 'App', 'the end')`
  const logs = new Map<number, number[]>()
  for (const room of rooms) {
    const rows = await sql<{ id: number }[]>`
      select message_id::int id from chat.log where room = ${room} order by message_id`
    logs.set(
      room,
      rows.map(({ id }) => id),
    )
  }
  await until(
    'everyone has the last line',
    () => clients.every(({ ids, room }) => ids.at(-1) === logs.get(room)?.at(-1)),
    20_000,
  )
  for (const [index, { ids, room }] of clients.entries())
    assert.deepEqual(ids, logs.get(room), `client ${index} of room ${room}`)
  const stored = Array.from(logs.values(), (ids) => ids.length)
  t.diagnostic(
    JSON.stringify({
      seconds: Math.round((performance.now() - begun) / 1000),
      clients: clients.length,
      application: application.by,
      'lines of each room': stored,
      deliveries: clients.reduce((sum, { ids }) => sum + ids.length, 0),
      ...counts,
      returns: clients.reduce((sum, { returns }) => sum + returns, 0),
      'said again': clients.reduce((sum, { again }) => sum + again, 0),
    }),
  )
  assert.ok(stored.reduce((sum, count) => sum + count) >= lines)
  assert.ok(isEnough(), JSON.stringify(counts))
})
