import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, suite, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { createDatabase } from './support/database.ts'
import { startPlenum } from './support/server.ts'
import { hex, initMessage, Zwibbler } from './support/zwibbler.ts'
import type { InitOptions } from './support/zwibbler.ts'

const db = await createDatabase()
const { sql } = db
const credentials = ['-document-user', 'app', '-document-password', 'secret']
const plenum = await startPlenum({
  database: db.url,
  flags: ['-document', ...credentials, '-document-maxmessage', '2', '-document-maxsize', '110'],
})
after(async () => {
  await plenum.kill()
  await db.drop()
})

const newId = (): string => randomBytes(9).toString('base64url')

const clients: Zwibbler[] = []
after(() => clients.forEach((client) => client.leave()))

async function connect(): Promise<Zwibbler> {
  const client = new Zwibbler(plenum)
  clients.push(client)
  return await client.opened()
}

async function open(id: string | Buffer, options: InitOptions = {}): Promise<Zwibbler> {
  const client = await connect()
  client.send(initMessage(id, options))
  await client.hears('append')
  return client
}

/** Sends frames given in hex and expects the frames that answer them, in hex. */
async function exchange(client: Zwibbler, sent: string[], expected: string[]): Promise<void> {
  client.send(...sent)
  for (const frame of expected) assert.equal(await client.nextFrame(), hex(frame).toString('hex'))
}

const ascii = (text: string): string => Buffer.from(text).toString('hex')

suite('the examples of the protocol, byte by byte', () => {
  test('those of our own description', async () => {
    const one = await connect()
    await exchange(one, ['01 00 0002 00000000 00 0000000000000000 01 64'], ['02 00 0000000000000000'])
    await sql`delete from plenum.document where id = 'd'`
    one.leave()
    await wait(100)
    const ann = await connect()
    await exchange(
      ann,
      ['01 00 0003 00000000 00 00000000 0000000000000000 00000001 64 6869'],
      ['05 00 00000000 0000000000000002'],
    )
    const bob = await connect()
    await exchange(bob, ['01 00 0002 00000000 00 0000000000000000 01 64'], ['02 00 0000000000000000 6869'])
    await exchange(ann, ['05 00 00000000 0000000000000002 616263'], ['81 00 0001 0000000000000005'])
    await exchange(bob, [], ['02 00 0000000000000002 616263'])
    await exchange(bob, ['02 00 0000000000000002 78'], ['81 00 0000 0000000000000005'])
    await exchange(ann, ['03 00 0007 01 00000000 00000001 00000001 6b 00000001 76'], ['83 00 0001 0007'])
    await exchange(bob, [], ['82 00 00000001 00000001 6b 00000001 76'])
    await exchange(ann, ['04 00 00000001 78'], [])
    await exchange(bob, [], ['04 00 00000001 78'])
    const cid = await connect()
    await exchange(
      cid,
      ['01 00 0002 00000000 01 0000000000000000 01 65'],
      [`80 00 0001 ${ascii('does not exist')}`],
    )
    assert.equal(await cid.ended(), 1006)
    assert.deepEqual(
      [ann, bob].map(({ frames }) => frames),
      [[], []],
    )
  })
})
