import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Hono } from 'hono'
import { refuseRequest } from './notice.ts'

test('who follows a link reads why it leads nowhere in their language, a program gets a word', async () => {
  const app = new Hono()
  app.notFound((c) => refuseRequest(c, 404, 'not found'))
  app.get('/guessed', (c) => refuseRequest(c, 429, 'too many', { 'cache-control': 'no-store' }))
  app.get('/broken', (c) => refuseRequest(c, 500, 'internal error'))
  app.get('/socket', (c) => refuseRequest(c, 426, 'a websocket', { upgrade: 'websocket' }))
  const accept = 'text/html,application/xhtml+xml,*/*;q=0.8'
  for (const [language, path, status, words] of [
    ['sv', '/cut', 404, 'Här finns ingen sida'],
    ['de', '/guessed', 429, 'Bitte warten Sie eine Minute'],
    ['fr', '/broken', 500, 'Quelque chose s’est mal passé'],
    ['sv', '/socket', 426, 'Den här adressen är ingen sida'],
    ['ja', '/cut', 404, 'There is no page here'],
  ] as const) {
    const answer = await app.request(path, {
      headers: { accept, 'accept-language': `${language}-XX,en;q=0.5` },
    })
    assert.equal(answer.status, status)
    assert.equal(answer.headers.get('content-language'), language === 'ja' ? 'en' : language)
    assert.match(
      answer.headers.get('content-security-policy') ?? '',
      /^default-src 'none'; style-src 'sha256-/,
    )
    assert.ok((await answer.text()).includes(`<h1>${words}</h1>`))
  }
  const plain = await app.request('/guessed')
  assert.deepEqual([plain.headers.get('cache-control'), await plain.text()], ['no-store', 'too many\n'])
  const upgradable = await app.request('/socket')
  assert.deepEqual(
    [upgradable.headers.get('upgrade'), await upgradable.text()],
    ['websocket', 'a websocket\n'],
  )
  const posted = await app.request('/cut', { method: 'POST', headers: { accept } })
  assert.deepEqual([posted.status, await posted.text()], [404, 'not found\n'])
})
