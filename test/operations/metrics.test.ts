import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { createDatabase } from '../support/database.ts'
import { answerTo, gather, settle } from '../support/meeting-fixture.ts'
import { join } from '../support/meeting-client.ts'
import { freePort } from '../../demo/port.ts'
import { fetchFrom, startPlenum } from '../support/server.ts'
import { until } from '../support/until.ts'

const db = await createDatabase()
const admin = `127.0.0.1:${await freePort()}`
const plenum = await startPlenum({
  database: db.url,
  poll: 0.5,
  grace: 0,
  flags: ['-adminlisten', admin, '-maxconnections', '5'],
  readyAt: admin,
})
after(async () => {
  await plenum.kill()
  await db.drop()
})

const scrape = async (): Promise<string> => (await fetchFrom(admin, '/metrics')).body

/** The samples by their names with labels, as they are written. */
async function samples(): Promise<Map<string, number>> {
  const lines = (await scrape()).split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  return new Map(
    lines.map((line): [string, number] => {
      const space = line.lastIndexOf(' ')
      return [line.slice(0, space), Number(line.slice(space + 1))]
    }),
  )
}

test('it is Prometheus text, on the listener for it alone, and every metric says what it is', async () => {
  const { status, headers, body } = await fetchFrom(admin, '/metrics')
  assert.equal(status, 200)
  assert.match(headers['content-type'] ?? '', /^text\/plain; version=0\.0\.4/)
  assert.equal((await plenum.get('/metrics')).status, 404)
  const names = new Set(
    body
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line) => line.replace(/[{ ].*/, '').replace(/_(bucket|sum|count)$/, '')),
  )
  for (const name of names) {
    assert.match(body, new RegExp(`^# HELP ${name} \\S.*$`, 'm'))
    assert.match(body, new RegExp(`^# TYPE ${name} (counter|gauge|histogram)$`, 'm'))
  }
  assert.ok(names.size >= 20, [...names].join(' '))
})

test('a meeting is counted, and nobody in it is named', async () => {
  const before = await samples()
  const meeting = await gather(db.sql, plenum, 3, { state: 1, allowrejoin: true })
  const [chair, member] = await meeting.enterAll(0, 1)
  chair.say('one')
  await settle(chair, member)
  chair.send({ type: 'newpoll', question: 'Shall we?', answers: ['yes', 'no'], minutes: 5 })
  await member.next('poll', ({ data }) => data !== null)
  member.send({ type: 'vote', question: 'Shall we?', vote: 0 })
  await chair.next('poll', ({ data }) => data?.tally[0] === 1)
  member.send({ type: 'open' })
  await member.next('error')
  const during = await samples()
  const grown = (name: string): number => (during.get(name) ?? 0) - (before.get(name) ?? 0)
  assert.equal(grown('plenum_entries_total{result="joined",reason=""}'), 2)
  assert.equal(grown('plenum_votes_total'), 1)
  assert.equal(grown('plenum_rejections_total{reason="Permission denied"}'), 1)
  const [stored] = await db.sql<{ count: number }[]>`
    select count(*)::int from membership_meetingmessagelog where meeting_id = ${meeting.id}`
  assert.equal(grown('plenum_lines_total'), stored?.count)
  assert.ok(grown('plenum_commit_seconds_count') >= 4)
  assert.ok(grown('plenum_fan_out_seconds_count') >= 4)
  for (const [name, value] of [
    ['plenum_connections', 2],
    ['plenum_connections_limit', 5],
    ['plenum_database_failures_total', 0],
    ['plenum_people{presence="here"}', 2],
    ['plenum_people{presence="away"}', 0],
    ['plenum_meetings{state="open"}', 1],
    ['plenum_meetings{state="closed"}', 0],
    ['plenum_serving', 1],
    ['plenum_queued_commands', 0],
    ['plenum_unsent_bytes', 0],
  ] as const)
    assert.equal(during.get(name), value, name)
  const connections = during.get('plenum_database_connections') ?? 0
  assert.ok(connections >= 2 && connections <= 10, `${connections} connections`)
  assert.ok((during.get('process_resident_memory_bytes') ?? 0) > 10 * 2 ** 20)
  assert.ok((during.get('process_cpu_seconds_total') ?? 0) > 0)
  assert.ok((during.get('plenum_event_loop_delay_seconds{percentile="99"}') ?? -1) >= 0)
  assert.ok([...during.keys()].some((name) => /^plenum_build_info\{version="\d.*",runtime="\w+ /.test(name)))

  chair.send({ type: 'kick', user: meeting.user(1), canrejoin: false })
  await chair.next('removeuser')
  assert.equal(await answerTo(await meeting.connect(1)), 'refused')
  await chair.close()
  await until('he has left', async () => (await samples()).get('plenum_connections') === 0)
  const after = await samples()
  const refused = 'plenum_entries_total{result="refused",reason="You are not allowed to enter this meeting"}'
  assert.equal((after.get(refused) ?? 0) - (before.get(refused) ?? 0), 1)
  assert.equal(after.get('plenum_disconnects_total{reason="left"}'), 1)

  const text = await scrape()
  for (const secret of [meeting.name(0), meeting.key(0), 'Shall we', '127.0.0.1'])
    assert.ok(!text.includes(secret), secret)
})

test('what the database fails is counted', async () => {
  const meeting = await gather(db.sql, plenum, 1, { state: 1 })
  const failures = async (): Promise<number> => (await samples()).get('plenum_database_failures_total') ?? -1
  const chair = await meeting.enter(0)
  await settle(chair)
  const before = await failures()
  await db.sql`alter table membership_meetingmessagelog rename to away`
  chair.say('to nobody')
  await until('it is counted', async () => (await failures()) > before)
  await db.sql`alter table away rename to membership_meetingmessagelog`
  await until('it is stored again', async () => {
    chair.say('again')
    return (await meeting.record()).some(({ text }) => text === 'again')
  })
  await chair.close()
  await until('he is gone', async () => (await samples()).get('plenum_connections') === 0)
})

test('refused upgrades are counted by why', async () => {
  const meeting = await gather(db.sql, plenum, 6)
  for (let index = 0; index < 5; index++) await meeting.enter(index)
  await assert.rejects(meeting.enter(5), /503/)
  await assert.rejects(
    join(plenum, meeting.id, meeting.key(5), { headers: { origin: 'https://evil.example' } }),
    /403/,
  )
  const now = await samples()
  assert.equal(now.get('plenum_connections_refused_total{reason="too many connections"}'), 1)
  assert.equal(now.get('plenum_connections_refused_total{reason="origin"}'), 1)
})

test('a database that is gone shows', async () => {
  await db.sql`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'plenum' and datname = current_database()`
  await until('it is back', async () => (await samples()).get('plenum_serving') === 1)
  assert.ok(
    [...(await samples()).keys()].some((name) => name.startsWith('plenum_log_entries_total{level="warn"')),
  )
})
