import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, suite, test } from 'node:test'
import { freePort } from '../../demo/port.ts'
import { contrast } from '../../src/edge/accent.ts'
import { assertAccessible, launchChromium, noChromium, openPage, phone } from '../support/browser.ts'
import { invite } from '../support/chat-client.ts'
import { createDatabase } from '../support/database.ts'
import { gather } from '../support/meeting-fixture.ts'
import { currentRuntime, runPlenum, startPlenum } from '../support/server.ts'
import { until } from '../support/until.ts'

// Whose pages these are: the name, the logo and the color of -brand, in Chromium on every page.

const skip = noChromium || (currentRuntime() !== 'node' && 'the pages are the same on both runtimes')
const name = 'Föreningen <b>Bergklättrarna</b>'
const logo = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 30 10">
<circle cx="5" cy="5" r="4" fill="#b5171f"/></svg>`

suite('the brand', { skip }, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'plenum-brand-'))
  const file = join(folder, 'brand.json')
  const write = (brand: object): Promise<void> => writeFile(file, JSON.stringify(brand))
  await writeFile(join(folder, 'logo.svg'), logo)
  await write({ name, logo: 'logo.svg', accent: '#ffcc00' })
  const db = await createDatabase()
  const listen = `127.0.0.1:${await freePort()}`
  const flags = ['-chat', '-document', '-brand', file]
  const plenum = await startPlenum({ database: db.url, listen, origin: `http://${listen}`, flags })
  const browser = await launchChromium()
  after(async () => {
    await browser.close()
    await plenum.kill()
    await db.drop()
    await rm(folder, { recursive: true })
  })
  const meeting = await gather(db.sql, plenum, 2)
  const pages: readonly [what: string, path: string, complaint?: RegExp][] = [
    ['meeting', `/meeting/${meeting.id}/${meeting.key(0)}`],
    ['hall', `/meeting/${meeting.id}/${meeting.key(0)}/hall`],
    ['record', `/meeting/${meeting.id}/${meeting.key(0)}/record`],
    ['no record', `/meeting/${meeting.id}/${'x'.repeat(54)}/record`, /404/],
    ['chat', `/chat?session_key=${await invite(db.sql, 'Alice', 1)}`],
    ['sketch', '/document/demo#brand'],
    ['status', '/status'],
    ['first', '/'],
    ['nothing', '/nowhere', /404/],
  ]

  for (const [what, path, mayComplain] of pages)
    test(`the page (${what}) shows name and logo in its header, and colors that can be read`, async (t) => {
      const page = await openPage(t, browser, plenum, path, {
        viewport: phone,
        ...(mayComplain ? { mayComplain } : {}),
      })
      const association = page.locator('.association', { hasText: name })
      await association.waitFor()
      assert.equal(await page.locator('h1').count(), 1)
      const image = page.locator('img.logo')
      assert.equal(
        await image.getAttribute('src').then((src) => src?.startsWith('data:image/svg+xml;')),
        true,
      )
      await until('the logo is there', () =>
        page.evaluate<boolean>("document.querySelector('img.logo').naturalWidth > 0"),
      )
      const box = await image.boundingBox()
      assert.ok(box && box.y < 120 && box.height >= 20 && box.width >= 40, JSON.stringify(box))
      assert.ok(await page.evaluate<boolean>('document.documentElement.scrollWidth <= innerWidth'))
      for (const [colorScheme, isGiven] of [
        ['light', false],
        ['dark', true],
      ] as const) {
        await page.emulateMedia({ colorScheme })
        const [accent = '', on = ''] = await page.evaluate<string[]>(`{
          const styles = getComputedStyle(document.documentElement);
          ['--accent', '--on-accent'].map((name) => styles.getPropertyValue(name))
        }`)
        // Yellow stays what it is on a dark screen, and becomes darker on a light one.
        assert.equal(accent === '#ffcc00', isGiven, accent)
        assert.ok(contrast(accent, on) >= 4.5, `${accent} and ${on}`)
      }
      await assertAccessible(page, what)
    })

  test('a page with a brand asks for nothing more, and is not sent twice', async () => {
    const path = pages[0]?.[1] ?? ''
    const { headers, body } = await plenum.get(path)
    assert.match(String(headers['content-security-policy']), /; style-src 'sha256-\S+' 'sha256-\S+'; /)
    assert.ok(!body.includes(name) && body.includes('\\u003cb>'))
    const again = await plenum.get(path, { 'if-none-match': String(headers['etag']) })
    assert.equal(again.status, 304)
    const compressed = await plenum.get(path, { 'accept-encoding': 'br' })
    assert.equal(compressed.headers['content-encoding'], 'br')
    assert.ok(Number(compressed.headers['content-length']) < 60_000)
  })

  test('SIGHUP reads file and logo again; what cannot be used leaves the pages as they are', async (t) => {
    const shows = async (text: string): Promise<boolean> => (await plenum.get('/status')).body.includes(text)
    t.after(() => write({ name, logo: 'logo.svg', accent: '#ffcc00' }))
    await write({ name: 'Another name' })
    plenum.signal('SIGHUP')
    await until('the pages have the new name', () => shows('"Another name"'))
    await write({ name: 'Third name', logo: 'none.svg' })
    plenum.signal('SIGHUP')
    await until('it is refused', () =>
      plenum.logs.some(
        ({ event, error }) =>
          event === 'reloadFailed' &&
          /^-brand: .*none\.svg cannot be read.*; the pages stay as they are$/.test(String(error)),
      ),
    )
    assert.ok(await shows('"Another name"'))
  })

  test('check says what pages show; a brand that cannot be used is refused in words, also at the start', async () => {
    const other = join(folder, 'other.json')
    const settings = ['-origin', '*', '-dburl', db.url, '-brand', other]
    await writeFile(other, JSON.stringify({ name: 'F', logo: 'logo.svg' }))
    const { code, stdout } = await runPlenum(['check', ...settings])
    assert.equal(code, 0)
    assert.match(stdout, /^pages show the name "F", a logo \(SVG, 0\.1 KiB\) and Plenum's own accent$/m)
    await writeFile(join(folder, 'bad.svg'), logo.replace('<circle', '<script>alert(1)</script><circle'))
    await writeFile(other, JSON.stringify({ name: 'F', logo: 'bad.svg' }))
    for (const command of ['check', 'serve']) {
      const { code, stderr } = await runPlenum([command, ...settings])
      assert.equal(code, 2)
      assert.match(
        stderr,
        /^plenum: -brand: the logo .*bad\.svg is an SVG with a script, .*: save it without$/m,
      )
    }
  })
})
