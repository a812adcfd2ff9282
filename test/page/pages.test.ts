import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { request } from 'node:http'
import type { IncomingHttpHeaders } from 'node:http'
import { after, before, suite, test } from 'node:test'
import { brotliDecompressSync, gunzipSync } from 'node:zlib'
import { newKey } from '../../demo/association.ts'
import { createDatabase } from '../support/database.ts'
import type { Database } from '../support/database.ts'
import { startPlenum } from '../support/server.ts'
import type { Plenum } from '../support/server.ts'

// How Plenum's own pages are served; what they do is in page.test.ts.

suite('the meeting page is served', () => {
  let db: Database
  let plenum: Plenum
  const key = newKey()
  const path = `/meeting/11/${key}`

  before(async () => {
    db = await createDatabase()
    plenum = await startPlenum({ database: db.url })
  })
  after(async () => {
    await plenum.kill()
    await db.drop()
  })

  function ask(
    path: string,
    headers: Record<string, string> = {},
    method = 'GET',
  ): Promise<{ status: number | undefined; headers: IncomingHttpHeaders; body: Buffer }> {
    return new Promise((resolve, reject) => {
      const asked = request(plenum.url(path), { headers, method, agent: false }, (response) => {
        const parts: Buffer[] = []
        response.on('data', (part: Buffer) => parts.push(part))
        response.on('end', () =>
          resolve({ status: response.statusCode, headers: response.headers, body: Buffer.concat(parts) }),
        )
      })
      asked.on('error', reject).end()
    })
  }

  test('whoever follows a link that leads nowhere is told so in their language, a program in a word', async () => {
    const cut = path.slice(0, -5)
    const asked = { accept: 'text/html,application/xhtml+xml,*/*;q=0.8', 'accept-language': 'sv-SE,de;q=0.5' }
    const { status, headers, body } = await ask(cut, asked)
    assert.equal(status, 404)
    assert.equal(headers['content-language'], 'sv')
    assert.match(String(headers['content-security-policy']), /^default-src 'none'/)
    assert.match(body.toString(), /<html lang="sv">.*Här finns ingen sida.*avklippt/s)
    assert.ok(!body.includes(cut))
    assert.equal((await ask(cut)).body.toString(), 'not found\n')
    assert.equal((await ask(cut, asked, 'POST')).body.toString(), 'not found\n')
  })

  test('so is whoever opens the address of a websocket', async () => {
    const door = `/ws${path}/0`
    const asked = { accept: 'text/html', 'accept-language': 'fr' }
    const { status, headers, body } = await ask(door, asked)
    assert.deepEqual([status, headers.upgrade, headers['content-language']], [426, 'websocket', 'fr'])
    assert.match(body.toString(), /<html lang="fr">.*<h1>Cette adresse n’est pas une page<\/h1>/s)
    const plain = await ask(door)
    assert.deepEqual([plain.status, plain.body.toString()], [426, 'a websocket is served here\n'])
  })

  test('compressed as it is asked for, the same document each time, below 60 KB', async () => {
    const plain = await ask(path)
    const br = await ask(path, { 'accept-encoding': 'gzip, deflate, br, zstd' })
    const gzip = await ask(path, { 'accept-encoding': 'gzip;q=0.5, br;q=0' })
    assert.deepEqual(
      [plain, br, gzip].map(({ status, headers }) => [status, headers['content-encoding']]),
      [
        [200, undefined],
        [200, 'br'],
        [200, 'gzip'],
      ],
    )
    assert.ok(brotliDecompressSync(br.body).equals(plain.body))
    assert.ok(gunzipSync(gzip.body).equals(plain.body))
    assert.ok(br.body.length < 60_000 && gzip.body.length < 60_000, `${br.body.length} ${gzip.body.length}`)
    for (const { headers, body } of [plain, br, gzip]) {
      assert.equal(headers['content-length'], String(body.length))
      assert.equal(headers['content-type'], 'text/html; charset=utf-8')
      assert.equal(headers.vary, 'accept-encoding')
    }
    const head = await ask(path, { 'accept-encoding': 'br' }, 'HEAD')
    assert.deepEqual([head.status, head.body.length], [200, 0])
    assert.equal(head.headers['content-length'], String(br.body.length))
  })

  test('who has it already gets 304, by whatever way he got it', async () => {
    const { etag } = (await ask(path, { 'accept-encoding': 'br' })).headers
    for (const encoding of ['br', 'gzip', 'identity']) {
      const again = await ask(path, { 'accept-encoding': encoding, 'if-none-match': `W/"x", ${etag}` })
      assert.deepEqual([again.status, again.body.length], [304, 0])
      assert.match(String(again.headers['content-security-policy']), /^default-src 'none'/)
    }
    assert.equal((await ask(path, { 'if-none-match': '"other-br"' })).status, 200)
  })

  test('its policy allows its own script and style, and nothing else', async () => {
    const { headers, body } = await ask(path)
    const html = body.toString()
    const hashOf = (text = ''): string => `'sha256-${createHash('sha256').update(text).digest('base64')}'`
    const [script, style] = ['script', 'style'].map((tag) => {
      const found = [...html.matchAll(new RegExp(`<${tag}[^>]*>(.*?)</${tag}>`, 'gs'))]
      assert.equal(found.length, 1)
      return found[0]?.[1]
    })
    const policy = Object.fromEntries(
      String(headers['content-security-policy'])
        .split('; ')
        .map((directive) => [directive.split(' ')[0], directive.split(' ').slice(1).join(' ')]),
    )
    assert.deepEqual(policy, {
      'default-src': `'none'`,
      'script-src': hashOf(script),
      'style-src': hashOf(style),
      'connect-src': `'self'`,
      'img-src': 'data:',
      'base-uri': `'none'`,
      'form-action': `'none'`,
      'frame-ancestors': `'none'`,
      'require-trusted-types-for': `'script'`,
      'trusted-types': `'none'`,
    })
    assert.equal(/\b(src|href)=["']?(https?:)?\/\//.test(html), false)
    assert.equal(headers['referrer-policy'], 'no-referrer')
    assert.equal(headers['x-content-type-options'], 'nosniff')
    assert.equal(headers['cache-control'], 'no-cache')
  })

  test('the same for every key, and 404 for what is no address of a meeting', async () => {
    const one = await ask(path)
    const other = await ask(`/meeting/999999/${newKey()}`)
    assert.ok(one.body.equals(other.body))
    for (const wrong of [
      '/meeting/',
      '/meeting/11',
      `/meeting/11/${key.slice(1)}`,
      `/meeting/11/${key}x`,
      `/meeting/11/${key.slice(1)}.`,
      `/meeting/x1/${key}`,
      `/meeting/11/${key}//`,
    ])
      assert.equal((await ask(wrong)).status, 404, wrong)
    // By this one the record leads back.
    assert.ok(one.body.equals((await ask(`${path}/`)).body))
    assert.equal((await ask(path, {}, 'POST')).status, 404)
    assert.ok(!plenum.stderr.join('').includes(key))
  })
})
