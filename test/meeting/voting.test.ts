import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { createDatabase } from '../support/database.ts'
import { farewell, gather, settle } from '../support/meeting-fixture.ts'
import type { MeetingFixture } from '../support/meeting-fixture.ts'
import type { Member } from '../support/meeting-client.ts'
import { StockPage } from '../support/stock-page.ts'
import { startPlenum } from '../support/server.ts'
import { until } from '../support/until.ts'

const db = await createDatabase()
const options = { database: db.url, grace: 2, poll: 0.5, flags: ['-rate', '0'] }
let plenum = await startPlenum(options)
after(async () => {
  await plenum.kill()
  await db.drop()
})

const question = 'Shall we?'
const poll = { type: 'newpoll', question, answers: ['yes', 'no'], minutes: 5 }
const opened = { state: 1, allowrejoin: true } as const
const allVoted = 'All attendees have voted, poll has completed.'

const vote = (member: Member, answer: unknown, about: unknown = question) =>
  member.send({ type: 'vote', question: about, vote: answer })

/** The answer to a newpoll that must not become a poll. */
async function refusalOf(chair: Member, attempt: object): Promise<string> {
  chair.send(attempt)
  return (await chair.next('error')).msg
}

async function askedQuestions(meeting: MeetingFixture): Promise<string[]> {
  const rows = await db.sql<{ question: string }[]>`
    select question from plenum.poll where meeting_id = ${meeting.id} order by id`
  return rows.map((row) => row.question)
}

test('the timer of a poll that was aborted does not end the next poll', async () => {
  const meeting = await gather(db.sql, plenum, 2, opened)
  const chair = await meeting.enter(0)
  chair.send({ ...poll, minutes: 1 })
  await chair.line(`A new poll has been posted for ${question}`)
  await plenum.stop()
  await db.sql`update plenum.poll set closes_at = now() + interval '5 s' where meeting_id = ${meeting.id}`
  plenum = await startPlenum({ ...options, listen: plenum.listen })
  const [again, member] = await meeting.enterAll(0, 1)
  again.send({ type: 'abortpoll' })
  again.send({ ...poll, question: 'Shall we now?' })
  await again.line('A new poll has been posted for Shall we now?')
  await until(
    'the time of the first poll is over',
    async () =>
      (
        await db.sql`
        select from plenum.poll where meeting_id = ${meeting.id} and closes_at < now() - interval '0.5 s'`
      ).length === 1,
    10_000,
  )
  vote(member, 0, 'Shall we now?')
  await again.next('poll', ({ data }) => data?.question === 'Shall we now?' && data.tally[0] === 1)
  assert.ok(!(await meeting.texts()).includes('Poll has completed'))
})

test('minutes that are no whole number from 1 to 120 are refused', async () => {
  const meeting = await gather(db.sql, plenum, 1, opened)
  const chair = await meeting.enter(0)
  for (const minutes of [0, -1, 0.9, 1.5, 121, 200_000_000, 1e300, null, '5', true, [5], undefined])
    assert.match(await refusalOf(chair, { ...poll, minutes }), /minutes/)
  assert.deepEqual(await askedQuestions(meeting), [])
  for (const minutes of [1, 120]) {
    chair.send({ ...poll, question: `For ${minutes}?`, minutes })
    chair.send({ type: 'abortpoll' })
  }
  await settle(chair)
  assert.deepEqual(await askedQuestions(meeting), ['For 1?', 'For 120?'])
})

test('a poll has a question and 2 to 5 different answers, none of them empty', async () => {
  const meeting = await gather(db.sql, plenum, 2, opened)
  const [chair, member] = await meeting.enterAll(0, 1)
  const answers: unknown[] = [
    [],
    ['only'],
    ['1', '2', '3', '4', '5', '6'],
    ['yes', ''],
    ['yes', ' \t '],
    ['yes', 'yes'],
    ['a  b', ' a b '],
    ['yes', 7],
    ['yes', null],
    ['yes', 'n'.repeat(201)],
    'yes',
    null,
    undefined,
    { 0: 'yes', 1: 'no', length: 2 },
  ]
  for (const each of answers) assert.match(await refusalOf(chair, { ...poll, answers: each }), /answer/i)
  for (const each of ['', '  \n ', 'q'.repeat(501), 7, null, undefined])
    assert.match(await refusalOf(chair, { ...poll, question: each }), /question/i)
  await settle(chair, member)
  assert.deepEqual(await askedQuestions(meeting), [])
  assert.ok(!member.frames.some((frame) => frame.type === 'poll' && frame.data !== null))
})

test('a question with any white space can be voted on with the text that the page shows', async () => {
  const meeting = await gather(db.sql, plenum, 2, opened)
  const [chair, member] = await meeting.enterAll(0, 1)
  const asked = '  Shall  we\tgo\r\nout \n '
  chair.send({ ...poll, question: asked, answers: ['yes  sir', ' no '] })
  const { data } = await member.next('poll', (frame) => frame.data !== null)
  assert.deepEqual([data?.question, data?.answers], ['Shall we go out', ['yes sir', 'no']])
  vote(member, 0, data?.question)
  await chair.line(`${meeting.name(1)} voted yes sir`)
  vote(chair, 0, asked)
  await chair.line(allVoted)
})

test('a question that was just asked is refused, so that a late vote cannot reach another poll', async () => {
  const meeting = await gather(db.sql, plenum, 3, opened)
  const [chair, member] = await meeting.enterAll(0, 1, 2)
  for (const each of ['First?', 'Second?']) {
    chair.send({ ...poll, question: each })
    chair.send({ type: 'abortpoll' })
    assert.equal(
      await refusalOf(chair, { ...poll, question: ` ${each}\n` }),
      'This question was just asked, please word it differently or wait a moment',
    )
  }
  chair.send({ ...poll, question: 'Third?' })
  await member.line('A new poll has been posted for Third?')
  vote(member, 0, 'Second?')
  assert.equal((await member.next('error')).msg, 'Vote for the wrong question received')
})

test('a vote that is not the number of an answer is refused', async () => {
  const meeting = await gather(db.sql, plenum, 2, opened)
  const [chair, member] = await meeting.enterAll(0, 1)
  chair.send(poll)
  await member.line(`A new poll has been posted for ${question}`)
  for (const answer of [0.9, -0.5, -1, 2, 1e300, '0', 'yes', null, undefined, true, [0]]) {
    vote(member, answer)
    assert.equal((await member.next('error')).msg, 'Invalid vote', String(answer))
  }
  for (const about of [7, null, undefined, [question]]) {
    member.send({ type: 'vote', question: about, vote: 0 })
    assert.match((await member.next('error')).msg, /question/)
  }
  const again = await meeting.enter(0)
  const { data } = await again.next('poll', (frame) => frame.data !== null)
  assert.deepEqual([data?.tally, data?.voted], [[0, 0], []])
})

test('the same vote again is no line, another vote is one', async () => {
  const meeting = await gather(db.sql, plenum, 2, opened)
  const [chair, member] = await meeting.enterAll(0, 1)
  chair.send(poll)
  await member.line(`A new poll has been posted for ${question}`)
  for (const answer of [0, 0, 0, 1, 1, 0]) vote(member, answer)
  await settle(member, chair)
  const name = meeting.name(1)
  assert.deepEqual(
    (await meeting.texts()).filter((text) => text.startsWith(`${name} `)),
    [`${name} voted yes`, `${name} changed their vote to no`, `${name} changed their vote to yes`],
  )
})

test('a poll ends when all who are there have voted, whoever was there before', async () => {
  const meeting = await gather(db.sql, plenum, 3, opened)
  const [chair, member, gone] = await meeting.enterAll(0, 1, 2)
  chair.send(poll)
  await gone.line(`A new poll has been posted for ${question}`)
  await gone.close()
  await chair.line(`Member ${meeting.name(2)} left the meeting`)
  for (const each of [chair, member]) vote(each, 0)
  await member.line(allVoted)
})

for (const [how, remove] of [
  ['leaves', (_chair: Member, last: Member) => last.close()],
  ['loses the connection and does not come back', (_chair: Member, last: Member) => last.reset('rst')],
  [
    'is kicked',
    async (chair: Member, _last: Member, user: number) => chair.send({ type: 'kick', user, canrejoin: true }),
  ],
] as const)
  test(`a poll ends when the last who has not voted ${how}`, async () => {
    const meeting = await gather(db.sql, plenum, 3, opened)
    const [chair, member, last] = await meeting.enterAll(0, 1, 2)
    chair.send(poll)
    await last.line(`A new poll has been posted for ${question}`)
    for (const each of [chair, member]) vote(each, 0)
    await last.next('poll', ({ data }) => data?.tally[0] === 2)
    await remove(chair, last, meeting.user(2))
    await member.line(allVoted)
    await member.line('Answer "yes": 2 votes')
  })

test('the votes of those who left or were kicked count', async () => {
  const meeting = await gather(db.sql, plenum, 4, opened)
  const [chair, member, gone, kicked] = await meeting.enterAll(0, 1, 2, 3)
  chair.send(poll)
  await kicked.line(`A new poll has been posted for ${question}`)
  for (const each of [gone, kicked]) vote(each, 0)
  await chair.next('poll', ({ data }) => data?.tally[0] === 2)
  await gone.close()
  chair.send({ type: 'kick', user: meeting.user(3), canrejoin: false })
  await farewell(kicked)
  for (const each of [chair, member]) vote(each, 1)
  await member.line(allVoted)
  await member.line('Answer "yes": 2 votes')
  await member.line('Answer "no": 2 votes')
})

test('a poll and its votes outlive the server', async () => {
  const meeting = await gather(db.sql, plenum, 3, opened)
  const pages = [0, 1, 2].map(
    (index) => new StockPage(plenum, { meetingId: meeting.id, key: meeting.key(index), retryAfter: 50 }),
  )
  for (const page of pages) await page.until((page) => page.poll === null && page.people.size === 3)
  pages[0]?.send(poll)
  for (const page of pages) await page.until((page) => page.poll?.question === question)
  pages[0]?.vote(0)
  pages[1]?.vote(1)
  for (const page of pages) await page.until((page) => page.poll?.tally.join() === '1,1')
  await plenum.kill()
  plenum = await startPlenum({ ...options, listen: plenum.listen })
  for (const page of pages) {
    await page.until((page) => page.attempts.length > 1 && page.state === 'open' && page.people.size === 3)
    await page.until((page) => page.poll?.tally.join() === '1,1')
  }
  pages[2]?.vote(1)
  for (const page of pages) {
    await page.until((page) => page.texts().includes('Answer "no": 2 votes') && page.poll === null)
    assert.equal(page.texts().filter((text) => text === 'Answer "yes": 1 vote').length, 1)
    page.leave()
  }
})

test('only an open meeting has polls', async () => {
  const meeting = await gather(db.sql, plenum, 1)
  const chair = await meeting.enter(0)
  assert.equal(await refusalOf(chair, poll), 'Meeting is not open')
  chair.send({ type: 'open' })
  chair.send({ type: 'finish' })
  assert.equal(await refusalOf(chair, poll), 'Meeting is not open')
  assert.deepEqual(await askedQuestions(meeting), [])
})

test('finishing a meeting closes its poll first, and the result is part of the record', async () => {
  const meeting = await gather(db.sql, plenum, 2, opened)
  const [chair, member] = await meeting.enterAll(0, 1)
  chair.send(poll)
  await member.line(`A new poll has been posted for ${question}`)
  vote(member, 1)
  await chair.line(`${meeting.name(1)} voted no`)
  chair.send({ type: 'finish' })
  await member.line('This meeting is now finished')
  await settle(member)
  assert.deepEqual((await meeting.texts()).slice(-4), [
    'Poll has completed',
    'Answer "yes": 0 votes',
    'Answer "no": 1 vote',
    'This meeting is now finished',
  ])
  assert.deepEqual(
    member.frames.findLast(({ type }) => type === 'poll'),
    { type: 'poll', data: null },
  )
})

test('the tally is as long as the answers', async () => {
  const meeting = await gather(db.sql, plenum, 2, opened)
  const [chair, member] = await meeting.enterAll(0, 1)
  for (const count of [2, 3, 4, 5]) {
    const answers = Array.from({ length: count }, (_, index) => `answer ${index}`)
    chair.send({ ...poll, question: `${count}?`, answers })
    const { data } = await member.next('poll', (frame) => frame.data !== null)
    assert.deepEqual([data?.answers, data?.tally], [answers, answers.map(() => 0)])
    chair.send({ type: 'abortpoll' })
    await member.next('poll', (frame) => frame.data === null)
  }
})

test('an admin is told who has voted, others are not, and no longer one who lost the right', async () => {
  const meeting = await gather(db.sql, plenum, 3, { ...opened, admins: 2 })
  const [chair, second, member] = await meeting.enterAll(0, 1, 2)
  chair.send(poll)
  await member.line(`A new poll has been posted for ${question}`)
  vote(member, 0)
  for (const admin of [chair, second]) {
    const { data } = await admin.next('poll', ({ data }) => data?.tally[0] === 1)
    assert.deepEqual(data?.voted, [meeting.user(2)])
  }
  assert.equal((await member.next('poll', ({ data }) => data?.tally[0] === 1)).data?.voted, null)
  await db.sql`delete from membership_meeting_meetingadmins where member_id = ${meeting.user(1)}`
  await second.next('poll', ({ data }) => data !== null && data.voted === null)
})

test('who enters during a poll is told null first and then the poll', async () => {
  const meeting = await gather(db.sql, plenum, 2, opened)
  const chair = await meeting.enter(0)
  chair.send(poll)
  await chair.line(`A new poll has been posted for ${question}`)
  const member = await meeting.enter(1)
  const frames = member.frames.slice(0, 5)
  assert.deepEqual(
    frames.map(({ type }) => type),
    ['users', 'status', 'poll', 'poll', 'messages'],
  )
  const [none, some] = frames.flatMap((frame) => (frame.type === 'poll' ? [frame.data] : []))
  assert.equal(none, null)
  assert.equal(some?.question, question)
})

test('the line of an abort has no word twice, and an abort of nothing is an error', async () => {
  const meeting = await gather(db.sql, plenum, 1, opened)
  const chair = await meeting.enter(0)
  chair.send({ type: 'abortpoll' })
  assert.equal((await chair.next('error')).msg, 'There is no active poll')
  chair.send(poll)
  chair.send({ type: 'abortpoll' })
  await chair.line('The current poll has been aborted')
})
