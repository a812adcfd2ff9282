import assert from 'node:assert/strict'
import { suite, test, type TestContext } from 'node:test'
import { ChatClient, invite } from '../support/chat-client.ts'
import { gather, settle } from '../support/meeting-fixture.ts'
import { openServerFixture } from '../support/server-fixture.ts'
import { hasPgBouncer, startPgBouncer } from '../support/pgbouncer.ts'
import type { PgBouncer } from '../support/pgbouncer.ts'
import { runPlenum } from '../support/server.ts'
import { until } from '../support/until.ts'
import { appendMessage, initMessage, DocumentClient } from '../support/document-client.ts'

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
    const fixture = await openServerFixture(t)
    const { sql } = fixture.db
    const { url } = await pool(t, fixture.db.url, 'session')
    const plenum = await fixture.start({ database: url, flags: ['-rate', '0', '-chat', '-document'] })
    const meeting = await gather(sql, plenum, 2, { state: 1, allowrejoin: true })
    const [ann, bob] = await meeting.enterAll(0, 1)
    await settle(ann, bob)
    const chatter = await new ChatClient(plenum, await invite(sql, 'Ann', 1)).entered()
    await sql`select chat.new_message(1, now(), 'app', 'from elsewhere')`
    await chatter.hears('from elsewhere')
    const client = await new DocumentClient(plenum).opened()
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
      const fixture = await openServerFixture(t)
      const { url } = await pool(t, fixture.db.url, mode)
      const words = /gives a session to others between transactions.*pool_mode = session/
      const checked = await runPlenum(['check', '-origin', 'http://localhost', '-dburl', url])
      assert.equal(checked.code, 1)
      assert.match(checked.stderr, words)
      const plenum = await fixture.start({ database: url, ready: false })
      assert.equal((await plenum.exited).code, 1)
      await until('its last line is read', () => words.test(plenum.stderr.at(-1) ?? ''))
    })
})
