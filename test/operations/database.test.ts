import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, suite, test } from 'node:test'
import type { TestContext } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import postgres from 'postgres'
import type { Sql } from 'postgres'
import { freePort } from '../../demo/port.ts'
import type { Postgres } from '../../demo/postgres.ts'
import { createCluster } from '../support/database.ts'
import type { Database } from '../support/database.ts'
import { openTcpProxy } from '../support/tcp-proxy.ts'
import { answerTo, farewell, gather, settle } from '../support/meeting-fixture.ts'
import type { MeetingFixture } from '../support/meeting-fixture.ts'
import { holdTransaction } from '../support/held-transaction.ts'
import { assertShows, openServerFixture } from '../support/server-fixture.ts'
import type { ServerFixture, ServerFixtureOptions } from '../support/server-fixture.ts'
import type { FrameOf, Member } from '../support/meeting-client.ts'
import { StockPage } from '../support/stock-page.ts'
import { runPlenum } from '../support/server.ts'
import type { Plenum } from '../support/server.ts'
import { until } from '../support/until.ts'

const unavailable = 'The meeting database is not available, please try again'
const newPoll = { type: 'newpoll', question: 'Shall we?', answers: ['yes', 'no'], minutes: 5 }
const open = { state: 1, allowrejoin: true } as const

type Cluster = Awaited<ReturnType<typeof createCluster>>

/** A PostgreSQL for the tests of this suite, which stop or freeze it one after the other. */
function ownCluster(): {
  readonly postgres: Postgres
  open(t: TestContext, options?: ServerFixtureOptions): Promise<ServerFixture>
} {
  let cluster: Cluster | undefined
  const get = (): Cluster => {
    if (!cluster) throw new Error('there is no cluster yet')
    return cluster
  }
  before(async () => {
    cluster = await createCluster()
  })
  after(() => cluster?.remove())
  return {
    get postgres() {
      return get().postgres
    },
    open(t, options) {
      // Before the house is cleared, what the test has halted goes on.
      t.after(() => {
        get().postgres.thaw()
        return get().postgres.start()
      })
      return openServerFixture(t, options, get().createDatabase())
    },
  }
}

async function isReady(plenum: Plenum): Promise<boolean> {
  return (await plenum.get('/readyz')).status === 200
}

const errorsOf = (member: Member): string[] =>
  member.frames.flatMap((frame) => (frame.type === 'error' ? [frame.msg] : []))

/** Waits until the view has been read anew after a failure: everybody is told the list of users once more. */
async function recovered(members: Member[]): Promise<void> {
  for (const member of members) {
    await member.next('users')
    await member.next('users', undefined, 15_000)
  }
}

async function assertAllSaw(meeting: MeetingFixture, members: Member[]): Promise<void> {
  const record = await meeting.record()
  for (const member of members) {
    assert.equal(member.isClosed, false)
    assertShows(member.lines(), record)
  }
}

/** The database as it is reached by somebody else. */
function urlFor(
  url: string,
  changes: { user?: string; password?: string; port?: number; database?: string; lockTimeout?: string },
) {
  const changed = new URL(url)
  if (changes.user !== undefined) changed.username = encodeURIComponent(changes.user)
  if (changes.password !== undefined) changed.password = changes.password
  if (changes.port !== undefined) changed.port = String(changes.port)
  if (changes.database !== undefined) changed.pathname = `/${changes.database}`
  if (changes.lockTimeout !== undefined) changed.searchParams.set('lock_timeout', changes.lockTimeout)
  return changed.href
}

suite('database', { concurrency: 4 }, () => {
  suite('stopped and started', { concurrency: 1 }, () => {
    const cluster = ownCluster()
    for (const mode of ['fast', 'immediate'] as const)
      test(`PostgreSQL stops (${mode}) and starts: connections stay, commands are refused, and all goes on by itself`, async (t) => {
        const fixture = await cluster.open(t, { grace: 2 })
        const plenum = await fixture.start()
        const meeting = await gather(fixture.db.sql, plenum, 5, open)
        const members = await meeting.enterAll(0, 1, 2)
        const [chair, ann, bob] = members
        chair.send(newPoll)
        await ann.next('poll', ({ data }) => data !== null)
        ann.send({ type: 'vote', question: newPoll.question, vote: 1 })
        await settle(ann, bob, chair)
        await bob.next('poll', ({ data }) => data?.tally[1] === 1)
        const before = await meeting.texts()
        const seen = bob.frames.length

        await cluster.postgres.stop(mode)
        const commands: [Member, object][] = [
          [ann, { type: 'message', message: 'nobody hears this' }],
          [ann, { type: 'vote', question: newPoll.question, vote: 0 }],
          [chair, { type: 'abortpoll' }],
          [chair, { type: 'kick', user: meeting.user(2), canrejoin: false }],
          [chair, { type: 'finish' }],
        ]
        for (const [member, command] of commands) {
          member.send(command)
          assert.equal((await member.next('error')).msg, unavailable)
        }
        assert.match((await plenum.get('/readyz')).body, /database does not answer/)
        assert.equal((await plenum.get('/livez')).status, 200)
        const newcomer = await meeting.connect(3)
        assert.equal(await answerTo(newcomer), 'dropped')
        assert.equal((await newcomer.closed).code, 1006)
        const page = new StockPage(plenum, { meetingId: meeting.id, key: meeting.key(4), retryAfter: 300 })
        t.after(() => page.leave())
        await page.until(({ closeCodes }) => closeCodes.length > 0)
        assert.deepEqual(bob.frames.slice(seen), [])
        await plenum.logged(({ event }) => event === 'databaseLost', 15_000)

        await cluster.postgres.start()
        await recovered(members)
        await page.until(({ people }) => people.has(meeting.user(4)))
        await meeting.enter(3)
        await settle(bob, chair, ann)
        await assertAllSaw(meeting, members)
        assert.deepEqual(new Set(page.closeCodes), new Set([1006]))
        assert.deepEqual(await meeting.texts(), [
          ...before,
          `Member ${meeting.name(4)} joined the meeting`,
          `Member ${meeting.name(3)} joined the meeting`,
        ])
        const poll = chair.frames.findLast((frame) => frame.type === 'poll')
        assert.deepEqual(poll?.data, {
          question: newPoll.question,
          answers: newPoll.answers,
          tally: [0, 1],
          voted: [meeting.user(1)],
        })
        assert.equal(await isReady(plenum), true)
        await plenum.logged(({ event }) => event === 'databaseBack', 15_000)
        const losses = plenum.logs.filter(({ event }) => event === 'databaseLost')
        assert.equal(losses.length, 1, 'it says so once, not every time')
      })

    test('a server that is started before its database waits, says so, and serves when it comes', async (t) => {
      const fixture = await cluster.open(t)
      const meeting = await gather(fixture.db.sql, { socketUrl: (path) => plenum.socketUrl(path) }, 1)
      await cluster.postgres.stop('fast')
      const plenum: Plenum = await fixture.start({ ready: false })
      await plenum.logged(({ event }) => event === 'waiting', 15_000)
      const { status, body } = await plenum.get('/readyz')
      assert.equal(status, 503)
      assert.match(body, /database does not answer.*ECONNREFUSED/)
      assert.equal((await plenum.get('/livez')).status, 200)
      await cluster.postgres.start()
      await until('it serves', () => isReady(plenum))
      await meeting.enter(0)
    })
  })

  suite('frozen', () => {
    const cluster = ownCluster()

    test('PostgreSQL is frozen for long and thaws', { concurrency: 2 }, async (t) => {
      const fixture = await cluster.open(t, { grace: 2 })
      const plenum = await fixture.start()
      const meeting = await gather(fixture.db.sql, plenum, 3, open)
      const members = await meeting.enterAll(0, 1, 2)
      const otherHouse = await cluster.open(t)
      const otherPlenum = await otherHouse.start()
      const otherMeeting = await gather(otherHouse.db.sql, otherPlenum, 1, open)
      const otherMember = await otherMeeting.enter(0)
      await cluster.postgres.freeze()

      const goesOn = t.test('nobody is told what is not stored, and all goes on', async () => {
        const [chair, ann, bob] = members
        const seen = bob.frames.length
        ann.say('into the ice')
        // It is on its way for 15 seconds before it counts as lost; others are told sooner that nothing works.
        for (let n = 1; errorsOf(bob).length === 0; n++) {
          bob.say(`bob ${n}`)
          await wait(500)
        }
        assert.deepEqual(errorsOf(ann), [])
        await until('ann is told', () => errorsOf(ann).length > 0, 25_000)
        assert.deepEqual(
          bob.frames.slice(seen).filter(({ type }) => type !== 'error'),
          [],
        )
        cluster.postgres.thaw()
        await recovered(members)
        await settle(ann, bob, chair)
        await assertAllSaw(meeting, members)
        assert.deepEqual(new Set(members.flatMap(errorsOf)), new Set([unavailable]))
        const left = (await meeting.texts()).filter((text) => text.includes('left'))
        assert.deepEqual(left, [])
      })
      const ends = t.test('a server that gets SIGTERM meanwhile ends within 10 s', async () => {
        otherMember.say('into the ice')
        assert.equal(await otherPlenum.stop('SIGTERM', 10), 0)
        assert.equal((await otherMember.closed).code, 1006)
      })
      await Promise.all([goesOn, ends])
    })
  })

  suite('sessions that end', () => {
    for (const [how, end] of [
      ['all at once', (sql: Sql) => sql`select pg_terminate_backend(pid) from (${sessions(sql)}) s`],
      [
        'one by one',
        async (sql: Sql) => {
          for (const { pid } of await sessions(sql)) {
            await sql`select pg_terminate_backend(${pid})`
            await wait(20)
          }
        },
      ],
    ] as const)
      test(`sessions are ended ${how} under talk: connections stay, and everyone has each line once`, async (t) => {
        const fixture = await openServerFixture(t, { grace: 2 })
        const plenum = await fixture.start()
        const { sql } = fixture.db
        const meeting = await gather(sql, plenum, 4, open)
        const members = await meeting.enterAll(0, 1, 2, 3)
        const arrivals = await meeting.texts()
        const said: string[] = []
        const talk = setInterval(() => {
          for (const [index, member] of members.entries()) {
            said.push(`${index} says ${said.length}`)
            member.say(said.at(-1) ?? '')
          }
        }, 5)
        t.after(() => clearInterval(talk))
        for (let round = 1; round <= 6; round++) {
          const { length } = members[3].frames
          await until('there is talk', () => members[3].lines().length > length + 20, 15_000)
          await end(sql)
        }
        clearInterval(talk)
        const answered = () => members.flatMap(errorsOf).length + members[0].lines().length - arrivals.length
        await until('all that was said is answered', () => answered() >= said.length, 15_000)
        await settle(members[0], ...members.slice(1))
        await assertAllSaw(meeting, members)
        assert.deepEqual(new Set(members.flatMap(errorsOf)), new Set([unavailable]))
        const told = (await meeting.texts()).slice(arrivals.length)
        assert.equal(new Set(told).size, told.length, 'nothing is said twice')
        assert.deepEqual(
          told.filter((text) => !said.includes(text)),
          [],
        )
        assert.equal(plenum.hasExited, false)
      })
  })

  suite('a write whose outcome is unknown', () => {
    /** Does what `act` sends, as far as the database: its answer, and all connections, are lost on the way. */
    async function loseAnswer(t: TestContext, act: (meeting: MeetingFixture, members: Member[]) => void) {
      const fixture = await openServerFixture(t, { grace: 2 })
      const { sql, url } = fixture.db
      const forwarder = await openTcpProxy(Number(new URL(url).port))
      t.after(() => forwarder.close())
      // Without an end to its patience, so that what is written is what was sent first.
      const database = urlFor(url, { port: forwarder.port, lockTimeout: '0' })
      const plenum = await fixture.start({ database })
      const meeting = await gather(sql, plenum, 3, open)
      const members = await meeting.enterAll(0, 1, 2)
      members[0].send(newPoll)
      for (const member of members) await member.next('poll', ({ data }) => data !== null)
      await settle(...members)
      const before = await meeting.texts()
      // The foreign keys are looked at last, by the commit itself: it is stopped there.
      const held = await holdTransaction(
        url,
        (tx) => tx`select from membership_meeting where id = ${meeting.id} for update`,
      )
      act(meeting, members)
      await held.waitedFor()
      forwarder.holdAnswers()
      await held.rollback()
      await until('it is stored', async () => (await meeting.texts()).length > before.length)
      forwarder.cut()
      return { sql, meeting, members, before }
    }

    test('a vote: the voter is asked to try again, and what was stored is told once', async (t) => {
      const { sql, meeting, members, before } = await loseAnswer(t, (_, [, ann]) =>
        ann?.send({ type: 'vote', question: newPoll.question, vote: 1 }),
      )
      const [chair, ann, bob] = members
      assert.equal((await ann.next('error')).msg, unavailable)
      for (const member of members) await member.next('poll', ({ data }) => data?.tally[1] === 1)
      // He tries again: that changes nothing.
      ann.send({ type: 'vote', question: newPoll.question, vote: 1 })
      await settle(ann, bob, chair)
      await assertAllSaw(meeting, members)
      assert.deepEqual(await meeting.texts(), [...before, `${meeting.name(1)} voted no`])
      const votes = await sql`select member_id, answer from plenum.vote`
      assert.deepEqual(
        votes.map((vote) => ({ ...vote })),
        [{ member_id: meeting.user(1), answer: 1 }],
      )
      assert.deepEqual([chair, bob].flatMap(errorsOf), [])
    })

    test('a kick: the admin is asked to try again, and who was kicked is out', async (t) => {
      const { meeting, members, before } = await loseAnswer(t, (meeting, [chair]) =>
        chair?.send({ type: 'kick', user: meeting.user(2), canrejoin: false }),
      )
      const [chair, ann, bob] = members
      assert.equal((await chair.next('error')).msg, unavailable)
      assert.equal(await farewell(bob), 'You have been forcibly disconnected from this meeting')
      const kick = `User ${meeting.name(2)} has been disconnected by ${meeting.name(0)}`
      for (const member of [chair, ann]) {
        await member.line(kick)
        const { data } = member.frames.findLast((frame) => frame.type === 'users') as FrameOf<'users'>
        assert.deepEqual(new Set(data.users.map(({ id }) => id)), new Set([meeting.user(0), meeting.user(1)]))
      }
      chair.send({ type: 'kick', user: meeting.user(2), canrejoin: false })
      assert.equal((await chair.next('error')).msg, 'User to kick not found')
      assert.equal(await farewell(await meeting.connect(2)), 'You are not allowed to enter this meeting')
      await settle(ann, chair)
      await assertAllSaw(meeting, [chair, ann])
      assert.deepEqual(await meeting.texts(), [...before, kick])
    })

    test('a line: the speaker is asked to try again, and all see it once', async (t) => {
      const { meeting, members, before } = await loseAnswer(t, (_, [, ann]) => ann?.say('heard?'))
      const [chair, ann, bob] = members
      assert.equal((await ann.next('error')).msg, unavailable)
      for (const member of members) await member.line('heard?')
      await settle(bob, chair, ann)
      await assertAllSaw(meeting, members)
      assert.deepEqual(await meeting.texts(), [...before, 'heard?'])
    })
  })

  suite('set up wrongly', () => {
    for (const [what, changes, expected] of [
      [
        'a wrong password',
        { password: 'wrongsecret' },
        /28P01: password authentication failed for user "postgres"/,
      ],
      ['an unknown user', { user: 'nobody', password: 'wrongsecret' }, /28P01: .* user "nobody"/],
      ['a missing database', { database: 'nowhere' }, /3D000: database "nowhere" does not exist/],
    ] as const)
      test(`${what} ends the start with one clear line and without the password`, async (t) => {
        const { db } = await openServerFixture(t)
        const url = urlFor(db.url, changes)
        for (const command of ['serve', 'check', 'migrate']) {
          const listen = `127.0.0.1:${await freePort()}`
          const run = await runPlenum([command, '-origin', '*', '-listen', listen, '-dburl', url])
          assert.equal(run.code, 1)
          const said = run.stderr.split('\n').filter((line) => !line.startsWith('{'))
          assert.equal(said.length, 1, run.stderr)
          assert.match(said[0] ?? '', expected)
          assert.match(said[0] ?? '', /^plenum: /)
          const all = run.stdout + run.stderr
          assert.equal(all.includes('wrongsecret') || all.includes(new URL(db.url).password), false)
        }
      })

    test("a database that is not the site's is named as such", async (t) => {
      const { db } = await openServerFixture(t)
      await db.sql`drop table membership_meetingmessagelog`
      const { code, stderr } = await runPlenum(['check', '-origin', '*', '-dburl', db.url])
      assert.equal(code, 1)
      assert.match(stderr, /not the database of pgeu-system.*missing membership_meetingmessagelog/)
    })
  })

  suite("a role that is not the owner serves with the rights that the server's own messages name", () => {
    for (const choice of ['first', 'second'] as const)
      test(`the ${choice} way to the schema`, async (t) => {
        const fixture = await openServerFixture(t)
        const role = await createRole(t, fixture.db)
        const named = await walk(fixture.db, role, choice)
        assert.ok(named.length > 0)
        await assertServes(fixture, role)
      })

    test('a schema that the owner has migrated', async (t) => {
      const fixture = await openServerFixture(t)
      assert.equal((await runPlenum(['migrate', '-dburl', fixture.db.url])).code, 0)
      const role = await createRole(t, fixture.db)
      await walk(fixture.db, role, 'first')
      await assertServes(fixture, role)
    })

    test('record ids from a sequence, as older releases of Django made them', async (t) => {
      const fixture = await openServerFixture(t)
      await fixture.db.sql.unsafe(`
        alter table membership_meetingmessagelog alter column id drop identity;
        create sequence membership_meetingmessagelog_id_seq owned by membership_meetingmessagelog.id;
        alter table membership_meetingmessagelog
          alter column id set default nextval('membership_meetingmessagelog_id_seq')`)
      const role = await createRole(t, fixture.db)
      await walk(fixture.db, role, 'first')
      await assertServes(fixture, role)
    })
  })
})

const sessions = (sql: Sql) =>
  sql<{ pid: number }[]>`
    select pid from pg_stat_activity where datname = current_database() and application_name = 'plenum'`

/** A role that may log in, and nothing else. Its name has to be quoted. */
async function createRole(t: TestContext, db: Database): Promise<{ name: string; url: string }> {
  const name = `Meetings-${randomBytes(4).toString('hex')}`
  await db.sql.unsafe(`create role "${name}" login password 'walker'`)
  // The house's database goes first, and with it what is granted there.
  t.after(async () => {
    const elsewhere = postgres(urlFor(db.url, { database: 'postgres' }), { max: 1, onnotice: () => {} })
    await elsewhere.unsafe(`drop role "${name}"`)
    await elsewhere.end()
  })
  return { name, url: urlFor(db.url, { user: name, password: 'walker' }) }
}

/** Asks `check` what is missing and does that, until nothing is. Returns what it named. */
async function walk(db: Database, role: { url: string }, choice: 'first' | 'second'): Promise<string[]> {
  const named: string[] = []
  for (let round = 1; round <= 5; round++) {
    const { code, stderr } = await runPlenum(['check', '-origin', '*', '-dburl', role.url])
    if (code === 0) return named
    assert.equal(code, 1)
    const statements = stderr.match(/(?:CREATE|GRANT|ALTER) [^;]+/g) ?? []
    // Alternatives stand on lines of their own.
    const isChoice = stderr.includes('run one of these:')
    assert.equal(stderr.split('\n').length, isChoice ? 1 + statements.length : 1, stderr)
    const chosen = isChoice ? statements.slice(choice === 'first' ? 0 : -1).slice(0, 1) : statements
    assert.ok(chosen.length > 0, `no statement in: ${stderr}`)
    for (const statement of chosen) await db.sql.unsafe(statement)
    named.push(...chosen)
  }
  throw new Error(`still not enough: ${named.join('; ')}`)
}

/** Has the role serve a meeting from its opening to its close, with all that is written on the way. */
async function assertServes(fixture: ServerFixture, role: { url: string }): Promise<void> {
  const plenum = await fixture.start({ database: role.url, grace: 0 })
  const meeting = await gather(fixture.db.sql, plenum, 3)
  const [chair, ann, bob] = await meeting.enterAll(0, 1, 2)
  chair.send({ type: 'open' })
  chair.send(newPoll)
  await ann.next('poll', ({ data }) => data !== null)
  ann.send({ type: 'vote', question: newPoll.question, vote: 0 })
  await settle(ann, bob, chair)
  chair.send({ type: 'kick', user: meeting.user(2), canrejoin: false })
  await farewell(bob)
  chair.send({ type: 'finish' })
  await chair.line('This meeting is now finished')
  await ann.close()
  await chair.close()
  await until('the meeting is closed', async () => (await meeting.state()) === 3)
  const unban = ['unban', String(meeting.id), String(meeting.user(2)), '-dburl', role.url]
  const { code, stderr } = await runPlenum(unban)
  assert.equal(code, 0, stderr)
  assert.deepEqual(
    plenum.logs.filter(({ level }) => level !== 'info'),
    [],
  )
}
