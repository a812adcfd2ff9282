import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Env } from '../db/place.ts'
import { anonymousDocuments } from '../document/flags.ts'
import { type Config, type Invocation, parseInvocation, usage } from './config.ts'
import { UsageError } from './flag.ts'
import { flags } from './flags.ts'
import { compareSettings, type Settings } from './settings.ts'

const host = { osUser: 'operator', home: '/home/operator', readFile: () => null }
const parse = (args: readonly string[], env: Env = {}): Invocation => parseInvocation(args, env, host)

function config(args: readonly string[], env: Env = {}): Config {
  const invocation = parse(['-origin', 'https://a.example', ...args], env)
  assert.ok('config' in invocation)
  return invocation.config
}

function refusal(args: readonly string[], env: Env = {}): string {
  try {
    parse(args, env)
  } catch (error) {
    assert.ok(error instanceof UsageError, String(error))
    assert.doesNotMatch(error.message, /[\n\r]/)
    return error.message
  }
  return assert.fail(`was taken: ${args.join(' ')}`)
}

test('what is not given has the documented defaults', () => {
  assert.deepEqual(config([]), {
    origins: { type: 'list', origins: new Set(['https://a.example:443']) },
    behindProxy: false,
    trustedHops: 1,
    database: {
      hosts: [{ host: '/var/run/postgresql', port: 5432 }],
      database: 'postgresqleu',
      user: 'operator',
      password: null,
      tls: { type: 'disable' },
      connectTimeoutSeconds: 10,
      applicationName: 'plenum',
      targetSessionAttrs: null,
      parameters: {},
    },
    listen: { type: 'tcp', host: '127.0.0.1', port: 8199 },
    socketMode: 0o660,
    tls: null,
    adminListen: null,
    profileListen: null,
    adminHosts: [],
    pingMs: 30_000,
    pollMs: 2000,
    ratePerSecond: 5,
    maxConnections: 20_000,
    maxPerAddress: 1000,
    maxPending: 5000,
    requestTimeoutMs: 10_000,
    timezone: null,
    brand: null,
    home: null,
    logLevel: 'info',
    logFormat: 'auto',
    doors: {
      meeting: { graceMs: 10_000, closeAfterMs: 300_000, joinWindowMs: null },
      chat: null,
      document: null,
    },
  })
  assert.ok(Object.isFrozen(config([])))
})

test('flags are written as for Go: one dash or two, value after a space or =', () => {
  for (const args of [
    ['-grace', '3'],
    ['--grace', '3'],
    ['-grace=3'],
    ['--grace=3'],
    ['-grace=1', '-grace=3'],
  ])
    assert.equal(config(args).doors.meeting.graceMs, 3000, args.join(' '))
  assert.equal(config(['-dburl=host=/x dbname=a=b']).database.database, 'a=b')
})

test('a flag that is on or off takes its value after = only', () => {
  for (const on of ['-behindproxy', '--behindproxy', '-behindproxy=true', '-behindproxy=1', '-behindproxy=T'])
    assert.equal(config([on]).behindProxy, true, on)
  for (const off of ['-behindproxy=false', '-behindproxy=0', '-behindproxy=f', '-behindproxy=FALSE'])
    assert.equal(config([off]).behindProxy, false, off)
  assert.equal(config(['-behindproxy', '-grace', '1']).behindProxy, true)
  assert.match(refusal(['-origin', '*', '-behindproxy', 'false']), /-behindproxy=false/)
  assert.match(refusal(['-origin', '*', '-behindproxy=yes']), /^-behindproxy takes true or false/)
})

test('the flag wins over its environment twin, and an empty twin is none', () => {
  assert.equal(config([], { PLENUM_GRACE: '4' }).doors.meeting.graceMs, 4000)
  assert.equal(config(['-grace', '3'], { PLENUM_GRACE: '4' }).doors.meeting.graceMs, 3000)
  assert.equal(config(['-grace', '3'], { PLENUM_GRACE: 'nonsense' }).doors.meeting.graceMs, 3000)
  assert.equal(config([], { PLENUM_GRACE: '' }).doors.meeting.graceMs, 10_000)
  assert.equal(config([], { PLENUM_BEHINDPROXY: '1' }).behindProxy, true)
  assert.equal(config(['-behindproxy=false'], { PLENUM_BEHINDPROXY: '1' }).behindProxy, false)
  assert.equal(config(['-adminlisten', ''], { PLENUM_ADMINLISTEN: ':1' }).adminListen, null)
  assert.equal(parse([], { PLENUM_ORIGIN: '*' }).command, 'serve')
  assert.match(
    refusal([], { PLENUM_ORIGIN: '*', PLENUM_PING: 'x' }),
    /^-ping \(from PLENUM_PING\) takes seconds/,
  )
})

test('the values that are taken', () => {
  assert.deepEqual(config(['-listen', ':80']).listen, { type: 'tcp', host: '', port: 80 })
  assert.deepEqual(config(['-listen', '/run/p']).listen, { type: 'unix', path: '/run/p' })
  assert.deepEqual(config(['-adminlisten', '[::1]:1']).adminListen, { type: 'tcp', host: '::1', port: 1 })
  assert.deepEqual(config(['-profilelisten', 'localhost:2']).profileListen, {
    type: 'tcp',
    host: 'localhost',
    port: 2,
  })
  for (const mode of ['0600', '600', '0o600']) assert.equal(config(['-socketmode', mode]).socketMode, 0o600)
  assert.equal(config(['-grace', '0']).doors.meeting.graceMs, 0)
  assert.equal(config(['-ping', '.1']).pingMs, 100)
  assert.equal(config(['-poll', '0.25']).pollMs, 250)
  assert.equal(config(['-rate', '0']).ratePerSecond, 0)
  assert.equal(config(['-maxconnections', '0']).maxConnections, 0)
  assert.equal(config(['-maxperaddress', '50']).maxPerAddress, 50)
  assert.equal(config(['-maxpending', '7']).maxPending, 7)
  assert.equal(config(['-requesttimeout', '2.5']).requestTimeoutMs, 2500)
  assert.equal(config(['-rate', '2.5']).ratePerSecond, 2.5)
  assert.equal(config(['-trustedhops', '3']).trustedHops, 3)
  assert.deepEqual(config(['-adminhosts', ' A.example,, b_c ']).adminHosts, ['a.example', 'b_c'])
  assert.equal(config(['-timezone', 'Europe/Prague']).timezone, 'Europe/Prague')
  assert.equal(config(['-joinwindow', 'off']).doors.meeting.joinWindowMs, null)
  assert.equal(config(['-joinwindow', '0']).doors.meeting.joinWindowMs, 0)
  assert.equal(config(['-joinwindow', '30']).doors.meeting.joinWindowMs, 1_800_000)
  assert.equal(config(['-dburl', 'postgres://h/d?sslmode=disable']).database.hosts[0]?.host, 'h')
  assert.equal(config([], { PGUSER: 'u' }).database.user, 'u')
  assert.equal(config(['-dburl', ''], { PGDATABASE: 'd' }).database.database, 'd')
})

test('a value that cannot be used is refused in one line that names the flag and what it takes', () => {
  const table: Record<string, string[]> = {
    origin: ['', 'www.example.org', 'wss://a.example', '-behindproxy'],
    behindproxy: ['perhaps'],
    trustedhops: ['0', '-1', '1.5', 'one', '1000'],
    listen: ['', '8199', 'localhost:http', `/${'x'.repeat(200)}`, '-origin'],
    adminlisten: ['8199'],
    adminhosts: ['http://a.example', 'a.example:80', '*', 'a b', '*.example', 'a..b', '-a'],
    profilelisten: [' '],
    socketmode: ['', '888', '0x1', '66', '10660'],
    closeafter: ['', '-1', '5m'],
    grace: ['', '-1', '1s', '1e3', 'Infinity', '1000000'],
    ping: ['0', '0.09', '99999999'],
    poll: ['0', 'NaN'],
    rate: ['-1', 'none'],
    timezone: ['Mars/Base', '+02:00', ' '],
    joinwindow: ['', 'on', '-5', '5m'],
    dburl: ['mysql://x', 'nonsense', 'port=x'],
  }
  for (const [name, values] of Object.entries(table)) {
    const twin = `PLENUM_${name.toUpperCase()}`
    for (const value of values) {
      const given = name === 'behindproxy' ? [`-${name}=${value}`] : [`-${name}`, value]
      assert.match(refusal(['-origin', '*', ...given]), new RegExp(`^-${name} takes \\w`), value)
      if (value !== '')
        assert.match(
          refusal([], { PLENUM_ORIGIN: '*', [twin]: value }),
          new RegExp(`^-${name} \\(from ${twin}\\) takes \\w`),
          value,
        )
    }
    if (name !== 'origin' && name !== 'behindproxy')
      assert.match(refusal(['-origin', '*', `-${name}`]), new RegExp(`^-${name} takes \\w`))
  }
})

test('what was given is repeated, unless it may be a secret', () => {
  assert.match(refusal(['-origin', '*', '-rate', 'fast']), /^-rate takes .*; "fast" was given$/)
  assert.match(refusal(['-origin', '*', '-listen', '\u202E\u001b[2J']), /; "\\u202e\\u001b\[2J" was given$/)
  assert.ok(refusal(['-origin', '*', '-listen', `/${'x'.repeat(5000)}`]).length < 300)
  for (const flag of ['dburl', 'document-password', 'document-jwtkey', 'document-webhook'])
    assert.doesNotMatch(refusal(['-origin', '*', '-document', `-${flag}`, 's3cret:']), /s3cret/)
})

test('no password is repeated', () => {
  for (const args of [
    ['-dburl', 'postgres://u:s3cret@h:port/d'],
    ['-dburl', 'postgres://u:s3cret@h/d?sslmode=s3cret'],
    ['-dburl', "password='s3cret"],
    ['-dburl', 'u:s3cret@h/d'],
    ['-dburl', 's3cret://u@h/d'],
    ['-dburl', 'postgres://u:s3cret%@h/d'],
    ['-dburl', 'postgres://u:s3cret@h/d', 's3cret'],
    ['-s3cret!=x'],
    ['s3cret'],
    ['-dburl', 'host=h', 'password=s3cret'],
    ['postgres://u:s3cret@h/d'],
    ['--postgres://u:s3cret@h/d'],
    ['-dburk=postgres://u:s3cret@h/d'],
    ['-listen', 'postgres://u:s3cret@h/d'],
    ['-origin', 'https://u:s3cret@h'],
    ['unban', 's3cret', '1'],
  ])
    assert.doesNotMatch(refusal(args, { PLENUM_ORIGIN: '*' }), /s3cret/)
  assert.doesNotMatch(refusal(['-origin', '*'], { PLENUM_DBURL: 'postgres://u:s3cret@h:x' }), /s3cret/)
})

test('unknown flags and arguments too many are refused', () => {
  assert.equal(refusal(['-orign', '*']), '-orign is not a flag: did you mean -origin?')
  assert.equal(refusal(['--adminlistn=1']), '-adminlistn is not a flag: did you mean -adminlisten?')
  assert.equal(refusal(['--unknown=1']), '-unknown is not a flag: "plenum help" lists them')
  assert.match(refusal(['chek']), /; "chek" was given: did you mean check\?$/)
  for (const odd of ['---origin', '-=1', '--=1', '-?'])
    assert.equal(refusal([odd]), 'an argument that begins with - is not a flag')
  assert.match(refusal(['-origin', '*', 'more']), /^serve takes only flags/)
  assert.match(refusal(['-origin', '*', '-']), /^serve takes only flags/)
  assert.match(refusal(['-origin', '*', '--', '-grace']), /^serve takes only flags/)
  assert.match(refusal(['migrate', 'now']), /^migrate takes only flags/)
  assert.match(
    refusal(['start']),
    /a command \(serve, migrate, check, health, meetings, kick, unban, admit, version, help\)/,
  )
  assert.match(refusal(['']), /a command/)
})

test('only serving, and checking for it, needs an origin', () => {
  for (const args of [[], ['serve'], ['check'], ['-behindproxy']])
    assert.match(refusal(args), /^-origin is required and takes an origin like https:/)
  for (const command of ['migrate', 'health'] as const) {
    const invocation = parse([command])
    assert.equal(invocation.command, command)
    assert.ok('config' in invocation)
    assert.deepEqual(invocation.config.origins, { type: 'list', origins: new Set() })
  }
  assert.equal(parse(['check', '-origin', '*']).command, 'check')
  assert.equal(parse(['serve', '-origin', '*']).command, 'serve')
  assert.match(refusal(['migrate', '-origin', 'x']), /^-origin takes/)
})

test('unban takes a meeting and a member, before or after the flags', () => {
  for (const args of [
    ['12', '34'],
    ['-dburl', 'dbname=d', '12', '34'],
    ['12', '34', '-dburl', 'dbname=d'],
    ['--', '12', '34'],
  ]) {
    const invocation = parse(['unban', ...args])
    assert.ok('input' in invocation)
    assert.equal(invocation.command.name, 'unban')
    assert.deepEqual(invocation.input, { meeting: 12, member: 34 })
  }
  for (const args of [
    [],
    ['12'],
    ['12', '34', '56'],
    ['a', 'b'],
    ['0', '1'],
    ['1', '9007199254740992'],
    ['1', '1.5'],
  ])
    assert.match(refusal(['unban', ...args]), /^unban takes MEETING/)
  for (const command of ['kick', 'unban', 'admit'] as const) {
    const invocation = parse([command, '12', 'Ada', 'Lovelace'])
    assert.ok('input' in invocation)
    assert.equal(invocation.command.name, command)
    assert.deepEqual(invocation.input, { meeting: 12, member: 'Ada Lovelace' })
  }
})

test('version and help are asked for in every usual way, whatever else is missing', () => {
  for (const args of [['version'], ['-version'], ['--version'], ['serve', '--version']])
    assert.deepEqual(parse(args), { command: 'version' })
  for (const args of [
    ['help'],
    ['-h'],
    ['--h'],
    ['-help'],
    ['--help'],
    ['migrate', '-h'],
    ['-grace', '1', '-h'],
  ])
    assert.deepEqual(parse(args), { command: 'help' })
  assert.match(refusal(['--', '-h'], { PLENUM_ORIGIN: '*' }), /only flags/)
})

test('two listeners do not take one address', () => {
  assert.match(refusal(['-origin', '*', '-adminlisten', '127.0.0.1:8199']), /^-listen and -adminlisten/)
  assert.match(refusal(['-origin', '*', '-profilelisten', ':8199']), /^-listen and -profilelisten/)
  assert.match(
    refusal(['-origin', '*', '-profilelisten', '/run/p', '-adminlisten', '/run/./p']),
    /^-adminlisten and -profilelisten/,
  )
  config(['-profilelisten', ':8200', '-adminlisten', ':8201'])
})

/** As with a file of this text at /etc/plenum. */
function withFile(text: string, args: readonly string[] = [], env: Env = {}): Invocation {
  const readFile = (path: string): string | null => (path === '/etc/plenum' ? text : null)
  return parseInvocation(['-config', '/etc/plenum', ...args], env, { ...host, readFile })
}

function settingsOf(text: string, args: readonly string[] = []): Settings {
  const invocation = withFile(text, args)
  assert.ok('settings' in invocation)
  return invocation.settings
}

test('a file has what neither the flags nor the environment say', () => {
  const text =
    'PLENUM_ORIGIN="https://f.example"\nPLENUM_GRACE=1\nPLENUM_PING=2\nPLENUM_POLL=3\nPGUSER=file\n'
  const invocation = withFile(text, ['-grace', '7'], { PLENUM_PING: '8', PLENUM_POLL: '', PGUSER: '' })
  assert.ok('config' in invocation)
  const { origins, pingMs, pollMs, database, doors } = invocation.config
  const { graceMs } = doors.meeting
  assert.deepEqual(
    { origins, graceMs, pingMs, pollMs, user: database.user },
    {
      origins: { type: 'list', origins: new Set(['https://f.example:443']) },
      graceMs: 7000,
      pingMs: 8000,
      pollMs: 3000,
      user: 'file',
    },
  )
  assert.equal(settingsOf(text).grace?.text, '1')
  const byTwin = parseInvocation(
    [],
    { PLENUM_CONFIG: '/f', PLENUM_ORIGIN: '*' },
    { ...host, readFile: () => 'PGPORT=1' },
  )
  assert.ok('config' in byTwin && byTwin.config.database.hosts[0]?.port === 1)
})

test('a file that cannot be used is refused in one line, without its values', () => {
  const refused = (text: string, args: readonly string[] = [], env: Env = {}): string => {
    try {
      withFile(text, args, env)
    } catch (error) {
      assert.ok(error instanceof UsageError)
      assert.doesNotMatch(error.message, /[\n\r]|s3cret/)
      return error.message
    }
    return assert.fail('was taken')
  }
  assert.match(refused('', ['-config', '/else']), /^-config takes a file .*: \/else cannot be read$/)
  assert.match(
    refused('PLENUM_RATE=1\ns3cret'),
    /^-config takes .*: \/etc\/plenum: line 2 is not NAME=value$/,
  )
  assert.match(
    refused('PLENUM_ORIGN=*'),
    /: line 1: PLENUM_ORIGN is no variable .*: did you mean PLENUM_ORIGIN\?$/,
  )
  assert.match(refused('s3cret=*'), /: line 1: what it sets is no variable /)
  assert.match(refused('PLENUM_CONFIG=/x'), /: line 1: PLENUM_CONFIG is no variable /)
  assert.match(
    refused('PLENUM_ORIGIN=*\nPLENUM_RATE=s3cret'),
    /^-rate \(from PLENUM_RATE in \/etc\/plenum\) takes/,
  )
  assert.match(refused('PLENUM_ORIGIN=*', [], { PLENUM_RATE: 's3cret' }), /^-rate \(from PLENUM_RATE\) takes/)
  assert.match(refused('PLENUM_DBURL=postgres://u:s3cret@h:x\nPLENUM_ORIGIN=*'), /^-dburl \(from /)
  assert.match(refused(''), /^-origin is required/)
})

test('TLS takes a certificate and a key, or neither', () => {
  assert.deepEqual(config(['-tlscert', '/c', '-tlskey', '/k']).tls, { cert: '/c', key: '/k' })
  assert.equal(
    config(['-tlscert', '', '-tlskey', ''], { PLENUM_TLSCERT: '/c', PLENUM_TLSKEY: '/k' }).tls,
    null,
  )
  assert.match(
    refusal(['-origin', '*', '-tlscert', '/c']),
    /^-tlskey takes .*: -tlscert is not given without it$/,
  )
  assert.match(
    refusal(['-origin', '*', '-tlskey', '/k']),
    /^-tlscert takes .*: -tlskey is not given without it$/,
  )
})

test('of two readings only what a running server can take is taken', () => {
  const tls = 'PLENUM_TLSCERT=/c\nPLENUM_TLSKEY=/k\n'
  const before = settingsOf('PLENUM_ORIGIN=https://a.example')
  assert.deepEqual(compareSettings(before, settingsOf('PLENUM_ORIGIN=https://a.example/\nPLENUM_RATE=5.0')), {
    taken: {},
    later: [],
    settings: before,
  })
  const read = settingsOf(
    `PLENUM_ORIGIN=https://b.example\nPLENUM_RATE=9\nPLENUM_GRACE=3\nPLENUM_DBURL=host=h password=s3cret\n${tls}`,
  )
  const { taken, later, settings } = compareSettings(before, read)
  assert.deepEqual(taken, { origin: 'https://b.example', rate: '9' })
  assert.deepEqual(later, ['dburl', 'tlscert', 'tlskey', 'grace'])
  assert.deepEqual([settings.rate.text, settings.grace?.text, settings.tlscert.value], ['9', '10', null])
  // What waits is said each time, what was taken once.
  assert.deepEqual(compareSettings(settings, read).taken, {})
  assert.deepEqual(compareSettings(settings, read).later, later)
  const other = settingsOf('PLENUM_ORIGIN=*\nPLENUM_TLSCERT=/c\nPLENUM_TLSKEY=/other')
  assert.deepEqual(compareSettings(settingsOf(`PLENUM_ORIGIN=*\n${tls}`), other), {
    taken: { tlskey: '/other' },
    later: [],
    settings: other,
  })
  for (const { name, live } of flags)
    assert.equal(
      live,
      [
        'origin',
        'rate',
        'maxconnections',
        'maxperaddress',
        'maxpending',
        'requesttimeout',
        'adminhosts',
        'brand',
        'tlscert',
        'tlskey',
      ].includes(name),
      name,
    )
})

test('the chat is served where it is asked for, from the schema that is named', () => {
  assert.deepEqual(config(['-chat']).doors.chat, { schema: 'chat' })
  assert.deepEqual(config(['-chat'], { PLENUM_CHAT_SCHEMA: 'public' }).doors.chat, { schema: 'public' })
  assert.equal(config(['-chat-schema', 'public']).doors.chat, null)
  assert.match(refusal(['-chat', '-chat-schema', 'plenum']), /-chat-schema.*this one is taken/)
})

test('the usage text has every flag, its twin and its default', () => {
  const text = usage()
  for (const { name, env, value, default: normal, help } of flags) {
    assert.equal(env, `PLENUM_${name.toUpperCase().replaceAll('-', '_')}`)
    assert.ok(text.includes(`\n  -${name}${value === null ? '' : ` ${value}`}  (${env}`), name)
    assert.ok(text.includes(help), name)
    if (normal) assert.ok(text.includes(`${env}, default ${normal})`), name)
  }
  assert.ok(text.endsWith('\n') && text.split('\n').every((line) => line.length <= 110))
})

test('documents: off unless asked for; name and password go together, the key is text or Base64', () => {
  const { document } = config(['-document']).doors
  assert.deepEqual(document, {
    origins: { type: 'any' },
    credentials: null,
    jwtKey: null,
    expirationMs: null,
    webhook: null,
    maxMessage: 16 * 1024 * 1024,
    maxSize: 256 * 1024 * 1024,
    maxTotal: 1024 * 1024 * 1024,
  })
  const password = 'a:b, twelve.'
  const key = Buffer.from('k'.repeat(32))
  const given = ['-document-user', 'app', '-document-password', password, '-document-expiration', '90']
  const set = config(['-document', ...given, '-document-jwtkey', key.toString('base64')]).doors.document
  assert.deepEqual(set?.credentials, { user: 'app', password })
  assert.equal(set?.expirationMs, 90_000)
  assert.deepEqual(set?.jwtKey, Buffer.from(key.toString('base64')))
  const base64 = ['-document-jwtkey', key.toString('base64'), '-document-jwtkey-base64']
  assert.deepEqual(config(['-document', ...base64]).doors.document?.jwtKey, key)
  assert.equal(config(given).doors.document, null)
})

test('documents: a password or a key that can be guessed, or is empty, is refused in words that do not repeat it', () => {
  const short = 'k'.repeat(31)
  for (const [flags, expected] of [
    [
      ['-document-password', 'eleven char'],
      /^-document-password takes a password of 12 characters at least: this/,
    ],
    [['-document-password', ''], /^-document-password takes .*: nothing was given$/],
    [['-document-user', ''], /^-document-user takes .*: nothing was given$/],
    [['-document-jwtkey', ''], /^-document-jwtkey takes a key of 32 bytes at least: nothing was given$/],
    [['-document-jwtkey', short], /^-document-jwtkey takes a key of 32 bytes at least: this one has 31$/],
    [
      ['-document-jwtkey', Buffer.from(short).toString('base64'), '-document-jwtkey-base64'],
      /^-document-jwtkey takes a key of 32 bytes at least, once it is decoded: this one has 31$/,
    ],
  ] as const)
    assert.throws(
      () =>
        config([
          '-document',
          ...(flags[0] === '-document-password' ? ['-document-user', 'app'] : []),
          ...flags,
        ]),
      ({ message }: Error) =>
        expected.test(message) && !message.includes(short) && !message.includes('eleven'),
      flags.join(' '),
    )
})

test('documents that anybody may create are told of', () => {
  const key = ['-document-jwtkey', 'k'.repeat(32)]
  assert.equal(anonymousDocuments(config([]).doors.document), null)
  assert.equal(anonymousDocuments(config(['-document', ...key]).doors.document), null)
  assert.match(
    anonymousDocuments(config(['-document']).doors.document) ?? '',
    /^anybody may create documents/,
  )
})
