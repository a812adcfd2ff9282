import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, suite, test } from 'node:test'
import { freePort } from '../../demo/port.ts'
import { createDatabase } from '../support/database.ts'
import { gather } from '../support/meeting-fixture.ts'
import { allRoutes } from '../support/routes.ts'
import { fetchFrom, runPlenum, startPlenum } from '../support/server.ts'

// What asks for no password answers to its own names only: a page of a foreign site can have its name lead here.

const db = await createDatabase()
const folder = await mkdtemp(join(tmpdir(), 'plenum-hosts-'))
const admin = `127.0.0.1:${await freePort()}`
const profiles = `127.0.0.1:${await freePort()}`
const socket = join(folder, 'socket')
const names = ['-adminhosts', 'status.example.org, Plenum']
const origin = 'https://www.example.org'
const options = { database: db.url, origin }
const apart = await startPlenum({
  ...options,
  flags: [...names, '-chat', '-document', '-adminlisten', admin, '-profilelisten', profiles],
  readyAt: admin,
})
const together = await startPlenum({ ...options, listen: socket, flags: names, ready: false })
await together.logged(({ event }) => event === 'started')
after(async () => {
  await Promise.all([apart.kill(), together.kill()])
  await db.drop()
  await rm(folder, { recursive: true, force: true })
})
const { operators } = await allRoutes()
const paths = operators.map(({ path }) => path)
const heap = '/debug/pprof/heap'

/** What comes back for a request line with `Connection: close` and nothing else. */
async function askWithoutHost(address: string, line: string): Promise<string> {
  const [host = '', port] = address.split(':')
  const connection = connect(port === undefined ? { path: address } : { host, port: Number(port) })
  connection.end(`${line}\r\nConnection: close\r\n\r\n`)
  return await text(connection)
}

const own = ['127.0.0.1', '192.0.2.1:1', '[::1]:8198', 'localhost', 'www.example.org', 'plenum:8198']
const foreign = [
  'evil.example',
  '127.0.0.1.evil.example',
  'localhost.evil.example:8198',
  'evil.www.example.org',
]

for (const [where, address] of [
  ['-adminlisten', admin],
  ['a Unix socket of everything', socket],
] as const)
  suite(`the operator's pages on ${where}`, () => {
    test('are answered under an address, localhost and the names that are given', async () => {
      for (const host of [...own, 'status.example.org'])
        assert.equal((await fetchFrom(address, '/livez', { host })).status, 200, host)
    })

    test('are answered in HTTP/1.0, which has no Host: load balancers ask so', async () => {
      assert.match(await askWithoutHost(address, 'GET /livez HTTP/1.0'), /^HTTP\/1\.1 200 /)
    })

    test('are not under another name, and it is said what to do', async () => {
      for (const path of paths)
        for (const host of foreign) {
          const { status, body } = await fetchFrom(address, path, { host })
          assert.equal(status, 421, `${path} of ${host}`)
          assert.equal(
            body,
            'This is not answered under that name: ask by IP address or as localhost, or add the name to -adminhosts.\n',
          )
        }
    })

    test('are not for a browser either, which is told so in its language', async () => {
      const asks = { accept: 'text/html,*/*;q=0.8', 'accept-language': 'de-AT,en;q=0.5' }
      const named = await fetchFrom(address, '/status', { ...asks, host: 'evil.example' })
      assert.deepEqual([named.status, named.headers['content-language']], [421, 'de'])
      assert.match(named.body, /<h1>Unter diesem Namen wird diese Seite nicht gezeigt<\/h1>/)
      const framed = {
        ...asks,
        host: 'localhost',
        'sec-fetch-site': 'cross-site',
        'sec-fetch-dest': 'iframe',
      }
      const shown = await fetchFrom(address, '/status', framed)
      assert.deepEqual([shown.status, shown.headers['content-language']], [403, 'de'])
      assert.match(shown.body, /<h1>Bitte öffnen Sie diese Seite für sich<\/h1>/)
    })

    test('are not for pages of other sites, whatever their host; a link leads there', async () => {
      const host = 'localhost:8198'
      const crossSite = {
        host,
        'sec-fetch-site': 'cross-site',
        'sec-fetch-mode': 'no-cors',
        'sec-fetch-dest': 'script',
      }
      for (const path of paths)
        for (const headers of [crossSite, { host, origin: 'https://evil.example' }])
          assert.equal((await fetchFrom(address, path, headers)).status, 403, path)
      const link = { ...crossSite, 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' }
      assert.equal((await fetchFrom(address, '/status', link)).status, 200)
    })

    test('are what plenum health reads', async () => {
      const { code, stderr } = await runPlenum(['health', '-listen', address])
      assert.ok(code === 0 || /another Plenum process serves/.test(stderr), stderr)
    })
  })

test('members are let in under any name: the web server in front may pass on its own', async () => {
  const meeting = await gather(db.sql, apart, 1)
  const page = `/meeting/${meeting.id}/${meeting.key(0)}`
  for (const path of [page, '/chat', '/document/demo'])
    assert.equal((await apart.get(path, { host: 'evil.example' })).status, 200)
  assert.equal((await fetchFrom(socket, page, { host: 'evil.example' })).status, 200)
  assert.equal((await fetchFrom(socket, '/nothing', { host: 'evil.example' })).status, 404)
})

test('profiles are not taken for another name, nor for a page or a link of another site', async () => {
  const link = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' }
  for (const path of ['/', heap, '/debug/pprof/profile?seconds=200']) {
    assert.equal((await fetchFrom(profiles, path, { host: 'evil.example' })).status, 421, path)
    assert.equal((await fetchFrom(profiles, path, link)).status, 403, path)
  }
  for (const host of own) assert.equal((await fetchFrom(profiles, '/', { host })).status, 200, host)
})

test('who was refused is logged once a kind, and counted each time', async () => {
  const refused = await apart.logged(
    ({ event, reason, listener }) =>
      event === 'requestRefused' && reason === 'foreign host' && listener === 'profilelisten',
  )
  assert.deepEqual(
    { ...refused, time: undefined },
    {
      time: undefined,
      level: 'warn',
      event: 'requestRefused',
      reason: 'foreign host',
      listener: 'profilelisten',
      peer: '127.0.0.1',
      host: 'evil.example',
      times: 1,
    },
  )
  assert.equal(apart.logs.filter(({ event }) => event === 'requestRefused').length, 4)
  const { body } = await fetchFrom(admin, '/metrics')
  const count = Number(/^plenum_requests_refused_total\{reason="foreign host"\} (\d+)$/m.exec(body)?.[1])
  assert.equal(count, paths.length * foreign.length + 4)
})
