import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join as joinPath } from 'node:path'
import { suite, test } from 'node:test'
import type { Sql } from 'postgres'
import { lockSpace, locks } from '../../src/db/schema.ts'
import { createDatabase } from '../support/database.ts'
import { gather, settle } from '../support/meeting-fixture.ts'
import { holdTransaction } from '../support/held-transaction.ts'
import { assertShows, openServerFixture, openPages, returned } from '../support/server-fixture.ts'
import type { ServerFixture } from '../support/server-fixture.ts'
import { join, UpgradeRefused } from '../support/meeting-client.ts'
import type { Target } from '../support/meeting-client.ts'
import type { StockPage } from '../support/stock-page.ts'
import { builtBundle, runPlenum } from '../support/server.ts'
import type { Plenum } from '../support/server.ts'
import { meetingStatus } from '../support/status.ts'
import { until } from '../support/until.ts'

const open = { state: 1, allowrejoin: true } as const

/** False also for one that does not listen yet. */
async function isReady(plenum: Plenum): Promise<boolean> {
  return await plenum.get('/readyz').then(
    ({ status }) => status === 200,
    () => false,
  )
}

/** A server that serves, and one that waits. */
async function openPair(fixture: ServerFixture): Promise<[active: Plenum, standby: Plenum]> {
  const active = await fixture.start()
  const standby = await fixture.start({ ready: false })
  await standby.logged(({ event, reason }) => event === 'waiting' && String(reason).includes('lock'), 15_000)
  return [active, standby]
}

/** What a proxy before two servers is to a page that retries: each attempt goes to the other one. */
function inTurn(...servers: Plenum[]): Target {
  let attempts = 0
  return {
    socketUrl: (path) => servers[attempts++ % servers.length]?.socketUrl(path) ?? '',
  }
}

/** The session that holds the lock of the one that serves. */
async function lockHolder(sql: Sql): Promise<number | undefined> {
  const [row] = await sql<{ pid: number }[]>`
    select pid from pg_locks
    where locktype = 'advisory' and classid = ${lockSpace} and objid = ${locks.meetings} and objsubid = 2 and granted
      and database = (select oid from pg_database where datname = current_database())`
  return row?.pid
}

async function endLockSession(sql: Sql): Promise<void> {
  const pid = await lockHolder(sql)
  assert.ok(pid, 'nobody holds the lock')
  await sql`select pg_terminate_backend(${pid})`
}

/** Everything that a server writes of a meeting. */
async function stored(sql: Sql, meeting: number): Promise<unknown> {
  const [row] = await sql<{ all: unknown }[]>`
    select json_build_object(
      'record', (select json_agg(l order by l.id) from membership_meetingmessagelog l where l.meeting_id = m.id),
      'state', m.state,
      'keys', (select json_agg(k order by k.id) from membership_membermeetingkey k where k.meeting_id = m.id),
      'attendance', (select json_agg(a order by a.member_id) from plenum.attendance a where a.meeting_id = m.id),
      'bans', (select json_agg(b) from plenum.ban b where b.meeting_id = m.id),
      'polls', (select json_agg(p) from plenum.poll p where p.meeting_id = m.id),
      'votes', (select json_agg(v) from plenum.vote v)) "all"
    from membership_meeting m where m.id = ${meeting}`
  return row?.all
}

/** Each of them says numbered lines while he is connected, until told to stop. */
function talk(speakers: StockPage[]): () => void {
  let count = 0
  const timer = setInterval(() => {
    count++
    for (const [index, page] of speakers.entries())
      if (page.state === 'open') page.say(`${index} says ${count}`)
  }, 10)
  return () => clearInterval(timer)
}

async function finish(pages: StockPage[], record: () => Promise<{ id: number; text: string }[]>) {
  const [chair] = pages
  chair?.say('the end')
  for (const page of pages) await page.until((page) => page.texts().includes('the end'), 10_000)
  const stored = await record()
  for (const page of pages) {
    assertShows(page.lines, stored)
    assert.equal(page.state, 'open')
    assert.deepEqual(new Set(page.closeCodes), new Set([1006]))
  }
  return stored.map(({ text }) => text).filter((text) => !/^\d says \d+$/.test(text))
}

suite('warm standby', { concurrency: 4 }, () => {
  test('the second process on a database waits, says so, and lets nobody in', async (t) => {
    const fixture = await openServerFixture(t)
    const [active, standby] = await openPair(fixture)
    const { status, body } = await standby.get('/readyz')
    assert.equal(status, 503)
    assert.match(body, /another Plenum process serves the meetings/)
    assert.equal((await standby.get('/healthz')).status, 503)
    assert.equal((await standby.get('/livez')).status, 200)
    assert.equal(await isReady(active), true)
    const meeting = await gather(fixture.db.sql, standby, 1)
    await assert.rejects(meeting.connect(0), new UpgradeRefused(503))
    assert.deepEqual(await meeting.texts(), [])
  })

  test('when the one that serves is killed, the other one does within 5 s, and pages return by themselves', async (t) => {
    const fixture = await openServerFixture(t, { grace: 30 })
    const [first, second] = await openPair(fixture)
    const meeting = await gather(fixture.db.sql, first, 4, open)
    const pages = await openPages(t, meeting, () => inTurn(first, second), [0, 1, 2, 3], 300)
    const arrivals = await meeting.texts()
    const quiet = talk(pages)
    t.after(quiet)
    let [active, standby] = [first, second]
    for (let crash = 1; crash <= 2; crash++) {
      const { length } = pages[3].lines
      await pages[3].until(({ lines }) => lines.length > length + 40)
      await active.kill()
      await until('the standby serves', () => isReady(standby), 5000)
      for (const page of pages) await returned(page, crash)
      if (crash === 1) [active, standby] = [standby, await fixture.restart(active, { ready: false })]
    }
    quiet()
    assert.deepEqual(await finish(pages, () => meeting.record()), [...arrivals, 'the end'])
  })

  test('when the one that serves is told to stop, the other one takes over at once', async (t) => {
    const fixture = await openServerFixture(t, { grace: 30 })
    const [active, standby] = await openPair(fixture)
    const meeting = await gather(fixture.db.sql, active, 3, open)
    const pages = await openPages(t, meeting, () => inTurn(active, standby), [0, 1, 2], 300)
    const arrivals = await meeting.texts()
    pages[1].say('before')
    await pages[0].until(({ lines }) => lines.some(({ message }) => message === 'before'))
    assert.equal(await active.stop(), 0)
    await until('the standby serves', () => isReady(standby), 3000)
    for (const page of pages) await returned(page)
    assert.deepEqual(await finish(pages, () => meeting.record()), [...arrivals, 'before', 'the end'])
  })

  test('a lost lock that nobody else has taken disturbs no one', async (t) => {
    const fixture = await openServerFixture(t)
    const plenum = await fixture.start()
    const { sql } = fixture.db
    const meeting = await gather(sql, plenum, 3, open)
    const members = await meeting.enterAll(0, 1, 2)
    for (let round = 1; round <= 3; round++) {
      const before = await lockHolder(sql)
      await endLockSession(sql)
      await settle(members[1], members[0], members[2])
      await until('the lock is held again', async () => {
        const holder = await lockHolder(sql)
        return holder !== undefined && holder !== before
      })
      await settle(members[2], members[0], members[1])
    }
    const record = await meeting.record()
    for (const member of members) {
      assert.equal(member.isClosed, false)
      assertShows(member.lines(), record)
      assert.deepEqual(
        member.frames.filter(({ type }) => type === 'error'),
        [],
      )
    }
  })

  test('whoever gets a lock that was lost under talk, nothing is lost or repeated', async (t) => {
    const fixture = await openServerFixture(t, { grace: 30 })
    const [first, second] = await openPair(fixture)
    const { sql } = fixture.db
    const meeting = await gather(sql, first, 3, open)
    const pages = await openPages(t, meeting, () => inTurn(first, second), [0, 1, 2], 200)
    const arrivals = await meeting.texts()
    const quiet = talk(pages)
    t.after(quiet)
    for (let round = 1; round <= 4; round++) {
      for (const page of pages) {
        const { length } = page.lines
        await page.until(({ lines }) => lines.length > length + 30, 15_000)
      }
      const before = await lockHolder(sql)
      await endLockSession(sql)
      await until('the lock is held again', async () => {
        const holder = await lockHolder(sql)
        return holder !== undefined && holder !== before
      })
    }
    for (const page of pages) await page.until(({ lines }) => lines.length > 150)
    quiet()
    await until('one serves, and all are there', async () => {
      const ready = await Promise.all([first, second].map(isReady))
      const serving = ready[0] ? first : second
      return ready[0] !== ready[1] && (await meetingStatus(serving, meeting.id))?.members.length === 3
    })
    // The one that seemed to serve may not have noticed yet that the other one does: then what is said to it is lost with
    // the connection, and its sender, who sees it nowhere, says it again.
    let end = ''
    for (let attempt = 1; !pages[0].texts().includes(end) && attempt <= 5; attempt++) {
      end = `the end, attempt ${attempt}`
      pages[0].say(end)
      await pages[0].until((page) => page.texts().includes(end), 5000).catch(() => {})
    }
    for (const page of pages) await page.until((page) => page.texts().includes(end), 10_000)
    const record = await meeting.record()
    for (const page of pages) assertShows(page.lines, record)
    const others = record.map(({ text }) => text).filter((text) => !/^\d says \d+$/.test(text))
    assert.deepEqual(
      others.filter((text) => !text.startsWith('the end')),
      arrivals,
    )
  })

  test('one that was halted and has been replaced meanwhile writes nothing more and ends its connections', async (t) => {
    const fixture = await openServerFixture(t, { grace: 30 })
    const [former, successor] = await openPair(fixture)
    const { sql } = fixture.db
    const meeting = await gather(sql, former, 4, open)
    const [chair, ann, bob] = await meeting.enterAll(0, 1, 2)
    chair.send({ type: 'newpoll', question: 'Shall we?', answers: ['yes', 'no'], minutes: 5 })
    await bob.next('poll', ({ data }) => data !== null)

    former.signal('SIGSTOP')
    // All of it lies before the halted process, and is what it reads first when it goes on.
    for (let n = 1; n <= 10; n++) ann.say(`too late ${n}`)
    ann.send({ type: 'vote', question: 'Shall we?', vote: 1 })
    chair.send({ type: 'finish' })
    chair.send({ type: 'kick', user: meeting.user(1), canrejoin: false })
    bob.ws.close()
    await endLockSession(sql)
    await until('the standby serves', () => isReady(successor))
    const newcomer = await join(successor, meeting.id, meeting.key(3))
    await newcomer.line(`Member ${meeting.name(3)} joined the meeting`)
    const before = await stored(sql, meeting.id)
    former.signal('SIGCONT')

    for (const member of [chair, ann]) assert.equal((await member.closed).code, 1006)
    await until('the former one waits', async () => {
      const { status, body } = await former.get('/readyz')
      return status === 503 && body.includes('lock')
    })
    assert.equal(ann.texts().filter((text) => text.startsWith('too late')).length, 0)
    assert.equal(ann.frames.filter(({ type }) => type === 'disconnect').length, 0)
    assert.deepEqual(await stored(sql, meeting.id), before)

    // It is a standby like any other from now on.
    await successor.kill()
    await until('the former one serves again', () => isReady(former), 5000)
    await meeting.enter(0)
  })

  test('one that waits again, after it has served, says so again', async (t) => {
    const fixture = await openServerFixture(t)
    const [first, second] = await openPair(fixture)
    await first.stop()
    await until('the second one serves', () => isReady(second), 15_000)
    const third = await fixture.start({ ready: false })
    await third.logged(({ event }) => event === 'waiting', 15_000)
    second.signal('SIGSTOP')
    await endLockSession(fixture.db.sql)
    await until('the third one serves', () => isReady(third), 15_000)
    second.signal('SIGCONT')
    const waits = (): unknown[] => second.logs.filter(({ event }) => event === 'waiting')
    await until('the second one says that it waits', () => waits().length === 2, 15_000)
  })

  test('a takeover waits for the write that is under way, and knows of it', async (t) => {
    const db = await createDatabase()
    // Else the write would give up waiting for the lock before it is seen to.
    const url = new URL(db.url)
    url.searchParams.set('lock_timeout', '0')
    const fixture = await openServerFixture(t, { database: url.href }, Promise.resolve(db))
    const [former, successor] = await openPair(fixture)
    const { sql } = fixture.db
    const meeting = await gather(sql, former, 2, open)
    const ann = await meeting.enter(1)
    // The foreign key is looked at when the write is committed, after the fence.
    const held = await holdTransaction(
      fixture.db.url,
      (tx) => tx`select from membership_meeting where id = ${meeting.id} for update`,
    )
    ann.say('just in time')
    await held.waitedFor()
    former.signal('SIGSTOP')
    await endLockSession(sql)
    await until('the standby has the lock', async () => (await lockHolder(sql)) !== undefined)
    assert.equal(await isReady(successor), false)
    await held.rollback()
    await until('the standby serves', () => isReady(successor))
    assert.ok((await meeting.texts()).includes('just in time'))
    const chair = await join(successor, meeting.id, meeting.key(0))
    assert.ok((await chair.next('messages')).data.some(({ message }) => message === 'just in time'))
    former.signal('SIGCONT')
    assert.equal((await ann.closed).code, 1006)
  })

  test('one that fails half-way to begin to serve begins anew, and nothing is left of its first attempts', async (t) => {
    const fixture = await openServerFixture(t, { grace: 1 })
    const { sql } = fixture.db
    const before = await fixture.start()
    const meeting = await gather(sql, before, 2, open)
    await meeting.enterAll(0, 1)
    // The rooms of this meeting are opened by each attempt, and have its people leave.
    await before.kill()
    const folder = await mkdtemp(joinPath(tmpdir(), 'plenum-fault-'))
    t.after(() => rm(folder, { recursive: true }))
    const bundle = joinPath(folder, 'plenum.mjs')
    const text = await readFile(builtBundle, 'utf8')
    const parts = text.split(/(?<=async function importKey\d*\(key\) \{)/)
    assert.equal(parts.length, 2)
    const fault =
      "if ((globalThis.attempts = (globalThis.attempts ?? 0) + 1) <= 2) throw new Error('injected');"
    await writeFile(bundle, parts.join(fault))
    const plenum = await fixture.start({
      bundle,
      flags: ['-rate', '0', '-document', '-document-jwtkey', 'k'.repeat(32)],
    })
    const { reason } = await plenum.logged(({ event }) => event === 'waiting')
    assert.equal(reason, 'the meetings cannot be served: injected')
    await until('they have left', async () => {
      const left = (await meeting.texts()).filter((text) => text.endsWith('left the meeting'))
      return left.length === 2
    })
    const [ann, bob] = [
      await join(plenum, meeting.id, meeting.key(0)),
      await join(plenum, meeting.id, meeting.key(1)),
    ]
    await settle(ann, bob)
    assert.equal(plenum.logs.filter(({ event }) => event === 'leaseLost').length, 0)
    assert.equal(plenum.logs.filter(({ event }) => event === 'serving').length, 1)
    assert.equal(await isReady(plenum), true)
  })

  test('of two that start at once on an empty database one serves', async (t) => {
    const fixture = await openServerFixture(t)
    const servers = await Promise.all([fixture.start({ ready: false }), fixture.start({ ready: false })])
    const listens = ({ event }: { event?: unknown }): boolean => event === 'started'
    for (const server of servers) await server.logged(listens, 20_000)
    await until('one of them serves', async () => (await Promise.all(servers.map(isReady))).includes(true))
    await until('the other one waits', async () => {
      const ready = await Promise.all(servers.map(isReady))
      const waiting = servers[ready[0] ? 1 : 0]
      const body = (await waiting?.get('/readyz'))?.body ?? ''
      return ready[0] !== ready[1] && body.includes('another Plenum process')
    })
  })

  test('migrate makes the schema once, however many run it at once', async (t) => {
    const fixture = await openServerFixture(t)
    const runs = await Promise.all(
      Array.from({ length: 4 }, () => runPlenum(['migrate', '-dburl', fixture.db.url])),
    )
    for (const { code, stderr } of runs) assert.equal(code, 0, stderr)
    assert.equal(runs.filter(({ stdout }) => /steps done/.test(stdout)).length, 1)
    assert.equal(runs.filter(({ stderr }) => stderr !== '').length, 0)
    await fixture.start()
  })
})
