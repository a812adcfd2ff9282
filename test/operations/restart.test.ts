import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import type { Sql } from 'postgres'
import { farewell, gather } from '../support/meeting-fixture.ts'
import type { MeetingFixture } from '../support/meeting-fixture.ts'
import { holdTransaction } from '../support/held-transaction.ts'
import { assertShows, openServerFixture, openPages, returned } from '../support/server-fixture.ts'
import type { Member } from '../support/meeting-client.ts'
import type { StockPage } from '../support/stock-page.ts'
import { meetingStatus } from '../support/status.ts'
import { until } from '../support/until.ts'
import { patience, slowness } from '../support/patience.ts'

const newPoll = { type: 'newpoll', question: 'Shall we?', answers: ['yes', 'no'], minutes: 5 }
const open = { state: 1, allowrejoin: true } as const
const times = (texts: string[], text: string): number => texts.filter((one) => one === text).length

async function storedPoll(sql: Sql, meeting: MeetingFixture) {
  const [poll] = await sql<{ closesAt: string; ending: string | null }[]>`
    select closes_at::text as "closesAt", ending from plenum.poll where meeting_id = ${meeting.id}`
  assert.ok(poll, 'there is no poll')
  return poll
}

/** To be called while the server is down: the poll's time ends so many seconds of a quiet machine from now. */
async function endPollIn(sql: Sql, meeting: MeetingFixture, seconds: number): Promise<void> {
  await sql`
    update plenum.poll set closes_at = now() + ${seconds * slowness()} * interval '1 second' where meeting_id = ${meeting.id}`
}

async function tallied(page: StockPage, ...tally: number[]): Promise<void> {
  await page.until(({ poll }) => String(poll?.tally) === String(tally))
}

async function saw(pages: StockPage[], text: string, milliseconds?: number): Promise<void> {
  for (const page of pages) await page.until((page) => page.texts().includes(text), milliseconds)
}

async function present(sql: Sql, meeting: MeetingFixture): Promise<number[]> {
  const rows = await sql<{ id: number }[]>`
    select member_id id from plenum.attendance where meeting_id = ${meeting.id} and left_at is null order by 1`
  return rows.map(({ id }) => id)
}

/** Each of them talks and changes his vote while he is connected, a few lines ahead of what he hears, until told to stop. */
function talk(speakers: StockPage[]): () => void {
  const said = speakers.map(() => 0)
  const heard = (page: StockPage, index: number) =>
    page.lines.filter(({ message }) => message.startsWith(`${index} says`)).length
  const timer = setInterval(() => {
    for (const [index, page] of speakers.entries()) {
      if (page.state !== 'open')
        said[index] = heard(page, index) // what was lost on the way is not awaited
      else if ((said[index] ?? 0) < heard(page, index) + 10) {
        said[index] = (said[index] ?? 0) + 1
        page.say(`${index} says ${Math.random()}`)
        if (page.poll) page.vote(Number(Math.random() < 0.5))
      }
    }
  }, 2)
  return () => clearInterval(timer)
}

suite('restart', { concurrency: 4 }, () => {
  test('after a crash all pages return by themselves, and the poll goes on as if nothing had been', async (t) => {
    const fixture = await openServerFixture(t, { grace: 6 })
    const plenum = await fixture.start()
    const { sql } = fixture.db
    const meeting = await gather(sql, plenum, 4, open)
    const pages = await openPages(t, meeting, plenum, [0, 1, 2, 3])
    const [chair, ann, bob, absent] = pages
    chair.send(newPoll)
    for (const page of pages) await page.until(({ poll }) => poll !== null)
    ann.vote(0)
    bob.vote(1)
    await tallied(chair, 1, 1)
    const { closesAt } = await storedPoll(sql, meeting)
    const before = await meeting.texts()

    await plenum.kill()
    absent.leave()
    await fixture.restart(plenum)
    const faithful = [chair, ann, bob]
    for (const page of faithful) await returned(page)

    await tallied(chair, 1, 1)
    assert.deepEqual(new Set(chair.poll?.voted), new Set([meeting.user(1), meeting.user(2)]))
    bob.vote(0)
    await tallied(chair, 2, 0)
    assert.deepEqual(await storedPoll(sql, meeting), { closesAt, ending: null })

    const departure = `Member ${meeting.name(3)} left the meeting`
    await saw(faithful, departure, 10_000)
    assert.deepEqual(await meeting.texts(), [
      ...before,
      `${meeting.name(2)} changed their vote to yes`,
      departure,
    ])
    const record = await meeting.record()
    const there = [0, 1, 2].map((index) => meeting.user(index))
    for (const page of faithful) {
      assertShows(page.lines, record)
      assert.deepEqual(new Set(page.closeCodes), new Set([1006]))
      assert.deepEqual(new Set(page.people.keys()), new Set(there))
    }
    assert.deepEqual(await present(sql, meeting), there)
  })

  test('a poll whose time has passed while the server was down ends at the start, once', async (t) => {
    const fixture = await openServerFixture(t, { grace: 6 })
    const plenum = await fixture.start()
    const { sql } = fixture.db
    const meeting = await gather(sql, plenum, 3, open)
    const pages = await openPages(t, meeting, plenum, [0, 1, 2], 200)
    const [chair, ann] = pages
    chair.send(newPoll)
    await ann.until(({ poll }) => poll !== null)
    ann.vote(1)
    await tallied(chair, 0, 1)
    const before = await meeting.texts()

    await plenum.kill()
    await endPollIn(sql, meeting, -1)
    const second = await fixture.restart(plenum)
    await saw(pages, 'Answer "no": 1 vote')
    await chair.until(({ poll }) => poll === null)
    await second.kill()
    await fixture.restart(plenum)
    for (const page of pages) await returned(page, 2)
    chair.say('the end')
    await saw(pages, 'the end')

    assert.equal((await storedPoll(sql, meeting)).ending, 'time')
    assert.deepEqual(await meeting.texts(), [
      ...before,
      'Poll has completed',
      'Answer "yes": 0 votes',
      'Answer "no": 1 vote',
      'the end',
    ])
    const record = await meeting.record()
    for (const page of pages) assertShows(page.lines, record)
  })

  test('a poll that a restart interrupts ends when its time has come, not earlier and not anew', async (t) => {
    const fixture = await openServerFixture(t, { grace: 20 })
    const plenum = await fixture.start()
    const { sql } = fixture.db
    const meeting = await gather(sql, plenum, 2, open)
    const pages = await openPages(t, meeting, plenum, [0, 1], 200)
    const [chair, ann] = pages
    chair.send(newPoll)
    await ann.until(({ poll }) => poll !== null)
    await plenum.kill()
    await endPollIn(sql, meeting, 6)
    await fixture.restart(plenum)
    for (const page of pages) await returned(page)
    ann.vote(0)
    await tallied(chair, 1, 0)
    await saw(pages, 'Poll has completed', 12_000)
    const [late] = await sql<{ seconds: number }[]>`
      select extract(epoch from l.t - p.closes_at)::float8 seconds
      from membership_meetingmessagelog l join plenum.poll p using (meeting_id)
      where l.meeting_id = ${meeting.id} and l.message = 'Poll has completed'`
    assert.ok(late && late.seconds > -0.1 && late.seconds < 2, `${late?.seconds} seconds late`)
    await saw(pages, 'Answer "yes": 1 vote')
  })

  test('who attended, who has left and who was banned is known after a crash', async (t) => {
    const fixture = await openServerFixture(t, { grace: 6 })
    const plenum = await fixture.start()
    const { sql } = fixture.db
    const meeting = await gather(sql, plenum, 4, open)
    const [chair, gone, banned, stays] = await openPages(t, meeting, plenum, [0, 1, 2, 3], 200)
    gone.disconnect()
    await chair.until(({ people }) => people.size === 3)
    chair.send({ type: 'kick', user: meeting.user(2), canrejoin: false })
    await banned.until(({ state }) => state === 'stopped')
    await chair.until(({ people }) => people.size === 2)

    await plenum.kill()
    const restarted = await fixture.restart(plenum)
    for (const page of [chair, stays]) await returned(page)
    const status = await meetingStatus(restarted, meeting.id)
    const ids = (people: { uid: number }[] = []) => new Set(people.map(({ uid }) => uid))
    assert.deepEqual(ids(status?.members), new Set([meeting.user(0), meeting.user(3)]))
    assert.deepEqual(ids(status?.disconnectedmembers), new Set([meeting.user(1), meeting.user(2)]))
    assert.equal(await farewell(await meeting.connect(2)), 'You are not allowed to enter this meeting')
    const before = await meeting.texts()
    await meeting.enter(1)
    await saw([chair, stays], `Member ${meeting.name(1)} re-joined the meeting`)
    assert.deepEqual((await meeting.texts()).slice(before.length), [
      `Member ${meeting.name(1)} re-joined the meeting`,
    ])
  })

  test('a finished meeting whose members have gone while the server was down is closed', async (t) => {
    const fixture = await openServerFixture(t, { grace: 1 })
    const plenum = await fixture.start()
    const meeting = await gather(fixture.db.sql, plenum, 2, open)
    const pages = await openPages(t, meeting, plenum, [0, 1])
    const [chair] = pages
    chair.send({ type: 'finish' })
    await saw(pages, 'This meeting is now finished')
    await plenum.kill()
    for (const page of pages) page.leave()
    await fixture.restart(plenum)
    await until('the meeting is closed', async () => (await meeting.state()) === 3, 10_000)
    assert.equal(times(await meeting.texts(), `Member ${meeting.name(1)} left the meeting`), 1)
  })

  test('a finished meeting whose people were lost can be opened again, also after an outage', async (t) => {
    const fixture = await openServerFixture(t, { grace: 0.5, closeAfter: 3600 })
    let plenum = await fixture.start()
    const target = { socketUrl: (path: string) => plenum.socketUrl(path) }
    const meeting = await gather(fixture.db.sql, target, 2, open)
    const left = (n: number) => (texts: string[]) =>
      times(texts, `Member ${meeting.name(0)} left the meeting`) === n
    for (const [n, lose] of [
      async (chair: Member) => chair.reset(),
      async () => {
        await plenum.kill()
        plenum = await fixture.restart(plenum)
      },
    ].entries()) {
      const [chair, member] = await meeting.enterAll(0, 1)
      chair.send({ type: 'finish' })
      await chair.next('status', ({ data }) => data.isfinished)
      await member.close()
      await lose(chair)
      await until('the chair is given up', async () => left(2 * n + 1)(await meeting.texts()), 10_000)
      assert.equal(await meeting.state(), 2)
      const back = await meeting.enter(0)
      back.send({ type: 'open' })
      await until('it is open again', async () => (await meeting.state()) === 1)
      await back.close()
      await until('nobody is in', async () => left(2 * n + 2)(await meeting.texts()))
    }
  })

  test('crash after crash under talk: everyone has each line of the record once, and nobody has come or gone', async (t) => {
    const fixture = await openServerFixture(t, { grace: 30 })
    const plenum = await fixture.start()
    const meeting = await gather(fixture.db.sql, plenum, 5, open)
    const pages = await openPages(t, meeting, plenum, [0, 1, 2, 3, 4], 200)
    const arrivals = await meeting.texts()
    const quiet = talk(pages)
    t.after(quiet)
    let server = plenum
    for (let crash = 1; crash <= 3; crash++) {
      const { length } = pages[4].lines
      await pages[4].until(({ lines }) => lines.length > length + 100, 20_000)
      await server.kill()
      server = await fixture.restart(plenum)
      for (const page of pages) await returned(page, crash)
    }
    quiet()
    pages[0].say('the end')
    await saw(pages, 'the end', 20_000)
    const record = await meeting.record()
    for (const page of pages) assertShows(page.lines, record)
    const others = record.map(({ text }) => text).filter((text) => !/^\d says /.test(text))
    assert.deepEqual(others, [...arrivals, 'the end'])
  })

  test('SIGTERM under talk: what is under way is stored and sent, and the end is no close frame and no departure', async (t) => {
    const fixture = await openServerFixture(t, { grace: 30 })
    const plenum = await fixture.start()
    const { sql } = fixture.db
    const meeting = await gather(sql, plenum, 5, open)
    const pages = await openPages(t, meeting, plenum, [0, 1, 2, 3, 4])
    pages[0].send(newPoll)
    for (const page of pages) await page.until(({ poll }) => poll !== null)
    const before = await meeting.texts()
    // The chair does not vote, so that the poll goes on.
    const quiet = talk(pages.slice(1))
    t.after(quiet)
    await pages[4].until(({ lines }) => lines.length > 500, 20_000)
    assert.equal(await plenum.stop('SIGTERM', 10), 0)
    quiet()

    for (const page of pages) await page.until(({ closeCodes }) => closeCodes.length > 0)
    const record = await meeting.record()
    for (const page of pages) {
      assertShows(page.lines, record)
      assert.deepEqual(page.closeCodes, [1006])
      assert.deepEqual([...new Set(page.errors)], [])
      assert.equal(page.state, 'waiting')
    }
    const written = record.map(({ text }) => text).slice(before.length)
    const expected = /^\d says |^Member \d+ (voted|changed their vote to) (yes|no)$/
    assert.deepEqual(
      written.filter((text) => !expected.test(text)),
      [],
    )
    assert.deepEqual(
      await present(sql, meeting),
      meeting.members.map(({ id }) => id),
    )
    // What the record says of each one's vote is what is counted.
    const votes = await sql<{ name: string; answer: number }[]>`
      select m.fullname as name, v.answer from plenum.vote v join membership_member m on m.user_id = v.member_id`
    assert.equal(votes.length, 4)
    for (const { name, answer } of votes) {
      const last = written.findLast((text) => /voted|vote to/.test(text) && text.startsWith(`${name} `))
      assert.equal(last?.endsWith(newPoll.answers[answer] ?? '?'), true, `${name}: ${last}, stored ${answer}`)
    }

    await fixture.restart(plenum)
    for (const page of pages) await returned(page)
    pages[0].say('the end')
    await saw(pages, 'the end')
    const after = await meeting.record()
    assert.deepEqual(
      after.slice(record.length).map(({ text }) => text),
      ['the end'],
    )
    for (const page of pages) assertShows(page.lines, after)
  })

  test('SIGTERM with a database that does not answer: the end comes within 10 s all the same', async (t) => {
    const fixture = await openServerFixture(t)
    const plenum = await fixture.start()
    const meeting = await gather(fixture.db.sql, plenum, 2, open)
    const [chair, member] = await meeting.enterAll(0, 1)
    const held = await holdTransaction(fixture.db.url, (tx) => tx`lock table membership_meetingmessagelog`)
    member.say('this takes long')
    await held.waitedFor()
    const code = await plenum.stop('SIGTERM', 10)
    await held.rollback()
    assert.equal(code, 0)
    for (const one of [chair, member]) {
      assert.equal((await one.closed).code, 1006)
      assert.equal(one.texts().includes('this takes long'), false)
    }
  })

  test('a second signal ends the server at once', async (t) => {
    const fixture = await openServerFixture(t)
    const plenum = await fixture.start()
    const meeting = await gather(fixture.db.sql, plenum, 2, open)
    const [, member] = await meeting.enterAll(0, 1)
    const held = await holdTransaction(fixture.db.url, (tx) => tx`lock table membership_meetingmessagelog`)
    member.say('this takes long')
    await held.waitedFor()
    plenum.signal('SIGTERM')
    await plenum.logged(({ event }) => event === 'stopping')
    const begun = Date.now()
    const code = await plenum.stop('SIGTERM', 5)
    const lasted = Date.now() - begun
    await held.rollback()
    assert.equal(code, 1)
    // An end in order would have waited for the write, for eight seconds.
    assert.ok(lasted < patience(4000), `it took ${lasted} ms`)
    assert.equal((await member.closed).code, 1006)
  })

  test('SIGINT ends the server as SIGTERM does', async (t) => {
    const fixture = await openServerFixture(t)
    const plenum = await fixture.start()
    const meeting = await gather(fixture.db.sql, plenum, 1)
    const member = await meeting.enter(0)
    assert.equal(await plenum.stop('SIGINT', 10), 0)
    assert.equal((await member.closed).code, 1006)
    assert.deepEqual(await present(fixture.db.sql, meeting), [meeting.user(0)])
  })

  test('the file of a Unix socket is removed at the end', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'plenum-socket-'))
    t.after(() => rm(folder, { recursive: true, force: true }))
    const fixture = await openServerFixture(t)
    const path = join(folder, 'socket')
    const plenum = await fixture.start({ listen: path })
    const meeting = await gather(fixture.db.sql, plenum, 1)
    const member = await meeting.enter(0)
    assert.equal(existsSync(path), true)
    assert.equal(await plenum.stop(), 0)
    assert.equal(existsSync(path), false)
    assert.equal((await member.closed).code, 1006)
  })
})
