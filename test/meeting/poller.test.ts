import assert from 'node:assert/strict'
import { after, suite, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { newKey } from '../../demo/association.ts'
import { createCluster, createDatabase } from '../support/database.ts'
import { farewell, gather, settle, shown, toldDuring } from '../support/meeting-fixture.ts'
import type { MeetingFixture, MeetingFixtureOptions } from '../support/meeting-fixture.ts'
import { holdTransaction } from '../support/held-transaction.ts'
import { join } from '../support/meeting-client.ts'
import type { Frame, Member, Target } from '../support/meeting-client.ts'
import { startPlenum } from '../support/server.ts'
import { meetingStatus } from '../support/status.ts'
import { until } from '../support/until.ts'

const graceSeconds = 2
const pollSeconds = 0.3
const db = await createDatabase()
const { sql } = db
const plenum = await startPlenum({
  database: db.url,
  grace: graceSeconds,
  poll: pollSeconds,
  flags: ['-rate', '0'],
})
after(async () => {
  await plenum.stop()
  await db.drop()
})

const notAllowed = 'You are not allowed to enter this meeting'
const gone = 'This meeting no longer exists'
const pending: Frame = { type: 'status', data: { isopen: false, isfinished: false } }
const open: Frame = { type: 'status', data: { isopen: true, isfinished: false } }
const finished: Frame = { type: 'status', data: { isopen: false, isfinished: true } }

const meet = (size: number, options: MeetingFixtureOptions = {}): Promise<MeetingFixture> =>
  gather(sql, plenum, size, { allowrejoin: true, ...options })

const byNumber = (a: number, b: number): number => a - b
const isStatus = ({ type }: Frame): boolean => type === 'status'

const setState = async (meeting: MeetingFixture, state: 0 | 1 | 2 | 3): Promise<unknown> =>
  await sql`update membership_meeting set state = ${state} where id = ${meeting.id}`

async function showsStatus(member: Member, status: Frame): Promise<void> {
  assert.deepEqual(await member.next('status'), status)
}

async function refused(member: Member): Promise<string> {
  return (await member.next('error')).msg
}

async function post(chair: Member, ...others: Member[]): Promise<void> {
  chair.send({ type: 'newpoll', question: 'Accept the report?', answers: ['Yes', 'No'], minutes: 10 })
  for (const member of [chair, ...others]) await shown(member)
}

const left = (meeting: MeetingFixture, index: number): string =>
  `Member ${meeting.name(index)} left the meeting`

async function removeMeeting({ id }: MeetingFixture, from = sql): Promise<void> {
  await from.begin(async (tx) => {
    await tx`delete from membership_membermeetingkey where meeting_id = ${id}`
    await tx`delete from membership_meetingmessagelog where meeting_id = ${id}`
    await tx`delete from membership_meeting_meetingadmins where meeting_id = ${id}`
    await tx`delete from membership_meeting where id = ${id}`
  })
}

suite('what the site changes', { concurrency: 6 }, () => {
  test('a state that was changed elsewhere is told to all, and nothing is written', async () => {
    const meeting = await meet(2)
    const pages = await meeting.enterAll(0, 1)
    for (const page of pages) await showsStatus(page, pending)
    const before = await meeting.texts()
    for (const [state, status] of [
      [1, open],
      [2, finished],
      [1, open],
      [0, pending],
    ] as const) {
      await setState(meeting, state)
      for (const page of pages) await showsStatus(page, status)
    }
    assert.deepEqual(await meeting.texts(), before)

    await setState(meeting, 1)
    const [chair] = pages
    await showsStatus(chair, open)
    chair.send({ type: 'open' })
    assert.equal(await refused(chair), 'Meeting is already open')
    chair.send({ type: 'finish' })
    await showsStatus(chair, finished)
    assert.equal(await meeting.state(), 2)
  })

  for (const [state, status] of [
    [0, pending],
    [2, finished],
    [3, pending],
  ] as const)
    test(`a poll ends with its result when the site sets the open meeting to state ${state}`, async () => {
      const meeting = await meet(3, { state: 1 })
      const [chair, voter, member] = await meeting.enterAll(0, 1, 2)
      await post(chair, voter, member)
      voter.send({ type: 'vote', question: 'Accept the report?', vote: 1 })
      await shown(member, ({ tally }) => tally[1] === 1)
      const from = member.frames.length
      await setState(meeting, state)
      await member.line('Answer "No": 1 vote')
      await voter.line('Answer "No": 1 vote')
      const told = member.frames.slice(from)
      assert.deepEqual(
        told.filter(({ type }) => type === 'status' || type === 'poll'),
        [status, { type: 'poll', data: null }],
      )
      assert.deepEqual((await meeting.texts()).slice(-3), [
        'Poll has completed',
        'Answer "Yes": 0 votes',
        'Answer "No": 1 vote',
      ])
      const underWay =
        await sql`select from plenum.poll where meeting_id = ${meeting.id} and ended_at is null`
      assert.equal(underWay.length, 0)
      assert.equal(await meeting.state(), state)
    })

  test('a new admin is one from then on, and who is no longer one may no more', async () => {
    const meeting = await meet(3, { state: 1 })
    const [chair, member, voter] = await meeting.enterAll(0, 1, 2)
    await post(chair, member, voter)
    voter.send({ type: 'vote', question: 'Accept the report?', vote: 0 })
    assert.equal((await shown(member, ({ tally }) => tally[0] === 1)).voted, null)
    member.send({ type: 'abortpoll' })
    assert.equal(await refused(member), 'Permission denied')

    await sql`
      insert into membership_meeting_meetingadmins (meeting_id, member_id)
      values (${meeting.id}, ${meeting.user(1)})`
    assert.deepEqual((await shown(member)).voted, [meeting.user(2)])
    assert.equal((await meetingStatus(plenum, meeting.id))?.members.filter(({ admin }) => admin).length, 2)
    member.send({ type: 'kick', user: meeting.user(0), canrejoin: true })
    assert.equal(await farewell(chair), 'You have been forcibly disconnected from this meeting')

    await sql`
      delete from membership_meeting_meetingadmins
      where meeting_id = ${meeting.id} and member_id = ${meeting.user(1)}`
    assert.equal((await shown(member)).voted, null)
    for (const type of ['abortpoll', 'finish']) {
      member.send({ type })
      assert.equal(await refused(member), 'Permission denied')
    }
    assert.equal(await meeting.state(), 1)
    const nobodyElse = voter.frames.filter((frame) => frame.type === 'poll' && frame.data?.voted)
    assert.deepEqual(nobodyElse, [])
  })

  test('who has lost his key is out, and the others see him leave', async () => {
    const meeting = await meet(3)
    const [chair, member, away] = await meeting.enterAll(0, 1, 2)
    await away.reset()
    const from = chair.frames.length
    await sql`
      delete from membership_membermeetingkey
      where meeting_id = ${meeting.id} and member_id <> ${meeting.user(0)}`
    assert.equal(await farewell(member), notAllowed)
    await chair.line(left(meeting, 1))
    await chair.line(left(meeting, 2))
    await settle(chair)
    assert.deepEqual(
      chair.frames
        .slice(from)
        .flatMap((frame) => (frame.type === 'removeuser' ? [frame.data.id] : []))
        .sort(byNumber),
      [meeting.user(1), meeting.user(2)],
    )
    assert.equal(await farewell(await meeting.connect(1)), notAllowed)
    const inside = await sql<{ member_id: number }[]>`
      select member_id from plenum.attendance where meeting_id = ${meeting.id} and left_at is null`
    assert.deepEqual(
      inside.map((row) => row.member_id),
      [meeting.user(0)],
    )
  })

  const assignProxy = async (meeting: MeetingFixture, index: number): Promise<string> => {
    const key = newKey()
    await sql`
      update membership_membermeetingkey set key = ${key}, proxyname = 'Pat Proxy'
      where meeting_id = ${meeting.id} and member_id = ${meeting.user(index)}`
    return key
  }
  const proxyJoined = (meeting: MeetingFixture): string =>
    `Member ${meeting.name(1)} re-joined the meeting (through proxy Pat Proxy)`
  const enterWith = async (meeting: MeetingFixture, key: string): Promise<Member> => {
    const member = await join(plenum, meeting.id, key)
    await member.next('messages')
    return member
  }

  test('who has got another key is out, and his proxy comes in by the new one', async () => {
    const meeting = await meet(2, { state: 1 })
    const [chair, member] = await meeting.enterAll(0, 1)
    const key = await assignProxy(meeting, 1)
    assert.equal(await farewell(member), notAllowed)
    await chair.line(left(meeting, 1))
    const proxy = await enterWith(meeting, key)
    await chair.line(proxyJoined(meeting))
    const [list] = proxy.frames
    assert.deepEqual(list?.type === 'users' && list.data.users.map(({ id }) => id).sort(byNumber), [
      meeting.user(0),
      meeting.user(1),
    ])
    assert.equal(await farewell(await meeting.connect(1)), notAllowed)
    await settle(proxy, chair)
  })

  test('a proxy who comes in before the change was noticed takes over and stays', async () => {
    const meeting = await meet(2, { state: 1 })
    const [chair, member] = await meeting.enterAll(0, 1)
    const key = await assignProxy(meeting, 1)
    const proxy = await enterWith(meeting, key)
    await farewell(member)
    await chair.line(proxyJoined(meeting))
    // The next change is noticed after this one.
    await setState(meeting, 2)
    await proxy.next('status', ({ data }) => data.isfinished)
    await settle(proxy, chair)
    const status = await meetingStatus(plenum, meeting.id)
    assert.deepEqual(
      status?.members.map(({ uid }) => uid),
      [meeting.user(0), meeting.user(1)],
    )
  })

  test('who may not return to an open meeting any more is out, but for admins', async () => {
    const meeting = await meet(3, { state: 1 })
    const [chair, member, other] = await meeting.enterAll(0, 1, 2)
    await sql`
      update membership_membermeetingkey set allowrejoin = false
      where meeting_id = ${meeting.id} and member_id <> ${meeting.user(2)}`
    assert.equal(await farewell(member), notAllowed)
    await chair.line(left(meeting, 1))
    assert.equal(
      await farewell(await meeting.connect(1)),
      'This meeting is already in progress and can no longer be joined.',
    )
    await settle(chair, other)
    assert.ok(!chair.texts().includes(left(meeting, 0)))
    assert.ok(!chair.texts().includes(left(meeting, 2)))
  })

  test('a meeting that has not begun does not ask who may return', async () => {
    const meeting = await meet(2)
    const [chair, member] = await meeting.enterAll(0, 1)
    await showsStatus(chair, pending)
    await sql`update membership_membermeetingkey set allowrejoin = false where meeting_id = ${meeting.id}`
    // Noticed together with it or later.
    await setState(meeting, 2)
    await showsStatus(chair, finished)
    await settle(member, chair)
    assert.ok(!chair.texts().includes(left(meeting, 1)))
  })

  test('a new name disturbs nobody', async () => {
    const meeting = await meet(2)
    const [chair, member] = await meeting.enterAll(0, 1)
    await settle(chair, member)
    const told = await toldDuring(chair, member, async () => {
      await sql`update membership_meeting set name = 'General Assembly' where id = ${meeting.id}`
      await wait(3000 * pollSeconds)
      await setState(meeting, 1)
      await chair.next('status', ({ data }) => data.isopen)
    })
    assert.deepEqual(told, [open])
  })

  const makeIrc = async ({ id }: MeetingFixture): Promise<unknown> =>
    await sql`update membership_meeting set meetingtype = 0 where id = ${id}`
  for (const [what, remove] of [
    ['was deleted', removeMeeting],
    ['is no longer a web meeting', makeIrc],
  ] as const) {
    test(`a meeting that ${what} ends`, async () => {
      const meeting = await meet(2, { state: 1 })
      const [chair, member] = await meeting.enterAll(0, 1)
      const before = await meeting.texts()
      await remove(meeting)
      assert.equal(await farewell(chair), gone)
      assert.equal(await farewell(member), gone)
      assert.equal(await farewell(await meeting.connect(0)), notAllowed)
      await until(
        'the room is forgotten',
        async () => (await meetingStatus(plenum, meeting.id)) === undefined,
      )
      if (remove === makeIrc) assert.deepEqual(await meeting.texts(), before)
    })

    test(`a meeting that ${what} during a poll is forgotten at once too`, async () => {
      const meeting = await meet(2, { state: 1 })
      const [chair, member] = await meeting.enterAll(0, 1)
      await post(chair, member)
      await remove(meeting)
      assert.equal(await farewell(member), gone)
      await until(
        'the room is forgotten',
        async () => (await meetingStatus(plenum, meeting.id)) === undefined,
      )
    })
  }

  test('a finished meeting that is no longer a web meeting is left as it is', async () => {
    const meeting = await meet(2, { state: 1 })
    const [chair, member] = await meeting.enterAll(0, 1)
    await setState(meeting, 2)
    await chair.next('status', ({ data }) => data.isfinished)
    await makeIrc(meeting)
    assert.equal(await farewell(member), gone)
    await until('the room is forgotten', async () => (await meetingStatus(plenum, meeting.id)) === undefined)
    assert.equal(await meeting.state(), 2)
  })

  test('a finished meeting is closed when the last one leaves', async () => {
    const meeting = await meet(2, { state: 1 })
    const [chair, member] = await meeting.enterAll(0, 1)
    chair.send({ type: 'finish' })
    await member.next('status', ({ data }) => data.isfinished)
    await chair.close()
    await member.line(left(meeting, 0))
    await settle(member)
    assert.equal(await meeting.state(), 2)
    await member.close()
    await until('the meeting is closed', async () => (await meeting.state()) === 3)
    assert.equal(
      await farewell(await meeting.connect(0)),
      'This meeting is already finished and can no longer be joined.',
    )
  })

  test('a finished meeting is not closed as long as its last one may come back', async () => {
    const meeting = await meet(1, { state: 1 })
    const [chair] = await meeting.enterAll(0)
    chair.send({ type: 'finish' })
    await chair.next('status', ({ data }) => data.isfinished)
    await chair.reset()
    const again = await meeting.enter(0)
    await wait((graceSeconds + 2 * pollSeconds) * 1000)
    assert.equal(await meeting.state(), 2)
    await settle(again)

    await again.reset()
    await until('the meeting is closed', async () => (await meeting.state()) === 3, 10_000)
    assert.equal((await meeting.texts()).at(-1), left(meeting, 0), 'the grace time is waited for')
  })

  test('a finished meeting in which nobody is gets closed, other meetings do not', async () => {
    const [deserted, irc, notBegun, begun] = await Promise.all([
      meet(1, { state: 2 }),
      meet(1, { state: 2, meetingtype: 0 }),
      meet(1, { state: 0 }),
      meet(1, { state: 1 }),
    ])
    await until('the meeting is closed', async () => (await deserted.state()) === 3)
    assert.deepEqual(await Promise.all([irc, notBegun, begun].map((meeting) => meeting.state())), [2, 0, 1])
    assert.deepEqual(await deserted.texts(), [])
  })

  test('a finished meeting whose last one left while no server ran is closed by the next', async () => {
    const own = await createDatabase()
    const start = (): ReturnType<typeof startPlenum> =>
      startPlenum({ database: own.url, grace: 1, poll: pollSeconds })
    let current = await start()
    after(async () => {
      await current.stop()
      await own.drop()
    })
    const target: Target = { socketUrl: (path) => current.socketUrl(path) }
    const meeting = await gather(own.sql, target, 2, { state: 1, allowrejoin: true })
    const [chair, member] = await meeting.enterAll(0, 1)
    chair.send({ type: 'finish' })
    await member.next('status', ({ data }) => data.isfinished)
    await current.kill()
    assert.equal(await meeting.state(), 2)
    current = await start()
    await until('the meeting is closed', async () => (await meeting.state()) === 3, 10_000)
    assert.deepEqual((await meeting.texts()).slice(-2).sort(), [left(meeting, 0), left(meeting, 1)])
  })

  test('the site opens the meeting while `open` is on its way: it is opened once', async () => {
    const meeting = await meet(2)
    const [chair, member] = await meeting.enterAll(0, 1)
    await showsStatus(member, pending)
    const before = await meeting.texts()
    const site = await holdTransaction(
      db.url,
      (tx) => tx`update membership_meeting set state = 1 where id = ${meeting.id}`,
    )
    chair.send({ type: 'open' })
    await site.waitedFor()
    await site.commit()
    assert.equal(await refused(chair), 'Meeting is already open')
    await showsStatus(member, open)
    assert.deepEqual(await meeting.texts(), before)
    await settle(chair, member)
  })

  test('a change of the site that is undone is none', async () => {
    const meeting = await meet(2)
    const [chair, member] = await meeting.enterAll(0, 1)
    await showsStatus(member, pending)
    const site = await holdTransaction(
      db.url,
      (tx) => tx`update membership_meeting set state = 3 where id = ${meeting.id}`,
    )
    chair.send({ type: 'open' })
    await site.waitedFor()
    await site.rollback()
    await showsStatus(member, open)
    await member.line('This meeting is now open')
    assert.equal(await meeting.state(), 1)
  })

  test('the site closes the meeting while `finish` is on its way: it stays closed', async () => {
    const meeting = await meet(2, { state: 1 })
    const [chair, member] = await meeting.enterAll(0, 1)
    const before = await meeting.texts()
    const site = await holdTransaction(
      db.url,
      (tx) => tx`update membership_meeting set state = 3 where id = ${meeting.id}`,
    )
    chair.send({ type: 'finish' })
    await site.waitedFor()
    await site.commit()
    assert.equal(await refused(chair), 'This meeting is closed')
    await member.next('status', ({ data }) => !data.isopen)
    assert.equal(await meeting.state(), 3)
    assert.deepEqual(await meeting.texts(), before)
  })

  test('the site opens the meeting in the moment of `open`: the lines are there once or not at all', async () => {
    await Promise.all(
      Array.from({ length: 20 }, async (_, round) => {
        const meeting = await meet(2)
        const [chair, member] = await meeting.enterAll(0, 1)
        await showsStatus(member, pending)
        const before = await meeting.texts()
        if (round % 2 === 0) chair.send({ type: 'open' })
        const changed = setState(meeting, 1)
        if (round % 2 === 1) chair.send({ type: 'open' })
        await changed
        await showsStatus(member, open)
        await settle(chair, member)
        const added = (await meeting.texts()).slice(before.length).filter((text) => !text.startsWith('mark '))
        const errors = chair.frames.flatMap((frame) => (frame.type === 'error' ? [frame.msg] : []))
        const opened = [
          'This meeting is now open',
          'Anything sent from now on will be part of the permanent record',
        ]
        assert.deepEqual(
          { added, errors },
          errors.length === 0
            ? { added: opened, errors }
            : { added: [], errors: ['Meeting is already open'] },
        )
        assert.equal(await meeting.state(), 1)
        for (const page of [chair, member]) {
          const texts = page.texts()
          assert.equal(new Set(texts).size, texts.length, 'no line is told twice')
        }
      }),
    )
  })

  test('a poll that is posted in the moment in which the site finishes the meeting does not stay', async () => {
    const meeting = await meet(2, { state: 1 })
    const [chair, member] = await meeting.enterAll(0, 1)
    await setState(meeting, 2)
    chair.send({ type: 'newpoll', question: 'Accept the report?', answers: ['Yes', 'No'], minutes: 10 })
    await member.next('status', ({ data }) => data.isfinished)
    await settle(chair, member)
    const underWay = await sql`select from plenum.poll where meeting_id = ${meeting.id} and ended_at is null`
    assert.equal(underWay.length, 0)
    assert.equal(member.frames.findLast((frame) => frame.type === 'poll')?.data, null)
  })

  test('the site deletes the meeting while a line is on its way: it ends', async () => {
    const [meeting, neighbour] = await Promise.all([meet(2, { state: 1 }), meet(1)])
    const [chair, member] = await meeting.enterAll(0, 1)
    const [other] = await neighbour.enterAll(0)
    const site = await holdTransaction(db.url, async (tx) => {
      await tx`delete from membership_membermeetingkey where meeting_id = ${meeting.id}`
      await tx`delete from membership_meetingmessagelog where meeting_id = ${meeting.id}`
      await tx`delete from membership_meeting_meetingadmins where meeting_id = ${meeting.id}`
      await tx`delete from membership_meeting where id = ${meeting.id}`
    })
    member.say('Is anyone here?')
    await site.waitedFor()
    await site.commit()
    assert.equal(await farewell(member), gone)
    assert.equal(await farewell(chair), gone)
    assert.ok(!chair.texts().includes('Is anyone here?'))
    await settle(other)
  })

  test('what the site changes is noticed while members come and go all the time', async () => {
    const visitors = 6
    const meeting = await meet(visitors + 2)
    const [chair, member] = await meeting.enterAll(0, 1)
    await showsStatus(chair, pending)
    let visits = 0
    let over = false
    const visit = async (index: number): Promise<void> => {
      while (!over) {
        const visitor = await meeting.enter(index)
        await settle(visitor)
        await visitor.close()
        visits++
      }
    }
    const visiting = Promise.allSettled(Array.from({ length: visitors }, (_, index) => visit(index + 2)))
    try {
      await until('members come and go', () => visits > 2 * visitors, 10_000)
      for (const [state, status] of [
        [1, open],
        [0, pending],
        [1, open],
      ] as const) {
        await setState(meeting, state)
        // `next` would tell all of the visits when it fails.
        const shows = (): boolean => isDeepStrictEqual(chair.frames.findLast(isStatus), status)
        await until(`status ${state} is shown`, shows, 10_000)
      }
      await sql`
        insert into membership_meeting_meetingadmins (meeting_id, member_id)
        values (${meeting.id}, ${meeting.user(1)})`
      const isAdmin = async (): Promise<boolean> =>
        (await meetingStatus(plenum, meeting.id))?.members.some(
          ({ uid, admin }) => uid === meeting.user(1) && admin,
        ) ?? false
      await until('the new admin is one', isAdmin, 10_000)
      await sql`
        delete from membership_membermeetingkey
        where meeting_id = ${meeting.id} and member_id = ${meeting.user(1)}`
      await until('who has lost his key is out', () => member.isClosed, 10_000)
    } finally {
      over = true
      const ends = await visiting
      assert.ok(
        ends.every(({ status }) => status === 'fulfilled'),
        JSON.stringify(ends),
      )
    }
  })

  test('what happens here is not undone by a look that was begun before it', async () => {
    const meeting = await meet(2)
    const [chair, member] = await meeting.enterAll(0, 1)
    await showsStatus(member, pending)
    const from = member.frames.length
    const held = await holdTransaction(
      db.url,
      (tx) => tx`select from membership_meeting where id = ${meeting.id} for no key update`,
    )
    chair.send({ type: 'open' })
    await held.waitedFor()
    // The looks of this time find something new, and the meeting still pending. They are followed after the command.
    await sql`
      insert into membership_meeting_meetingadmins (meeting_id, member_id)
      values (${meeting.id}, ${meeting.user(1)})`
    await wait(4000 * pollSeconds)
    await held.rollback()
    await showsStatus(member, open)
    await settle(chair, member)
    await wait(4000 * pollSeconds)
    await settle(chair, member)
    assert.deepEqual(member.frames.slice(from).filter(isStatus), [open])
    assert.equal(await meeting.state(), 1)
  })

  test('what happens here and is undone by the site between two looks is noticed', async () => {
    const own = await createDatabase()
    const server = await startPlenum({ database: own.url, grace: 2, poll: 2, flags: ['-rate', '0'] })
    after(async () => {
      await server.stop()
      await own.drop()
    })
    const meeting = await gather(own.sql, server, 3, { allowrejoin: true, state: 2 })
    const [chair] = await meeting.enterAll(0)
    await showsStatus(chair, finished)
    await own.sql`update membership_meeting set state = 0 where id = ${meeting.id}`
    await showsStatus(chair, pending)
    // The server has just seen the meeting with the chair alone. After all of this the tables are the same again.
    await own.sql`
      insert into membership_meeting_meetingadmins (meeting_id, member_id)
      values (${meeting.id}, ${meeting.user(2)})`
    const [member, admin] = await Promise.all([meeting.enter(1), meeting.enter(2)])
    admin.send({ type: 'open' })
    await showsStatus(chair, open)
    await own.sql.begin(async (tx) => {
      await tx`
        delete from membership_membermeetingkey
        where meeting_id = ${meeting.id} and member_id <> ${meeting.user(0)}`
      await tx`
        delete from membership_meeting_meetingadmins
        where meeting_id = ${meeting.id} and member_id = ${meeting.user(2)}`
      await tx`update membership_meeting set state = 0 where id = ${meeting.id}`
    })
    await showsStatus(chair, pending)
    assert.equal(await farewell(member), notAllowed)
    assert.equal(await farewell(admin), notAllowed)
  })
})

test('all meetings are looked at in one query, and a lost database is reported once', async (t) => {
  const cluster = await createCluster({ shared_preload_libraries: 'pg_stat_statements' })
  const own = await cluster.createDatabase()
  await own.sql`create extension pg_stat_statements`
  const server = await startPlenum({ database: own.url, grace: 2, poll: pollSeconds, flags: ['-rate', '0'] })
  after(async () => {
    await server.stop()
    await own.drop()
    await cluster.remove()
  })
  const meetings = await Promise.all(
    Array.from({ length: 40 }, () => gather(own.sql, server, 1, { allowrejoin: true })),
  )
  const pages = await Promise.all(
    meetings.map(async (meeting) => {
      const [page] = await meeting.enterAll(0)
      await showsStatus(page, pending)
      return page
    }),
  )

  await t.test('one query a look, however many meetings there are', async () => {
    await own.sql`select pg_stat_statements_reset()`
    const begun = performance.now()
    await wait(3000)
    const statements = await own.sql<{ query: string; calls: number }[]>`
      select query, calls::int from pg_stat_statements
      where dbid = (select oid from pg_database where datname = current_database())
        and query not like '%pg_stat_statements%'`
    const looks = (performance.now() - begun) / 1000 / pollSeconds
    const onSite = statements.filter(({ query }) => query.includes('membership_'))
    assert.equal(onSite.length, 1, JSON.stringify(onSite))
    assert.ok(onSite[0] && onSite[0].calls >= 2 && onSite[0].calls <= looks + 1, `${onSite[0]?.calls} calls`)
    // The rest is one short statement now and then by which the process holds its lease.
    const calls = statements.reduce((sum, statement) => sum + statement.calls, 0)
    assert.ok(calls <= 2 * looks + 2, JSON.stringify(statements))
  })

  await t.test('a change of all meetings at once is noticed in each of them', async () => {
    await own.sql`update membership_meeting set state = 1`
    await Promise.all(pages.map((page) => showsStatus(page, open)))
  })

  await t.test('it goes on by itself after the database was away, and has said so once', async () => {
    await cluster.postgres.stop('fast')
    await server.logged(({ event }) => event === 'databaseLost')
    await wait(10_000 * pollSeconds)
    await cluster.postgres.start()
    await server.logged(({ event }) => event === 'databaseBack', 15_000)
    await until('the database takes statements', async () => {
      try {
        await own.sql`update membership_meeting set state = 2`
        return true
      } catch {
        return false
      }
    })
    await Promise.all(pages.map((page) => page.next('status', ({ data }) => data.isfinished, 15_000)))
    assert.ok(pages.every(({ isClosed }) => !isClosed))
    const said = server.logs.filter(({ event }) => event === 'databaseLost' || event === 'databaseBack')
    assert.deepEqual(
      said.map(({ event }) => event),
      ['databaseLost', 'databaseBack'],
    )
  })
})
