import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chownSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { Sql } from 'postgres'
import type { Postgres } from '../../demo/postgres.ts'
import { createCluster } from '../../test/support/database.ts'
import { patience } from '../../test/support/patience.ts'
import { parseDatabaseUrl } from './conninfo.ts'
import { isUnavailable } from './failure.ts'
import { describeError, openPool } from './pool.ts'

const opened: Sql[] = []
let pg: Postgres

before(async () => {
  const library = readFileSync(new URL('connection.js', import.meta.resolve('postgres')), 'utf8')
  assert.ok(library.includes('socket === null'), 'the library is not repaired: npm run postinstall')
  pg = (await createCluster()).postgres
})

after(async () => {
  await Promise.all(opened.map((sql) => sql.end({ timeout: 1 })))
  await pg?.remove()
})

const readFile = (path: string): string | null => {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return null
  }
}

function open(
  text: string,
  pool: { max?: number; timezone?: string; statementTimeoutMs?: number } = {},
  files: Record<string, string> = {},
): Sql {
  const host = {
    osUser: 'postgres',
    home: '/home/none',
    readFile: (path: string) => files[path] ?? readFile(path),
  }
  const sql = openPool(parseDatabaseUrl(text, {}, host), { max: 2, timezone: null, ...pool })
  opened.push(sql)
  return sql
}

const failure = async (sql: Sql): Promise<unknown> =>
  await sql`select 1`.then(
    () => assert.fail('the server let us in'),
    (error: unknown) => error,
  )

const password = (): string => new URL(pg.url('postgres')).password

test('a session over TCP has the name, time zone and limits that it was given', async () => {
  const sql = open(`${pg.url('postgres')}&search_path=pg_catalog`, { timezone: 'Pacific/Auckland' })
  const [session] = await sql`
    select application_name, current_setting('TimeZone') zone, current_setting('statement_timeout') statements,
      current_setting('idle_in_transaction_session_timeout') idle, current_setting('search_path') path,
      client_addr is not null as tcp
    from pg_stat_activity where pid = pg_backend_pid()`
  assert.deepEqual(
    { ...session },
    {
      application_name: 'plenum',
      zone: 'Pacific/Auckland',
      statements: '10s',
      idle: '10s',
      path: 'pg_catalog',
      tcp: true,
    },
  )
})

test('a session over the Unix socket needs no password and no TLS', async () => {
  const sql = open(`host=${pg.socketDir} port=${pg.port} dbname=postgres sslmode=verify-full`)
  const [session] = await sql`
    select client_addr is null as local from pg_stat_activity where pid = pg_backend_pid()`
  assert.equal(session?.local, true)
})

test('the connection string overrules the limits, in any spelling of the names', async () => {
  const sql = open(`${pg.url('postgres')}&Statement_Timeout=0&timezone=Asia/Tokyo`)
  const [session] = await sql`
    select current_setting('statement_timeout') statements, current_setting('TimeZone') zone`
  assert.deepEqual({ ...session }, { statements: '0', zone: 'Asia/Tokyo' })
})

test('what a session begins with is said where it is wrong, and then no session is used without it', async () => {
  const wrong = open(`${pg.url('postgres')}&work_mem=much`)
  for (let attempt = 0; attempt < 3; attempt++)
    assert.match(describeError(await failure(wrong)), /22023: invalid value for parameter "work_mem"/)
  const unknown = open(`${pg.url('postgres')}&nosuchsetting=1`)
  assert.match(describeError(await failure(unknown)), /42704: unrecognized configuration parameter/)
})

test('values of settings are taken as they are', async () => {
  const odd = `it's a \\ "b"`
  const sql = open(`${pg.url('postgres')}&plenum.odd=${encodeURIComponent(odd)}`)
  assert.equal((await sql`select current_setting('plenum.odd') odd`)[0]?.odd, odd)
})

test('what changes the meaning of values is set, whatever role, database and connection string say', async () => {
  const perverse = {
    bytea_output: 'escape',
    datestyle: 'German, DMY',
    intervalstyle: 'sql_standard',
    extra_float_digits: '-15',
    standard_conforming_strings: 'off',
    array_nulls: 'off',
    default_transaction_isolation: 'serializable',
    lock_timeout: '5',
    exit_on_error: 'on',
  }
  for (const [name, value] of Object.entries(perverse))
    await pg.exec('postgres', `alter role postgres set ${name} to '${value}'`)
  const sql = open(
    `${pg.url('postgres')}&bytea_output=escape&options=-c%20array_nulls%3Doff%20-c%20geqo%3Doff`,
  )
  const settings = await sql<{ name: string; setting: string }[]>`
    select lower(name) as name, setting from pg_settings
    where lower(name) = any(${[...Object.keys(perverse), 'geqo']}::text[])`
  const [row] = await sql`
    select '\\x00ff'::bytea bytes, array['NULL', ${'NULL'}] texts, (0.1::float8 + 0.2::float8)::text as sum`
  await pg.exec('postgres', 'alter role postgres reset all')
  assert.deepEqual(Object.fromEntries(settings.map(({ name, setting }) => [name, setting])), {
    bytea_output: 'hex',
    datestyle: 'ISO, MDY',
    intervalstyle: 'postgres',
    extra_float_digits: '1',
    standard_conforming_strings: 'on',
    array_nulls: 'on',
    default_transaction_isolation: 'read committed',
    lock_timeout: '0',
    exit_on_error: 'off',
    geqo: 'off',
  })
  assert.deepEqual(
    { ...row },
    {
      bytes: Buffer.from([0, 255]),
      texts: ['NULL', 'NULL'],
      sum: '0.30000000000000004',
    },
  )
})

test('dates can be read whatever the role is set to', async () => {
  await pg.exec('postgres', `alter role postgres set datestyle = 'German'`)
  const [row] = await open(pg.url('postgres'))`select '2026-02-01 00:00:00+00'::timestamptz as at`
  assert.deepEqual(row?.at, new Date('2026-02-01T00:00:00Z'))
  await pg.exec('postgres', `alter role postgres reset datestyle`)
})

test('a transaction sees what is done meanwhile, whatever the role is set to', async () => {
  await pg.exec('postgres', `alter role postgres set default_transaction_isolation = 'repeatable read'`)
  const [row] = await open(pg.url('postgres'))`select current_setting('transaction_isolation') isolation`
  assert.equal(row?.isolation, 'read committed')
  await pg.exec('postgres', `alter role postgres reset default_transaction_isolation`)
})

test('notices are not printed', async (context) => {
  const log = context.mock.method(console, 'log', () => {})
  await open(pg.url('postgres')).unsafe(`do $$ begin raise warning 'look at me'; end $$`)
  assert.equal(log.mock.callCount(), 0)
})

test('a password is the same as for psql, whatever is typed', async () => {
  const role = 'typist'
  await pg.exec('postgres', `create role ${role} login`)
  const passwords = {
    'superscript two': 'p\u00b2ss',
    'an acute accent': 'e\u00b4a',
    decomposed: 'u\u0308ber',
    'a space that does not break': 'nb\u00a0sp',
    composed: '\u00dcn\u00efc\u00f6d\u00e9',
    'a soft hyphen': 'so\u00adft',
    'a soft hyphen alone': '\u00ad',
    'full width': '\uff41\uff42\uff43',
    'prohibited in ASCII': 'a\u0007b',
    'not assigned in Unicode 3.2': 'smile \u{1f600} \u00b2',
    'from right to left': '\u05d0\u05d1\u00b2',
    'both directions': '\u05d0a\u00b2',
    'prohibited beyond ASCII': 'p\u0080\u00b2',
  }
  for (const [what, password] of Object.entries(passwords)) {
    const escaped = Array.from(password, (c) => `\\U${c.codePointAt(0)?.toString(16).padStart(8, '0')}`).join(
      '',
    )
    await pg.exec('postgres', `alter role ${role} password E'${escaped}'`)
    const place = `host=127.0.0.1 port=${pg.port} user=${role} dbname=postgres sslmode=disable`
    const url = `postgres://${role}:${encodeURIComponent(password)}@127.0.0.1:${pg.port}/postgres?sslmode=disable`
    const file = { '/p': `*:*:*:${role}:${password}\n` }
    for (const sql of [open(url, { max: 1 }), open(`${place} passfile=/p`, { max: 1 }, file)]) {
      const error = await sql`select 1`.then(
        () => null,
        (error: unknown) => describeError(error),
      )
      assert.equal(error, null, what)
      await sql.end({ timeout: 1 })
    }
  }
})

test('a password can come from the password file', async () => {
  const sql = open(
    `host=127.0.0.1 port=${pg.port} user=postgres dbname=postgres sslmode=disable passfile=/p`,
    {},
    { '/p': `127.0.0.1:*:*:postgres:${password()}` },
  )
  assert.equal((await sql`select 1`).length, 1)
})

test('a wrong password is an error that does not contain it, and not a database that is down', async () => {
  const error = await failure(open(pg.url('postgres').replace(password(), 'my-secret')))
  assert.equal(isUnavailable(error), false)
  assert.match(describeError(error), /^28P01: password authentication failed/)
  assert.doesNotMatch(describeError(error), /my-secret/)
})

test('of several hosts the first one that answers is used', async () => {
  const sql = open(
    `host=127.0.0.1,/nowhere,${pg.socketDir} port=1,2,${pg.port} user=postgres dbname=postgres sslmode=disable`,
  )
  assert.equal((await sql`select 1`).length, 1)
})

test('where no host answers every statement fails at once, however many there were', async () => {
  const sql = open(`host=127.0.0.1,/nowhere port=1,2 user=postgres dbname=postgres sslmode=disable`)
  for (let attempt = 0; attempt < 5; attempt++) {
    const error = await failure(sql)
    assert.equal(isUnavailable(error), true)
    assert.match(
      describeError(error),
      /127\.0\.0\.1:1 \(ECONNREFUSED\).*; .*\/nowhere\/.s.PGSQL.2 \(ENOENT\)/,
    )
  }
})

test('only a server of the wanted kind is used', async () => {
  const place = `host=${pg.socketDir},${pg.socketDir} port=${pg.port} user=postgres dbname=postgres`
  for (const wanted of ['primary', 'read-write', 'prefer-standby'])
    assert.equal((await open(`${place} target_session_attrs=${wanted}`)`select 1`).length, 1)
  for (const wanted of ['standby', 'read-only']) {
    const error = await failure(open(`${place} target_session_attrs=${wanted}`))
    assert.equal(describeError(error), `25006: no server is ${wanted}`)
    assert.equal(isUnavailable(error), true)
  }
})

const tick = async (ms: number): Promise<void> => {
  await new Promise((resolve) => {
    setTimeout(resolve, ms)
  })
}

// What patches/postgres+3.4.9.patch repairs the library for.
test(
  'a database that restarts costs the transactions that run, and nothing after them',
  { timeout: patience(30_000) },
  async () => {
    const sql = open(pg.url('postgres'), { max: 3 })
    const unexpected: unknown[] = []
    let restarted = false
    let stopped = false
    const work = async (): Promise<void> => {
      while (!stopped) {
        try {
          await sql.begin(async (tx) => {
            await tx`select 1`
            await tx`select pg_sleep(0.005)`
            await tx`select 2`
          })
          await sql`select 3`
        } catch (error) {
          if (restarted || !isUnavailable(error)) unexpected.push(error)
          await tick(5)
        }
      }
    }
    const workers = Array.from({ length: 8 }, work)
    for (const mode of ['fast', 'immediate'] as const) {
      await tick(200)
      await pg.stop(mode)
      await pg.start()
      for (let attempt = 0; attempt < 10; attempt++) {
        await tick(20)
        await pg.exec(
          'postgres',
          `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'plenum'`,
        )
      }
    }
    await tick(1500)
    restarted = true
    await tick(300)
    stopped = true
    await Promise.all(workers)
    assert.deepEqual(unexpected, [])
  },
)

test('a server that does not answer any more is given up, and used again when it answers', async () => {
  const sql = open(pg.url('postgres'), { max: 1, statementTimeoutMs: 400 })
  await sql`select 1`
  await pg.freeze()
  const error = await failure(sql)
  pg.thaw()
  assert.equal(isUnavailable(error), true)
  assert.match(describeError(error), /CONNECTION_SILENT/)
  assert.equal((await sql`select 1`).length, 1)
})

function authority(name: string): string {
  const path = join(pg.folder, name)
  openssl(['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', `/CN=${name}`], path)
  return path
}

function openssl(args: string[], path: string): void {
  execFileSync('openssl', [...args, '-keyout', `${path}.key`, '-out', `${path}.crt`], { stdio: 'pipe' })
}

function serverCertificate(root: string): void {
  const path = join(pg.folder, 'server')
  openssl(['req', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=localhost'], path)
  execFileSync(
    'openssl',
    `x509 -req -days 2 -in ${path}.crt -out ${path}.crt -CA ${root}.crt -CAkey ${root}.key -CAcreateserial`.split(
      ' ',
    ),
    { stdio: 'pipe' },
  )
  const { uid, gid } = statSync(join(pg.folder, 'data'))
  for (const file of [`${path}.key`, `${path}.crt`]) chownSync(file, uid, gid)
}

test('TLS is asked for, and the certificate is checked, as sslmode says', async (context) => {
  const root = authority('root')
  serverCertificate(root)
  const wrong = authority('wrong')
  const at = (host: string, rest: string): Sql =>
    open(
      `host=${host} port=${pg.port} user=postgres dbname=postgres password=${password()} connect_timeout=3 ${rest}`,
    )
  const encrypted = async (sql: Sql): Promise<unknown> =>
    (await sql`select ssl from pg_stat_ssl where pid = pg_backend_pid()`)[0]?.ssl

  await context.test('a server without TLS is refused, except by prefer', async () => {
    assert.equal(await encrypted(at('127.0.0.1', 'sslmode=prefer')), false)
    const error = await failure(at('127.0.0.1', 'sslmode=require'))
    assert.match(describeError(error), /TLS_NOT_OFFERED: 127.0.0.1:\d+ does not offer TLS/)
  })

  for (const setting of [
    `ssl_cert_file = '${join(pg.folder, 'server.crt')}'`,
    `ssl_key_file = '${join(pg.folder, 'server.key')}'`,
    'ssl = on',
  ])
    await pg.exec('postgres', `alter system set ${setting}`)
  await pg.exec('postgres', 'select pg_reload_conf()')
  await tick(500)

  await context.test('TLS is used, except by disable', async () => {
    assert.equal(await encrypted(at('127.0.0.1', 'sslmode=disable')), false)
    for (const mode of ['allow', 'prefer', 'require'])
      assert.equal(await encrypted(at('127.0.0.1', `sslmode=${mode}`)), true, mode)
  })

  await context.test('verify-full checks the chain and the name, verify-ca only the chain', async () => {
    const ca = `sslrootcert=${root}.crt`
    assert.equal(await encrypted(at('localhost', `sslmode=verify-full ${ca}`)), true)
    assert.equal(await encrypted(at('127.0.0.1', `sslmode=verify-ca ${ca}`)), true)
    assert.equal(await encrypted(at('127.0.0.1', ca)), true)
    const error = await failure(at('127.0.0.1', `sslmode=verify-full ${ca}`))
    assert.match(describeError(error), /ERR_TLS_CERT_ALTNAME_INVALID: TLS with 127.0.0.1:\d+: .*127.0.0.1/)
  })

  await context.test('a certificate of somebody else is refused', async () => {
    for (const rest of [
      `sslmode=verify-full sslrootcert=${wrong}.crt`,
      `sslmode=verify-ca sslrootcert=${wrong}.crt`,
      `sslmode=require sslrootcert=${wrong}.crt`,
      'sslmode=verify-full',
    ]) {
      const error = await failure(at('localhost', rest))
      assert.match(describeError(error), /TLS with localhost:\d+/, rest)
      assert.equal(isUnavailable(error), false, rest)
    }
  })
})

test('errors that may go away count as unavailable', () => {
  const withCode = (code: string): Error => Object.assign(new Error('x'), { code })
  const temporary =
    '08006 08P01 53300 57P01 57P03 57014 55P03 25006 40001 40P01 ECONNREFUSED ECONNRESET EPIPE ENOENT ' +
    'CONNECTION_CLOSED CONNECTION_ENDED CONNECTION_DESTROYED CONNECT_TIMEOUT'
  for (const code of temporary.split(' ')) assert.equal(isUnavailable(withCode(code)), true, code)
  for (const code of '23505 42501 28P01 3D000 22P02 DEPTH_ZERO_SELF_SIGNED_CERT'.split(' '))
    assert.equal(isUnavailable(withCode(code)), false, code)
  for (const other of [new Error('x'), 'ECONNREFUSED', null, undefined, { code: '08006' }])
    assert.equal(isUnavailable(other), false)
})

test('an error is described in one line, by its code and message only', () => {
  const refused = Object.assign(new AggregateError([new Error('connect a'), new Error('connect b')]), {
    code: 'ECONNREFUSED',
  })
  assert.equal(describeError(refused), 'ECONNREFUSED: connect a; connect b')
  const sqlError = Object.assign(new Error('bad\n thing'), {
    code: '22P02',
    query: 'select secret',
    parameters: ['secret'],
    detail: 'secret',
  })
  assert.equal(describeError(sqlError), '22P02: bad thing')
  assert.equal(describeError(new TypeError('odd')), 'odd')
  assert.equal(describeError('secret'), 'an unknown error')
})
