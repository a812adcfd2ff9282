import assert from 'node:assert/strict'
import { after, suite, test } from 'node:test'
import type { TestContext } from 'node:test'
import type { Page } from 'playwright-core'
import { freePort } from '../../demo/port.ts'
import {
  assertAccessible,
  launchChromium,
  noChromium,
  openPage,
  phone,
  picture,
  type Visit,
} from '../support/browser.ts'
import { createDatabase } from '../support/database.ts'
import { gather } from '../support/meeting-fixture.ts'
import type { MeetingFixture } from '../support/meeting-fixture.ts'
import { currentRuntime, startPlenum } from '../support/server.ts'
import { until } from '../support/until.ts'

// The view for a big screen: what a hall sees of a meeting, from far away.

const skip = noChromium || (currentRuntime() !== 'node' && 'the pages are the same on both runtimes')

suite('the big screen', { skip }, async () => {
  const db = await createDatabase()
  const listen = `127.0.0.1:${await freePort()}`
  const plenum = await startPlenum({
    database: db.url,
    listen,
    poll: 0.2,
    grace: 0,
    origin: `http://${listen}`,
  })
  const browser = await launchChromium()
  after(async () => {
    await browser.close()
    await plenum.kill()
    await db.drop()
  })

  const hd = { width: 1280, height: 720 }
  const show = (t: TestContext, meeting: MeetingFixture, index: number, options: Visit = {}): Promise<Page> =>
    openPage(t, browser, plenum, `/meeting/${meeting.id}/${meeting.key(index)}/hall`, {
      viewport: hd,
      ...options,
    })
  const tea = { type: 'newpoll', question: 'Tea or coffee?', answers: ['Tea', 'Coffee'], minutes: 5 }
  const voteFor = (vote: number) => ({ type: 'vote', question: tea.question, vote })

  test('an evening: not open, open, asked, counted; in words, numbers and no names', async (t) => {
    const meeting = await gather(db.sql, plenum, 4, { name: 'Annual General Meeting' })
    const page = await show(t, meeting, 3)
    await page.getByText('The meeting has not been opened yet').waitFor()
    await page.getByText('0 present').waitFor()
    const [chair, bob, eve] = await meeting.enterAll(0, 1, 2)
    t.after(() => [chair, bob, eve].forEach(({ ws }) => ws.terminate()))
    await page.getByText('3 present').waitFor()
    chair.send({ type: 'open' })
    await page.getByText('The meeting is open').waitFor()
    await assertAccessible(page, 'nothing is asked')
    chair.send(tea)
    await page.getByRole('heading', { name: tea.question }).waitFor()
    assert.deepEqual(await page.getByRole('listitem').allInnerTexts(), ['Tea', 'Coffee'])
    assert.match(await page.getByRole('timer').innerText(), /^[45]:\d\d\s+left$/)
    await page.getByText('0 votes cast').waitFor()
    bob.send(voteFor(1))
    await page.getByText('1 vote cast').waitFor()
    assert.ok(!(await page.locator('main').innerText()).includes('1'), 'how many, and not yet for what')
    await assertAccessible(page, 'a poll')
    chair.send(voteFor(0))
    eve.send(voteFor(1))
    await page.getByText('Everyone present has voted.', { exact: true }).waitFor()
    assert.deepEqual(
      (await page.getByRole('listitem').allInnerTexts()).map((text) => text.replace(/\s+/g, ' ').trim()),
      ['Tea 1 33.3%', 'Coffee 2 66.7%'],
    )
    assert.equal(await page.locator('.most .answer').innerText(), 'Coffee')
    await page.getByText('3 votes cast').waitFor()
    await assertAccessible(page, 'a result')
    chair.send({ ...tea, question: 'Once more?' })
    await page.getByRole('heading', { name: 'Once more?' }).waitFor()
    chair.send({ type: 'abortpoll' })
    await page.getByText('The poll was aborted: it has no result.', { exact: true }).waitFor()
    await page.getByText('3 votes cast').waitFor({ state: 'detached' })
    chair.send({ type: 'finish' })
    await page.getByText('The meeting is finished').waitFor()
    const all = await page.locator('body').innerText()
    for (const index of [0, 1, 2, 3]) assert.ok(!all.includes(meeting.name(index)), all)
    assert.deepEqual(await page.locator('input, textarea, select, a').count(), 0)
  })

  test('the key stands in no address that the hall can read, and loading the page anew keeps it', async (t) => {
    const meeting = await gather(db.sql, plenum, 1, { state: 1, allowrejoin: true })
    const page = await show(t, meeting, 0)
    await page.getByText('The meeting is open').waitFor()
    assert.equal(new URL(page.url()).pathname, `/meeting/${meeting.id}/hall`)
    await page.reload()
    await page.getByText('The meeting is open').waitFor()
    assert.ok(!page.url().includes(meeting.key(0)))
    const stranger = await openPage(t, browser, plenum, `/meeting/${meeting.id}/hall`)
    await stranger.getByText('This link does not show the meeting').waitFor()
  })

  test('what cannot be reached is said, and shown again when it can', async (t) => {
    const meeting = await gather(db.sql, plenum, 1, { state: 1, allowrejoin: true })
    const page = await show(t, meeting, 0)
    await page.getByText('The meeting is open').waitFor()
    await page.context().setOffline(true)
    await page.getByText('Connection lost. What is shown may be out of date.').waitFor()
    await page.getByText('The meeting is open').waitFor()
    await page.context().setOffline(false)
    await page.getByText('Connection lost.').waitFor({ state: 'detached' })
  })

  const long = {
    ...tea,
    question:
      'Shall the general assembly accept the report of the board for the past year, with the corrections that were read out, and discharge the treasurer and all members of the board? '
        .repeat(3)
        .slice(0, 500)
        .trim(),
    answers: ['Yes', 'No', 'Abstain', 'Postpone', 'Refer'].map((first) =>
      `${first}: ${'the report goes back to the committee, which is to bring it before the next assembly '.repeat(3)}`
        .slice(0, 200)
        .trim(),
    ),
  }

  test('the longest question is seen whole, and the smallest text is readable from far, at any resolution', async (t) => {
    const meeting = await gather(db.sql, plenum, 1, {
      state: 1,
      allowrejoin: true,
      name: 'Annual General Meeting',
    })
    const chair = await meeting.enter(0)
    t.after(() => chair.ws.terminate())
    const page = await show(t, meeting, 0)
    /** The size of the smallest text as a part of the height of the screen; and whether all of the page is to be seen. */
    const look = () =>
      page.evaluate<{ smallest: number; isWhole: boolean }>(`(() => {
        const texts = [...document.querySelectorAll('main *, footer *')].filter((one) =>
          [...one.childNodes].some(({ nodeType, data }) => nodeType === 3 && data.trim() !== ''))
        const sizes = texts.map((one) => parseFloat(getComputedStyle(one).fontSize))
        const main = document.querySelector('main')
        const root = document.documentElement
        return {
          smallest: Math.min(...sizes) / innerHeight,
          isWhole: main.scrollHeight <= main.clientHeight && root.scrollHeight <= innerHeight && root.scrollWidth <= innerWidth,
        }
      })()`)
    for (const [poll, least] of [
      [tea, 0.035],
      [long, 0.02],
    ] as const) {
      chair.send(poll)
      await page.getByRole('heading', { name: poll.question }).waitFor()
      for (const [name, viewport] of Object.entries({
        hd,
        full: { width: 1920, height: 1080 },
        '4k': { width: 3840, height: 2160 },
        beamer: { width: 1024, height: 768 },
      })) {
        await page.setViewportSize(viewport)
        await until(`all of it is to be seen: ${name}`, async () => (await look()).isWhole)
        const { smallest } = await look()
        assert.ok(smallest >= least, `${name}: ${smallest}`)
        await picture(page, `hall-${poll === tea ? 'short' : 'long'}-${name}`)
      }
      chair.send({ type: 'abortpoll' })
      await page.locator('.ending').waitFor()
    }
    await page.setViewportSize(phone)
    await page.getByText('1 present').waitFor()
    assert.equal(await page.evaluate(`document.documentElement.scrollWidth <= innerWidth`), true)
    await picture(page, 'hall-phone')
  })

  test('in the language of the browser, in the dark, and with forced colours', async (t) => {
    const meeting = await gather(db.sql, plenum, 2, { state: 1, allowrejoin: true, name: 'Årsmöte' })
    const [chair, other] = await meeting.enterAll(0, 1)
    t.after(() => [chair, other].forEach(({ ws }) => ws.terminate()))
    chair.send(tea)
    const pages = await Promise.all(
      ['sv', 'de', 'fr'].map(
        async (locale) =>
          await show(t, meeting, 0, {
            locale,
            colorScheme: locale === 'sv' ? 'dark' : 'light',
            forcedColors: locale === 'fr' ? 'active' : 'none',
          }),
      ),
    )
    const [swedish, german, french] = pages as [Page, Page, Page]
    await swedish.getByText('0 röster avgivna').waitFor()
    await german.getByText('2 anwesend').waitFor()
    await french.getByText('0 vote exprimé').waitFor()
    for (const [n, page] of pages.entries()) await picture(page, `hall-language-${n}`)
    chair.send(voteFor(1))
    other.send(voteFor(0))
    await swedish.getByText('Resultat', { exact: true }).waitFor()
    for (const [n, page] of pages.entries()) await picture(page, `hall-result-${n}`)
  })
})
