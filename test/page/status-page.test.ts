import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { freePort } from '../../demo/port.ts'
import { newKey } from '../../demo/association.ts'
import type { StatusReport } from '../../src/page/client/status/report.ts'
import { assertAccessible, desktop, launchChromium, noChromium, phone } from '../support/browser.ts'
import { farewell, gather, settle } from '../support/meeting-fixture.ts'
import { openServerFixture } from '../support/server-fixture.ts'
import { join } from '../support/meeting-client.ts'
import { currentRuntime, fetchFrom, runPlenum } from '../support/server.ts'
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
    assert.equal(first.pid, plenum.pid)
    assert.ok(first.version && first.runtime.startsWith(currentRuntime()) && first.upSince <= first.now)

    const meeting = await gather(fixture.db.sql, plenum, 4, { name: 'Assembly <i>' })
    const [chair, ann, bob, eve] = await meeting.enterAll(0, 1, 2, 3)
    chair.send({ type: 'kick', user: meeting.user(3), canrejoin: false })
    await farewell(eve)
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
        banned: [meeting.user(3)],
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
      'fanOutP50',
      'fanOutP99',
      'loopP50',
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
    assert.match(await row.innerText(), new RegExp(`${meeting.id}\\s+pending\\s+1\\s+0`))
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

  test('an operator finds in it what they know: throughput, delays, the process, and the ids that commands take', async (t) => {
    const fixture = await openServerFixture(t)
    const plenum = await fixture.start()
    const { sql } = fixture.db
    const meeting = await gather(sql, plenum, 4)
    const [chair, ann, bob] = await meeting.enterAll(0, 1, 2)
    // One who was in, and one who never was.
    chair.send({ type: 'kick', user: meeting.user(2), canrejoin: false })
    await farewell(bob)
    await sql`insert into plenum.ban (meeting_id, member_id, banned_by) values (${meeting.id}, ${meeting.user(3)}, 0)`
    chair.send({ type: 'open' })
    await ann.line('This meeting is now open')
    for (let n = 0; n < 60; n++) chair.say(`line ${n}`)
    await settle(chair, ann)
    await until(
      'they are in the figures',
      async () =>
        (await report(plenum.listen)).history.series.linesPerSecond?.some((value) => (value ?? 0) > 5) ??
        false,
      12_000,
    )
    chair.send({ type: 'finish' })
    await ann.line('This meeting is now finished')

    const browser = await launchChromium()
    t.after(() => browser.close())
    const page = await browser.newPage({ viewport: desktop })
    await page.goto(plenum.url('/status'))
    for (const name of ['Throughput', 'Delay p50 / p99', 'Process', 'Meetings', 'Warnings and errors'])
      await page.getByRole('heading', { name, exact: true }).waitFor()
    const card = (name: string) =>
      page.locator('.plot', { has: page.getByRole('heading', { name, exact: true }) })
    assert.match(await card('Database commit').innerText(), /\n[\d.,]+ \/ [\d.,]+ (ms|µs|s)\n/)
    assert.ok((await page.getByText(`pid ${plenum.pid}`).count()) === 1)

    // The scale has round ends, and its bars the heights that it says.
    const lines = card('Lines stored')
    const [top = NaN, half, zero] = (await lines.locator('.ends span').allInnerTexts()).map(Number)
    assert.ok([10, 20, 50].includes(top), `${top}`)
    assert.deepEqual([half, zero], [top / 2, 0])
    const { series } = (await report(plenum.listen)).history
    const most = Math.max(...(series.linesPerSecond ?? []).map((value) => value ?? 0))
    const height = Number(await page.evaluate("document.querySelector('path.bars').getBBox().height"))
    assert.ok(Math.abs(height - (64 * most) / top) < 0.2, `${height} for ${most} of ${top}`)
    // Each measured delay has a bar of a width that can be seen: none is a crumb.
    const delays = card('Database commit').locator('path.bars.pale')
    const drawn = ((await delays.getAttribute('d')) ?? '').split('Z').filter((bar) => bar !== '')
    const measured = (series.commitP99 ?? []).filter((value) => value !== null)
    assert.ok(drawn.length >= 1 && drawn.length <= measured.length, `${drawn.length} of ${measured.length}`)
    assert.ok(
      drawn.every((bar) => bar.includes('h2.2V64')),
      drawn[0],
    )
    assert.deepEqual(await lines.locator('.times span').allInnerTexts(), ['−10 min', '−5 min', 'now'])

    // A meeting that is over is nothing to worry about.
    const state = page.getByText('finished', { exact: true })
    await state.waitFor()
    const colors = (await page.evaluate(`['.meeting-state.finished', '.state.serving'].map((selector) => {
      const { color, backgroundColor } = getComputedStyle(document.querySelector(selector))
      return [color, backgroundColor]
    })`)) as [string, string][]
    const [red = 0, green = 0, blue = 0] = (/\d+, \d+, \d+/.exec(colors[0]?.[0] ?? '')?.[0] ?? '')
      .split(', ')
      .map(Number)
    assert.ok(Math.max(red, green, blue) - Math.min(red, green, blue) < 16, `${colors[0]?.[0]} is a colour`)
    assert.notDeepEqual(colors[0], colors[1])

    await page.getByRole('button', { name: /^People/ }).click()
    const people = page.locator('tr.people')
    await people.getByText(`ID ${meeting.user(1)}`).waitFor()
    for (const index of [2, 3])
      await people.getByText(`plenum unban ${meeting.id} ${meeting.user(index)}`, { exact: true }).waitFor()
    const unbanned = await runPlenum([
      'unban',
      '-dburl',
      fixture.db.url,
      String(meeting.id),
      String(meeting.user(3)),
    ])
    assert.equal(unbanned.code, 0)
    await people.getByText(`plenum unban ${meeting.id} ${meeting.user(3)}`).waitFor({ state: 'detached' })
    await assertAccessible(page, 'the status page')
    // As wide as a tablet is, where the table is one still.
    await page.setViewportSize({ width: 768, height: 1024 })
    assert.equal(
      await page.evaluate('document.documentElement.scrollWidth <= document.documentElement.clientWidth'),
      true,
    )
  })
})
