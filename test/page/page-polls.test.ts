import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { Page } from 'playwright-core'
import { noChromium, picture, servePages, visit } from '../support/browser.ts'
import { gather } from '../support/meeting-fixture.ts'
import { currentRuntime } from '../support/server.ts'
import { until } from '../support/until.ts'

// What a poll, a result and those who come and go leave of the page for the talk.

const skip = noChromium || (currentRuntime() !== 'node' && 'the pages are the same on both runtimes')

suite('polls and talk on one screen', { skip }, async () => {
  const { sql, plenum, browser } = await servePages((origin) => [
    '-rate',
    '0',
    '-chat',
    '-document',
    '-document-origin',
    origin,
  ])

  const field = (page: Page) => page.getByLabel('Your message')
  /** How much of the log is to be seen, in lines of text. */
  const linesSeen = (page: Page): Promise<number> =>
    page.evaluate<number>(`(() => {
      const log = document.querySelector('.log')
      return log.clientHeight / parseFloat(getComputedStyle(log).lineHeight)
    })()`)
  const isOnScreen = async (page: Page): Promise<boolean> => {
    const box = await field(page).boundingBox()
    return box !== null && box.y >= 0 && box.y + box.height <= (page.viewportSize()?.height ?? 0)
  }
  const say = async (page: Page, text: string): Promise<void> => {
    await field(page).fill(text)
    await field(page).press('Control+Enter')
  }
  const isAtEnd = (page: Page) =>
    page.locator('.log').evaluate((log) => log.scrollHeight - log.scrollTop - log.clientHeight < 5)

  const long = 'An answer that is so long that five of them do not fit beside each other at all'
  const newpoll = (question: string, answers: string[]) => ({
    type: 'newpoll',
    question,
    answers,
    minutes: 5,
  })

  test('the field and four lines of the talk stay, whatever is asked, on a phone with its keyboard too', async (t) => {
    const meeting = await gather(sql, plenum, 2, { state: 1, allowrejoin: true })
    const chair = await meeting.enter(0)
    for (let n = 0; n < 20; n++) chair.say(`line ${n}`)
    const page = await visit(t, browser, plenum, meeting, 1, { viewport: { width: 360, height: 740 } })
    await page.getByText('line 19').waitFor()
    chair.send(
      newpoll(
        'Who writes the minutes of this evening, and of the next one? '.repeat(2),
        Array.from({ length: 5 }, (_, n) => `${long} ${n}`),
      ),
    )
    await page.getByRole('radio').first().waitFor()
    for (const [width, height] of [
      [360, 740],
      [360, 640],
      [360, 370],
      [768, 600],
      [1280, 800],
      [740, 360],
    ] as const) {
      await page.setViewportSize({ width, height })
      await until(`the field is there at ${width} x ${height}`, () => isOnScreen(page))
      const lines = await linesSeen(page)
      assert.ok(lines >= 4, `${lines} lines at ${width} x ${height}`)
      assert.equal(await page.evaluate('document.documentElement.scrollWidth <= innerWidth'), true)
      await picture(page, `poll-long-${width}-${height}`)
    }
    // Long answers stand below each other.
    const lefts = await page
      .locator('.answer')
      .evaluateAll((all) => all.map((one) => one.getBoundingClientRect().left))
    assert.equal(new Set(lefts).size, 1)
  })

  test('who has voted sees the sums, and the ballot folds; before, the chair alone sees them', async (t) => {
    const meeting = await gather(sql, plenum, 3, { state: 1, allowrejoin: true })
    const other = await meeting.enter(2)
    const chair = await visit(t, browser, plenum, meeting, 0)
    const page = await visit(t, browser, plenum, meeting, 1)
    await chair.getByRole('tab', { name: 'Chair’s desk' }).click()
    await chair.getByLabel('Question').fill('Shall we?')
    await chair.getByRole('button', { name: 'Start', exact: true }).click()
    await chair.getByText('A new poll has been posted').waitFor()
    // The next question has answers of its own.
    assert.equal(await chair.getByLabel('Question').inputValue(), '')
    const poll = await other.next('poll', ({ data }) => data !== null)
    other.send({ type: 'vote', question: poll.data?.question ?? '', vote: 0 })
    await chair.locator('.answer-votes').getByText('1 vote').waitFor()
    await page.getByText('voted Yes').waitFor()
    assert.equal(await page.locator('.answer-votes').count(), 0)
    await page.getByText('The vote is open: your name and your answer go on the record.').waitFor()
    assert.equal(await page.getByRole('group', { name: 'Your vote' }).count(), 1)
    await page.getByRole('radio', { name: /^No/ }).check()
    await page.getByRole('button', { name: 'Vote “No”' }).click()
    await page.getByText('You have voted “No”.').waitFor()
    await page.getByRole('radio').first().waitFor({ state: 'detached' })
    await page.getByRole('button', { name: 'Show the whole poll' }).click()
    assert.deepEqual(await page.locator('.answer-votes').allInnerTexts(), ['1 vote', '1 vote', '0 votes'])
    await chair.getByRole('radio', { name: /^Yes/ }).check()
    await chair.getByRole('button', { name: 'Vote “Yes”' }).click()
    await page.getByText('“Yes” has the most votes: 2 of 3. 3 of 3 present voted.').waitFor()
    await picture(page, 'result-whole')
    // It folds when somebody speaks.
    await say(chair, 'Thank you all')
    await page.getByRole('button', { name: 'Show the whole result' }).waitFor()
    await page.getByText('“Yes” has the most votes: 2 of 3.').waitFor()
    await picture(page, 'result-folded')
  })

  test('answers: three fields and more; a fault stands at its field; the same answers once more', async (t) => {
    const meeting = await gather(sql, plenum, 1, { state: 1, allowrejoin: true })
    const chair = await visit(t, browser, plenum, meeting, 0)
    await chair.getByRole('tab', { name: 'Chair’s desk' }).click()
    await chair.getByLabel('Question').fill('Who?')
    await chair.getByLabel('Answer 1').fill('Ann')
    await chair.getByLabel('Answer 2').fill('Ann')
    await chair.getByLabel('Answer 3').fill('')
    await chair.getByRole('button', { name: 'Keep for later' }).click()
    const second = chair.getByLabel('Answer 2')
    await until('the fault has the focus', () =>
      chair.evaluate<boolean>(`document.activeElement.id === 'poll-form-1'`),
    )
    assert.equal(await second.getAttribute('aria-invalid'), 'true')
    const fault = await second.getAttribute('aria-describedby')
    assert.equal(await chair.locator(`#${fault}`).innerText(), 'The answers must be different.')
    await second.fill('Bea')
    await chair.getByRole('button', { name: 'Add an answer' }).click()
    await chair.getByLabel('Answer 4').fill('Cid')
    await chair.getByRole('button', { name: 'Keep for later' }).click()
    await chair.getByText('Ann, Bea, and Cid').first().waitFor()
    assert.equal(await chair.getByLabel('Answer 1').inputValue(), 'Yes')
    assert.equal(await chair.getByLabel('Answer 4').count(), 0)
    await chair.getByRole('button', { name: 'Same answers again: Ann, Bea, and Cid' }).click()
    assert.equal(await chair.getByLabel('Answer 2').inputValue(), 'Bea')
    // What was aborted is still to be held.
    const start = chair.getByRole('button', { name: 'Start the poll “Who?”' })
    await start.click()
    await chair.getByRole('button', { name: 'Abort the poll …' }).click()
    const dialog = chair.getByRole('dialog')
    await dialog.getByRole('button', { name: 'Abort the poll', disabled: false }).click()
    await chair.getByText('The poll was aborted: it has no result.').first().waitFor()
    assert.equal(await chair.getByText('was held').count(), 0)
    await chair.getByLabel('Question').fill('Where?')
    await chair.getByRole('button', { name: 'Keep for later' }).click()
    await chair.getByRole('button', { name: 'Start the poll “Where?”' }).click()
    await chair.getByRole('radio', { name: 'Ann' }).check()
    await chair.getByRole('button', { name: 'Vote “Ann”' }).click()
    await chair.getByText('was held').waitFor()
  })

  test('what one says is seen, from wherever one has scrolled; what makes the box another one scrolls nothing', async (t) => {
    const meeting = await gather(sql, plenum, 2, { state: 1, allowrejoin: true })
    const other = await meeting.enter(1)
    for (let n = 0; n < 80; n++) other.say(`line ${n}`)
    const page = await visit(t, browser, plenum, meeting, 0)
    await page.getByText('line 79').waitFor()
    await field(page).fill('a text\n'.repeat(30))
    await until('it is still at the end', () => isAtEnd(page))
    await field(page).fill('')
    await page.setViewportSize({ width: 1280, height: 420 })
    await until('it is still at the end', () => isAtEnd(page))
    assert.equal(await page.getByRole('button', { name: /^To the end/ }).count(), 0)
    await page.locator('.log').hover()
    await page.mouse.wheel(0, -3000)
    await page.getByRole('button', { name: /^To the end/ }).waitFor()
    await say(page, 'from up here')
    await until('it is at the end', () => isAtEnd(page))
    await page.locator('.chunk').getByText('from up here').waitFor()
    await page.getByRole('button', { name: /^To the end/ }).waitFor({ state: 'detached' })
  })

  test('those who come are folded, and a proxy is named', async (t) => {
    const meeting = await gather(sql, plenum, 5, { state: 0 })
    await sql`
      update membership_membermeetingkey set proxyname = 'Ivan Petrov', proxyaccesskey = 'x'
      where meeting_id = ${meeting.id} and member_id = ${meeting.user(1)}`
    const page = await visit(t, browser, plenum, meeting, 0)
    await page.getByText('Connected', { exact: true }).waitFor()
    await page.getByRole('tab', { name: 'Present' }).click()
    const others = await meeting.enterAll(1, 2, 3, 4)
    const came = page.locator('.run summary')
    await came.getByText(`${meeting.name(0)}, ${meeting.name(1)}, and 3 more came in`).waitFor()
    await page.getByText(`Ivan Petrov, for ${meeting.name(1)}`).waitFor()
    const lines = page.locator('.run .line')
    assert.equal(await lines.first().isVisible(), false)
    await came.click()
    await page.getByText(`Member ${meeting.name(4)} joined the meeting`).waitFor()
    assert.equal(await lines.count(), 5)
    await picture(page, 'run-unfolded')
    for (const other of others) await other.close()
  })

  test('opening a meeting is no red button; a page of an address that is not let in is told so', async (t) => {
    const meeting = await gather(sql, plenum, 1, { state: 0 })
    const chair = await visit(t, browser, plenum, meeting, 0)
    await chair.getByRole('tab', { name: 'Chair’s desk' }).click()
    await chair.getByRole('button', { name: 'Open the meeting …' }).click()
    await chair.getByRole('dialog').getByText('One member is here.').waitFor()
    assert.equal(await chair.getByRole('dialog').locator('button.danger').count(), 0)
    await chair.keyboard.press('Escape')
    // The same server by another name.
    const elsewhere = `http://${plenum.listen.replace('127.0.0.1', 'localhost')}`
    const page = await browser.newPage({ locale: 'en-GB' })
    t.after(() => page.close())
    const own = `/meeting/${meeting.id}/${meeting.key(0)}`
    for (const path of ['/chat?session_key=any', '/document/demo#any', `${own}/hall`, own]) {
      await page.goto(`${elsewhere}${path}`)
      await page.getByText(`This server takes no connections from pages at ${elsewhere}.`).waitFor()
    }
    await picture(page, 'origin-refused')
  })
})
