import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { newKey } from '../../demo/association.ts'
import { openTcpProxy } from '../support/tcp-proxy.ts'
import { farewell, gather, settle } from '../support/meeting-fixture.ts'
import { holdTransaction } from '../support/held-transaction.ts'
import { openServerFixture } from '../support/server-fixture.ts'
import { connect, join, UpgradeRefused } from '../support/meeting-client.ts'
import type { Member } from '../support/meeting-client.ts'
import { rawConnection } from '../support/raw-request.ts'
import { upgradeRequest } from '../support/raw-connection.ts'
import { meetingStatus, serverStatus } from '../support/status.ts'
import { until } from '../support/until.ts'

const rfc3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/

/** The names of an object's fields, in one order. */
const fields = (object: object): string => Object.keys(object).sort().join() // oxlint-disable-line typescript/require-array-sort-compare

suite('status', { concurrency: 4 }, () => {
  test('the status of a server that nobody has used has all its fields, and lists are empty, not null', async (t) => {
    const fixture = await openServerFixture(t)
    const plenum = await fixture.start()
    const { status, headers, body } = await plenum.get('/__meetingstatus')
    assert.equal(status, 200)
    assert.match(String(headers['content-type']), /^application\/json/)
    const first = JSON.parse(body) as Awaited<ReturnType<typeof serverStatus>>
    assert.equal(fields(first), 'meetings,runtime,timestamp,upsince')
    assert.deepEqual(first.meetings, [])
    for (const time of [first.upsince, first.timestamp]) assert.match(time, rfc3339)
    assert.ok(new Date(first.upsince) <= new Date(first.timestamp))
    assert.ok(Math.abs(Date.now() - Date.parse(first.timestamp)) < 60_000)
    const values = Object.values(first.runtime)
    assert.ok(values.length > 0)
    for (const value of values) assert.ok(['string', 'number'].includes(typeof value) && value !== '')
    const second = await serverStatus(plenum)
    assert.equal(second.upsince, first.upsince)
    assert.ok(new Date(second.timestamp) >= new Date(first.timestamp))
  })

  test('a meeting is shown with its state, and with who is there and who was', async (t) => {
    const fixture = await openServerFixture(t, { grace: 60 })
    const plenum = await fixture.start()
    const meeting = await gather(fixture.db.sql, plenum, 4)
    const [chair, left, lost] = await meeting.enterAll(0, 1, 2)
    const person = (index: number) => ({
      uid: meeting.user(index),
      name: meeting.name(index),
      admin: index === 0,
      remote: '127.0.0.1',
    })
    assert.deepEqual(await meetingStatus(plenum, meeting.id), {
      id: meeting.id,
      state: 'pending',
      members: [person(0), person(1), person(2)],
      disconnectedmembers: [],
    })
    chair.send({ type: 'open' })
    await chair.next('status', ({ data }) => data.isopen)
    await left.close()
    await lost.reset()
    await until('both are gone', async () => (await meetingStatus(plenum, meeting.id))?.members.length === 1)
    const open = await meetingStatus(plenum, meeting.id)
    assert.equal(open?.state, 'open')
    assert.deepEqual(open.members, [person(0)])
    const byId = open.disconnectedmembers.toSorted((a, b) => a.uid - b.uid)
    assert.deepEqual(byId, [person(1), person(2)])
    chair.send({ type: 'finish' })
    await chair.next('status', ({ data }) => data.isfinished)
    assert.equal((await meetingStatus(plenum, meeting.id))?.state, 'finished')
  })

  test('every list of every meeting is a list, also with nobody there', async (t) => {
    const fixture = await openServerFixture(t)
    const plenum = await fixture.start()
    const meetings = [await gather(fixture.db.sql, plenum, 1), await gather(fixture.db.sql, plenum, 1)]
    const [first, second] = await Promise.all(meetings.map((meeting) => meeting.enter(0)))
    await first?.reset()
    await until('he is gone', async () => {
      const status = await meetingStatus(plenum, meetings[0]?.id ?? 0)
      return status?.members.length === 0
    })
    const status = await serverStatus(plenum)
    assert.equal(status.meetings.length, 2)
    for (const one of status.meetings) {
      assert.equal(fields(one), 'disconnectedmembers,id,members,state')
      assert.ok(Array.isArray(one.members) && Array.isArray(one.disconnectedmembers))
    }
    await second?.close()
  })

  test('the status is told from memory: it waits for no database', async (t) => {
    const fixture = await openServerFixture(t)
    const plenum = await fixture.start()
    const meeting = await gather(fixture.db.sql, plenum, 1)
    const member = await meeting.enter(0)
    const held = await holdTransaction(
      fixture.db.url,
      (tx) => tx`lock table membership_meetingmessagelog, plenum.attendance`,
    )
    member.say('this waits')
    await held.waitedFor()
    assert.equal((await meetingStatus(plenum, meeting.id))?.members.length, 1)
    assert.equal((await plenum.get('/livez')).status, 200)
    await held.rollback()
    await member.line('this waits')
  })

  test('a server that serves is alive, ready and healthy, and has no other pages', async (t) => {
    const fixture = await openServerFixture(t)
    const plenum = await fixture.start()
    for (const path of ['/livez', '/readyz', '/healthz'])
      assert.deepEqual(await plenum.get(path).then(({ status, body }) => ({ status, body })), {
        status: 200,
        body: 'ok\n',
      })
    for (const path of ['/status/', '/status.json/', '/__meetingstatus/', '/ws/meeting', '/debug/pprof/heap'])
      assert.equal((await plenum.get(path)).status, 404, path)
  })
})

suite('log', () => {
  test('each line is one JSON object with time, level and event, and none has a key, a password or what was said', async (t) => {
    const fixture = await openServerFixture(t, { grace: 1, poll: 0.2, origin: 'https://www.example.org' })
    const { sql, url } = fixture.db
    const { password, port } = new URL(url)
    let forwarder = await openTcpProxy(Number(port))
    t.after(() => forwarder.close())
    const throughIt = url.replace(`:${port}/`, `:${forwarder.port}/`)
    const plenum = await fixture.start({ database: throughIt, flags: ['-behindproxy'] })
    const meeting = await gather(sql, plenum, 5)
    const strangersKeys = Array.from({ length: 3 }, newKey)
    const keys = [...[0, 1, 2, 3, 4].map((index) => meeting.key(index)), ...strangersKeys]
    const secret = 'what-was-said-in-confidence'

    const [chair, ann, bob, eve] = await meeting.enterAll(0, 1, 2, 3)
    // A takeover, a page that goes, one whose network goes, and one that is kicked.
    const again = await meeting.enter(1)
    await farewell(ann)
    await bob.reset('rst')
    chair.send({ type: 'kick', user: meeting.user(3), canrejoin: false })
    await farewell(eve)
    await farewell(await meeting.connect(3))
    for (const key of strangersKeys) await farewell(await join(plenum, meeting.id, key))
    await farewell(await join(plenum, 4_000_000, meeting.key(4)))

    const refusals: [string, Record<string, string>, number][] = [
      [`/ws/meeting/${meeting.id}/${meeting.key(4)}/0`, { origin: 'https://elsewhere.example' }, 403],
      [`/ws/meeting/${meeting.id}/${meeting.key(4)}x/0`, {}, 404],
      [`/ws/meeting/${meeting.id}/${meeting.key(4)}/first`, {}, 404],
      [`/ws/meeting/${meeting.key(4)}`, {}, 404],
    ]
    for (const [path, headers, status] of refusals)
      await assert.rejects(connect(plenum, path, { headers }), new UpgradeRefused(status))
    assert.equal((await plenum.get(`/ws/meeting/${meeting.id}/${meeting.key(4)}/0`)).status, 426)
    for (const bytes of [
      upgradeRequest(`//[${meeting.key(4)}`),
      `GET /ws/meeting/${meeting.id}/${meeting.key(4)}/0 HTTP/1.1\r\nbroken ${secret}\r\n\r\n`,
      `${secret}\r\n\r\n`,
    ])
      await rawConnection(plenum.port, [bytes]).ended

    const garbage = [
      secret,
      `{"type":"${secret}"}`,
      `{"type":"vote","question":"${secret}"}`,
      Buffer.from(secret),
    ]
    for (const frame of garbage) {
      again.send(frame)
      await again.next('error')
    }
    again.say(secret)
    await chair.line(secret)
    again.send('x'.repeat(70_000))
    await again.closed

    await forwarder.close()
    await plenum.logged(({ event }) => event === 'databaseLost', 15_000)
    chair.say(secret)
    await chair.next('error')
    forwarder = await openTcpProxy(Number(port), forwarder.port)
    await plenum.logged(({ event }) => event === 'databaseBack', 15_000)
    await recoveredAndSettled(chair)
    assert.equal(await plenum.stop(), 0)

    for (const line of plenum.stderr) {
      const entry = JSON.parse(line) as Record<string, unknown>
      const { time, level, event } = entry
      assert.match(String(time), rfc3339, line)
      assert.ok(['info', 'warn', 'error'].includes(String(level)), line)
      assert.match(String(event), /^\w+$/, line)
      for (const hidden of [...keys, password, secret]) assert.equal(line.includes(hidden), false, line)
      assert.equal(/[\w-]{54}/.test(line), false, line)
      assert.notEqual(level, 'error', line)
    }
    assert.deepEqual(plenum.stdout, [])
    const events = new Set(plenum.logs.map(({ event }) => event))
    for (const event of [
      'started',
      'migrated',
      'serving',
      'entered',
      'ended',
      'refused',
      'originRefused',
      'databaseLost',
      'databaseBack',
      'stopping',
      'stopped',
    ])
      assert.ok(events.has(event), `no ${event}`)
    for (const { event, meeting: id, address } of plenum.logs)
      if (event === 'entered' || event === 'ended')
        assert.deepEqual({ id, address }, { id: meeting.id, address: '127.0.0.1' })
  })
})

/** Waits until the view has been read anew, and what is said is heard. */
async function recoveredAndSettled(member: Member): Promise<void> {
  const users = () => member.frames.filter(({ type }) => type === 'users').length
  await until('the view is read anew', () => users() > 1, 15_000)
  await settle(member)
}
