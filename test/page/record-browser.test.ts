import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import { assertAccessible, launchChromium, noChromium, phone } from '../support/browser.ts'
import { createDatabase } from '../support/database.ts'
import type { Database } from '../support/database.ts'
import { gather } from '../support/meeting-fixture.ts'
import type { MeetingFixture } from '../support/meeting-fixture.ts'
import { currentRuntime, startPlenum } from '../support/server.ts'
import type { Plenum } from '../support/server.ts'

// How the page of a record is in a browser; what is in it is in record-page.test.ts.

const skip = noChromium || (currentRuntime() !== 'node' && 'the page is the same on both runtimes')
const hostile = '<script>document.title = "owned"</script><img src=x onerror="document.title=1">'

suite('the page of a record in Chromium', { skip }, () => {
  let db: Database
  let plenum: Plenum
  let meeting: MeetingFixture
  let browser: Browser

  before(async () => {
    db = await createDatabase()
    plenum = await startPlenum({ database: db.url, origin: '*' })
    browser = await launchChromium()
    meeting = await gather(db.sql, plenum, 3, { state: 1, name: `Assembly ${hostile}`.slice(0, 100) })
    await db.sql`update membership_member set fullname = ${hostile} where user_id = ${meeting.user(1)}`
    await db.sql`
      insert into membership_meetingmessagelog (t, message, meeting_id, sender_id)
      select '2026-03-14 19:00:00+01'::timestamptz + n * interval '3 minutes',
        case n when 0 then 'This meeting is now open' when 1 then ${hostile} when 2 then repeat('x', 3000)
          else 'line ' || n end, ${meeting.id}, case when n > 0 then ${meeting.user(1)}::int end
      from generate_series(0, 150) n`
    // More than a screen has room for.
    await db.sql`
      insert into plenum.attendance (meeting_id, member_id) select ${meeting.id}, n from generate_series(1, 70) n`
    for (const [question, ending] of [
      ['Accept the report?', 'voted'],
      [hostile, 'aborted'],
      ['x'.repeat(500), 'time'],
    ] as const)
      await db.sql`
        with poll as (
          insert into plenum.poll (meeting_id, question, answers, opened_by, closes_at, ended_at, ending)
          values (${meeting.id}, ${question}, ${['Yes', hostile, 'y'.repeat(200)]}::text[], ${meeting.user(0)}, now(),
            now(), ${ending})
          returning id)
        insert into plenum.vote (poll_id, member_id, answer)
        select poll.id, n, 0 from poll, generate_series(1, 30) n`
  })
  after(async () => {
    await browser.close()
    await plenum.kill()
    await db.drop()
  })

  async function visit(options: BrowserContextOptions = {}): Promise<{ page: Page; said: string[] }> {
    const context = await browser.newContext(options)
    const page = await context.newPage()
    const said: string[] = []
    page.on('console', (message) => said.push(message.text()))
    page.on('request', (request) => {
      if (!request.url().startsWith('data:')) said.push(new URL(request.url()).pathname)
    })
    await page.goto(plenum.url(`/meeting/${meeting.id}/${meeting.key(0)}/record`))
    return { page, said }
  }

  test('it asks for nothing else, runs only what prints, and what is hostile is text', async () => {
    const { page, said } = await visit()
    assert.deepEqual(said, [`/meeting/${meeting.id}/${meeting.key(0)}/record`])
    assert.match(
      await page.title(),
      /^Assembly script document\.title = owned script .* 2026-03-14 – Record of the meeting$/,
    )
    assert.deepEqual(
      await page.evaluate(
        `[document.scripts.length, document.images.length, document.querySelectorAll('ol > li').length]`,
      ),
      [1, 0, 151],
    )
    assert.ok((await page.innerText('ol > li:nth-child(2)')).includes(hostile))
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('link', { name: 'Proceedings (CSV)' }).click(),
    ])
    assert.match(download.suggestedFilename(), /^Assembly .* 2026-03-14 record\.csv$/)
  })

  test('its button prints, and is not there without scripts; its link leads back to the meeting', async () => {
    const { page } = await visit()
    await page.evaluate('window.print = () => { document.body.dataset.printed = "yes" }')
    await page.getByRole('button', { name: 'Print' }).click()
    assert.equal(await page.getAttribute('body', 'data-printed'), 'yes')
    await page.getByRole('link', { name: 'To the meeting' }).click()
    await page.getByText(`${meeting.name(0)} joined the meeting`).waitFor()
    const { page: plain } = await visit({ javaScriptEnabled: false })
    await plain.getByRole('link', { name: 'To the meeting' }).waitFor()
    assert.equal(await plain.getByRole('button').count(), 0)
  })

  for (const [name, options] of [
    ['a desktop', {}],
    ['a phone, in German', { viewport: phone, locale: 'de-DE' }],
  ] as const)
    test(`axe-core finds nothing wrong, nothing is wider than the screen: ${name}`, async () => {
      const { page } = await visit(options)
      await assertAccessible(page, 'the record')
      assert.equal(
        await page.evaluate('document.documentElement.scrollWidth <= document.documentElement.clientWidth'),
        true,
      )
    })

  test('printed: black on white, without what is for the screen only, and in several pages', async () => {
    const { page } = await visit({ colorScheme: 'dark' })
    const pdf = await page.pdf({ preferCSSPageSize: true })
    const pages = /\/Type \/Pages[^>]*\/Count (\d+)/.exec(pdf.toString('latin1'))?.[1]
    assert.ok(Number(pages) >= 4 && Number(pages) <= 12, `${pages} pages`)
    await page.emulateMedia({ media: 'print', colorScheme: 'dark' })
    assert.equal(await page.locator('nav').isVisible(), false)
    assert.equal(await page.locator('footer').isVisible(), false)
    assert.equal(await page.getByRole('button').count(), 0)
    assert.ok((await page.locator('.people > li').count()) >= 70)
    const rolled = `(() => {
      const { scrollHeight, clientHeight } = document.querySelector('.long')
      return scrollHeight > clientHeight + 1
    })()`
    assert.equal(await page.evaluate(rolled), false)
    assert.deepEqual(
      await page.evaluate(
        '[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]',
      ),
      ['rgb(0, 0, 0)', 'rgb(255, 255, 255)'],
    )
    await page.emulateMedia({ media: 'screen' })
    assert.equal(await page.evaluate(rolled), true)
  })
})
