import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sign } from 'hono/jwt'
import type { ISql } from 'postgres'
import { documentId, importKey, permissionsOf, resolveAccess, wasBefore } from './access.ts'

test('a JWT of the second in which rights were changed has been issued after that, where it says the second only', () => {
  const changedAt = 1_800_000_000.7
  assert.deepEqual(
    [0, 1_799_999_999, 1_800_000_000, 1_800_000_001, 1_800_000_000.6, 1_800_000_000.8].map((issuedAt) =>
      wasBefore(issuedAt, changedAt),
    ),
    [true, true, false, false, true, false],
  )
})

test('letters are rights, others mean nothing', () => {
  const [none, all] = [
    { read: false, write: false, admin: false },
    { read: true, write: true, admin: true },
  ]
  for (const [letters, permissions] of [
    ['', none],
    ['r', { ...none, read: true }],
    ['w', { ...none, write: true }],
    ['a', { ...none, admin: true }],
    ['rw', { ...all, admin: false }],
    ['awr', all],
    ['rrr', { ...none, read: true }],
    ['RWA', none],
    ['xyz!', none],
  ] as const)
    assert.deepEqual(permissionsOf(letters), permissions, letters)
})

test('a document’s id is 1 to 1,024 bytes of UTF-8 without NUL', () => {
  for (const [bytes, id] of [
    [Buffer.from('d'), 'd'],
    [Buffer.from('é😀 /../'), 'é😀 /../'],
    [Buffer.from('\ufeffd'), '\ufeffd'],
    [Buffer.alloc(1024, 'x'), 'x'.repeat(1024)],
    [Buffer.alloc(1025, 'x'), null],
    [Buffer.alloc(0), null],
    [Buffer.from('a\0b'), null],
    [Buffer.from([0xff]), null],
    [Buffer.from([0xc3]), null],
    [Buffer.from([0xc0, 0x80]), null],
    // A surrogate, and the character that stands for what is broken.
    [Buffer.from([0xed, 0xa0, 0x80]), null],
    [Buffer.from('\ufffd'), '\ufffd'],
  ] as const)
    assert.equal(documentId(bytes), id, bytes.subarray(0, 8).toString('hex'))
})

const key = Buffer.alloc(32, 'k')
const inAnHour = (): number => Math.floor(Date.now() / 1000) + 3600

/** What ids stand for where no token is stored, and no user was changed. */
async function resolve(ids: string[], jwtKey: Buffer | null) {
  const noRows = (() => Promise.resolve([])) as unknown as ISql
  return await resolveAccess(
    noRows,
    ids.map((id) => Buffer.from(id)),
    jwtKey && (await importKey(jwtKey)),
  )
}

test('without a key for JWTs ids are documents, for reading and writing; with one they are unknown', async () => {
  const everyone = { read: true, write: true, admin: false }
  const open = { type: 'access', user: null, permissions: everyone, leftMs: null }
  assert.deepEqual(await resolve(['d', 'a\0b', 'e'], null), [
    { ...open, document: 'd' },
    { type: 'fault', code: 0, text: 'an id is UTF-8 without NUL' },
    { ...open, document: 'e' },
  ])
  assert.deepEqual(
    (await resolve(['d', 'a.b.c', ''], key)).map(({ type }) => type),
    ['unknown', 'unknown', 'unknown'],
  )
  assert.deepEqual(await resolve([], null), [])
})

test('a JWT that is signed with the key, HS256, and good now, stands for its document, user and letters', async () => {
  const good = { sub: 'plan', u: '7', p: 'rw', exp: inAnHour() }
  const [access] = await resolve([await sign(good, key.toString(), 'HS256')], key)
  assert.ok(access?.type === 'access' && access.leftMs !== null)
  assert.ok(access.leftMs > 3_500_000 && access.leftMs <= 3_600_000)
  assert.deepEqual(
    { ...access, leftMs: 0 },
    {
      type: 'access',
      document: 'plan',
      user: '7',
      permissions: { read: true, write: true, admin: false },
      leftMs: 0,
    },
  )
})

test('any other JWT is unknown; one without the right to read is denied', async () => {
  const good = { sub: 'plan', u: '7', p: 'rw', exp: inAnHour() }
  const { sub, u, p, exp } = good
  const withKey = (claims: object) => sign({ ...claims }, key.toString(), 'HS256')
  const token = await withKey(good)
  const [header = '', payload = '', signature = ''] = token.split('.')
  const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const cases: [what: string, token: string, outcome: string][] = [
    ['good', token, 'access'],
    ['of another key', await sign(good, 'x'.repeat(32), 'HS256'), 'unknown'],
    ['of another algorithm', await sign(good, key.toString(), 'HS512'), 'unknown'],
    ['of none', `${encode({ alg: 'none', typ: 'JWT' })}.${payload}.`, 'unknown'],
    ['of none, with a signature', `${encode({ alg: 'none' })}.${payload}.${signature}`, 'unknown'],
    ['changed', `${header}.${encode({ ...good, sub: 'other' })}.${signature}`, 'unknown'],
    ['cut', `${header}.${payload}`, 'unknown'],
    ['with more', `${token}.x`, 'unknown'],
    ['padded', `${token}=`, 'unknown'],
    ['in white space', ` ${token}`, 'unknown'],
    ['expired', await withKey({ ...good, exp: inAnHour() - 7200 }), 'unknown'],
    ['without an end', await withKey({ sub, u, p }), 'unknown'],
    ['with an end in words', await withKey({ ...good, exp: String(exp) }), 'unknown'],
    ['without a document', await withKey({ u, p, exp }), 'unknown'],
    ['of a document that cannot be', await withKey({ ...good, sub: 'a\0b' }), 'unknown'],
    ['of a user that cannot be', await withKey({ ...good, u: 'a\0b' }), 'unknown'],
    ['not yet', await withKey({ ...good, nbf: exp }), 'unknown'],
    ['issued later', await withKey({ ...good, iat: exp }), 'unknown'],
    ['without letters', await withKey({ sub, u, exp }), 'fault'],
    ['only to write', await withKey({ ...good, p: 'w' }), 'fault'],
    ['with letters that are a number', await withKey({ ...good, p: 7 }), 'fault'],
    ['without a user', await withKey({ sub, p, exp }), 'access'],
  ]
  const outcomes = await resolve(
    cases.map(([, token]) => token),
    key,
  )
  for (const [n, [what, , outcome]] of cases.entries()) assert.equal(outcomes[n]?.type, outcome, what)
  const denied = outcomes.filter((one) => one.type === 'fault')
  assert.ok(denied.every((one) => 'code' in one && one.code === 4 && one.text === 'access denied'))
})
