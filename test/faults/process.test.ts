import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import type { TestContext } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { cpuSeconds } from '../support/heap-count.ts'
import { createCluster } from '../support/database.ts'
import { ScriptedMeeting } from '../support/scripted-meeting.ts'
import { gather } from '../support/meeting-fixture.ts'
import type { MeetingFixture } from '../support/meeting-fixture.ts'
import { holdTransaction as lock } from '../support/held-transaction.ts'
import { openServerFixture, openPages } from '../support/server-fixture.ts'
import type { ServerFixture } from '../support/server-fixture.ts'
import type { Member } from '../support/meeting-client.ts'
import { Random } from '../support/random.ts'
import type { Plenum } from '../support/server.ts'
import { serverStatus } from '../support/status.ts'
import { until } from '../support/until.ts'
import { openRaw } from '../support/raw-connection.ts'
import type { RawConnection } from '../support/raw-connection.ts'
import { patience } from '../support/patience.ts'

const seed = Number(process.env['PLENUM_FAULT_SEED'] ?? randomInt(2 ** 31))
const isLong = process.env['PLENUM_LONG'] === '1'

const open = { state: 1, allowrejoin: true } as const
const unavailable = 'The meeting database is not available, please try again'
/** What a member may be answered who votes in a poll that has just ended, or asks while another poll begins. */
const tooLate =
  /^(There is no active poll|There is already an active poll|Vote for the wrong question received)$/

interface Held {
  meeting: MeetingFixture
  debate: ScriptedMeeting
  /** What the system said before. */
  arrivals: string[]
}

async function holdTransaction(
  t: TestContext,
  fixture: ServerFixture,
  plenum: Plenum,
  paceMs = 5,
): Promise<Held> {
  t.diagnostic(`to repeat: PLENUM_FAULT_SEED=${seed}`)
  const meeting = await gather(fixture.db.sql, plenum, 5, open)
  const pages = await openPages(t, meeting, plenum, [0, 1, 2, 3], 200)
  const debate = new ScriptedMeeting(fixture.db.sql, meeting, pages, { random: new Random(seed), paceMs })
  t.after(() => debate.pause())
  return { meeting, debate, arrivals: await debate.comings() }
}

/** All of them have been answered, and each has each line once. `times`: how often they had to come back. */
async function assertUnharmed(
  t: TestContext,
  { debate, arrivals }: Held,
  { times = 0, alsoTold = [] as string[] } = {},
): Promise<void> {
  await debate.settle(40_000)
  assert.deepEqual(await debate.comings(), arrivals, 'nobody has come or gone')
  for (const page of debate.pages) {
    const codes = new Set(page.closeCodes)
    assert.deepEqual([...codes], times === 0 ? [] : [1006])
    const errors = page.errors.filter((error) => !tooLate.test(error) && !alsoTold.includes(error))
    assert.deepEqual([...new Set(errors)], [])
  }
  t.diagnostic(JSON.stringify(await debate.figures()))
}

async function grows({ debate }: Held, lines: number, milliseconds = 15_000): Promise<void> {
  const from = debate.pages.map((page) => page.lines.length)
  const grown = (): boolean =>
    debate.pages.every((page, index) => page.lines.length >= (from[index] ?? 0) + lines)
  await until(`everyone is shown ${lines} lines more`, grown, milliseconds)
}

suite('what befalls the process', { concurrency: 3 }, () => {
  test('SIGTERM again and again under talk: the end comes within 10 s, and nothing is stored that was not told', async (t) => {
    const random = new Random(seed)
    const fixture = await openServerFixture(t, { grace: 60 })
    let server = await fixture.start()
    const held = await holdTransaction(t, fixture, server)
    const { debate, meeting } = held
    const rounds = isLong ? 20 : 5
    for (let round = 1; round <= rounds; round++) {
      debate.resume()
      await grows(held, 50)
      await wait(random.below(500))
      const begun = Date.now()
      assert.equal(await server.stop('SIGTERM', 10), 0)
      assert.ok(Date.now() - begun < patience(10_000))
      await until('all have noticed', () => debate.pages.every(({ state }) => state !== 'open'))
      debate.pause()
      await debate.check()
      const { length } = await meeting.record()
      for (const page of debate.pages) assert.equal(page.lines.length, length)
      server = await fixture.restart(server)
    }
    await assertUnharmed(t, held, { times: rounds })
  })

  test('a process that is halted for longer than silence may last goes on with everybody who was there', async (t) => {
    const fixture = await openServerFixture(t, { grace: 60, flags: ['-rate', '0', '-ping', '2'] })
    const server = await fixture.start()
    const held = await holdTransaction(t, fixture, server)
    const { debate } = held
    for (let round = 1; round <= (isLong ? 3 : 1); round++) {
      debate.resume()
      await grows(held, 50)
      server.signal('SIGSTOP')
      await wait(isLong ? 20_000 : 8000)
      server.signal('SIGCONT')
      await grows(held, 50)
      // Whoever were taken for silent would be cut off by the next looks.
      await wait(3000)
      await grows(held, 50)
    }
    // The database gives up a transaction that does nothing for 10 s, and the server an answer after 15 s.
    await assertUnharmed(t, held, { alsoTold: isLong ? [unavailable] : [] })
  })

  test('what is said while the process is halted in the middle of a commit is not refused', async (t) => {
    const fixture = await openServerFixture(t, { grace: 60 })
    const server = await fixture.start()
    const meeting = await gather(fixture.db.sql, server, 2, open)
    const [ann, bob] = await meeting.enterAll(0, 1)
    const held = await lock(
      fixture.db.url,
      (tx) => tx`select from membership_meeting where id = ${meeting.id} for update`,
    )
    ann.say('begun before')
    await held.waitedFor()
    server.signal('SIGSTOP')
    bob.say('said meanwhile')
    // The server's kernel has it before the database's answer.
    await wait(100)
    await held.rollback()
    await wait(7000)
    server.signal('SIGCONT')
    for (const text of ['begun before', 'said meanwhile']) await ann.line(text)
    assert.deepEqual(
      bob.frames.filter(({ type }) => type === 'error'),
      [],
    )
  })

  test('the clock is set forward and back by an hour: polls end on time, pings go on, the record has the times of the database', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'plenum-clock-'))
    t.after(() => rm(folder, { recursive: true, force: true }))
    const offsetFile = join(folder, 'offset')
    const fixture = await openServerFixture(t, {
      grace: 60,
      flags: ['-rate', '0', '-ping', '1'],
      runtimeFlags: ['--import', fileURLToPath(new URL('../support/clock.js', import.meta.url))],
      env: { CLOCK_OFFSET_FILE: offsetFile },
    })
    const { sql } = fixture.db
    const server = await fixture.start()
    const setClock = async (hours: number): Promise<void> => {
      await writeFile(offsetFile, String(hours * 3_600_000))
      server.signal('SIGUSR2')
      await until(`the clock is wrong by ${hours} h`, async () => {
        const { timestamp } = await serverStatus(server)
        return Math.abs(Date.parse(timestamp) - Date.now() - hours * 3_600_000) < 60_000
      })
    }
    const held = await holdTransaction(t, fixture, server, 50)
    held.debate.resume()
    // How far the machine's own clock, which is the database's too, has been set back meanwhile: by its host, for example.
    const wallAhead = (): number => (Date.now() - performance.now()) / 1000
    const wallAtFirst = wallAhead()
    let setBack = 0
    const watch = setInterval(() => (setBack = Math.max(setBack, wallAtFirst - wallAhead())), 50)
    t.after(() => clearInterval(watch))

    const beginPoll = async (): Promise<{ meeting: MeetingFixture; chair: Member }> => {
      const meeting = await gather(sql, server, 2, open)
      const [chair] = await meeting.enterAll(0, 1)
      chair.send({ type: 'newpoll', question: 'Shall we?', answers: ['yes', 'no'], minutes: 1 })
      await chair.next('poll', ({ data }) => data !== null)
      return { meeting, chair }
    }
    const before = await beginPoll()
    const pings: number[] = []
    before.chair.ws.on('ping', () => pings.push(performance.now()))
    await setClock(1)
    await wait(5000)
    const ahead = await beginPoll()
    await wait(5000)
    await setClock(-1)
    await wait(5000)
    const behind = await beginPoll()

    for (const { meeting, chair } of [before, ahead, behind]) {
      await chair.next('poll', ({ data }) => data === null, 65_000)
      await chair.line('Poll has completed')
      const [late] = await sql<{ seconds: number; minutes: number; ending: string }[]>`
        select extract(epoch from l.t - p.closes_at)::float8 seconds, p.ending,
          extract(epoch from p.closes_at - p.opened_at)::float8 / 60 as minutes
        from membership_meetingmessagelog l join plenum.poll p using (meeting_id)
        where l.meeting_id = ${meeting.id} and l.message = 'Poll has completed'`
      assert.ok(
        late && late.seconds > -0.1 - setBack && late.seconds < 2,
        `${late?.seconds} seconds late, clock set back by ${setBack}`,
      )
      assert.deepEqual({ minutes: late.minutes, ending: late.ending }, { minutes: 1, ending: 'time' })
    }
    await assertUnharmed(t, held)
    const gaps = pings.slice(1).map((at, index) => at - (pings[index] ?? 0))
    const lasted = gaps.reduce((sum, gap) => sum + gap, 0)
    // An hour more is no reason for thousands of them, an hour less none for silence.
    assert.ok(
      pings.length > 40 && pings.length < lasted / 1000 + 3 && Math.max(...gaps) < patience(3000),
      `between pings: ${gaps.map((gap) => Math.round(gap)).join()}`,
    )
    const [times] = await sql<{ oldest: number; newest: number }[]>`
      select extract(epoch from now() - min(t))::float8 oldest, extract(epoch from now() - max(t))::float8 newest
      from membership_meetingmessagelog`
    assert.ok(times && times.oldest < 300 && times.newest >= 0, JSON.stringify(times))
  })

  test('no descriptor is left: who is in goes on, who comes is turned away, and nothing spins', async (t) => {
    const fixture = await openServerFixture(t, besieged)
    const server = await fixture.start()
    const held = await holdTransaction(t, fixture, server)
    const { debate, meeting } = held
    debate.resume()
    await grows(held, 50)
    const siege = await Siege.begin(t, server)
    await grows(held, 200)

    await debate.settle()
    const used = await cpuSeconds(server.pid)
    const seconds = 3
    await wait(seconds * 1000)
    const busy = ((await cpuSeconds(server.pid)) - used) / seconds
    const strangers = `${siege.size} strangers in, ${siege.turnedAway} turned away`
    t.diagnostic(`${descriptors} descriptors, ${strangers}, ${busy.toFixed(2)} of a processor`)
    assert.ok(busy < 0.3, `it used ${busy} of a processor while nothing was done`)

    await assert.rejects(meeting.connect(4), 'there is no room for one more')
    debate.resume()
    await grows(held, 100)
    assert.equal(server.hasExited, false)
    await siege.lift()
    const late = await meeting.enter(4)
    late.say('at last')
    await late.line('at last')
    debate.pause()
    await late.close()
    held.arrivals.push(
      `Member ${meeting.name(4)} joined the meeting`,
      `Member ${meeting.name(4)} left the meeting`,
    )
    await assertUnharmed(t, held)
  })

  suite('a database of its own', () => {
    let cluster: Awaited<ReturnType<typeof createCluster>>
    before(async () => {
      cluster = await createCluster()
    })
    after(() => cluster.remove())

    test('the database restarts while there is no descriptor to reach it by: the server comes back when there is', async (t) => {
      const fixture = await openServerFixture(t, besieged, cluster.createDatabase())
      const server = await fixture.start()
      const held = await holdTransaction(t, fixture, server)
      const { debate } = held
      debate.resume()
      await grows(held, 50)
      const siege = await Siege.begin(t, server)
      await cluster.postgres.stop('fast')
      // What the database's connections have left free is taken by others.
      await siege.goOn()
      await cluster.postgres.start()
      await wait(5000)
      assert.equal(server.hasExited, false)
      assert.ok(debate.pages.every(({ errors }) => errors.includes(unavailable)))
      const sessions = await fixture.db.sql`select from pg_stat_activity where application_name = 'plenum'`
      assert.equal(sessions.length, 0, 'the server had a descriptor left')
      await siege.lift()
      const isReady = async (): Promise<boolean> =>
        await server.get('/readyz').then(
          ({ status }) => status === 200,
          () => false,
        )
      await until('it serves', isReady, 15_000)
      await grows(held, 50)
      await assertUnharmed(t, held, { alsoTold: [unavailable] })
    })
  })
})

const descriptors = 64
/** Who asks for nothing stays, so that no descriptor becomes free by itself. */
const besieged = { grace: 60, descriptors, flags: ['-rate', '0', '-requesttimeout', '600'] }

/** Strangers who take every descriptor that the server has left, and each one that becomes free, until it is lifted. */
class Siege {
  turnedAway = 0
  readonly #server: Plenum
  readonly #connections = new Set<RawConnection>()
  readonly #connecting: Promise<void>
  #isLifted = false

  private constructor(server: Plenum) {
    this.#server = server
    this.#connecting = this.#connect()
  }

  /** Resolves when nothing is left. */
  static async begin(t: TestContext, server: Plenum): Promise<Siege> {
    const siege = new Siege(server)
    t.after(() => siege.lift())
    await siege.goOn()
    return siege
  }

  get size(): number {
    return this.#connections.size
  }

  /** Waits until it has been complete for so long that nothing passing has a descriptor. */
  async goOn(): Promise<void> {
    const { turnedAway } = this
    await until('strangers are turned away', () => this.turnedAway >= turnedAway + 100, 20_000)
    // libuv keeps one, by which it turns away whom it cannot accept.
    const { length } = await readdir(`/proc/${this.#server.pid}/fd`)
    assert.ok(length >= descriptors - 1, `${length} descriptors are in use`)
  }

  async lift(): Promise<void> {
    this.#isLifted = true
    await this.#connecting
    await Promise.all(Array.from(this.#connections, (connection) => connection.reset()))
  }

  async #connect(): Promise<void> {
    for (; !this.#isLifted; await wait(10)) {
      const connection = await openRaw(this.#server.port).catch(() => null)
      if (!connection) {
        this.turnedAway++
        continue
      }
      this.#connections.add(connection)
      void connection.ended.then(() => {
        this.#connections.delete(connection)
        this.turnedAway++
      })
    }
  }
}
