import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { TestContext } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import type { Sql } from 'postgres'
import { lockSpace, locks } from '../../src/db/schema.ts'
import { openForwarder } from '../support/forwarder.ts'
import { gather, settle } from '../support/gathering.ts'
import type { Gathering } from '../support/gathering.ts'
import { hold } from '../support/hold.ts'
import { assertShows, openHouse } from '../support/house.ts'
import type { Member } from '../support/member.ts'
import { until } from '../support/until.ts'

const unavailable = 'The meeting database is not available, please try again'
const newPoll = { type: 'newpoll', question: 'Shall we?', answers: ['yes', 'no'], minutes: 5 }
const open = { state: 1, allowrejoin: true } as const

const errorsOf = (member: Member): string[] =>
  member.frames.flatMap((frame) => (frame.type === 'error' ? [frame.msg] : []))

const voteFor = (vote: number) => ({ type: 'vote', question: newPoll.question, vote })

async function assertAllSaw(meeting: Gathering, members: Member[]): Promise<void> {
  const record = await meeting.record()
  for (const member of members) {
    assert.equal(member.isClosed, false, 'somebody was disconnected')
    assertShows(member.lines(), record)
  }
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
  suite('a write that outlives its connection', { concurrency: 4 }, () => {
    /** A meeting with a poll under way, whose server reaches the database by a way that can be cut. */
    async function meet(t: TestContext, parameters: Record<string, string> = {}) {
      const halted: number[] = []
      const goOn = (): void => {
        for (const pid of halted.splice(0)) process.kill(pid, 'SIGCONT')
      }
      // The house's database cannot be dropped while its sessions are halted.
      t.after(goOn)
      const house = await openHouse(t, { grace: 2 })
      const { sql, url } = house.db
      const forwarder = await openForwarder(Number(new URL(url).port))
      t.after(() => forwarder.close())
      const plenum = await house.start({ database: urlWith(url, { port: forwarder.port, parameters }) })
      const meeting = await gather(sql, plenum, 4, open)
      const members = await meeting.enterAll(0, 1, 2)
      members[0].send(newPoll)
      for (const member of members) await member.next('poll', ({ data }) => data !== null)
      await settle(...members)
      return {
        house,
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
          hold(
            url,
            (tx) => tx`select from membership_member where user_id = ${meeting.user(index)} for update`,
          ),
        holdAll: () =>
          hold(url, (tx) => tx`select from membership_meeting where id = ${meeting.id} for update`),
      }
    }

    /** Everybody votes, a newcomer too, and sees the same record and a result that is what is stored. */
    async function assertOneTruth(meeting: Gathering, members: readonly Member[], sql: Sql): Promise<void> {
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
        const { house, meeting, members, cut, holdLinesOf, holdAll } = await meet(t)
        const [chair, ann, bob] = members
        const before = await meeting.texts()
        const held = await (what === 'line' ? holdLinesOf(1) : holdAll())
        ann.send(command)
        await held.waitedFor()
        cut()
        assert.equal((await ann.next('error')).msg, unavailable)
        bob.say('said after it')
        await wait(1500)
        await held.rollback()
        for (const member of members) await member.line('said after it')
        const text = what === 'line' ? 'late' : `${meeting.name(1)} voted yes`
        assert.deepEqual(await meeting.texts(), [...before, text, 'said after it'])
        await assertAllSaw(meeting, members)
        assert.deepEqual([chair, bob].flatMap(errorsOf), [])
        await assertOneTruth(meeting, members, house.db.sql)
      })

      test(`a ${what} that the database reads later is not done any more`, async (t) => {
        const { house, meeting, members, cut, haltSessions, letSessionsEnd } = await meet(t)
        const [chair, ann, bob] = members
        const before = await meeting.texts()
        await haltSessions()
        ann.send(command)
        await ann.caughtUp()
        await wait(100) // it lies before the halted session
        cut()
        assert.equal((await ann.next('error')).msg, unavailable)
        bob.say('said after it')
        for (const member of members) await member.line('said after it')
        await letSessionsEnd()
        await settle(bob, chair, ann)
        assert.deepEqual(await meeting.texts(), [...before, 'said after it'])
        await assertAllSaw(meeting, members)
        await assertOneTruth(meeting, members, house.db.sql)
      })
    }

    test('one that waits for longer than a statement may: its meeting is told so, others go on, and then all does', async (t) => {
      const { house, plenum, meeting, members, cut, holdLinesOf } = await meet(t, {
        statement_timeout: '1000',
      })
      const [chair, ann, bob] = members
      const others = await gather(house.db.sql, plenum, 2, open)
      const elsewhere = await others.enterAll(0, 1)
      const held = await holdLinesOf(1)
      ann.say('late')
      await held.waitedFor()
      cut()
      assert.equal((await ann.next('error')).msg, unavailable)
      // The cut has met them too.
      await elsewhere[0].next('users', undefined, 5000)
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
