import assert from 'node:assert/strict'
import { createHash, randomBytes, randomInt } from 'node:crypto'
import { after, suite, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { createDatabase } from '../support/database.ts'
import { Random } from '../support/random.ts'
import { manage } from '../support/manage.ts'
import { startPlenum } from '../support/server.ts'
import { SketchClient } from '../support/sketch-client.ts'
import { until } from '../support/until.ts'
import { appendMessage, initMessage, DocumentClient } from '../support/document-client.ts'

const db = await createDatabase()
const credentials = { user: 'app', password: 'secret of the app' }
const plenum = await startPlenum({
  database: db.url,
  flags: ['-document', '-document-user', 'app', '-document-password', 'secret of the app'],
})
after(async () => {
  await plenum.kill()
  await db.drop()
})

const newId = (): string => randomBytes(9).toString('base64url')

async function dump(documentID: string): Promise<Buffer> {
  return (await manage(plenum, { method: 'dumpDocument', documentID }, credentials)).body
}

suite('against a model', () => {
  const seed = Number(process.env['PLENUM_MODEL_SEED'] ?? randomInt(2 ** 31))

  test('clients of both versions that append, set keys, broadcast and come back all end with the same', async (t) => {
    t.diagnostic(`to repeat: PLENUM_MODEL_SEED=${seed}`)
    const random = new Random(seed)
    const id = newId()
    const clients = Array.from(
      { length: 10 },
      (_, n) =>
        new SketchClient(() => plenum, id, {
          name: `c${n}`,
          version: n % 2 === 0 ? 2 : 3,
          longest: random.pick([0, 64, 100, 5000]),
        }),
    )
    t.after(() => clients.forEach((client) => client.end()))
    await until('all are in', () => clients.every(({ isLive }) => isLive))
    const until5s = Date.now() + 5000
    while (Date.now() < until5s) {
      const client = random.pick(clients)
      const what = random.below(100)
      if (what < 60) client.write(random.below(20) === 0 ? random.below(30_000) : random.below(60))
      else if (what < 80) client.setKey(random.pick(['a', 'b', 'c']), random.chance(0.7))
      else if (what < 97) client.broadcast()
      else client.drop()
      if (random.chance(0.3)) await wait(random.below(8))
    }
    await until(
      'all is written',
      () => clients.every(({ isLive, isWriting }) => isLive && !isWriting),
      20_000,
    )
    await until('all have the same', () => new Set(clients.map(({ length }) => length)).size === 1, 10_000)
    const whole = await dump(id)
    for (const client of clients) assert.ok(client.bytes.equals(whole), `${client.name} has something else`)
    const written = clients.flatMap(({ accepted }) => accepted).sort((a, b) => a.offset - b.offset)
    for (const { offset, data } of written)
      assert.ok(whole.subarray(offset, offset + data.length).equals(data), `at ${offset}`)
    for (const [index, { offset, data }] of written.entries())
      assert.ok(offset + data.length <= (written[index + 1]?.offset ?? Infinity), 'two appends at one place')
    const fresh = new SketchClient(() => plenum, id, { name: 'fresh', version: 3, longest: 0 })
    t.after(() => fresh.end())
    await until('it is in', () => fresh.isLive)
    await until('it has the keys', () => fresh.keys.size === clients[0]?.keys.size)
    for (const client of clients)
      assert.deepEqual(
        Object.fromEntries(client.keys),
        Object.fromEntries(fresh.keys),
        `the keys of ${client.name}`,
      )
    for (const client of clients) assert.deepEqual(client.errors, [])
    t.diagnostic(
      JSON.stringify({
        bytes: whole.length,
        appends: written.length,
        refused: clients.reduce((sum, { refused }) => sum + refused, 0),
        returns: clients.reduce((sum, { returns }) => sum + returns, 0),
        keys: fresh.keys.size,
        broadcasts: clients.reduce((sum, { broadcasts }) => sum + broadcasts, 0),
      }),
    )
    assert.ok(written.length > 100 && clients.some(({ refused }) => refused > 0))
  })
})

suite('a large document', () => {
  test('100 MB, opened by clients that read slowly while others work', async (t) => {
    const id = newId()
    const part = randomBytes(10_000_000)
    const { sql } = db
    await sql`
      with made as (insert into plenum.document (id, length) values (${id}, 90000000) returning number)
      insert into plenum.document_part
      select number, n * 300000, decode(repeat(md5(n::text), 18750), 'hex') from made, generate_series(0, 299) n`
    const writer = await new DocumentClient(plenum).opened()
    writer.send(initMessage(id, { offset: 90_000_000 }))
    await writer.hears('append')
    writer.send(...cutIn(appendMessage(90_000_000, part), 1_000_000))
    assert.equal((await writer.hears('answer', 1, 20_000)).status, 1)
    const resident = async (): Promise<number> =>
      Number(/^process_resident_memory_bytes (\S+)/m.exec((await plenum.get('/metrics')).body)?.[1])
    const before = await resident()
    const slow = await Promise.all(Array.from({ length: 5 }, () => new DocumentClient(plenum).opened()))
    for (const client of slow) {
      client.send(initMessage(id))
      client.ws.pause()
    }
    const times: number[] = []
    let most = 0
    let length = 90_000_000 + part.length
    for (let n = 0; n < 60; n++) {
      const begun = performance.now()
      writer.send(appendMessage(length, 'x'.repeat(100)))
      assert.equal((await writer.hears('answer', 2 + n)).status, 1)
      times.push(performance.now() - begun)
      length += 100
      most = Math.max(most, await resident())
      // They read in gulps, and half of them not at all.
      for (const client of slow.slice(0, 3)) {
        client.ws.resume()
        setTimeout(() => client.ws.pause(), 5)
      }
      await wait(20)
    }
    const other = await new DocumentClient(plenum).opened()
    other.send(initMessage(id, { offset: length - 50 }))
    assert.equal((await other.hears('append')).data.length, 50)
    const [one, ...others] = slow as [DocumentClient, ...DocumentClient[]]
    others.forEach((client) => client.leave())
    one.ws.resume()
    const got = await one.hears('append', 1, 30_000)
    assert.ok(got.offset === 0 && got.data.subarray(90_000_000, 100_000_000).equals(part))
    const [hash] = await sql<{ md5: string }[]>`
      select md5(string_agg(data, ''::bytea order by at)) md5 from plenum.document_part
      where document = (select number from plenum.document where id = ${id}) and at < ${got.data.length}`
    assert.equal(createHash('md5').update(got.data).digest('hex'), hash?.md5)
    await until('it has all', () => lengthOf(one) === length, 5000)
    const grown = Math.round((most - before) / 1e6)
    times.sort((a, b) => a - b)
    t.diagnostic(`grown by ${grown} MB; an append took ${Math.round(times.at(-2) ?? 0)} ms at most`)
    assert.ok(grown < 150, `the server has grown by ${grown} MB`)
    assert.ok((times[Math.floor(times.length / 2)] ?? 0) < 200)
    for (const client of [...slow, writer, other]) client.leave()
  })

  test('who does not read what others append is cut, and nobody else notices', async () => {
    const before = await stored()
    const id = newId()
    const [writer, sleeper] = [
      await new DocumentClient(plenum).opened(),
      await new DocumentClient(plenum).opened(),
    ]
    for (const client of [writer, sleeper]) {
      client.send(initMessage(id))
      await client.hears('append')
    }
    sleeper.ws.pause()
    for (let n = 0; n < 60; n++) {
      writer.send(appendMessage(n * 250_000, Buffer.alloc(250_000)))
      await writer.hears('answer', n + 1)
    }
    await plenum.logged(({ event }) => event === 'slowReader')
    assert.equal(writer.closeCode, null)
    const after = await stored()
    assert.deepEqual([after.appends - before.appends, after.bytes - before.bytes], [60, 60 * 250_000])
    writer.leave()
    sleeper.leave()
  })

  test('who sends without waiting for answers is ended before it costs memory', async () => {
    const id = newId()
    const greedy = await new DocumentClient(plenum).opened()
    greedy.send(initMessage(id))
    await greedy.hears('append')
    const release = await db.sql.reserve()
    await release`begin`
    await release`select from plenum.document where id = ${id} for update`
    greedy.send(appendMessage(0, Buffer.alloc(1_000_000)))
    for (let n = 0; n < 40; n++) greedy.send(appendMessage(0, Buffer.alloc(1_000_000)))
    assert.match((await greedy.hears('error', 1, 9000)).text, /unanswered/)
    await release`commit`
    release.release()
    assert.equal(await greedy.ended(), 1006)
    const held = async (): Promise<string | undefined> =>
      /^plenum_document_held_bytes (\S+)/m.exec((await plenum.get('/metrics')).body)?.[1]
    await until('nothing is held any more', async () => (await held()) === '0')
  })
})

/** What was stored since the start, as it is counted. */
async function stored(): Promise<{ appends: number; bytes: number }> {
  const { body } = await plenum.get('/metrics')
  const read = (name: string): number =>
    Number(new RegExp(`^plenum_document_${name}_total (\\S+)`, 'm').exec(body)?.[1])
  return { appends: read('appends'), bytes: read('bytes') }
}

function lengthOf({ heard }: DocumentClient): number {
  return heard.reduce(
    (end, message) => (message.type === 'append' ? message.offset + message.data.length : end),
    0,
  )
}

function cutIn(message: Buffer, longest: number): Buffer[] {
  const frames = [Buffer.from(message.subarray(0, longest))]
  for (let at = longest; at < message.length; at += longest)
    frames.push(Buffer.concat([Buffer.from([0xff, 1]), message.subarray(at, at + longest)]))
  for (const [index, frame] of frames.entries()) frame[1] = Number(index < frames.length - 1)
  return frames
}
