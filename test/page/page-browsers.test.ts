import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, suite, test } from 'node:test'
import { chromium } from 'playwright-core'
import type { BrowserContext, Page } from 'playwright-core'
import { freePort } from '../../demo/port.ts'
import { chromiumPath, noChromium, picture } from '../support/browser.ts'
import { invite } from '../support/chat-client.ts'
import { createDatabase } from '../support/database.ts'
import { gather } from '../support/meeting-fixture.ts'
import { currentRuntime, startPlenum } from '../support/server.ts'
import { until } from '../support/until.ts'

// Browsers that keep nothing, refuse much, or cannot run a page at all: no page stays blank.

const skip = noChromium || (currentRuntime() !== 'node' && 'the pages are the same on both runtimes')

suite('in an odd browser', { skip }, async () => {
  const db = await createDatabase()
  const { sql } = db
  const port = await freePort()
  const plenum = await startPlenum({
    database: db.url,
    listen: `127.0.0.1:${port}`,
    origin: '*',
    flags: ['-chat', '-document'],
  })
  const meeting = await gather(sql, plenum, 1)
  const key = await invite(sql, 'Alice', 1)
  // A page is trusted by its browser with TLS or from this machine itself: not from this address, which leads here too.
  const far = `http://192.0.2.7:${port}`
  const profile = await mkdtemp(join(tmpdir(), 'plenum-profile-'))
  await mkdir(join(profile, 'Default'))
  const preferences = { profile: { default_content_setting_values: { cookies: 2 } } }
  await writeFile(join(profile, 'Default', 'Preferences'), JSON.stringify(preferences))
  const args = ['--no-sandbox', '--disable-gpu', '--host-resolver-rules=MAP 192.0.2.7 127.0.0.1']
  const executablePath = chromiumPath ?? ''
  const forgetful = await chromium.launchPersistentContext(profile, {
    executablePath,
    args,
    locale: 'en-GB',
  })
  const browser = await chromium.launch({ executablePath, args })
  after(async () => {
    await forgetful.close()
    await browser.close()
    await plenum.kill()
    await db.drop()
    await rm(profile, { recursive: true, force: true })
  })

  /** Each page, and what it shows once it has begun. */
  const pages = {
    meeting: [`/meeting/${meeting.id}/${meeting.key(0)}`, 'Connected'],
    chat: [`/chat?session_key=${key}`, 'You speak as Alice'],
    sketch: ['/document/demo#odd%', 'Connected, nobody else is here'],
    status: ['/status', 'Serving the meetings'],
  } as const

  /** Opens a page with this script run before it; `errors` are those that nobody has caught. */
  async function open(
    context: BrowserContext,
    address: string,
    script = '',
  ): Promise<{ page: Page; errors: string[] }> {
    const page = await context.newPage()
    const errors: string[] = []
    page.on('pageerror', ({ message }) => errors.push(message))
    if (script !== '') await page.addInitScript(script)
    await page.goto(address)
    return { page, errors }
  }

  for (const [name, [path, words]] of Object.entries(pages)) {
    test(`that blocks cookies and all storage the ${name} works, also when it is loaded anew`, async () => {
      const { page, errors } = await open(forgetful, plenum.url(path))
      await assert.rejects(page.evaluate('localStorage.length'), /SecurityError|Access is denied/)
      for (let times = 0; times < 2; times++) {
        await page.getByText(words).first().waitFor()
        await page.reload()
      }
      assert.deepEqual(errors, [])
      assert.ok(!page.url().includes(key))
      await page.close()
    })

    test(`that has no room to store anything the ${name} works, also when it is loaded anew`, async () => {
      const context = await browser.newContext({ locale: 'en-GB' })
      const full = `Storage.prototype.setItem = () => { throw new DOMException('', 'QuotaExceededError') }`
      const { page, errors } = await open(context, plenum.url(path), full)
      for (let times = 0; times < 2; times++) {
        await page.getByText(words).first().waitFor()
        await page.reload()
      }
      assert.deepEqual(errors, [])
      await context.close()
    })

    test(`that does not trust the address the ${name} works`, async () => {
      const context = await browser.newContext({ locale: 'en-GB' })
      const { page, errors } = await open(context, far + path)
      await page.getByText(words).first().waitFor()
      assert.equal(await page.evaluate('isSecureContext || "randomUUID" in crypto'), false)
      assert.deepEqual(errors, [])
      await context.close()
    })

    test(`with locales that are none the ${name} works`, async () => {
      const context = await browser.newContext()
      const languages = `['en-US@posix', 'en_US.UTF-8', 'C', 'de-DE@euro']`
      const { page, errors } = await open(
        context,
        plenum.url(path),
        `Object.defineProperty(navigator, 'languages', { value: ${languages} })`,
      )
      await page.getByText(words).first().waitFor()
      assert.deepEqual(errors, [])
      await context.close()
    })

    test(`that runs no script, or fails before it shows anything, the ${name} says so`, async () => {
      const mute = await browser.newContext({ javaScriptEnabled: false })
      const { page } = await open(mute, plenum.url(path))
      const context = await browser.newContext()
      const failing = await open(
        context,
        plenum.url(path),
        `document.getElementById = () => { throw new Error('an odd browser') }`,
      )
      for (const one of [page, failing.page])
        for (const [language, said] of [
          ['en', 'This page could not start'],
          ['de', 'Diese Seite konnte nicht starten'],
          ['fr', 'Cette page n’a pas pu démarrer'],
          ['sv', 'Sidan kunde inte starta'],
        ] as const)
          await one.locator(`p[lang=${language}]`, { hasText: said }).waitFor()
      assert.deepEqual(failing.errors, ['an odd browser'])
      await picture(failing.page, `unready-${name}`)
      await Promise.all([mute.close(), context.close()])
    })
  }

  test('what fails while it is shown for the first time leaves no page blank either', async () => {
    const context = await browser.newContext()
    const { page } = await open(
      context,
      plenum.url(pages.chat[0]),
      `window.matchMedia = () => { throw new Error('an odd browser') }`,
    )
    await page.getByText('This page could not start').waitFor()
    await context.close()
  })

  test('a line with characters that are not stored is there once, and waits no longer', async () => {
    const context = await browser.newContext({ locale: 'en-GB' })
    const { page } = await open(context, plenum.url(pages.chat[0]))
    await page.getByText('Connected').waitFor()
    await page.getByLabel('Your message').fill('one\u000btwo\u0007')
    await page.keyboard.press('Enter')
    await page.locator('.line:not(.pending)', { hasText: 'onetwo' }).waitFor()
    await until('nothing waits', async () => (await page.locator('.pending').count()) === 0)
    await page.getByLabel('Your message').fill('\u0007')
    await page.keyboard.press('Enter')
    await page.getByText('This was not said.').waitFor()
    await page.getByText('The message is empty').waitFor()
    await picture(page, 'chat-refused')
    await page.getByRole('button', { name: 'Discard' }).click()
    assert.equal(await page.locator('.pending').count(), 0)
    await context.close()
  })
})
