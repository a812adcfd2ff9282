import assert from 'node:assert/strict'
import { after, suite, test } from 'node:test'
import { createDatabase } from '../support/database.ts'
import { connect } from '../support/meeting-client.ts'
import type { Frame, Member } from '../support/meeting-client.ts'
import { elsewhere, gather, settle, toldDuring } from '../support/meeting-fixture.ts'
import type { MeetingFixture } from '../support/meeting-fixture.ts'
import { startPlenum } from '../support/server.ts'
import { meetingStatus } from '../support/status.ts'
import { until } from '../support/until.ts'

// A big screen is no member: what it is told, what it leaves untouched, and how it ends.

const notAllowed = 'You are not allowed to enter this meeting'
const tea = { type: 'newpoll', question: 'Tea or coffee?', answers: ['Tea', 'Coffee'], minutes: 5 }

suite('a big screen', async () => {
  const db = await createDatabase()
  const plenum = await startPlenum({ database: db.url, grace: 0, poll: 0.1, flags: ['-behindproxy'] })
  after(async () => {
    await plenum.stop()
    await db.drop()
  })

  const opened = (size: number): Promise<MeetingFixture> =>
    gather(db.sql, plenum, size, { state: 1, allowrejoin: true })
  const connectScreen = (meeting: MeetingFixture, index: number, key = meeting.key(index)): Promise<Member> =>
    connect(plenum, `/ws/meeting/${meeting.id}/${key}/hall/0`, { protocols: ['plenum.v1'], ...elsewhere() })
  const showOn = async (meeting: MeetingFixture, index: number): Promise<Member> => {
    const screen = await connectScreen(meeting, index)
    await screen.next('messages')
    return screen
  }
  const typesOf = (frames: readonly Frame[]): string[] => frames.map(({ type }) => type)

  test('it shows state, number, sums and result, and is sent no line and no name', async () => {
    const meeting = await opened(3)
    const [chair, bob] = await meeting.enterAll(0, 1)
    const screen = await showOn(meeting, 1)
    assert.deepEqual(typesOf(screen.frames), ['welcome', 'here', 'status', 'poll', 'messages'])
    const { data } = await screen.next('welcome')
    assert.deepEqual([data.you, data.vote, data.meeting.state], [null, null, 'open'])
    assert.equal((await screen.next('here')).data.count, 2)
    const eve = await meeting.enter(2)
    await screen.next('here', ({ data }) => data.count === 3)
    chair.send(tea)
    await screen.next('poll', ({ data }) => data?.question === tea.question)
    bob.send({ type: 'vote', question: tea.question, vote: 1 })
    const sums = await screen.next('poll', ({ data }) => data?.tally[1] === 1)
    assert.equal(sums.data?.voted, null)
    chair.send({ type: 'vote', question: tea.question, vote: 1 })
    // Who is not there by a screen is not waited for.
    await eve.close()
    assert.deepEqual((await screen.next('pollend')).data.tally, [0, 2])
    await screen.next('here', ({ data }) => data.count === 2)
    await settle(chair, bob)
    await screen.caughtUp()
    const heard = JSON.stringify(screen.frames)
    assert.ok(!heard.includes('"fromname"'), heard)
    for (const index of [0, 1, 2]) assert.ok(!heard.includes(meeting.name(index)))
  })

  test('nobody hears of it, nothing is written of it, and its member stays where they are', async () => {
    const meeting = await opened(2)
    const chair = await meeting.enter(0)
    const before = await meeting.texts()
    const told = await toldDuring(chair, chair, async () => {
      for (const index of [0, 1]) {
        const screen = await showOn(meeting, index)
        await screen.close()
      }
    })
    assert.deepEqual([told, chair.isClosed], [[], false])
    const screen = await showOn(meeting, 1)
    const present = (await meetingStatus(plenum, meeting.id))?.members.map(({ uid }) => uid)
    assert.deepEqual(present, [meeting.user(0)])
    assert.deepEqual(await meeting.texts(), before)
    // Nor the other way round.
    await meeting.enter(1)
    await screen.next('here', ({ data }) => data.count === 2)
    assert.equal(screen.isClosed, false)
  })

  test('it may do nothing; what only asks whether the server is there is answered', async () => {
    const meeting = await opened(1)
    const screen = await showOn(meeting, 0)
    screen.send({ type: 'message', message: '', id: 'probe' })
    assert.equal((await screen.next('ack')).data.id, 'probe')
    const commands = [
      { type: 'message', message: 'From the wall' },
      { type: 'finish' },
      tea,
      { type: 'kick', user: 1, canrejoin: true },
    ]
    for (const [n, command] of commands.entries()) {
      screen.send({ ...command, id: `${n}` })
      assert.equal((await screen.next('error', ({ id }) => id === `${n}`)).msg, 'Permission denied')
    }
    assert.deepEqual(await meeting.texts(), [])
    assert.equal(await meeting.state(), 1)
  })

  test('it may be set up, and come back, at any time until the meeting is closed', async () => {
    const meeting = await gather(db.sql, plenum, 2)
    const screen = await showOn(meeting, 1)
    const chair = await meeting.enter(0)
    chair.send({ type: 'open' })
    await screen.next('meeting', ({ data }) => data.state === 'open')
    // Its member was not in before the opening, and could not enter any more.
    await screen.reset()
    const again = await showOn(meeting, 1)
    chair.send({ type: 'finish' })
    await again.next('meeting', ({ data }) => data.state === 'finished')
    await showOn(meeting, 1)
    await chair.close()
    assert.equal(
      (await again.next('disconnect')).data.message,
      'This meeting is already finished and can no longer be joined.',
      'it is closed once nobody is in it, whatever screens show it',
    )
    const late = await connectScreen(meeting, 1)
    await late.next('disconnect')
  })

  test('it ends with its key, with a ban of its member, and where a fifth one comes', async () => {
    const meeting = await opened(4)
    const chair = await meeting.enter(0)
    const unknown = await connectScreen(meeting, 0, 'x'.repeat(54))
    assert.equal((await unknown.next('disconnect')).data.message, notAllowed)
    const [one, two, three] = [await showOn(meeting, 1), await showOn(meeting, 2), await showOn(meeting, 3)]
    await db.sql`update membership_membermeetingkey set key = ${'y'.repeat(54)} where key = ${meeting.key(1)}`
    assert.equal((await one.next('disconnect')).data.message, notAllowed)
    const two2 = await meeting.enter(2)
    await meeting.enter(3)
    chair.send({ type: 'kick', user: meeting.user(3), canrejoin: true })
    chair.send({ type: 'kick', user: meeting.user(2), canrejoin: false })
    const kicked = 'You have been forcibly disconnected from this meeting'
    assert.equal((await two.next('disconnect')).data.message, kicked)
    await two2.next('disconnect')
    assert.equal(three.isClosed, false, 'whoever may come back may go on showing the meeting')
    const screens = [await showOn(meeting, 0), await showOn(meeting, 0), await showOn(meeting, 0)]
    await showOn(meeting, 0)
    assert.deepEqual(
      screens.map(({ isClosed }) => isClosed),
      [false, false, false],
    )
    await showOn(meeting, 0)
    await screens[0]?.next('disconnect', ({ data }) => /different session/.test(data.message))
    await until('only the oldest has ended', () => screens.filter(({ isClosed }) => isClosed).length === 1)
    assert.equal(chair.isClosed, false)
  })

  test('where nobody is there it shows so, and the room goes when it does', async () => {
    const meeting = await opened(1)
    const screen = await showOn(meeting, 0)
    assert.equal((await screen.next('here')).data.count, 0)
    await screen.close()
    await until('the room is forgotten', async () => !(await meetingStatus(plenum, meeting.id)))
    assert.equal((await (await showOn(meeting, 0)).next('here')).data.count, 0)
  })
})
