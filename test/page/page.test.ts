import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import type { TestContext } from 'node:test'
import type { Browser, Page } from 'playwright-core'
import { freePort } from '../../demo/port.ts'
import { assertAccessible, launchChromium, noChromium, phone, picture, visit } from '../support/browser.ts'
import { gather } from '../support/meeting-fixture.ts'
import { openServerFixture } from '../support/server-fixture.ts'
import type { ServerFixture } from '../support/server-fixture.ts'
import { currentRuntime } from '../support/server.ts'
import type { Plenum } from '../support/server.ts'
import { patience } from '../support/patience.ts'
import { until } from '../support/until.ts'

// Plenum's own meeting page, in a real browser with a real server.

/** The page is the same, so that one meeting says all there. */
const onDeno = currentRuntime() === 'deno' && 'it is played on Node alone, as the page is the same'

let browser: Browser

/** A server whose own page may connect to it. */
async function open(
  t: TestContext,
  flags: string[] = ['-rate', '0'],
): Promise<{ fixture: ServerFixture; plenum: Plenum }> {
  const fixture = await openServerFixture(t, { flags })
  const listen = `127.0.0.1:${await freePort()}`
  return { fixture, plenum: await fixture.start({ listen, origin: `http://${listen}` }) }
}

async function restart(fixture: ServerFixture, plenum: Plenum): Promise<Plenum> {
  return await fixture.restart(plenum, { origin: `http://${plenum.listen}` })
}

const connected = (page: Page) => page.getByText('Connected', { exact: true }).waitFor()

async function say(page: Page, text: string): Promise<void> {
  await page.getByLabel('Your message').fill(text)
  await page.getByRole('button', { name: 'Send', exact: true }).click()
}

/** The lines on the page that people have said, as they read. */
const said = (page: Page) => page.locator('.chunk .line.is-said .text').allInnerTexts()

const line = (page: Page, text: string) => page.locator('.chunk .line .text').getByText(text, { exact: true })

const times = (texts: string[], text: string) => texts.filter((one) => one === text).length

/** Presses a button that asks first, and says yes. */
async function insist(page: Page, button: string | RegExp, yes: string | RegExp): Promise<void> {
  await page.getByRole('button', { name: button }).click()
  const dialog = page.getByRole('dialog')
  await dialog.getByRole('button', { name: yes, disabled: false }).click()
  await dialog.waitFor({ state: 'detached' })
}

async function preparePoll(page: Page, question: string, answers: string[]): Promise<void> {
  await page.getByLabel('Question').fill(question)
  for (let n = 3; n < answers.length; n++) await page.getByRole('button', { name: 'Add an answer' }).click()
  for (let n = 0; n < Math.max(3, answers.length); n++)
    await page.getByLabel(`Answer ${n + 1}`).fill(answers[n] ?? '')
  await page.getByRole('button', { name: 'Keep for later' }).click()
}

suite('the meeting page', { skip: noChromium }, () => {
  before(async () => {
    browser = await launchChromium()
  })
  after(() => browser.close())

  test('a whole meeting: a chair and two members, a reload, lost networks, a restart in the middle of a poll', async (t) => {
    const { fixture, plenum } = await open(t)
    const meeting = await gather(fixture.db.sql, plenum, 3, { name: 'Annual General Meeting 2026' })
    const chair = await visit(t, browser, plenum, meeting, 0)
    const ben = await visit(t, browser, plenum, meeting, 1, { viewport: phone, hasTouch: true })
    const cleo = await visit(t, browser, plenum, meeting, 2, { colorScheme: 'dark' })
    for (const page of [chair, ben, cleo]) await connected(page)
    assert.equal(await chair.title(), 'Annual General Meeting 2026')
    await cleo.getByRole('heading', { name: 'Present 3' }).waitFor()

    await say(cleo, 'Good evening, all\nsee https://example.org/agenda.')
    const link = chair.getByRole('link', { name: 'https://example.org/agenda' })
    assert.equal(await link.getAttribute('rel'), 'noopener noreferrer nofollow')
    await picture(chair, 'pending-chair-desktop')

    // A double click opens the dialog, and is not its answer.
    await chair.getByRole('tab', { name: 'Chair’s desk' }).click()
    const openIt = chair.getByRole('button', { name: 'Open the meeting …' })
    await openIt.dblclick()
    await chair.getByRole('dialog').waitFor()
    await chair.keyboard.press('Escape')
    await openIt.click()
    await until('the way back has the focus', async () => {
      return (await chair.evaluate('document.activeElement.textContent')) === 'Cancel'
    })
    await picture(chair, 'dialog-open-desktop')
    await chair.keyboard.press('Escape')
    assert.equal(await meeting.state(), 0)
    const toRecord = chair.getByRole('link', { name: 'Record', exact: true })
    assert.equal(await toRecord.count(), 0)
    await insist(chair, 'Open the meeting …', 'Open the meeting')
    await ben.getByText('Open – on the record').waitFor()

    await preparePoll(chair, 'Accept the annual report?', ['Yes', 'No', 'Abstain'])
    await preparePoll(chair, 'Who writes the minutes?', ['Ben', 'Cleo'])
    await chair.getByRole('button', { name: 'Move “Who writes the minutes?” up' }).click()
    await chair.reload()
    await chair.getByRole('tab', { name: 'Chair’s desk' }).click()
    const prepared = chair.locator('.prepared-question')
    assert.deepEqual(await prepared.allInnerTexts(), ['Who writes the minutes?', 'Accept the annual report?'])
    await picture(chair, 'desk-desktop')

    await chair.getByRole('button', { name: 'Start the poll “Accept the annual report?”' }).click()
    for (const page of [ben, cleo]) {
      await page.getByRole('heading', { name: 'Accept the annual report?' }).waitFor()
      assert.match(await page.title(), /^● Poll! – /)
      assert.match(await page.getByRole('timer').innerText(), /^(5:00|4:5\d)$/)
    }
    await picture(ben, 'poll-phone')
    await picture(cleo, 'poll-desktop-dark')
    await ben.getByRole('radio', { name: /^Yes/ }).check()
    await ben.getByRole('button', { name: 'Vote “Yes”' }).click()
    await ben.getByText('You have voted “Yes”.').waitFor()
    await picture(ben, 'poll-voted-phone')
    await chair.getByText('1 of 3 present have voted.').waitFor()
    await chair.getByText('2 have not voted yet:').waitFor()
    await picture(chair, 'poll-chair-desktop')

    // Reloaded in the middle of the poll: the vote is shown, and can be changed.
    await say(ben, 'a line')
    await ben.getByLabel('Your message').fill('a draft')
    await ben.reload()
    await ben.getByText('You have voted “Yes”.').waitFor()
    assert.equal(await ben.getByLabel('Your message').inputValue(), 'a draft')
    await ben.getByRole('button', { name: 'Show the whole poll' }).click()
    await ben.getByRole('radio', { name: /^No/ }).check()
    await ben.getByRole('button', { name: 'Change to “No”' }).click()
    await ben.getByText('You have voted “No”.').waitFor()

    // The server goes away; what is said and voted meanwhile counts once when it is back.
    await plenum.kill()
    await cleo.getByText('Connection lost – what you write is kept.').waitFor()
    await say(cleo, 'said while the server was away')
    await cleo.getByRole('radio', { name: /^Yes/ }).check()
    await cleo.getByRole('button', { name: 'Vote “Yes”' }).click()
    await cleo.getByText('Your vote will be sent when the connection is back.').waitFor()
    await picture(cleo, 'lost-desktop-dark')
    await picture(ben, 'lost-phone')
    await cleo.reload({ waitUntil: 'commit' }).catch(() => {})
    const second = await restart(fixture, plenum)
    const address = second.url(`/meeting/${meeting.id}/${meeting.key(2)}`)
    // The browser may still be on its way to its own page of the failed reload, which interrupts this one.
    const opened = () =>
      cleo.goto(address).then(
        () => true,
        () => false,
      )
    await until('the page is opened again', opened)
    await cleo.getByText('You have voted “Yes”.').waitFor()
    await line(chair, 'said while the server was away').waitFor()
    for (const page of [chair, ben, cleo]) await connected(page)

    // The last vote ends the poll.
    await chair.getByRole('radio', { name: /^Abstain/ }).check()
    await chair.getByRole('button', { name: 'Vote “Abstain”' }).click()
    for (const page of [chair, ben, cleo]) {
      await page
        .getByText('“Yes”, “No”, and “Abstain” have the most votes, 1 each. 3 of 3 present voted.')
        .waitFor()
      assert.equal(await page.title(), 'Annual General Meeting 2026')
    }
    await picture(chair, 'result-desktop')
    await picture(ben, 'result-phone')
    await picture(cleo, 'result-desktop-dark')
    await cleo.getByRole('button', { name: 'Close the result' }).click()

    // A network that is lost, and comes back.
    await cleo.context().setOffline(true)
    await cleo.getByText('No network – what you write is kept').waitFor()
    await say(cleo, 'said without a network')
    await cleo.getByText('will be sent when the connection is back').waitFor()
    await cleo.context().setOffline(false)
    await line(ben, 'said without a network').waitFor()
    await cleo.getByText('will be sent when the connection is back').waitFor({ state: 'detached' })

    // Another window of the same member takes over, and is taken over from.
    const other = await cleo.context().newPage()
    await other.goto(cleo.url())
    await connected(other)
    await cleo.getByRole('heading', { name: 'You are in this meeting in another window' }).waitFor()
    await picture(cleo, 'elsewhere-desktop-dark')
    await cleo.getByRole('button', { name: 'Use this window instead' }).click()
    await connected(cleo)
    await other.getByRole('heading', { name: 'You are in this meeting in another window' }).waitFor()
    await other.close()

    // A poll that is aborted, with a question before.
    await chair.getByRole('button', { name: 'Start the poll “Who writes the minutes?”' }).click()
    await cleo.getByRole('heading', { name: 'Who writes the minutes?' }).waitFor()
    await insist(chair, 'Abort the poll …', 'Abort the poll')
    await cleo.getByText('The poll was aborted: it has no result.').first().waitFor()

    // Removed with leave to return, and for good.
    await chair.getByRole('tab', { name: 'Present' }).click()
    await picture(chair, 'people-chair-desktop')
    await insist(chair, `Remove ${meeting.name(1)} …`, /^Remove/)
    await ben.getByRole('heading', { name: 'You have been removed from this meeting' }).waitFor()
    await picture(ben, 'removed-phone')
    await ben.getByText('You may enter it again.').waitFor()
    await ben.getByRole('button', { name: 'Enter again' }).click()
    await connected(ben)
    await chair.getByRole('button', { name: `Remove ${meeting.name(2)} …` }).click()
    await chair.getByRole('radio', { name: 'Stays out for good' }).check()
    await picture(chair, 'dialog-kick-desktop')
    await chair
      .getByRole('dialog')
      .getByRole('button', { name: /^Remove/, disabled: false })
      .click()
    await cleo.getByRole('heading', { name: 'You have been removed from this meeting' }).waitFor()
    await cleo.getByText('For good: only the operator can let you in again.').waitFor()
    assert.equal(await cleo.locator('.gone button').count(), 0)
    assert.equal(await cleo.locator('.person').getByText(meeting.name(2)).count(), 0)
    await cleo.reload()
    await cleo.getByRole('heading', { name: 'You are not allowed to enter this meeting' }).waitFor()

    await chair.getByRole('tab', { name: 'Chair’s desk' }).click()
    await insist(chair, 'Finish the meeting …', 'Finish the meeting')
    await chair.getByText('Finished', { exact: true }).waitFor()
    const [record] = await Promise.all([chair.context().waitForEvent('page'), toRecord.click()])
    await record.getByText('said without a network').waitFor()
    await record.close()
    await insist(ben, 'Leave the meeting', 'Leave')
    await ben.getByRole('button', { name: 'Enter again' }).click()
    await ben.getByRole('heading', { name: 'This meeting is finished' }).waitFor()
    await insist(chair, 'Leave the meeting', 'Leave')
    await chair.getByRole('heading', { name: 'You have left the meeting' }).waitFor()
    await until('the meeting is closed', async () => (await meeting.state()) === 3)

    const texts = await meeting.texts()
    for (const text of ['said while the server was away', 'said without a network', 'a line'])
      assert.equal(times(texts, text), 1, text)
    const votes = texts.filter((text) => / (voted|changed their vote)/.test(text))
    assert.deepEqual(votes, [
      `${meeting.name(1)} voted Yes`,
      `${meeting.name(1)} changed their vote to No`,
      `${meeting.name(2)} voted Yes`,
      `${meeting.name(0)} voted Abstain`,
      'All attendees have voted, poll has completed.',
    ])
    const first = (await said(chair)).filter((text) => text !== '')
    const expected = (await meeting.record()).filter(({ sender }) => sender !== null).map(({ text }) => text)
    assert.deepEqual(first, expected)
  })

  test('what people write stays text, however hostile', { skip: onDeno }, async (t) => {
    const { fixture, plenum } = await open(t)
    const meeting = await gather(fixture.db.sql, plenum, 3, { name: '<img src=x onerror="window.hit=1">' })
    const { sql } = fixture.db
    const name = `</title><script>window.hit=2</script>${'Z\u0351\u0352'.repeat(40)}\u202e`
    await sql`update membership_member set fullname = ${name} where user_id = ${meeting.user(1)}`
    await sql`update membership_membermeetingkey set proxyname = ${'<svg onload=window.hit=3>'}
      where meeting_id = ${meeting.id} and member_id = ${meeting.user(2)}`
    const chair = await visit(t, browser, plenum, meeting, 0)
    const guest = await visit(t, browser, plenum, meeting, 1)
    await visit(t, browser, plenum, meeting, 2)
    await connected(guest)
    const hostile = [
      '<script>window.hit=4</script>',
      '<img src=x onerror=window.hit=5>',
      '"><svg/onload=window.hit=6>',
      'javascript:window.hit=7 data:text/html,<script>window.hit=8</script>',
      'https://example.org/"onmouseover="window.hit=9',
      'http://a:b@[::1]:1/<b>x</b>',
      '{{constructor.constructor("window.hit=10")()}} ${window.hit=11} <!-- ]]> -->',
      '\u202eright to left\u2066 and \u200b invisible',
      'A'.repeat(3000),
      'line\n'.repeat(60).trim(),
    ]
    for (const text of hostile) {
      await guest.getByLabel('Your message').fill(text)
      await guest.keyboard.press('Enter')
    }
    await until('all are said', async () => (await said(chair)).length === hostile.length)
    const shown = await chair
      .locator('.chunk .line.is-said .text')
      .evaluateAll((all) => all.map((one) => one.textContent))
    assert.deepEqual(shown, hostile)
    await chair.getByRole('tab', { name: 'Chair’s desk' }).click()
    await insist(chair, 'Open the meeting …', 'Open the meeting')
    await preparePoll(chair, '<img src=x onerror=window.hit=12>', [
      '<b>Yes</b>',
      '\'"><script>window.hit=13</script>',
    ])
    await chair.getByRole('button', { name: /^Start the poll/ }).click()
    await guest.getByRole('radio', { name: '<b>Yes</b>' }).check()
    await guest.getByRole('button', { name: 'Vote “<b>Yes</b>”' }).click()
    await picture(guest, 'hostile-desktop')
    await insist(chair, 'Abort the poll …', 'Abort the poll')
    await guest.getByText('The poll was aborted').first().waitFor()
    for (const page of [chair, guest]) {
      assert.equal(await page.evaluate('window.hit'), undefined)
      assert.equal(await page.locator('#page img, #page script, #page iframe, #page b').count(), 0)
      const addresses = await page
        .locator('.log a')
        .evaluateAll((all) => all.map((one) => one.getAttribute('href') ?? ''))
      assert.ok(
        addresses.every((address) => /^https?:/.test(address)),
        addresses.join(' '),
      )
      // Nothing makes the page wider than its window.
      assert.equal(await page.evaluate('document.documentElement.scrollWidth <= innerWidth'), true)
    }
  })

  test('axe-core finds nothing, whatever is on the page', { skip: onDeno }, async (t) => {
    const { fixture, plenum } = await open(t)
    const meeting = await gather(fixture.db.sql, plenum, 3, { name: 'Annual General Meeting 2026' })
    const chair = await visit(t, browser, plenum, meeting, 0)
    const ben = await visit(t, browser, plenum, meeting, 1, { viewport: phone })
    for (const page of [chair, ben]) await connected(page)
    await say(ben, 'Good evening https://example.org')
    await line(chair, 'This meeting is now open').waitFor({ state: 'detached' })
    await assertAccessible(chair, 'pending, as chair')
    await chair.getByRole('tab', { name: 'Chair’s desk' }).click()
    await chair.getByRole('button', { name: 'Keep for later' }).click()
    await chair.getByText('The question is missing.').waitFor()
    await assertAccessible(chair, 'desk, with a fault')
    await chair.getByRole('button', { name: 'Open the meeting …' }).click()
    await assertAccessible(chair, 'dialog')
    await chair.keyboard.press('Escape')
    await insist(chair, 'Open the meeting …', 'Open the meeting')
    await preparePoll(chair, 'Accept the annual report?', ['Yes', 'No', 'Abstain'])
    await chair.getByRole('button', { name: /^Start the poll/ }).click()
    await ben.getByRole('radio', { name: /^Yes/ }).waitFor()
    await assertAccessible(ben, 'poll, on a phone')
    await ben.getByRole('radio', { name: /^Yes/ }).check()
    await ben.getByRole('button', { name: 'Vote “Yes”' }).click()
    await ben.getByText('You have voted “Yes”').waitFor()
    await assertAccessible(ben, 'voted, on a phone')
    await assertAccessible(chair, 'desk, with a poll')
    await chair.getByRole('tab', { name: 'Present' }).click()
    await assertAccessible(chair, 'present, as chair')
    await chair.getByRole('radio', { name: /^Yes/ }).check()
    await chair.getByRole('button', { name: 'Vote “Yes”' }).click()
    await ben.getByText('Everyone present has voted.').first().waitFor()
    await assertAccessible(ben, 'result, on a phone')
    await say(ben, 'This meeting is now open')
    await ben.getByText('This was not said').waitFor()
    await ben.context().setOffline(true)
    await say(ben, 'kept')
    await ben.getByText('No network').waitFor()
    await assertAccessible(ben, 'a refusal and no network, on a phone')
    await picture(ben, 'refused-offline-phone')
    await ben.getByRole('tab', { name: 'Present' }).click()
    await assertAccessible(ben, 'present, on a phone')
    await picture(ben, 'people-phone')
    await insist(chair, 'Leave the meeting', 'Leave')
    await assertAccessible(chair, 'left')
    const stranger = await browser.newPage()
    await stranger.goto(plenum.url(`/meeting/${meeting.id}/${meeting.key(1).split('').reverse().join('')}`))
    await stranger.getByRole('heading', { name: 'You are not allowed to enter this meeting' }).waitFor()
    await assertAccessible(stranger, 'refused')
    await picture(stranger, 'refused-desktop')
    await stranger.close()
  })

  test('all of it by keyboard alone, with focus that nothing takes away', { skip: onDeno }, async (t) => {
    const { fixture, plenum } = await open(t)
    const meeting = await gather(fixture.db.sql, plenum, 2, { name: 'By keyboard' })
    const chair = await visit(t, browser, plenum, meeting, 0)
    const ben = await visit(t, browser, plenum, meeting, 1)
    for (const page of [chair, ben]) await connected(page)
    const focused = (page: Page): Promise<string> =>
      page.evaluate<string>(`(() => {
        const { activeElement: one } = document
        return one.getAttribute('aria-label') ?? one.labels?.[0]?.innerText ?? one.innerText ?? one.tagName
      })()`)
    /** Presses Tab until something of this name has the focus. */
    const tabTo = async (page: Page, name: string | RegExp, key = 'Tab'): Promise<void> => {
      for (let n = 0; n < 60; n++) {
        const now = (await focused(page)).trim()
        if (typeof name === 'string' ? now === name : name.test(now)) return
        await page.keyboard.press(key)
      }
      assert.fail(`no way by ${key} to ${String(name)}; at ${await focused(page)}`)
    }
    const { keyboard } = chair
    await tabTo(chair, 'Your message')
    await keyboard.type('Good evening')
    await keyboard.press('Shift+Enter')
    await keyboard.type('everyone')
    await keyboard.press('Enter')
    await ben.getByText('Good evening\neveryone').waitFor()
    const polite = ben.locator('[aria-live=polite]').getByText(`${meeting.name(0)}: Good evening`)
    await polite.waitFor({ state: 'attached' })

    await tabTo(chair, 'Chair’s desk')
    await keyboard.press('ArrowRight')
    assert.match(await focused(chair), /^Present/)
    await keyboard.press('ArrowLeft')
    await tabTo(chair, 'Open the meeting …')
    await keyboard.press('Enter')
    await until('the dialog is there', async () => (await focused(chair)) === 'Cancel')
    await tabTo(chair, 'Open the meeting')
    await chair
      .getByRole('dialog')
      .getByRole('button', { name: 'Open the meeting', disabled: false })
      .waitFor()
    await keyboard.press('Enter')
    await chair.getByText('Open – on the record').waitFor()
    await tabTo(chair, 'Question')
    await keyboard.type('By keyboard?')
    await tabTo(chair, 'Start')

    // Somebody who is writing goes on writing when a poll begins.
    await tabTo(ben, 'Your message')
    await ben.keyboard.type('I am writ')
    await keyboard.press('Enter')
    await ben.getByRole('heading', { name: 'By keyboard?' }).waitFor()
    await ben.keyboard.type('ing')
    assert.equal(await ben.getByLabel('Your message').inputValue(), 'I am writing')
    const told = ben
      .locator('[role=alert]')
      .getByText('A poll begins: By keyboard? Answers: Yes, No, and Abstain.')
    await told.waitFor({ state: 'attached' })
    await tabTo(ben, /^Abstain/, 'Shift+Tab')
    await ben.keyboard.press('ArrowUp')
    await tabTo(ben, 'Vote “No”')
    await ben.keyboard.press('Enter')
    await ben.getByText('You have voted “No”').waitFor()
    // What had the focus is folded.
    await until('the focus is kept', async () => (await focused(ben)) === 'Show the whole poll')
    await ben.keyboard.press('Tab')
    await ben.keyboard.press('F8')
    await until('a key leads to the ballot', async () => (await focused(ben)).startsWith('No'))

    await tabTo(chair, 'Abort the poll …', 'Shift+Tab')
    await keyboard.press('Enter')
    await tabTo(chair, 'Abort the poll')
    await chair.getByRole('dialog').getByRole('button', { name: 'Abort the poll', disabled: false }).waitFor()
    await keyboard.press('Space')
    await ben.getByText('The poll was aborted').first().waitFor()
    await until('the focus is on the result', async () => (await focused(ben)) === 'By keyboard?')
    await until('the focus is at the desk', async () => (await focused(chair)) === 'Prepared polls')

    // The log can be scrolled, and is left and entered.
    await tabTo(ben, 'What was said')
    await ben.keyboard.press('PageUp')
    await tabTo(ben, 'Leave the meeting', 'Shift+Tab')
    await ben.keyboard.press('Enter')
    await until('the dialog is there', async () => (await focused(ben)) === 'Cancel')
    await ben.keyboard.press('Escape')
    await until('the focus is back', async () => (await focused(ben)) === 'Leave the meeting')
  })

  test('5,000 lines and 500 attendees: soon there, smooth, and small', { skip: onDeno }, async (t) => {
    const { fixture, plenum } = await open(t)
    const meeting = await gather(fixture.db.sql, plenum, 502, { name: 'A large meeting' })
    const { sql } = fixture.db
    await sql`
      insert into membership_meetingmessagelog (t, message, meeting_id, sender_id)
      select now() - interval '3 days' + n * interval '50 seconds',
        'Line ' || n || repeat(' of what was said', (n % 13)::int), ${meeting.id},
        case when n % 7 = 0 then null else ${meeting.user(0)}::int + (n / 3 % 400)::int end
      from generate_series(1, 5000) n order by n`
    // They want none of the history.
    const late = { first: 2 ** 31 - 1 }
    const crowd = await Promise.all(Array.from({ length: 500 }, (_, index) => meeting.enter(index + 2, late)))
    t.after(() => crowd.forEach(({ ws }) => ws.terminate()))
    const page = await visit(t, browser, plenum, meeting, 1)
    await line(page, `Member ${meeting.name(1)} joined the meeting`)
      .last()
      .waitFor()
    const figures = (await page.evaluate(`({
      firstPaint: performance.getEntriesByName('first-contentful-paint')[0].startTime,
      all: performance.now(),
      lines: document.querySelectorAll('.line').length,
      people: document.querySelectorAll('.person').length,
    })`)) as { firstPaint: number; all: number; lines: number; people: number }
    assert.ok(figures.lines >= 5501, String(figures.lines))
    assert.equal(figures.people, 501)
    const session = await page.context().newCDPSession(page)
    await session.send('HeapProfiler.collectGarbage')
    await session.send('Performance.enable')
    const { metrics } = await session.send('Performance.getMetrics')
    const heap = (metrics.find(({ name }) => name === 'JSHeapUsedSize')?.value ?? 0) / 1e6
    assert.ok(heap < 60, `${heap} MB`)

    /** The longest times between two frames of the screen while something goes on. */
    const watchFrames = () =>
      page.evaluate(`window.gaps = []; { let last = performance.now()
        const step = () => { const now = performance.now(); gaps.push(now - last); last = now; requestAnimationFrame(step) }
        requestAnimationFrame(step) }`)
    const longest = async (): Promise<number[]> => {
      const gaps = (await page.evaluate('gaps.splice(0)')) as number[]
      return gaps.toSorted((a, b) => b - a).map(Math.round)
    }
    const fromEnd = () =>
      page.evaluate(
        `{ const log = document.querySelector('.log'); log.scrollHeight - log.scrollTop - log.clientHeight }`,
      )
    assert.ok(Number(await fromEnd()) < 48)
    await watchFrames()

    // 50 lines a second: who is at the end stays there.
    const talk = async (seconds: number): Promise<void> => {
      for (let n = 0; n < seconds * 50; n++) {
        crowd[n % crowd.length]?.say(`live ${n}`)
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
    }
    await longest()
    await talk(4)
    await line(page, 'live 199').waitFor()
    const live = await longest()
    assert.ok(Number(await fromEnd()) < 48)

    // Who reads further up is left there, and is told how much there is.
    await page.locator('.log').hover()
    for (let n = 0; n < 15; n++) await page.mouse.wheel(0, -1500)
    await page.waitForTimeout(300)
    const scrolled = await longest()
    // What is above the window, as it reads: the place where one is.
    const top = () =>
      page.evaluate(`{ const box = document.querySelector('.log').getBoundingClientRect()
        const at = document.elementFromPoint(box.left + 200, box.top + 40); at.closest('.chunk') && at.innerText.slice(0, 200) }`)
    const before = await top()
    await talk(1)
    await page.getByRole('button', { name: '50 new lines' }).waitFor()
    assert.equal(await top(), before)
    await picture(page, 'large-desktop')
    await page.getByRole('button', { name: '50 new lines' }).click()
    assert.ok(Number(await fromEnd()) < 48)
    await page.getByText('New since you looked').waitFor()

    await page.getByLabel('Search by name').fill(meeting.name(77))
    await page.getByText(/^1 of 501$/).waitFor()
    t.diagnostic(
      JSON.stringify({
        ...figures,
        heapMB: heap,
        liveGaps: live.slice(0, 5),
        scrollGaps: scrolled.slice(0, 5),
      }),
    )
    for (const gaps of [live, scrolled])
      assert.ok((gaps[0] ?? 0) < patience(1000), gaps.slice(0, 10).join(' '))
  })

  test(
    'each in his own language and zone, by a clock that may be wrong; at every zoom, without motion',
    { skip: onDeno },
    async (t) => {
      const { fixture, plenum } = await open(t)
      const meeting = await gather(fixture.db.sql, plenum, 5, {
        name: 'Jahreshauptversammlung',
        state: 1,
        allowrejoin: true,
      })
      await fixture.db.sql`
      insert into membership_meetingmessagelog (t, message, meeting_id, sender_id)
      values ('2026-01-15 12:00:00+00', 'Long ago', ${meeting.id}, ${meeting.user(3)})`
      const chair = await visit(t, browser, plenum, meeting, 0)
      const readers = {
        de: await visit(t, browser, plenum, meeting, 1, { locale: 'de-AT', viewport: phone }),
        fr: await visit(t, browser, plenum, meeting, 2, {
          locale: 'fr-CA',
          viewport: phone,
          colorScheme: 'dark',
        }),
        sv: await visit(t, browser, plenum, meeting, 3, {
          locale: 'sv-SE',
          timezoneId: 'America/New_York',
          clockError: 3 * 3_600_000,
        }),
        fi: await visit(t, browser, plenum, meeting, 4, {
          locale: 'fi-FI',
          viewport: { width: 640, height: 400 },
        }),
      }
      const { de, fr, sv, fi } = readers
      const words = { de: 'Verbunden', fr: 'Connecté', sv: 'Ansluten', fi: 'Connected' }
      for (const [language, page] of Object.entries(readers)) {
        await page.getByText(words[language as keyof typeof words], { exact: true }).waitFor()
        assert.equal(
          await page.evaluate('document.documentElement.lang'),
          language === 'fi' ? 'en' : language,
        )
      }
      const old = sv.locator('.line', { hasText: 'Long ago' }).locator('time')
      assert.equal(await old.innerText(), '07:00')
      assert.equal(await old.getAttribute('title'), '2026-01-15 13:00:00 (Europe/Stockholm)')
      await sv.getByText('torsdag 15 januari 2026').waitFor()

      await chair.getByRole('tab', { name: 'Chair’s desk' }).click()
      await preparePoll(chair, 'Wird der Rechenschaftsbericht für das vergangene Jahr angenommen?', [
        'Ja',
        'Nein',
      ])
      await fi.emulateMedia({ reducedMotion: 'reduce' })
      await chair.getByRole('button', { name: /^Start the poll/ }).click()
      await sv.getByText('Omröstning – din röst behövs').waitFor()
      assert.match(await sv.getByRole('timer').innerText(), /^(5:00|4:5\d)$/)
      await fi.getByRole('radio', { name: /^Ja/ }).waitFor()
      assert.equal(await fi.evaluate('document.getAnimations().length'), 0)
      await de.getByRole('radio', { name: /^Ja/ }).check()
      await de.getByRole('button', { name: '„Ja“ stimmen' }).click()
      await de.getByText('Sie haben „Ja“ gestimmt.').waitFor()
      await picture(de, 'poll-voted-phone-de')
      await picture(fr, 'poll-phone-dark-fr')
      await picture(fi, 'poll-zoom-200')

      // 200 % and 400 % of a usual window, and the narrowest phone: everything can be reached, nothing to the side.
      for (const viewport of [
        { width: 640, height: 400 },
        { width: 320, height: 256 },
        { width: 320, height: 568 },
      ]) {
        await fi.setViewportSize(viewport)
        assert.equal(await fi.evaluate('document.documentElement.scrollWidth <= innerWidth'), true)
        for (const target of [
          fi.getByRole('radio', { name: /^Nein/ }),
          fi.getByLabel('Your message'),
          fi.getByRole('tab', { name: 'Present' }),
        ]) {
          await target.scrollIntoViewIfNeeded()
          await target.click({ trial: true })
        }
      }
      await picture(fi, 'poll-phone-narrowest')
      const small = await de.locator('button:visible, .answer:visible, textarea:visible').evaluateAll((all) =>
        all
          .filter((one) => !one.matches('.link'))
          .map((one) => ({ name: one.textContent, box: one.getBoundingClientRect() }))
          .filter(({ box }) => box.height < 44 || box.width < 44)
          .map(({ name, box }) => `${name} ${box.width}x${box.height}`),
      )
      assert.deepEqual(small, [], 'too small for a finger')

      // The sound can be turned off, for good.
      await de.getByRole('button', { name: 'Ton bei Abstimmungen', pressed: true }).click()
      await de.reload()
      await de.getByRole('button', { name: 'Ton bei Abstimmungen', pressed: false }).waitFor()
      await de.getByText('Sie haben „Ja“ gestimmt.').waitFor()
    },
  )

  test(
    'while the server is away the page says so, and enters when it is there',
    { skip: onDeno },
    async (t) => {
      const { fixture, plenum } = await open(t)
      const meeting = await gather(fixture.db.sql, plenum, 1)
      const page = await visit(t, browser, plenum, meeting, 0)
      await connected(page)
      await page.context().setOffline(true)
      await page.getByText('No network – what you write is kept').waitFor()
      await plenum.stop()
      await page.context().setOffline(false)
      const now = page.getByRole('button', { name: 'Try now' })
      await now.waitFor()
      await picture(page, 'away-desktop')
      await restart(fixture, plenum)
      // It may have tried by itself meanwhile.
      await now.click({ timeout: 1000 }).catch(() => {})
      await connected(page)
    },
  )

  test('what the browser keeps does not tell the key', { skip: onDeno }, async (t) => {
    const { fixture, plenum } = await open(t)
    const meeting = await gather(fixture.db.sql, plenum, 1)
    const page = await visit(t, browser, plenum, meeting, 0)
    await connected(page)
    await page.getByLabel('Your message').fill('a draft')
    const kept = await page.evaluate<string>(
      'JSON.stringify([localStorage, sessionStorage, document.cookie, document.title, history.state])',
    )
    assert.match(kept, /a draft/)
    assert.ok(!kept.includes(meeting.key(0)) && !plenum.stderr.join('').includes(meeting.key(0)))
  })
})
