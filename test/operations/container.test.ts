import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { freePort } from '../../demo/port.ts'
import { createDatabase } from '../support/database.ts'
import type { Database } from '../support/database.ts'
import { gather } from '../support/meeting-fixture.ts'
import { confined, limits, Podman } from '../support/podman.ts'
import { currentRuntime, denoPermissions } from '../support/server.ts'
import type { Plenum } from '../support/server.ts'
import { commandOf } from '../support/systemd-unit.ts'
import { until } from '../support/until.ts'

const image = 'localhost/plenum:latest'
const found = await Podman.find()
const skip = found.lack ?? false
const file = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url))

type ImageConfig = {
  User: string
  Entrypoint: string[]
  Cmd: string[]
  Env: string[]
  ExposedPorts: object
  StopSignal: string
}

async function openDatabase(t: TestContext): Promise<Database> {
  const db = await createDatabase()
  t.after(() => db.drop())
  return db
}

/** The container becomes healthy, a meeting is held in it, and it ends as it should when podman stops it. */
async function serves(
  podman: Podman,
  name: string,
  plenum: Plenum,
  db: Database,
  healthy = async (): Promise<boolean> => (await podman.ask('healthcheck', 'run', name)).code === 0,
): Promise<void> {
  await until('it is healthy', () => plenum.hasExited || healthy(), 20_000)
  assert.ok(!plenum.hasExited, plenum.stderr.join('\n'))
  const meeting = await gather(db.sql, plenum, 2, { state: 1, allowrejoin: true })
  const [chair, member] = await meeting.enterAll(0, 1)
  member.say('from a container')
  await chair.line('from a container')
  assert.ok((await meeting.texts()).includes('from a container'))
  await podman.must('stop', name)
  assert.deepEqual(await plenum.exited, { code: 0, signal: null })
  await member.close()
  await chair.close()
}

suite('in a container', () => {
  before(() => found.podman?.build(image, currentRuntime()))
  after(() => found.podman?.remove())

  test('the image adds one file to the runtime, and says how it is run', { skip }, async () => {
    const podman = found.podman!
    assert.deepEqual(await podman.filesBesidesBase(image), ['/plenum.js'])
    const [built, contained] = [
      await readFile(file('dist/plenum.js'), 'utf8'),
      await podman.file(image, 'plenum.js'),
    ]
    assert.ok(contained === built, 'the file in the image is not what "npm run build" makes')
    const [described] = JSON.parse(await podman.must('image', 'inspect', image)) as { Config: ImageConfig }[]
    const { User, Entrypoint, Cmd, ExposedPorts, StopSignal } = described!.Config
    assert.deepEqual(
      { User, Cmd, ExposedPorts, StopSignal },
      { User: '65532:65532', Cmd: ['serve'], ExposedPorts: { '8199/tcp': {} }, StopSignal: 'SIGTERM' },
    )
    const permissions = Entrypoint.filter((part) => part.startsWith('--allow-'))
    assert.deepEqual(permissions, currentRuntime() === 'deno' ? denoPermissions : [])
    const shell = await podman.ask('run', '--rm', '--network=none', ...limits, '--entrypoint=/bin/sh', image)
    assert.equal(shell.code, 127, shell.stderr)
  })

  test('it serves over TCP, whoever it runs as and with nothing to write to', { skip }, async (t) => {
    const podman = found.podman!
    const db = await openDatabase(t)
    const listen = `127.0.0.1:${await freePort()}`
    const plenum = podman.run(listen, [
      ...['--rm', '--name=tcp', '--network=host', ...limits, ...confined],
      ...['--read-only-tmpfs=false', '--user=40123:40123', '--passwd=false'],
      ...[`--env=PLENUM_LISTEN=${listen}`, `--env=PLENUM_DBURL=${db.url}`, '--env=PLENUM_ORIGIN=*'],
      image,
    ])
    t.after(() => podman.ask('rm', '--force', '--ignore', '--time=0', 'tcp'))
    await serves(podman, 'tcp', plenum, db)
  })

  test('it serves on a socket that systemd holds, as podman passes it on', { skip }, async (t) => {
    const podman = found.podman!
    const db = await openDatabase(t)
    const holder = createServer()
    t.after(() => holder.close())
    holder.listen(0, '127.0.0.1')
    await once(holder, 'listening')
    const listen = `127.0.0.1:${(holder.address() as { port: number }).port}`
    const { fd } = (holder as unknown as { _handle: { fd: number } })._handle
    const args = [
      ...['--rm', '--name=activated', '--network=host', ...limits, ...confined],
      ...[`--env=PLENUM_DBURL=${db.url}`, '--env=PLENUM_ORIGIN=*', image],
    ]
    const plenum = podman.run(listen, args, fd)
    holder.close() // else it would take half of the connections
    t.after(() => podman.ask('rm', '--force', '--ignore', '--time=0', 'activated'))
    // The image's health check asks at PLENUM_LISTEN, where nobody is.
    const ready = async (): Promise<boolean> =>
      (await plenum.get('/readyz').catch(() => null))?.status === 200
    await serves(podman, 'activated', plenum, db, ready)
  })

  test(
    'it serves over Unix sockets and without a network, by the command of its unit',
    { skip },
    async (t) => {
      const podman = found.podman!
      const db = await openDatabase(t)
      const folder = await mkdtemp(join(tmpdir(), 'plenum-run-'))
      await chmod(folder, 0o755)
      t.after(() => rm(folder, { recursive: true, force: true }))
      const unit = await readFile(file('deploy/plenum-podman.service'), 'utf8')
      const [install = '', ...preparation] = commandOf(unit, 'ExecStartPre')
      const ours = join(folder, 'plenum')
      execFileSync(
        install,
        preparation.map((part) => part.replace('/run/plenum', ours)),
      )

      const { port, username, password } = new URL(db.url)
      await forward(t, join(folder, '.s.PGSQL.5432'), Number(port))
      const settings = join(folder, 'settings')
      const example = (await readFile(file('deploy/plenum.default'), 'utf8')).replace('postgresqleu', db.name)
      await writeFile(settings, `${example}PGUSER=${username}\nPGPASSWORD=${password}\n`)

      const command = commandOf(unit, 'ExecStart')
      assert.deepEqual(command.slice(0, 2), ['/usr/bin/podman', 'run'])
      assert.equal(command.at(-1), image)
      const args = command
        .slice(2, -1)
        // So that it ends with this test, and asks for no more files than this machine gives.
        .filter((part) => part !== '--detach' && !part.startsWith('--ulimit='))
        .map((part) =>
          part
            .replace('=/run/plenum:', `=${ours}:`)
            .replace('=/var/run/postgresql:', `=${folder}:`)
            .replace('=/etc/default/plenum', `=${settings}`),
        )
      const plenum = podman.run(join(ours, 'socket'), [...args, ...limits, image])
      t.after(() => podman.ask('rm', '--force', '--ignore', '--time=0', 'plenum'))
      const isOpen = async (): Promise<boolean> =>
        (((await stat(plenum.listen).catch(() => null))?.mode ?? 0) & 0o777) === 0o660
      await until('the socket is open', async () => plenum.hasExited || (await isOpen()), 20_000)
      assert.ok(!plenum.hasExited, plenum.stderr.join('\n'))
      const { uid, gid } = await stat(plenum.listen)
      assert.deepEqual({ uid, gid }, { uid: 65532, gid: (await stat(ours)).gid })
      await serves(podman, 'plenum', plenum, db)
    },
  )
})

/** The tests' PostgreSQL lets nobody but itself reach its Unix socket. */
async function forward(t: TestContext, path: string, port: number): Promise<void> {
  const server = createServer((near) => {
    const far = connect(port, '127.0.0.1')
    for (const side of [near, far])
      side.on('error', () => {}).on('close', () => near.destroy() && far.destroy())
    near.pipe(far).pipe(near)
  })
  server.listen({ path, writableAll: true })
  await once(server, 'listening')
  t.after(() => server.close())
}
