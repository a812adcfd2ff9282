import assert from 'node:assert/strict'
import { after, before, beforeEach, suite, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import type { Sql } from 'postgres'
import { pgeuSchema } from '../../demo/association.ts'
import type { Postgres } from '../../demo/postgres.ts'
import { createCluster } from '../../test/support/database.ts'
import { parseDatabaseUrl } from '../db/conninfo.ts'
import { createAssociation } from '../../test/support/database.ts'
import { leaveOutRows, refuseWrites } from '../../test/support/refused-writes.ts'
import { isRefused } from '../db/failure.ts'
import { codeOf, openPool } from '../db/pool.ts'
import { leftOutState, migrate } from '../db/schema.ts'
import type { Metrics } from '../edge/metrics.ts'
import { Conflict } from '../hub/room-rules.ts'
import { Poller } from './poller.ts'
import type { MeetingRoom } from './room.ts'
import { allowEntry, deleteBan, insertOperatorsBan } from './operate.ts'
import type { Write } from './rules/facts.ts'
import { meetingSchema } from './schema.ts'
import { commit } from './store/commit.ts'
import { beginReading, type Fence, readMeeting } from './store/load.ts'

let pg: Postgres
let sql: Sql

before(async () => {
  pg = (await createCluster()).postgres
  const options = parseDatabaseUrl(pg.url('postgres'), {}, { osUser: '', home: '', readFile: () => null })
  sql = openPool(options, { max: 2, timezone: null })
  await sql.unsafe(pgeuSchema)
  await migrate(sql, [meetingSchema.migrations])
})

after(async () => {
  await sql?.end({ timeout: 1 })
  await pg?.remove()
})

async function addMeeting(lines: number): Promise<number> {
  const [meeting] = await sql<{ id: number }[]>`
    insert into membership_meeting (name, dateandtime, allmembers, meetingtype, state)
    values ('Meeting', now(), true, 1, 1) returning id::int`
  const id = meeting?.id ?? 0
  await sql`
    insert into membership_meetingmessagelog (t, message, meeting_id)
    select now() + n * interval '1 ms', 'line', ${id} from generate_series(1, ${lines}::int) n`
  return id
}

test('an old meeting is read without a look at the lines of those that came after it', async () => {
  const old = await addMeeting(30)
  await addMeeting(20_000)
  await sql`analyze membership_meetingmessagelog`
  const { rows, lastId } = await sql.begin(async (tx) => {
    const stored = await readMeeting(tx, old)
    // Of this transaction, what was taken from the table and from its indexes.
    const [read] = await tx<{ rows: number }[]>`
      select sum(pg_stat_get_xact_tuples_returned(c.oid))::int as rows from pg_class c
      where c.oid = 'membership_meetingmessagelog'::regclass
        or c.oid in (select indexrelid from pg_index where indrelid = 'membership_meetingmessagelog'::regclass)`
    return { rows: read?.rows ?? 0, lastId: stored?.lastLine.id }
  })
  const [last] = await sql<{ id: number }[]>`
    select max(id)::int id from membership_meetingmessagelog where meeting_id = ${old}`
  assert.equal(lastId, last?.id)
  assert.ok(rows >= 30 && rows < 200, `${rows} rows were read for a meeting of 30 lines`)
})

test('the ids of commands are forgotten at the beginning and every hour, of meetings too that nobody reads', async (t) => {
  const add = (ago: string, id: string): Promise<unknown> =>
    sql`insert into plenum.command (meeting_id, member_id, id, done_at) values (7, 1, ${id}, now() - ${ago}::text::interval)`
  const ids = async (): Promise<string[]> =>
    (await sql<{ id: string }[]>`select id from plenum.command order by id`).map(({ id }) => id)
  await sql`
    insert into plenum.command (meeting_id, member_id, id, done_at)
    select 7, 2, n::text, now() - interval '2 hours' from generate_series(1, 10001) n`
  await add('59 minutes', 'young')
  let now = 0
  let looks = 0
  const logged: string[] = []
  const poller = new Poller({
    sql,
    retry: (work) => work(),
    clock: () => now,
    log: ({ event }) => logged.push(event),
    metrics: { databaseFailed: () => assert.fail('the database answers') } as unknown as Metrics,
    pollMs: 10,
    rooms: () => new Map(),
    open: () => assert.fail('no meeting is under way'),
    onZone: () => looks++,
  })
  t.after(() => poller.close())
  await poller.ready
  assert.deepEqual(await ids(), ['young'])
  await add('61 minutes', 'old')
  const until = async (look: () => boolean | Promise<boolean>): Promise<void> => {
    for (const end = performance.now() + 20_000; !(await look()); await wait(10))
      assert.ok(performance.now() < end, 'not within 20 s')
  }
  const before = looks
  await until(() => looks > before + 3)
  assert.deepEqual(await ids(), ['old', 'young'])
  now += 3_600_000
  await until(async () => (await ids()).length === 1)
  assert.deepEqual(await ids(), ['young'])
  // Where that is refused the database is not lost: meetings are followed.
  const allow = await refuseWrites(sql, 'delete on plenum.command', 'true')
  await add('61 minutes', 'kept')
  now += 3_600_000
  await until(() => logged.length > 0)
  const since = looks
  await until(() => looks > since + 3)
  assert.deepEqual([logged, poller.failing], [['commandsNotForgotten'], false])
  await allow()
  await sql`delete from plenum.command`
})

test('what the site said is followed by the room that asked, and by no other that has come into its place', async (t) => {
  const meeting = await addMeeting(0)
  const followed: string[] = []
  const roomOf = (name: string) => ({
    revision: 5,
    siteFingerprint: '',
    screens: [],
    followSite: () => followed.push(name),
    wake: () => undefined,
  })
  const rooms = new Map([[meeting, roomOf('the first')]])
  const poller = (): Poller => {
    const made = new Poller({
      sql,
      retry: (work) => work(),
      clock: () => 0,
      log: () => undefined,
      metrics: { databaseFailed: () => assert.fail('the database answers') } as unknown as Metrics,
      pollMs: 60_000,
      rooms: () => rooms as unknown as ReadonlyMap<number, MeetingRoom>,
      open: () => roomOf('one that goes on') as unknown as MeetingRoom,
      onZone: () => undefined,
    })
    t.after(() => made.close())
    return made
  }
  await poller().ready
  assert.deepEqual(followed, ['the first'])
  // The look waits for the table; meanwhile the room is forgotten, and there is another.
  const late = await sql.begin(async (tx) => {
    await tx`lock table membership_meeting in access exclusive mode`
    const looking = poller()
    rooms.set(meeting, roomOf('the second'))
    return { looking }
  })
  await late.looking.ready
  assert.deepEqual(followed, ['the first'])
})

suite('what a trigger of the site leaves out without an error', () => {
  let meeting = 0
  let members: number[] = []
  let fence: Fence
  before(async () => {
    await sql`insert into plenum.lease (door, epoch) values ('meetings', 1)`
    await sql`insert into country values ('SE', 'Sweden')`
    members = (await createAssociation(sql, 3)).map(({ id }) => id)
    assert.deepEqual(members, [1, 2, 3])
  })
  beforeEach(async () => {
    meeting = await addMeeting(0)
    await sql`
      insert into membership_membermeetingkey (key, meeting_id, member_id)
      select ${meeting} || '-' || id, ${meeting}, id from unnest(${members}::bigint[]) id`
    fence = await beginReading(sql, '1', meeting)
  })

  const write = (what: Write) => commit(sql, fence, what, null)
  const poll = { question: 'Shall we?', answers: ['yes', 'no'], minutes: 1, by: 1 }
  const picture = async (): Promise<unknown> => {
    const { poll, done, endedPolls, ...stored } = (await readMeeting(sql, meeting)) ?? {}
    const [keys] = await sql<{ allowed: number[] }[]>`
      select coalesce(json_agg(member_id order by member_id), '[]') allowed from membership_membermeetingkey
      where meeting_id = ${meeting} and allowrejoin`
    return {
      ...stored,
      ...keys,
      poll: poll && { ...poll, endsInMs: 0 },
      done: done?.map(({ id }) => id),
      endedPolls: endedPolls?.length,
    }
  }

  async function isRefusedWhole(
    what: string,
    work: () => Promise<unknown>,
    condition = 'true',
  ): Promise<void> {
    const before = await picture()
    const allow = await leaveOutRows(sql, what, condition)
    try {
      await assert.rejects(work, (error) => isRefused(error) && codeOf(error) === leftOutState, what)
      assert.deepEqual(await picture(), before, what)
    } finally {
      await allow()
    }
    await work()
    assert.notDeepEqual(await picture(), before, what)
  }

  test('undoes all of a commit, and is a refusal: of lines, ids, state, presence, bans, polls and votes', async () => {
    const lines = [{ sender: null, text: 'line' }]
    const done = [{ member: 1, id: 'a' }]
    const key = 'update on membership_membermeetingkey'
    await isRefusedWhole('insert on membership_meetingmessagelog', () => write({ lines }))
    await isRefusedWhole('insert or update on plenum.command', () => write({ lines, done }))
    await isRefusedWhole('insert or update on plenum.command', () =>
      write({ lines: [], done: [{ member: 1, id: 'b' }] }),
    )
    await isRefusedWhole(
      'insert on plenum.attendance',
      () => write({ lines, attend: [1, 2] }),
      'new.member_id = 2',
    )
    await isRefusedWhole(key, () => write({ lines, attend: [2, 3] }), 'new.member_id = 3')
    await isRefusedWhole(
      'update on plenum.attendance',
      () => write({ lines, depart: [1, 2] }),
      'new.member_id = 1',
    )
    await isRefusedWhole('insert on plenum.ban', () => write({ lines, ban: { member: 1, by: 2 } }))
    await isRefusedWhole(key, () => write({ lines, ban: { member: 2, by: 3 } }))
    await isRefusedWhole('insert on plenum.poll', () => write({ lines, openPoll: poll }))
    const id = (await readMeeting(sql, meeting))?.poll?.id ?? 0
    const cast = [1, 2].map((member) => ({ member, answer: 0 }))
    await isRefusedWhole(
      'insert on plenum.vote',
      () => write({ lines, votes: { poll: id, cast } }),
      'new.member_id = 2',
    )
    await isRefusedWhole('update on plenum.poll', () => write({ lines, endPoll: { id, ending: 'aborted' } }))
    await isRefusedWhole('update on membership_meeting', () =>
      write({ lines, state: { from: 'open', to: 'finished' } }),
    )
  })

  test('of a reading is refused: what is decided on it could never be stored', async () => {
    const allow = await leaveOutRows(sql, 'update on plenum.lease')
    await assert.rejects(beginReading(sql, '1', meeting), (error) => codeOf(error) === leftOutState)
    await allow()
    await beginReading(sql, '1', meeting)
  })

  test('of what an operator does is an error, and nothing of it is done', async () => {
    const key = 'update on membership_membermeetingkey'
    await isRefusedWhole(key, () => allowEntry(sql, meeting, 1))
    await isRefusedWhole('insert on plenum.ban', () => insertOperatorsBan(sql, meeting, 1))
    await isRefusedWhole('delete on plenum.ban', () => deleteBan(sql, meeting, 1), 'old.member_id = 1')
    await isRefusedWhole(key, () => insertOperatorsBan(sql, meeting, 1))
    assert.equal(await insertOperatorsBan(sql, meeting, 1), false)
  })

  test('is told apart from what was changed elsewhere, which is a conflict', async () => {
    const lines = [{ sender: null, text: 'line' }]
    const { poll: opened } = await write({ lines, openPoll: poll })
    const before = await picture()
    const gone = { id: -1, ending: 'aborted' } as const
    for (const what of [
      { state: { from: 'pending', to: 'open' } },
      { openPoll: poll },
      { endPoll: gone },
      { votes: { poll: -1, cast: [{ member: 1, answer: 0 }] } },
    ] satisfies Partial<Write>[])
      await assert.rejects(write({ lines, ...what }), Conflict, JSON.stringify(what))
    assert.deepEqual(await picture(), before)
    // Who was banned, or has gone, is so.
    await insertOperatorsBan(sql, meeting, 1)
    await write({ lines, ban: { member: 1, by: 2 }, depart: [3] })
    assert.ok(opened)
  })
})
