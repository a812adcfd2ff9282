import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { gather } from '../support/meeting-fixture.ts'
import { assertShows, openServerFixture } from '../support/server-fixture.ts'
import { Random } from '../support/random.ts'
import { Resender } from '../support/resender.ts'
import type { Plenum } from '../support/server.ts'
import { until } from '../support/until.ts'

const seed = Number(process.env['PLENUM_FAULT_SEED'] ?? randomInt(2 ** 31))
const kills = process.env['PLENUM_LONG'] === '1' ? 200 : 30
const members = 5

test(`${kills} times kill -9 and lost sessions of the database: what is sent again until it is answered is done once`, async (t) => {
  t.diagnostic(`to repeat: PLENUM_FAULT_SEED=${seed}`)
  const random = new Random(seed)
  const fixture = await openServerFixture(t, { grace: 60 })
  const { sql } = fixture.db
  let server: Plenum = await fixture.start()
  const meeting = await gather(sql, server, members, { state: 1, allowrejoin: true })
  const clients = Array.from({ length: members }, (_, index) => new Resender(meeting, index))
  t.after(() => Promise.all(clients.map((client) => client.leave())))
  const [chair] = clients
  assert.ok(chair)

  const said: string[] = []
  /** In the order in which each member has sent them. */
  const votes: { poll: number; member: number; answer: number; id: string }[] = []
  const isTaken = ({ member, id }: (typeof votes)[number]): boolean =>
    !clients[member]?.isPending(id) && !clients[member]?.rejected.has(id)
  let talking = true
  let wish = ''
  const talk = async (): Promise<void> => {
    for (let n = 1; talking; n++) {
      for (const [index, client] of clients.entries()) {
        if (client.waiting > 20) continue
        const text = `${index} says ${n}`
        said.push(text)
        client.send({ type: 'message', message: text })
        const { poll } = client
        if (poll && random.chance(0.3)) {
          const answer = random.below(2)
          const id = client.send({ type: 'vote', question: poll.question, poll: poll.id, vote: answer })
          votes.push({ poll: poll.id, member: index, answer, id })
        }
      }
      // One wish at a time: an old one that waited would end the next poll.
      if (!chair.isPending(wish)) {
        if (n % 20 === 0 && !chair.poll)
          wish = chair.send({ type: 'newpoll', question: `Poll ${n}?`, answers: ['yes', 'no'], minutes: 60 })
        else if (
          n % 50 === 0 &&
          chair.poll &&
          votes.some((vote) => vote.poll === chair.poll?.id && isTaken(vote))
        )
          wish = chair.send({ type: 'abortpoll' })
      }
      await wait(10)
    }
  }
  const talked = talk()
  for (let kill = 1; kill <= kills; kill++) {
    await wait(random.below(600))
    if (random.chance(0.3))
      await sql`
        select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and application_name = 'plenum'`
    else {
      await server.kill()
      server = await fixture.restart(server)
    }
  }
  talking = false
  await talked
  await until(
    'all is answered',
    () => clients.every(({ waiting, isHere }) => waiting === 0 && isHere),
    30_000,
  )

  const record = await meeting.record()
  const texts = record.map(({ text }) => text)
  const count = new Map<string, number>()
  for (const text of texts) count.set(text, (count.get(text) ?? 0) + 1)
  assert.deepEqual(
    said.filter((text) => count.get(text) !== 1),
    [],
    'each line is in the record, once',
  )
  // One who sends a line after the other reads them in that order.
  for (const [index] of clients.entries()) {
    const own = texts
      .filter((text) => text.startsWith(`${index} says`))
      .map((text) => Number(text.split(' ')[2]))
    assert.deepEqual(
      own,
      own.toSorted((a, b) => a - b),
    )
  }
  const polls = await sql<{ count: number }[]>`
    select count(*)::int from plenum.poll where meeting_id = ${meeting.id} group by question having count(*) > 1`
  assert.deepEqual([...polls], [], 'no poll was opened twice')
  const last = new Map(votes.filter(isTaken).map((vote) => [`${vote.poll} ${vote.member}`, vote]))
  for (const { poll, member, answer } of last.values()) {
    const [row] = await sql<{ answer: number }[]>`
      select answer from plenum.vote where poll_id = ${poll} and member_id = ${meeting.user(member)}`
    assert.equal(row?.answer, answer, `the last vote of ${member} in ${poll}`)
  }
  for (const [index, client] of clients.entries()) {
    await until('he has read all', () => client.lines.at(-1)?.id === record.at(-1)?.id)
    assertShows(client.lines, record, `${index}`)
  }
  const repeats = clients.reduce((sum, client) => sum + client.repeats, 0)
  t.diagnostic(`${said.length} lines, ${last.size} last votes, ${repeats} commands sent again`)
  assert.ok(repeats > 0, 'something was sent again')
  assert.ok(last.size > 0, 'somebody voted')
})
