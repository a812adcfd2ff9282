import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, unlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join as joinPath } from 'node:path'
import { suite, test } from 'node:test'
import type { TestContext } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { createDatabase } from '../support/database.ts'
import { gather, settle } from '../support/meeting-fixture.ts'
import type { MeetingFixture } from '../support/meeting-fixture.ts'
import type { Member } from '../support/meeting-client.ts'
import { currentRuntime, denoPermissions, fetchFrom, runPlenum, startPlenum } from '../support/server.ts'
import type { LogLine, Plenum } from '../support/server.ts'
import { freePort } from '../../demo/port.ts'
import { connect } from 'node:net'
import { once } from 'node:events'
import { until } from '../support/until.ts'
import { patience } from '../support/patience.ts'

const ours = 'https://a.example'
const other = 'https://b.example'
const isDeno = currentRuntime() === 'deno'

/** A server whose settings are in a file, and a meeting on it. */
class ModelRunner {
  readonly plenum: Plenum
  readonly file: string
  readonly meeting: MeetingFixture

  constructor(plenum: Plenum, file: string, meeting: MeetingFixture) {
    this.plenum = plenum
    this.file = file
    this.meeting = meeting
  }

  /** Gives what the log says of a reload with these settings. */
  async reload(...lines: string[]): Promise<LogLine[]> {
    await writeFile(this.file, lines.join('\n'))
    return this.signal()
  }

  async signal(): Promise<LogLine[]> {
    const from = this.plenum.logs.length
    const said = (): LogLine[] =>
      this.plenum.logs
        .slice(from)
        .filter(({ event }) => /reload|restartNeeded/i.test(String(event)))
        .map(({ time: _time, ...entry }) => entry)
    this.plenum.signal('SIGHUP')
    await until('the log says what came of it', () => said().length > 0)
    // The second line, if there is one, is written in the same turn.
    await wait(50)
    return said()
  }

  enter(index: number, origin?: string): Promise<Member> {
    return this.meeting.enter(index, origin === undefined ? {} : { headers: { origin } })
  }
}

async function open(
  t: TestContext,
  lines: string[],
  options: { flags?: string[]; size?: number } = {},
): Promise<ModelRunner> {
  const folder = await mkdtemp(joinPath(tmpdir(), 'plenum-reload-'))
  const db = await createDatabase()
  const file = joinPath(folder, 'plenum')
  const listen = `127.0.0.1:${await freePort()}`
  const all = [`PLENUM_DBURL=${db.url}`, `PLENUM_LISTEN=${listen}`, 'PLENUM_POLL=0.5', ...lines]
  await writeFile(file, all.join('\n'))
  const plenum = await startPlenum({
    database: db.url,
    listen,
    bare: true,
    flags: ['-config', file, ...(options.flags ?? [])],
  })
  t.after(async () => {
    await plenum.kill()
    await db.drop()
    await rm(folder, { recursive: true, force: true })
  })
  const meeting = await gather(db.sql, plenum, options.size ?? 4)
  return new ModelRunner(plenum, file, meeting)
}

/** The lines of the stage's file that name its database and address. */
async function kept({ file }: ModelRunner): Promise<string[]> {
  return (await readFile(file, 'utf8'))
    .split('\n')
    .filter((line) => /^PLENUM_(DBURL|LISTEN|POLL)=/.test(line))
}

suite('reload', { concurrency: 3 }, () => {
  test('an origin that is added may come in, one that is taken away may not, and who is in stays', async (t) => {
    const stage = await open(t, [`PLENUM_ORIGIN=${ours}`])
    const rest = await kept(stage)
    const chair = await stage.enter(0, ours)
    await assert.rejects(stage.enter(1, other), /403/)
    assert.deepEqual(await stage.reload(...rest, `PLENUM_ORIGIN="${ours},${other}"`), [
      { level: 'info', event: 'reloaded', settings: { origin: `${ours},${other}` } },
    ])
    const member = await stage.enter(1, other)
    await settle(chair, member)
    assert.deepEqual(await stage.reload(...rest, `PLENUM_ORIGIN=${other}`), [
      { level: 'info', event: 'reloaded', settings: { origin: other } },
    ])
    await assert.rejects(stage.enter(2, ours), /403/)
    await stage.enter(2, other)
    await settle(chair, member)
    assert.deepEqual(await stage.signal(), [{ level: 'info', event: 'reloaded', settings: {} }])
  })

  test('a limit holds for those who come, a rate for all, and what is left out has its default again', async (t) => {
    const stage = await open(t, ['PLENUM_ORIGIN=*', 'PLENUM_RATE=0.001'])
    const rest = [...(await kept(stage)), 'PLENUM_ORIGIN=*']
    const [chair, member] = await stage.meeting.enterAll(0, 1)
    const flood = (): void => {
      for (let n = 0; n < 40; n++) member.send({ type: 'nonsense' })
    }
    flood()
    await member.next('error', ({ msg }) => /too (fast|many)/i.test(msg))
    const said = await stage.reload(...rest, 'PLENUM_RATE=0', 'PLENUM_MAXCONNECTIONS=2')
    assert.deepEqual(said, [
      { level: 'info', event: 'reloaded', settings: { rate: '0', maxconnections: '2' } },
    ])
    const from = member.frames.length
    flood()
    await settle(member, chair)
    assert.ok(
      !member.frames
        .slice(from)
        .some((frame) => frame.type === 'error' && /too (fast|many)/i.test(frame.msg)),
    )
    await assert.rejects(stage.enter(2), /503/)
    await settle(chair, member)
    assert.deepEqual(await stage.reload(...rest), [
      { level: 'info', event: 'reloaded', settings: { rate: '5', maxconnections: '20000' } },
    ])
    await settle(await stage.enter(2), chair)
  })

  test('what may wait for a request, and for how long', async (t) => {
    const stage = await open(t, ['PLENUM_ORIGIN=*', 'PLENUM_REQUESTTIMEOUT=60'])
    const rest = [...(await kept(stage)), 'PLENUM_ORIGIN=*']
    const chair = await stage.enter(0)
    const silent = connect(stage.plenum.port, '127.0.0.1')
    silent.on('error', () => {}).resume()
    await once(silent, 'connect')
    await wait(1500)
    assert.equal(silent.destroyed, false)
    const ended = once(silent, 'close', { signal: AbortSignal.timeout(patience(5000)) })
    await stage.reload(...rest, 'PLENUM_REQUESTTIMEOUT=1', 'PLENUM_MAXPENDING=1')
    await ended
    const first = connect(stage.plenum.port, '127.0.0.1')
    first.on('error', () => {}).resume()
    await once(first, 'connect')
    const cut = once(first, 'close', { signal: AbortSignal.timeout(patience(700)) })
    await fetchFrom(stage.plenum.listen, '/livez')
    await cut
    await settle(chair)
  })

  test('a file with a mistake changes nothing, and the log names it', async (t) => {
    const stage = await open(t, [`PLENUM_ORIGIN=${ours}`])
    const rest = await kept(stage)
    const chair = await stage.enter(0, ours)
    for (const [lines, pattern] of [
      [
        [`PLENUM_ORIGIN=${other}`, 'PLENUM_RATE=fast'],
        /^-rate \(from PLENUM_RATE in \S+\) takes a number .*; nothing is changed$/,
      ],
      [[`PLENUM_ORIGIN=${other}`, 's3cret'], /: line 5 is not NAME=value; nothing is changed$/],
      [
        [`PLENUM_ORIGIN=${other}`, 'PLENUM_SECRET=s3cret'],
        /: line 5: PLENUM_SECRET is no variable .*; nothing is changed$/,
      ],
      [[`PLENUM_ORIGIN="${other}`], /: line 4 has a quote that is not closed/],
      [[], /^-origin is required/],
    ] as const) {
      const [line, ...more] = await stage.reload(...rest, ...lines)
      assert.equal(more.length, 0)
      assert.equal(line?.['event'], 'reloadFailed')
      assert.equal(line?.['level'], 'error')
      assert.match(String(line?.['error']), pattern)
      assert.ok(!JSON.stringify(line).includes('s3cret'))
      await assert.rejects(stage.enter(1, other), /403/)
    }
    await unlink(stage.file)
    const [line] = await stage.signal()
    assert.match(
      String(line?.['error']),
      /^-config takes .* cannot be read: it does not exist \(ENOENT\); nothing is changed$/,
    )
    await settle(chair)
    await settle(await stage.enter(1, ours), chair)
    assert.deepEqual(await stage.reload(...rest, `PLENUM_ORIGIN=${other}`), [
      { level: 'info', event: 'reloaded', settings: { origin: other } },
    ])
  })

  test('settings that wait for a start are named, each time, and no value of them', async (t) => {
    const stage = await open(t, ['PLENUM_ORIGIN=*'])
    const rest = await kept(stage)
    const changed = [
      ...rest.filter((line) => !line.startsWith('PLENUM_DBURL')),
      'PLENUM_ORIGIN=*',
      'PLENUM_MAXPERADDRESS=7',
      'PLENUM_GRACE=3',
      'PLENUM_DBURL=host=elsewhere password=s3cret',
    ]
    const waits = {
      level: 'warn',
      event: 'restartNeeded',
      settings: ['dburl', 'grace'],
      reason: 'takes effect at the next start',
    }
    const said = await stage.reload(...changed)
    assert.deepEqual(said, [{ level: 'info', event: 'reloaded', settings: { maxperaddress: '7' } }, waits])
    assert.deepEqual(await stage.signal(), [{ level: 'info', event: 'reloaded', settings: {} }, waits])
    assert.ok(!stage.plenum.stderr.join().includes('s3cret'))
    await settle(await stage.enter(0))
  })

  test('a flag goes before the environment, and that before the file, also at a reload', async (t) => {
    const stage = await open(t, [`PLENUM_ORIGIN=${ours}`, 'PLENUM_RATE=0'], { flags: ['-origin', other] })
    const rest = await kept(stage)
    await assert.rejects(stage.enter(0, ours), /403/)
    const said = await stage.reload(...rest, 'PLENUM_ORIGIN=*', 'PLENUM_RATE=1')
    assert.deepEqual(said, [{ level: 'info', event: 'reloaded', settings: { rate: '1' } }])
    await assert.rejects(stage.enter(0, ours), /403/)
    await settle(await stage.enter(0, other))
  })

  test('without a file or a certificate there is nothing to read, and the server goes on', async (t) => {
    const db = await createDatabase()
    const plenum = await startPlenum({ database: db.url })
    t.after(async () => {
      await plenum.kill()
      await db.drop()
    })
    const meeting = await gather(db.sql, plenum, 1)
    const chair = await meeting.enter(0)
    for (let times = 1; times <= 3; times++) {
      plenum.signal('SIGHUP')
      await until(
        'it says so',
        () => plenum.logs.filter(({ event }) => event === 'nothingToReload').length === times,
      )
    }
    await settle(chair)
    assert.equal(await plenum.stop(), 0)
  })

  test('reloads without end, under talk, disturb nobody', async (t) => {
    const stage = await open(t, ['PLENUM_ORIGIN=*', 'PLENUM_RATE=0'])
    const [chair, member] = await stage.meeting.enterAll(0, 1)
    for (let n = 0; n < 60; n++) {
      stage.plenum.signal('SIGHUP')
      chair.say(`line ${n}`)
      if (n % 10 === 0) await settle(chair, member)
    }
    await settle(chair, member)
    assert.deepEqual(
      member.texts().filter((text) => text.startsWith('line ')),
      Array.from({ length: 60 }, (_, n) => `line ${n}`),
    )
    assert.ok(!stage.plenum.logs.some(({ level }) => level === 'error'))
  })

  test('all commands take the file, and the example of deploy/ is one', async () => {
    const example = fileURLToPath(new URL('../../deploy/plenum.default', import.meta.url))
    const listen = `127.0.0.1:${await freePort()}`
    const asked = await runPlenum(['health', '-config', example])
    assert.equal(asked.code, 1, asked.stderr)
    assert.match(asked.stderr, /no answer: .*\/run\/plenum\/socket/)
    const elsewhere = await runPlenum(['health', '-listen', listen], { env: { PLENUM_CONFIG: example } })
    assert.match(elsewhere.stderr, /no answer: .*ECONNREFUSED/)
    const commented = (await readFile(example, 'utf8')).replace(/^#(?=PLENUM_)/gm, '')
    const folder = await mkdtemp(joinPath(tmpdir(), 'plenum-reload-'))
    await writeFile(joinPath(folder, 'all'), commented)
    const whole = await runPlenum(['check', '-config', joinPath(folder, 'all')])
    assert.equal(whole.code, 2)
    assert.match(whole.stderr, /^plenum: -tlscert: \/etc\/plenum\/fullchain.pem cannot be read/)
    await rm(folder, { recursive: true })
  })

  test(
    'Deno without the permission to read says so',
    { skip: isDeno ? false : 'they are about Deno' },
    async () => {
      const example = fileURLToPath(new URL('../../deploy/plenum.default', import.meta.url))
      const { code, stderr } = await runPlenum(['check', '-config', example], {
        runtimeFlags: denoPermissions.filter((one) => one !== '--allow-read'),
      })
      assert.equal(code, 2)
      assert.match(
        stderr,
        /^plenum: -config takes .* cannot be read: Requires read access to .* the --allow-read flag$/m,
      )
    },
  )
})
