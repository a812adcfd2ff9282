import assert from 'node:assert/strict'
import { after, suite, test } from 'node:test'
import type { TestContext } from 'node:test'
import type { Page } from 'playwright-core'
import { freePort } from '../demo/port.ts'
import { launchChromium, noChromium, openPage, visit } from './support/browser.ts'
import { invite } from './support/chatter.ts'
import { createDatabase } from './support/database.ts'
import { gather } from './support/gathering.ts'
import { currentRuntime, startPlenum } from './support/server.ts'
import { until } from './support/until.ts'

// What people bring with them to the pages: input methods, tablets, clocks that are set, second tabs, printers.

const skip = noChromium || (currentRuntime() !== 'node' && 'the pages are the same on both runtimes')

suite('people and their devices', { skip }, async () => {
  const db = await createDatabase()
  const { sql } = db
  const listen = `127.0.0.1:${await freePort()}`
  const plenum = await startPlenum({
    database: db.url,
    listen,
    poll: 0.5,
    origin: `http://${listen}`,
    flags: ['-chat', '-rate', '0'],
  })
  const browser = await launchChromium()
  after(async () => {
    await browser.close()
    await plenum.kill()
    await db.drop()
  })

  const connected = (page: Page) => page.getByText('Connected', { exact: true }).waitFor()
  const field = (page: Page) => page.getByLabel('Your message')
  /** What has been said, as the page shows it. */
  const said = (page: Page) =>
    page.locator('.line:not(.pending, .waiting *):not(.is-presence, .is-system) .text').allInnerTexts()
  const shows = (page: Page, ...lines: string[]) =>
    until(
      `the page shows ${lines.join(', ')}`,
      async () => (await said(page)).join('\n') === lines.join('\n'),
    )

  async function openChat(t: TestContext, options: { hasTouch?: boolean } = {}): Promise<Page> {
    const key = await invite(sql, 'Ada', 700 + Math.floor(Math.random() * 1e6))
    return openPage(t, browser, plenum, `/chat?session_key=${key}`, options)
  }

  /** Both pages with a field to write in. */
  async function openBoth(t: TestContext, options: { hasTouch?: boolean } = {}): Promise<Page[]> {
    const meeting = await gather(sql, plenum, 1)
    const pages = [await visit(t, browser, plenum, meeting, 0, options), await openChat(t, options)]
    for (const page of pages) await connected(page)
    return pages
  }

  test('the Enter that confirms a word of an input method does not send it', async (t) => {
    for (const page of await openBoth(t)) {
      await field(page).click()
      // Composed as by an input method, whose Enter comes as Safari tells it: after the end, and with a code of its own.
      const session = await page.context().newCDPSession(page)
      await session.send('Input.imeSetComposition', { text: 'かんじ', selectionStart: 3, selectionEnd: 3 })
      await page.evaluate(`{ const field = document.getElementById('message')
        const enter = (given) => field.dispatchEvent(new KeyboardEvent('keydown',
          { key: 'Enter', bubbles: true, cancelable: true, ...given }))
        enter({ keyCode: 229, which: 229, isComposing: true }) }`)
      await session.send('Input.insertText', { text: '漢字' })
      await page.evaluate(`document.getElementById('message').dispatchEvent(new KeyboardEvent('keydown',
        { key: 'Enter', keyCode: 229, which: 229, isComposing: false, bubbles: true, cancelable: true }))`)
      assert.equal(await field(page).inputValue(), '漢字')
      await field(page).press('Enter')
      await shows(page, '漢字')
      assert.equal(await field(page).inputValue(), '')
    }
  })

  test('on a tablet with a keyboard Ctrl or Cmd and Enter send, and Enter alone begins a new line', async (t) => {
    for (const page of await openBoth(t, { hasTouch: true })) {
      assert.equal(await page.evaluate(`matchMedia('(pointer: coarse)').matches`), true)
      await field(page).fill('one')
      await field(page).press('Enter')
      await page.keyboard.type('two')
      await page.getByText('Ctrl').waitFor()
      await field(page).press('Control+Enter')
      await shows(page, 'one\ntwo')
      await field(page).fill('three')
      await field(page).press('Meta+Enter')
      await shows(page, 'one\ntwo', 'three')
    }
  })
})
