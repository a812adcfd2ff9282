import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { suite, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { openServerFixture } from '../support/server-fixture.ts'
import { manage } from '../support/manage.ts'
import { refuseWrites } from '../support/refused-writes.ts'
import { runPlenum } from '../support/server.ts'
import type { Plenum } from '../support/server.ts'
import { until } from '../support/until.ts'
import { appendMessage, initMessage, setKeyMessage, DocumentClient } from '../support/document-client.ts'
import type { InitOptions } from '../support/document-client.ts'
import { patience } from '../support/patience.ts'

const newId = (): string => randomBytes(9).toString('base64url')

async function open(to: Plenum, id: string, options: InitOptions = {}): Promise<DocumentClient> {
  const client = await new DocumentClient(to).opened()
  client.send(initMessage(id, options))
  await client.hears('append')
  return client
}

suite('the life of a document', { concurrency: true }, () => {
  test('what anybody makes has a quota in all, which nobody’s haste passes and no restart forgets', async (t) => {
    const credentials = { user: 'app', password: 'secret of the app' }
    const quota = 10_485
    const flags = ['-document', '-document-user', 'app', '-document-password', credentials.password]
    const fixture = await openServerFixture(t, { flags: [...flags, '-document-maxtotal', '0.01'] })
    const { sql } = fixture.db
    const first = await fixture.start()
    const { reason = '' } = (await first.logged(({ event }) => event === 'documentsPublic')) as {
      reason?: string
    }
    assert.match(reason, /^anybody may create documents/)
    const check = await runPlenum(['check', '-origin', '*', '-dburl', fixture.db.url, '-document'])
    assert.equal(check.code, 0)
    assert.ok(check.stdout.includes(`\nbut ${reason}`), check.stdout)
    const counted = async (): Promise<number> => {
      const [row] = await sql<
        { sum: number }[]
      >`select coalesce(sum(quota_bytes), 0)::int sum from plenum.document`
      return row?.sum ?? 0
    }
    const full =
      /^documents that were made without a token or JWT have 10486 bytes at most in all: no more is taken$/
    /** Makes a document of so many bytes; null where it may not, for the quota. */
    const make = async (to: Plenum, bytes: number): Promise<DocumentClient | null> => {
      const client = await new DocumentClient(to).opened()
      client.send(initMessage(newId(), { data: randomBytes(bytes) }))
      await until('it is answered', () => client.heard.length > 0)
      const [error] = client.all('error')
      if (!error) return client
      assert.equal(error.code, 0)
      assert.match(error.text, full)
      assert.equal(await client.ended(), 1006)
      return null
    }
    const made = (await Promise.all(Array.from({ length: 20 }, () => make(first, 1000)))).filter(
      (client) => client !== null,
    )
    assert.ok(made.length >= 3 && made.length < 20)
    assert.ok((await counted()) <= quota + 1)
    const [client] = made
    assert.ok(client)
    client.send(appendMessage(1000, randomBytes(9000)))
    assert.match((await client.hears('error')).text, full)
    assert.deepEqual(await client.hears('answer').then(({ status, length }) => [status, length]), [0, 1000])
    client.send(setKeyMessage({ old: 0, version: 1, name: 'k', value: 'v'.repeat(9000) }))
    assert.equal((await client.hears('keyAnswer')).status, 0)
    // All that still fits is taken, at the same time by all.
    for (const one of made) one.send(appendMessage(1000, randomBytes(200)))
    await Promise.all(made.map((one) => one.hears('answer', one === client ? 2 : 1)))
    assert.ok((await counted()) <= quota + 1)
    await first.kill()
    const second = await fixture.restart(first)
    assert.equal(await make(second, 3000), null)
    // What applications make does not count, nor is it bounded.
    const contents = { method: 'createDocument', documentID: newId(), contents: randomBytes(20_000) }
    assert.equal((await manage(second, contents, credentials)).status, 200)
    for (const { id } of await sql<
      { id: string }[]
    >`select id from plenum.document where quota_bytes is not null`)
      assert.equal(
        (await manage(second, { method: 'deleteDocument', documentID: id }, credentials)).status,
        200,
      )
    assert.ok(await make(second, 3000))
    assert.equal(await counted(), 3000 + 1024 + 128)
  })

  test('what nobody uses goes, with its keys; what is open stays', async (t) => {
    const fixture = await openServerFixture(t, { flags: ['-document', '-document-expiration', '2'] })
    const { sql } = fixture.db
    const plenum = await fixture.start()
    const [used, left, written] = [newId(), newId(), newId()]
    const [ann, bob, cid] = [await open(plenum, used), await open(plenum, left), await open(plenum, written)]
    bob.send(setKeyMessage({ old: 0, version: 1, name: 'k', value: 'v' }))
    await bob.hears('keyAnswer')
    // One that cannot be deleted holds up no other.
    const kept = newId()
    const allow = await refuseWrites(sql, 'delete on plenum.document', `old.id = '${kept}'`)
    ;(await open(plenum, kept)).leave()
    bob.leave()
    cid.leave()
    const known = async (): Promise<string[]> =>
      (await sql<{ id: string }[]>`select id from plenum.document`).map(({ id }) => id)
    for (let n = 0; n < 3; n++) {
      await wait(900)
      const again = await open(plenum, written, { mode: 1 })
      again.leave()
    }
    await until('it is gone', async () => !(await known()).includes(left))
    assert.deepEqual((await known()).sort(), [used, written, kept].sort())
    const { error } = await plenum.logged(({ event }) => event === 'documentPurgeRefused')
    assert.match(String(error), /^P0001/)
    await allow()
    // Nor is it kept silent that the database does not take when one was used.
    const unnoted = newId()
    const dan = await open(plenum, unnoted)
    const note = await refuseWrites(sql, 'update on plenum.document', `new.id = '${unnoted}'`)
    dan.leave()
    const refused = await plenum.logged(({ event }) => event === 'documentUseRefused')
    assert.deepEqual([refused['level'], refused['count']], ['warn', 1])
    assert.match(String(refused['error']), /^P0001/)
    await note()
    assert.equal((await sql`select from plenum.document_key`).length, 0)
    ann.send(appendMessage(0, 'x'))
    assert.equal((await ann.hears('answer')).status, 1)
    await plenum.logged(({ event }) => event === 'documentsPurged')
    // An expired token is known for a year, and then no more.
    await sql`
      insert into plenum.document_token values ('old', 'd', 'u', 'r', now() - interval '367 days'),
        ('expired', 'd', 'u', 'r', now() - interval '360 days')`
    const tokens = async () => (await sql<{ hash: string }[]>`select hash from plenum.document_token`).length
    await until('the old one is gone', async () => (await tokens()) === 1)
  })

  test('10 seconds after the last has gone the application is called, again where it fails, whatever happens to us', async (t) => {
    const calls: { id: string; event: string | null; authorization: string | undefined; at: number }[] = []
    const failing = newId()
    const application = createServer((request, response) => {
      let body = ''
      request.on('data', (chunk: Buffer) => (body += chunk.toString()))
      request.on('end', () => {
        const form = new URLSearchParams(body)
        const id = form.get('documentID') ?? ''
        const { authorization } = request.headers
        calls.push({ id, event: form.get('event'), authorization, at: Date.now() })
        const isFirst = calls.filter((call) => call.id === id).length === 1
        response.writeHead(id === failing && isFirst ? 302 : 200, { location: '/elsewhere' }).end()
      })
    }).listen(0, '127.0.0.1')
    await once(application, 'listening')
    t.after(() => application.close())
    const { port } = application.address() as AddressInfo
    const url = `http://127.0.0.1:${port}/hook?secret=hidden`
    const credentials = ['-document-user', 'app', '-document-password', 'pass:word of the app']
    const fixture = await openServerFixture(t, {
      flags: ['-document', '-document-webhook', url, ...credentials],
    })
    const first = await fixture.start()
    const [kept, gone, stays, removed] = [newId(), newId(), newId(), newId()]
    const clients = await Promise.all([failing, kept, gone, stays, removed].map((id) => open(first, id)))
    const [a, b, , d, e] = clients
    a?.leave()
    b?.leave()
    e?.leave()
    const begun = Date.now()
    await wait(300)
    await manage(
      first,
      { method: 'deleteDocument', documentID: removed },
      { user: 'app', password: 'pass:word of the app' },
    )
    await wait(1200)
    const back = await open(first, kept)
    // One goes while the server is down; another one's client comes back.
    const dies = Date.now()
    await first.kill()
    const second = await fixture.restart(first)
    const returned = await Promise.all([open(second, kept), open(second, stays)])
    await until('all calls are made', () => calls.length === 3, 30_000)
    await wait(1500)
    const of = (id: string) => calls.filter((call) => call.id === id)
    assert.deepEqual(
      [failing, kept, gone, stays, removed].map((id) => of(id).length),
      [2, 0, 1, 0, 0],
    )
    const authorization = `Basic ${Buffer.from('app:pass:word of the app').toString('base64')}`
    for (const call of calls)
      assert.deepEqual([call.event, call.authorization], ['idle-session', authorization])
    const [early = 0, late = 0] = of(failing).map(({ at }) => at - begun)
    assert.ok(early >= 9500 && early < patience(14_000), `first after ${early} ms`)
    assert.ok(late - early >= 9500 && late - early < patience(13_000), `again after ${late - early} ms`)
    assert.ok((of(gone)[0]?.at ?? 0) - dies >= 9500)
    await second.logged(({ event }) => event === 'webhookFailed')
    for (const server of [first, second])
      assert.doesNotMatch(server.stderr.join('\n'), /hidden|pass:word of the app/)
    assert.equal(
      (await fixture.db.sql`select from plenum.document_session where due_at is not null`).length,
      0,
    )
    for (const client of [...returned, back, d]) client?.leave()
  })

  test('a server that ends in order leaves nothing undone, and the next one goes on', async (t) => {
    const fixture = await openServerFixture(t, { flags: ['-document'] })
    const first = await fixture.start()
    const id = newId()
    const [ann, bob] = [await open(first, id), await open(first, id)]
    for (let n = 0; n < 50; n++) ann.send(appendMessage(n, 'x'))
    const [code] = await Promise.all([first.stop(), ann.ended(), bob.ended()])
    assert.equal(code, 0)
    assert.deepEqual([ann.closeCode, bob.closeCode], [1006, 1006])
    const acknowledged = ann.all('answer').filter(({ status }) => status === 1).length
    const second = await fixture.restart(first)
    const again = await open(second, id, { offset: acknowledged })
    const [append] = again.all('append')
    assert.ok(acknowledged + (append?.data.length ?? 0) <= 50)
    again.leave()
  })

  test('who says nothing for 30 seconds is told so', async (t) => {
    const fixture = await openServerFixture(t, { flags: ['-document'] })
    const plenum = await fixture.start()
    const [silent, half] = [
      await new DocumentClient(plenum).opened(),
      await new DocumentClient(plenum).opened(),
    ]
    half.send('01 01 0003')
    await wait(29_000)
    assert.equal(silent.closeCode, null)
    for (const client of [silent, half]) {
      assert.match((await client.hears('error')).text, /no init message/)
      assert.equal(await client.ended(), 1006)
    }
  })
})
