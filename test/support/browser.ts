import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { after } from 'node:test'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { AxeResults } from 'axe-core'
import { chromium } from 'playwright-core'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import type { Sql } from 'postgres'
import { freePort } from '../../demo/port.ts'
import { createDatabase } from './database.ts'
import type { MeetingFixture } from './meeting-fixture.ts'
import { type Plenum, startPlenum } from './server.ts'
import { patience } from './patience.ts'

/** Where this machine has Chromium; where it has none, its tests have to be skipped. */
export const chromiumPath = ['chromium', 'chromium-browser', 'google-chrome']
  .map((name) => {
    try {
      return execFileSync('/bin/sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).trim()
    } catch {
      return ''
    }
  })
  .find((path) => path !== '')

export const noChromium =
  chromiumPath === undefined && 'there is no Chromium here (package chromium of Debian)'

const screens = fileURLToPath(new URL('../screens', import.meta.url))
const axeSource = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

export const phone = { width: 360, height: 740 }
export const desktop = { width: 1280, height: 800 }

export async function launchChromium(): Promise<Browser> {
  await mkdir(screens, { recursive: true })
  return await chromium.launch({
    executablePath: chromiumPath ?? '',
    args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--enable-precise-memory-info'],
  })
}

/**
 * A server with a database of its own, whose pages may connect to it, and a browser, for the tests of a suite; they end with
 * it.
 */
export async function servePages(
  flags: (origin: string) => string[],
): Promise<{ sql: Sql; plenum: Plenum; browser: Browser }> {
  const db = await createDatabase()
  const listen = `127.0.0.1:${await freePort()}`
  const origin = `http://${listen}`
  const plenum = await startPlenum({ database: db.url, listen, poll: 0.5, origin, flags: flags(origin) })
  const browser = await launchChromium()
  after(async () => {
    await browser.close()
    await plenum.kill()
    await db.drop()
  })
  return { sql: db.sql, plenum, browser }
}

export type Visit = BrowserContextOptions & {
  /** What the page may say in the console. */
  mayComplain?: RegExp
  /** By how much the clock of this device is wrong, in milliseconds; `setClock` changes it. */
  clockError?: number
  /** What is done with the page before it is loaded. */
  beforehand?: (page: Page) => Promise<void>
}

/**
 * Opens one of the server's pages in a browser profile of its own. It fails the test if it complains (its policy would be
 * broken by what is not allowed, for one), or asks any other host for anything.
 */
export async function openPage(
  t: TestContext,
  browser: Browser,
  plenum: Pick<Plenum, 'listen' | 'url'>,
  path: string,
  { mayComplain, clockError, beforehand, ...options }: Visit = {},
): Promise<Page> {
  const context = await browser.newContext({ locale: 'en-GB', viewport: desktop, ...options })
  context.setDefaultTimeout(patience(30_000))
  const page = await context.newPage()
  if (clockError !== undefined) await page.addInitScript(wrongClock(clockError))
  await beforehand?.(page)
  const complaints: string[] = []
  page.on('pageerror', (error) => complaints.push(`error: ${error.stack ?? error.message}`))
  page.on('console', (message) => {
    const text = message.text()
    // The browser itself says so when a connection is lost.
    if (message.type() !== 'error' || /WebSocket|ERR_INTERNET_DISCONNECTED/.test(text)) return
    if (!mayComplain?.test(text)) complaints.push(text)
  })
  page.on('request', (request) => {
    const { protocol, host } = new URL(request.url())
    if (protocol !== 'data:' && host !== plenum.listen) complaints.push(`asked ${host}`)
  })
  t.after(async () => {
    await context.close()
    assert.deepEqual(complaints, [])
  })
  await page.goto(plenum.url(path))
  return page
}

/** Timers and performance.now() go on as they are, as when somebody sets a device's clock. */
const wrongClock = (error: number): string => `{
  const Real = Date
  window.clockError = ${error}
  const now = () => Real.now() + window.clockError
  window.Date = new Proxy(Real, {
    construct: (target, given, to) => Reflect.construct(target, given.length === 0 ? [now()] : given, to),
    apply: () => new Real(now()).toString(),
    get: (target, name) => (name === 'now' ? now : Reflect.get(target, name)),
  })
}`

/** Sets the clock of a device whose page was opened with a `clockError`. */
export async function setClock(page: Page, error: number): Promise<void> {
  await page.evaluate(`window.clockError = ${error}`)
}

/** Opens the meeting page for a member. */
export function visit(
  t: TestContext,
  browser: Browser,
  plenum: Plenum,
  meeting: MeetingFixture,
  index: number,
  options: Visit = {},
): Promise<Page> {
  return openPage(t, browser, plenum, `/meeting/${meeting.id}/${meeting.key(index)}`, options)
}

/** Keeps a picture of what is on the screen, for people to look at. */
export async function picture(page: Page, name: string): Promise<void> {
  await page.screenshot({ path: `${screens}/${name}.png`, animations: 'disabled' })
}

const standards = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']

/** Fails if axe-core finds anything wrong with the page; in dark it looks at the colors alone, as all else is the same. */
export async function assertAccessible(page: Page, what: string): Promise<void> {
  // Not as a script of the page, which its policy forbids.
  await page.evaluate(axeSource)
  for (const [colorScheme, runOnly] of [
    ['light', standards],
    ['dark', ['color-contrast']],
  ] as const) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
    const { violations } = await page.evaluate<AxeResults>(
      `axe.run(document, { runOnly: ${JSON.stringify(runOnly)}, resultTypes: ['violations'] })`,
    )
    const found = violations.map(
      ({ id, help, nodes }) =>
        `${id}: ${help}\n    ${nodes.map(({ html, failureSummary }) => `${html}\n      ${failureSummary}`).join('\n    ')}`,
    )
    assert.deepEqual(found, [], `${what}, ${colorScheme}`)
  }
  await page.emulateMedia({ colorScheme: null, reducedMotion: null })
}
