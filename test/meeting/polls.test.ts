import assert from 'node:assert/strict'
import { after, suite, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import type { TransactionSql } from 'postgres'
import { createDatabase } from '../support/database.ts'
import { gather, settle, shown, toldDuring } from '../support/meeting-fixture.ts'
import type { MeetingFixture } from '../support/meeting-fixture.ts'
import { type HeldTransaction, holdTransaction } from '../support/held-transaction.ts'
import type { Frame, Line, Member, PollState, Target } from '../support/meeting-client.ts'
import { startPlenum } from '../support/server.ts'
import { meetingStatus } from '../support/status.ts'
import { patience, slowness } from '../support/patience.ts'
import { until } from '../support/until.ts'

const db = await createDatabase()
const plenum = await startPlenum({ database: db.url, grace: 3, poll: 0.5, flags: ['-rate', '0'] })
after(async () => {
  await plenum.stop()
  await db.drop()
})

const report = { question: 'Accept the report?', answers: ['Yes', 'No'], minutes: 10 }
const posted = `A new poll has been posted for ${report.question}`
const allVoted = 'All attendees have voted, poll has completed.'
const completed = 'Poll has completed'
const aborted = 'The current poll has been aborted'
const noPoll = 'There is no active poll'
const tooSoon = 'This question was just asked, please word it differently or wait a moment'

/** An open meeting in which members may come and go. */
const openMeeting = (size: number, options: { admins?: number } = {}): Promise<MeetingFixture> =>
  gather(db.sql, plenum, size, { ...options, state: 1, allowrejoin: true })

const newPoll = (chair: Member, changes: object = {}): void =>
  chair.send({ type: 'newpoll', ...report, ...changes })

/** Posts a poll and waits until all of these see it. */
async function post(
  chair: Member,
  others: Member[] = [],
  changes: Partial<typeof report> = {},
): Promise<void> {
  newPoll(chair, changes)
  for (const member of [chair, ...others]) await shown(member)
}

const vote = (member: Member, answer: unknown, question: unknown = report.question): void =>
  member.send({ type: 'vote', question, vote: answer })

async function ended(member: Member): Promise<void> {
  await member.next('poll', ({ data }) => data === null)
}

async function refused(member: Member): Promise<string> {
  return (await member.next('error')).msg
}

type StoredPoll = {
  id: number
  question: string
  answers: string[]
  ending: string | null
  votes: Record<string, number>
}

async function storedPolls(meeting: number, sql = db.sql): Promise<StoredPoll[]> {
  const rows = await sql<StoredPoll[]>`
    select id, question, answers, ending,
      (select coalesce(jsonb_object_agg(member_id, answer), '{}') from plenum.vote where poll_id = poll.id) votes
    from plenum.poll where meeting_id = ${meeting} order by id`
  return [...rows]
}

/** How the meeting's only poll ended; null while it is under way. */
async function ending(meeting: MeetingFixture, sql = db.sql): Promise<string | null | undefined> {
  const polls = await storedPolls(meeting.id, sql)
  assert.equal(polls.length, 1)
  return polls[0]?.ending
}

async function isAway(meeting: MeetingFixture, index: number): Promise<void> {
  await until('he is away', async () => {
    const status = await meetingStatus(plenum, meeting.id)
    return status?.disconnectedmembers.some(({ uid }) => uid === meeting.user(index)) ?? false
  })
}

const isEnding = (text: string): boolean => [allVoted, completed, aborted].includes(text)

/** The record from the line that ended a poll on. */
async function result(meeting: MeetingFixture): Promise<string[]> {
  const texts = await meeting.texts()
  const first = texts.findIndex(isEnding)
  return first === -1 ? [] : texts.slice(first)
}

/** The frames without the lines of the record, and the lines. */
function sorted(frames: Frame[]): { others: Frame[]; lines: string[] } {
  return {
    others: frames.filter(({ type }) => type !== 'message'),
    lines: frames.flatMap((frame) => (frame.type === 'message' ? [frame.data.message] : [])),
  }
}

suite('polls', { concurrency: 8 }, () => {
  test('a poll ends when its minutes are over, and timers of polls that ended before end nothing', async () => {
    const [timed, abortedFirst, votedFirst] = await Promise.all([
      openMeeting(2),
      openMeeting(2),
      openMeeting(2),
    ])
    const [abortingChair, abortingMember] = await abortedFirst.enterAll(0, 1)
    await post(abortingChair, [abortingMember], { minutes: 1 })
    abortingChair.send({ type: 'abortpoll' })
    await ended(abortingMember)
    await post(abortingChair, [abortingMember], { question: 'Another one?' })

    const [votingChair, votingMember] = await votedFirst.enterAll(0, 1)
    await post(votingChair, [votingMember], { minutes: 1 })
    vote(votingChair, 0)
    vote(votingMember, 0)
    await ended(votingMember)
    await post(votingChair, [votingMember], { question: 'Another one?' })

    const [chair, member] = await timed.enterAll(0, 1)
    await post(chair, [member], { minutes: 1 })
    vote(member, 1)
    await member.line(completed, 75_000)
    await member.line('Answer "No": 1 vote')
    await ended(member)
    assert.deepEqual(await result(timed), [completed, 'Answer "Yes": 0 votes', 'Answer "No": 1 vote'])
    assert.equal(await ending(timed), 'time')
    const [length] = await db.sql<{ seconds: number }[]>`
      select extract(epoch from ended_at - opened_at)::float8 seconds from plenum.poll where meeting_id = ${timed.id}`
    // The process counts by a clock of its own, from when it asks the database: a busy one is reached a little later.
    const { seconds = 0 } = length ?? {}
    assert.ok(60 - seconds < patience(100) / 1000 && seconds - 60 < patience(4000) / 1000, String(seconds))

    for (const [meeting, speaker] of [
      [abortedFirst, abortingChair],
      [votedFirst, votingChair],
    ] as const) {
      await settle(speaker)
      const [, second] = await storedPolls(meeting.id)
      assert.deepEqual([second?.question, second?.ending], ['Another one?', null])
      vote(speaker, 0, 'Another one?')
      await shown(speaker, ({ tally }) => tally[0] === 1)
    }
  })

  test('the question of a poll that has just ended is refused for ten seconds', async () => {
    const meeting = await openMeeting(2)
    const [chair, member] = await meeting.enterAll(0, 1)
    await post(chair, [member])
    chair.send({ type: 'abortpoll' })
    await ended(chair)
    const endedAt = performance.now()
    for (const question of [report.question, '  Accept \n the\treport? ']) {
      newPoll(chair, { question })
      assert.equal(await refused(chair), tooSoon)
    }
    assert.equal((await storedPolls(meeting.id)).length, 1)

    await wait(7000 - (performance.now() - endedAt))
    newPoll(chair)
    assert.equal(await refused(chair), tooSoon, 'shortly before the end')
    await wait(10_500 - (performance.now() - endedAt))
    await post(chair, [member])
    assert.equal((await storedPolls(meeting.id)).at(-1)?.question, report.question)
  })

  test('another question may be asked at once; then both are refused, however their polls ended', async () => {
    const meeting = await openMeeting(2)
    const [chair, member] = await meeting.enterAll(0, 1)
    await post(chair, [member])
    chair.send({ type: 'abortpoll' })
    await ended(chair)
    const budget = 'Accept the budget?'
    await post(chair, [member], { question: budget })
    vote(chair, 0, budget)
    vote(member, 0, budget)
    await ended(chair)
    for (const question of [budget, report.question]) {
      newPoll(chair, { question })
      assert.equal(await refused(chair), tooSoon, question)
    }
  })

  test('a poll is shown with its question, its answers and no votes, and a line says so', async () => {
    const meeting = await openMeeting(2)
    const [chair, member] = await meeting.enterAll(0, 1)
    const toMember = await toldDuring(chair, member, () => post(chair))
    const { question, answers } = report
    assert.deepEqual(sorted(toMember), {
      others: [{ type: 'poll', data: { question, answers, tally: [0, 0], voted: null } }],
      lines: [posted],
    })
    assert.deepEqual(
      chair.frames.findLast(({ type }) => type === 'poll'),
      {
        type: 'poll',
        data: { question, answers, tally: [0, 0], voted: [] },
      },
    )
    const [stored] = await db.sql`
      select question, answers, opened_by, ended_at, extract(epoch from closes_at - opened_at)::float8 seconds
      from plenum.poll where meeting_id = ${meeting.id}`
    assert.deepEqual(
      { ...stored },
      { question, answers, opened_by: meeting.user(0), ended_at: null, seconds: 600 },
    )
  })

  const faults: Record<string, [fault: string, changes: object, error: string][]> = {
    question: [
      ['empty', { question: '' }, 'Invalid or no question'],
      ['nothing but white space', { question: ' \t\n ' }, 'Invalid or no question'],
      ['nothing but control characters', { question: '\u0000\u0007' }, 'Invalid or no question'],
      ['missing', { question: undefined }, 'Invalid or no question'],
      ['null', { question: null }, 'Invalid or no question'],
      ['a number', { question: 5 }, 'Invalid or no question'],
      ['of 501 characters', { question: 'x'.repeat(501) }, 'Question too long, at most 500 characters'],
      [
        'of 501 characters outside the BMP',
        { question: '😀'.repeat(501) },
        'Question too long, at most 500 characters',
      ],
    ],
    answers: [
      ['missing', { answers: undefined }, 'Invalid or no answers'],
      ['null', { answers: null }, 'Invalid or no answers'],
      ['a text', { answers: 'Yes' }, 'Invalid or no answers'],
      ['an object', { answers: { 0: 'Yes', 1: 'No' } }, 'Invalid or no answers'],
      ['none', { answers: [] }, 'Too few answers, at least 2'],
      ['a single one', { answers: ['Yes'] }, 'Too few answers, at least 2'],
      ['six', { answers: ['1', '2', '3', '4', '5', '6'] }, 'Too many answers, at most 5'],
      ['the same twice', { answers: ['Yes', 'No', 'Yes'] }, 'The answers must be different'],
      ['the same as rendered', { answers: ['I  do\tso', ' I do so '] }, 'The answers must be different'],
      [
        'the same without control characters',
        { answers: ['Yes', 'Y\u0000es'] },
        'The answers must be different',
      ],
      ['an empty one', { answers: ['Yes', ''] }, 'Invalid or unparsable answer'],
      ['one of white space', { answers: ['Yes', ' \n '] }, 'Invalid or unparsable answer'],
      ['one that is a number', { answers: ['Yes', 1] }, 'Invalid or unparsable answer'],
      ['one that is null', { answers: ['Yes', null] }, 'Invalid or unparsable answer'],
      [
        'one of 201 characters',
        { answers: ['Yes', 'x'.repeat(201)] },
        'Answer too long, at most 200 characters',
      ],
    ],
    minutes: [
      ['0', { minutes: 0 }, 'Invalid or no minutes, from 1 to 120'],
      ['negative', { minutes: -1 }, 'Invalid or no minutes, from 1 to 120'],
      ['121', { minutes: 121 }, 'Invalid or no minutes, from 1 to 120'],
      ['huge', { minutes: 2e8 }, 'Invalid or no minutes, from 1 to 120'],
      ['a fraction below 1', { minutes: 0.9 }, 'Invalid or no minutes'],
      ['a fraction', { minutes: 1.5 }, 'Invalid or no minutes'],
      ['a text', { minutes: '5' }, 'Invalid or no minutes'],
      ['null, as of an empty field', { minutes: null }, 'Invalid or no minutes'],
      ['missing', { minutes: undefined }, 'Invalid or no minutes'],
      ['a list', { minutes: [5] }, 'Invalid or no minutes'],
      ['true', { minutes: true }, 'Invalid or no minutes'],
    ],
  }
  for (const [field, cases] of Object.entries(faults))
    test(`a poll with faulty ${field} is refused and nobody else hears of it`, async () => {
      const meeting = await openMeeting(2)
      const [chair, member] = await meeting.enterAll(0, 1)
      const told = await toldDuring(chair, member, async () => {
        for (const [fault, changes, error] of cases) {
          newPoll(chair, changes)
          assert.equal(await refused(chair), error, fault)
        }
      })
      assert.deepEqual(told, [])
      assert.deepEqual(await storedPolls(meeting.id), [])
    })

  const limits: [limit: string, changes: Partial<typeof report>][] = [
    ['one minute', { minutes: 1 }],
    ['120 minutes', { minutes: 120 }],
    ['two answers', { answers: ['1', '2'] }],
    ['five answers', { answers: ['1', '2', '3', '4', '5'] }],
    ['answers of one and of 200 characters', { answers: ['1', 'x'.repeat(200)] }],
    ['200 characters after folding', { answers: ['1', `  ${'x'.repeat(200)}  `] }],
    ['a question of one character', { question: '?' }],
    ['a question of 500 characters', { question: 'x'.repeat(500) }],
    ['a question of 500 characters outside the BMP', { question: '😀'.repeat(500) }],
  ]
  test('a poll at its limits is taken', async () => {
    const meeting = await openMeeting(1)
    const [chair] = await meeting.enterAll(0)
    for (const [index, [limit, changes]] of limits.entries()) {
      const draft = { ...report, question: `Question ${index}?`, ...changes }
      newPoll(chair, draft)
      const { question, answers, tally } = await shown(chair)
      assert.equal(question, draft.question, limit)
      assert.deepEqual(
        answers,
        draft.answers.map((answer) => answer.trim()),
        limit,
      )
      assert.equal(tally.length, answers.length, 'the tally is as long as the answers')
      chair.send({ type: 'abortpoll' })
      await ended(chair)
    }
    const minutes = await db.sql<{ minutes: number }[]>`
      select distinct extract(epoch from closes_at - opened_at)::int / 60 minutes
      from plenum.poll where meeting_id = ${meeting.id} order by 1`
    assert.deepEqual(
      minutes.map((row) => row.minutes),
      [1, 10, 120],
    )
  })

  test('white space is folded, so that the text which the browser renders can be voted on', async () => {
    const meeting = await openMeeting(2)
    const [chair, member] = await meeting.enterAll(0, 1)
    const written = '  Tea  or\tcoffee,\n\n or\r\nwater? '
    const rendered = 'Tea or coffee, or water?'
    newPoll(chair, { question: written, answers: ['  Tea,\t please ', 'None \n of  these'] })
    const poll = await shown(member)
    assert.deepEqual([poll.question, poll.answers], [rendered, ['Tea, please', 'None of these']])
    await member.line(`A new poll has been posted for ${rendered}`)
    const [stored] = await storedPolls(meeting.id)
    assert.deepEqual([stored?.question, stored?.answers], [rendered, ['Tea, please', 'None of these']])

    vote(member, 1, rendered)
    await shown(member, ({ tally }) => tally[1] === 1)
    await member.line(`${meeting.name(1)} voted None of these`)
    vote(member, 0, written)
    await shown(member, ({ tally }) => tally[0] === 1)
    await member.line(`${meeting.name(1)} changed their vote to Tea, please`)
  })

  test('control characters and halves of characters are no obstacle', async () => {
    const meeting = await openMeeting(2)
    const [chair, member] = await meeting.enterAll(0, 1)
    chair.send(
      '{"type":"newpoll","question":"Fine\\u0000 \\u001b[31m\\ud83d?","answers":["\\u0007A","B"],"minutes":1}',
    )
    const { question, answers } = await shown(member)
    assert.deepEqual([question, answers], ['Fine [31m\ufffd?', ['A', 'B']])
    vote(member, 0, question)
    await member.line(`${meeting.name(1)} voted A`)
  })

  test('there is one poll at a time', async () => {
    const meeting = await openMeeting(2)
    const [chair, member] = await meeting.enterAll(0, 1)
    await post(chair, [member])
    const told = await toldDuring(chair, member, async () => {
      newPoll(chair, { question: 'Another one?' })
      assert.equal(await refused(chair), 'There is already an active poll')
    })
    assert.deepEqual(told, [])
    assert.deepEqual(
      (await storedPolls(meeting.id)).map(({ question }) => question),
      [report.question],
    )
    vote(member, 0)
    await shown(member, ({ tally }) => tally[0] === 1)
  })

  test('of two polls that are posted in the same moment one is taken and the other refused', async () => {
    for (let round = 0; round < 5; round++) {
      const meeting = await openMeeting(3, { admins: 2 })
      const [first, second, member] = await meeting.enterAll(0, 1, 2)
      newPoll(first, { question: 'First?' })
      newPoll(second, { question: 'Second?' })
      const { question } = await shown(member)
      const [winner, loser] = question === 'First?' ? [first, second] : [second, first]
      assert.equal(await refused(loser), 'There is already an active poll')
      await settle(member, winner, loser)
      assert.ok(!winner.frames.some(({ type }) => type === 'error'))
      assert.deepEqual(
        (await storedPolls(meeting.id)).map((poll) => poll.question),
        [question],
      )
      assert.deepEqual(
        member.texts().filter((text) => text.startsWith('A new poll')),
        [`A new poll has been posted for ${question}`],
      )
    }
  })

  test('only an open meeting has polls', async () => {
    const meeting = await gather(db.sql, plenum, 2)
    const [chair, member] = await meeting.enterAll(0, 1)
    const refusePoll = async (): Promise<void> => {
      newPoll(chair)
      assert.equal(await refused(chair), 'Meeting is not open')
      vote(member, 0)
      assert.equal(await refused(member), noPoll)
    }
    assert.deepEqual(await toldDuring(chair, member, refusePoll), [{ type: 'error', msg: noPoll }], 'pending')
    chair.send({ type: 'open' })
    await post(chair, [member])
    chair.send({ type: 'abortpoll' })
    chair.send({ type: 'finish' })
    await member.line('This meeting is now finished')
    assert.deepEqual(
      await toldDuring(chair, member, refusePoll),
      [{ type: 'error', msg: noPoll }],
      'finished',
    )
    assert.equal((await storedPolls(meeting.id)).length, 1)
  })

  test('a first vote is stored, summed up and in the record', async () => {
    const meeting = await openMeeting(3)
    const [chair, member, other] = await meeting.enterAll(0, 1, 2)
    await post(chair, [member, other])
    const told = await toldDuring(chair, other, async () => {
      vote(member, 1)
      await shown(other)
    })
    const { question, answers } = report
    assert.deepEqual(sorted(told), {
      others: [{ type: 'poll', data: { question, answers, tally: [0, 1], voted: null } }],
      lines: [`${meeting.name(1)} voted No`],
    })
    assert.deepEqual((await storedPolls(meeting.id))[0]?.votes, { [meeting.user(1)]: 1 })
    const line = (await meeting.record()).at(-2)
    assert.deepEqual([line?.text, line?.sender], [`${meeting.name(1)} voted No`, null])
  })

  test('a vote can be changed, and counts once', async () => {
    const meeting = await openMeeting(2)
    const [chair, member] = await meeting.enterAll(0, 1)
    await post(chair, [member])
    vote(member, 1)
    await shown(member, ({ tally }) => tally[1] === 1)
    const told = await toldDuring(chair, member, async () => {
      vote(member, 0)
      await shown(member)
    })
    const { question, answers } = report
    assert.deepEqual(sorted(told), {
      others: [{ type: 'poll', data: { question, answers, tally: [1, 0], voted: null } }],
      lines: [`${meeting.name(1)} changed their vote to Yes`],
    })
    assert.deepEqual((await storedPolls(meeting.id))[0]?.votes, { [meeting.user(1)]: 0 })
  })

  test('the same vote again changes nothing and is told to nobody', async () => {
    const meeting = await openMeeting(2)
    const [chair, member] = await meeting.enterAll(0, 1)
    await post(chair, [member])
    vote(member, 1)
    await shown(member, ({ tally }) => tally[1] === 1)
    const votes = (): Promise<object[]> => db.sql`
      select v.* from plenum.vote v join plenum.poll p on p.id = v.poll_id where p.meeting_id = ${meeting.id}`
    const before = await votes()
    const told = await toldDuring(chair, member, async () => {
      vote(member, 1)
      await settle(member)
      vote(member, 1)
      // A sum would be told within a tenth of a second.
      await wait(200)
    })
    assert.deepEqual(told, [])
    assert.deepEqual(await votes(), before)
  })

  test('votes that are sent in one burst are done in their order', async () => {
    const meeting = await openMeeting(2)
    const [chair, member] = await meeting.enterAll(0, 1)
    await post(chair, [member])
    for (const answer of [0, 1, 1, 0, 1]) vote(member, answer)
    await settle(member)
    const name = meeting.name(1)
    assert.deepEqual(
      member.texts().filter((text) => text.startsWith(name) && / vote/.test(text)),
      [
        `${name} voted Yes`,
        `${name} changed their vote to No`,
        `${name} changed their vote to Yes`,
        `${name} changed their vote to No`,
      ],
    )
    await shown(chair, ({ tally }) => tally[0] === 0 && tally[1] === 1)
    assert.deepEqual((await storedPolls(meeting.id))[0]?.votes, { [meeting.user(1)]: 1 })
  })

  test('a vote without a poll, or for another question, is refused', async () => {
    const meeting = await openMeeting(2)
    const [chair, member] = await meeting.enterAll(0, 1)
    const told = await toldDuring(member, chair, async () => {
      vote(member, 0)
      assert.equal(await refused(member), noPoll)
    })
    assert.deepEqual(told, [])
    await post(chair, [member])
    const toldInPoll = await toldDuring(member, chair, async () => {
      for (const question of ['Accept the budget?', 'accept the report?', '']) {
        vote(member, 0, question)
        assert.equal(await refused(member), 'Vote for the wrong question received', question)
      }
      for (const question of [null, 5, ['Accept the report?']]) {
        vote(member, 0, question)
        assert.equal(await refused(member), 'Invalid or no question', String(question))
      }
      member.send({ type: 'vote', vote: 0 })
      assert.equal(await refused(member), 'Invalid or no question')
    })
    assert.deepEqual(toldInPoll, [])
    assert.deepEqual((await storedPolls(meeting.id))[0]?.votes, {})
  })

  test('a vote that is not the index of an answer is refused', async () => {
    const meeting = await openMeeting(2)
    const [chair, member] = await meeting.enterAll(0, 1)
    await post(chair, [member])
    const told = await toldDuring(member, chair, async () => {
      for (const answer of [
        0.9,
        -0.5,
        0.5,
        '0',
        '',
        undefined,
        null,
        true,
        [0],
        {},
        2,
        5,
        -1,
        1e308,
        2 ** 31,
        2 ** 32,
      ]) {
        vote(member, answer)
        assert.equal(await refused(member), 'Invalid vote', JSON.stringify(answer))
      }
      // JSON.parse makes Infinity of it.
      member.send(`{"type":"vote","question":${JSON.stringify(report.question)},"vote":1e999}`)
      assert.equal(await refused(member), 'Invalid vote')
    })
    assert.deepEqual(told, [])
    assert.deepEqual((await storedPolls(meeting.id))[0]?.votes, {})
  })

  test('admins are told who has voted, others are not', async () => {
    const meeting = await openMeeting(4, { admins: 2 })
    const [chair, deputy, member, other] = await meeting.enterAll(0, 1, 2, 3)
    await post(chair, [deputy, member, other])
    vote(member, 0)
    vote(deputy, 1)
    const voted = [meeting.user(1), meeting.user(2)]
    const both = ({ tally }: PollState): boolean => tally[0] === 1 && tally[1] === 1
    for (const admin of [chair, deputy]) {
      const poll = await shown(admin, both)
      assert.deepEqual(
        poll.voted?.toSorted((a, b) => a - b),
        voted,
      )
    }
    for (const one of [member, other]) {
      await shown(one, both)
      assert.ok(one.frames.every((frame) => frame.type !== 'poll' || (frame.data?.voted ?? null) === null))
    }
    // So it is also for those who enter later.
    await other.close()
    await chair.line(`Member ${meeting.name(3)} left the meeting`)
    const again = await meeting.enter(3)
    const { question, answers } = report
    assert.deepEqual(await shown(again), { question, answers, tally: [1, 1], voted: null })
  })

  test('who enters during a poll is shown null, then the poll as it stands', async () => {
    const meeting = await openMeeting(4, { admins: 2 })
    const [chair, member] = await meeting.enterAll(0, 2)
    await post(chair, [member])
    vote(member, 1)
    await shown(chair, ({ tally }) => tally[1] === 1)
    const { question, answers } = report
    for (const [index, voted] of [
      [1, [meeting.user(2)]],
      [3, null],
    ] as const) {
      const entered = await meeting.enter(index)
      assert.deepEqual(
        entered.frames.slice(0, 5).map(({ type }) => type),
        ['users', 'status', 'poll', 'poll', 'messages'],
      )
      assert.deepEqual(entered.frames.slice(2, 4), [
        { type: 'poll', data: null },
        { type: 'poll', data: { question, answers, tally: [0, 1], voted } },
      ])
    }
  })

  test('the sums of a burst of votes are told about ten times a second, the last one always', async () => {
    const voters = 60
    const meeting = await openMeeting(voters + 2)
    const [chair, watcher] = await meeting.enterAll(0, 1)
    const members = await Promise.all(Array.from({ length: voters }, (_, index) => meeting.enter(index + 2)))
    await post(chair, [watcher, ...members])

    const from = watcher.frames.length
    const begun = performance.now()
    // One after the other: no two of them can share a commit.
    for (const [index, member] of members.entries()) {
      vote(member, index % 2)
      await watcher.line(`${meeting.name(index + 2)} voted ${index % 2 === 0 ? 'Yes' : 'No'}`)
    }
    await shown(watcher, ({ tally }) => tally[0] === voters / 2 && tally[1] === voters / 2)
    const seconds = (performance.now() - begun) / 1000
    const sums = watcher.frames.slice(from).filter(({ type }) => type === 'poll').length
    assert.ok(sums <= 10 * seconds + 2, `${sums} sums in ${seconds} s`)
    const { voted } = await shown(chair, ({ tally }) => tally[0] === voters / 2 && tally[1] === voters / 2)
    assert.equal(new Set(voted).size, voters)

    // All at once: some share a commit.
    for (const member of members) vote(member, 0)
    await shown(watcher, ({ tally }) => tally[0] === voters && tally[1] === 0)
    // The end is told in place of the last sum.
    vote(watcher, 1)
    vote(chair, 1)
    await ended(watcher)
    await settle(chair, watcher)
    await wait(200)
    assert.equal(watcher.frames.findLast((frame) => frame.type === 'poll')?.data, null)
    assert.deepEqual((await result(meeting)).slice(0, 3), [
      allVoted,
      `Answer "Yes": ${voters} votes`,
      'Answer "No": 2 votes',
    ])
    const [stored] = await storedPolls(meeting.id)
    assert.equal(Object.keys(stored?.votes ?? {}).length, voters + 2)
  })

  test('a poll ends as soon as all who attend have voted', async () => {
    const meeting = await openMeeting(3)
    const [chair, one, other] = await meeting.enterAll(0, 1, 2)
    await post(chair, [one, other], { answers: ['Yes', 'No', 'Abstain'] })
    vote(chair, 0)
    vote(one, 1)
    await settle(one, chair)
    assert.equal(await ending(meeting), null)
    const told = await toldDuring(chair, one, async () => {
      vote(other, 0)
      await ended(one)
    })
    assert.deepEqual(sorted(told).lines, [
      `${meeting.name(2)} voted Yes`,
      allVoted,
      'Answer "Yes": 2 votes',
      'Answer "No": 1 vote',
      'Answer "Abstain": 0 votes',
    ])
    assert.deepEqual(sorted(told).others.at(-1), { type: 'poll', data: null })
    assert.equal(await ending(meeting), 'voted')
    vote(one, 0)
    assert.equal(await refused(one), noPoll)
  })

  test('who comes in during a poll is waited for too', async () => {
    const meeting = await openMeeting(3)
    const [chair, member] = await meeting.enterAll(0, 1)
    await post(chair, [member])
    vote(member, 0)
    await shown(chair, ({ tally }) => tally[0] === 1)
    const late = await meeting.enter(2)
    vote(chair, 0)
    await settle(chair, late)
    assert.equal(await ending(meeting), null)
    vote(late, 1)
    await late.line('Answer "No": 1 vote')
    assert.equal(await ending(meeting), 'voted')
  })

  test('who is away for less than the grace time is waited for', async () => {
    const meeting = await openMeeting(3)
    const [chair, voter, missing] = await meeting.enterAll(0, 1, 2)
    await post(chair, [voter, missing])
    await missing.reset()
    await isAway(meeting, 2)
    vote(voter, 0)
    vote(chair, 0)
    await settle(chair, voter)
    assert.equal(await ending(meeting), null)
    const back = await meeting.enter(2)
    vote(back, 1)
    await back.line(`${meeting.name(2)} voted No`)
    await back.line(allVoted)
    assert.ok(
      !back.texts().includes(`Member ${meeting.name(2)} left the meeting`),
      'he was back within the grace time',
    )
  })

  test('who voted and is away for less than the grace time is not waited for', async () => {
    const meeting = await openMeeting(2)
    const [chair, member] = await meeting.enterAll(0, 1)
    await post(chair, [member])
    vote(member, 1)
    await shown(chair, ({ tally }) => tally[1] === 1)
    await member.reset()
    await isAway(meeting, 1)
    vote(chair, 0)
    await chair.line('Answer "No": 1 vote')
    assert.ok(!chair.texts().includes(`Member ${meeting.name(1)} left the meeting`))
  })

  test('a poll ends when the last one who has not voted leaves; who left and came back may still vote', async () => {
    const meeting = await openMeeting(4)
    const [chair, voter, leaver, away] = await meeting.enterAll(0, 1, 2, 3)
    await post(chair, [voter, leaver, away])
    vote(leaver, 0)
    await leaver.line(`${meeting.name(2)} voted Yes`)
    await leaver.close()
    await chair.line(`Member ${meeting.name(2)} left the meeting`)
    const returned = await meeting.enter(2)
    vote(returned, 1)
    await returned.line(`${meeting.name(2)} changed their vote to No`)
    await returned.close()
    vote(voter, 0)
    vote(chair, 0)
    await settle(chair, voter)
    assert.equal(await ending(meeting), null)

    await away.reset()
    await chair.line(allVoted)
    await chair.line('Answer "No": 1 vote')
    const texts = chair.texts()
    assert.ok(
      texts.indexOf(`Member ${meeting.name(3)} left the meeting`) < texts.indexOf(allVoted),
      'the grace time is waited for',
    )
    assert.equal(await ending(meeting), 'voted')
    assert.deepEqual(await result(meeting), [allVoted, 'Answer "Yes": 2 votes', 'Answer "No": 1 vote'])
  })

  test('a poll ends when the last one who has not voted closes the connection', async () => {
    const meeting = await openMeeting(2)
    const [chair, member] = await meeting.enterAll(0, 1)
    await post(chair, [member])
    vote(chair, 0)
    await shown(chair, ({ tally }) => tally[0] === 1)
    await member.close()
    await ended(chair)
    assert.deepEqual((await meeting.texts()).slice(-4), [
      `Member ${meeting.name(1)} left the meeting`,
      allVoted,
      'Answer "Yes": 1 vote',
      'Answer "No": 0 votes',
    ])
  })

  test('a poll ends when the last one who has not voted is kicked, and the votes of the kicked stay', async () => {
    const meeting = await openMeeting(4)
    const [chair, voter, kickedVoter, silent] = await meeting.enterAll(0, 1, 2, 3)
    await post(chair, [voter, kickedVoter, silent])
    vote(kickedVoter, 1)
    await shown(chair, ({ tally }) => tally[1] === 1)
    chair.send({ type: 'kick', user: meeting.user(2), canrejoin: false })
    await kickedVoter.next('disconnect')
    vote(voter, 0)
    vote(chair, 0)
    await settle(chair, voter)
    assert.equal(await ending(meeting), null)
    chair.send({ type: 'kick', user: meeting.user(3), canrejoin: true })
    await ended(chair)
    await chair.line('Answer "No": 1 vote')
    assert.deepEqual(await result(meeting), [allVoted, 'Answer "Yes": 2 votes', 'Answer "No": 1 vote'])
    assert.equal(await ending(meeting), 'voted')
  })

  test('a poll goes on when nobody is left, and ends when those who come have voted', async () => {
    const meeting = await openMeeting(3)
    const [chair, member] = await meeting.enterAll(0, 1)
    await post(chair, [member])
    vote(chair, 0)
    await shown(member, ({ tally }) => tally[0] === 1)
    // The one who has voted goes first, so that no departure but the last could end the poll.
    await chair.close()
    await member.line(`Member ${meeting.name(0)} left the meeting`)
    await member.close()
    const left = `Member ${meeting.name(1)} left the meeting`
    await until('nobody is in', async () => (await meeting.texts()).includes(left))
    const late = await meeting.enter(2)
    assert.deepEqual((await shown(late)).tally, [1, 0])
    assert.equal(await ending(meeting), null)
    vote(late, 0)
    await late.line('Answer "Yes": 2 votes')
    assert.equal(await ending(meeting), 'voted')
  })

  test('a second connection of a member takes his vote over', async () => {
    const meeting = await openMeeting(2)
    const [chair, member] = await meeting.enterAll(0, 1)
    await post(chair, [member])
    vote(member, 0)
    await shown(chair, ({ tally }) => tally[0] === 1)
    const second = await meeting.enter(1)
    vote(second, 1)
    assert.deepEqual((await shown(chair, ({ tally }) => tally[1] === 1)).tally, [0, 1])
    vote(chair, 1)
    await chair.line('Answer "No": 2 votes')
    assert.deepEqual((await storedPolls(meeting.id))[0]?.votes, {
      [meeting.user(0)]: 1,
      [meeting.user(1)]: 1,
    })
  })

  test('an aborted poll has no result', async () => {
    const meeting = await openMeeting(2)
    const [chair, member] = await meeting.enterAll(0, 1)
    await post(chair, [member])
    vote(member, 0)
    await shown(chair, ({ tally }) => tally[0] === 1)
    const told = await toldDuring(chair, member, async () => {
      chair.send({ type: 'abortpoll' })
      await ended(member)
    })
    assert.deepEqual(sorted(told), { others: [{ type: 'poll', data: null }], lines: [aborted] })
    assert.equal(await ending(meeting), 'aborted')
    vote(member, 1)
    assert.equal(await refused(member), noPoll)
    chair.send({ type: 'abortpoll' })
    assert.equal(await refused(chair), noPoll)
    assert.deepEqual((await storedPolls(meeting.id))[0]?.votes, { [meeting.user(1)]: 0 })
  })

  test('finishing the meeting closes its poll first and tells the result', async () => {
    const meeting = await openMeeting(2)
    const [chair, member] = await meeting.enterAll(0, 1)
    await post(chair, [member])
    vote(member, 1)
    await shown(member, ({ tally }) => tally[1] === 1)
    const told = await toldDuring(chair, member, async () => chair.send({ type: 'finish' }))
    assert.deepEqual(sorted(told), {
      others: [
        { type: 'poll', data: null },
        { type: 'status', data: { isopen: false, isfinished: true } },
      ],
      lines: [completed, 'Answer "Yes": 0 votes', 'Answer "No": 1 vote', 'This meeting is now finished'],
    })
    assert.equal(await ending(meeting), 'finished')
  })

  test('a poll is stored before anyone is told of it', async () => {
    const meeting = await openMeeting(2)
    const [chair, member] = await meeting.enterAll(0, 1)
    // A poll of the same meeting that is neither committed nor undone: the server's own has to wait for it.
    const other = await holdTransaction(
      db.url,
      (tx) => tx`
        insert into plenum.poll (meeting_id, question, answers, opened_by, closes_at)
        values (${meeting.id}, 'Elsewhere?', '{Yes,No}', ${meeting.user(0)}, now() + interval '10 minutes')`,
    )
    await toldOnlyAfter([chair, member], other, () => newPoll(chair))
    await shown(member)
    await shown(chair)
    assert.deepEqual(
      (await storedPolls(meeting.id)).map(({ question }) => question),
      [report.question],
    )
  })

  const underWay = (meeting: MeetingFixture) => (tx: TransactionSql) =>
    tx`select from plenum.poll where meeting_id = ${meeting.id} and ended_at is null for update`

  test('a vote is stored before anyone is told of it', async () => {
    const meeting = await openMeeting(3)
    const [chair, member] = await meeting.enterAll(0, 1)
    await post(chair, [member])
    await toldOnlyAfter([chair, member], await holdTransaction(db.url, underWay(meeting)), () =>
      vote(member, 1),
    )
    await shown(chair, ({ tally }) => tally[1] === 1)
    assert.deepEqual((await storedPolls(meeting.id))[0]?.votes, { [meeting.user(1)]: 1 })
  })

  test('the end of a poll is stored before anyone is told of it', async () => {
    const meeting = await openMeeting(2)
    const [chair, member] = await meeting.enterAll(0, 1)
    await post(chair, [member])
    await toldOnlyAfter([chair, member], await holdTransaction(db.url, underWay(meeting)), () =>
      chair.send({ type: 'abortpoll' }),
    )
    await ended(member)
    assert.equal(await ending(meeting), 'aborted')
  })

  test('a poll and the state of the meeting end together', async () => {
    const meeting = await openMeeting(2)
    const [chair, member] = await meeting.enterAll(0, 1)
    await post(chair, [member])
    const held = await holdTransaction(
      db.url,
      (tx) => tx`select from membership_meeting where id = ${meeting.id} for update`,
    )
    await toldOnlyAfter([chair, member], held, async () => {
      chair.send({ type: 'finish' })
      await held.waitedFor()
      assert.equal(await ending(meeting), null)
      assert.deepEqual(await result(meeting), [])
    })
    await member.line('This meeting is now finished')
    assert.equal(await ending(meeting), 'finished')
  })

  test('a poll that was ended elsewhere takes no votes, and has no second end', async () => {
    const meeting = await openMeeting(2)
    const [chair, member] = await meeting.enterAll(0, 1)
    await post(chair, [member])
    vote(member, 0)
    await shown(chair, ({ tally }) => tally[0] === 1)
    await db.sql`
      update plenum.poll set ended_at = now(), ending = 'time' where meeting_id = ${meeting.id}`
    vote(chair, 0)
    assert.equal(await refused(chair), noPoll)
    await ended(member)
    assert.deepEqual((await storedPolls(meeting.id))[0]?.votes, { [meeting.user(1)]: 0 })
    assert.equal(await ending(meeting), 'time')
    assert.deepEqual(await result(meeting), [], 'whoever ended it has said so')
    newPoll(chair, { question: 'Another one?' })
    await shown(member, ({ question }) => question === 'Another one?')
  })

  test('a poll that was ended elsewhere is neither aborted nor closed once more', async () => {
    for (const [command, last] of [
      ['abortpoll', null],
      ['finish', 'This meeting is now finished'],
    ] as const) {
      const meeting = await openMeeting(2)
      const [chair, member] = await meeting.enterAll(0, 1)
      await post(chair, [member])
      const elsewhere = await holdTransaction(
        db.url,
        (tx) => tx`
          update plenum.poll set ended_at = now(), ending = 'time' where meeting_id = ${meeting.id}`,
      )
      chair.send({ type: command })
      await elsewhere.waitedFor()
      await elsewhere.commit()
      await ended(member)
      if (last) await member.line(last)
      else assert.equal(await refused(chair), noPoll)
      assert.deepEqual(await result(meeting), [])
      assert.equal(await ending(meeting), 'time')
    }
  })

  test('a poll that was posted elsewhere is the one', async () => {
    const meeting = await openMeeting(2)
    const [chair, member] = await meeting.enterAll(0, 1)
    await db.sql`
      insert into plenum.poll (meeting_id, question, answers, opened_by, closes_at)
      values (${meeting.id}, 'Elsewhere?', '{Yes,No}', ${meeting.user(0)}, now() + interval '10 minutes')`
    newPoll(chair)
    assert.equal(await refused(chair), 'There is already an active poll')
    await shown(member, ({ question }) => question === 'Elsewhere?')
    assert.ok(!(await meeting.texts()).includes(posted))
    vote(member, 0, 'Elsewhere?')
    await member.line(`${meeting.name(1)} voted Yes`)
  })

  test('a poll ends once, whatever would end it comes in the same moment', async () => {
    const rounds = 16
    await Promise.all(
      Array.from({ length: rounds }, async (_, round) => {
        const meeting = await openMeeting(4, { admins: 2 })
        const [chair, deputy, voter, watcher] = await meeting.enterAll(0, 1, 2, 3)
        await post(chair, [deputy, voter, watcher])
        vote(chair, 0)
        vote(deputy, 0)
        vote(watcher, 1)
        await settle(watcher, deputy, chair, voter)
        const causes = [
          () => vote(voter, 0),
          () => chair.send({ type: 'abortpoll' }),
          () => deputy.send({ type: 'finish' }),
        ]
        for (let index = 0; index < causes.length; index++) causes[(index + round) % causes.length]?.()
        await watcher.line('This meeting is now finished')
        await settle(watcher)
        await endedOnce(meeting, watcher.lines())
        const frames = watcher.frames.filter((frame) => frame.type === 'poll')
        assert.equal(frames.filter(({ data }) => data === null).length, 2, 'at entry and at the end')
        assert.equal(frames.at(-1)?.data, null)
      }),
    )
  })

  test('polls outlive a crash of the server', async (t) => {
    const own = await createDatabase()
    const start = (): ReturnType<typeof startPlenum> =>
      startPlenum({ database: own.url, grace: 3, poll: 0.5, flags: ['-rate', '0'] })
    let current = await start()
    const target: Target = { socketUrl: (path) => current.socketUrl(path) }
    after(async () => {
      await current.stop()
      await own.drop()
    })
    /** A meeting of a chair and a member, with a poll in which the chair has voted Yes. */
    const polling = async (): Promise<MeetingFixture> => {
      const meeting = await gather(own.sql, target, 3, { state: 1, allowrejoin: true })
      const [chair, member] = await meeting.enterAll(0, 1)
      await post(chair, [member])
      vote(chair, 0)
      await shown(member, ({ tally }) => tally[0] === 1)
      return meeting
    }
    const [kept, overdue, timed, replaced, asked, deserted] = await Promise.all([
      polling(),
      polling(),
      polling(),
      polling(),
      polling(),
      polling(),
    ])
    const raced = await Promise.all(Array.from({ length: 8 }, polling))
    const admin = await asked.enter(0)
    admin.send({ type: 'abortpoll' })
    await admin.line(aborted)
    await current.kill()

    const closeAt = async (seconds: number, ...meetings: MeetingFixture[]): Promise<unknown> =>
      await own.sql`
      update plenum.poll set closes_at = now() + ${seconds} * interval '1 second'
      where meeting_id = any(${meetings.map(({ id }) => id)}::int[])`
    await own.sql`update plenum.poll set ended_at = now() where meeting_id = ${asked.id}`
    await closeAt(-1, overdue)
    await closeAt(8 * slowness(), replaced)
    await closeAt(9 * slowness(), timed, ...raced)
    current = await start()
    const return_ = async (meeting: MeetingFixture): Promise<[Member, Member]> =>
      await Promise.all([meeting.enter(0), meeting.enter(1)])
    const pages = new Map<MeetingFixture, [Member, Member]>(
      await Promise.all(
        [kept, overdue, timed, replaced, asked, ...raced].map(
          async (meeting) => [meeting, await return_(meeting)] as const,
        ),
      ),
    )
    const pagesOf = (meeting: MeetingFixture): [Member, Member] => {
      const found = pages.get(meeting)
      assert.ok(found)
      return found
    }

    const [replacedChair, replacedMember] = pagesOf(replaced)
    replacedChair.send({ type: 'abortpoll' })
    await replacedChair.line(aborted)
    await post(replacedChair, [replacedMember], { question: 'Another one?' })

    await t.test('its votes count on, and can be changed', async () => {
      const [chair, member] = pagesOf(kept)
      const { question, answers } = report
      assert.deepEqual(await shown(chair), { question, answers, tally: [1, 0], voted: [kept.user(0)] })
      vote(chair, 1)
      await chair.line(`${kept.name(0)} changed their vote to No`)
      vote(member, 1)
      await member.line('Answer "No": 2 votes')
      assert.equal(await ending(kept, own.sql), 'voted')
    })

    await t.test('one whose time ran out meanwhile has its result', async () => {
      const [chair, member] = pagesOf(overdue)
      await member.line('Answer "Yes": 1 vote')
      assert.deepEqual(await result(overdue), [completed, 'Answer "Yes": 1 vote', 'Answer "No": 0 votes'])
      assert.equal(await ending(overdue, own.sql), 'time')
      vote(chair, 0)
      assert.equal(await refused(chair), noPoll)
    })

    await t.test('the question of one that ended just before is refused', async () => {
      const [chair] = pagesOf(asked)
      newPoll(chair)
      assert.equal(await refused(chair), tooSoon)
    })

    await t.test('it ends when nobody is left who has not voted and comes back in time', async () => {
      const chair = await deserted.enter(0)
      await chair.line(allVoted)
      const texts = await deserted.texts()
      assert.ok(texts.indexOf(`Member ${deserted.name(1)} left the meeting`) < texts.indexOf(allVoted))
    })

    await t.test('it ends once when its time and the last vote come together', async () => {
      const [left] = await own.sql<{ ms: number }[]>`
        select extract(epoch from closes_at - now())::float8 * 1000 ms from plenum.poll
        where meeting_id = ${timed.id}`
      await Promise.all(
        raced.map(async (meeting, index) => {
          const [chair, member] = pagesOf(meeting)
          await wait((left?.ms ?? 0) + 4 * (index - 4))
          if (index % 2 === 0) chair.send({ type: 'abortpoll' })
          vote(member, 1)
          await ended(member) // what was shown at entry
          await ended(member)
          await settle(member)
          await endedOnce(meeting, member.lines(), own.sql)
        }),
      )
    })

    await t.test('the timer goes on from where it was', async () => {
      const [, member] = pagesOf(timed)
      await member.line('Answer "Yes": 1 vote', 15_000)
      assert.equal(await ending(timed, own.sql), 'time')
      const [late] = await own.sql<{ seconds: number }[]>`
        select extract(epoch from ended_at - closes_at)::float8 seconds from plenum.poll
        where meeting_id = ${timed.id}`
      assert.ok(late && late.seconds > -0.1 && late.seconds < 5, JSON.stringify(late))
    })

    await t.test('the timer of an aborted one ends nothing', async () => {
      // It would have fired a second before that of the poll above.
      await settle(replacedChair)
      assert.deepEqual(
        (await storedPolls(replaced.id, own.sql)).map(({ ending }) => ending),
        ['aborted', null],
      )
    })
  })
})

/** Does `action`, whose commit has to wait for `held`, and makes sure that nobody is told before that is released. */
async function toldOnlyAfter(members: Member[], held: HeldTransaction, action: () => unknown): Promise<void> {
  const before = members.map(({ frames }) => frames.length)
  await action()
  await held.waitedFor()
  for (const member of members) await member.caughtUp()
  assert.deepEqual(
    members.map(({ frames }) => frames.length),
    before,
  )
  await held.rollback()
}

async function endedOnce(meeting: MeetingFixture, seen: Line[], sql = db.sql): Promise<void> {
  const stored = (await meeting.texts()).filter(isEnding)
  assert.equal(stored.length, 1, JSON.stringify(stored))
  assert.deepEqual(
    seen.filter(({ message }) => isEnding(message)).map(({ message }) => message),
    stored,
  )
  const how = await ending(meeting, sql)
  const lines = { voted: allVoted, time: completed, finished: completed, aborted }
  assert.equal(stored[0], lines[how as keyof typeof lines])
}
