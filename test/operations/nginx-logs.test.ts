import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join as joinPath } from 'node:path'
import { suite, test } from 'node:test'
import type { TestContext } from 'node:test'
import { connect } from 'node:tls'
import { ask } from '../support/nginx-request.ts'
import type { Answer, Question } from '../support/nginx-request.ts'
import { invite } from '../support/chat-client.ts'
import { createDatabase } from '../support/database.ts'
import { gather } from '../support/meeting-fixture.ts'
import { join } from '../support/meeting-client.ts'
import { hasIpv6, hasNginx, startNginx } from '../support/nginx.ts'
import type { Nginx } from '../support/nginx.ts'
import { startPlenum } from '../support/server.ts'
import { until } from '../support/until.ts'

// What nginx writes down while all goes well, and while nothing does: never a key, and still what an operator needs.

const origin = 'https://www.example.org'
const slow = (site: string): string => site.replace(/proxy_(read|send)_timeout 120s/g, 'proxy_$1_timeout 1s')
const strict = (site: string): string =>
  site.replace('burst=1000', 'burst=3').replace('50r/s', '1r/m').replace('connections 1000', 'connections 1')

/** Every address that holds a secret, with other places where a browser may put one. */
function secretPaths(meeting: { id: number; key: string }, chatKey: string, token: string): string[] {
  const page = `/meeting/${meeting.id}/${meeting.key}`
  return [
    `/ws${page}/0`,
    page,
    ...['', '.csv', '.polls.csv', '.json'].map((form) => `${page}/record${form}`),
    `/ws/chat?session_key=${chatKey}`,
    `/?session_key=${chatKey}`,
    `/chat?session_key=${chatKey}`,
    `/socket?token=${token}`,
    `/document/demo?token=${token}`,
    // What is nobody's address, and holds a key all the same: a slip, or a path of the site.
    `/${meeting.key}`,
    `/meetings/${meeting.key}`,
    `//meeting/${meeting.id}/${meeting.key}`,
  ]
}

type Way = Pick<Question, 'http' | 'ipv6'>

const ways: Way[] = [{ http: '1' }, { http: '2', ipv6: hasIpv6 }, { http: 'clear' }]

/** Asks for each path in each way, as a websocket too, and gives the answers that came, by HTTP version and path. */
async function askAll(
  nginx: Nginx,
  paths: string[],
  { ways: those = ways, ...question }: Question & { ways?: Way[] } = {},
): Promise<Map<string, Answer>> {
  const answers = new Map<string, Answer>()
  await Promise.all(
    those.flatMap((way) =>
      paths.flatMap((path) => {
        const headers = { referer: `https://localhost${path}`, origin, ...question.headers }
        const asked = [ask(nginx, path, { ...question, ...way, headers })]
        const upgrade = { ...headers, connection: 'upgrade', upgrade: 'websocket', ...handshake }
        if (way.http !== '2') asked.push(ask(nginx, path, { ...question, ...way, headers: upgrade }))
        return asked.map((answer, index) =>
          answer.then(
            (answer) => void answers.set(`${way.http} ${path}${index === 0 ? '' : ' upgrade'}`, answer),
            () => undefined,
          ),
        )
      }),
    ),
  )
  return answers
}

const handshake = { 'sec-websocket-version': '13', 'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==' }

async function assertSilent(nginx: Nginx, secrets: string[]): Promise<string> {
  const logs = await nginx.logs()
  for (const [name, text] of Object.entries(logs))
    for (const secret of secrets) {
      const told = text.split('\n').find((line) => line.includes(secret))
      assert.equal(told, undefined, `${name} has a secret`)
    }
  return logs['plenum.log'] ?? ''
}

function start(t: TestContext, upstream: string, change?: (site: string) => string): Promise<Nginx> {
  return startNginx([upstream], change).then((nginx) => {
    t.after(() => nginx.stop())
    return nginx
  })
}

suite('the logs of nginx', { concurrency: 2, skip: hasNginx ? false : 'there is no nginx here' }, () => {
  test('no key is in them through a whole outage, and each failure is', async (t) => {
    const folder = await mkdtemp(joinPath(tmpdir(), 'plenum-run-'))
    const db = await createDatabase()
    const options = {
      database: db.url,
      origin,
      listen: joinPath(folder, 'socket'),
      flags: ['-behindproxy', '-chat', '-document'],
    }
    let plenum = await startPlenum(options)
    t.after(async () => {
      await plenum.kill()
      await db.drop()
      await rm(folder, { recursive: true, force: true })
    })
    const nginx = await start(t, `unix:${plenum.listen}`, slow)
    const limited = await start(t, `unix:${plenum.listen}`, strict)
    const meeting = await gather(db.sql, nginx, 2)
    const chatKey = await invite(db.sql, 'Ada', 1, { key: randomBytes(30).toString('base64url') })
    const token = randomBytes(30).toString('base64url')
    const secrets = [meeting.key(0), meeting.key(1), chatKey, token]
    const paths = secretPaths({ id: meeting.id, key: meeting.key(0) }, chatKey, token)

    // Nobody listens, and there is no socket's file at all once the server has ended by itself.
    await plenum.stop()
    const away = await askAll(nginx, paths)
    const page = `/meeting/${meeting.id}/${meeting.key(0)}`
    for (const http of ['1', '2']) {
      const { status, headers, body } = away.get(`${http} ${page}`) as Answer
      assert.equal(status, 502)
      assert.match(body, /This page tries again by itself/)
      assert.match(body, /http-equiv="refresh" content="5"/)
      assert.deepEqual(
        ['content-type', 'retry-after', 'cache-control', 'referrer-policy'].map((name) => headers[name]),
        ['text/html; charset=utf-8', '5', 'no-store', 'no-referrer'],
      )
      assert.equal(headers['strict-transport-security'], 'max-age=31536000')
    }
    // A bad gateway is no 426: the page tries again.
    assert.equal(away.get(`1 /ws${page}/0 upgrade`)?.status, 502)

    // It starts: there is a database to come, and nobody is served yet.
    plenum = await startPlenum({ ...options, database: 'postgres://127.0.0.1:9/nothing', ready: false })
    await plenum.logged(({ event }) => event === 'started')
    await askAll(nginx, paths)
    await plenum.kill()
    // The file is there, and nobody behind it.
    await askAll(nginx, paths)

    plenum = await startPlenum(options)
    const there = await askAll(nginx, paths)
    assert.equal(there.get(`1 ${page}`)?.status, 200)
    const member = await join(nginx, meeting.id, meeting.key(1), { headers: { origin } })
    await member.next('messages')
    // Who goes away in the middle, and whoever is too many.
    await askAll(nginx, paths, { abortMs: 1 })
    await askAll(limited, paths)
    const refused = await askAll(limited, paths, { ways: [{ http: '1' }] })
    assert.equal(refused.get(`1 ${page}`)?.status, 429)
    assert.match(refused.get(`1 ${page}`)?.body ?? '', /This page tries again by itself/)
    // It answers nobody, and then dies with all that it had.
    plenum.signal('SIGSTOP')
    await askAll(nginx, paths, { abortMs: 50 })
    const silent = await askAll(nginx, paths.slice(0, 1), { ways: [{ http: '1' }] })
    assert.equal([...silent.values()].at(-1)?.status, 504)
    const pending = askAll(nginx, paths)
    await plenum.kill()
    await pending
    await member.closed
    await askAll(nginx, paths, { method: 'POST' })

    for (const one of [nginx, limited]) await one.reload()
    await assertSilent(limited, secrets)
    const log = await assertSilent(nginx, secrets)
    for (const line of [
      `127.0.0.1 /meeting 502 upstream=unix:${plenum.listen} upstream_status=502`,
      `127.0.0.1 /ws/meeting 504 upstream=unix:${plenum.listen} upstream_status=504`,
      '127.0.0.1 /ws/meeting 499 ',
      '127.0.0.1 /ws/chat 502 ',
      '127.0.0.1 /socket 502 ',
      '127.0.0.1 - 404 ',
      ...(hasIpv6 ? ['::1 /meeting 502 '] : []),
    ])
      assert.ok(log.includes(line), `no line has: ${line}`)
    const refusals = (await limited.logs())['plenum.log'] ?? ''
    assert.match(refusals, /^\S+ 127\.0\.0\.1 \/meeting 429 upstream=- /m)
  })

  test('nor whatever a server does to an answer', async (t) => {
    const key = randomBytes(40).toString('base64url').slice(0, 54)
    const paths = secretPaths({ id: 1, key }, key, key)
    const head = 'HTTP/1.1 200 OK\r\n'
    const answers = [
      '',
      'what is this\r\n\r\n',
      `${head}X-Long: ${'x'.repeat(100_000)}\r\n\r\n`,
      `${head}Content-Length: 100\r\n\r\nshort`,
      `${head}Transfer-Encoding: chunked\r\n\r\nzz\r\n`,
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n`,
      `${head}Content-Length: 0\r\nContent-Length: 1\r\n\r\n`,
    ]
    const large = 8_000_000
    let turn = 0
    const open = new Set<Socket>()
    const upstream = createServer((socket) => {
      open.add(socket)
      socket.on('error', () => undefined)
      socket.once('data', () =>
        socket.end(answers[turn] ?? `${head}Content-Length: ${large}\r\n\r\n${'x'.repeat(large)}`),
      )
    })
    await new Promise<void>((resolve) => {
      upstream.listen(0, '127.0.0.1', resolve)
    })
    t.after(() => {
      for (const socket of open) socket.destroy()
      upstream.close()
    })
    const nginx = await start(t, `127.0.0.1:${(upstream.address() as AddressInfo).port}`, slow)
    const twoWays: Way[] = [{ http: '1' }, { http: '2' }]
    for (turn = 0; turn < answers.length; turn++) await askAll(nginx, paths, { ways: twoWays })
    // More than nginx keeps in memory for somebody who does not read.
    const [, page = ''] = paths
    const deaf = connect({
      host: '127.0.0.1',
      port: nginx.port,
      ca: nginx.certificate,
      servername: 'localhost',
    })
    deaf.pause()
    deaf.on('error', () => undefined)
    deaf.write(`GET ${page} HTTP/1.1\r\nHost: localhost\r\n\r\n`)
    t.after(() => deaf.destroy())
    // Requests that nginx refuses itself.
    const long = { cookie: key.repeat(2000) }
    await askAll(nginx, paths, { ways: twoWays, headers: long })
    await askAll(nginx, [`/meeting/1/${key}?${key.repeat(2000)}`], { ways: twoWays })
    await askAll(nginx, [`/meeting/1/${key}/%00`, `/meeting/1/${key}/%zz`], { ways: twoWays })
    await until('what failed is logged', async () => /502/.test((await nginx.logs())['plenum.log'] ?? ''))
    await assertSilent(nginx, [key])
  })
})
