import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { appendFile, copyFile, cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { suite, test } from 'node:test'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Sql } from 'postgres'
import { freePort } from '../../demo/port.ts'
import { gather, settle } from '../support/meeting-fixture.ts'
import { openServerFixture } from '../support/server-fixture.ts'
import { builtBundle, currentRuntime, denoPermissions, runPlenum } from '../support/server.ts'
import type { Plenum } from '../support/server.ts'

const run = promisify(execFile)
const isDeno = currentRuntime() === 'deno'
const root = fileURLToPath(new URL('../..', import.meta.url))

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'plenum-bundle-'))
  t.after(() => rm(path, { recursive: true, force: true }))
  return path
}

async function serves(sql: Sql, plenum: Plenum): Promise<void> {
  const meeting = await gather(sql, plenum, 2)
  const [chair, member] = await meeting.enterAll(0, 1)
  await settle(member, chair)
}

suite('the file', { concurrency: 4 }, () => {
  test('building it twice gives the same bytes, and they say nothing of the machine', async (t) => {
    const base = await folder(t)
    const files = [join(base, 'one.js'), join(base, 'other.js')]
    for (const file of files) await run(process.execPath, ['build.js', file], { cwd: root })
    const [one, other] = await Promise.all(files.map((file) => readFile(file)))
    assert.ok(one && other && one.equals(other))
    assert.equal(one.includes(root.replace(/\/$/, '')), false)
  })

  test(
    'a build refuses a package that is not patched',
    { skip: isDeno && 'it is built with Node' },
    async (t) => {
      const base = await folder(t)
      const source = join('node_modules', 'postgres', 'src')
      for (const path of ['check-patches.js', 'patches', source])
        await cp(join(root, path), join(base, path), { recursive: true })
      await writeFile(join(base, 'package.json'), JSON.stringify({ type: 'module' }))
      const check = async (): Promise<unknown> =>
        await run(
          process.execPath,
          ['--eval', 'import("./check-patches.js").then((m) => m.checkPatches())'],
          { cwd: base },
        )
      await check()
      await appendFile(join(base, source, 'index.js'), '\n')
      await assert.rejects(check(), /index\.js is not as patches\/postgres\+3\.4\.9\.patch leaves it/)
    },
  )

  test('it runs alone in a folder, by whatever name', async (t) => {
    const fixture = await openServerFixture(t)
    const base = await folder(t)
    for (const name of ['plenum.js', 'plenum.mjs', 'plenum.cjs', 'plenum']) {
      const bundle = join(base, name)
      await copyFile(builtBundle, bundle)
      const plenum = await fixture.start({ bundle, cwd: base })
      await serves(fixture.db.sql, plenum)
      assert.equal(await plenum.stop(), 0, name)
      assert.equal(plenum.stderr.length, plenum.logs.length, plenum.stderr.join('\n'))
    }
  })

  test('it runs whatever a package.json beside it says', async (t) => {
    const base = await folder(t)
    for (const type of ['module', 'commonjs']) {
      const bundle = join(base, type, 'plenum.js')
      await mkdir(dirname(bundle))
      await copyFile(builtBundle, bundle)
      await writeFile(join(base, type, 'package.json'), JSON.stringify({ type }))
      const { code, stdout, stderr } = await runPlenum(['--version'], { bundle })
      assert.deepEqual({ code, stderr }, { code: 0, stderr: '' })
      assert.match(stdout, /^plenum /)
    }
  })

  test(
    'it can be started as a program, also through a link',
    { skip: isDeno && 'it is about Node' },
    async (t) => {
      const base = await folder(t)
      const link = join(base, 'plenum')
      await symlink(builtBundle, link)
      const path = [dirname(process.execPath), process.env['PATH']].join(delimiter)
      const { stdout } = await run(link, ['--version'], { env: { PATH: path } })
      assert.match(stdout, /^plenum /)
    },
  )

  test('on an older runtime it says what it needs, in one line', async () => {
    for (const [found, change] of isDeno
      ? [['Deno 1.46.3', `Object.defineProperty(Deno, 'version', { value: { deno: '1.46.3' } })`]]
      : ['18.20.4', '16.20.2', '8.0.0'].map((node) => [
          `Node ${node}`,
          `Object.defineProperty(process, 'versions', { value: { node: '${node}' } })`,
        ])) {
      const before = ['--import', `data:text/javascript,${encodeURIComponent(change ?? '')}`]
      const runtimeFlags = isDeno ? [...before, ...denoPermissions] : before
      assert.deepEqual(await runPlenum(['--version'], { runtimeFlags }), {
        code: 1,
        stdout: '',
        stderr: `plenum needs Node 20 or newer, or Deno 2; this is ${found}`,
      })
    }
  })
})

suite('Deno permissions', { concurrency: 4, skip: isDeno ? false : 'they are about Deno' }, () => {
  // And LISTEN_FDNAMES where systemd passes sockets.
  const env = [
    'PLENUM_*',
    'PG*',
    'LISTEN_PID',
    'LISTEN_FDS',
    'NOTIFY_SOCKET',
    'WATCHDOG_USEC',
    'WATCHDOG_PID',
    'JOURNAL_STREAM',
    'WS_NO_BUFFER_UTIL',
  ]
  const sys = ['uid', 'gid', 'userInfo', 'homedir']
  const flags = (lists: Record<string, string[]>): string[] =>
    Object.entries(lists).flatMap(([kind, list]) =>
      list.length > 0 ? [`--allow-${kind}=${list.join()}`] : [],
    )

  test('over TCP the two addresses are enough, and nothing of it is too much', async (t) => {
    const fixture = await openServerFixture(t)
    const listen = `127.0.0.1:${await freePort()}`
    const lists = { net: [listen, new URL(fixture.db.url).host], env, sys }
    const plenum = await fixture.start({ listen, runtimeFlags: flags(lists) })
    await serves(fixture.db.sql, plenum)
    assert.equal(await plenum.stop(), 0)

    const lacks = Object.entries(lists).flatMap(([kind, list]) =>
      list.map((item) => ({ item, less: { ...lists, [kind]: list.filter((other) => other !== item) } })),
    )
    for (const { item, less } of lacks) {
      const { code, stderr } = await runPlenum(
        ['-origin', '*', '-listen', listen, '-dburl', fixture.db.url],
        {
          runtimeFlags: flags(less),
          seconds: 10,
        },
      )
      assert.ok(code === 1 || code === 2, `it did without ${item}: ${code}`)
      assert.match(stderr, /Requires \w+ access to/)
    }
  })

  test('over Unix sockets the files of the two are enough', async (t) => {
    const fixture = await openServerFixture(t)
    const { sql, name, url } = fixture.db
    const listen = join(await folder(t), 'socket')
    const [setting] = await sql<{ folder: string }[]>`
      select current_setting('unix_socket_directories') folder`
    const { port } = new URL(url)
    const files = [listen, `${setting?.folder}/.s.PGSQL.${port}`]
    const runtimeFlags = flags({
      net: files.map((file) => `unix:${file}`),
      read: files,
      write: files,
      env,
      sys,
    })
    const database = `host=${setting?.folder} port=${port} user=postgres dbname=${name}`
    // Twice: the second one finds the file of the first one.
    for (const end of ['kill', 'stop'] as const) {
      const plenum = await fixture.start({ listen, database, runtimeFlags })
      await serves(sql, plenum)
      await plenum[end]()
    }
  })
})
