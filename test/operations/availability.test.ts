import assert from 'node:assert/strict'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join as joinPath } from 'node:path'
import { after, test } from 'node:test'
import { newKey } from '../../demo/association.ts'
import { createDatabase } from '../support/database.ts'
import { farewell, gather, settle } from '../support/meeting-fixture.ts'
import { holdTransaction } from '../support/held-transaction.ts'
import { connect, UpgradeRefused } from '../support/meeting-client.ts'
import { rawConnection } from '../support/raw-request.ts'
import { clientFrame, upgradeRequest } from '../support/raw-connection.ts'
import { runPlenum, startPlenum } from '../support/server.ts'
import { meetingStatus, serverStatus } from '../support/status.ts'
import type { MeetingStatus } from '../support/status.ts'
import { until } from '../support/until.ts'

const db = await createDatabase()
const pingSeconds = 2
const plenum = await startPlenum({
  database: db.url,
  grace: 1,
  poll: 0.5,
  flags: ['-rate', '0', '-ping', String(pingSeconds)],
})
const folder = await mkdtemp(joinPath(tmpdir(), 'plenum-socket-'))
after(async () => {
  await plenum.kill()
  await db.drop()
  await rm(folder, { recursive: true })
})

test('the status page answers, whole, all the while that meetings come and go', async () => {
  let coming = true
  let answers = 0
  const seen = new Set<number>()
  const ask = async () => {
    for (; coming; answers++) {
      const status = await serverStatus(plenum)
      assert.ok(Date.parse(status.upsince) <= Date.parse(status.timestamp))
      assert.equal(typeof status.runtime, 'object')
      for (const { id, members, disconnectedmembers } of status.meetings) {
        assert.ok(Array.isArray(members) && Array.isArray(disconnectedmembers))
        seen.add(id)
      }
    }
  }
  const asking = [ask(), ask(), ask()]
  await Promise.all(
    Array.from({ length: 10 }, async () => {
      for (let n = 0; n < 6; n++) {
        const meeting = await gather(db.sql, plenum, 2)
        for (const member of await meeting.enterAll(0, 1)) await member.close()
      }
    }),
  )
  coming = false
  await Promise.all(asking)
  assert.ok(answers > 10 && seen.size > 10)
})

test('the lists of the status page are empty, not null, where there is nobody', async () => {
  const meeting = await gather(db.sql, plenum, 2)
  const lists = async (): Promise<unknown[]> => {
    const status = await meetingStatus(plenum, meeting.id)
    const uids = (people: MeetingStatus['members'] | undefined) => people?.map(({ uid }) => uid)
    return [uids(status?.members), uids(status?.disconnectedmembers)]
  }
  const [first, second] = await meeting.enterAll(0, 1)
  assert.deepEqual(await lists(), [[meeting.user(0), meeting.user(1)], []])
  await first.close()
  await second.line(`Member ${meeting.name(0)} left the meeting`)
  assert.deepEqual(await lists(), [[meeting.user(1)], [meeting.user(0)]])
  await second.reset()
  await plenum.logged(
    ({ event, how, meeting: id }) => event === 'ended' && how === 'lost' && id === meeting.id,
  )
  assert.deepEqual((await lists())[0], [])
})

test('a meeting that waits for the database holds up neither the status page nor the other meetings', async () => {
  const stuck = await gather(db.sql, plenum, 1)
  const other = await gather(db.sql, plenum, 2)
  const chair = await stuck.enter(0)
  const members = await other.enterAll(0, 1)
  const row = await holdTransaction(
    db.url,
    (tx) => tx`select from membership_meeting where id = ${stuck.id} for update`,
  )
  chair.send({ type: 'open' })
  await row.waitedFor()
  assert.equal((await meetingStatus(plenum, stuck.id))?.state, 'pending')
  await settle(...members)
  await (await gather(db.sql, plenum, 1)).enter(0)
  assert.equal(chair.frames.filter(({ type }) => type === 'status').length, 1)
  await row.rollback()
  await chair.next('status', ({ data }) => data.isopen)
})

test('data is a sign of life, one lost pong ends nothing, and a dead client goes', async (t) => {
  const meeting = await gather(db.sql, plenum, 4)
  const mute = { autoPong: false }
  const chair = await meeting.enter(0)
  const [dead, talker, hesitant] = [
    await meeting.enter(1, mute),
    await meeting.enter(2, mute),
    await meeting.enter(3, mute),
  ]
  let pings = 0
  hesitant.ws.on('ping', (data: Buffer) => {
    if (++pings > 1) hesitant.ws.pong(data)
  })
  const talk = setInterval(() => talker.say('still here'), 300)
  t.after(() => clearInterval(talk))
  await until('the dead one is cut off', () => dead.isClosed, 20_000)
  await chair.line(`Member ${meeting.name(1)} left the meeting`)
  assert.ok(pings > 1)
  await settle(chair, talker, hesitant)
})

test('a socket file that was left behind is replaced, and the new one has the mode asked for', async () => {
  const listen = joinPath(folder, 'left.sock')
  const own = await createDatabase()
  const start = (...flags: string[]) => startPlenum({ database: own.url, listen, flags })
  const first = await start()
  assert.equal((await stat(listen)).mode & 0o777, 0o660)
  await first.kill()
  assert.ok((await stat(listen)).isSocket())
  const second = await start('-socketmode', '0666')
  assert.equal((await stat(listen)).mode & 0o777, 0o666)

  const meeting = await gather(own.sql, second, 1)
  await meeting.enter(0)
  const [person] = (await meetingStatus(second, meeting.id))?.members ?? []
  assert.equal(person?.remote, 'unix')

  const rival = await runPlenum(['-origin', '*', '-dburl', own.url, '-listen', listen])
  assert.equal(rival.code, 1)
  assert.match(rival.stderr, /in use/)
  assert.equal(await second.stop(), 0)
  await assert.rejects(stat(listen))
  await own.drop()
})

test('a missing -origin and an empty -listen are errors that say so', async () => {
  for (const [args, flag] of [
    [['-dburl', db.url], '-origin'],
    [['-origin', '*', '-dburl', db.url, '-listen', ''], '-listen'],
  ] as const) {
    const { code, stderr } = await runPlenum([...args])
    assert.equal(code, 2)
    assert.ok(stderr.split('\n')[0]?.includes(flag), stderr)
  }
})

test('what an admin sends with the upgrade is done, and he is not told that he may not', async () => {
  await Promise.all(
    Array.from({ length: 20 }, async () => {
      const meeting = await gather(db.sql, plenum, 2)
      const member = await meeting.enter(1)
      const { socket, ended } = rawConnection(plenum.port, [
        upgradeRequest(`/ws/meeting/${meeting.id}/${meeting.key(0)}/0`),
        clientFrame({ type: 'open' }),
        clientFrame({ type: 'message', message: 'let us begin' }),
        clientFrame({ type: 'kick', user: meeting.user(1), canrejoin: true }),
      ])
      await farewell(member)
      socket.end()
      assert.doesNotMatch(await ended, /"type":"error"/)
      assert.ok(member.texts().includes('This meeting is now open'))
      assert.ok(member.texts().includes('let us begin'))
    }),
  )
})

test('who is kicked has been told all that was said and refused before', async () => {
  await Promise.all(
    Array.from({ length: 20 }, async () => {
      const meeting = await gather(db.sql, plenum, 3)
      const [chair, member, other] = await meeting.enterAll(0, 1, 2)
      for (let n = 0; n < 10; n++) {
        chair.say(`word ${n}`)
        member.send({ type: 'finish' })
      }
      member.say('refused ten times')
      await other.line('refused ten times')
      chair.send({ type: 'kick', user: meeting.user(1), canrejoin: true })
      await farewell(member)
      const errors = member.frames.filter(({ type }) => type === 'error')
      assert.equal(errors.length, 10)
      const kick = `User ${meeting.name(1)} has been disconnected by ${meeting.name(0)}`
      const { id } = await other.line(kick)
      const told = other.lines().filter((line) => line.id < id)
      assert.deepEqual(member.lines().slice(-told.length), told)
    }),
  )
})

test('a request that is no upgrade gets 426, and a path of another shape 404', async () => {
  const meeting = await gather(db.sql, plenum, 1)
  const path = `/ws/meeting/${meeting.id}/${meeting.key(0)}/0`
  assert.equal((await plenum.get(path)).status, 426)
  const key = newKey()
  for (const wrong of [key.slice(1), `${key}x`, `${key.slice(1)}.`, '']) {
    const at = `/ws/meeting/${meeting.id}/${wrong}/0`
    await assert.rejects(connect(plenum, at), new UpgradeRefused(404), at)
    assert.equal((await plenum.get(at)).status, 404)
  }
})

test('a second server on the same database lets nobody in, and says what it waits for', async () => {
  const meeting = await gather(db.sql, plenum, 2)
  const chair = await meeting.enter(0)
  const second = await startPlenum({ database: db.url, ready: false })
  await second.logged(({ event, reason }) => event === 'waiting' && /another Plenum/.test(String(reason)))
  const { status, body } = await second.get('/readyz')
  assert.equal(status, 503)
  assert.match(body, /another Plenum process serves the meetings/)
  await assert.rejects(
    connect(second, `/ws/meeting/${meeting.id}/${meeting.key(1)}/0`),
    new UpgradeRefused(503),
  )
  await second.kill()
  await settle(chair)
})
