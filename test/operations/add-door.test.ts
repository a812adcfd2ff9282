import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { WebSocket } from 'ws'
import { createDatabase } from '../support/database.ts'
import type { Database } from '../support/database.ts'
import { currentRuntime, type Plenum, runPlenum, startPlenum } from '../support/server.ts'
import { until } from '../support/until.ts'

const run = promisify(execFile)
const root = fileURLToPath(new URL('../..', import.meta.url))
const maxLines = 200

/** The server's source with the door of docs/architecture.md, in a folder of its own, built there. */
async function buildWithDoor(folder: string): Promise<string> {
  for (const part of ['src', 'build.js', 'build-pages.js', 'check-patches.js', 'patches', 'package.json'])
    await cp(join(root, part), join(folder, part), { recursive: true })
  await symlink(join(root, 'node_modules'), join(folder, 'node_modules'))
  const guide = await readFile(join(root, 'docs/architecture.md'), 'utf8')
  const [, door = ''] = /## How to add a door\n.*?\n```ts\n(.*?)^```$/ms.exec(guide) ?? []
  assert.ok(door.split('\n').length <= maxLines)
  await mkdir(join(folder, 'src/echo'))
  await writeFile(join(folder, 'src/echo/door.ts'), door)
  const list = join(folder, 'src/doors.ts')
  const doors = await readFile(list, 'utf8')
  await writeFile(
    list,
    `import { echoDoor } from './echo/door.ts'\n${doors.replace('documentDoor]', 'documentDoor, echoDoor]')}`,
  )
  const options = JSON.parse(await readFile(join(root, 'tsconfig.json'), 'utf8')) as object
  await writeFile(
    join(folder, 'tsconfig.json'),
    JSON.stringify({ ...options, include: ['src/main.ts', 'src/**/*.d.ts'] }),
  )
  await run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', folder])
  await run(process.execPath, ['build.js'], { cwd: folder })
  return join(folder, 'dist/plenum.js')
}

suite(
  'a door that is added as docs/architecture.md says',
  { skip: currentRuntime() !== 'node' && 'what is built is played on Node' },
  () => {
    let folder: string
    let bundle: string
    let database: Database
    let plenum: Plenum
    before(async () => {
      folder = await mkdtemp(join(tmpdir(), 'plenum-door-'))
      bundle = await buildWithDoor(folder)
      database = await createDatabase()
      plenum = await startPlenum({ database: database.url, bundle, flags: ['-echo', '20'] })
    })
    after(async () => {
      await plenum?.kill()
      await database?.drop()
      await rm(folder, { recursive: true, force: true })
    })

    const heard = (from: WebSocket): string[] => {
      const texts: string[] = []
      from.on('message', (data: Buffer) => texts.push(data.toString()))
      return texts
    }

    test('it has its flag, in the usage text and in what is refused', async () => {
      const { stdout } = await runPlenum(['help'], { bundle })
      assert.match(stdout, /\n {2}-echo N {2}\(PLENUM_ECHO, default 0\)\n {8}serve an echo at/)
      const { code, stderr } = await runPlenum(['check', '-origin', '*', '-echo', 'loud'], { bundle })
      assert.deepEqual(
        [code, stderr.trim()],
        [2, 'plenum: -echo takes a whole number from 0 to 10000; "loud" was given'],
      )
    })

    test('what is said in its room is stored, and then heard by everybody there', async () => {
      const [one, other] = [1, 2].map(() => new WebSocket(plenum.socketUrl('/ws/echo'))) as [
        WebSocket,
        WebSocket,
      ]
      const texts = [heard(one), heard(other)]
      await Promise.all([one, other].map((ws) => new Promise((resolve) => ws.once('open', resolve))))
      one.send('<Hello>')
      await until('both have heard it', () => texts.every(([first]) => first === '<Hello>'))
      one.send('x'.repeat(21))
      await until('the other text is refused', () => texts[0]?.includes('too long') ?? false)
      assert.deepEqual(
        await database.sql`select text from plenum.echo`.then((rows) => rows.map(({ text }) => String(text))),
        ['<Hello>'],
      )
      const metrics = (await plenum.get('/metrics')).body
      assert.match(metrics, /^plenum_echoes_total 1$/m)
      assert.match(metrics, /^plenum_echo_listeners 2$/m)
      const page = await plenum.get('/echo')
      assert.match(page.body, /<li>&lt;Hello&gt;<\/li>/)
      assert.ok(plenum.logs.some(({ event, maxLength }) => event === 'echoServing' && maxLength === 20))
      one.close()
      other.close()
    })

    test('without its flag it is not served', async () => {
      await plenum.stop()
      plenum = await startPlenum({ database: database.url, bundle })
      assert.equal((await plenum.get('/echo')).status, 404)
    })
  },
)
