import assert from 'node:assert/strict'
import { suite, test, type TestContext } from 'node:test'
import { Chatter, invite } from '../support/chatter.ts'
import { gather, settle } from '../support/gathering.ts'
import { openHouse } from '../support/house.ts'
import { hasPgBouncer, startPgBouncer } from '../support/pgbouncer.ts'
import type { PgBouncer } from '../support/pgbouncer.ts'
import { runPlenum } from '../support/server.ts'
import { until } from '../support/until.ts'
import { appendMessage, initMessage, Zwibbler } from '../support/zwibbler.ts'

const skip = hasPgBouncer ? false : 'pgbouncer is not installed'

async function pool(
  t: TestContext,
  url: string,
  mode: Parameters<typeof startPgBouncer>[1],
): Promise<PgBouncer> {
  const pooler = await startPgBouncer(url, mode)
  t.after(() => pooler.stop())
  return pooler
}

suite('PgBouncer before the database', { concurrency: 3, skip }, () => {
  test('with a session for each connection all doors work', async (t) => {
    const house = await openHouse(t)
    const { sql } = house.db
    const { url } = await pool(t, house.db.url, 'session')
    const plenum = await house.start({ database: url, flags: ['-rate', '0', '-chat', '-document'] })
    const meeting = await gather(sql, plenum, 2, { state: 1, allowrejoin: true })
    const [ann, bob] = await meeting.enterAll(0, 1)
    await settle(ann, bob)
    const chatter = await new Chatter(plenum, await invite(sql, 'Ann', 1)).entered()
    await sql`select chat.new_message(1, now(), 'app', 'from elsewhere')`
    await chatter.hears('from elsewhere')
    const client = await new Zwibbler(plenum).opened()
    t.after(() => client.leave())
    client.send(initMessage('a document'))
    await client.hears('append')
    client.send(appendMessage(0, 'change'))
    assert.equal((await client.hears('answer')).length, 6)
    const { code, stderr } = await runPlenum(['check', '-origin', 'http://localhost', '-dburl', url])
    assert.equal(code, 0, stderr)
  })

  for (const mode of ['transaction', 'statement'] as const)
    test(`with one for each ${mode} it does not start, and says why`, async (t) => {
      const house = await openHouse(t)
      const { url } = await pool(t, house.db.url, mode)
      const words = /gives a session to others between transactions.*pool_mode = session/
      const checked = await runPlenum(['check', '-origin', 'http://localhost', '-dburl', url])
      assert.equal(checked.code, 1)
      assert.match(checked.stderr, words)
      const plenum = await house.start({ database: url, ready: false })
      assert.equal((await plenum.exited).code, 1)
      await until('its last line is read', () => words.test(plenum.stderr.at(-1) ?? ''))
    })
})
