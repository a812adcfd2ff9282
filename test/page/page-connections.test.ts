import assert from 'node:assert/strict'
import { after, suite, test } from 'node:test'
import type { TestContext } from 'node:test'
import type { Locator, Page } from 'playwright-core'
import { freePort } from '../../demo/port.ts'
import { launchChromium, noChromium, openPage } from '../support/browser.ts'
import { ChatClient, invite } from '../support/chat-client.ts'
import { createDatabase } from '../support/database.ts'
import { gather } from '../support/meeting-fixture.ts'
import { type TcpProxy, openTcpProxy } from '../support/tcp-proxy.ts'
import { patience } from '../support/patience.ts'
import { currentRuntime, startPlenum } from '../support/server.ts'
import { until } from '../support/until.ts'

// Connections that are dead and look alive, as after a sleep or in another network: nothing arrives, and nobody is told. The
// pages' clocks are the tests', so that nobody waits.

const skip = noChromium || (currentRuntime() !== 'node' && 'the pages are the same on both runtimes')

suite('a page whose connection is dead and looks alive', { skip, concurrency: 3 }, async () => {
  const db = await createDatabase()
  const { sql } = db
  const listen = `127.0.0.1:${await freePort()}`
  // The server lets in pages of any port: each test has a network of its own.
  const plenum = await startPlenum({ database: db.url, listen, origin: '*', flags: ['-chat', '-document'] })
  const browser = await launchChromium()
  after(async () => {
    await browser.close()
    await plenum.kill()
    await db.drop()
  })
  let lastRoom = 0

  /** Opens a page by way of a network that can be made to swallow everything, with a clock that the test sets forward. */
  async function visit(t: TestContext, path: string): Promise<{ page: Page; network: TcpProxy }> {
    const network = await openTcpProxy(plenum.port)
    t.after(() => network.close())
    const there = `127.0.0.1:${network.port}`
    const server = { listen: there, url: (path = '/') => `http://${there}${path}` }
    const page = await openPage(t, browser, server, path, { beforehand: (page) => page.clock.install() })
    return { page, network }
  }

  /** Lets seconds of the page's clock go by until it has shown the text, if only for a moment: not more than `most`. */
  async function within(page: Page, most: number, text: string): Promise<void> {
    await page.evaluate(`{
      window.wasShown = false
      const place = document.getElementById('page')
      const look = () => (window.wasShown ||= place.textContent.includes('${text}'))
      new MutationObserver(look).observe(place, { subtree: true, childList: true, characterData: true })
      look()
    }`)
    for (let seconds = 0; !(await page.evaluate('window.wasShown')); seconds++) {
      assert.ok(seconds < most, `'${text}' is not shown within ${most} s`)
      await page.clock.runFor(1000)
    }
  }

  const wake = (page: Page): Promise<unknown> => page.evaluate('window.dispatchEvent(new Event("focus"))')

  /** Lets the page's time go by as long as it takes to doubt a silent connection, again and again, and hears the answers. */
  async function staysIn(page: Page, sent: () => number): Promise<void> {
    for (let times = 1; times <= 3; times++) {
      const before = sent()
      await page.clock.fastForward(26_000)
      await until('the server is asked, and answers', () => sent() > before)
    }
    assert.equal(await page.getByText('Connection lost').count(), 0)
  }

  /**
   * A quiet connection is kept; one that is dead is found out within 40 s and another made, and again at once after a sleep, in
   * which `meanwhile` happens.
   */
  async function staysInUntilDead({
    page,
    network,
    heard,
    connected,
    meanwhile = () => undefined,
  }: {
    page: Page
    network: TcpProxy
    heard: () => number
    connected: Locator
    meanwhile?: () => void
  }): Promise<void> {
    await staysIn(page, heard)
    network.swallow()
    await within(page, 40, 'Connection lost')
    await connected.waitFor()
    network.swallow()
    meanwhile()
    await wake(page)
    await within(page, 8, 'Connection lost')
  }

  /** Counts what the server says to this page, from when it is loaded anew. */
  async function listenIn(page: Page): Promise<() => number> {
    let heard = 0
    page.on('websocket', (socket) => socket.on('framereceived', () => heard++))
    await page.reload()
    return () => heard
  }

  suite('the meeting', () => {
    async function enter(t: TestContext): Promise<{ page: Page; network: TcpProxy; heard: () => number }> {
      const meeting = await gather(sql, plenum, 1)
      const { page, network } = await visit(t, `/meeting/${meeting.id}/${meeting.key(0)}`)
      const heard = await listenIn(page)
      await page.getByText('Connected', { exact: true }).waitFor()
      return { page, network, heard }
    }

    test('what is said into it is said once, when there is another', async (t) => {
      const { page, network } = await enter(t)
      const say = async (text: string): Promise<void> => {
        await page.getByLabel('Your message').fill(text)
        await page.getByRole('button', { name: 'Send', exact: true }).click()
      }
      const texts = () => page.locator('.chunk .line.is-said .text').allInnerTexts()
      network.swallow()
      await say('into the void')
      await within(page, 20, 'Connection lost')
      await until('it is said', async () => (await texts()).length === 1, 15_000)
      network.holdAnswers()
      await say('heard by all but me')
      await within(page, 20, 'Connection lost')
      await until('it is said', async () => (await texts()).length === 2, 15_000)
      // Also the connections by which it would ask for the page.
      network.cut()
      await page.reload()
      await page.getByText('Connected', { exact: true }).waitFor()
      assert.deepEqual(await texts(), ['into the void', 'heard by all but me'])
    })

    test('it is found out within 40 s, and at once after a sleep; a quiet one is kept', async (t) => {
      const { page, network, heard } = await enter(t)
      const connected = page.getByText('Connected', { exact: true })
      await staysInUntilDead({ page, network, heard, connected })
      await connected.waitFor()
    })
  })

  test('the status says that there is no answer, and goes on when there is', async (t) => {
    // A request's own limit is not the page's clock, and 5 s.
    const { page, network } = await visit(t, '/status')
    await page.getByText('Serving the meetings').waitFor()
    network.swallow()
    await page.getByText('The server does not answer').waitFor({ timeout: patience(15_000) })
    await page.getByText('Serving the meetings').waitFor()
  })

  suite('the chat', () => {
    const say = async (page: Page, text: string): Promise<void> => {
      await page.getByLabel('Your message').fill(text)
      await page.keyboard.press('Enter')
    }
    const shown = (page: Page): Promise<string[]> =>
      page.locator('.line:not(.pending) .text').allTextContents()

    async function enter(t: TestContext): Promise<{ page: Page; network: TcpProxy; bob: ChatClient }> {
      const room = ++lastRoom
      const bob = await new ChatClient(plenum, await invite(sql, 'Bob', room)).entered()
      const { page, network } = await visit(t, `/chat?session_key=${await invite(sql, 'Alice', room)}`)
      await page.getByText('Connected').waitFor()
      return { page, network, bob }
    }

    async function endsWith(page: Page, bob: ChatClient, ...messages: string[]): Promise<void> {
      await page.getByText('Connected').waitFor()
      await until('nothing waits', async () => (await page.locator('.pending').count()) === 0, 15_000)
      await until('it shows all', async () => (await shown(page)).length >= messages.length)
      assert.deepEqual(await shown(page), messages)
      await bob.hears(messages.at(-1) ?? '')
      assert.deepEqual(bob.messages, messages)
    }

    test('what is said into it is said once, when there is another', async (t) => {
      const { page, network, bob } = await enter(t)
      await say(page, 'before')
      await bob.hears('before')
      network.swallow()
      await say(page, 'into the void')
      await say(page, 'and again')
      await page.getByText('Being sent').first().waitFor()
      await within(page, 20, 'Connection lost')
      await endsWith(page, bob, 'before', 'into the void', 'and again')
    })

    test('what had arrived there is not said twice', async (t) => {
      const { page, network, bob } = await enter(t)
      network.holdAnswers()
      await say(page, 'heard by all but me')
      await bob.hears('heard by all but me')
      await page.getByText('Being sent').waitFor()
      await within(page, 20, 'Connection lost')
      await endsWith(page, bob, 'heard by all but me')
    })

    test('it is found out within 40 s, and at once after a sleep; a quiet one is kept', async (t) => {
      const { page, network, bob } = await enter(t)
      const heard = await listenIn(page)
      const connected = page.getByText('Connected')
      await connected.waitFor()
      await staysInUntilDead({ page, network, heard, connected, meanwhile: () => bob.say('meanwhile') })
      await endsWith(page, bob, 'meanwhile')
    })
  })

  suite('the sketch', () => {
    async function draw(page: Page, y: number): Promise<void> {
      const box = await page.locator('.board').boundingBox()
      assert.ok(box)
      await page.mouse.move(box.x + box.width / 4, box.y + box.height * y)
      await page.mouse.down()
      await page.mouse.move(box.x + box.width / 2, box.y + box.height * y)
      await page.mouse.up()
    }
    const says = (page: Page, summary: string): Promise<void> =>
      page.locator('#summary', { hasText: new RegExp(`^${summary}$`) }).waitFor({ timeout: patience(15_000) })

    async function enter(t: TestContext): Promise<{ page: Page; network: TcpProxy; bob: Page }> {
      const path = `/document/demo#sketch-${++lastRoom}`
      const bob = await openPage(t, browser, plenum, path)
      const { page, network } = await visit(t, path)
      for (const one of [page, bob]) await one.getByText('Connected, 2 people').waitFor()
      return { page, network, bob }
    }

    test('what is drawn into it is there once, whether it had arrived or not', async (t) => {
      const { page, network, bob } = await enter(t)
      network.swallow()
      await draw(page, 0.2)
      await draw(page, 0.4)
      await says(page, '2 strokes by 1 person')
      await says(bob, 'Nothing has been drawn yet')
      await within(page, 20, 'Connection lost')
      await says(bob, '2 strokes by 1 person')
      await page.getByText('Connected').waitFor()
      network.holdAnswers()
      await draw(page, 0.6)
      await says(bob, '3 strokes by 1 person')
      await draw(bob, 0.8)
      await within(page, 20, 'Connection lost')
      for (const one of [page, bob]) await says(one, '4 strokes by 2 people')
      await bob.reload()
      await says(bob, '4 strokes by 2 people')
    })

    test('it is found out within 40 s, and at once after a sleep; a quiet one is kept', async (t) => {
      const { page, network, bob } = await enter(t)
      const heard = await listenIn(page)
      const connected = page.getByText('Connected')
      await connected.waitFor()
      await staysInUntilDead({ page, network, heard, connected })
      await draw(bob, 0.2)
      await says(page, '1 stroke by 1 person')
    })
  })
})
