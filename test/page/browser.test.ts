import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, suite, test } from 'node:test'
import { freePort } from '../../demo/port.ts'
import { tether } from '../../demo/tether.ts'
import { createDatabase } from '../support/database.ts'
import { gather } from '../support/meeting-fixture.ts'
import { startPlenum } from '../support/server.ts'
import { meetingStatus } from '../support/status.ts'
import { until } from '../support/until.ts'
import { patience } from '../support/patience.ts'

// A page of another site, in the browser of a member who has its address: what keeps it out is Origin alone.

const chromium = ['chromium', 'chromium-browser', 'google-chrome'].find(
  (name) => spawnSync(name, ['--version'], { stdio: 'ignore' }).status === 0,
)
const skip = chromium === undefined && 'there is no Chromium here (package chromium of Debian)'
const seconds = 30

/** What a page says of its attempts, by their names. */
type Findings = Record<string, string>

/**
 * Tries the websockets and requests of the address's query, and posts what came of them to where the page is from. Text,
 * because it is the browser that runs it.
 */
const page = `<!doctype html><iframe sandbox="allow-scripts"></iframe><script>
  const listen = (url) => new Promise((resolve) => {
    const ws = new WebSocket(url)
    ws.onmessage = ({ data }) => resolve('told ' + JSON.parse(data).type)
    ws.onclose = ({ code }) => resolve('closed ' + code)
  })
  const read = (url) => fetch(url).then(({ status }) => 'read ' + status, () => 'not read')
  const inSandbox = (url) => new Promise((resolve) => {
    onmessage = ({ data }) => resolve(data)
    document.querySelector('iframe').srcdoc = '<script>(' + listen + ')(' + JSON.stringify(url) +
      ').then((said) => parent.postMessage(said, "*"))</' + 'script>'
  })
  const attempt = async () => {
    const findings = {}
    for (const [way, url] of new URLSearchParams(location.search))
      findings[way] = await { listen, read, inSandbox }[way](url)
    await fetch('/found', { method: 'POST', body: JSON.stringify(findings) })
  }
  attempt()
</script>`

/** A site of one page. `found` settles with what the page that was opened last has posted. */
async function openSite(): Promise<{ port: number; found: () => Promise<Findings>; close: () => void }> {
  let resolve: (findings: Findings) => void = () => {}
  const port = await freePort()
  const site = createServer((request, response) => {
    if (request.url !== '/found') {
      response.setHeader('content-type', 'text/html')
      response.end(page)
      return
    }
    let body = ''
    request.on('data', (chunk: Buffer) => (body += chunk.toString()))
    request.on('end', () => {
      response.end()
      resolve(JSON.parse(body) as Findings)
    })
  })
  site.listen(port, '127.0.0.1')
  await once(site, 'listening')
  return {
    port,
    found: () => new Promise((found) => (resolve = found)),
    close() {
      site.close()
      site.closeAllConnections()
    },
  }
}

suite('pages in Chromium', { skip }, async () => {
  const site = await openSite()
  const ours = `http://www.domain.example:${site.port}`
  const db = await createDatabase()
  const plenum = await startPlenum({ database: db.url, origin: ours })
  const meeting = await gather(db.sql, plenum, 1, { state: 1, allowrejoin: true })
  const path = `/ws/meeting/${meeting.id}/${meeting.key(0)}/0`

  after(async () => {
    site.close()
    await plenum.stop()
    await db.drop()
  })

  /** Opens the page of a site by this name; all names are this machine's. */
  async function visit(
    host: string,
    query: Record<string, string>,
    { found: finds, port } = site,
  ): Promise<Findings> {
    const found = finds()
    const folder = await mkdtemp(join(tmpdir(), 'plenum-chromium-'))
    const browser = spawn(
      chromium ?? '',
      [
        ...['--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run'],
        ...['--disable-background-networking', '--disable-extensions', '--disable-component-update'],
        `--user-data-dir=${folder}`,
        '--host-resolver-rules=MAP *.example 127.0.0.1',
        '--remote-debugging-port=0',
        `http://${host}:${port}/?${new URLSearchParams(query).toString()}`,
      ],
      { stdio: 'ignore', detached: true },
    )
    tether(browser, 'KILL')
    const exited = once(browser, 'exit')
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => reject(new Error(`the page said nothing within ${seconds} s`)),
        patience(seconds * 1000),
      )
    })
    try {
      return await Promise.race([found, late])
    } finally {
      clearTimeout(timer)
      // Its processes are a group of their own.
      if (browser.pid) process.kill(-browser.pid, 'SIGKILL')
      await exited
      await rm(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 })
    }
  }

  const directly = `ws://127.0.0.1:${plenum.port}${path}`

  /** How often a page has been refused for its origin: a connection that fails otherwise looks the same to it. */
  async function assertRefused(count: number): Promise<void> {
    const refusals = () => plenum.logs.filter(({ event }) => event === 'originRefused').length
    await until('the refusals are logged', () => refusals() >= count)
    assert.equal(refusals(), count)
  }

  test('a page of ours enters with the key; one in a sandbox, which has no origin, does not', async () => {
    const findings = await visit('www.domain.example', { listen: directly, inSandbox: directly })
    assert.deepEqual(findings, { listen: 'told users', inSandbox: 'closed 1006' })
    await assertRefused(1)
  })

  test('a page of another site does not, and reads nothing else', async () => {
    const here = async () => (await meetingStatus(plenum, meeting.id))?.members
    await until('the page of before is gone', async () => (await here())?.length === 0)
    const status = plenum.url('/__meetingstatus')
    const findings = await visit('evil.example', { listen: directly, read: status })
    assert.deepEqual(findings, { listen: 'closed 1006', read: 'not read' })
    assert.deepEqual(await here(), [])
    await assertRefused(2)
  })

  test('nor does a page of ours at another port, or a site that has its name bound to the server', async () => {
    const rebound = `ws://evil.example:${plenum.port}${path}`
    const findings = await visit('evil.example', { listen: rebound })
    assert.deepEqual(findings, { listen: 'closed 1006' })
    const other = await openSite()
    const elsewhere = await visit('www.domain.example', { listen: directly }, other)
    assert.deepEqual(elsewhere, { listen: 'closed 1006' })
    other.close()
    await assertRefused(4)
  })
})
