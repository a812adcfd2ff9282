import assert from 'node:assert/strict'
import { connect, type Socket } from 'node:net'
import { randomBytes } from 'node:crypto'
import { after, suite, test, type TestContext } from 'node:test'
import { freePort } from '../../demo/port.ts'
import { createDatabase } from '../support/database.ts'
import { gather } from '../support/meeting-fixture.ts'
import { join } from '../support/meeting-client.ts'
import { fetchFrom, startPlenum } from '../support/server.ts'
import { WebSocket } from 'ws'

// What is refused before any route has seen it: how much a request may hold, and who hears of what is too much.

const db = await createDatabase()
const listeners = {
  listen: `127.0.0.1:${await freePort()}`,
  adminlisten: `127.0.0.1:${await freePort()}`,
  profilelisten: `127.0.0.1:${await freePort()}`,
}
const { listen, adminlisten, profilelisten } = listeners
const plenum = await startPlenum({
  database: db.url,
  listen,
  flags: ['-chat', '-document', '-adminlisten', adminlisten, '-profilelisten', profilelisten],
  readyAt: adminlisten,
})
after(async () => {
  await plenum.kill()
  await db.drop()
})

const secret = randomBytes(30).toString('base64url')
const cookies = (kibibytes: number): string => `sso=${secret}${'x'.repeat(kibibytes * 1024)}`

function connection(address: string, text: string): Socket {
  const [host = '', port] = address.split(':')
  const socket = connect({ host, port: Number(port) })
  socket.on('error', () => undefined)
  socket.write(text)
  return socket
}

/** Sends these bytes and gives what comes back until the end, or until nothing more comes. */
function exchange(address: string, text: string): Promise<string> {
  const socket = connection(address, text)
  return new Promise((resolve) => {
    let answer = ''
    socket.on('data', (data) => (answer += String(data)))
    socket.on('close', () => resolve(answer))
  })
}

async function counts(): Promise<Record<string, number>> {
  const { body } = await fetchFrom(adminlisten, '/metrics')
  const found = body.matchAll(/^plenum_requests_refused_total\{reason="(.*)"\} (\d+)$/gm)
  return Object.fromEntries(Array.from(found, ([, reason = '', count]) => [reason, Number(count)]))
}

test('headers of 60 KiB are taken at every door and page, and on every listener', async () => {
  const meeting = await gather(db.sql, plenum, 1)
  const headers = { cookie: cookies(60) }
  const page = `/meeting/${meeting.id}/${meeting.key(0)}`
  for (const path of [page, `${page}/record`, '/chat', '/document/demo', '/socket'])
    assert.equal((await plenum.get(path, headers)).status, 200, path)
  assert.equal((await fetchFrom(adminlisten, '/status.json', headers)).status, 200)
  assert.equal((await fetchFrom(profilelisten, '/', headers)).status, 200)
  const member = await join(plenum, meeting.id, meeting.key(0), { headers })
  await member.next('messages')
  for (const path of ['/ws/chat?session_key=x', '/?session_key=x', '/socket']) {
    const socket = new WebSocket(plenum.socketUrl(path), { headers })
    await new Promise((resolve, reject) => {
      socket.on('open', resolve)
      socket.on('error', reject)
    })
    socket.terminate()
  }
})

test('what is larger is refused in words, counted, and logged once a listener without what it held', async () => {
  const before = await counts()
  const tries = 20
  for (const address of Object.values(listeners))
    for (let n = 0; n < tries; n++) {
      const upgrade = n % 2 === 0 ? 'Connection: upgrade\r\nUpgrade: websocket\r\n' : ''
      const answer = await exchange(
        address,
        `GET /${secret} HTTP/1.1\r\nHost: localhost\r\n${upgrade}Cookie: ${cookies(70)}\r\n\r\n`,
      )
      assert.match(answer, /^HTTP\/1\.1 431 /)
      assert.match(answer, /\r\n\r\nThe headers are larger than 64 KiB: is it the cookies of this site\?\n$/)
    }
  const grown = ((await counts())['headers too large'] ?? 0) - (before['headers too large'] ?? 0)
  assert.equal(grown, 3 * tries)
  const logged = plenum.logs.filter(({ reason }) => reason === 'headers too large')
  assert.deepEqual(
    logged.map(({ level, listener, peer, times }) => ({ level, listener, peer, times })),
    Object.keys(listeners).map((listener) => ({ level: 'warn', listener, peer: '127.0.0.1', times: 1 })),
  )
})

test('so is what is no request, and one without a host', async () => {
  const before = await counts()
  const requests = [
    `${secret}\r\n\r\n`,
    `GET / HTTP/1.1\r\nHost: localhost\r\n${secret} x: y\r\n\r\n`,
    `GET / HTTP/1.1\r\nHost: ${secret} ${secret}\r\nConnection: close\r\n\r\n`,
    `GET /${secret} HTTP/1.1\r\nConnection: close\r\n\r\n`,
    `POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  ]
  for (const address of Object.values(listeners))
    for (const request of requests)
      assert.match(await exchange(address, request), /^HTTP\/1\.1 400 /, request)
  const grown = ((await counts())['malformed'] ?? 0) - (before['malformed'] ?? 0)
  assert.equal(grown, 3 * requests.length)
  const logged = plenum.logs.filter(({ reason }) => reason === 'malformed')
  assert.deepEqual(
    logged.map(({ level, listener, times }) => [level, listener, times]),
    Object.keys(listeners).map((listener) => ['info', listener, 1]),
  )
})

test('so is an upgrade that no door gets to see', async () => {
  const upgrade = (lines: string): string =>
    `GET /ws/${secret} HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade\r\n${lines}\r\n\r\n`
  const before = await counts()
  const version = 'Sec-WebSocket-Version: 13'
  for (const [status, request] of [
    [400, upgrade(`Upgrade: websocket\r\n${version}`)],
    [400, upgrade(`Upgrade: websocket\r\n${version}\r\nSec-WebSocket-Key: ${secret}`)],
    [400, `GET http://[/ HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n`],
    [426, upgrade('Upgrade: websocket\r\nSec-WebSocket-Version: 8')],
    [426, upgrade(`Upgrade: h2c, WebSocket\r\nSec-WebSocket-Version: 8`)],
  ] as const)
    assert.match(await exchange(listen, request), new RegExp(`^HTTP/1.1 ${status} `), request)
  const grown = await counts()
  assert.deepEqual(
    ['malformed', 'no websocket'].map((reason) => (grown[reason] ?? 0) - (before[reason] ?? 0)),
    [3, 2],
  )
  const [logged, ...more] = plenum.logs.filter(({ reason }) => reason === 'no websocket')
  assert.deepEqual([logged?.level, logged?.['listener'], logged?.['peer']], ['info', 'listen', '127.0.0.1'])
  assert.deepEqual(more, [])
})

suite('what a limit cuts is counted and logged once, without what it held', () => {
  const cut = async (
    t: TestContext,
    flags: string[],
    play: (listen: string) => Promise<unknown>,
  ): Promise<Record<string, unknown>[]> => {
    const listen = `127.0.0.1:${await freePort()}`
    // Another one serves the meetings.
    const server = await startPlenum({ database: db.url, listen, flags, ready: false })
    t.after(() => server.kill())
    await server.logged(({ event }) => event === 'started')
    await play(listen)
    await server.stop()
    for (const line of server.stderr) assert.ok(!line.includes(secret), line)
    return server.logs
      .filter(({ event }) => event === 'requestRefused')
      .map(({ level, reason, listener, peer, times }) => ({ level, reason, listener, peer, times }))
  }
  const common = { level: 'info', listener: 'listen', peer: '127.0.0.1' }
  const get = `GET /${secret} HTTP/1.1\r\nHost: localhost\r\n`

  test('-requesttimeout: a request that does not end, and silence; not who has been answered', async (t) => {
    const told = await cut(t, ['-requesttimeout', '0.5'], (address) =>
      Promise.all([get, '', `${get}\r\n`].map((text) => exchange(address, text))),
    )
    assert.deepEqual(told, [
      { ...common, reason: 'too slow', times: 1 },
      { ...common, reason: 'too slow', times: 1 },
    ])
  })

  test('-maxpending', async (t) => {
    const told = await cut(t, ['-requesttimeout', '60', '-maxpending', '2'], async (address) => {
      const [first, second] = [exchange(address, get), exchange(address, get)]
      const others = [get, get].map((text) => connection(address, text))
      await Promise.all([first, second])
      for (const socket of others) socket.destroy()
    })
    assert.deepEqual(told, [
      { ...common, reason: 'too many pending', times: 1 },
      { ...common, reason: 'too many pending', times: 1 },
    ])
  })

  test('more requests at once than are answered', async (t) => {
    const told = await cut(t, [], (address) => exchange(address, `${get}\r\n`.repeat(40)))
    assert.deepEqual(told, [{ ...common, reason: 'too many at once', times: 1 }])
  })
})

test('an upgrade to anything else is as if it were not asked for', async () => {
  const before = await counts()
  const meeting = await gather(db.sql, plenum, 1)
  const offer = (path: string, more = ''): string =>
    `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings${more}\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\r\n`
  const page = `/meeting/${meeting.id}/${meeting.key(0)}`
  for (const path of [page, `${page}/record`, `${page}/record.json`, '/chat', '/document/demo', '/socket'])
    assert.match(await exchange(listen, offer(path, ', close')), /^HTTP\/1\.1 200 /, path)
  assert.match(await exchange(adminlisten, offer('/readyz', ', close')), /^HTTP\/1\.1 200 /)
  assert.match(await exchange(profilelisten, offer('/', ', close')), /^HTTP\/1\.1 200 /)
  assert.match(await exchange(listen, offer('/ws/chat', ', close')), /^HTTP\/1\.1 426 /)
  // What follows on the connection is answered too, in its order, and a body is read.
  const body = 'method=checkDocument'
  const post = `POST /socket HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade\r\nUpgrade: h2c\r\nContent-Length: ${body.length}\r\n\r\n${body}`
  const answers = await exchange(listen, offer('/chat') + post + offer(`/${secret}`, ', close'))
  const statuses = Array.from(answers.matchAll(/^HTTP\/1\.1 (\d+)/gm), ([, status]) => status)
  assert.deepEqual(statuses, ['200', '401', '404'])
  assert.deepEqual(await counts(), before)
  const socket = new WebSocket(plenum.socketUrl('/ws/chat?session_key=x'), {
    headers: { upgrade: 'h2c, WebSocket' },
  })
  await new Promise((resolve, reject) => {
    socket.on('open', resolve)
    socket.on('error', reject)
  })
  socket.terminate()
})

test('a connection that ends without a request is none that was refused', async () => {
  const before = await counts()
  for (const start of ['', 'GET / HT']) {
    const [host = '', port] = adminlisten.split(':')
    const socket = connect({ host, port: Number(port) })
    socket.end(start)
    await new Promise((resolve) => socket.on('close', resolve).resume())
  }
  assert.deepEqual(await counts(), before)
})

test('those that were held back are told at the end, and nothing of what they held', async () => {
  await plenum.stop()
  const told = plenum.logs.filter(({ event, times }) => event === 'requestRefused' && times !== 1)
  assert.deepEqual(
    told.filter(({ reason }) => reason === 'headers too large').map(({ times }) => times),
    [19, 19, 19],
  )
  for (const line of plenum.stderr) assert.ok(!line.includes(secret), line)
})
