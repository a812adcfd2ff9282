import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { chmodSync, copyFileSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { connect as connectPlain, createServer, type Socket } from 'node:net'
import { tmpdir, userInfo } from 'node:os'
import { join as joinPath } from 'node:path'
import { suite, test } from 'node:test'
import type { TestContext } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { connect, type TLSSocket } from 'node:tls'
import { freePort } from '../../demo/port.ts'
import { type CertificateKind, makeCertificate } from '../support/certificate.ts'
import { gather, settle } from '../support/meeting-fixture.ts'
import type { MeetingFixture } from '../support/meeting-fixture.ts'
import { openServerFixture } from '../support/server-fixture.ts'
import type { ServerFixture } from '../support/server-fixture.ts'
import { fetchFrom, runPlenum } from '../support/server.ts'
import type { Plenum } from '../support/server.ts'
import { meetingStatus } from '../support/status.ts'
import { until } from '../support/until.ts'
import { patience } from '../support/patience.ts'

function folder(t: TestContext): string {
  const path = mkdtempSync(joinPath(tmpdir(), 'plenum-tls-'))
  t.after(() => rm(path, { recursive: true, force: true }))
  return path
}

/** Two files that are what the server is given; `renew` writes others in their place. */
class Pair {
  readonly cert: string
  readonly key: string
  readonly #folder: string

  constructor(folder: string) {
    this.#folder = folder
    this.cert = joinPath(folder, 'cert.pem')
    this.key = joinPath(folder, 'key.pem')
    this.renew()
  }

  get flags(): string[] {
    return ['-tlscert', this.cert, '-tlskey', this.key]
  }

  get pem(): Buffer {
    return readFileSync(this.cert)
  }

  get fingerprint(): string {
    return new X509Certificate(this.pem).fingerprint256
  }

  renew(kind: CertificateKind = 'rsa'): void {
    const made = makeCertificate(this.#folder, kind)
    copyFileSync(made.cert, this.cert)
    copyFileSync(made.key, this.key)
  }
}

type ModelRunner = { fixture: ServerFixture; pair: Pair; plenum: Plenum; admin: string }

async function open(t: TestContext, flags: string[] = []): Promise<ModelRunner> {
  const pair = new Pair(folder(t))
  const admin = `127.0.0.1:${await freePort()}`
  const fixture = await openServerFixture(t)
  const plenum = await fixture.start({
    flags: ['-rate', '0', '-adminlisten', admin, ...pair.flags, ...flags],
    certificate: pair.pem,
    readyAt: admin,
  })
  return { fixture, pair, plenum, admin }
}

/** A connection past its handshake, whoever the server says that it is. */
async function handshake(port: number, options: object = {}): Promise<TLSSocket> {
  const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options })
  await once(socket, 'secureConnect')
  socket.on('error', () => {})
  return socket
}

async function shownAt(port: number): Promise<string> {
  const socket = await handshake(port)
  const { fingerprint256 } = socket.getPeerCertificate()
  socket.destroy()
  return fingerprint256
}

async function metric(admin: string, name: string): Promise<number> {
  const { body } = await fetchFrom(admin, '/metrics')
  return Number(
    body
      .split('\n')
      .find((line) => line.startsWith(`${name} `))
      ?.slice(name.length) ?? Number.NaN,
  )
}

/** How long the server leaves a connection open, in milliseconds. */
async function endOf(socket: Socket): Promise<number> {
  const from = Date.now()
  socket.on('error', () => {}).resume()
  await once(socket, 'close', { signal: AbortSignal.timeout(patience(10_000)) })
  return Date.now() - from
}

const enterWith = (plenum: Plenum, fixture: ServerFixture, size = 2): Promise<MeetingFixture> =>
  gather(fixture.db.sql, plenum, size)

/** The one line of an end with status 2. */
async function complaint(args: string[]): Promise<string> {
  const { code, stdout, stderr } = await runPlenum(args)
  assert.equal(code, 2, stderr)
  assert.equal(stdout, '')
  const [line = '', ...more] = stderr.split('\n')
  assert.deepEqual(more, [])
  return line
}

suite('TLS', { concurrency: 3 }, () => {
  for (const kind of ['rsa', 'ec'] as const)
    test(`members meet over wss, with a certificate of kind ${kind}`, async (t) => {
      const pair = new Pair(folder(t))
      pair.renew(kind)
      const fixture = await openServerFixture(t)
      const plenum = await fixture.start({ flags: ['-rate', '0', ...pair.flags], certificate: pair.pem })
      const meeting = await enterWith(plenum, fixture)
      const [chair, member] = await meeting.enterAll(0, 1)
      await settle(chair, member)
      await settle(member, chair)
      await member.reset()
      await chair.close()
      assert.equal(await plenum.stop(), 0)
    })

  test('a client is known by its address, whatever it claims', async (t) => {
    const pair = new Pair(folder(t))
    const fixture = await openServerFixture(t)
    const plenum = await fixture.start({ flags: [...pair.flags], certificate: pair.pem })
    const meeting = await enterWith(plenum, fixture)
    await meeting.enter(0, { headers: { 'x-forwarded-for': '203.0.113.9' } })
    const status = await meetingStatus(plenum, meeting.id)
    assert.deepEqual(
      status?.members.map(({ remote }) => remote),
      ['127.0.0.1'],
    )
    const { reason } = await plenum.logged(({ event }) => event === 'statusPublic')
    assert.match(String(reason), /-adminlisten/)
  })

  test('TLS 1.2 and 1.3 are spoken, nothing older; the other listeners are plain', async (t) => {
    const { plenum, admin } = await open(t)
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      const socket = await handshake(plenum.port, { minVersion: version, maxVersion: version })
      assert.equal(socket.getProtocol(), version)
      socket.destroy()
    }
    const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' }
    await assert.rejects(handshake(plenum.port, old), /alert|EPROTO|ECONNRESET|disconnected/i)
    assert.equal((await fetchFrom(admin, '/readyz')).status, 200)
    assert.equal((await plenum.get('/nothing')).status, 404)
  })

  test('health asks a TLS listener, on a port, a Unix socket and beside an admin listener', async (t) => {
    const path = folder(t)
    const pair = new Pair(path)
    const fixture = await openServerFixture(t)
    const admin = `127.0.0.1:${await freePort()}`
    for (const [listen, flags] of [
      [`127.0.0.1:${await freePort()}`, []],
      [joinPath(path, 'socket'), []],
      [`127.0.0.1:${await freePort()}`, ['-adminlisten', admin]],
    ] as const) {
      const all = [...pair.flags, ...flags]
      const readyAt = flags.length > 0 ? { readyAt: admin } : {}
      const plenum = await fixture.start({ flags: all, listen, certificate: pair.pem, ...readyAt })
      assert.deepEqual(await runPlenum(['health', '-listen', listen, ...all]), {
        code: 0,
        stdout: 'ok',
        stderr: '',
      })
      assert.equal(await plenum.stop(), 0)
      assert.equal((await runPlenum(['health', '-listen', listen, ...all])).code, 1)
    }
  })

  test('it is spoken on a socket that systemd passes', async (t) => {
    const pair = new Pair(folder(t))
    const fixture = await openServerFixture(t)
    const holder = createServer()
    t.after(() => holder.close())
    holder.listen(0, '127.0.0.1')
    await once(holder, 'listening')
    const { port } = holder.address() as { port: number }
    const { fd } = (holder as unknown as { _handle: { fd: number } })._handle
    await fixture.start({ flags: pair.flags, passedSockets: [fd], ready: false })
    holder.close() // else it would take half of the connections
    const target = { socketUrl: (path: string) => `wss://127.0.0.1:${port}${path}`, certificate: pair.pem }
    await until('it is ready', async () => {
      const answer = await fetchFrom(`127.0.0.1:${port}`, '/readyz', {}, pair.pem).catch(() => null)
      return answer?.status === 200
    })
    await settle(await (await gather(fixture.db.sql, target, 1)).enter(0))
  })

  test('SIGHUP takes a new certificate for new connections, and those who are there stay', async (t) => {
    const { fixture, pair, plenum } = await open(t)
    const meeting = await enterWith(plenum, fixture)
    const chair = await meeting.enter(0)
    const before = pair.fingerprint
    assert.equal(await shownAt(plenum.port), before)
    for (const kind of ['ec', 'rsa'] as const) {
      pair.renew(kind)
      const from = plenum.logs.length
      plenum.signal('SIGHUP')
      await until('it is read', () => plenum.logs.slice(from).some(({ event }) => event === 'reloaded'))
      assert.equal(await shownAt(plenum.port), pair.fingerprint)
      await settle(chair)
    }
    assert.notEqual(pair.fingerprint, before)
    const line = await plenum.logged(({ event }) => event === 'reloaded')
    assert.match(String(line['certificate']), /^valid until 2\d{3}-/)
    const target = { socketUrl: (path: string) => plenum.socketUrl(path), certificate: pair.pem }
    const later = await gather(fixture.db.sql, target, 1)
    await settle(await later.enter(0))
    assert.equal(chair.isClosed, false)
  })

  test('a new certificate that cannot be used leaves the old one, and the log says why', async (t) => {
    const { pair, plenum } = await open(t)
    const before = pair.fingerprint
    const old = { cert: readFileSync(pair.cert), key: readFileSync(pair.key) }
    const other = makeCertificate(folder(t))
    const cases: [() => void, RegExp][] = [
      [() => copyFileSync(other.cert, pair.cert), /has not the key of the first certificate/],
      [() => writeFileSync(pair.cert, 'nonsense'), /has no certificate in PEM/],
      [() => writeFileSync(pair.key, 'nonsense'), /has no key in PEM/],
      [
        () =>
          writeFileSync(
            pair.cert,
            `${String(old.cert)}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n`,
          ),
        /certificate that cannot be understood/,
      ],
      [() => copyFileSync('/dev/null', pair.cert), /has no certificate/],
    ]
    for (const [spoil, pattern] of cases) {
      spoil()
      const from = plenum.logs.length
      plenum.signal('SIGHUP')
      await until('it says so', () => plenum.logs.slice(from).some(({ event }) => event === 'reloaded'))
      const failed = plenum.logs.slice(from).find(({ event }) => event === 'reloadFailed')
      assert.match(String(failed?.['error']), pattern)
      assert.match(String(failed?.['error']), /; the old certificate stays$/)
      assert.equal(await shownAt(plenum.port), before)
      writeFileSync(pair.cert, old.cert)
      writeFileSync(pair.key, old.key)
    }
    const from = plenum.logs.length
    plenum.signal('SIGHUP')
    await until('it is read', () => plenum.logs.slice(from).some(({ event }) => event === 'reloaded'))
    assert.ok(!plenum.logs.slice(from).some(({ event }) => event === 'reloadFailed'))
  })

  test('a certificate that cannot be used ends the start, and check, with one line and status 2', async (t) => {
    const path = folder(t)
    const pair = new Pair(path)
    const other = makeCertificate(path)
    const ec = makeCertificate(path, 'ec')
    const empty = joinPath(path, 'empty')
    writeFileSync(empty, '')
    const missing = joinPath(path, 'missing')
    for (const [cert, key, pattern] of [
      [missing, pair.key, /^plenum: -tlscert: \S+missing cannot be read: it does not exist \(ENOENT\)$/],
      [pair.cert, missing, /^plenum: -tlskey: \S+missing cannot be read: it does not exist \(ENOENT\)$/],
      [empty, pair.key, /^plenum: -tlscert: \S+empty has no certificate in PEM$/],
      [pair.cert, empty, /^plenum: -tlskey: \S+empty has no key in PEM/],
      [pair.cert, other.key, /^plenum: -tlskey: \S+ has not the key of the first certificate in /],
      [pair.cert, ec.key, /^plenum: -tlskey: \S+ has not the key of the first certificate in /],
      [pair.key, pair.key, /^plenum: -tlscert: \S+ has no certificate/],
    ] as const)
      for (const command of ['serve', 'check'])
        assert.match(await complaint([command, '-origin', '*', '-tlscert', cert, '-tlskey', key]), pattern)
    assert.match(
      await complaint(['-origin', '*', '-tlscert', pair.cert]),
      /^plenum: -tlskey takes a file .*: -tlscert is not given without it$/,
    )
    assert.match(await complaint(['-origin', '*', '-tlskey', pair.key]), /^plenum: -tlscert takes a file /)
    if (userInfo().uid !== 0) {
      chmodSync(pair.key, 0)
      assert.match(await complaint(['-origin', '*', ...pair.flags]), /cannot be read: .*\(EACCES\)$/)
    }
  })

  test('check says until when the certificate is valid', async (t) => {
    const pair = new Pair(folder(t))
    const { db } = await openServerFixture(t)
    const flags = ['-origin', '*', '-dburl', db.url, ...pair.flags]
    const { code, stdout } = await runPlenum(['check', ...flags, '-adminlisten', '127.0.0.1:8198'])
    assert.equal(code, 0)
    assert.match(stdout, /; the certificate is valid until 2\d{3}-\d\d-\d\dT[\d:.]+Z$/)
    assert.match((await runPlenum(['check', ...flags])).stdout, /\nbut status and metrics are on -listen/)
  })

  test('who does not finish the handshake, or asks for nothing after it, is pending and then cut', async (t) => {
    const { fixture, plenum, admin } = await open(t, ['-requesttimeout', '1'])
    const meeting = await enterWith(plenum, fixture)
    const chair = await meeting.enter(0)
    const silent = connectPlain(plenum.port, '127.0.0.1')
    const half = connectPlain(plenum.port, '127.0.0.1')
    half.write(Buffer.from('16030100c8010000c40303', 'hex'))
    const done = await handshake(plenum.port)
    const partly = await handshake(plenum.port)
    partly.write('GET /readyz HTTP/1.1\r\nHost: x\r\n')
    const ends = [silent, half, done, partly].map((socket) => endOf(socket))
    assert.equal(await metric(admin, 'plenum_connections_pending'), 4)
    for (const took of await Promise.all(ends)) assert.ok(took > 600 && took < patience(4000), `${took} ms`)
    assert.equal(await metric(admin, 'plenum_connections_pending'), 0)
    await settle(chair)
    assert.equal(await metric(admin, 'plenum_connections'), 1)
  })

  test('past -maxpending the one that has waited for longest is cut, in its handshake too', async (t) => {
    const { plenum, admin } = await open(t, ['-requesttimeout', '60', '-maxpending', '3'])
    const sockets = []
    for (let n = 0; n < 3; n++) {
      sockets.push(connectPlain(plenum.port, '127.0.0.1'))
      await until('it is counted', async () => (await metric(admin, 'plenum_connections_pending')) === n + 1)
    }
    const [first, second] = sockets
    assert.ok(first && second)
    const cut = endOf(first)
    const fourth = await handshake(plenum.port)
    await cut
    assert.equal(second.destroyed, false)
    assert.equal(fourth.destroyed, false)
    assert.equal(await metric(admin, 'plenum_connections_pending'), 3)
    for (const socket of [...sockets, fourth]) socket.destroy()
    await until('all are gone', async () => (await metric(admin, 'plenum_connections_pending')) === 0)
  })

  test('plain HTTP, garbage and resets at any moment end nothing, and are logged once a kind', async (t) => {
    const { fixture, plenum, pair, admin } = await open(t)
    const meeting = await enterWith(plenum, fixture)
    const chair = await meeting.enter(0)
    const from = plenum.stderr.length
    await assert.rejects(fetchFrom(plenum.listen, '/readyz'))
    for (const bytes of ['GET / HTTP/1.1\r\nHost: x\r\n\r\n', '\0', '\x16\x03\x01', '\xff'.repeat(70_000)]) {
      const socket = connectPlain(plenum.port, '127.0.0.1')
      socket.on('error', () => {}).resume()
      socket.write(Buffer.from(bytes, 'latin1'))
      await wait(20)
      socket.resetAndDestroy()
    }
    const path = `/ws/meeting/${meeting.id}/${meeting.key(1)}/0`
    const upgrade = `GET ${path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${'A'.repeat(22)}==\r\n\r\n`
    for (const request of [
      upgrade,
      'GET //[ HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n',
      '\0',
    ])
      for (const pause of [0, 1, 5, 50]) {
        const raw = connectPlain(plenum.port, '127.0.0.1')
        const socket = connect({ socket: raw, rejectUnauthorized: false })
        await once(socket, 'secureConnect')
        socket.on('error', () => {})
        socket.write(request)
        if (pause > 0) await wait(pause)
        raw.resetAndDestroy()
      }
    // Between two bytes of a record.
    const raw = connectPlain(plenum.port, '127.0.0.1')
    const spoiled = connect({ socket: raw, rejectUnauthorized: false })
    await once(spoiled, 'secureConnect')
    spoiled.on('error', () => {})
    raw.write(Buffer.from('1703030020ffff', 'hex'))
    await wait(20)
    raw.write(Buffer.alloc(40, 7))
    await wait(50)
    raw.destroy()
    await settle(chair)
    await until('all are gone', async () => (await metric(admin, 'plenum_connections_pending')) === 0)
    assert.equal(plenum.hasExited, false)
    const known = ['entered', 'ended', 'requestRefused']
    const noise = plenum.stderr
      .slice(from)
      .filter((line) => !known.some((event) => line.includes(`"event":"${event}"`)))
    assert.deepEqual(noise, [])
    // However many there were, each kind is logged once.
    const refused = plenum.logs.filter(({ event }) => event === 'requestRefused')
    const reasons = refused.map(({ reason }) => reason)
    assert.equal(new Set(reasons).size, reasons.length)
    assert.ok(reasons.includes('no TLS'))
    assert.equal(await shownAt(plenum.port), pair.fingerprint)
  })

  test('who does not read is cut past 1 MiB', async (t) => {
    const { fixture, plenum, admin } = await open(t)
    const meeting = await enterWith(plenum, fixture)
    const [chair, slow] = await meeting.enterAll(0, 1)
    slow.ws.pause()
    const line = 'x'.repeat(9000)
    for (let n = 0; n < 4000 && !plenum.logs.some(({ event }) => event === 'slowReader'); n++) {
      chair.say(line)
      if (n % 50 === 0) await settle(chair)
    }
    await plenum.logged(({ event }) => event === 'slowReader')
    await until('he is gone', async () => (await metric(admin, 'plenum_connections')) === 1)
    slow.ws.terminate()
  })
})
