import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { createCluster, createDatabase } from '../support/database.ts'
import { farewell, gather, settle } from '../support/meeting-fixture.ts'
import type { MeetingFixture } from '../support/meeting-fixture.ts'
import type { Frame, Member } from '../support/meeting-client.ts'
import { startPlenum } from '../support/server.ts'
import { until } from '../support/until.ts'

const db = await createDatabase()
const plenum = await startPlenum({ database: db.url, grace: 1, poll: 0.5, flags: ['-rate', '0'] })
after(async () => {
  await plenum.kill()
  await db.drop()
})

const maxLines = 500
const ids = (lines: readonly { id: number }[]): number[] => lines.map(({ id }) => id)
const parts = ({ frames }: Member) =>
  frames.flatMap((frame: Frame) => (frame.type === 'messages' ? [frame.data] : []))

/** Lines that were said before this server had anything to do with the meeting. */
async function said(
  sql: typeof db.sql,
  meeting: MeetingFixture,
  count: number,
  length: number,
): Promise<void> {
  await sql`
    insert into membership_meetingmessagelog (t, message, meeting_id, sender_id)
    select now() - interval '1 hour' + n * interval '1 ms', n || ' ' || repeat('.', ${length}::int), ${meeting.id},
      ${meeting.user(1)}
    from generate_series(1, ${count}::int) n`
}

/** Enters, and reads nothing of what he is told until `resume`. */
async function enterPaused(meeting: MeetingFixture, index: number): Promise<Member> {
  const member = await meeting.connect(index)
  member.ws.pause()
  await until(`${index} is in`, async () =>
    (await meeting.texts()).some((text) => text.startsWith(`Member ${meeting.name(index)} joined`)),
  )
  return member
}

async function untilHeHas(member: Member, text: string): Promise<void> {
  await until('he has all', () => member.texts().includes(text), 20_000)
}

for (const [count, length] of [
  [1, 10],
  [499, 10],
  [500, 10],
  [501, 10],
  [2500, 10],
  [100, 9000],
] as const)
  test(`of ${count} lines of ${length} characters each comes once and in order, in parts`, async () => {
    const meeting = await gather(db.sql, plenum, 2)
    await said(db.sql, meeting, count, length)
    const member = await meeting.enter(1)
    const joined = await member.next('message')
    const history = parts(member)
    const record = ids(await meeting.record())
    assert.deepEqual(ids(history.flat()), record.slice(0, count))
    assert.deepEqual([joined.data.id], record.slice(count))
    for (const part of history) {
      assert.ok(part.length <= maxLines)
      assert.ok(part.length === 1 || JSON.stringify(part.slice(0, -1)).length < 150_000)
    }
    assert.ok(
      history.length >= Math.floor(count / maxLines) && history.length <= 20,
      `${history.length} parts`,
    )
    // From any line on it is the rest.
    const from = Math.floor(count / 2)
    const again = await meeting.enter(1, { first: record[from] ?? 0 })
    await again.line(`Member ${meeting.name(1)} re-joined the meeting`)
    assert.deepEqual(ids(parts(again).flat()), record.slice(from + 1))
  })

test('a reader of a long history is in the meeting like anyone, and misses nothing', async () => {
  const meeting = await gather(db.sql, plenum, 4, { allowrejoin: true })
  await said(db.sql, meeting, 30_000, 150)
  const before = ids(await meeting.record())
  const [chair] = await meeting.enterAll(0)
  const slow = await enterPaused(meeting, 2)
  slow.say('I am still reading')
  await chair.line('I am still reading')
  chair.send({ type: 'open' })
  for (let n = 0; n < 300; n++) chair.say(`meanwhile ${n}`)
  chair.send({ type: 'newpoll', question: 'Done?', answers: ['Yes', 'No'], minutes: 1 })
  await chair.next('poll', ({ data }) => data !== null)
  await meeting.enter(3)
  await settle(chair)
  slow.ws.resume()
  chair.say('the end')
  await untilHeHas(slow, 'the end')
  const record = ids(await meeting.record())
  assert.deepEqual(ids(slow.lines()), record)
  assert.deepEqual(ids(parts(slow).flat()).slice(0, before.length), before)
  assert.ok(slow.frames.some((frame) => frame.type === 'poll' && frame.data?.question === 'Done?'))
  assert.ok(slow.frames.some((frame) => frame.type === 'status' && frame.data.isopen))
  const people = slow.frames.flatMap((frame) =>
    frame.type === 'adduser' ? [frame.data] : frame.type === 'users' ? frame.data.users : [],
  )
  assert.ok(people.some(({ id }) => id === meeting.user(3)))
  // From there on he hears of each line as it is said.
  chair.say('one more')
  await slow.line('one more')
  assert.equal(slow.frames.at(-1)?.type, 'message')
})

test('who is kicked while he reads gets the word, and nothing after it', async () => {
  const meeting = await gather(db.sql, plenum, 3)
  await said(db.sql, meeting, 30_000, 150)
  const [chair] = await meeting.enterAll(0)
  const slow = await enterPaused(meeting, 2)
  chair.send({ type: 'kick', user: meeting.user(2), canrejoin: true })
  await chair.next('removeuser')
  slow.ws.resume()
  assert.match(await farewell(slow), /forcibly/)
  const got = ids(slow.lines())
  assert.deepEqual(got, ids(await meeting.record()).slice(0, got.length))
})

test('a line is the same, told when it was said and read later', async () => {
  const meeting = await gather(db.sql, plenum, 2)
  await said(db.sql, meeting, 3, 10)
  const chair = await meeting.enter(0)
  const texts = [
    '"quoted" \\ and / back',
    'tab\tand\nnewline',
    'Ünï ĉøđé 日本 🎉 \u2028 \u00ad',
    '<b>&amp;</b>',
    '{"id":1}',
  ]
  for (const text of texts) chair.say(text)
  await settle(chair)
  const live = chair.frames.flatMap((frame) => (frame.type === 'message' ? [frame.data] : []))
  const later = await meeting.enter(1)
  const read = parts(later).flat()
  assert.deepEqual(read.slice(-live.length), live)
  assert.deepEqual(
    read.filter(({ message }) => texts.includes(message)).map(({ message }) => message),
    texts,
  )
})

test('a database that goes away while somebody reads is waited for', async () => {
  const cluster = await createCluster()
  const own = await cluster.createDatabase()
  const server = await startPlenum({ database: own.url, poll: 0.5 })
  try {
    const meeting = await gather(own.sql, server, 2)
    await said(own.sql, meeting, 30_000, 150)
    const slow = await enterPaused(meeting, 1)
    await cluster.postgres.stop('immediate')
    slow.ws.resume()
    await server.logged(({ event }) => event === 'readFailed')
    await cluster.postgres.start()
    await until('the record is there again', async () => (await meeting.texts().catch(() => [])).length > 0)
    await untilHeHas(slow, `Member ${meeting.name(1)} joined the meeting`)
    assert.deepEqual(ids(slow.lines()), ids(await meeting.record()))
    assert.equal(slow.isClosed, false)
  } finally {
    await server.kill()
    await cluster.remove()
  }
})
