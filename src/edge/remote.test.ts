import assert from 'node:assert/strict'
import { test } from 'node:test'
import { clientAddress, clientNetwork } from './remote.ts'

const proxied = { behindProxy: true, trustedHops: 1 }

test('without a proxy the header is not looked at', () => {
  assert.equal(
    clientAddress('192.0.2.1', '198.51.100.9', { behindProxy: false, trustedHops: 1 }),
    '192.0.2.1',
  )
})

test('behind a proxy the last entry is the client', () => {
  assert.equal(clientAddress('127.0.0.1', '198.51.100.9', proxied), '198.51.100.9')
  assert.equal(clientAddress('127.0.0.1', '10.6.6.6, 198.51.100.9', proxied), '198.51.100.9')
})

test('with several proxies the entry that the outermost wrote is the client', () => {
  const trust = { behindProxy: true, trustedHops: 2 }
  assert.equal(clientAddress('127.0.0.1', '6.6.6.6,198.51.100.9 , 203.0.113.1', trust), '198.51.100.9')
  assert.equal(clientAddress('127.0.0.1', '203.0.113.1', trust), '127.0.0.1')
})

test('ports and brackets are taken off', () => {
  assert.equal(clientAddress('127.0.0.1', '198.51.100.9:1234', proxied), '198.51.100.9')
  assert.equal(clientAddress('127.0.0.1', '[2001:DB8::7]:1234', proxied), '2001:db8::7')
  assert.equal(clientAddress('127.0.0.1', '[2001:db8::7]', proxied), '2001:db8::7')
  assert.equal(clientAddress('127.0.0.1', '2001:db8::7', proxied), '2001:db8::7')
})

test('an IPv4 address is shown as one, however the socket saw it', () => {
  assert.equal(clientAddress('::ffff:192.0.2.1', undefined, proxied), '192.0.2.1')
  assert.equal(clientAddress('127.0.0.1', '::FFFF:192.0.2.1', proxied), '192.0.2.1')
  for (const same of ['::ffff:c000:201', '0:0:0:0:0:FFFF:C000:0201', '[::ffff:c000:201]:1234'])
    assert.equal(clientAddress('127.0.0.1', same, proxied), '192.0.2.1', same)
  assert.equal(clientAddress('127.0.0.1', '64:ff9b::192.0.2.1', proxied), '64:ff9b::192.0.2.1')
})

test('what is not an address is not repeated', () => {
  for (const header of [
    '',
    'unknown',
    '<script>',
    '300.1.1.1',
    '1.2.3.4:',
    '9'.repeat(100_000),
    `fe80::1%${'x'.repeat(200)}`,
    '198.51.100.9,',
  ]) {
    assert.equal(clientAddress('127.0.0.1', header, proxied), '127.0.0.1', header.slice(0, 40))
  }
})

test('a Unix socket has no address', () => {
  assert.equal(clientAddress(undefined, undefined, proxied), 'unix')
  assert.equal(clientAddress('', undefined, proxied), 'unix')
  assert.equal(clientAddress('@', 'nonsense', proxied), 'unix')
  assert.equal(clientAddress(undefined, '198.51.100.9', proxied), '198.51.100.9')
})

test('a client is an IPv4 address or an IPv6 network, and this machine is none', () => {
  for (const [address, network] of [
    ['192.0.2.1', '192.0.2.1'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:db8:1:2::', '2001:db8:1:2::/64'],
    ['2001:0db8::9', '2001:db8::/64'],
    ['2001:db8::1:2:3:4:5', '2001:db8:0:1::/64'],
    ['fe80::1%eth0', 'fe80::/64'],
    ['::9', '::/64'],
    ['2001:DB8:1:2:3:4:5.6.7.8', '2001:db8:1:2::/64'],
    ['64:ff9b::192.0.2.1', '64:ff9b::/64'],
    ['2001:db8::1%eth0', '2001:db8::/64'],
    ['0:0:0:0:0:0:0:1', null],
    ['127.0.0.1', null],
    ['::1', null],
    ['unix', null],
  ] as const)
    assert.equal(clientNetwork(address), network, address)
})
