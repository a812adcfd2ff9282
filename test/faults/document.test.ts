import assert from 'node:assert/strict'
import { randomBytes, randomInt } from 'node:crypto'
import { test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { openServerFixture } from '../support/server-fixture.ts'
import { manage, type ManageAnswer } from '../support/manage.ts'
import { Random } from '../support/random.ts'
import type { Plenum } from '../support/server.ts'
import { SketchClient } from '../support/sketch-client.ts'
import { until } from '../support/until.ts'
import { appendMessage, initMessage, DocumentClient } from '../support/document-client.ts'

const seed = Number(process.env['PLENUM_FAULT_SEED'] ?? randomInt(2 ** 31))
const isLong = process.env['PLENUM_LONG'] === '1'
const credentials = { user: 'app', password: 'secret of the app' }
const flags = ['-document', '-document-user', 'app', '-document-password', 'secret of the app']
const databaseIsAway = 'The database does not answer'
const newId = (): string => randomBytes(9).toString('base64url')

test('kills, stops and lost database connections while people write: each has the same, and all that was acknowledged', async (t) => {
  t.diagnostic(`to repeat: PLENUM_FAULT_SEED=${seed}`)
  const random = new Random(seed)
  const fixture = await openServerFixture(t, { flags })
  let server = await fixture.start()
  const ids = [newId(), newId()]
  const clients = ids.flatMap((id, place) =>
    Array.from(
      { length: 8 },
      (_, n) =>
        new SketchClient(() => server, id, {
          name: `${place}.${n}`,
          version: 2 + (n % 2),
          longest: n % 3 === 0 ? 1000 : 0,
          returnAfterMs: 50,
        }),
    ),
  )
  t.after(() => clients.forEach((client) => client.end()))
  let working = true
  const work = async (): Promise<void> => {
    while (working) {
      const client = random.pick(clients)
      if (!client.isWriting) client.write(random.below(200))
      await wait(random.below(3))
    }
  }
  const counts = { kills: 0, stops: 0, cuts: 0 }
  const harm = async (): Promise<void> => {
    for (let n = 0; n < (isLong ? 200 : 12); n++) {
      await wait(200 + random.below(900))
      if (n % 3 === 2) {
        const cut = await fixture.db.sql`
          select pg_terminate_backend(pid) from pg_stat_activity
          where datname = current_database() and application_name = 'plenum'`
        counts.cuts += cut.length
        continue
      }
      const former = server
      if (random.chance(0.3)) {
        counts.stops++
        await former.stop()
      } else {
        counts.kills++
        await former.kill()
      }
      server = await fixture.restart(former)
    }
    working = false
  }
  await Promise.all([work(), harm()])
  await until('all is written', () => clients.every(({ isLive, isWriting }) => isLive && !isWriting), 30_000)
  for (const [place, id] of ids.entries()) {
    const here = clients.slice(place * 8, place * 8 + 8)
    const whole = await dump(server, id)
    await until('all have it', () => here.every(({ length }) => length === whole.length), 10_000).catch(
      (error: unknown) => {
        t.diagnostic(`${whole.length} bytes, of which they have ${here.map(describe).join('; ')}`)
        throw error
      },
    )
    for (const client of here) {
      assert.ok(client.bytes.equals(whole), `${client.name} has something else`)
      assert.deepEqual(client.errors, [], client.name)
    }
    const written = here.flatMap(({ accepted }) => accepted).sort((a, b) => a.offset - b.offset)
    let end = 0
    for (const { offset, data } of written) {
      assert.equal(offset, end, 'something that nobody wrote, or wrote twice')
      assert.ok(whole.subarray(offset, offset + data.length).equals(data))
      end = offset + data.length
    }
    assert.equal(end, whole.length)
  }
  t.diagnostic(
    JSON.stringify({
      ...counts,
      appends: clients.reduce((sum, { accepted }) => sum + accepted.length, 0),
      refused: clients.reduce((sum, { refused }) => sum + refused, 0),
      returns: clients.reduce((sum, { returns }) => sum + returns, 0),
    }),
  )
  assert.ok(counts.kills >= 2 && counts.cuts >= 2)
})

test('a standby takes over, and a process that has lost the lease accepts nothing any more', async (t) => {
  const fixture = await openServerFixture(t, { flags })
  const { sql } = fixture.db
  const first = await fixture.start()
  const id = newId()
  const [ann, bob] = [await open(first, id), await open(first, id)]
  ann.send(appendMessage(0, 'abc'))
  await bob.hears('append', 2)
  // Nobody writes to this one at the other process: only the fence can keep the old one from it.
  const alone = newId()
  const dan = await open(first, alone)
  const second = await fixture.start({ ready: false })
  await second.logged(({ event }) => event === 'waiting', 10_000)
  assert.equal(await new DocumentClient(second).ended(), 1006)
  // Stopped, it cannot notice that its lock has gone to the other one.
  first.signal('SIGSTOP')
  await sql`
    select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and objid = 1 and objsubid = 2 and granted
      and database = (select oid from pg_database where datname = current_database())`
  await second.logged(({ event }) => event === 'documentsServing', 20_000)
  const cid = await open(second, id, 3)
  ann.send(appendMessage(3, 'lost'))
  dan.send(appendMessage(0, 'lost'))
  cid.send(appendMessage(3, 'kept'))
  assert.equal((await cid.hears('answer')).status, 1)
  first.signal('SIGCONT')
  const ends = await Promise.all([ann, bob, dan].map((client) => client.ended(10_000)))
  assert.deepEqual(ends, [1006, 1006, 1006])
  assert.equal(dan.all('answer').length, 0)
  assert.equal(ann.all('answer').length, 1)
  assert.equal(bob.all('append').length, 2)
  const { body } = await manage(second, { method: 'dumpDocument', documentID: id }, credentials)
  assert.equal(body.toString(), 'abckept')
  const untouched = await manage(second, { method: 'dumpDocument', documentID: alone }, credentials)
  assert.equal(untouched.body.toString(), '')
  const old = await manage(first, { method: 'checkDocument', documentID: id }, credentials)
  assert.equal(old.status, 503)
  cid.leave()
})

/** What is stored; asked for again where the connection to the database that it would come by was cut before. */
async function dump(server: Plenum, documentID: string): Promise<Buffer> {
  let answer: ManageAnswer | null = null
  await until('the document is read', async () => {
    answer = await manage(server, { method: 'dumpDocument', documentID }, credentials)
    return answer.reason !== databaseIsAway
  })
  const { status, body } = answer as unknown as ManageAnswer
  assert.equal(status, 200)
  return body
}

const describe = ({ name, length, isLive, isWriting, returns, errors }: SketchClient): string =>
  JSON.stringify({ name, length, isLive, isWriting, returns, errors })

async function open(to: Plenum, id: string, offset = 0): Promise<DocumentClient> {
  const client = await new DocumentClient(to).opened()
  client.send(initMessage(id, { offset }))
  await client.hears('append')
  return client
}
