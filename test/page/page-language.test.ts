import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import type { Browser } from 'playwright-core'
import { assertAccessible, launchChromium, noChromium, visit } from '../support/browser.ts'
import { createDatabase } from '../support/database.ts'
import type { Database } from '../support/database.ts'
import { gather } from '../support/meeting-fixture.ts'
import { currentRuntime, startPlenum } from '../support/server.ts'
import type { Plenum } from '../support/server.ts'

const skip = noChromium || (currentRuntime() !== 'node' && 'the page is the same on both runtimes')

suite('the language of the meeting page', { skip }, () => {
  let db: Database
  let plenum: Plenum
  let browser: Browser

  before(async () => {
    db = await createDatabase()
    plenum = await startPlenum({ database: db.url, origin: '*', flags: ['-rate', '0'] })
    browser = await launchChromium()
  })
  after(async () => {
    await browser.close()
    await plenum.kill()
    await db.drop()
  })

  test('what the system says is read in German, what is not known is marked as English, what members say is theirs', async (t) => {
    const meeting = await gather(db.sql, plenum, 2, { state: 0 })
    await db.sql`update membership_member set fullname = 'Ada <b>' where user_id = ${meeting.user(0)}`
    await db.sql`
      insert into membership_meetingmessagelog (t, message, meeting_id)
      values (now(), 'The server is moved tonight', ${meeting.id})`
    const page = await visit(t, browser, plenum, meeting, 1, { locale: 'de-DE' })
    const english = page.getByText('The server is moved tonight')
    await english.waitFor()
    assert.equal(await english.getAttribute('lang'), 'en')
    const chair = await meeting.enter(0)
    const came = page.locator('p.text', { hasText: 'Ada <b> ist eingetreten' })
    await came.waitFor()
    assert.equal(await came.getAttribute('lang'), null)
    assert.equal(await came.locator('bdi').innerText(), 'Ada <b>')
    // A screen reader is told the same.
    await page.locator('[aria-live]', { hasText: 'Ada <b> ist eingetreten' }).waitFor({ state: 'attached' })
    chair.say('Member Eve left the meeting')
    chair.send({ type: 'open' })
    await page.getByText('Die Versammlung ist eröffnet', { exact: true }).first().waitFor()
    const said = page.locator('p.text', { hasText: 'Member Eve left the meeting' })
    assert.equal(await said.getAttribute('dir'), 'auto')
    await assertAccessible(page, 'the meeting page in German')
    // The record is as it was.
    assert.ok((await meeting.texts()).includes('Member Ada <b> joined the meeting'))

    const other = await visit(t, browser, plenum, meeting, 1, { locale: 'en-GB' })
    const plain = other.locator('p.text', { hasText: 'Member Ada <b> joined the meeting' })
    await plain.waitFor()
    assert.equal(await plain.getAttribute('lang'), 'en')
  })
})
