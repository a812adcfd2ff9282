import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, suite, test } from 'node:test'
import { freePort } from '../../demo/port.ts'
import {
  assertAccessible,
  desktop,
  launchChromium,
  noChromium,
  openPage,
  phone,
  picture,
  visit,
} from '../support/browser.ts'
import { openRawWebSocket } from '../support/raw-connection.ts'
import { createDatabase } from '../support/database.ts'
import { gather } from '../support/meeting-fixture.ts'
import { currentRuntime, startPlenum } from '../support/server.ts'

// What people see first: a member before the meeting is opened, and whoever comes without a link.

const skip = noChromium || (currentRuntime() !== 'node' && 'the pages are the same on both runtimes')

suite('first screens', { skip }, async () => {
  const db = await createDatabase()
  const folder = await mkdtemp(join(tmpdir(), 'plenum-home-'))
  const home = join(folder, 'links')
  const listen = `127.0.0.1:${await freePort()}`
  const plenum = await startPlenum({
    database: db.url,
    listen,
    origin: `http://${listen}`,
    flags: ['-home', home, '-chat'],
  })
  const browser = await launchChromium()
  after(async () => {
    await browser.close()
    await plenum.kill()
    await db.drop()
    await rm(folder, { recursive: true })
  })

  test('before the opening a member reads what comes next, and the chair what to do', async (t) => {
    const meeting = await gather(db.sql, plenum, 2, { name: 'Annual General Meeting' })
    for (const [index, viewport] of [phone, desktop].entries()) {
      const member = await visit(t, browser, plenum, meeting, 1, { viewport })
      const told = member.getByRole('region', { name: 'The meeting has not been opened yet' })
      await told.getByText('keep this page open').waitFor()
      await member.getByLabel('Your message').waitFor()
      assert.equal(await member.evaluate(`document.documentElement.scrollWidth <= innerWidth`), true)
      await assertAccessible(member, 'before the opening')
      await picture(member, `pending-${index}`)
      await member.context().close()
    }
    const chair = await visit(t, browser, plenum, meeting, 0, { locale: 'de', colorScheme: 'dark' })
    await chair.getByText('unter „Versammlungsleitung“').waitFor()
    await picture(chair, 'pending-chair')
    const swedish = await visit(t, browser, plenum, meeting, 1, {
      locale: 'sv',
      viewport: { width: 360, height: 640 },
    })
    await swedish.getByText('Mötet är inte öppnat än').waitFor()
    await picture(swedish, 'pending-small')
    await chair.getByRole('button', { name: 'eröffnen …' }).click()
    await chair.getByRole('dialog').getByRole('button', { name: 'eröffnen' }).click()
    await swedish.getByText('Mötet är inte öppnat än').waitFor({ state: 'detached' })
    assert.equal(await chair.getByText('noch nicht eröffnet').count(), 0)
  })

  test('/ says in words what this is, and lists what the operator has it list', async (t) => {
    const page = await openPage(t, browser, plenum, '/', { locale: 'fr' })
    await page.getByRole('heading', { name: 'Ici se tiennent des assemblées générales' }).waitFor()
    assert.equal(await page.getByRole('link').count(), 0)
    await writeFile(
      home,
      `Our <b>next</b> assembly:\n/meeting/11/none The meeting\nhttps://www.example.org/a?b&c "Our" site\n//evil.example no link\njavascript:alert(1) nor this\n`,
    )
    await page.reload()
    await page.getByText('Our <b>next</b> assembly:').waitFor()
    const links = await page.evaluate<[string, string][]>(
      `[...document.links].map((one) => [one.getAttribute('href'), one.textContent])`,
    )
    assert.deepEqual(links, [
      ['/meeting/11/none', 'The meeting'],
      ['https://www.example.org/a?b&c', '"Our" site'],
    ])
    await assertAccessible(page, 'the page at /')
    await picture(page, 'home')
    await writeFile(home, `/a ${'x'.repeat(70_000)}`)
    assert.equal((await plenum.get('/')).body, 'Plenum\n')
    await plenum.logged(({ event }) => event === 'homeUnreadable')
    // Anybody may ask, and fills no log by it.
    for (let n = 0; n < 20; n++) await plenum.get('/')
    await plenum.get('/readyz')
    assert.equal(plenum.logs.filter(({ event }) => event === 'homeUnreadable').length, 1)
  })

  test('it leaves websockets at the same address to the doors', async () => {
    await assert.rejects(openRawWebSocket(plenum.port, '/'), /404/)
    const chat = await openRawWebSocket(plenum.port, `/?session_key=${'x'.repeat(32)}`)
    chat.connection.socket.destroy()
    assert.equal((await plenum.get('/?session_key=x')).status, 426)
  })

  test('an address that leads nowhere is a page of the house', async (t) => {
    const page = await openPage(t, browser, plenum, '/nowhere', {
      locale: 'de',
      colorScheme: 'dark',
      mayComplain: /404/,
    })
    await page.getByRole('heading', { name: 'Hier ist keine Seite' }).waitFor()
    await assertAccessible(page, 'nowhere')
    await picture(page, 'nowhere')
  })
})
