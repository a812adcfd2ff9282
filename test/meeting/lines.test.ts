import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { createDatabase } from '../support/database.ts'
import { farewell, gather, linesOf, settle, toldDuring } from '../support/meeting-fixture.ts'
import { UpgradeRefused } from '../support/meeting-client.ts'
import type { Line, Member } from '../support/meeting-client.ts'
import { StockPage } from '../support/stock-page.ts'
import { refuseWrites } from '../support/refused-writes.ts'
import { startPlenum } from '../support/server.ts'
import { until } from '../support/until.ts'

const db = await createDatabase()
const plenum = await startPlenum({
  database: db.url,
  grace: 1,
  poll: 0.5,
  flags: ['-rate', '0'],
  // The database's zone is another one (see run.ts).
  env: { TZ: 'America/New_York' },
})
after(async () => {
  await plenum.kill()
  await db.drop()
})

const ids = (lines: readonly { id: number }[]): number[] => lines.map(({ id }) => id)

for (const length of [10, 6000])
  test(`a reader who pauses for 1500 lines of ${length} characters gets them all, or is dropped and resumes`, async () => {
    const meeting = await gather(db.sql, plenum, 3)
    const [speaker, other, slow] = await meeting.enterAll(0, 1, 2)
    slow.ws.pause()
    for (let n = 0; n < 1500; n++) {
      speaker.say(`${n} `.padEnd(length, '.'))
      // Who shares this process must not be slow as well.
      if (n % 50 === 49) await settle(speaker, other)
    }
    speaker.say('the last one')
    await other.line('the last one')
    slow.ws.resume()
    await until(
      'all is read or the connection is dropped',
      () => slow.isClosed || slow.texts().includes('the last one'),
      20_000,
    )
    const got = slow.lines()
    if (slow.isClosed) {
      assert.equal((await slow.closed).code, 1006)
      assert.ok(!slow.frames.some(({ type }) => type === 'disconnect'))
      const again = await meeting.enter(2, { first: got.at(-1)?.id ?? 0 })
      // A long history comes in parts.
      await until('he has the rest', () => again.texts().includes('the last one'), 20_000)
      got.push(...again.lines())
    }
    const last = other.lines().find(({ message }) => message === 'the last one')?.id ?? 0
    const since = got[0]?.id ?? 0
    const expected = ids(await meeting.record()).filter((id) => id >= since && id <= last)
    assert.ok(expected.length > 1500)
    assert.deepEqual(
      ids(got).filter((id) => id <= last),
      expected,
    )
  })

test('characters that the database does not take are removed, and the rest is said', async () => {
  const meeting = await gather(db.sql, plenum, 2)
  const [speaker, other] = await meeting.enterAll(0, 1)
  speaker.say('nu\u0000ll \ud800 half')
  await other.line('null \ufffd half')
  assert.deepEqual((await meeting.texts()).at(-1), 'null \ufffd half')
})

test('a line that the database refuses is an error for who said it, and nobody is told of it', async () => {
  const meeting = await gather(db.sql, plenum, 2)
  const [speaker, other] = await meeting.enterAll(0, 1)
  const allow = await refuseWrites(
    db.sql,
    'insert on membership_meetingmessagelog',
    `new.message = 'unheard ${meeting.id}'`,
  )
  speaker.say(`unheard ${meeting.id}`)
  assert.match((await speaker.next('error')).msg, /^The database refuses this/)
  await settle(speaker, other)
  for (const member of [speaker, other]) assert.ok(!member.texts().includes(`unheard ${meeting.id}`))
  await allow()
  speaker.say(`unheard ${meeting.id}`)
  await other.line(`unheard ${meeting.id}`)
})

test('a message is trimmed, an empty one ignored, and what is no text is an error', async () => {
  const meeting = await gather(db.sql, plenum, 2)
  const [speaker, other] = await meeting.enterAll(0, 1)
  const told = await toldDuring(speaker, other, async () => {
    for (const text of ['', ' ', '\n\t ', '\u00a0']) speaker.say(text)
    speaker.say('  to the point \n')
    for (const message of [7, null, true, ['a'], { a: 1 }, undefined]) {
      speaker.send({ type: 'message', message })
      assert.match((await speaker.next('error')).msg, /message/)
    }
  })
  assert.deepEqual(
    linesOf(told).map(({ message }) => message),
    ['to the point'],
  )
  assert.equal(told.length, 1)
})

test('a message may have 10,000 characters of any kind; a longer one is an error and ends nothing', async () => {
  const meeting = await gather(db.sql, plenum, 2)
  const [speaker, other] = await meeting.enterAll(0, 1)
  for (const text of ['x'.repeat(10_000), '日'.repeat(10_000), '😀'.repeat(10_000)]) {
    speaker.say(text)
    await other.line(text)
    speaker.say(`${text}x`)
    assert.match((await speaker.next('error')).msg, /too long/)
  }
  await settle(speaker, other)
})

test('after a frame beyond all limits the stock page comes back by itself', async () => {
  const meeting = await gather(db.sql, plenum, 1)
  const page = new StockPage(plenum, { meetingId: meeting.id, key: meeting.key(0), retryAfter: 50 })
  await page.until((page) => page.lines.length === 1)
  page.say('x'.repeat(70_000))
  await page.until((page) => page.attempts.length === 2 && page.state === 'open')
  assert.deepEqual(page.closeCodes, [1006])
  page.say('here again')
  await page.until((page) => page.texts().includes('here again'))
  page.leave()
})

/** Sends what is no command and returns the answer; nobody else hears of it. */
async function answerToNonsense(send: (member: Member) => void): Promise<string> {
  const meeting = await gather(db.sql, plenum, 2)
  const [speaker, other] = await meeting.enterAll(0, 1)
  let answer = ''
  const told = await toldDuring(speaker, other, async () => {
    send(speaker)
    answer = (await speaker.next('error')).msg
  })
  assert.deepEqual(told, [])
  return answer
}

test('frames that are no command are errors, and the connection stays', async () => {
  const nonsense = [
    '',
    ' ',
    '{',
    'no JSON',
    '[]',
    '[{"type":"message","message":"in a list"}]',
    '"message"',
    '7',
    'null',
    'true',
    '{}',
    '{"type":7}',
    '{"type":null,"message":"x"}',
    '{"type":"Message","message":"x"}',
    '{"type":"__proto__"}',
    '{"type":"constructor"}',
    '{"type":"message","message":"one"}{"type":"message","message":"two"}',
    '{"type":"message","message":"one"}\n{"type":"message","message":"two"}',
    '['.repeat(30_000),
    Buffer.from('{"type":"message","message":"binary"}'),
    Buffer.alloc(0),
  ]
  for (const frame of nonsense) assert.notEqual(await answerToNonsense((member) => member.send(frame)), '')
})

test('a text frame that is not UTF-8 is an error, and the connection stays', async () => {
  const bytes = Buffer.from('{"type":"message","message":"caf\xe9"}', 'latin1')
  assert.notEqual(await answerToNonsense((member) => member.ws.send(bytes, { binary: false })), '')
})

test('history comes for any number that a client may have, and for nothing but a number', async () => {
  const meeting = await gather(db.sql, plenum, 2)
  const chair = await meeting.enter(0)
  for (const first of ['2147483647', '2147483648', '9'.repeat(16), '9'.repeat(40)]) {
    const member = await meeting.connect(1, { first })
    assert.deepEqual((await member.next('messages')).data, [])
    chair.say(`after ${first}`)
    await member.line(`after ${first}`)
  }
  const padded = await meeting.enter(1, { first: `${'0'.repeat(20)}1` })
  assert.ok(padded.lines().length > 4)
  for (const first of ['1x', '1/', '1.5', '-1', '', '%30x', '1%00', '+1'])
    await assert.rejects(meeting.connect(1, { first }), new UpgradeRefused(404), first)
})

test('history begins after the line that the client has', async () => {
  const meeting = await gather(db.sql, plenum, 2)
  const [chair, member] = await meeting.enterAll(0, 1)
  for (const text of ['one', 'two', 'three']) chair.say(text)
  const three = await member.line('three')
  const two = await member.line('two')
  await member.close()
  await chair.line(`Member ${meeting.name(1)} left the meeting`)
  const history = async (first: number) => {
    const again = await meeting.connect(1, { first })
    return (await again.next('messages')).data.map(({ message }) => message)
  }
  assert.deepEqual((await history(two.id)).slice(0, 2), [
    'three',
    `Member ${meeting.name(1)} left the meeting`,
  ])
  assert.equal((await history(three.id))[0], `Member ${meeting.name(1)} left the meeting`)
  const [last] = (await meeting.record()).slice(-1)
  assert.deepEqual(await history(last?.id ?? 0), [])
})

const readAsUtc = ({ date, time }: Line): number => Date.parse(`${date}T${time}Z`) / 1000

test("all frames tell the time of one zone, the database's", async () => {
  const meeting = await gather(db.sql, plenum, 3)
  const [chair, kicked, other] = await meeting.enterAll(0, 1, 2)
  chair.send({ type: 'kick', user: meeting.user(1), canrejoin: false })
  const told = (await kicked.next('disconnect')).data
  const line = await other.line(`User ${meeting.name(1)} has been disconnected by ${meeting.name(0)}`)
  const refused = (await (await meeting.connect(1)).next('disconnect')).data
  for (const frame of [told, refused])
    assert.ok(Math.abs(readAsUtc(frame) - readAsUtc(line)) <= 2, JSON.stringify([frame, line]))
  const [date = '', time = ''] = new Date()
    .toLocaleString('sv-SE', { timeZone: 'Europe/Stockholm' })
    .split(' ')
  assert.ok(Math.abs(readAsUtc({ ...line, date, time }) - readAsUtc(line)) <= 5, JSON.stringify(line))
  const history = (await (await meeting.connect(2)).next('messages')).data
  assert.deepEqual(
    history.find(({ id }) => id === line.id),
    line,
  )
})

test('a clock that was set back does not change the order of the record', async () => {
  const meeting = await gather(db.sql, plenum, 2)
  await db.sql`
    insert into membership_meetingmessagelog (t, message, meeting_id)
    values (now() + interval '1 hour', 'from the future', ${meeting.id})`
  const [chair, member] = await meeting.enterAll(0, 1)
  for (let n = 0; n < 20; n++) (n % 2 ? chair : member).say(`line ${n}`)
  await settle(chair, member)
  await settle(member, chair)
  const bySite = await db.sql<{ id: number }[]>`
    select id from membership_meetingmessagelog where meeting_id = ${meeting.id} order by t`
  assert.deepEqual(ids(bySite), ids(await meeting.record()))
  assert.deepEqual(
    ids(chair.lines()),
    chair
      .lines()
      .toSorted((a, b) => readAsUtc(a) - readAsUtc(b))
      .map(({ id }) => id),
  )
})

test('what is said before the opening and after the end stays, and who enters later can read it', async () => {
  const meeting = await gather(db.sql, plenum, 2, { allowrejoin: true })
  const chair = await meeting.enter(0)
  chair.say('before')
  chair.send({ type: 'open' })
  chair.send({ type: 'finish' })
  chair.say('after')
  await chair.line('after')
  chair.send({ type: 'open' })
  await chair.line(`This meeting is being re-opened by ${meeting.name(0)}`)
  const later = (await (await meeting.connect(1)).next('messages')).data.map(({ message }) => message)
  assert.ok(later.includes('before') && later.includes('after'))
})

test("who has entered may rejoin by the site's list, who was refused may not", async () => {
  const meeting = await gather(db.sql, plenum, 3)
  const [chair] = await meeting.enterAll(0, 1)
  chair.send({ type: 'open' })
  await chair.line('This meeting is now open')
  await farewell(await meeting.connect(2))
  const rows = await db.sql<{ member: number }[]>`
    select member_id as member from membership_membermeetingkey
    where meeting_id = ${meeting.id} and allowrejoin order by member_id`
  assert.deepEqual(
    rows.map(({ member }) => member),
    [meeting.user(0), meeting.user(1)],
  )
})

test('nothing that a member sends is done after the line that says he was kicked', async () => {
  await Promise.all(
    Array.from({ length: 10 }, async () => {
      const meeting = await gather(db.sql, plenum, 2)
      const [chair, flooder] = await meeting.enterAll(0, 1)
      for (let n = 0; n < 30; n++) {
        flooder.say(`flood ${n}`)
        if (n === 5) chair.send({ type: 'kick', user: meeting.user(1), canrejoin: false })
      }
      await farewell(flooder)
      await settle(chair)
      const record = await meeting.record()
      const kick = record.findIndex(({ text }) => text.startsWith('User '))
      assert.ok(kick > 0)
      assert.deepEqual(
        record.slice(kick).filter(({ sender }) => sender === meeting.user(1)),
        [],
      )
    }),
  )
})

test('what a member says before he leaves stands before the line that he left', async () => {
  await Promise.all(
    Array.from({ length: 10 }, async () => {
      const meeting = await gather(db.sql, plenum, 2)
      const [chair, member] = await meeting.enterAll(0, 1)
      const words = Array.from({ length: 20 }, (_, n) => `word ${n}`)
      for (const word of words) member.say(word)
      await member.close()
      const left = `Member ${meeting.name(1)} left the meeting`
      await chair.line(left)
      await settle(chair)
      assert.deepEqual((await meeting.texts()).slice(-21), [...words, left])
    }),
  )
})

test('lines of several members have one order for all of them', async () => {
  const meeting = await gather(db.sql, plenum, 6)
  const members = await meeting.enterAll(0, 1, 2, 3, 4, 5)
  for (let n = 0; n < 50; n++) for (const [index, member] of members.entries()) member.say(`${index}: ${n}`)
  for (const member of members) await settle(member, ...members)
  const record = await meeting.record()
  for (const [index, member] of members.entries()) {
    assert.deepEqual(ids(member.lines()), ids(record).slice(-member.lines().length))
    const own = record.filter(({ text }) => text.startsWith(`${index}: `)).map(({ text }) => text)
    assert.deepEqual(
      own,
      own.map((_, n) => `${index}: ${n}`),
    )
  }
})

test('an error is a type and a text, and a line has a message', async () => {
  const meeting = await gather(db.sql, plenum, 1)
  const chair = await meeting.enter(0)
  chair.send({ type: 'finish' })
  assert.deepEqual(await chair.next('error'), { type: 'error', msg: 'Meeting is not open' })
  chair.say('hello')
  const line = await chair.line('hello')
  assert.deepEqual(Object.keys(line).toSorted(), [
    'color',
    'date',
    'from',
    'fromname',
    'id',
    'message',
    'time',
  ])
})
