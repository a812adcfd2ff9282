import assert from 'node:assert/strict'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { mkdtemp, rename, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { type AddressInfo, connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import type { TestContext } from 'node:test'
import { freePort } from '../../demo/port.ts'
import { answerTo, farewell, gather, settle } from '../support/meeting-fixture.ts'
import { openServerFixture } from '../support/server-fixture.ts'
import type { ServerFixture } from '../support/server-fixture.ts'
import { UpgradeRefused } from '../support/meeting-client.ts'
import { currentRuntime, denoPermissions, fetchFrom, runPlenum } from '../support/server.ts'
import type { Plenum } from '../support/server.ts'
import { leaveOutRows } from '../support/refused-writes.ts'
import { until } from '../support/until.ts'

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string
}
const isDeno = currentRuntime() === 'deno'

/** The line that names what is wrong, of an end with status 2. */
async function complaint(args: string[], env: Record<string, string> = {}): Promise<string> {
  const { code, stdout, stderr } = await runPlenum(args, { env })
  assert.equal(code, 2, stderr)
  assert.equal(stdout, '')
  assert.doesNotMatch(stderr, /\n/)
  return stderr
}

/** `plenum health` says where it has found nobody: which -listen counts. */
async function listenOf(args: string[], env: Record<string, string> = {}): Promise<string | undefined> {
  const { code, stdout, stderr } = await runPlenum(['health', ...args], { env })
  assert.equal(code, 1)
  assert.equal(stdout, '')
  return /no answer: .* (\S+:\d+|\/\S+)$/.exec(stderr)?.[1]
}

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'plenum-socket-'))
  t.after(() => rm(path, { recursive: true, force: true }))
  return path
}

/** What a start that fails says: one line, and exit status 1. */
async function failure(fixture: ServerFixture, listen: string): Promise<string> {
  const run = await runPlenum(['-origin', '*', '-dburl', fixture.db.url, '-listen', listen])
  assert.equal(run.code, 1)
  const said = run.stderr.split('\n').filter((line) => !line.startsWith('{'))
  assert.equal(said.length, 1, run.stderr)
  return said[0] ?? ''
}

async function serves(fixture: ServerFixture, plenum: Plenum): Promise<void> {
  const meeting = await gather(fixture.db.sql, plenum, 1)
  const member = await meeting.enter(0)
  await settle(member)
  await member.close()
}

/** The descriptor of a socket of this process. */
const fdOf = (owner: object): number => (owner as { _handle: { fd: number } })._handle.fd

type Held = { address: string; descriptor: number; release: () => void }

/** A listening socket that is held as systemd does it; until it is released it takes a part of the connections. */
async function holdTransaction(t: TestContext, path?: string): Promise<Held> {
  const holder = createServer()
  t.after(() => holder.close())
  if (path === undefined) holder.listen(0, '127.0.0.1')
  else holder.listen(`${path}.made`)
  await once(holder, 'listening')
  const { port } = holder.address() as { port: number }
  // With the name that it was made by, the file would go when it is released.
  if (path !== undefined) await rename(`${path}.made`, path)
  return {
    address: path ?? `127.0.0.1:${port}`,
    descriptor: fdOf(holder),
    release: () => void holder.close(),
  }
}

async function untilServing({ address, release }: Held): Promise<void> {
  release()
  await until('it is ready', async () => {
    const answer = await fetchFrom(address, '/readyz').catch(() => null)
    return answer?.status === 200
  })
}

const withInspector = (flag: string): string => (flag.startsWith('--allow-sys=') ? `${flag},inspector` : flag)

suite('command line', { concurrency: 4 }, () => {
  test('a flag takes one dash or two, and its value after a space or =; the last one counts', async () => {
    const wanted = `127.0.0.1:${await freePort()}`
    const other = `127.0.0.1:${await freePort()}`
    for (const args of [
      ['-listen', wanted],
      ['--listen', wanted],
      [`-listen=${wanted}`],
      [`--listen=${wanted}`],
      ['-listen', other, '-listen', wanted],
    ])
      assert.equal(await listenOf(args), wanted, args.join(' '))
  })

  test('the environment counts where no flag is given', async () => {
    const wanted = `127.0.0.1:${await freePort()}`
    assert.equal(await listenOf([], { PLENUM_LISTEN: wanted }), wanted)
    assert.equal(await listenOf(['-listen', wanted], { PLENUM_LISTEN: '127.0.0.1:1' }), wanted)
    assert.equal(await listenOf(['-listen', wanted], { PLENUM_LISTEN: 'nowhere' }), wanted)
    assert.equal(await listenOf(['-listen', wanted], { PLENUM_ADMINLISTEN: '' }), wanted)
  })

  test('a value that a flag or its environment twin cannot take ends with status 2 and one line that names it', async () => {
    for (const [name, value] of [
      ['ORIGIN', 'example.org'],
      ['CONFIG', '/nowhere/plenum'],
    ] as const)
      assert.match(
        await complaint(['check'], { PLENUM_ORIGIN: '*', [`PLENUM_${name}`]: value }),
        new RegExp(`^plenum: -${name.toLowerCase()} \\(from PLENUM_${name}\\) takes `),
      )
    assert.match(await complaint(['check', '-origin', '*', '-listen=nowhere']), /^plenum: -listen takes /)
  })

  test('of a file that cannot be read it is said why', async () => {
    const line = await complaint(['-config', '/nowhere/plenum'])
    assert.match(line, /^plenum: -config takes .*: \/nowhere\/plenum cannot be read: it does not exist/)
    for (const [args, end] of [
      [['-tlscert', '/', '-tlskey', '/nowhere/key'], /^plenum: -tlscert: \/ cannot be read: it is a folder/],
      [
        ['-dburl', 'host=h dbname=d passfile=/nowhere'],
        /passfile: \/nowhere cannot be read: it does not exist/,
      ],
    ] as const)
      assert.match(await complaint(['-origin', '*', ...args]), end)
  })

  test('a flag without its value, an unknown flag and an unknown command end with status 2', async () => {
    assert.match(await complaint(['-origin']), /^plenum: -origin takes /)
    assert.match(await complaint(['-origin', '*', '-dburl']), /^plenum: -dburl takes /)
    assert.match(await complaint(['-origin', '*', '-port', '8199']), /^plenum: -port is not a flag: /)
    assert.match(await complaint(['start', '-origin', '*']), /^plenum: .*command/)
    assert.match(await complaint(['-origin', '*', 'more']), /^plenum: serve takes only flags/)
    assert.match(await complaint(['unban', '1', '-dburl', 'x=y']), /^plenum: unban takes MEETING/)
  })

  test('serve and check take no start without -origin', async () => {
    for (const args of [[], ['serve'], ['check']])
      assert.match(await complaint(args), /^plenum: -origin is required/)
    const { code, stderr } = await runPlenum(['check'], {
      env: { PLENUM_ORIGIN: '*', PLENUM_DBURL: 'host=127.0.0.1 port=1 dbname=d user=u' },
    })
    assert.equal(code, 1)
    assert.match(stderr, /^plenum: .*ECONNREFUSED/)
  })

  test('every command says in one line which database cannot be reached, and what to do', async (t) => {
    const fixture = await openServerFixture(t)
    const port = await freePort()
    const mute = createServer((socket) => socket.on('error', () => undefined).destroy())
    await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve))
    t.after(() => mute.close())
    const other = (mute.address() as AddressInfo).port
    const wrong = new URL(fixture.db.url)
    wrong.password = 's3cret'
    const members = ['kick', 'admit', 'unban'].map((command) => [command, '1', '2'])
    const commands = [['check', '-origin', '*'], ['migrate'], ['meetings'], ...members]
    for (const [dburl, said] of [
      [`postgres://u:s3cret@127.0.0.1:${port}/d`, `nobody listens at 127.0.0.1:${port} (ECONNREFUSED): is`],
      [`postgres://u:s3cret@localhost:${port}/d`, `nobody listens at localhost:${port} (ECONNREFUSED): is`],
      ['postgres://u:s3cret@no.such.invalid/d', 'the name no.such.invalid is not known here (ENOTFOUND): is'],
      [
        `postgres://u:s3cret@127.0.0.1:${other}/d`,
        `127.0.0.1:${other} ended the connection (ECONNRESET): is`,
      ],
      [
        `postgres://u:s3cret@127.0.0.1:${other}/d?sslmode=disable`,
        `(database d as user u at 127.0.0.1:${other}): is it PostgreSQL that listens there`,
      ],
      [wrong.href, `at ${wrong.host}): give the right password`],
      [
        'host=/nowhere user=u password=s3cret dbname=d',
        'there is no socket /nowhere/.s.PGSQL.5432 (ENOENT): is',
      ],
    ] as const)
      await Promise.all(
        commands.slice(0, dburl === wrong.href ? undefined : 1).map(async (command) => {
          const { code, stderr } = await runPlenum([...command, '-dburl', dburl])
          assert.equal(code, 1)
          assert.match(stderr, /^plenum: [^\n]*$/)
          assert.ok(stderr.includes(said), stderr)
          assert.ok(!stderr.includes('s3cret'), stderr)
        }),
      )
  })

  test('no password is ever said', async (t) => {
    const fixture = await openServerFixture(t)
    const { password } = new URL(fixture.db.url)
    for (const dburl of ['postgres://u:s3cret@h:port/d', "host=h password='s3cret"]) {
      const line = await complaint(['check', '-origin', '*', '-dburl', dburl])
      assert.match(line, /^plenum: -dburl takes /)
      assert.equal(line.includes('s3cret'), false, line)
    }
    const byTwin = await complaint(['check'], { PLENUM_DBURL: 'host=h s3cret' })
    assert.equal(byTwin.includes('s3cret'), false)
    for (const args of [['--s3cret'], ['-dburl', 'postgres://u:s3cret@h/d', 's3cret']]) {
      const line = await complaint(['-origin', '*', ...args])
      // A flag's own name is repeated, in letters and digits.
      if (args[0] !== '--s3cret') assert.equal(line.includes('s3cret'), false, line)
    }
    for (const command of ['check', 'migrate'])
      for (const url of [fixture.db.url, fixture.db.url.replace(password, 's3cret')]) {
        const { stdout, stderr } = await runPlenum([command, '-origin', '*', '-dburl', url])
        assert.notEqual(stdout + stderr, '')
        for (const secret of [password, 's3cret']) assert.equal((stdout + stderr).includes(secret), false)
      }
    const plenum = await fixture.start()
    await plenum.stop()
    assert.equal(plenum.stderr.join().includes(password), false)
  })

  test('version and help go to stdout, with status 0', async () => {
    const runtime = isDeno ? 'deno' : 'node'
    for (const args of [['-version'], ['--version'], ['version']]) {
      const { code, stdout, stderr } = await runPlenum(args)
      assert.deepEqual({ code, stderr }, { code: 0, stderr: '' })
      assert.match(stdout, new RegExp(`^plenum ${version} \\(${runtime} \\d+\\.`))
    }
    for (const args of [['-help'], ['--help'], ['-h'], ['help'], ['migrate', '--help']]) {
      const { code, stdout, stderr } = await runPlenum(args)
      assert.deepEqual({ code, stderr }, { code: 0, stderr: '' })
      for (const name of ['origin', 'dburl', 'listen']) {
        assert.match(stdout, new RegExp(`^  -${name}\\b`, 'm'))
        assert.ok(stdout.includes(`PLENUM_${name.toUpperCase()}`))
      }
      for (const command of ['serve', 'migrate', 'check', 'health', 'meetings', 'kick', 'unban', 'admit'])
        assert.match(stdout, new RegExp(`\\b${command}\\b`))
    }
  })

  test('migrate makes the schema and says so; done again it changes nothing', async (t) => {
    const { db } = await openServerFixture(t)
    const made = await runPlenum(['migrate', '-dburl', db.url])
    assert.equal(made.code, 0)
    assert.match(made.stdout, /steps done: \d/)
    const [before] = await db.sql`select * from plenum.migration`
    const again = await runPlenum(['migrate', '-dburl', db.url])
    assert.deepEqual(again, { code: 0, stdout: 'schema plenum is up to date', stderr: '' })
    assert.deepEqual({ ...(await db.sql`select * from plenum.migration`)[0] }, { ...before })
  })

  test('check is content with a configuration and a database that are fine, and names what is not', async (t) => {
    const { db } = await openServerFixture(t)
    const { code, stdout, stderr } = await runPlenum(['check', '-origin', '*', '-dburl', db.url])
    assert.deepEqual({ code, stderr }, { code: 0, stderr: '' })
    assert.match(stdout, new RegExp(`fine.*${db.name}`))
    await db.sql`alter table membership_meeting rename to elsewhere`
    const bad = await runPlenum(['check', '-origin', '*', '-dburl', db.url])
    assert.deepEqual({ code: bad.code, stdout: bad.stdout }, { code: 1, stdout: '' })
    assert.match(bad.stderr, /^plenum: .*missing membership_meeting$/)
  })

  test('check tries to write: a role that cannot, a trigger that refuses and a socket without a folder are named', async (t) => {
    const { db } = await openServerFixture(t)
    const check = (...more: string[]) =>
      runPlenum(['check', '-origin', 'https://*.example.org', '-dburl', db.url, ...more])
    const content = await check()
    assert.equal(content.code, 0, content.stderr)
    assert.match(content.stdout, /^pages may connect from https:\/\/\*\.example\.org: /m)
    assert.deepEqual([...(await db.sql`select id from membership_meetingmessagelog`)], [])
    assert.deepEqual([...(await db.sql`select * from plenum.ban`)], [])

    const missing = join(await folder(t), 'missing')
    const placeless = await check('-adminlisten', join(missing, 'socket'))
    assert.equal(placeless.code, 1)
    assert.ok(
      placeless.stderr.startsWith(`-adminlisten: the folder ${missing} for the socket `),
      placeless.stderr,
    )
    const later = await check('-listen', '/run/plenum-of-no-service/socket')
    assert.equal(later.code, 0)
    assert.match(later.stdout, /^but as things are -listen would fail, unless systemd makes it/m)

    await gather(db.sql, { socketUrl: (path) => path }, 1)
    await db.sql`
      create function refuse() returns trigger language plpgsql as 'begin raise exception ''no lines today''; end'`
    await db.sql`create trigger refuse before insert on membership_meetingmessagelog for each row execute function refuse()`
    const refused = await check()
    assert.equal(refused.code, 1)
    assert.match(refused.stderr, /^plenum: a line of the record .* cannot be written: P0001: no lines today$/)
    await db.sql`drop trigger refuse on membership_meetingmessagelog`
    const keep = await leaveOutRows(db.sql, 'update on membership_meeting')
    const leftOut = await check()
    assert.equal(leftOut.code, 1)
    assert.match(leftOut.stderr, /^plenum: a meeting's state .* cannot be written: .*left out rows, 0 of 1/)
    await keep()
    assert.equal((await check()).code, 0)

    await db.sql.unsafe(`alter database "${db.name}" set default_transaction_read_only = on`)
    const readOnly = await check()
    assert.equal(readOnly.code, 1)
    assert.match(
      readOnly.stderr,
      /^plenum: transactions of the role \S+ are read-only .*RESET default_transaction_read_only;/,
    )
  })

  test('health says whether the server at -listen is ready', async (t) => {
    const fixture = await openServerFixture(t)
    const path = join(await folder(t), 'socket')
    const port = await freePort()
    const adminListen = `127.0.0.1:${await freePort()}`
    const everywhere = await fixture.start({ listen: `0.0.0.0:${port}` })
    const standby = await fixture.start({ listen: path, ready: false, flags: ['-adminlisten', adminListen] })
    await standby.logged(({ event }) => event === 'waiting', 15_000)

    const healthy = await runPlenum(['health', '-listen', `:${port}`])
    assert.deepEqual(healthy, { code: 0, stdout: 'ok', stderr: '' })
    const waiting = await runPlenum(['health', '-listen', path, '-adminlisten', adminListen])
    assert.equal(waiting.code, 1)
    assert.match(waiting.stderr, /^not ready: another Plenum process/)
    await everywhere.stop()
    await until('the standby serves', async () => (await fetchFrom(adminListen, '/readyz')).status === 200)
    assert.equal((await runPlenum(['health', '-listen', path, '-adminlisten', adminListen])).code, 0)
    const dead = await runPlenum(['health', '-listen', `:${port}`])
    assert.equal(dead.code, 1)
    assert.match(dead.stderr, /^no answer: .*ECONNREFUSED/)
  })

  test('health reaches a Unix socket', async (t) => {
    const fixture = await openServerFixture(t)
    const path = join(await folder(t), 'socket')
    const plenum = await fixture.start({ listen: path })
    assert.deepEqual(await runPlenum(['health', '-listen', path]), { code: 0, stdout: 'ok', stderr: '' })
    await plenum.stop()
    const dead = await runPlenum(['health', '-listen', path])
    assert.equal(dead.code, 1)
    assert.match(dead.stderr, /^no answer: .*ENOENT/)
  })

  test('unban lets in whom a kick has banned, while the server is running', async (t) => {
    const fixture = await openServerFixture(t)
    const plenum = await fixture.start()
    const meeting = await gather(fixture.db.sql, plenum, 2)
    const [chair, member] = await meeting.enterAll(0, 1)
    chair.send({ type: 'kick', user: meeting.user(1), canrejoin: false })
    await farewell(member)
    const unban = (...ids: number[]) => runPlenum(['unban', ...ids.map(String), '-dburl', fixture.db.url])
    assert.equal((await unban(meeting.id, meeting.user(0))).code, 1)
    const allow = await leaveOutRows(fixture.db.sql, 'delete on plenum.ban')
    const refused = await unban(meeting.id, meeting.user(1))
    assert.equal(refused.code, 1)
    assert.match(refused.stderr, /plenum\.ban: a trigger or policy has left out rows/)
    await allow()
    const { code, stdout } = await unban(meeting.id, meeting.user(1))
    assert.equal(code, 0)
    assert.match(stdout, new RegExp(`${meeting.user(1)} may enter meeting ${meeting.id} again`))
    await until('he may enter', async () => (await answerTo(await meeting.connect(1))) === 'entered')
    const again = await unban(meeting.id, meeting.user(1))
    assert.equal(again.code, 1)
    assert.match(again.stderr, /is not banned/)
  })
})

suite('commands for members', { concurrency: 4, skip: isDeno && 'it is the same on both runtimes' }, () => {
  test('kick ends a connection as an admin does, by a name too, and admit lets in who comes late', async (t) => {
    const fixture = await openServerFixture(t)
    const plenum = await fixture.start()
    const meeting = await gather(fixture.db.sql, plenum, 4)
    await fixture.db.sql`
      update membership_member set fullname = case user_id
        when ${meeting.user(1)} then 'Eve van der \u202eMallory' when ${meeting.user(2)} then 'Ann Mallory' else fullname end`
    const [chair, member, other] = await meeting.enterAll(0, 1, 2)
    const ask = (...args: string[]) => runPlenum([...args, '-dburl', fixture.db.url])
    const id = String(meeting.id)
    const several = await ask('kick', id, 'mallory')
    assert.equal(several.code, 1)
    assert.match(several.stderr, /^several members go by the name "mallory", give the id of one: /)
    assert.ok(several.stderr.includes(`${meeting.user(1)} "Eve van der Mallory"`), several.stderr)
    const { code, stderr } = await ask('kick', id, 'EVE', 'van der', 'mallory')
    assert.equal(code, 0, stderr)
    assert.equal(await farewell(member), 'You have been forcibly disconnected from this meeting')
    await chair.next('removeuser')
    assert.match((await meeting.texts()).at(-1) ?? '', /^User Eve .* has been disconnected by the operator$/)
    assert.equal(await answerTo(await meeting.connect(1)), 'refused')
    assert.match(
      (await ask('kick', id, String(meeting.user(1)))).stderr,
      /is banned from meeting \d+ already$/,
    )
    const listed = await ask('meetings')
    assert.match(listed.stdout, new RegExp(`^ *${id}  pending .* 2 people$`, 'm'))
    assert.ok(listed.stdout.includes(`${meeting.user(2)} "Ann Mallory"`) && !listed.stdout.includes('\u202e'))
    assert.equal((await ask('unban', id, 'Eve', 'Mallory')).code, 0)
    await until('they may enter', async () => (await answerTo(await meeting.connect(1))) === 'entered')

    assert.match((await ask('admit', id, String(meeting.user(3)))).stderr, /is not open yet$/)
    chair.send({ type: 'open' })
    await chair.next('status')
    assert.equal(await answerTo(await meeting.connect(3)), 'refused')
    assert.equal((await ask('admit', id, String(meeting.user(3)))).code, 0)
    assert.equal(await answerTo(await meeting.connect(3)), 'entered')
    assert.match((await ask('admit', id, 'nobody')).stderr, /^no member with the name "nobody" has a key/)
    assert.match((await ask('admit', '999999', '1')).stderr, /^there is no meeting 999999 on the web/)
    await settle(other)
  })

  test('health says where it has asked, and that it may be elsewhere', async (t) => {
    const fixture = await openServerFixture(t)
    const adminListen = `127.0.0.1:${await freePort()}`
    const plenum = await fixture.start({ flags: ['-adminlisten', adminListen], readyAt: adminListen })
    const asked = await runPlenum(['health', '-listen', plenum.listen])
    assert.equal(asked.code, 1)
    assert.match(
      asked.stderr,
      /^no answer about health at -listen .*: a server with -adminlisten answers there/,
    )
    assert.equal((await runPlenum(['health', '-adminlisten', adminListen])).code, 0)
  })
})

suite('listeners', { concurrency: 4 }, () => {
  test('a Unix socket has mode 0660, or what -socketmode says', async (t) => {
    const fixture = await openServerFixture(t)
    const base = await folder(t)
    for (const [flags, mode] of [
      [[], 0o660],
      [['-socketmode', '0600'], 0o600],
      [['-socketmode=777'], 0o777],
    ] as const) {
      const path = join(base, String(mode))
      const plenum = await fixture.start({ listen: path, flags: [...flags] })
      assert.equal((await stat(path)).mode & 0o777, mode)
      await serves(fixture, plenum)
      await plenum.stop()
    }
  })

  test('the file that a killed server has left behind is replaced', async (t) => {
    const fixture = await openServerFixture(t)
    const listen = join(await folder(t), 'socket')
    const killed = await fixture.start({ listen })
    await killed.kill()
    assert.ok((await stat(listen)).isSocket())
    await serves(fixture, await fixture.start({ listen }))
  })

  test('a Unix socket that somebody answers on is not taken over', async (t) => {
    const fixture = await openServerFixture(t)
    const listen = join(await folder(t), 'socket')
    const plenum = await fixture.start({ listen })
    assert.equal(await failure(fixture, listen), `plenum: ${listen} is in use by another process`)
    await serves(fixture, plenum)
  })

  test('a file that is no socket is not touched', async (t) => {
    const fixture = await openServerFixture(t)
    const base = await folder(t)
    const file = join(base, 'file')
    const link = join(base, 'link')
    await writeFile(file, 'precious')
    await symlink(file, link)
    for (const path of [file, link, base])
      assert.match(await failure(fixture, path), /^plenum: .* exists and is not a socket/)
    assert.equal(readFileSync(file, 'utf8'), 'precious')
    assert.equal(readFileSync(link, 'utf8'), 'precious')
  })

  test('a folder that is not there is named', async (t) => {
    const fixture = await openServerFixture(t)
    const missing = join(await folder(t), 'missing')
    const line = await failure(fixture, join(missing, 'socket'))
    assert.ok(line.startsWith(`plenum: -listen: the folder ${missing} for the socket`), line)
    assert.match(line, / does not exist: make it /)
  })

  test('a port in use is a clear error', async (t) => {
    const fixture = await openServerFixture(t)
    const plenum = await fixture.start()
    assert.match(await failure(fixture, plenum.listen), /^plenum: .*EADDRINUSE/)
    const port = await freePort()
    const args = ['-origin', '*', '-dburl', fixture.db.url, '-listen', `127.0.0.1:${port}`]
    const run = await runPlenum([...args, '-adminlisten', plenum.listen])
    assert.equal(run.code, 1)
    assert.match(run.stderr, /EADDRINUSE/)
    await serves(fixture, plenum)
  })

  test('with -adminlisten status and health are served there and nowhere else, and meetings are not', async (t) => {
    const fixture = await openServerFixture(t)
    const admin = join(await folder(t), 'admin')
    const plenum = await fixture.start({ flags: ['-adminlisten', admin], readyAt: admin })
    for (const path of ['/__meetingstatus', '/livez', '/readyz', '/healthz']) {
      assert.equal((await plenum.get(path)).status, 404, path)
      assert.equal((await fetchFrom(admin, path)).status, 200, path)
    }
    await serves(fixture, plenum)
    const meeting = await gather(fixture.db.sql, { socketUrl: (path) => `ws+unix://${admin}:${path}` }, 1)
    // The admin listener knows no upgrades: it answers as to any request for a page that it lacks.
    await assert.rejects(meeting.connect(0), new UpgradeRefused(404))
  })

  test('-profilelisten serves profiles that Chrome DevTools opens, and -listen does not', async (t) => {
    const fixture = await openServerFixture(t)
    const profiles = `127.0.0.1:${await freePort()}`
    const plenum = await fixture.start({
      flags: ['-profilelisten', profiles],
      ...(isDeno ? { runtimeFlags: denoPermissions.map(withInspector) } : {}),
    })
    const cpu = await fetchFrom(profiles, '/debug/pprof/profile?seconds=1')
    assert.equal(cpu.status, 200, cpu.body)
    assert.match(String(cpu.headers['content-disposition']), /\.cpuprofile"/)
    const profile = JSON.parse(cpu.body) as Record<string, unknown>
    const { nodes: calls, samples, timeDeltas, startTime, endTime } = profile
    assert.ok(Array.isArray(calls) && Array.isArray(samples) && Array.isArray(timeDeltas))
    assert.equal(samples.length, timeDeltas.length)
    const [top] = calls as { id: number; callFrame: { functionName: string } }[]
    assert.equal(top?.callFrame.functionName, '(root)')
    assert.ok(Number(endTime) - Number(startTime) > 900_000, 'microseconds of a second')

    const heap = await fetchFrom(profiles, '/debug/pprof/heap')
    assert.equal(heap.status, 200, heap.body)
    assert.match(String(heap.headers['content-disposition']), /\.heapsnapshot"/)
    const { snapshot, nodes, edges, strings } = JSON.parse(heap.body) as {
      snapshot: { meta: { node_fields: string[]; edge_fields: string[] }; node_count: number }
      nodes: number[]
      edges: number[]
      strings: string[]
    }
    assert.equal(nodes.length, snapshot.node_count * snapshot.meta.node_fields.length)
    assert.equal(edges.length % snapshot.meta.edge_fields.length, 0)
    assert.ok(strings.length > 1000)
    for (const seconds of ['0', '-1', 'x', '301'])
      assert.equal((await fetchFrom(profiles, `/debug/pprof/profile?seconds=${seconds}`)).status, 400)
    assert.equal((await plenum.get('/debug/pprof/heap')).status, 404)
    await serves(fixture, plenum)
  })

  test(
    'without the permission for profiles Deno says which one it lacks',
    { skip: isDeno ? false : 'they are about Deno' },
    async (t) => {
      const fixture = await openServerFixture(t)
      const profiles = `127.0.0.1:${await freePort()}`
      await fixture.start({ flags: ['-profilelisten', profiles] })
      const { status, body } = await fetchFrom(profiles, '/debug/pprof/heap')
      assert.equal(status, 501)
      assert.match(body, /^this runtime cannot do that: .*"inspector"/)
    },
  )

  test('a socket that systemd passes is used in place of -listen', async (t) => {
    const fixture = await openServerFixture(t)
    const held = await holdTransaction(t)
    const listen = `127.0.0.1:${await freePort()}`
    const plenum = await fixture.start({ passedSockets: [held.descriptor], listen, ready: false })
    await untilServing(held)
    await assert.rejects(fetchFrom(listen, '/livez'), /ECONNREFUSED/)
    const target = { socketUrl: (path: string) => `ws://${held.address}${path}` }
    await settle(await (await gather(fixture.db.sql, target, 1)).enter(0))
    assert.equal(await plenum.stop(), 0)
  })

  test('where the system is to choose a port, the log has the one that it chose, of each listener', async (t) => {
    const fixture = await openServerFixture(t)
    const anyPort = '127.0.0.1:0'
    const plenum = await fixture.start({
      listen: anyPort,
      flags: ['-adminlisten', anyPort, '-profilelisten', anyPort],
      runtimeFlags: isDeno ? denoPermissions.map(withInspector) : [],
      ready: false,
    })
    const started = await plenum.logged(({ event }) => event === 'started', 20_000)
    const [listen, admin, profile] = ['listen', 'adminlisten', 'profilelisten'].map((name) =>
      String(started[name]),
    )
    const member = { socketUrl: (path: string) => `ws://${listen}${path}` }
    const answer = async (at = '', path = '/livez'): Promise<number> => (await fetchFrom(at, path)).status
    assert.deepEqual([await answer(listen), await answer(admin)], [404, 200])
    assert.equal(await answer(profile, '/'), 200)
    await until('it serves', async () => (await answer(admin, '/readyz')) === 200)
    await settle(await (await gather(fixture.db.sql, member, 1)).enter(0))
    const { code, stderr } = await runPlenum(['health', '-listen', anyPort])
    assert.equal(code, 1)
    assert.match(stderr, /^no answer: with -listen 127\.0\.0\.1:0 the system chooses a port: .* "started"/)
  })

  test('a listener on all addresses, or at a path, is logged as it is; one that is not open is not', async (t) => {
    const fixture = await openServerFixture(t)
    const path = join(await folder(t), 'plenum')
    const startedAt = async (listen: string): Promise<unknown[]> => {
      const plenum = await fixture.start({ listen, ready: false })
      const started = await plenum.logged(({ event }) => event === 'started', 20_000)
      assert.equal(await plenum.stop(), 0)
      return ['listen', 'adminlisten', 'profilelisten'].map((name) => started[name])
    }
    assert.deepEqual(await startedAt(path), [path, undefined, undefined])
    const [everywhere, ...others] = await startedAt(':0')
    assert.match(String(everywhere), /^(\[::\]|0\.0\.0\.0):[1-9]\d*$/)
    assert.deepEqual(others, [undefined, undefined])
  })

  test('all sockets that systemd passes are served, each with what its name says', async (t) => {
    const fixture = await openServerFixture(t)
    const places = await folder(t)
    const [tcp, unix, admin] = [
      await holdTransaction(t),
      await holdTransaction(t, join(places, 'plenum')),
      await holdTransaction(t, join(places, 'admin')),
    ]
    const plenum = await fixture.start({
      passedSockets: [tcp.descriptor, admin.descriptor, unix.descriptor],
      passedNames: 'plenum.socket:admin:listen',
      ready: false,
    })
    for (const held of [tcp, unix]) held.release()
    await untilServing(admin)
    for (const held of [tcp, unix]) {
      assert.equal((await fetchFrom(held.address, '/readyz')).status, 404)
      const url = held === unix ? `ws+unix://${held.address}:` : `ws://${held.address}`
      const meeting = await gather(fixture.db.sql, { socketUrl: (path) => `${url}${path}` }, 1)
      await settle(await meeting.enter(0))
    }
    assert.equal((await fetchFrom(admin.address, '/__meetingstatus')).status, 200)
    const { listen, adminlisten } = await plenum.logged(({ event }) => event === 'started')
    // Under Deno nothing tells the path of a Unix socket that was passed.
    const path = (held: Held, descriptor: number): string =>
      isDeno ? `descriptor ${descriptor}` : `${held.address}.made`
    const suffix = ' (passed by systemd)'
    assert.equal(listen, `${tcp.address}${suffix}, ${path(unix, 5)}${suffix}`)
    assert.equal(adminlisten, `${path(admin, 4)}${suffix}`)
    assert.equal(await plenum.stop(), 0)
  })

  test('a passed socket that cannot be used ends the start with one line', async (t) => {
    const fixture = await openServerFixture(t)
    const { descriptor } = await holdTransaction(t)
    const end = async (passedSockets: number[], passedNames?: string): Promise<string> => {
      const args = ['-origin', '*', '-dburl', fixture.db.url]
      const options = { passedSockets, ...(passedNames === undefined ? {} : { passedNames }) }
      const { code, stderr } = await runPlenum(args, options)
      assert.notEqual(code, 0)
      return stderr
    }
    assert.match(
      await end([descriptor], 'status'),
      /^plenum: a socket passed by systemd has the name "status".*$/,
    )
    const file = openSync('/dev/null', 'r')
    t.after(() => closeSync(file))
    assert.match(await end([descriptor, file]), /^plenum: .*descriptor 4\b.*$/)
    const connected = connect((await holdTransaction(t, join(await folder(t), 'socket'))).address)
    t.after(() => connected.destroy())
    await once(connected, 'connect')
    assert.match(
      await end([fdOf(connected)]),
      /^plenum: -listen: the socket that systemd passed as descriptor 3 cannot be .*$/,
    )
  })

  test('a socket that was passed to another process is left alone', async (t) => {
    const fixture = await openServerFixture(t)
    await serves(fixture, await fixture.start({ env: { LISTEN_FDS: '1', LISTEN_PID: '1' } }))
  })
})

suite('database address', { concurrency: 4 }, () => {
  const forms = {
    'a URL over TCP': ({ url }) => ({ database: url }),
    'a URL of a Unix socket': ({ name, port, folder }) => ({
      database: `postgres://postgres@/${name}?host=${encodeURIComponent(folder)}&port=${port}`,
    }),
    'keywords of a Unix socket': ({ name, port, folder }) => ({
      database: `host=${folder} port=${port} user=postgres dbname=${name}`,
    }),
    'keywords over TCP': ({ name, port, password }) => ({
      database: `host=127.0.0.1 port=${port} user=postgres dbname=${name} password='${password}' sslmode=disable`,
    }),
    'the PG* environment alone': ({ name, port, password }) => ({
      database: 'postgres://',
      env: {
        PGHOST: '127.0.0.1',
        PGPORT: port,
        PGUSER: 'postgres',
        PGPASSWORD: password,
        PGDATABASE: name,
        PGSSLMODE: 'disable',
      },
    }),
    'a URL whose password is in the environment': ({ url, password }) => ({
      database: url.replace(`:${password}@`, '@'),
      env: { PGPASSWORD: password },
    }),
  } satisfies Record<
    string,
    (place: { url: string; name: string; port: string; password: string; folder: string }) => {
      database: string
      env?: Record<string, string>
    }
  >

  for (const [what, form] of Object.entries(forms))
    test(`the database is reached by ${what}`, async (t) => {
      const fixture = await openServerFixture(t)
      const { sql, name, url } = fixture.db
      const [setting] = await sql<{ folder: string }[]>`
        select current_setting('unix_socket_directories') folder`
      const { port, password } = new URL(url)
      const plenum = await fixture.start(form({ url, name, port, password, folder: setting?.folder ?? '' }))
      await serves(fixture, plenum)
      const [sessions] = await sql<{ plenum: number; tcp: number }[]>`
        select count(*)::int plenum, count(client_addr)::int tcp from pg_stat_activity
        where datname = current_database() and application_name = 'plenum'`
      assert.ok(sessions && sessions.plenum > 0)
      assert.equal(sessions.tcp, what.includes('Unix') ? 0 : sessions.plenum)
    })

  test('however much there is to do, there are at most 10 connections', async (t) => {
    const fixture = await openServerFixture(t)
    const { sql } = fixture.db
    const plenum = await fixture.start()
    let most = 0
    let watching = true
    const watch = (async () => {
      while (watching) {
        const [row] = await sql<{ n: number }[]>`
          select count(*)::int n from pg_stat_activity
          where datname = current_database() and application_name = 'plenum'`
        most = Math.max(most, row?.n ?? 0)
      }
    })()
    const meetings = await Promise.all(Array.from({ length: 15 }, () => gather(sql, plenum, 4)))
    await Promise.all(
      meetings.map(async (meeting) => {
        const members = await meeting.enterAll(0, 1, 2, 3)
        for (let n = 0; n < 10; n++) for (const member of members) member.say(`line ${n}`)
        await settle(members[0])
      }),
    )
    watching = false
    await watch
    assert.ok(most <= 10 && most > 2, `${most} connections`)
  })
})
