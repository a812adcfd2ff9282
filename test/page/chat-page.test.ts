import assert from 'node:assert/strict'
import { after, suite, test } from 'node:test'
import type { TestContext } from 'node:test'
import type { BrowserContextOptions, Page } from 'playwright-core'
import { freePort } from '../../demo/port.ts'
import { assertAccessible, launchChromium, noChromium, openPage, picture } from '../support/browser.ts'
import { invite } from '../support/chat-client.ts'
import { createDatabase } from '../support/database.ts'
import { holdTransaction } from '../support/held-transaction.ts'
import { currentRuntime, startPlenum } from '../support/server.ts'
import { until } from '../support/until.ts'

// The chat page in Chromium: what it shows, keeps and survives, for people with and without a pointer or eyes.

const skip = noChromium || (currentRuntime() !== 'node' && 'the page is the same on both runtimes')

suite('the chat page', { skip }, async () => {
  const db = await createDatabase()
  const { sql } = db
  const listen = `127.0.0.1:${await freePort()}`
  const options = { database: db.url, listen, poll: 0.5, origin: `http://${listen}`, flags: ['-chat'] }
  let plenum = await startPlenum(options)
  const browser = await launchChromium()
  after(async () => {
    await browser.close()
    await plenum.kill()
    await db.drop()
  })
  let lastRoom = 0

  const post = async (room: number, user: string, message: string): Promise<void> => {
    await sql`select chat.new_message(${room}::int, now(), ${user}, ${message})`
  }

  const visit = (t: TestContext, query: string, options: BrowserContextOptions = {}): Promise<Page> =>
    openPage(t, browser, plenum, `/chat${query}`, options)

  const shown = (page: Page): Promise<string[]> => page.locator('.line:not(.pending) .text').allTextContents()

  async function shows(page: Page, ...messages: string[]): Promise<void> {
    await until(
      `the page shows ${messages.join(', ')}`,
      async () => (await shown(page)).join('\n') === messages.join('\n'),
      15_000,
    ).catch(async (error: unknown) => {
      assert.deepEqual(await shown(page), messages)
      throw error
    })
  }

  test('it takes the key out of the address and survives being loaded anew; two talk', async (t) => {
    const room = ++lastRoom
    await post(room, 'App', 'earlier')
    const alice = await visit(t, `?session_key=${await invite(sql, 'Alice', room)}`)
    const bob = await visit(t, `?session_key=${await invite(sql, 'Bob', room)}`)
    await shows(alice, 'earlier')
    assert.equal(new URL(alice.url()).search, '')
    assert.match((await alice.textContent('.self')) ?? '', /You speak as Alice/)
    await alice.getByLabel('Your message').fill('hello Bob')
    await alice.keyboard.press('Enter')
    await shows(bob, 'earlier', 'hello Bob')
    await bob.getByLabel('Your message').fill('first')
    await bob.keyboard.press('Shift+Enter')
    await bob.keyboard.type('second')
    await bob.getByRole('button', { name: 'Send' }).click()
    await shows(alice, 'earlier', 'hello Bob', 'first\nsecond')
    assert.deepEqual(await alice.locator('.pending').count(), 0)
    await alice.reload()
    await shows(alice, 'earlier', 'hello Bob', 'first\nsecond')
    assert.equal(await alice.locator('.line.own').count(), 1)
  })

  test('what is said is text, whatever it looks like', async (t) => {
    const room = ++lastRoom
    const hostile = '</script><img src=x onerror="document.title=1"><b>bold</b>'
    const key = await invite(sql, '<i>Eve</i>', room, { key: `k"</script><script>alert(1)</script>${room}` })
    const page = await visit(t, `?session_key=${encodeURIComponent(key)}`)
    await post(room, '<u>App</u>', hostile)
    await shows(page, hostile)
    assert.equal(await page.textContent('.name'), '<u>App</u>')
    assert.match((await page.textContent('.self')) ?? '', /<i>Eve<\/i>/)
    assert.equal(await page.title(), 'Chat')
  })

  test('it comes back by itself when the server was away, and shows each line once', async (t) => {
    const room = ++lastRoom
    const page = await visit(t, `?session_key=${await invite(sql, 'Alice', room)}`)
    await post(room, 'App', 'before')
    await shows(page, 'before')
    await plenum.kill()
    await page.getByText('Connection lost').waitFor()
    await page.getByLabel('Your message').fill('kept')
    await page.keyboard.press('Enter')
    assert.equal(await page.getByLabel('Your message').inputValue(), '')
    await page.getByText('Is sent when the connection is back.').waitFor()
    await post(room, 'App', 'meanwhile')
    plenum = await startPlenum(options)
    // It waited, and needs nobody to send it.
    await shows(page, 'before', 'meanwhile', 'kept')
  })

  test('what waits and what is being written outlive the page, in each tab, and are said once', async (t) => {
    const room = ++lastRoom
    const address = `?session_key=${await invite(sql, 'Alice', room)}`
    const page = await visit(t, address)
    await post(room, 'App', 'before')
    await shows(page, 'before')
    const held = await holdTransaction(db.url, (tx) => tx`lock table chat.log in share mode`)
    const message = page.getByLabel('Your message')
    for (const text of ['waits', 'waits too']) {
      await message.fill(text)
      await message.press('Enter')
    }
    await message.fill('half a sent')
    await page.locator('.pending', { hasText: 'Being sent' }).nth(1).waitFor()
    await page.reload()
    const other = await page.context().newPage()
    await other.goto(plenum.url(`/chat${address}`))
    for (const each of [page, other]) {
      await shows(each, 'before')
      await until(
        'it shows what waits',
        async () => (await each.locator('.pending .text').allTextContents()).join() === 'waits,waits too',
      )
      assert.equal(await each.getByLabel('Your message').inputValue(), 'half a sent')
    }
    await held.commit()
    for (const each of [page, other]) {
      await shows(each, 'before', 'waits', 'waits too')
      await each.locator('.pending').first().waitFor({ state: 'detached' })
    }
    await page.reload()
    await shows(page, 'before', 'waits', 'waits too')
    assert.equal(await page.locator('.pending').count(), 0)
  })

  test('without a good key it says so', async (t) => {
    const none = await visit(t, '')
    await none.getByText('it has a key in it').waitFor()
    const room = ++lastRoom
    const key = await invite(sql, 'Gone', room)
    const page = await visit(t, `?session_key=${key}`)
    await page.getByText('You speak as Gone').waitFor()
    await sql`delete from chat.sessions where key = ${key}`
    await page.getByText('You may not take part in this chat').waitFor()
    assert.equal(await page.getByLabel('Your message').count(), 0)
  })

  test('what others say is read aloud, a history is not; the log is reached by keyboard', async (t) => {
    const room = ++lastRoom
    await post(room, 'App', 'of old')
    const page = await visit(t, `?session_key=${await invite(sql, 'Alice', room)}`)
    await shows(page, 'of old')
    // It is not told as news late, either.
    await page.waitForTimeout(300)
    const spoken = page.locator('body > [role=status]')
    assert.equal(await spoken.textContent(), '')
    await post(room, 'Bob', 'news')
    await shows(page, 'of old', 'news')
    assert.equal(await spoken.textContent(), 'Bob: news')
    await page.keyboard.press('Tab')
    assert.equal(await page.evaluate('document.activeElement.getAttribute("role")'), 'log')
    await page.keyboard.press('Tab')
    assert.equal(await page.evaluate('document.activeElement.id'), 'message')
  })

  for (const [locale, words] of [
    ['de-DE', 'Sie sprechen als Zoë'],
    ['fr-CA', 'Vous parlez sous le nom de Zoë'],
    ['sv-SE', 'Du talar som Zoë'],
    ['ja-JP', 'You speak as Zoë'],
  ] as const)
    test(`it speaks ${locale}`, async (t) => {
      const page = await visit(t, `?session_key=${await invite(sql, 'Zoë', ++lastRoom)}`, { locale })
      await page.getByText(words).waitFor()
      assert.equal(await page.getAttribute('html', 'lang'), locale === 'ja-JP' ? 'en' : locale.slice(0, 2))
    })

  for (const width of [320, 1280])
    test(`axe-core finds nothing, and nothing is wider than the screen of ${width} pixels`, async (t) => {
      const room = ++lastRoom
      await post(room, 'App', `a word of ${'x'.repeat(300)}`)
      const key = await invite(sql, 'Alice', room)
      const page = await visit(t, `?session_key=${key}`, { viewport: { width, height: 700 } })
      await page.locator('.line').getByText('a word of').waitFor()
      await picture(page, `chat-${width}`)
      await page.getByLabel('Your message').fill('x'.repeat(10_001))
      await page.getByText('at most 10,000').waitFor()
      await assertAccessible(page, 'the chat')
      assert.ok(await page.evaluate<boolean>('document.documentElement.scrollWidth <= innerWidth'))
    })
})
