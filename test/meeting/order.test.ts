import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { after, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { createAssociation, createDatabase, createMeeting } from '../support/database.ts'
import type { Fellow, TestMeeting } from '../support/database.ts'
import { join } from '../support/meeting-client.ts'
import type { Line, Member } from '../support/meeting-client.ts'
import { Random } from '../support/random.ts'
import { startPlenum } from '../support/server.ts'
import type { Plenum } from '../support/server.ts'
import { until } from '../support/until.ts'

const talkers = 20
const linesEach = 50
const latecomers = 5
const patienceMs = 30_000

const db = await createDatabase()
after(() => db.drop())

/** Someone who comes back after each loss of the connection, and says which lines he has. */
class Visitor {
  readonly fellow: Fellow
  /** What a page would show: all lines that came, on all connections since he came without any. */
  lines: Line[] = []
  readonly #plenum: Plenum
  readonly #meeting: TestMeeting
  #member: Member | undefined

  constructor(fellow: Fellow, plenum: Plenum, meeting: TestMeeting) {
    this.fellow = fellow
    this.#plenum = plenum
    this.#meeting = meeting
  }

  async enter(): Promise<void> {
    const first = this.lines.at(-1)?.id ?? 0
    const key = this.#meeting.keys.get(this.fellow.id)
    const member = await join(this.#plenum, this.#meeting.id, key, { first })
    let taken = 0
    const take = (): void => {
      for (; taken < member.frames.length; taken++) {
        const frame = member.frames[taken]
        if (frame?.type === 'message') this.lines.push(frame.data)
        else if (frame?.type === 'messages') this.lines.push(...frame.data)
      }
    }
    member.ws.on('message', take)
    take() // the first frames may have come together with the answer to the upgrade
    this.#member = member
  }

  say(text: string): void {
    this.#member?.say(text)
  }

  async lose(how: 'fin' | 'rst'): Promise<void> {
    await this.#member?.reset(how)
  }

  own(): string[] {
    return this.lines.flatMap(({ from, message }) => (from === this.fellow.id ? [message] : []))
  }
}

/** Talks until enough has come back, and loses the connection again and again, at any moment. */
async function talk(visitor: Visitor, random: Random): Promise<void> {
  await visitor.enter()
  for (let said = 0; ;) {
    for (let burst = 1 + random.below(8); burst > 0; burst--) visitor.say(`I say ${++said}`)
    // What was sent right before a loss may never arrive.
    const patience = random.pick(['none', 'some', 'all'])
    if (patience === 'some') await wait(random.below(10))
    if (patience === 'all') {
      const last = `I say ${said}`
      await until(`'${last}' comes back`, () => visitor.own().at(-1) === last, patienceMs)
      if (visitor.own().length >= linesEach) return
    }
    await visitor.lose(random.pick(['fin', 'rst']))
    if (random.chance(0.3)) await wait(random.below(30))
    await visitor.enter()
  }
}

/** Comes anew several times while the others talk, without any line. Returns what each of his visits has shown. */
async function comeLate(visitor: Visitor, talker: Visitor): Promise<Line[][]> {
  const visits: Line[][] = []
  for (const part of [0.2, 0.4, 0.6]) {
    const enough = part * talkers * linesEach
    await until(`${enough} lines are there`, () => talker.lines.length > enough, patienceMs)
    if (visits.length > 0) await visitor.lose('fin')
    visitor.lines = []
    visits.push(visitor.lines)
    await visitor.enter()
  }
  return visits
}

/** The record as members read it. */
async function readRecord(meeting: TestMeeting): Promise<Line[]> {
  return await db.sql<Line[]>`
    select l.id, to_char(l.t, 'HH24:MI:SS') as time, to_char(l.t, 'YYYY-MM-DD') date,
      coalesce(l.sender_id, -1) as from, coalesce(m.fullname, '') fromname, l.message,
      case when l.sender_id is null then 'sys' else right(k.id::text, 1) end color
    from membership_meetingmessagelog l
      left join membership_member m on m.user_id = l.sender_id
      left join membership_membermeetingkey k on k.meeting_id = l.meeting_id and k.member_id = l.sender_id
    where l.meeting_id = ${meeting.id} order by l.id`
}

/** Of two lists of a thousand lines, only where they part is worth reading. */
function assertSame(found: readonly Line[], expected: readonly Line[], whose: string): void {
  const length = Math.max(found.length, expected.length)
  for (let index = 0; index < length; index++)
    if (!isDeepStrictEqual(found[index], expected[index])) {
      const around = (lines: readonly Line[]): readonly Line[] =>
        lines.slice(Math.max(0, index - 2), index + 3)
      assert.deepEqual(around(found), around(expected), `${whose} part at line ${index + 1} of the record`)
    }
}

for (const { grace, losses } of [
  { grace: 30, losses: 'short losses of connections' },
  { grace: 0, losses: 'losses of connections that are departures' },
])
  test(`through ${losses}, everyone gets each line of the record once and in order`, async (t) => {
    const plenum = await startPlenum({ database: db.url, grace, flags: ['-rate', '0'] })
    t.after(() => plenum.stop())
    const members = await createAssociation(db.sql, talkers + latecomers)
    const meeting = await createMeeting(db.sql, { members })
    const visitors = members.map((fellow) => new Visitor(fellow, plenum, meeting))
    const early = visitors.slice(0, talkers)
    const late = visitors.slice(talkers)

    const [visits] = await Promise.all([
      Promise.all(late.map((visitor, index) => comeLate(visitor, early[index]!))),
      Promise.all(early.map((visitor) => talk(visitor, new Random(randomInt(2 ** 31))))),
    ])
    let record: Line[] = []
    await until(
      'everyone has the last line',
      async () => {
        record = await readRecord(meeting)
        return visitors.every(({ lines }) => lines.at(-1)?.id === record.at(-1)?.id)
      },
      patienceMs,
    )

    for (const { fellow, lines } of visitors)
      assertSame(lines, record, `${fellow.name}'s lines and the record`)
    for (const [index, shown] of visits.entries())
      for (const lines of shown)
        assertSame(
          lines,
          record.slice(0, lines.length),
          `an earlier visit of ${late[index]!.fellow.name} and the record`,
        )
    for (const { fellow } of early) {
      const said = record.flatMap(({ from, message }) =>
        from === fellow.id ? [Number(message.slice(6))] : [],
      )
      assert.ok(said.length >= linesEach, `${fellow.name} has ${said.length} lines`)
      assert.deepEqual(
        said,
        [...new Set(said)].toSorted((a, b) => a - b),
        `${fellow.name}'s own order`,
      )
    }
  })
