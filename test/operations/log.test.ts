import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { doors } from '../../src/doors.ts'
import { serverEvents } from '../../src/edge/events.ts'
import { gather, settle } from '../support/meeting-fixture.ts'
import type { MeetingFixture } from '../support/meeting-fixture.ts'
import { openServerFixture } from '../support/server-fixture.ts'
import type { ServerFixtureOptions } from '../support/server-fixture.ts'
import { builtBundle, currentRuntime, fetchFrom, runPlenum } from '../support/server.ts'
import type { Plenum } from '../support/server.ts'
import { until } from '../support/until.ts'

const notOnNode = currentRuntime() !== 'node' && 'what is left to terminals is of Node'

/** A member comes in and leaves, and a stranger is turned away. */
async function bustle(
  t: TestContext,
  options: ServerFixtureOptions,
): Promise<{ plenum: Plenum; meeting: MeetingFixture }> {
  const fixture = await openServerFixture(t, options)
  const plenum = await fixture.start()
  const meeting = await gather(fixture.db.sql, plenum, 1)
  const member = await meeting.enter(0)
  await member.close()
  await plenum.get(`/meeting/${meeting.id}/${meeting.key(0)}x`)
  await plenum.get(`/ws/meeting/${meeting.id}/${meeting.key(0)}/0`)
  await until('he has left', async () => (await meeting.texts()).length === 2)
  await plenum.stop()
  for (const line of plenum.stderr) assert.ok(!line.includes(meeting.key(0)), line)
  return { plenum, meeting }
}

async function lostEntries(plenum: Plenum): Promise<number> {
  const { body } = await plenum.get('/metrics')
  return Number(/^plenum_log_entries_lost_total (\d+)$/m.exec(body)?.[1])
}

suite('log', { concurrency: 3 }, () => {
  test('it is one JSON object a line where it goes to a file or a pipe', async (t) => {
    const { plenum, meeting } = await bustle(t, {})
    assert.equal(plenum.logs.length, plenum.stderr.length)
    for (const { time } of plenum.logs) assert.match(String(time), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
    const [entered, ended] = ['entered', 'ended'].map((event) =>
      plenum.logs.find((one) => one['event'] === event),
    )
    assert.deepEqual(
      { ...entered, time: '', request: '' },
      {
        time: '',
        level: 'info',
        event: 'entered',
        meeting: meeting.id,
        member: meeting.user(0),
        address: '127.0.0.1',
        request: '',
        arrival: 'joined',
      },
    )
    assert.match(String(entered?.['request']), /^[\w-]{8}$/)
    assert.equal(entered?.['request'], ended?.['request'])
    assert.ok(plenum.logs.every(({ level }) => level !== 'debug'))
  })

  test('for journald each line begins with its priority, and is words', async (t) => {
    const { plenum, meeting } = await bustle(t, { stderrTo: 'journald' })
    for (const line of plenum.stderr) assert.match(line, /^<[346]>[a-zA-Z]+( |$)/)
    const entered = plenum.stderr.find((line) => line.includes('entered'))
    assert.match(
      entered ?? '',
      new RegExp(
        `^<6>entered meeting=${meeting.id} member=${meeting.user(0)} address=127.0.0.1 request=[\\w-]{8} arrival=joined$`,
      ),
    )
    assert.match(plenum.stderr[0] ?? '', /^<6>started version=\S+ runtime="(node|deno) /)
  })

  test('for journald why it ends is one line, and an error', async (t) => {
    const stderrTo = 'journald'
    const usage = await runPlenum(['-origin', '*', '-rate', 'fast'], { stderrTo })
    assert.equal(usage.code, 2)
    assert.match(usage.stderr, /^<3>plenum: -rate takes .*$/)
    const fixture = await openServerFixture(t)
    await fixture.db.sql`drop table membership_meetingmessagelog`
    const failure = await runPlenum(['-origin', '*', '-dburl', fixture.db.url, '-listen', '127.0.0.1:0'], {
      stderrTo,
    })
    assert.equal(failure.code, 1)
    assert.match(failure.stderr, /^<3>plenum: .*membership_meetingmessagelog$/m)
  })

  test('on a terminal it is words with the time', async (t) => {
    const fixture = await openServerFixture(t, { stderrTo: 'a terminal' })
    const plenum = await fixture.start()
    await plenum.stop()
    // A terminal has one stream.
    assert.match(plenum.stdout[0] ?? '', /^\d{4}-\d\d-\d\dT[\d:.]+Z info  started version=/)
  })

  test('what ends when its terminal is gone ends with its exit status', { skip: notOnNode }, async (t) => {
    const fixture = await openServerFixture(t, {})
    const folder = await mkdtemp(join(tmpdir(), 'plenum-terminal-'))
    t.after(() => rm(folder, { recursive: true }))
    const [pid, status] = ['pid', 'status'].map((name) => join(folder, name))
    const terminal = spawn('script', [
      '-qefc',
      `trap '' HUP; '${process.execPath}' '${builtBundle}' -origin http://localhost -dburl '${fixture.db.url}' ` +
        `-listen '${folder}/socket' & echo $! >'${pid}'; wait $!; echo $? >'${status}'`,
      '/dev/null',
    ])
    await until(
      'it serves',
      async () => (await fetchFrom(`${folder}/socket`, '/readyz').catch(() => null))?.status === 200,
    )
    terminal.kill('SIGKILL')
    await once(terminal, 'close')
    const read = (path: string | undefined) => readFileSync(path ?? '', 'utf8')
    process.kill(Number(read(pid)), 'SIGTERM')
    await until('it has ended', () => existsSync(status ?? '') && read(status) !== '')
    assert.equal(read(status), '0\n')
  })

  test('-logformat overrules what would suit, and -loglevel says from where on', async (t) => {
    const { plenum: loud, meeting } = await bustle(t, {
      flags: ['-logformat', 'plain', '-loglevel', 'debug'],
    })
    const requests = loud.stderr.filter((line) => line.includes(' debug request '))
    assert.match(
      requests.join('\n'),
      new RegExp(`method=GET path=/meeting/${meeting.id}/… status=404 ms=\\d+ `),
    )
    assert.match(
      requests.join('\n'),
      new RegExp(`method=GET path=/ws/meeting/${meeting.id}/…/0 status=426 ms=`),
    )
    const { plenum: quiet } = await bustle(t, { flags: ['-loglevel', 'warn'] })
    assert.deepEqual(quiet.stderr, [])
    const { plenum: wary } = await bustle(t, { flags: ['-loglevel', 'warn'], origin: 'https://one.example' })
    assert.deepEqual(wary.stderr, [])
  })

  test('behind a proxy requests go by the id that it gives them; else nobody can choose one', async (t) => {
    for (const behind of [true, false]) {
      const fixture = await openServerFixture(t, { flags: behind ? ['-behindproxy'] : [] })
      const plenum = await fixture.start()
      const meeting = await gather(fixture.db.sql, plenum, 1)
      const member = await meeting.enter(0, { headers: { 'x-request-id': 'f00d' } })
      const { request } = await plenum.logged(({ event }) => event === 'entered')
      assert.equal(request === 'f00d', behind)
      await member.close()
      for (const bad of ['a b', 'x'.repeat(65), 'ä', '"'])
        await (await meeting.enter(0, { headers: { 'x-request-id': bad } })).close()
      for (const { event, request } of plenum.logs)
        if (event === 'entered') assert.match(String(request), /^([\w-]{8}|f00d)$/)
    }
  })

  test('the meetings go on when the reader of the log goes away', async (t) => {
    const fixture = await openServerFixture(t, { flags: ['-rate', '0', '-loglevel', 'debug'] })
    const plenum = await fixture.start()
    const meeting = await gather(fixture.db.sql, plenum, 2)
    plenum.ignoreLog('close')
    const [chair, member] = await meeting.enterAll(0, 1)
    chair.say('is anybody there?')
    await settle(chair, member)
    assert.ok((await lostEntries(plenum)) > 0)
    assert.equal(await plenum.stop(), 0)
  })

  test('while its reader does not read they go on, and what is missing is said when it reads again', async (t) => {
    const fixture = await openServerFixture(t, { flags: ['-rate', '0', '-loglevel', 'debug'] })
    const plenum = await fixture.start()
    const meeting = await gather(fixture.db.sql, plenum, 1)
    const goOn = plenum.ignoreLog('pause')
    const path = '/path'.repeat(1500)
    let asked = 0
    while ((await lostEntries(plenum)) < 20 && asked < 1000) {
      await Promise.all(Array.from({ length: 20 }, () => plenum.get(path)))
      asked += 20
    }
    await settle(await meeting.enter(0))
    assert.ok(asked < 1000, 'what waits for the reader has no bound')
    goOn()
    const { lost, level } = await plenum.logged(({ event }) => event === 'logIncomplete')
    assert.equal(level, 'warn')
    assert.equal(lost, await lostEntries(plenum))
    const requests = (): number => plenum.logs.filter((one) => one['path'] === path).length
    await until('all else is there', () => requests() >= asked - lost)
    assert.ok(requests() <= asked)
    assert.equal(await plenum.stop(), 0)
  })

  test('a full disk for its log ends no server', async (t) => {
    const fixture = await openServerFixture(t, { redirect: '2>/dev/full' })
    const plenum = await fixture.start()
    const meeting = await gather(fixture.db.sql, plenum, 1)
    await settle(await meeting.enter(0))
    assert.ok((await lostEntries(plenum)) >= 3)
  })

  test('a command whose reader has gone says nothing; one whose answer cannot be stored says so', async () => {
    const gone = await runPlenum(['help'], { redirect: '| (exec 0<&-; sleep 2)' })
    assert.equal(gone.stderr, '')
    const full = await runPlenum(['version'], { redirect: '>/dev/full' })
    assert.deepEqual(full, {
      code: 1,
      stdout: '',
      stderr: 'plenum: the answer cannot be written: ENOSPC',
    })
  })

  test('every event is explained, and no other', () => {
    const read = (path: string): string =>
      readFileSync(fileURLToPath(new URL(`../../${path}`, import.meta.url)), 'utf8')
    const events = [serverEvents, ...doors.map(({ events }) => events)].flatMap((table) => Object.keys(table))
    const section = read('docs/operations.md').split('### Events')[1] ?? ''
    const [list = ''] = section.split('\n#')
    const names = Array.from(list.matchAll(/^- (`[^(]*)\(/gm), ([, entry = '']) => entry)
    const explained = names.flatMap((entry) => Array.from(entry.matchAll(/`(\w+)`/g), ([, event]) => event))
    assert.deepEqual(new Set(explained), new Set(events))
    assert.equal(explained.length, events.length)
  })
})
