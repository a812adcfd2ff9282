import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { freePort } from '../../demo/port.ts'
import { newKey } from '../../demo/association.ts'
import type { StatusReport } from '../../src/page/client/status/report.ts'
import { assertAccessible, desktop, launchChromium, noChromium, phone } from '../support/browser.ts'
import { gather, settle } from '../support/meeting-fixture.ts'
import { openServerFixture } from '../support/server-fixture.ts'
import { join } from '../support/meeting-client.ts'
import { currentRuntime, fetchFrom } from '../support/server.ts'
import { until } from '../support/until.ts'

async function report(listen: string): Promise<StatusReport> {
  const { status, headers, body } = await fetchFrom(listen, '/status.json')
  assert.deepEqual([status, headers['cache-control']], [200, 'no-store'])
  return JSON.parse(body) as StatusReport
}

suite('what the status page is told', { concurrency: 3 }, () => {
  test('meetings, figures, rates of the last minutes, and warnings', async (t) => {
    const fixture = await openServerFixture(t, { grace: 60, origin: 'https://www.example.org' })
    const plenum = await fixture.start()
    const first = await report(plenum.listen)
    assert.deepEqual([first.waitsFor, first.meetings, first.recent], [null, [], []])
    assert.deepEqual([first.figures.here, first.figures.connections], [0, 0])
    assert.ok(first.version && first.runtime.startsWith(currentRuntime()) && first.upSince <= first.now)

    const meeting = await gather(fixture.db.sql, plenum, 3, { name: 'Assembly <i>' })
    const [chair, ann, bob] = await meeting.enterAll(0, 1, 2)
    chair.send({ type: 'open' })
    await bob.reset()
    chair.send({ type: 'newpoll', question: 'Well?', answers: ['Yes', 'No'], minutes: 5 })
    await ann.next('poll', ({ data }) => data !== null)
    ann.send({ type: 'vote', question: 'Well?', vote: 0 })
    await settle(chair, ann)
    for (let n = 0; n < 2; n++)
      await assert.rejects(
        join(plenum, meeting.id, meeting.key(1), { headers: { origin: 'https://evil.example' } }),
      )
    await until('he is away', async () => (await report(plenum.listen)).figures.away === 1)
    const { meetings, figures, recent, maxDatabaseConnections } = await report(plenum.listen)
    assert.deepEqual(meetings, [
      {
        id: meeting.id,
        name: 'Assembly <i>',
        state: 'open',
        here: 2,
        away: 1,
        pollUnderWay: true,
        queuedCommands: 0,
      },
    ])
    assert.deepEqual([figures.here, figures.away, figures.connections], [2, 1, 2])
    assert.ok(figures.databaseConnections >= 2 && figures.databaseConnections <= maxDatabaseConnections)
    assert.ok(figures.residentBytes > figures.heapBytes && figures.heapBytes > 1e6)
    assert.deepEqual(
      recent.map(({ count, entry: { level, event } }) => [count, level, event]),
      [[2, 'warn', 'originRefused']],
    )

    const seen = (await report(plenum.listen)).history.series.linesPerSecond?.length ?? 0
    chair.say('another')
    await until(
      'the next sample is taken',
      async () => ((await report(plenum.listen)).history.series.linesPerSecond?.length ?? 0) > seen + 1,
      12_000,
    )
    const { history } = await report(plenum.listen)
    assert.equal(history.everySeconds, 5)
    const lengths = new Set(Object.values(history.series).map(({ length }) => length))
    assert.equal(lengths.size, 1)
    const most = (name: keyof typeof history.series): number =>
      Math.max(...(history.series[name] ?? []).map((value) => value ?? 0))
    for (const name of [
      'linesPerSecond',
      'votesPerSecond',
      'deliveriesPerSecond',
      'commitP50',
      'commitP99',
      'fanOutP99',
      'loopP99',
      'connections',
      'people',
      'databaseConnections',
      'residentBytes',
      'heapBytes',
      'cpuPercent',
    ] as const)
      assert.ok(most(name) > 0, name)
    assert.ok(most('deliveriesPerSecond') >= most('linesPerSecond'))
    assert.ok(most('commitP50') <= most('commitP99') && most('commitP99') < 5000)
  })

  test('with -adminlisten it is there alone; a record is not', async (t) => {
    const fixture = await openServerFixture(t)
    const admin = `127.0.0.1:${await freePort()}`
    const plenum = await fixture.start({ flags: ['-adminlisten', admin], readyAt: admin })
    for (const path of ['/status', '/status.json']) {
      assert.equal((await plenum.get(path)).status, 404)
      assert.equal((await fetchFrom(admin, path)).status, 200)
    }
    const { headers } = await fetchFrom(admin, '/status')
    assert.match(String(headers['content-security-policy']), /^default-src 'none'; script-src 'sha256-/)
    assert.equal((await fetchFrom(admin, `/meeting/11/${newKey()}/record`)).body, 'not found\n')
  })

  test('who stands by says what he waits for', async (t) => {
    const fixture = await openServerFixture(t)
    await fixture.start()
    const standby = await fixture.start({ ready: false })
    await standby.logged(({ event }) => event === 'waiting', 15_000)
    const { waitsFor, meetings, recent } = await report(standby.listen)
    assert.match(waitsFor ?? '', /^another Plenum process serves the meetings/)
    assert.deepEqual(meetings, [])
    assert.ok(recent.some(({ entry: { event } }) => event === 'waiting'))
  })
})

const skip = noChromium || (currentRuntime() !== 'node' && 'the page is the same on both runtimes')

suite('the status page in Chromium', { skip }, () => {
  test('it shows what is, follows it, pauses unseen, and says when nobody answers', async (t) => {
    const fixture = await openServerFixture(t, { origin: 'https://www.example.org' })
    const plenum = await fixture.start()
    const meeting = await gather(fixture.db.sql, plenum, 2, { name: 'Assembly <i>' })
    await meeting.enter(0)
    const browser = await launchChromium()
    t.after(() => browser.close())
    for (const viewport of [desktop, phone]) {
      const context = await browser.newContext({ viewport })
      const page = await context.newPage()
      await page.goto(plenum.url('/status'))
      await page.getByRole('button', { name: /^People/ }).click()
      await page.getByText(meeting.name(0)).waitFor()
      await assertAccessible(page, 'the status page')
      assert.equal(
        await page.evaluate('document.documentElement.scrollWidth <= document.documentElement.clientWidth'),
        true,
      )
      await context.close()
    }

    const context = await browser.newContext()
    const page = await context.newPage()
    const said: string[] = []
    let asked = 0
    page.on('console', (message) => said.push(message.text()))
    page.on('request', (request) => {
      if (request.url().endsWith('/status.json')) asked++
    })
    await page.goto(plenum.url('/status'))
    await page.getByText('Serving the meetings').waitFor()
    const row = page.getByRole('row', { name: /Assembly <i>/ })
    assert.match(await row.innerText(), /pending\s+1\s+0/)
    await meeting.enter(1)
    await page.getByRole('row', { name: /pending 2 0/ }).waitFor()
    assert.deepEqual(said, [])

    const hide = (hidden: boolean): Promise<unknown> =>
      page.evaluate(`Object.defineProperty(document, 'hidden', { value: ${hidden}, configurable: true })
        document.dispatchEvent(new Event('visibilitychange'))`)
    await hide(true)
    await page.waitForTimeout(2500)
    const before = asked
    await page.waitForTimeout(3000)
    assert.equal(asked, before)
    await hide(false)
    await until('it asks again', () => asked > before, 1000)

    await plenum.kill()
    await page.getByText('The server does not answer').waitFor()
    assert.match(await page.innerText('header'), /What is shown is \d+ s old/)
    assert.equal(await page.title(), 'No answer – Plenum')
    const again = await fixture.restart(plenum)
    await page.getByText('Serving the meetings').waitFor()
    await again.stop()
  })
})
