import assert from 'node:assert/strict'
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { suite, test } from 'node:test'
import type { TestContext } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { WebSocket } from 'ws'
import { createDatabase } from '../support/database.ts'
import type { Database } from '../support/database.ts'
import { currentRuntime, denoPermissions, startPlenum } from '../support/server.ts'
import type { Plenum, PlenumOptions } from '../support/server.ts'
import { commandOf, readSection } from '../support/systemd-unit.ts'
import { until } from '../support/until.ts'

const deploy = fileURLToPath(new URL('../../deploy', import.meta.url))
/** Where distributions put podman's generator of units. */
const generator = ['/usr/libexec/podman/quadlet', '/usr/lib/podman/quadlet'].find((path) => existsSync(path))
/** What a quadlet's generator says without being told. */
const addedByQuadlet = [
  ...['--replace', '--rm', '--detach', '--pull=never'],
  ...['--sdnotify=conmon', '--cgroups=no-conmon', '--log-driver=passthrough'],
]

/** What becomes of a line below [Container]. One key that a generator does not know, and it makes no unit at all. */
function podmanArguments(key: string, value: string): string[] {
  switch (key) {
    case 'Image':
      return [value]
    case 'ContainerName':
      return [`--name=${value}`]
    case 'PodmanArgs':
      return value.split(' ')
    case 'Volume':
      return [`--volume=${value}`]
    case 'Network':
      return [`--network=${value}`]
    case 'DropCapability':
      return [`--cap-drop=${value}`]
    case 'ReadOnly':
      return value === 'yes' ? ['--read-only'] : []
    case 'NoNewPrivileges':
      return value === 'yes' ? ['--security-opt=no-new-privileges'] : []
    case 'RunInit':
      return value === 'yes' ? ['--init'] : []
    default:
      throw new Error(`podman 4.4 knows no ${key}, or this test does not`)
  }
}

const has = (program: string, ...args: string[]): boolean => spawnSync(program, args).status === 0

/** What systemd does with the messages of a service: it takes them, and closes what is passed to say so. */
const listener = `
import os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
while True:
    data, fds, flags, address = socket.recv_fds(s, 65536, 8)
    for fd in fds: os.close(fd)
    print(data.decode().replace('\\n', ' '), flush=True)
`

async function supervise(t: TestContext): Promise<{ socket: string; messages: string[] }> {
  const folder = await mkdtemp(join(tmpdir(), 'plenum-notify-'))
  const socket = join(folder, 'notify')
  const messages: string[] = []
  const child = spawn('python3', ['-c', listener, socket], { stdio: ['ignore', 'pipe', 'inherit'] })
  createInterface(child.stdout).on('line', (line) => messages.push(line))
  t.after(async () => {
    child.kill('SIGKILL')
    await rm(folder, { recursive: true, force: true })
  })
  await until('the supervisor listens', () => existsSync(socket))
  return { socket, messages }
}

/** What Deno needs besides to start another program. */
const notifyPermissions = [
  ...denoPermissions.map((one) => one.replace('--allow-env=', '--allow-env=NODE_V8_COVERAGE,')),
  '--allow-run=systemd-notify',
]

async function start(
  t: TestContext,
  env: Record<string, string>,
  database?: Database,
  options: Partial<PlenumOptions> = {},
): Promise<Plenum> {
  const db = database ?? (await createDatabase())
  const plenum = await startPlenum({
    database: db.url,
    env,
    ...options,
    ...(currentRuntime() === 'deno' ? { runtimeFlags: [...notifyPermissions] } : {}),
  })
  t.after(async () => {
    await plenum.kill()
    await db.drop()
  })
  return plenum
}

const cannotSpeak =
  !(has('systemd-notify', '--version') && has('python3', '--version')) &&
  'there is no systemd-notify, or no python3'

suite('under systemd', { concurrency: 3 }, () => {
  test(
    'it says that it is ready, how it stands, that it lives, and that it stops',
    { skip: cannotSpeak },
    async (t) => {
      const { socket, messages } = await supervise(t)
      const plenum = await start(t, { NOTIFY_SOCKET: socket, WATCHDOG_USEC: '600000' })
      const count = (word: string): number => messages.filter((message) => message.includes(word)).length
      await until('it is ready', () => count('READY=1') === 1)
      await until('it says what it does', () => count('STATUS=serving the meetings') === 1)
      await until('it lives', () => count('WATCHDOG=1') >= 3)
      // Halted it does not: then systemd starts it again.
      plenum.signal('SIGSTOP')
      await wait(500)
      const lived = count('WATCHDOG=1')
      await wait(1000)
      assert.equal(count('WATCHDOG=1'), lived)
      plenum.signal('SIGCONT')
      await until('it lives again', () => count('WATCHDOG=1') > lived)
      assert.equal(await plenum.stop(), 0)
      await until('it has said that it stops', () => count('STOPPING=1 STATUS=') === 1)
      assert.equal(messages.filter((message) => message.includes('STATUS=')).at(-1), 'STOPPING=1 STATUS=')
      assert.equal(count('READY=1'), 1)
    },
  )

  test('its status is that of its database too', { skip: cannotSpeak }, async (t) => {
    const { socket, messages } = await supervise(t)
    const db = await createDatabase()
    await start(t, { NOTIFY_SOCKET: socket }, db)
    const says = (text: string) => () =>
      messages.findLast((message) => message.startsWith('STATUS='))?.trim() === `STATUS=${text}`
    await until('it serves', says('serving the meetings'))
    await db.sql`alter table membership_meeting rename to gone`
    await until('it cannot read', says('the database does not answer'))
    await db.sql`alter table gone rename to membership_meeting`
    await until('it serves again', says('serving the meetings'))
  })

  test(
    'a standby whose chat cannot be read says both, and is no server of meetings after it',
    { skip: cannotSpeak },
    async (t) => {
      const db = await createDatabase()
      const options = { database: db.url, flags: ['-chat'], poll: 0.1 }
      const first = await startPlenum(options)
      t.after(() => first.kill())
      const { socket, messages } = await supervise(t)
      const standby = await start(t, { NOTIFY_SOCKET: socket }, db, {
        flags: ['-chat'],
        poll: 0.1,
        ready: false,
      })
      const waits = 'STATUS=waiting: another Plenum process serves the meetings; waiting for its lock'
      const says = (text: string) => () =>
        messages.findLast((message) => message.startsWith('STATUS='))?.trim() === text
      await until('it waits', says(waits))
      const key = 'k'.repeat(54)
      await db.sql`insert into chat.sessions (key, "user", room) values (${key}, 'Ann', 1)`
      const chatter = new WebSocket(standby.socketUrl(`/ws/chat?session_key=${key}`))
      t.after(() => chatter.terminate())
      await standby.logged(({ event }) => event === 'chatEntered')
      await db.sql`alter table chat.log rename to gone`
      const { door } = await standby.logged(({ event }) => event === 'databaseLost')
      assert.equal(door, 'chat')
      await until('it says so', says(`${waits}; the chat cannot read its log`))
      await db.sql`alter table chat.gone rename to log`
      await standby.logged(({ event }) => event === 'databaseBack')
      await until('it waits as before', says(waits))
      assert.ok(!messages.some((message) => message.trim() === 'STATUS=serving the meetings'))
    },
  )

  test('a watchdog for another process is not told', { skip: cannotSpeak }, async (t) => {
    const { socket, messages } = await supervise(t)
    await start(t, { NOTIFY_SOCKET: socket, WATCHDOG_USEC: '100000', WATCHDOG_PID: '1' })
    await until('it is ready', () => messages.some((message) => message.includes('READY=1')))
    await wait(500)
    assert.ok(!messages.some((message) => message.includes('WATCHDOG=1')))
  })

  test('where systemd cannot be told, it says so once and serves', async (t) => {
    const plenum = await start(t, { NOTIFY_SOCKET: '/nowhere/notify', WATCHDOG_USEC: '100000' })
    await plenum.logged(({ event }) => event === 'notifyFailed')
    await wait(500)
    assert.equal(plenum.logs.filter(({ event }) => event === 'notifyFailed').length, 1)
    assert.equal((await plenum.get('/readyz')).status, 200)
  })

  test(
    'the units are well-formed, and the service may do little',
    { skip: has('systemd-analyze', '--version') ? false : 'there is no systemd-analyze' },
    async (t) => {
      const folder = await mkdtemp(join(tmpdir(), 'plenum-units-'))
      t.after(() => rm(folder, { recursive: true, force: true }))
      for (const name of ['plenum.service', 'plenum.socket', 'plenum-podman.service']) {
        const unit = await readFile(join(deploy, name), 'utf8')
        // What the machine of this test does not have is not the unit's fault.
        const here = unit
          .replace(/\/usr\/(local\/bin\/plenum|bin\/podman)/g, '/bin/true')
          .replace(/^Documentation=.*$/m, '')
        await writeFile(join(folder, name), here)
      }
      const verified = spawnSync('systemd-analyze', [
        'verify',
        join(folder, 'plenum.service'),
        join(folder, 'plenum.socket'),
        join(folder, 'plenum-podman.service'),
      ])
      assert.equal(String(verified.stderr), '')
      assert.equal(verified.status, 0)
      const judged = execFileSync('systemd-analyze', [
        'security',
        '--offline=yes',
        join(folder, 'plenum.service'),
      ])
      const exposure = Number(/Overall exposure level[^:]*: ([\d.]+)/.exec(String(judged))?.[1])
      assert.ok(exposure <= 1.5, `exposure ${exposure}`)
    },
  )

  test('the quadlet runs the same container as the unit for an older podman', async () => {
    const unit = await readFile(join(deploy, 'plenum-podman.service'), 'utf8')
    const quadlet = await readFile(join(deploy, 'plenum.container'), 'utf8')
    const ours = commandOf(unit, 'ExecStart')
      .slice(2)
      .filter((part) => !addedByQuadlet.includes(part))
    const theirs = readSection(quadlet, 'Container').flatMap(([key, value]) => podmanArguments(key, value))
    assert.deepEqual(theirs.sort(), ours.sort())
    assert.deepEqual(commandOf(quadlet, 'ExecStartPre'), commandOf(unit, 'ExecStartPre'))
  })

  test(
    "podman's generator takes the quadlet",
    { skip: generator === undefined && 'podman has no generator here (it came with 4.4)' },
    async (t) => {
      const folder = await mkdtemp(join(tmpdir(), 'plenum-units-'))
      t.after(() => rm(folder, { recursive: true, force: true }))
      await copyFile(join(deploy, 'plenum.container'), join(folder, 'plenum.container'))
      const env = { ...process.env, QUADLET_UNIT_DIRS: folder }
      const made = spawnSync(generator ?? '', ['-dryrun'], { env, encoding: 'utf8' })
      assert.equal(made.status, 0, made.stderr)
      assert.match(made.stdout, /^ExecStart=.*podman run .*localhost\/plenum:latest$/m)
    },
  )
})
