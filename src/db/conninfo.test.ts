import assert from 'node:assert/strict'
import { test } from 'node:test'
import { describeDatabase, parseDatabaseUrl } from './conninfo.ts'
import type { DatabaseOptions, Env } from './conninfo.ts'

const pem = '-----BEGIN CERTIFICATE-----\n'

function parse(text: string, env: Env = {}, files: Record<string, string> = {}): DatabaseOptions {
  return parseDatabaseUrl(text, env, {
    osUser: 'operator',
    home: '/home/operator',
    readFile: (path) => files[path] ?? null,
  })
}

const place = (text: string, env: Env = {}): unknown => {
  const { hosts, database, user, password } = parse(text, env)
  return { hosts: hosts.map(({ host, port }) => `${host}:${port}`).join(','), database, user, password }
}

const socketFolder = '/var/run/postgresql'

test('what is not given comes from the operating system', () => {
  assert.deepEqual(parse('postgres:///postgresqleu'), {
    hosts: [{ host: socketFolder, port: 5432 }],
    database: 'postgresqleu',
    user: 'operator',
    password: null,
    tls: { type: 'disable' },
    connectTimeoutSeconds: 10,
    applicationName: 'plenum',
    targetSessionAttrs: null,
    parameters: {},
  })
  for (const text of ['', 'postgres://', 'postgresql:///', '  '])
    assert.deepEqual(place(text), {
      hosts: `${socketFolder}:5432`,
      database: 'operator',
      user: 'operator',
      password: null,
    })
})

test('a URL gives user, password, host, port and database, each percent-encoded', () => {
  const table: Record<string, unknown> = {
    'postgres://u:p@h:6000/d': { hosts: 'h:6000', database: 'd', user: 'u', password: 'p' },
    'postgresql://u@h/d': { hosts: 'h:5432', database: 'd', user: 'u', password: null },
    'postgres://u:@h/d': { hosts: 'h:5432', database: 'd', user: 'u', password: null },
    'postgres://%75:p%40%3A%2f+%25@h/d%20e': {
      hosts: 'h:5432',
      database: 'd e',
      user: 'u',
      password: 'p@:/+%',
    },
    'postgres://u:p@ss:w@h/d': { hosts: 'h:5432', database: 'd', user: 'u', password: 'p@ss:w' },
    'postgres://h': { hosts: 'h:5432', database: 'operator', user: 'operator', password: null },
    'postgres://u@/d?host=/run/pg': { hosts: '/run/pg:5432', database: 'd', user: 'u', password: null },
    'postgres://pgeu@/pgeu?host=%2Frun%2Fpg&port=6': {
      hosts: '/run/pg:6',
      database: 'pgeu',
      user: 'pgeu',
      password: null,
    },
    'postgres://%2Fvar%2Frun%2Fpostgresql/d': {
      hosts: `${socketFolder}:5432`,
      database: 'd',
      user: 'operator',
      password: null,
    },
    'postgres://h/d?user=u&password=a+b%2Bc': {
      hosts: 'h:5432',
      database: 'd',
      user: 'u',
      password: 'a b+c',
    },
    'postgres://u@[::1]:7/d': { hosts: '::1:7', database: 'd', user: 'u', password: null },
    'postgres://u@[2001:db8::1]/d': { hosts: '2001:db8::1:5432', database: 'd', user: 'u', password: null },
    'postgres://u@a,b:7,[::1]/d': { hosts: 'a:5432,b:7,::1:5432', database: 'd', user: 'u', password: null },
    'postgres://u@a,b/d?port=7': { hosts: 'a:7,b:7', database: 'd', user: 'u', password: null },
    'postgres://u@:7/d': { hosts: `${socketFolder}:7`, database: 'd', user: 'u', password: null },
    'postgres://a/d?host=b&dbname=e': { hosts: 'b:5432', database: 'e', user: 'operator', password: null },
  }
  for (const [text, expected] of Object.entries(table)) assert.deepEqual(place(text), expected, text)
})

test('keywords are quoted as libpq has it', () => {
  const table: Record<string, unknown> = {
    'host=/var/run/postgresql dbname=pgeu': { hosts: `${socketFolder}:5432`, database: 'pgeu' },
    "dbname = 'two words'\n user\t=\tu": { database: 'two words', user: 'u' },
    "user=u password='it''s \\' \\\\ x'": { user: 'u', password: "it's ' \\ x" },
    "password=it's user=u": { password: "it's", user: 'u' },
    "user=a\\ b password=\\\\\\'": { user: 'a b', password: "\\'" },
    "password='' user=u": { user: 'u', password: null },
    "password=''user=u": { user: 'u', password: null },
    'user=u password=': { user: 'u', password: null },
    'host=a,b port=1,2': { hosts: 'a:1,b:2' },
    'host=a,,/x port=,2,': { hosts: `a:5432,${socketFolder}:2,/x:5432` },
    'user=u password=p=q?': { user: 'u', password: 'p=q?' },
  }
  for (const [text, expected] of Object.entries(table)) {
    const found = place(text) as Record<string, unknown>
    for (const [key, value] of Object.entries(expected as Record<string, unknown>))
      assert.equal(found[key], value, `${text}: ${key}`)
  }
})

test('the string wins over the environment, and the environment over defaults', () => {
  const env = {
    PGHOST: 'e',
    PGPORT: '1111',
    PGDATABASE: 'ed',
    PGUSER: 'eu',
    PGPASSWORD: 'ep',
    PGAPPNAME: 'ea',
    PGCONNECT_TIMEOUT: '7',
    PGTARGETSESSIONATTRS: 'primary',
    PGSSLMODE: 'disable',
    PGTZ: 'Europe/Oslo',
    PGOPTIONS: '-c geqo=off',
  }
  assert.deepEqual(parse('', env), {
    hosts: [{ host: 'e', port: 1111 }],
    database: 'ed',
    user: 'eu',
    password: 'ep',
    tls: { type: 'disable' },
    connectTimeoutSeconds: 7,
    applicationName: 'ea',
    targetSessionAttrs: 'primary',
    parameters: { TimeZone: 'Europe/Oslo', options: '-c geqo=off' },
  })
  assert.deepEqual(
    parse(
      'host=h port=2 dbname=d user=u password=p application_name=a connect_timeout=3 target_session_attrs=any ' +
        'sslmode=require timezone=UTC options=x',
      env,
    ),
    {
      hosts: [{ host: 'h', port: 2 }],
      database: 'd',
      user: 'u',
      password: 'p',
      tls: { type: 'require', client: null },
      connectTimeoutSeconds: 3,
      applicationName: 'a',
      targetSessionAttrs: null,
      parameters: { timezone: 'UTC', options: 'x' },
    },
  )
  assert.equal(parse('', { PGHOST: '', PGUSER: '' }).user, 'operator')
})

test('other keywords are run-time parameters, except those that tune other libraries', () => {
  const { parameters, applicationName } = parse(
    'search_path=pgeu,public work_mem=8MB keepalives=1 gssencmode=disable client_encoding=UTF8 datestyle=ISO ' +
      'fallback_application_name=f',
  )
  assert.deepEqual(parameters, { search_path: 'pgeu,public', work_mem: '8MB' })
  assert.equal(applicationName, 'f')
})

test('a password is looked for in the password file', () => {
  const text = [
    '# host:port:db:user:password',
    '',
    'h:5432:d:somebody:no',
    'h:5432:d:u:se:cret\\:\\\\',
    'localhost:*:*:u:local',
    '/run/other:*:*:u:folder',
    '[::1]:*:*:u:brackets',
    '\\:\\:1:*:*:u:escaped',
    '*:6000:*:*:any',
    'too:few:fields',
  ].join('\n')
  const password = (dsn: string, env: Env = {}): unknown =>
    parse(dsn, env, { '/home/operator/.pgpass': text, '/elsewhere': '*:*:*:*:e\r\n' }).password
  assert.equal(password('host=h dbname=d user=u'), 'se:cret:\\')
  assert.equal(password('host=h dbname=d user=u password=given'), 'given')
  assert.equal(password('host=h dbname=other user=u'), null)
  assert.equal(password('dbname=d user=u'), 'local')
  assert.equal(password('host=/run/other dbname=d user=u'), 'local')
  assert.equal(password('host=::1 dbname=d user=u'), 'escaped')
  assert.equal(password('host=x,h port=5432,6000 dbname=d user=u'), 'any')
  assert.equal(password('host=h', { PGPASSFILE: '/elsewhere' }), 'e')
  assert.equal(password('host=h passfile=/elsewhere', { PGPASSWORD: 'variable' }), 'variable')
  assert.throws(() => password('host=h passfile=/missing'), /^Error: passfile: \/missing cannot be read$/)
})

test('TLS is what sslmode and the files say', () => {
  const files = {
    '/root.crt': pem,
    '/c.crt': 'certificate',
    '/c.key': 'key',
  }
  const tls = (rest: string, more: Record<string, string> = {}): unknown =>
    parse(`host=h ${rest}`, {}, { ...files, ...more }).tls
  assert.deepEqual(tls(''), { type: 'require', client: null })
  assert.deepEqual(tls('sslmode=disable sslrootcert=/missing'), { type: 'disable' })
  assert.deepEqual(tls('sslmode=allow'), { type: 'prefer', client: null })
  assert.deepEqual(tls('sslmode=prefer'), { type: 'prefer', client: null })
  assert.deepEqual(tls('sslmode=require'), { type: 'require', client: null })
  assert.deepEqual(tls('sslmode=require sslrootcert=/root.crt'), {
    type: 'verify-ca',
    ca: pem,
    client: null,
  })
  assert.deepEqual(tls('sslmode=verify-ca'), { type: 'verify-ca', ca: null, client: null })
  assert.deepEqual(tls('sslmode=verify-full sslrootcert=/root.crt sslcert=/c.crt sslkey=/c.key'), {
    type: 'verify-full',
    ca: pem,
    client: { cert: 'certificate', key: 'key' },
  })
  assert.deepEqual(tls('sslrootcert=system'), { type: 'verify-full', ca: null, client: null })
  assert.deepEqual(tls("sslinline=true sslrootcert='-----BEGIN X' sslcert=c sslkey=k"), {
    type: 'verify-ca',
    ca: '-----BEGIN X',
    client: { cert: 'c', key: 'k' },
  })
  const home = '/home/operator/.postgresql'
  assert.deepEqual(
    tls('', { [`${home}/root.crt`]: pem, [`${home}/postgresql.crt`]: 'c', [`${home}/postgresql.key`]: 'k' }),
    { type: 'verify-ca', ca: pem, client: { cert: 'c', key: 'k' } },
  )
  assert.deepEqual(parse('host=/run/pg sslmode=verify-full sslrootcert=/missing').tls, { type: 'disable' })
  assert.equal(parse('host=/run/pg,h sslmode=verify-full').tls.type, 'verify-full')
})

test('what cannot be used is named, and its value is not repeated', () => {
  const table: Record<string, RegExp> = {
    'mysql://u:s3cret@h/d': /begins with postgres:\/\//,
    s3cret: /neither a URL .* nor made of keyword=value/,
    'host=h s3cret': /neither a URL/,
    "host=h password='s3cret": /neither a URL/,
    'host=h password=s3cret\\': /neither a URL/,
    'host=h my-s3cret=x': /a keyword is not made of/,
    'postgres://u:s3cret@h:port/d': /a host is a name/,
    'postgres://u:s3/cret@h/d': /a host is a name/,
    'postgres://u:s3cret%@h/d': /percent sign/,
    'postgres://u:%ff@h/d': /percent sign/,
    'postgres://u:s3cret%00@h/d': /password contains a zero byte/,
    'postgres://h/d?s3cret': /after \? has no =/,
    'port=s3cret': /port takes a number from 1 to 65535/,
    'host=h port=0': /port takes/,
    'host=h port=70000': /port takes/,
    'host=a,b,c port=1,2': /3 hosts and 2 ports/,
    'host=h sslmode=s3cret': /sslmode takes disable, allow, prefer, require, verify-ca, verify-full/,
    'connect_timeout=s3cret': /connect_timeout takes whole seconds/,
    'target_session_attrs=s3cret': /target_session_attrs takes any, read-write/,
    'client_encoding=s3cret': /client_encoding/,
    'service=s3cret': /service is not supported/,
    'hostaddr=1.2.3.4': /hostaddr is not supported/,
    'host=@s3cret': /abstract/,
    'host=h sslrootcert=/missing.crt': /sslrootcert: \/missing\.crt cannot be read/,
    'host=h sslcert=/missing.crt': /sslcert: \/missing\.crt cannot be read/,
    'host=h sslinline=1 sslcert=c': /sslkey is not given/,
    "host=h sslrootcert='-----BEGIN\ns3cret'": /sslrootcert takes a path, or PEM/,
    'host=h sslmode=require sslrootcert=system': /sslrootcert=system takes sslmode=verify-full/,
  }
  for (const [text, expected] of Object.entries(table)) {
    assert.throws(
      () => parse(text),
      (error) => error instanceof Error && expected.test(error.message) && !error.message.includes('s3'),
      text,
    )
  }
  assert.throws(() => parse('', { PGSERVICE: 's3cret' }), /^Error: the environment variable PGSERVICE is not/)
  assert.throws(
    () => parseDatabaseUrl('', {}, { osUser: '', home: '/', readFile: () => null }),
    /no user is given/,
  )
})

test('a database is described without its password', () => {
  assert.equal(
    describeDatabase(parse('postgres://u:s3cret@h:7,[::1]/d')),
    'database d as user u at h:7 or [::1]:5432',
  )
  assert.equal(
    describeDatabase(parse('user=u password=s3cret dbname=d')),
    'database d as user u at /var/run/postgresql/.s.PGSQL.5432',
  )
})
