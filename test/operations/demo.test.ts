import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { lanAddress } from '../../demo/links.ts'
import { launchChromium, noChromium, phone, picture } from '../support/browser.ts'
import { patience } from '../support/patience.ts'
import { currentRuntime } from '../support/server.ts'
import { until } from '../support/until.ts'

// `npm start`, without its build: what it says is to be opened can be, also from another device.

const start = fileURLToPath(new URL('../../demo/start.ts', import.meta.url))
const skip = currentRuntime() !== 'node' && 'it starts the server on Node'

suite('the demo', { skip }, () => {
  const noLan = lanAddress() === null && 'this machine is in no network'

  test(
    'with --lan it is had at an address of the network; its first page lists all links',
    { skip: noChromium || noLan },
    async (t) => {
      const folder = await mkdtemp(join(tmpdir(), 'plenum-demo-'))
      // PostgreSQL's account has to reach it, where we are root.
      await chmod(folder, 0o755)
      const demo = spawn(process.execPath, ['--import', 'tsx', start, '--lan', '--folder', folder])
      const ended = once(demo, 'exit')
      t.after(async () => {
        demo.kill('SIGTERM')
        await ended
        await rm(folder, { recursive: true, force: true })
      })
      let said = ''
      for (const stream of [demo.stdout, demo.stderr])
        stream.on('data', (part: Buffer) => (said += part.toString()))
      await until('the demo has said all', () => said.includes('Ctrl-C') || demo.exitCode !== null, 60_000)
      const [, first = ''] = /^ {2}(http:\S+)$/m.exec(said) ?? []
      const [, count, home = ''] = /^All (\d+) links, .* are on (http:\S+)$/m.exec(said) ?? []
      assert.equal(new URL(first).hostname, lanAddress())
      assert.equal(first.match(/http/g)?.length, 1)

      const browser = await launchChromium()
      t.after(() => browser.close())
      const page = await browser.newPage({ locale: 'en-GB', viewport: phone })
      page.setDefaultTimeout(patience(30_000))
      await page.goto(home)
      const links = page.getByRole('link')
      assert.equal(await links.count(), Number(count))
      await picture(page, 'demo-home')
      await links.first().click()
      assert.equal(page.url(), first)
      // Without TLS, and not from this machine: browsers give such pages less.
      assert.equal(await page.evaluate('isSecureContext'), false)
      await page.getByText('Connected', { exact: true }).waitFor()
      await page.goto(home)
      await page.getByRole('link', { name: 'The meeting on a big screen' }).click()
      await page.getByText('The meeting has not been opened yet').waitFor()
      await page.goto(home)
      await page.getByRole('link', { name: 'A sheet to draw on together' }).click()
      await page.getByText('Connected', { exact: false }).first().waitFor()
    },
  )

  test('what it does not know it says, and starts nothing', async () => {
    const demo = spawn(process.execPath, ['--import', 'tsx', start, '--wlan'])
    let said = ''
    demo.stderr.on('data', (part: Buffer) => (said += part.toString()))
    const [code] = (await once(demo, 'close')) as [number]
    assert.equal(code, 2)
    assert.match(said, /--wlan[^]*usage: npm start -- \[--lan\]/)
  })
})
