import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isAllowedOrigin, noOrigins, parseOrigins } from './origin.ts'

const allows = (flag: string, header: string | undefined): boolean =>
  isAllowedOrigin(parseOrigins(flag), header)

test('an origin is compared by scheme, host and port, not by its spelling', () => {
  for (const flag of [
    'https://www.domain.com',
    'https://www.domain.com/',
    'https://www.domain.com/events/?a=b#c',
    'HTTPS://WWW.Domain.COM',
    'https://www.domain.com:443',
    ' https://www.domain.com ,',
  ]) {
    assert.equal(allows(flag, 'https://www.domain.com'), true, flag)
    assert.equal(allows(flag, 'https://WWW.domain.com:443'), true, flag)
    assert.equal(allows(flag, 'http://www.domain.com'), false, flag)
    assert.equal(allows(flag, 'https://www.domain.com:8443'), false, flag)
    assert.equal(allows(flag, 'https://domain.com'), false, flag)
    assert.equal(allows(flag, 'https://www.domain.com.evil.org'), false, flag)
  }
})

test('a port that is not the default one counts', () => {
  assert.equal(allows('http://localhost:3000', 'http://localhost:3000'), true)
  assert.equal(allows('http://localhost:3000', 'http://localhost'), false)
  assert.equal(allows('http://localhost', 'http://localhost:80'), true)
  assert.equal(allows('http://[::1]:3000', 'http://[::1]:3000'), true)
})

test('several origins are separated by commas', () => {
  const flag = 'https://a.example, https://b.example/'
  assert.equal(allows(flag, 'https://a.example'), true)
  assert.equal(allows(flag, 'https://b.example'), true)
  assert.equal(allows(flag, 'https://c.example'), false)
})

test('international host names compare in the form that browsers send', () => {
  assert.equal(allows('https://bücher.example', 'https://xn--bcher-kva.example'), true)
})

test('schemes of native applications compare too', () => {
  assert.equal(allows('capacitor://LOCALHOST', 'capacitor://localhost'), true)
  assert.equal(allows('capacitor://localhost', 'ionic://localhost'), false)
})

test('a star stands for exactly one label, the first', () => {
  const flag = 'https://*.example.org, http://*.local.example:8080'
  for (const header of [
    'https://a.example.org',
    'https://xn--bcher-kva.example.org',
    'http://B.local.example:8080',
  ])
    assert.equal(allows(flag, header), true, header)
  for (const header of [
    'https://example.org',
    'https://a.b.example.org',
    'https://*.example.org',
    'https://.example.org',
    'http://a.example.org',
    'https://a.example.org:8443',
    'https://a.example.org.evil.example',
    'https://a.xexample.org',
    'http://a.local.example',
    'https://[::1]',
  ])
    assert.equal(allows(flag, header), false, header)
})

test('an origin that no page can have is refused in words', () => {
  for (const flag of [
    'https://a.example;https://b.example',
    'https://a.example;b.example',
    'https://a.*.example',
    'https://*a.example.org',
    'https://**.example.org',
    'https://*.*.example.org',
    'https://*',
    "https://a'.example",
    'https://a.example$',
    'https://a..example',
  ])
    assert.throws(() => parseOrigins(flag), /no page has an origin with such a host: several .* commas/, flag)
  assert.throws(() => parseOrigins('https://*.org'), /at least two labels/)
  assert.throws(() => parseOrigins('htps://a.example'), /did you mean https\?$/)
})

test('a request without Origin is allowed', () => {
  assert.equal(allows('https://a.example', undefined), true)
  assert.equal(isAllowedOrigin(noOrigins, undefined), true)
  assert.equal(isAllowedOrigin(noOrigins, 'https://a.example'), false)
})

test('what no browser sends is refused', () => {
  for (const header of [
    'null',
    '',
    'a.example',
    'https://',
    'https://a.example/',
    'https://a.example, https://a.example',
    'https://user@a.example',
    'https:\\\\a.example',
    'https://a.example\\@evil.example',
    'https://a.example:99999',
    'x'.repeat(100_000),
  ]) {
    assert.equal(allows('https://a.example', header), false, header)
  }
})

test('a star allows every header', () => {
  for (const header of ['https://a.example', 'null', 'garbage', '']) {
    assert.equal(allows('*', header), true)
    assert.equal(allows('https://a.example,*', header), true)
  }
})

test('a flag that names no origin is an error', () => {
  for (const flag of [
    '',
    ' , ',
    'www.domain.com',
    'localhost:3000',
    'https://',
    'https://u:p@a.example',
    '/',
  ]) {
    assert.throws(() => parseOrigins(flag), /origin/, flag)
  }
  assert.throws(() => parseOrigins('wss://a.example'), /http or https/)
  assert.throws(() => parseOrigins('https://a.example,nonsense'), /scheme and a host/)
})
