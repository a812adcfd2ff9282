import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, suite, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { createDatabase } from './support/database.ts'
import { startWatched } from './support/loop.ts'
import { until } from './support/until.ts'
import { clientFrame, opcodes, openRawWebSocket } from './support/wire.ts'
import type { RawWebSocket } from './support/wire.ts'
import { initMessage } from './support/zwibbler.ts'

const db = await createDatabase()
const { plenum } = await startWatched({ database: db.url, flags: ['-document'] })
after(async () => {
  await plenum.kill()
  await db.drop()
})

const newId = (): string => randomBytes(9).toString('base64url')
const binary = (bytes: Buffer): Buffer => clientFrame(bytes, { opcode: opcodes.binary })

/** A client for frames that come in one go. */
async function flooder(id: string): Promise<RawWebSocket> {
  const raw = await openRawWebSocket(plenum.port, '/socket')
  raw.connection.write(binary(initMessage(id)))
  await raw.reachesServer()
  return raw
}

async function figure(name: string): Promise<number> {
  const { body } = await plenum.get('/metrics')
  return Number(new RegExp(`^${name} (\\S+)`, 'm').exec(body)?.[1])
}

suite('memory', () => {
  test('a long frame that does not end is counted, in segments of a byte too', async () => {
    const raw = await flooder(newId())
    const long = binary(Buffer.concat([Buffer.from([5, 0]), Buffer.alloc(100_000)]))
    raw.connection.write(long.subarray(0, -50))
    await until('it is held', async () => (await figure('plenum_document_held_bytes')) >= 99_000)
    for (let n = 50; n > 1; n--) {
      raw.connection.write(long.subarray(-n, long.length - n + 1))
      await wait(1)
    }
    assert.ok((await figure('plenum_document_held_bytes')) <= 2 * 131_072)
    await raw.connection.reset()
    await until('nothing is held', async () => (await figure('plenum_document_held_bytes')) === 0)
  })

  test('a message in frames of a byte costs its bytes, and is read no faster than the pace allows', async (t) => {
    const before = await figure('process_resident_memory_bytes')
    const floods = await Promise.all(
      Array.from({ length: 10 }, async () => {
        const raw = await flooder(newId())
        const more = binary(Buffer.from([0xff, 1, 0x78]))
        raw.connection.write(Buffer.concat([binary(Buffer.from([5, 1])), ...Array(100_000).fill(more)]))
        return raw
      }),
    )
    let most = before
    for (let n = 0; n < 10; n++) {
      await wait(200)
      most = Math.max(most, await figure('process_resident_memory_bytes'))
      assert.ok((await figure('plenum_document_held_bytes')) <= 10 * 131_072)
    }
    const grown = Math.round((most - before) / 2 ** 20)
    t.diagnostic(`grown by ${grown} MiB`)
    assert.ok(grown < 60, `the server has grown by ${grown} MiB`)
    for (const { connection } of floods) await connection.reset()
  })
})
