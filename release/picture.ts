import { mkdir, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'
import type { Page } from 'playwright-core'
import { ensureAssociation } from '../demo/association.ts'
import type { SampleMeeting } from '../demo/association.ts'
import { freePort } from '../demo/port.ts'
import { chromiumPath } from '../test/support/browser.ts'
import { createCluster } from '../test/support/database.ts'
import { join } from '../test/support/meeting-client.ts'
import type { Member } from '../test/support/meeting-client.ts'
import { startPlenum } from '../test/support/server.ts'
import type { Plenum } from '../test/support/server.ts'

// Makes the pictures of the README: the real page in a meeting of the sample association, with a vote under way. It needs
// Chromium, and the bundle that `npm run build` makes.

const size = { width: 1160, height: 800 }
const folder = fileURLToPath(new URL('../docs/images/', import.meta.url))
/** The member whose page is shown, by their place in the list. */
const watcher = 8
const question = 'Approve the annual accounts?'

const cluster = await createCluster()
const browser = await chromium.launch({ executablePath: chromiumPath ?? '', args: ['--no-sandbox'] })
try {
  const database = await cluster.createDatabase()
  const meeting = await ensureAssociation(database.sql)
  const listen = `127.0.0.1:${await freePort()}`
  const plenum = await startPlenum({ database: database.url, listen, origin: `http://${listen}` })
  const context = await browser.newContext({ locale: 'en-GB', viewport: size, deviceScaleFactor: 2 })
  const page = await context.newPage()
  await page.goto(plenum.url(`/meeting/${meeting.id}/${meeting.seats[watcher]?.key}`))
  await page.getByText('Connected', { exact: true }).waitFor()
  const present = await hold(plenum, meeting)
  await page.getByRole('radio', { name: /^Yes/ }).check()
  await takePictures(page)
  await context.close()
  for (const { ws } of present) ws.close()
  await plenum.stop()
  await database.drop()
} finally {
  await browser.close()
  await cluster.remove()
}

/** The others talk, the chair opens the meeting and a poll, and some of them vote. */
async function hold(plenum: Plenum, meeting: SampleMeeting): Promise<Member[]> {
  const present: Member[] = []
  for (const { key } of meeting.seats.slice(0, watcher)) {
    const member = await join(plenum, meeting.id, key)
    await member.next('messages')
    present.push(member)
  }
  const [chair, zoe, siobhan, jose, lukasz] = present as [Member, Member, Member, Member, Member]
  const say = async (member: Member, message: string): Promise<void> => {
    member.send({ type: 'message', message })
    await chair.line(message)
  }
  chair.send({ type: 'open' })
  await chair.line('This meeting is now open')
  await say(chair, 'Good evening, everyone. The invitation went out in time, and we are enough to decide.')
  await say(zoe, 'Good evening from Utrecht!')
  await say(jose, 'The accounts are at https://example.org/accounts. Are there questions?')
  await say(siobhan, 'How much is in the reserve now?')
  await say(jose, '12,400 euros, a third more than a year ago.')
  await say(lukasz, 'The auditors have no remarks.')
  await say(chair, 'Then we vote.')
  chair.send({ type: 'newpoll', question, answers: ['Yes', 'No', 'I abstain'], minutes: 5 })
  await zoe.next('poll', ({ data }) => data !== null)
  for (const [member, vote] of [
    [zoe, 0],
    [jose, 2],
    [siobhan, 0],
    [lukasz, 0],
  ] as const)
    member.send({ type: 'vote', question, vote })
  await chair.next('poll', ({ data }) => data?.tally[0] === 3 && data.tally[2] === 1)
  return present
}

/** As a member sees it on a light screen and on a dark one, in WebP, which Playwright itself does not make. */
async function takePictures(page: Page): Promise<void> {
  await mkdir(folder, { recursive: true })
  const devtools = await page.context().newCDPSession(page)
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
    await page.getByText('Then we vote.').waitFor()
    const { data } = await devtools.send('Page.captureScreenshot', { format: 'webp', quality: 82 })
    await writeFile(`${folder}meeting-${colorScheme}.webp`, Buffer.from(data, 'base64'))
  }
}
