import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join as joinPath } from 'node:path'
import { suite, test } from 'node:test'
import type { TestContext } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { ask } from '../support/nginx-request.ts'
import { createDatabase } from '../support/database.ts'
import type { Database } from '../support/database.ts'
import { gather, settle } from '../support/meeting-fixture.ts'
import type { MeetingFixture } from '../support/meeting-fixture.ts'
import { join } from '../support/meeting-client.ts'
import type { JoinOptions, Member } from '../support/meeting-client.ts'
import { hasNginx, startNginx } from '../support/nginx.ts'
import type { Nginx } from '../support/nginx.ts'
import { allRoutes, fillPath } from '../support/routes.ts'
import type { Route } from '../support/routes.ts'
import { currentRuntime, startPlenum } from '../support/server.ts'
import type { Plenum } from '../support/server.ts'
import { meetingStatus } from '../support/status.ts'
import { until } from '../support/until.ts'

const origin = 'https://www.example.org'

type ModelRunner = { db: Database; plenum: Plenum; nginx: Nginx }

async function open(
  t: TestContext,
  options: { unix?: boolean; flags?: string[]; change?: (site: string) => string } = {},
): Promise<ModelRunner> {
  const folder = await mkdtemp(joinPath(tmpdir(), 'plenum-run-'))
  const db = await createDatabase()
  const plenum = await startPlenum({
    database: db.url,
    origin,
    poll: 0.5,
    grace: 2,
    flags: ['-behindproxy', '-rate', '0', ...(options.flags ?? [])],
    ...(options.unix ? { listen: joinPath(folder, 'socket') } : {}),
  })
  const upstream = options.unix ? `unix:${plenum.listen}` : plenum.listen
  const nginx = await startNginx([upstream], options.change)
  t.after(async () => {
    await nginx.stop()
    await plenum.kill()
    await db.drop()
    await rm(folder, { recursive: true, force: true })
  })
  return { db, plenum, nginx }
}

async function enter(
  nginx: Nginx,
  meeting: MeetingFixture,
  index: number,
  options: JoinOptions = {},
): Promise<Member> {
  const member = await join(nginx, meeting.id, meeting.key(index), { headers: { origin }, ...options })
  await member.next('messages')
  return member
}

async function statusOf(nginx: Nginx, path: string): Promise<number> {
  return (await ask(nginx, path)).status
}

suite('behind nginx', { concurrency: 4, skip: hasNginx ? false : 'there is no nginx here' }, () => {
  for (const unix of [true, false])
    test(`members meet over TLS, the server on ${unix ? 'a Unix socket' : 'a port'}`, async (t) => {
      const { db, nginx, plenum } = await open(t, { unix })
      const meeting = await gather(db.sql, plenum, 2)
      const chair = await enter(nginx, meeting, 0)
      const member = await enter(nginx, meeting, 1)
      await settle(chair, member)
      await settle(member, chair)
    })

  test('a location that does not say which HTTP version works as it did with the Go server', async (t) => {
    const { db, nginx, plenum } = await open(t, {
      change: (site) => site.replace(/proxy_http_version .*;/, ''),
    })
    const meeting = await gather(db.sql, plenum, 2)
    const chair = await enter(nginx, meeting, 0)
    await settle(chair)
  })

  test('the address is what nginx saw, and the id of the request its own, whatever a client claims', async (t) => {
    const { db, nginx, plenum } = await open(t, { unix: true })
    const meeting = await gather(db.sql, plenum, 2)
    await enter(nginx, meeting, 0, {
      headers: { origin, 'x-forwarded-for': '203.0.113.9, 198.51.100.7', 'x-request-id': 'f00d' },
    })
    const { request } = await plenum.logged(({ event }) => event === 'entered')
    assert.match(String(request), /^[0-9a-f]{32}$/)
    const status = await meetingStatus(plenum, meeting.id)
    assert.deepEqual(
      status?.members.map(({ remote }) => remote),
      ['127.0.0.1'],
    )
  })

  test('a page of another site is refused, one without Upgrade told, plain HTTP led to TLS', async (t) => {
    const { db, nginx, plenum } = await open(t)
    const meeting = await gather(db.sql, plenum, 2)
    await assert.rejects(enter(nginx, meeting, 0, { headers: { origin: 'https://evil.example' } }), /403/)
    const refused = await plenum.logged(({ event }) => event === 'originRefused')
    assert.equal(refused['origin'], 'https://evil.example')
    assert.equal(await statusOf(nginx, `/ws/meeting/${meeting.id}/${meeting.key(0)}/0`), 426)
    const page = `/meeting/${meeting.id}/${meeting.key(0)}`
    const moved = await ask(nginx, page, { http: 'clear' })
    assert.deepEqual([moved.status, moved.headers['location']], [301, `https://localhost${page}`])
    // A redirect would not be followed, and each try tell the key to the network.
    for (const path of [`/ws/meeting/${meeting.id}/${meeting.key(0)}/0`, '/socket']) {
      const { status, body, headers } = await ask(nginx, path, { http: 'clear' })
      assert.deepEqual([status, body], [403, 'Only over TLS: wss:// or https://\n'])
      assert.equal(headers['location'], undefined)
    }
    const { headers } = await ask(nginx, page)
    assert.equal(headers['strict-transport-security'], 'max-age=31536000')
  })

  test('each path of the server is passed on that is for everyone, and none that is the operator’s', async (t) => {
    const { nginx, db, plenum } = await open(t, { flags: ['-chat', '-document'] })
    const meeting = await gather(db.sql, plenum, 1)
    const { everyones, operators } = await allRoutes()
    const values = { meeting: String(meeting.id), key: meeting.key(0), first: '0' }
    // Of what is not passed on nginx asks Plenum nothing but the words for an address that leads nowhere.
    const askEach = async (routes: Route[], http: '1' | '2'): Promise<Map<string, boolean>> => {
      const reached = new Map<string, boolean>()
      for (const { method, path } of routes) {
        const asked = `${fillPath(path, values)}${path === '/' ? '?session_key=x' : ''}`
        const question = { method: method === 'ALL' ? 'OPTIONS' : method, http }
        const { status, headers, body } = await ask(nginx, asked, question)
        const isNowhere = status === 404 && body === 'not found\n'
        reached.set(`${method} ${path}`, headers['x-request-id'] !== undefined && !isNowhere)
      }
      return reached
    }
    const all = (routes: Route[], reached: boolean): Map<string, boolean> =>
      new Map(routes.map(({ method, path }) => [`${method} ${path}`, reached]))
    assert.ok(everyones.length > 10 && operators.length > 5)
    assert.deepEqual(await askEach(everyones, '1'), all(everyones, true))
    for (const http of ['1', '2'] as const)
      assert.deepEqual(await askEach(operators, http), all(operators, false))
  })

  test('over HTTP/2 pages and records are had, and a websocket’s path says 426 without ending the connection', async (t) => {
    const { nginx, db, plenum } = await open(t, { flags: ['-chat', '-document'] })
    const meeting = await gather(db.sql, plenum, 1)
    const base = `/meeting/${meeting.id}/${meeting.key(0)}`
    for (const path of [base, `${base}/record`, `${base}/record.json`, '/chat', '/document/demo', '/socket'])
      assert.equal((await ask(nginx, path, { http: '2' })).status, 200, path)
    const sockets = [`/ws${base}/0`, '/ws/chat?session_key=x', '/?session_key=x']
    for (const path of sockets) {
      const { status, headers } = await ask(nginx, path, { http: '2' })
      assert.deepEqual([status, headers['upgrade']], [426, undefined], path)
      // Over HTTP/1.1 it is as RFC 9110 (15.5.22) asks.
      const plain = await ask(nginx, path)
      assert.deepEqual([plain.status, plain.headers['upgrade']], [426, 'websocket'], path)
    }
  })

  test('the page of a meeting is had, and no other below it', async (t) => {
    const { db, nginx, plenum } = await open(t, { unix: true })
    const meeting = await gather(db.sql, plenum, 1)
    assert.equal(await statusOf(nginx, `/meeting/${meeting.id}/${meeting.key(0)}`), 200)
    assert.equal(await statusOf(nginx, '/meeting/'), 404)
  })

  test('status, health and metrics cannot be had from outside', async (t) => {
    const { nginx } = await open(t)
    for (const path of [
      '/__meetingstatus',
      '/status',
      '/status.json',
      '/livez',
      '/readyz',
      '/healthz',
      '/metrics',
      '/ws',
    ])
      assert.equal(await statusOf(nginx, path), 404, path)
    assert.equal(await statusOf(nginx, '/'), 200)
    // As nginx understands a path, so it is passed on.
    for (const path of [
      '/ws/meeting/../../__meetingstatus',
      '/ws/meeting/%2e%2e/%2e%2e/__meetingstatus',
      '/meeting/../__meetingstatus',
      '/meeting/../status',
      '/meeting/%2e%2e/status.json',
      '/meeting/%2e%2e/__meetingstatus',
    ])
      assert.equal(await statusOf(nginx, path), 404, path)
  })

  test('silence of more than a minute ends nothing', { skip: currentRuntime() !== 'node' }, async (t) => {
    const { db, nginx, plenum } = await open(t, { unix: true })
    const meeting = await gather(db.sql, plenum, 2)
    const chair = await enter(nginx, meeting, 0)
    const member = await enter(nginx, meeting, 1)
    await settle(chair, member)
    await wait(63_000)
    assert.equal(chair.isClosed || member.isClosed, false)
    await settle(chair, member)
  })

  test('nginx is reloaded again and again under talk: nobody is cut, and each line comes once', async (t) => {
    const { db, nginx, plenum } = await open(t, { unix: true })
    const meeting = await gather(db.sql, plenum, 6)
    const chair = await enter(nginx, meeting, 0)
    const members = [chair]
    for (let index = 1; index < 6; index++) {
      await nginx.reload()
      members.push(await enter(nginx, meeting, index))
      for (let n = 0; n < 50; n++) members[n % members.length]?.say(`${index} ${n}`)
    }
    // Workers that are no longer to accept serve what they have.
    assert.ok((await nginx.workers()) > 2)
    await settle(chair, ...members.slice(1))
    const record = (await meeting.record()).map(({ id }) => id)
    for (const member of members) {
      assert.equal(member.isClosed, false)
      assert.deepEqual(
        member.lines().map(({ id }) => id),
        record,
      )
    }
  })

  test('a standby is asked when the one that served is gone', async (t) => {
    const db = await createDatabase()
    const options = { database: db.url, origin, poll: 0.5, flags: ['-behindproxy'] }
    const first = await startPlenum(options)
    const second = await startPlenum({ ...options, ready: false })
    await second.logged(({ event }) => event === 'waiting')
    const nginx = await startNginx([second.listen, first.listen])
    t.after(async () => {
      await nginx.stop()
      for (const one of [first, second]) await one.kill()
      await db.drop()
    })
    const meeting = await gather(db.sql, first, 2)
    const chair = await enter(nginx, meeting, 0)
    chair.say('before')
    await chair.line('before')
    await first.kill()
    assert.equal((await chair.closed).code, 1006)
    let again: Member | null = null
    await until('he is back', async () => {
      again = await enter(nginx, meeting, 0).catch(() => null)
      return again !== null
    })
    await (again as unknown as Member).line('before')
  })

  test('one address has so many connections', async (t) => {
    const { db, nginx, plenum } = await open(t, {
      change: (site) => site.replace('plenum_connections 1000', 'plenum_connections 2'),
    })
    const meeting = await gather(db.sql, plenum, 3)
    const chair = await enter(nginx, meeting, 0)
    const member = await enter(nginx, meeting, 1)
    await assert.rejects(enter(nginx, meeting, 2), /429/)
    member.ws.terminate()
    await until('there is room again', async () => {
      const entered = await enter(nginx, meeting, 2).catch(() => null)
      return entered !== null
    })
    await settle(chair)
  })

  test('headers of 60 KiB are passed on', async (t) => {
    const { db, nginx, plenum } = await open(t)
    const meeting = await gather(db.sql, plenum, 1)
    const headers = { origin, cookie: `sso=${'x'.repeat(60 * 1024)}` }
    const page = `/meeting/${meeting.id}/${meeting.key(0)}`
    for (const http of ['1', '2'] as const)
      assert.equal((await ask(nginx, page, { http, headers })).status, 200, http)
    await enter(nginx, meeting, 0, { headers })
  })

  test('one client asks for so many a second, whatever of the server, and of IPv6 it is the /64 network', async (t) => {
    const { nginx } = await open(t, {
      flags: ['-chat', '-document'],
      change: (site) =>
        // Clients say where they come from, as if they were there.
        `set_real_ip_from 127.0.0.1; real_ip_header X-Test-Address;\n${site.replace('burst=1000', 'burst=2').replace('50r/s', '1r/m')}`,
    })
    const statuses = async (path: string, addresses: string[]): Promise<number[]> => {
      const all: number[] = []
      for (const address of addresses)
        all.push((await ask(nginx, path, { headers: { 'x-test-address': address } })).status)
      return all
    }
    const paths = ['/chat', '/document/demo', '/socket', '/meeting/1/x', '/ws/chat', '/?session_key=x']
    for (const [index, path] of paths.entries()) {
      const [first, ...more] = await statuses(
        path,
        Array.from({ length: 5 }, () => `192.0.2.${index}`),
      )
      assert.deepEqual(more, [first, first, 429, 429], path)
    }
    const network = ['2001:db8:1:2::1', '2001:db8:1:2:3:4:5:6', '2001:db8:1:2:ffff::', '2001:db8:1:2:8000::9']
    assert.deepEqual(await statuses('/chat', network), [200, 200, 200, 429])
    assert.deepEqual(await statuses('/chat', ['2001:db8:1:3::1', '2001:db8:2:2::1']), [200, 200])
    // An IPv4 client that a listener for both shows is a client by itself.
    const mapped = ['::ffff:192.0.2.100', '::ffff:192.0.2.101', '::ffff:192.0.2.102', '::ffff:192.0.2.103']
    assert.deepEqual(await statuses('/chat', mapped), [200, 200, 200, 200])
  })
})
