import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { builtinModules } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, suite, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { setTimeout as wait } from 'node:timers/promises'
import { build } from 'esbuild'
import { freePort } from '../../demo/port.ts'
import { tether } from '../../demo/tether.ts'
import { BehavedMembers } from '../support/behaved-members.ts'
import { createAssociation, createDatabase, createMeeting } from '../support/database.ts'
import { currentRuntime, denoBinary, startPlenum } from '../support/server.ts'
import { holdTransaction } from '../support/held-transaction.ts'
import { clientFrame, openRaw, openRawWebSocket, upgradeRequest } from '../support/raw-connection.ts'
import type { RawWebSocket } from '../support/raw-connection.ts'
import { patience } from '../support/patience.ts'

const isDeno = currentRuntime() === 'deno'
const folder = await mkdtemp(join(tmpdir(), 'plenum-test-'))
const unguardedBundle = join(folder, 'unguarded.mjs')
await build({
  entryPoints: [fileURLToPath(new URL('../support/unguarded.ts', import.meta.url))],
  outfile: unguardedBundle,
  bundle: true,
  platform: 'node',
  format: 'esm',
  alias: Object.fromEntries(builtinModules.map((name) => [name, `node:${name.replace(/^node:/, '')}`])),
  banner: {
    js: "import { createRequire } from 'node:module'\nconst require = createRequire(import.meta.url)",
  },
})

const db = await createDatabase()
const plenum = await startPlenum({ database: db.url, flags: ['-rate', '0'] })
const fellows = await createAssociation(db.sql, 4)
const [chair, , , attacker] = fellows
if (!chair || !attacker) throw new Error('too few members')
const meeting = await createMeeting(db.sql, {
  members: fellows,
  admins: [chair],
  state: 1,
  allowrejoin: true,
})
const path = `/ws/meeting/${meeting.id}/${meeting.keys.get(attacker.id)}/0`
const company = await BehavedMembers.gather(plenum, meeting, fellows.slice(0, 3))

after(async () => {
  await plenum.stop()
  await db.drop()
  await rm(folder, { recursive: true })
})

/** Starts the server without guards, attacks it and says whether it lives on. */
async function unguardedSurvives(attack: (port: number) => Promise<void>): Promise<boolean> {
  const port = await freePort()
  const [file, args] = isDeno ? [denoBinary, ['run', '--quiet', '-A']] : [process.execPath, []]
  const child = spawn(file, [...args, unguardedBundle, String(port)], { stdio: ['ignore', 'pipe', 'ignore'] })
  tether(child, 'KILL')
  const exited = once(child, 'exit').then(() => false)
  const [said] = (await Promise.race([
    once(child.stdout, 'data'),
    exited.then(() => ['nothing']),
  ])) as unknown[]
  assert.match(String(said), /listening/)
  // Of a server that has ended the rest of the attack is refused.
  const failure = await attack(port).then(
    () => null,
    (error: unknown) => error,
  )
  // Whether it has died is known only after it had its time to.
  const lives = await Promise.race([exited, wait(2000, true)])
  child.kill('SIGKILL')
  await exited
  if (lives && failure) throw failure
  return lives
}

/** The members notice nothing of the attack, neither while it goes on nor afterwards. */
async function plenumIsUndisturbed(attack: () => Promise<void>): Promise<void> {
  const { pid } = plenum
  await Promise.all([attack(), company.confer()])
  await company.confer()
  company.assertUndisturbed()
  assert.equal(plenum.hasExited, false)
  assert.equal(plenum.pid, pid)
  assert.deepEqual(
    plenum.logs.filter(({ level }) => level === 'error'),
    [],
  )
}

async function resetDuringUpgrade(port: number, target: string): Promise<void> {
  for (let count = 0; count < 20; count++) {
    const connection = await openRaw(port)
    connection.write(upgradeRequest(target))
    await wait(20)
    await connection.reset()
  }
  await wait(600)
}

async function unparsableTarget(port: number): Promise<void> {
  for (const target of ['//[', 'http://[', '//[::1', 'http://user:password@localhost/']) {
    const connection = await openRaw(port)
    connection.write(upgradeRequest(target))
    await Promise.race([connection.ended, wait(1000)])
    connection.socket.destroy()
  }
}

const sixtyMegabytes = Buffer.alloc(60 * 1024 * 1024, 'x')

async function sendAndListen(websocket: RawWebSocket, frame: Buffer): Promise<string | undefined> {
  websocket.connection.write(frame)
  return await Promise.race([websocket.firstText(), wait(patience(20_000), undefined, { ref: false })])
}

suite('what ends a server that uses the websocket adapter as it is', () => {
  test('a reset while a handler waits before the upgrade', async () => {
    assert.equal(await unguardedSurvives((port) => resetDuringUpgrade(port, '/slow')), false)
    // Here the door waits after the upgrade: for the database, which is held.
    const held = await holdTransaction(
      db.url,
      (tx) => tx`lock table membership_membermeetingkey in access exclusive mode`,
    )
    await resetDuringUpgrade(plenum.port, path)
    await held.rollback()
    await plenumIsUndisturbed(() => resetDuringUpgrade(plenum.port, path))
  })

  test('an upgrade request whose target is no URL', async () => {
    assert.equal(await unguardedSurvives(unparsableTarget), false)
    await plenumIsUndisturbed(() => unparsableTarget(plenum.port))
  })

  test('a handler of messages that rejects', async () => {
    const failing = async (port: number): Promise<void> => {
      const websocket = await openRawWebSocket(port, '/ws')
      websocket.connection.write(clientFrame('fail'))
      await Promise.race([websocket.untilEnded(), wait(1000)])
      websocket.connection.socket.destroy()
    }
    assert.equal(await unguardedSurvives(failing), false)
    // The door's work on a frame can only fail by the database: here for a line that it refuses to store.
    await db.sql`
      alter table membership_meetingmessagelog add constraint refused check (message <> 'refuse this')`
    await plenumIsUndisturbed(async () => {
      const websocket = await openRawWebSocket(plenum.port, path)
      await websocket.firstText()
      websocket.connection.write(clientFrame(JSON.stringify({ type: 'message', message: 'refuse this' })))
      await websocket.connection.until(() => {
        void websocket.reachesServer()
        return websocket.texts.some((text) => text.includes('"type":"error"'))
      })
      websocket.connection.socket.destroy()
    })
    await db.sql`alter table membership_meetingmessagelog drop constraint refused`
  })

  test('a frame of 60 MiB is taken whole', async () => {
    let answer: string | undefined
    await unguardedSurvives(async (port) => {
      const websocket = await openRawWebSocket(port, '/ws')
      answer = await sendAndListen(websocket, clientFrame(sixtyMegabytes))
      websocket.connection.socket.destroy()
    })
    assert.equal(answer, String(sixtyMegabytes.length))

    await plenumIsUndisturbed(async () => {
      const websocket = await openRawWebSocket(plenum.port, path)
      assert.ok(await websocket.reachesServer())
      websocket.connection.write(clientFrame(sixtyMegabytes))
      await websocket.untilEnded()
      assert.equal(websocket.closeCode, undefined)
    })
  })

  test('a plain request with the header of an upgrade is told what is missing', async () => {
    for (const method of ['GET', 'HEAD']) {
      const connection = await openRaw(plenum.port)
      connection.write(upgradeRequest(path, { method, headers: { Connection: 'close' } }))
      await connection.ended
      assert.match(connection.received.toString(), /^HTTP\/1\.1 426 /)
    }
  })
})
