import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import type { Sql } from 'postgres'
import { newKey } from '../../demo/association.ts'
import { freePort } from '../../demo/port.ts'
import { countable, kinds, residentMiB, countHeap } from '../support/heap-count.ts'
import { ScriptedMeeting } from '../support/scripted-meeting.ts'
import { answerTo, elsewhere, gather } from '../support/meeting-fixture.ts'
import type { MeetingFixture } from '../support/meeting-fixture.ts'
import { hostileFrames, hostileRequest } from '../support/hostile.ts'
import { openServerFixture, openPages } from '../support/server-fixture.ts'
import { join } from '../support/meeting-client.ts'
import { StockPage } from '../support/stock-page.ts'
import { Random } from '../support/random.ts'
import type { Plenum } from '../support/server.ts'
import { until } from '../support/until.ts'
import { clientFrame, opcodes, openRaw, openRawWebSocket } from '../support/raw-connection.ts'
import { Deadline, patience } from '../support/patience.ts'

const seed = Number(process.env['PLENUM_FAULT_SEED'] ?? randomInt(2 ** 31))
const isLong = process.env['PLENUM_LONG'] === '1'
const seconds = Number(process.env['PLENUM_SOAK_SECONDS'] ?? (isLong ? 1800 : 60))

const speakers = [0, 1, 2, 3, 4]
const guests = [5, 6, 7, 8, 9]
const slowReaders = [10, 11]
const paceMs = isLong ? 400 : 40
/** Enough for a page to come back on a machine as slow as this one. */
const graceSeconds = Math.ceil(patience(5000) / 1000)
/** The pool opens connections, and closes them, as it likes. */
const poolConnections = 12
/** Beyond a tenth, in MiB: what a short run has not warmed up yet. */
const allowance = isLong ? { live: 1, resident: 16 } : { live: 2, resident: 48 }

interface Scene {
  t: TestContext
  plenum: Plenum
  sql: Sql
  meeting: MeetingFixture
  debate: ScriptedMeeting
  hostiles: MeetingFixture
  random: Random
  counts: Record<string, number>
}

function count({ counts }: Scene, what: string): void {
  counts[what] = (counts[what] ?? 0) + 1
}

function openPage({ plenum, meeting }: Scene, index: number): StockPage {
  return new StockPage(plenum, {
    meetingId: meeting.id,
    key: meeting.key(index),
    retryAfter: 200,
    ...elsewhere(),
  })
}

/** Speakers lose their connections and load their pages anew. */
async function disturb(scene: Scene, over: () => boolean): Promise<void> {
  const { debate, random } = scene
  while (!over()) {
    await wait(200 + random.below(800))
    const index = random.pick(speakers)
    const page = debate.pages[index]!
    if (random.chance(0.6)) {
      count(scene, 'connections lost')
      page.lose()
      continue
    }
    count(scene, 'pages loaded anew')
    page.leave()
    debate.watch(index, openPage(scene, index))
  }
}

/** One who comes, perhaps says something and votes, and goes. */
async function visit(scene: Scene, index: number, over: () => boolean): Promise<void> {
  const { debate, meeting, random } = scene
  while (!over()) {
    const page = openPage(scene, index)
    debate.watch(index, page)
    await until('a guest is in', () => page.state === 'open' && page.people.has(meeting.user(index)), 20_000)
    count(scene, 'visits')
    if (random.chance(0.5)) page.say(`guest, visit ${scene.counts['visits']}`)
    await wait(random.below(1500))
    if (page.poll && page.state === 'open') page.vote(0)
    if (random.chance(0.3)) page.lose()
    else if (random.chance(0.5)) page.disconnect()
    // Some are back within the grace time, some are not.
    await wait(random.below(500))
    page.leave()
    await wait(random.below(random.chance(0.5) ? 500 : 1500 * graceSeconds))
  }
}

/** One who asks for answers that he does not read. */
async function readNothing(scene: Scene, index: number, over: () => boolean): Promise<void> {
  const { plenum, meeting } = scene
  const pings = Buffer.concat(
    Array.from({ length: 2000 }, () => clientFrame('p'.repeat(125), { opcode: opcodes.ping })),
  )
  while (!over()) {
    const client = await openRawWebSocket(plenum.port, `/ws/meeting/${meeting.id}/${meeting.key(index)}/0`)
    await client.firstText()
    client.connection.socket.pause()
    for (let sent = 0; sent < 40 && !client.connection.hasEnded && !over(); sent++) {
      client.connection.write(pings)
      await wait(50)
    }
    count(scene, 'slow readers')
    await client.connection.reset()
    await wait(1000)
  }
}

function gatherHostiles({ sql, plenum }: Pick<Scene, 'sql' | 'plenum'>): Promise<MeetingFixture> {
  return gather(sql, plenum, 3, { state: 1, allowrejoin: true, admins: 2 })
}

/** An admin of another meeting who sends what nobody should. */
async function attack(scene: Scene, index: number, over: () => boolean): Promise<void> {
  const { plenum, random } = scene
  while (!over()) {
    const { hostiles } = scene
    const knowledge = { users: hostiles.members.map(({ id }) => id), question: 'Which?' }
    const client = await openRawWebSocket(plenum.port, `/ws/meeting/${hostiles.id}/${hostiles.key(index)}/0`)
    let isIn = (await client.firstText())?.startsWith('{"type":"users"') ?? false
    // Another one may have kicked this one for good, or ended the meeting.
    if (!isIn && scene.hostiles === hostiles) scene.hostiles = await gatherHostiles(scene)
    while (isIn && !over()) {
      const frames = Array.from({ length: 20 }, () => hostileFrames(random, knowledge))
      for (const { bytes } of frames) client.connection.write(bytes)
      count(scene, 'batches of hostile frames')
      isIn = await client.reachesServer()
      await wait(50)
    }
    await client.connection.reset()
    await wait(200)
  }
}

async function request(scene: Scene, over: () => boolean): Promise<void> {
  const { plenum, random } = scene
  const path = (): string => `/ws/meeting/${scene.hostiles.id}/${scene.hostiles.key(0)}/0`
  while (!over()) {
    const { bytes } = hostileRequest(random, path)
    const connection = await openRaw(plenum.port)
    connection.write(bytes)
    await Promise.race([connection.until(() => connection.received.length > 0), wait(200)])
    count(scene, 'hostile requests')
    if (random.chance(0.5)) connection.socket.destroy()
    else await connection.reset()
    await wait(20)
  }
}

async function guess(scene: Scene, over: () => boolean): Promise<void> {
  const { plenum, meeting, random } = scene
  while (!over()) {
    // Often from one address, which is answered late.
    const from = random.chance(0.5) ? elsewhere() : { headers: { 'x-forwarded-for': '198.51.100.7' } }
    const stranger = await join(plenum, meeting.id, newKey(), from)
    const answer = await answerTo(stranger)
    // While the database's connections end, nobody can be told what he is.
    assert.notEqual(answer, 'entered')
    count(scene, 'wrong keys')
    await stranger.closed
    await wait(50)
  }
}

async function cutDatabase(scene: Scene, over: () => boolean): Promise<void> {
  const { sql, random } = scene
  while (!over()) {
    for (let ms = 2000 + random.below(3000); ms > 0 && !over(); ms -= 100) await wait(100)
    await sql`
      select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and application_name = 'plenum' order by random() limit 1`
    count(scene, 'database sessions ended')
  }
}

/** Everything at once for a time, and then nothing any more. */
async function run(scene: Scene, milliseconds: number): Promise<void> {
  const { debate } = scene
  const end = Date.now() + milliseconds
  let failed = false
  const over = (): boolean => failed || Date.now() > end
  const compare = async (): Promise<void> => {
    while (!over()) {
      await wait(3000)
      await debate.check()
    }
  }
  const parts = [
    disturb(scene, over),
    ...guests.map((index) => visit(scene, index, over)),
    ...slowReaders.map((index) => readNothing(scene, index, over)),
    ...[0, 1].map((index) => attack(scene, index, over)),
    request(scene, over),
    guess(scene, over),
    cutDatabase(scene, over),
    compare(),
  ]
  debate.resume()
  try {
    await Promise.all(parts)
  } finally {
    failed = true
    await Promise.allSettled(parts)
  }
}

interface Holding {
  live: number
  resident: number
  descriptors: number
}

/** What the server holds when nothing but the speakers is left. */
async function settle(scene: Scene, profileListen: string, quiet: Record<string, number>): Promise<Holding> {
  const { debate, plenum } = scene
  await debate.settle()
  for (const deadline = new Deadline(60_000); ; await wait(1000)) {
    const census = await countHeap(profileListen)
    const left = kinds.filter((kind) => census[kind] > (quiet[kind] ?? 0) + poolConnections)
    const descriptors = (await readdir(`/proc/${plenum.pid}/fd`)).length
    if (left.length === 0) return { live: census.MiB, resident: await residentMiB(plenum.pid), descriptors }
    if (deadline.isOver)
      assert.fail(
        `there are left ${left.join(', ')}: ${JSON.stringify(census)}, before ${JSON.stringify(quiet)}`,
      )
  }
}

test(`everything at once for ${seconds} s: nobody misses anything, and nothing stays behind`, async (t) => {
  t.diagnostic(`to repeat: PLENUM_FAULT_SEED=${seed}`)
  const profileListen = `127.0.0.1:${await freePort()}`
  const fixture = await openServerFixture(t, {
    grace: graceSeconds,
    ...countable(profileListen, ['-rate', '0', '-behindproxy']),
  })
  const { sql } = fixture.db
  const plenum = await fixture.start()
  const size = speakers.length + guests.length + slowReaders.length
  const meeting = await gather(sql, plenum, size, { state: 1, allowrejoin: true })
  const hostiles = await gatherHostiles({ sql, plenum })
  const pages = await openPages(t, meeting, plenum, speakers, 200)
  const random = new Random(seed)
  const debate = new ScriptedMeeting(sql, meeting, pages, { random: new Random(seed + 1), paceMs })
  t.after(() => {
    debate.pause()
    debate.leave()
  })
  const scene: Scene = { t, plenum, sql, meeting, debate, hostiles, random, counts: {} }
  const quiet = await countHeap(profileListen)

  await run(scene, (seconds * 1000) / 3)
  const first = await settle(scene, profileListen, quiet)
  await run(scene, (seconds * 2000) / 3)
  const last = await settle(scene, profileListen, quiet)

  t.diagnostic(JSON.stringify({ seconds, ...scene.counts, ...(await debate.figures()) }))
  t.diagnostic(`MiB after a third ${JSON.stringify(first)}, at the end ${JSON.stringify(last)}`)
  for (const kind of ['live', 'resident'] as const)
    assert.ok(
      last[kind] < first[kind] * 1.1 + allowance[kind],
      `${kind}: from ${first[kind]} to ${last[kind]} MiB`,
    )
  assert.ok(last.descriptors <= first.descriptors + poolConnections, JSON.stringify({ first, last }))
  const gone = (await debate.comings()).filter((text) =>
    speakers.some((index) => text === `Member ${meeting.name(index)} left the meeting`),
  )
  assert.deepEqual(gone, [], 'no speaker was away for so long')
  assert.deepEqual(
    plenum.stderr.filter((line) => !line.startsWith('{')),
    [],
  )
  assert.deepEqual(plenum.logs.filter(({ level }) => level === 'error').slice(0, 3), [])
})
