import assert from 'node:assert/strict'
import { networkInterfaces } from 'node:os'
import { connect } from 'node:net'
import { suite, test } from 'node:test'
import type { TestContext } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { freePort } from '../../demo/port.ts'
import { createDatabase } from '../support/database.ts'
import type { Database } from '../support/database.ts'
import { gather, settle } from '../support/meeting-fixture.ts'
import type { MeetingFixture } from '../support/meeting-fixture.ts'
import type { Member } from '../support/meeting-client.ts'
import { startPlenum } from '../support/server.ts'
import type { Plenum, PlenumOptions } from '../support/server.ts'
import { until } from '../support/until.ts'
import { clientFrame, openRaw, openRawWebSocket, upgradeRequest } from '../support/raw-connection.ts'
import type { RawConnection } from '../support/raw-connection.ts'

async function open(
  t: TestContext,
  flags: string[],
  options: Partial<PlenumOptions> = {},
): Promise<{ db: Database; plenum: Plenum }> {
  const db = await createDatabase()
  const plenum = await startPlenum({
    database: db.url,
    poll: 0.5,
    ...options,
    flags: ['-rate', '0', ...flags],
  })
  t.after(async () => {
    await plenum.kill()
    await db.drop()
  })
  return { db, plenum }
}

const path = (meeting: MeetingFixture, index: number): string =>
  `/ws/meeting/${meeting.id}/${meeting.key(index)}/0`
const from = (address: string) => ({ headers: { 'x-forwarded-for': address } })
const stillOpen = (all: RawConnection[]): number => all.filter(({ hasEnded }) => !hasEnded).length

/** Has `speaker` say lines until told to stop; gives the slowest hundredth of the times until `listener` has each. */
function converse(speaker: Member, listener: Member): () => Promise<{ lines: number; p99: number }> {
  const delays: number[] = []
  let over = false
  const talk = async (): Promise<void> => {
    for (let n = 0; !over; n++) {
      const said = performance.now()
      speaker.say(`line ${n}`)
      await listener.line(`line ${n}`, 10_000)
      delays.push(performance.now() - said)
      await wait(5)
    }
  }
  const talking = talk()
  return async () => {
    over = true
    await talking
    delays.sort((a, b) => a - b)
    return { lines: delays.length, p99: delays[Math.floor(delays.length * 0.99)] ?? NaN }
  }
}

suite('connections that ask for nothing', { concurrency: 3 }, () => {
  test('who sends no request, or never finishes one, is cut after the time for it; who is in stays', async (t) => {
    const { db, plenum } = await open(t, ['-requesttimeout', '1'])
    const meeting = await gather(db.sql, plenum, 2)
    const [chair, member] = await meeting.enterAll(0, 1)
    const silent = await openRaw(plenum.port)
    const half = await openRaw(plenum.port)
    half.write('GET /livez HTTP/1.1\r\nHost: local')
    const upgrade = await openRaw(plenum.port)
    const request = upgradeRequest(path(meeting, 0))
    upgrade.write(request.subarray(0, -2))
    const dripping = await openRaw(plenum.port)
    const drip = setInterval(() => dripping.write('x'), 50)
    dripping.write('GET /livez HTTP/1.1\r\nX: ')
    const begun = performance.now()
    for (const one of [silent, half, upgrade, dripping]) await one.ended
    clearInterval(drip)
    t.diagnostic(`cut after ${Math.round(performance.now() - begun)} ms`)
    await settle(chair, member)
    assert.equal(chair.isClosed || member.isClosed, false)
  })

  test('one who asks again and again in time is not cut', async (t) => {
    const { plenum } = await open(t, ['-requesttimeout', '1'])
    const polite = await openRaw(plenum.port)
    for (let n = 1; n <= 8; n++) {
      polite.write('GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n')
      await polite.until(() => polite.received.toString().split('HTTP/1.1 200').length > n)
      await wait(300)
    }
    assert.equal(polite.hasEnded, false)
  })

  test('of too many only the newest are kept, and members enter between them', async (t) => {
    const { db, plenum } = await open(t, ['-maxpending', '50', '-requesttimeout', '60'])
    const meeting = await gather(db.sql, plenum, 4)
    const [chair] = await meeting.enterAll(0)
    const idle: RawConnection[] = []
    for (let index = 1; index < 4; index++) {
      for (let n = 0; n < 100; n++) idle.push(await openRaw(plenum.port))
      await meeting.enter(index)
    }
    await until('all but fifty are cut', () => stillOpen(idle) <= 50)
    assert.ok(stillOpen(idle.slice(-40)) === 40, 'the newest are kept')
    await settle(chair)
    // Those that have ended by themselves stand in nobody's way.
    for (const one of idle) one.socket.destroy()
    const last = await openRaw(plenum.port)
    for (let n = 0; n < 200; n++) {
      ;(await openRaw(plenum.port)).socket.destroy()
      // The server is to have noticed.
      if (n % 20 === 0) await wait(50)
    }
    assert.equal(last.hasEnded, false)
  })

  test('three thousand of them, and as many half requests, do not hold up those who talk', async (t) => {
    const { db, plenum } = await open(t, ['-requesttimeout', '2'])
    const meeting = await gather(db.sql, plenum, 2)
    const [chair, member] = await meeting.enterAll(0, 1)
    const before = converse(chair, member)
    await wait(1500)
    const quiet = await before()
    const flooded = converse(member, chair)
    const idle: RawConnection[] = []
    for (let n = 0; n < 30; n++) {
      const more = await Promise.all(Array.from({ length: 200 }, () => openRaw(plenum.port)))
      for (const one of more.slice(100)) one.write('GET /ws/meeting/1/')
      idle.push(...more)
    }
    const loud = await flooded()
    t.diagnostic(
      `p99 of a line ${quiet.p99.toFixed(1)} ms alone, ${loud.p99.toFixed(1)} ms under ${idle.length}`,
    )
    assert.ok(loud.lines > 10)
    await until('all are cut', () => stillOpen(idle) === 0, 8000)
    await settle(chair, member)
  })
})

suite('websockets are bounded', { concurrency: 3 }, () => {
  test('in all: one more is told so, and let in when somebody has gone', async (t) => {
    const { db, plenum } = await open(t, ['-maxconnections', '3', '-grace', '0'])
    const meeting = await gather(db.sql, plenum, 4)
    const [chair, second] = await meeting.enterAll(0, 1, 2)
    const refused = await openRaw(plenum.port)
    refused.write(upgradeRequest(path(meeting, 3)))
    await refused.ended
    assert.match(refused.received.toString(), /^HTTP\/1\.1 503 /)
    await plenum.logged(
      ({ event, reason }) => event === 'connectionRefused' && reason === 'too many connections',
    )
    second.ws.terminate()
    await chair.next('removeuser')
    await meeting.enter(3)
  })

  test('from one address, as our proxy names it, and from one network of IPv6', async (t) => {
    const { db, plenum } = await open(t, ['-maxperaddress', '2', '-behindproxy'])
    const meeting = await gather(db.sql, plenum, 9)
    for (const [first, another, elsewhere, base] of [
      ['192.0.2.1', '192.0.2.1', '192.0.2.2', 0],
      ['2001:db8::1', '2001:db8::2:3', '2001:db8:0:1::1', 3],
    ] as const) {
      await meeting.enter(base, from(first))
      const second = await meeting.enter(base + 1, from(another))
      await assert.rejects(meeting.enter(base + 2, from(first)), /503/)
      await meeting.enter(base + 2, from(elsewhere))
      second.ws.terminate()
      await until('there is room again', async () => {
        const entered = await meeting.enter(base + 1, from(first)).catch(() => null)
        return entered !== null
      })
    }
    // Without a word of the proxy it is this machine, which may be many.
    for (const index of [6, 7, 8]) await meeting.enter(index)
  })

  test('from one address without a proxy, and connections that ask for nothing too', async (t) => {
    const own = Object.values(networkInterfaces())
      .flat()
      .find((one) => one?.family === 'IPv4' && !one.internal)?.address
    if (own === undefined) return t.skip('this machine has no address but loopback')
    const port = await freePort()
    const { db, plenum } = await open(t, ['-maxperaddress', '3', '-requesttimeout', '60'], {
      listen: `0.0.0.0:${port}`,
      readyAt: `127.0.0.1:${port}`,
    })
    const meeting = await gather(db.sql, plenum, 4)
    const answers: string[] = []
    for (const index of [0, 1, 2, 3]) {
      const socket = connect(port, own)
      t.after(() => socket.destroy())
      socket.write(upgradeRequest(path(meeting, index)))
      const answer = new Promise<string>((resolve) => {
        socket.once('data', (data) => resolve(String(data).slice(9, 12)))
      })
      answers.push(await answer)
      // Counted where it has become a websocket, which is just after the answer.
      await plenum.get('/livez')
    }
    assert.deepEqual(answers, ['101', '101', '101', '503'])

    const silent = Array.from({ length: 8 }, () => {
      const socket = connect(port, own)
      t.after(() => socket.destroy())
      return socket.on('error', () => {})
    })
    await until('all but three are cut', () => silent.filter(({ closed }) => !closed).length === 3)
    await wait(300)
    assert.equal(silent.filter(({ closed }) => !closed).length, 3)
    assert.equal((await plenum.get('/livez')).status, 200)
  })
})

suite('bad networks', { concurrency: 3 }, () => {
  test('a member whose bytes come one at a time is understood', async (t) => {
    const { db, plenum } = await open(t, [])
    const meeting = await gather(db.sql, plenum, 2)
    const [chair] = await meeting.enterAll(0)
    const slow = await openRaw(plenum.port)
    const bytes = Buffer.concat([
      upgradeRequest(path(meeting, 1)),
      clientFrame({ type: 'message', message: 'one byte at a time' }),
    ])
    for (const byte of bytes) {
      slow.write(Buffer.from([byte]))
      await wait(1)
    }
    await chair.line('one byte at a time')
  })

  test('a line that stops in the middle for two seconds goes on, and holds nobody up', async (t) => {
    const { db, plenum } = await open(t, [])
    const meeting = await gather(db.sql, plenum, 3)
    const [chair, member] = await meeting.enterAll(0, 1)
    const stalled = await openRawWebSocket(plenum.port, path(meeting, 2))
    const frame = clientFrame({ type: 'message', message: 'after a pause' })
    stalled.connection.write(frame.subarray(0, 20))
    const talk = converse(chair, member)
    await wait(2000)
    stalled.connection.write(frame.subarray(20))
    await chair.line('after a pause')
    assert.ok((await talk()).lines > 10)
  })

  test('a peer that is gone without a word is away, then has left; one that answers pings is not', async (t) => {
    const { db, plenum } = await open(t, ['-ping', '0.5', '-grace', '1'])
    const meeting = await gather(db.sql, plenum, 3)
    const [chair] = await meeting.enterAll(0)
    await meeting.enter(1)
    await meeting.enter(2, { autoPong: false })
    await chair.line(`Member ${meeting.name(2)} left the meeting`, 8000)
    assert.ok(!(await meeting.texts()).some((text) => text === `Member ${meeting.name(1)} left the meeting`))
  })

  test('resets at every moment of an entry leave nothing behind and disturb nobody', async (t) => {
    const { db, plenum } = await open(t, ['-grace', '0'])
    const meeting = await gather(db.sql, plenum, 3)
    const [chair, member] = await meeting.enterAll(0, 1)
    const talk = converse(chair, member)
    for (let n = 0; n < 150; n++) {
      const one = await openRaw(plenum.port)
      const request = upgradeRequest(path(meeting, 2))
      one.write(n % 3 === 0 ? request.subarray(0, n % request.length) : request)
      if (n % 3 === 2) await wait(n % 12)
      await one.reset()
    }
    assert.ok((await talk()).lines > 5)
    await until('he is not in', async () => {
      const { meetings } = JSON.parse((await plenum.get('/__meetingstatus')).body) as {
        meetings: { id: number; members: unknown[] }[]
      }
      return meetings.find(({ id }) => id === meeting.id)?.members.length === 2
    })
    await settle(chair, member)
  })
})
