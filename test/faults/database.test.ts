import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { appendFile, chown, cp, mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import type { TestContext } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { promisify } from 'node:util'
import postgres from 'postgres'
import type { Sql } from 'postgres'
import { openPostgres } from '../../demo/postgres.ts'
import { lockSpace, locks } from '../../src/db/schema.ts'
import { createCluster } from '../support/database.ts'
import { openTcpProxy } from '../support/tcp-proxy.ts'
import { farewell, gather, MeetingFixture, settle } from '../support/meeting-fixture.ts'
import { holdTransaction } from '../support/held-transaction.ts'
import { assertShows, openServerFixture } from '../support/server-fixture.ts'
import type { Member } from '../support/meeting-client.ts'
import { runPlenum } from '../support/server.ts'
import type { Plenum } from '../support/server.ts'
import { holdTables } from '../support/tables.ts'
import { until } from '../support/until.ts'
import { patience } from '../support/patience.ts'

const run = promisify(execFile)

const unavailable = 'The meeting database is not available, please try again'
const refused = 'The database refuses this: please change it, or tell the organisers'
const newPoll = { type: 'newpoll', question: 'Shall we?', answers: ['yes', 'no'], minutes: 5 }
const open = { state: 1, allowrejoin: true } as const

const errorsOf = (member: Member): string[] =>
  member.frames.flatMap((frame) => (frame.type === 'error' ? [frame.msg] : []))

const voteFor = (vote: number) => ({ type: 'vote', question: newPoll.question, vote })

async function assertAllSaw(meeting: MeetingFixture, members: Member[]): Promise<void> {
  const record = await meeting.record()
  for (const member of members) {
    assert.equal(member.isClosed, false, 'somebody was disconnected')
    assertShows(member.lines(), record)
  }
}

/** Waits until lines are told again, within 5 s, and until all of them have been told them. */
async function goesOn(t: TestContext, speaker: Member, ...others: Member[]): Promise<void> {
  const since = performance.now()
  const isTold = () => speaker.texts().some((text) => text.startsWith('at last'))
  for (let n = 1; !isTold(); n++) {
    assert.ok(performance.now() - since < patience(5000), 'it does not go on within 5 s')
    speaker.say(`at last ${n}`)
    await wait(50)
  }
  t.diagnostic(`${Math.round(performance.now() - since)} ms until all went on`)
  await settle(speaker, ...others)
}

/** Has `speaker` say a line again and again until he is not refused, and waits until it is told. */
async function insist(speaker: Member, text: string): Promise<void> {
  let refused = -1
  await until(`'${text}' is told`, () => {
    if (speaker.texts().includes(text)) return true
    const { length } = errorsOf(speaker)
    if (length !== refused) speaker.say(text)
    refused = length
    return false
  })
}

/** The lines that were told since there were `from` frames. */
const newsOf = (member: Member, from: number) =>
  member.frames.slice(from).filter(({ type }) => type === 'message' || type === 'messages')

/** Each command is answered by this word. */
async function assertAnswered(word: string, ...commands: [member: Member, command: object][]): Promise<void> {
  for (const [member, command] of commands) {
    member.send(command)
    assert.equal((await member.next('error')).msg, word)
  }
}

/** Each command is refused with the word for a database that cannot be had. */
const assertRefused = (...commands: [member: Member, command: object][]): Promise<void> =>
  assertAnswered(unavailable, ...commands)

/** The reason that the server's log has for a view that it no longer trusts. */
function distrusted(plenum: Plenum, reason: RegExp): Promise<unknown> {
  return plenum.logged(
    ({ event, reason: logged }) => event === 'viewDistrusted' && reason.test(String(logged)),
  )
}

/** The same database with other settings of the connection string. */
function urlWith(url: string, changes: { port?: number; parameters?: Record<string, string> }): string {
  const changed = new URL(url)
  if (changes.port !== undefined) changed.port = String(changes.port)
  for (const [name, value] of Object.entries(changes.parameters ?? {})) changed.searchParams.set(name, value)
  return changed.href
}

/** The sessions in which a server reads and writes, without the one that holds its lease. */
async function workingSessions(sql: Sql): Promise<number[]> {
  const rows = await sql<{ pid: number }[]>`
    select pid from pg_stat_activity where datname = current_database() and application_name = 'plenum'
      and pid not in (select pid from pg_locks
        where locktype = 'advisory' and classid = ${lockSpace} and objid = ${locks.meetings} and objsubid = 2)`
  return rows.map(({ pid }) => pid)
}

suite('faults of the database', { concurrency: 4 }, () => {
  test('a lock on the record that is held for 5 s: what is said meanwhile is done after it, in its order', async (t) => {
    const fixture = await openServerFixture(t)
    const plenum = await fixture.start()
    const meeting = await gather(fixture.db.sql, plenum, 4, open)
    const members = await meeting.enterAll(0, 1, 2)
    const [chair, ann, bob] = members
    await settle(chair, ann, bob)
    const before = await meeting.texts()
    const from = bob.frames.length
    const release = await holdTables(fixture.db.sql, ['membership_meetingmessagelog'])
    ann.say('one')
    await ann.caughtUp()
    chair.send(newPoll)
    await chair.caughtUp()
    bob.send(voteFor(1))
    await bob.caughtUp()
    bob.say('two')
    const newcomer = await meeting.connect(3)
    await wait(5000)
    assert.deepEqual(newsOf(bob, from), [], 'something was told before it was stored')
    assert.equal(newcomer.isClosed, false)
    await release()
    await newcomer.next('messages')
    await goesOn(t, ann, chair, bob, newcomer)
    await assertAllSaw(meeting, [...members, newcomer])
    assert.deepEqual([...members, newcomer].flatMap(errorsOf), [])
    assert.deepEqual((await meeting.texts()).slice(0, before.length + 5), [
      ...before,
      'one',
      `A new poll has been posted for ${newPoll.question}`,
      `${meeting.name(2)} voted no`,
      'two',
      `Member ${meeting.name(3)} joined the meeting`,
    ])
  })

  test('a lock on votes that is held for 5 s stops the meeting that votes, and no other', async (t) => {
    const fixture = await openServerFixture(t)
    const plenum = await fixture.start()
    const meeting = await gather(fixture.db.sql, plenum, 3, open)
    const members = await meeting.enterAll(0, 1, 2)
    const [chair, ann, bob] = members
    const others = await gather(fixture.db.sql, plenum, 2, open)
    const elsewhere = await others.enterAll(0, 1)
    chair.send(newPoll)
    for (const member of members) await member.next('poll', ({ data }) => data !== null)
    await settle(chair, ann, bob)
    const before = await meeting.texts()
    const release = await holdTables(fixture.db.sql, ['plenum.vote'])
    ann.send(voteFor(0))
    await ann.caughtUp()
    bob.say('after the vote')
    for (const until = Date.now() + 5000; Date.now() < until; await wait(250)) await settle(...elsewhere)
    assert.equal(bob.texts().includes('after the vote'), false)
    await release()
    await bob.line('after the vote')
    await goesOn(t, bob, chair, ann)
    assert.deepEqual((await meeting.texts()).slice(0, before.length + 2), [
      ...before,
      `${meeting.name(1)} voted yes`,
      'after the vote',
    ])
    await assertAllSaw(meeting, members)
    await assertAllSaw(others, elsewhere)
    assert.deepEqual([...members, ...elsewhere].flatMap(errorsOf), [])
  })

  test('a lock on keys that is held for 5 s while somebody enters: who is in talks on', async (t) => {
    const fixture = await openServerFixture(t)
    const plenum = await fixture.start()
    const meeting = await gather(fixture.db.sql, plenum, 4, open)
    const members = await meeting.enterAll(0, 1)
    const release = await holdTables(fixture.db.sql, ['membership_membermeetingkey'])
    const [late, later] = [await meeting.connect(2), await meeting.connect(3)]
    for (const until = Date.now() + 5000; Date.now() < until; await wait(250)) await settle(...members)
    assert.deepEqual(
      [late, later].flatMap(({ frames, isClosed }) => [frames.length, isClosed]),
      [0, false, 0, false],
    )
    await release()
    for (const member of [late, later]) await member.next('messages')
    await goesOn(t, late, ...members, later)
    await assertAllSaw(meeting, [...members, late, later])
    const joined = (await meeting.texts()).filter((text) => text.endsWith('joined the meeting'))
    assert.equal(new Set(joined).size, 4)
    assert.equal(joined.length, 4)
  })

  test('a statement that takes longer than it may is refused, and then all goes on', async (t) => {
    const fixture = await openServerFixture(t)
    const plenum = await fixture.start({
      database: urlWith(fixture.db.url, { parameters: { statement_timeout: '1000', lock_timeout: '0' } }),
    })
    const meeting = await gather(fixture.db.sql, plenum, 3, open)
    const members = await meeting.enterAll(0, 1, 2)
    const [chair, ann, bob] = members
    await settle(bob, chair, ann)
    const before = await meeting.texts()
    const from = bob.frames.length
    const release = await holdTables(fixture.db.sql, ['membership_meetingmessagelog'])
    await assertRefused(
      [ann, { type: 'message', message: 'nobody hears this' }],
      [chair, newPoll],
      [bob, { type: 'message', message: 'nor this' }],
    )
    await distrusted(plenum, /57014/)
    assert.deepEqual(newsOf(bob, from), [])
    await release()
    await goesOn(t, bob, chair, ann)
    await assertAllSaw(meeting, members)
    const after = (await meeting.texts()).slice(before.length)
    assert.deepEqual(
      after.filter((text) => !text.startsWith('at last')),
      [],
    )
  })

  suite('rights that are taken away while members are in', { concurrency: 3 }, () => {
    for (const [right, object, named] of [
      ['insert', 'membership_meetingmessagelog', 'membership_meetingmessagelog'],
      ['update', 'plenum.vote', 'vote'],
      ['usage', 'schema plenum', 'schema plenum'],
    ] as const)
      test(`${right} on ${object}: it is refused, the log names it, and once given back all goes on`, async (t) => {
        const fixture = await openServerFixture(t)
        const { sql } = fixture.db
        const { name, url } = await createRole(t, sql, fixture.db.url)
        const plenum = await fixture.start({ database: url })
        const meeting = await gather(sql, plenum, 4, open)
        const members = await meeting.enterAll(0, 1, 2)
        const [chair, ann, bob] = members
        chair.send(newPoll)
        for (const member of members) await member.next('poll', ({ data }) => data !== null)
        await settle(chair, ann, bob)
        const before = await meeting.texts()

        await sql.unsafe(`revoke ${right} on ${object} from "${name}"`)
        await assertAnswered(refused, [ann, voteFor(1)])
        await plenum.logged((line) => line.event === 'notStored' && JSON.stringify(line).includes(named))
        if (object === 'plenum.vote') await settle(bob, chair, ann)
        else
          await assertAnswered(
            refused,
            [bob, { type: 'message', message: 'nobody hears this' }],
            [chair, { type: 'finish' }],
          )
        assert.deepEqual(await meeting.texts(), before)
        if (object !== 'plenum.vote')
          assert.match(await farewell(await meeting.connect(3)), /refuses to let you in/)

        await sql.unsafe(`grant ${right} on ${object} to "${name}"`)
        await goesOn(t, bob, chair, ann)
        await meeting.enter(3)
        ann.send(voteFor(1))
        for (const member of members) await member.line(`${meeting.name(1)} voted no`)
        await settle(bob, chair, ann)
        await assertAllSaw(meeting, members)
      })
  })

  test('all connections of the database are taken: it is said so, and when there are some again all goes on', async (t) => {
    const cluster = await createCluster({ max_connections: '16', superuser_reserved_connections: '0' })
    const fixture = await openServerFixture(t, {}, cluster.createDatabase())
    t.after(() => cluster.remove())
    const { sql, url } = fixture.db
    const plenum = await fixture.start()
    const meeting = await gather(sql, plenum, 3, open)
    const members = await meeting.enterAll(0, 1, 2)
    const [chair, ann, bob] = members
    const admin = await sql.reserve()
    const crowd: Sql[] = []
    const leave = () => Promise.all(crowd.splice(0).map((one) => one.end({ timeout: 1 })))
    t.after(leave)
    const crowdIn = async (): Promise<void> => {
      for (let n = 0; n < 20; n++) {
        const one = postgres(url, { max: 1, onnotice: () => {} })
        try {
          await one`select 1`
          crowd.push(one)
        } catch (error) {
          assert.equal((error as { code?: string }).code, '53300')
          return await one.end({ timeout: 1 })
        }
      }
    }
    // A connection that is just being made takes one, and stands nowhere yet: so those of others are counted.
    await until('others have all connections', async () => {
      await crowdIn()
      await admin`
        select pg_terminate_backend(pid, 1000) from pg_stat_activity where application_name = 'plenum'`
      const others = await admin`
        select from pg_stat_activity
        where backend_type = 'client backend' and application_name not in ('plenum', '')`
      return others.length === 16
    })
    await assertRefused(
      [ann, { type: 'message', message: 'nobody hears this' }],
      [chair, newPoll],
      [bob, { type: 'message', message: 'nor this' }],
    )
    assert.equal((await plenum.get('/readyz')).status, 503)
    await plenum.logged(
      ({ event, error }) => event === 'databaseLost' && /53300|57P01|CLOSED|ECONNRESET/.test(String(error)),
    )
    await leave()
    admin.release()
    await goesOn(t, bob, chair, ann)
    await assertAllSaw(meeting, members)
    await until('it is ready', async () => (await plenum.get('/readyz')).status === 200)
  })

  suite('a full disk', { concurrency: 2 }, () => {
    for (const what of ['the record', 'votes'] as const)
      test(`no room for ${what}: it is refused, and with room again all goes on`, async (t) => {
        const cluster = await createCluster()
        const fixture = await openServerFixture(t, {}, cluster.createDatabase())
        t.after(() => cluster.remove())
        const disk = await smallDisk(t)
        if (!disk) return t.skip('a small file system cannot be mounted by this user')
        const { uid, gid } = await stat(join(cluster.postgres.folder, 'data'))
        await chown(disk.folder, uid, gid)
        const { sql } = fixture.db
        const plenum = await fixture.start()
        const meeting = await gather(sql, plenum, 3, open)
        const other = await gather(sql, plenum, 1, open)
        await sql.unsafe(`create tablespace small location '${disk.folder}'`)
        const table = what === 'votes' ? 'plenum.vote' : 'membership_meetingmessagelog'
        await sql.unsafe(`alter table ${table} set tablespace small`)
        const members = await meeting.enterAll(0, 1, 2)
        const [chair, ann, bob] = members
        chair.send(newPoll)
        for (const member of members) await member.next('poll', ({ data }) => data !== null)
        await settle(chair, ann, bob)
        const before = await meeting.texts()

        await disk.fill()
        // What is left of the table's last pages goes too.
        for (const bytes of [1000, 100, 0])
          await assert.rejects(
            async () => {
              for (let n = 0; n < 10_000; n++)
                await (what === 'votes'
                  ? sql`
                      insert into plenum.vote (poll_id, member_id, answer)
                      select id, ${bytes * 10_000 + n}, 0 from plenum.poll where meeting_id = ${meeting.id}`
                  : sql`
                      insert into membership_meetingmessagelog (t, message, meeting_id)
                      values (now(), ${'x'.repeat(bytes)}, ${other.id})`)
            },
            { code: '53100' },
          )
        const from = bob.frames.length
        await assertRefused([ann, voteFor(1)])
        if (what === 'votes') await settle(bob, chair, ann)
        else {
          await assertRefused(
            [bob, { type: 'message', message: 'nobody hears this' }],
            [chair, { type: 'finish' }],
            [chair, { type: 'abortpoll' }],
          )
          assert.deepEqual(newsOf(bob, from), [])
          // In a large meeting the list is long, and everybody may try again and again.
          for (let n = 1; n <= 10; n++) await assertRefused([ann, { type: 'message', message: `again ${n}` }])
          const lists = bob.frames.slice(from).filter(({ type }) => type === 'users')
          assert.ok(lists.length <= 2, `the list of users was told ${lists.length} times`)
        }
        await distrusted(plenum, /53100/)
        assert.deepEqual(await meeting.texts(), before)

        await disk.clear()
        await goesOn(t, bob, chair, ann)
        ann.send(voteFor(1))
        for (const member of members) await member.line(`${meeting.name(1)} voted no`)
        await settle(bob, chair, ann)
        await assertAllSaw(meeting, members)
      })
  })

  test('a failover: members stay, and nothing that was told is lost or told twice', async (t) => {
    const { db, first, second, url } = await openPair()
    const fixture = await openServerFixture(t, {}, Promise.resolve(db))
    t.after(() => Promise.all([first.remove(), second.remove()]))
    const plenum = await fixture.start({ database: url })
    const meeting = await gather(db.sql, plenum, 3, open)
    const members = await meeting.enterAll(0, 1, 2)
    const [chair, ann, bob] = members
    chair.send({ ...newPoll, minutes: 1 })
    for (const member of members) await member.next('poll', ({ data }) => data !== null)
    const opened = performance.now()
    await db.sql`update plenum.poll set closes_at = closes_at - interval '45 s'`
    ann.send(voteFor(1))
    await settle(ann, bob, chair)

    const speakers = [chair, ann, bob]
    let count = 0
    const talk = setInterval(() => {
      for (const [index, member] of speakers.entries()) member.say(`${index} says ${++count}`)
    }, 20)
    t.after(() => clearInterval(talk))
    await wait(500)
    await first.stop('immediate')
    for (const member of speakers) assert.equal((await member.next('error')).msg, unavailable)
    await wait(1000)
    const seen = bob.lines().length
    await second.exec(db.name, 'select pg_promote()')
    const promoted = performance.now()
    await until('lines are told again', () => bob.lines().length > seen + 3)
    t.diagnostic(`${Math.round(performance.now() - promoted)} ms until all went on`)
    clearInterval(talk)
    await goesOn(t, bob, chair, ann)
    bob.send(voteFor(0))
    for (const member of members) await member.line('Poll has completed', 15_000)
    const ended = (performance.now() - opened) / 1000
    assert.ok(ended > 14 && ended < patience(17), `the poll was to last 15 s, not ${ended}`)
    await settle(bob, chair, ann)
    const sql = postgres(second.url(db.name), { max: 1, onnotice: () => {} })
    const copy = new MeetingFixture(sql, plenum, meeting.members, {
      id: meeting.id,
      keys: new Map(),
      keyIds: new Map(),
    })
    await assertAllSaw(copy, members)
    const texts = await copy.texts()
    const votes = await sql`select member_id::int, answer from plenum.vote order by member_id`
    await sql.end()
    assert.deepEqual(
      votes.map((vote) => ({ ...vote })),
      [
        { member_id: meeting.user(1), answer: 1 },
        { member_id: meeting.user(2), answer: 0 },
      ],
    )
    assert.equal(new Set(texts).size, texts.length, 'something is in the record twice')
    assert.deepEqual(
      texts.filter((text) => /voted|Answer/.test(text)),
      [
        `${meeting.name(1)} voted no`,
        `${meeting.name(2)} voted yes`,
        'Answer "yes": 1 vote',
        'Answer "no": 1 vote',
      ],
    )
    assert.equal(plenum.logs.filter(({ event }) => event === 'leaseLost').length, 0)
    assert.deepEqual(new Set(members.flatMap(errorsOf)), new Set([unavailable]))
  })

  suite('a write that outlives its connection', { concurrency: 4 }, () => {
    /** A meeting with a poll under way, whose server reaches the database by a way that can be cut. */
    async function meet(t: TestContext, parameters: Record<string, string> = {}) {
      const halted: number[] = []
      const goOn = (): void => {
        for (const pid of halted.splice(0)) process.kill(pid, 'SIGCONT')
      }
      // The house's database cannot be dropped while its sessions are halted.
      t.after(goOn)
      const fixture = await openServerFixture(t, { grace: 2 })
      const { sql, url } = fixture.db
      const forwarder = await openTcpProxy(Number(new URL(url).port))
      t.after(() => forwarder.close())
      // Else a write would not wait in the database for long enough to be caught there.
      const database = urlWith(url, {
        port: forwarder.port,
        parameters: { lock_timeout: '0', ...parameters },
      })
      const plenum = await fixture.start({ database })
      const meeting = await gather(sql, plenum, 4, open)
      const members = await meeting.enterAll(0, 1, 2)
      members[0].send(newPoll)
      for (const member of members) await member.next('poll', ({ data }) => data !== null)
      await settle(...members)
      return {
        fixture,
        plenum,
        meeting,
        members,
        cut: () => forwarder.cut(),
        /** Has the database read nothing of what is sent to it. */
        haltSessions: async (): Promise<void> => {
          halted.push(...(await workingSessions(sql)))
          for (const pid of halted) process.kill(pid, 'SIGSTOP')
        },
        letSessionsEnd: async (): Promise<void> => {
          const pids = [...halted]
          goOn()
          await until('the old sessions have ended', async () => {
            const left = await sql`select from pg_stat_activity where pid = any(${pids}::int[])`
            return left.length === 0
          })
        },
        /** Holds what a write waits for when it is committed, as its foreign keys are looked at then. */
        holdLinesOf: (index: number) =>
          holdTransaction(
            url,
            (tx) => tx`select from membership_member where user_id = ${meeting.user(index)} for update`,
          ),
        holdAll: () =>
          holdTransaction(
            url,
            (tx) => tx`select from membership_meeting where id = ${meeting.id} for update`,
          ),
      }
    }

    /** Everybody votes, a newcomer too, and sees the same record and a result that is what is stored. */
    async function assertOneTruth(
      meeting: MeetingFixture,
      members: readonly Member[],
      sql: Sql,
    ): Promise<void> {
      const [speaker] = members
      assert.ok(speaker)
      // One who had been told of the last line comes back: what is older will never be asked for again.
      const newcomer = await meeting.enter(3, { first: speaker.lines().at(-1)?.id ?? 0 })
      const all = [...members, newcomer]
      await settle(speaker, ...all.slice(1))
      for (const member of all) member.send(voteFor(1))
      for (const member of all) await member.line('All attendees have voted, poll has completed.')
      await settle(speaker, ...all.slice(1))
      await assertAllSaw(meeting, [...members])
      const [row] = await sql<{ yes: number; no: number }[]>`
        select count(*) filter (where answer = 0)::int yes, count(*) filter (where answer = 1)::int as no
        from plenum.vote`
      const texts = await meeting.texts()
      assert.deepEqual(
        texts.filter((text) => text.startsWith('Answer')).map((text) => text.match(/(\d+) votes?$/)?.[1]),
        [row?.yes, row?.no].map(String),
      )
    }

    for (const [what, command] of [
      ['line', { type: 'message', message: 'late' }],
      ['vote', voteFor(0)],
    ] as const) {
      test(`a ${what} that waits for a lock is told, before all that is said after it`, async (t) => {
        const { fixture, meeting, members, cut, holdLinesOf, holdAll } = await meet(t)
        const [chair, ann, bob] = members
        const before = await meeting.texts()
        const held = await (what === 'line' ? holdLinesOf(1) : holdAll())
        ann.send(command)
        await held.waitedFor()
        cut()
        assert.equal((await ann.next('error')).msg, unavailable)
        const said = insist(bob, 'said after it')
        await wait(1500)
        await held.rollback()
        await said
        for (const member of members) await member.line('said after it')
        const text = what === 'line' ? 'late' : `${meeting.name(1)} voted yes`
        assert.deepEqual(await meeting.texts(), [...before, text, 'said after it'])
        await assertAllSaw(meeting, members)
        assert.deepEqual(errorsOf(chair), [])
        await assertOneTruth(meeting, members, fixture.db.sql)
      })

      test(`a ${what} that the database reads later is not done any more`, async (t) => {
        const { fixture, meeting, members, cut, haltSessions, letSessionsEnd } = await meet(t)
        const [chair, ann, bob] = members
        const before = await meeting.texts()
        await haltSessions()
        ann.send(command)
        await ann.caughtUp()
        await wait(100) // it lies before the halted session
        cut()
        assert.equal((await ann.next('error')).msg, unavailable)
        await insist(bob, 'said after it')
        for (const member of members) await member.line('said after it')
        await letSessionsEnd()
        await settle(bob, chair, ann)
        assert.deepEqual(await meeting.texts(), [...before, 'said after it'])
        await assertAllSaw(meeting, members)
        await assertOneTruth(meeting, members, fixture.db.sql)
      })
    }

    test('one that waits for longer than a statement may: its meeting is told so, others go on, and then all does', async (t) => {
      const { fixture, plenum, meeting, members, cut, holdLinesOf } = await meet(t, {
        statement_timeout: '1000',
      })
      const [chair, ann, bob] = members
      const others = await gather(fixture.db.sql, plenum, 2, open)
      const elsewhere = await others.enterAll(0, 1)
      const held = await holdLinesOf(1)
      ann.say('late')
      await held.waitedFor()
      cut()
      assert.equal((await ann.next('error')).msg, unavailable)
      // The cut has met them too.
      await insist(elsewhere[0], 'still here')
      for (let round = 1; round <= 3; round++) {
        bob.say(`bob ${round}`)
        chair.send({ type: 'abortpoll' })
        for (const member of [bob, chair]) assert.equal((await member.next('error')).msg, unavailable)
        await settle(elsewhere[0], elsewhere[1])
      }
      await held.rollback()
      const released = Date.now()
      await until('it goes on', async () => {
        bob.say('at last')
        await wait(100)
        return bob.texts().includes('at last')
      })
      t.diagnostic(`${Date.now() - released} ms until it went on`)
      await settle(bob, chair, ann)
      await assertAllSaw(meeting, members)
      assert.equal((await meeting.texts()).filter((text) => text === 'late').length, 1)
      await assertAllSaw(others, elsewhere)
    })
  })
})

/** A role with the rights that docs/operations.md names, on a schema that somebody else owns. */
async function createRole(t: TestContext, sql: Sql, url: string): Promise<{ name: string; url: string }> {
  const name = `meetings_${randomBytes(4).toString('hex')}`
  assert.equal((await runPlenum(['migrate', '-dburl', url])).code, 0)
  await sql.unsafe(`
    create role "${name}" login password 'secret';
    grant usage on schema plenum to "${name}";
    grant select, insert, update, delete on all tables in schema plenum to "${name}";
    grant select on membership_meeting, membership_member, membership_meeting_meetingadmins,
      membership_membermeetingkey, membership_meetingmessagelog to "${name}";
    grant update (state) on membership_meeting to "${name}";
    grant update (allowrejoin) on membership_membermeetingkey to "${name}";
    grant insert on membership_meetingmessagelog to "${name}"`)
  t.after(async () => {
    const elsewhere = new URL(url)
    elsewhere.pathname = '/postgres'
    const admin = postgres(elsewhere.href, { max: 1, onnotice: () => {} })
    await admin.unsafe(`drop role "${name}"`)
    await admin.end()
  })
  const changed = new URL(url)
  changed.username = name
  changed.password = 'secret'
  return { name, url: changed.href }
}

/** A file system of a few megabytes; null where this user may not mount one. */
async function smallDisk(t: TestContext) {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return null
  const folder = await mkdtemp(join(tmpdir(), 'plenum-disk-'))
  const mounted = await run('mount', ['-t', 'tmpfs', '-o', 'size=4m,mode=700', 'tmpfs', folder]).then(
    () => true,
    () => false,
  )
  t.after(async () => {
    if (mounted) await run('umount', ['-l', folder])
    await rm(folder, { recursive: true, force: true })
  })
  if (!mounted) return null
  const filler = join(folder, 'filler')
  return {
    folder,
    fill: async (): Promise<void> => {
      for (const size of [65_536, 4096])
        await assert.rejects(
          async () => {
            for (;;) await appendFile(filler, Buffer.alloc(size))
          },
          { code: 'ENOSPC' },
        )
    },
    clear: () => rm(filler),
  }
}

/** A PostgreSQL, and a standby that has all that the first one has acknowledged. */
async function openPair() {
  const cluster = await createCluster({ wal_level: 'replica', max_wal_senders: '4' })
  const first = cluster.postgres
  const db = await cluster.createDatabase()
  await first.stop('fast')
  const folder = await mkdtemp(join(tmpdir(), 'plenum-test-'))
  for (const part of ['data', 'password'])
    await cp(join(first.folder, part), join(folder, part), { recursive: true, preserveTimestamps: true })
  const primary = `host=127.0.0.1 port=${first.port} user=postgres password=${new URL(db.url).password}`
  await appendFile(join(folder, 'data', 'postgresql.auto.conf'), `primary_conninfo = '${primary}'\n`)
  await writeFile(join(folder, 'data', 'standby.signal'), '')
  const { uid, gid } = await stat(join(first.folder, 'data'))
  await run('chown', ['-R', `${uid}:${gid}`, join(folder, 'data')])
  await first.start()
  const second = await openPostgres({ folder, durable: false })
  await first.exec('postgres', `alter system set synchronous_standby_names = '*'`)
  await first.exec('postgres', 'select pg_reload_conf()')
  await until('the standby has it all', async () => {
    const { length } = await db.sql`select from pg_stat_replication where sync_state = 'sync'`
    return length === 1
  })
  const url = new URL(db.url)
  url.searchParams.set('target_session_attrs', 'read-write')
  return {
    db: { ...db, drop: () => db.sql.end({ timeout: 1 }) },
    first,
    second,
    url: url.href.replace(`:${first.port}/`, `:${first.port},127.0.0.1:${second.port}/`),
  }
}
