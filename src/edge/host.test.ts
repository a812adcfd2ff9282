import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isCrossSite, isKnownHost, ownNames } from './host.ts'
import { parseOrigins } from './origin.ts'

const names = ownNames(
  ['Status.example.org'],
  parseOrigins('https://www.example.org,http://other.example:81'),
  [{ type: 'tcp', host: 'admin.internal', port: 1 }, { type: 'unix', path: '/evil.example' }, null],
)

test('addresses, localhost and configured names are known hosts', () => {
  for (const host of [
    '',
    '127.0.0.1',
    '127.0.0.1:8198',
    '192.0.2.7:80',
    '[::1]',
    '[::1]:8198',
    '[2001:db8::7]:80',
    '[fe80::1%eth0]:80',
    'localhost',
    'LocalHost:8200',
    'localhost.',
    'status.example.org',
    'STATUS.example.org:443',
    'www.example.org',
    'other.example',
    'admin.internal:8198',
  ])
    assert.equal(isKnownHost(host, names), true, host)
})

test('any other name is not, whatever it looks like', () => {
  for (const host of [
    'evil.example',
    'evil.example:8198',
    '127.0.0.1.evil.example',
    'localhost.evil.example',
    'evil.localhost',
    'evil-www.example.org',
    'a.www.example.org',
    'www.example.org.evil.example',
    'www.example.org..',
    'user@127.0.0.1',
    '127.0.0.1:80:80',
    '127.0.0.1:80@evil.example',
    '127.0.0.1 evil.example',
    '127.0.0.1,evil.example',
    '::1',
    '[::1',
    '[evil.example]',
    '[127.0.0.1]',
    '127.1',
    '2130706433',
    '*',
    '/',
  ])
    assert.equal(isKnownHost(host, names), false, host)
})

test('an origin that is any page names no host', () => {
  assert.equal(isKnownHost('evil.example', ownNames([], parseOrigins('*'), [])), false)
})

test('a request of another site is known by what the browser says; a link is none where it may lead here', () => {
  const host = '127.0.0.1:8198'
  const link = {
    host,
    'sec-fetch-site': 'cross-site',
    'sec-fetch-mode': 'navigate',
    'sec-fetch-dest': 'document',
  }
  for (const links of [true, false]) {
    for (const own of [
      { host },
      { host, 'sec-fetch-site': 'none', 'sec-fetch-mode': 'navigate' },
      { host, 'sec-fetch-site': 'same-origin', origin: `http://${host}` },
      { host, origin: `https://${host}` },
    ])
      assert.equal(isCrossSite(own, { links }), false)
    for (const foreign of [
      { host, origin: 'https://evil.example' },
      { host, origin: 'null' },
      { host, origin: 'http://127.0.0.1:80' },
      { host, 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'image' },
      { host, 'sec-fetch-site': 'same-site', 'sec-fetch-mode': 'cors' },
      { ...link, 'sec-fetch-dest': 'iframe' },
    ])
      assert.equal(isCrossSite(foreign, { links }), true)
    assert.equal(isCrossSite(link, { links }), !links)
  }
})
