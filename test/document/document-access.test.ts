import assert from 'node:assert/strict'
import { createHash, createHmac, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { request, type IncomingMessage } from 'node:http'
import { after, suite, test } from 'node:test'
import type { TestContext } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { createDatabase } from '../support/database.ts'
import { openServerFixture } from '../support/server-fixture.ts'
import { manage } from '../support/manage.ts'
import type { Fields, ManageAnswer, ManageOptions } from '../support/manage.ts'
import { runPlenum, startPlenum } from '../support/server.ts'
import type { LogLine, Plenum } from '../support/server.ts'
import { until } from '../support/until.ts'
import { holdTransaction } from '../support/held-transaction.ts'
import {
  appendMessage,
  broadcastMessage,
  cut,
  initMessage,
  setKeyMessage,
  DocumentClient,
} from '../support/document-client.ts'
import type { InitOptions } from '../support/document-client.ts'

const db = await createDatabase()
const { sql } = db
const password = 'pass:wörd & more'
const jwtKey = Buffer.from('00ff80fe'.repeat(8), 'hex')
const secrets = [password, jwtKey.toString('base64')]
/** Documents by their ids too; it takes no JWTs. */
const plenum = await startPlenum({
  database: db.url,
  flags: ['-document', '-document-user', 'app', '-document-maxmessage', '1'],
  env: { PLENUM_DOCUMENT_PASSWORD: password },
})
const guardedDb = await createDatabase()
const guarded = await startPlenum({
  database: guardedDb.url,
  flags: [
    '-document',
    '-behindproxy',
    '-document-jwtkey',
    jwtKey.toString('base64'),
    '-document-jwtkey-base64',
    '-document-origin',
    'https://draw.example',
  ],
  env: { PLENUM_DOCUMENT_USER: 'app', PLENUM_DOCUMENT_PASSWORD: password },
})
after(async () => {
  await Promise.all([plenum.kill(), guarded.kill()])
  await Promise.all([db.drop(), guardedDb.drop()])
})

const newId = (): string => randomBytes(9).toString('base64url')
const clients: DocumentClient[] = []
after(() => clients.forEach((client) => client.leave()))

const ask = (fields: Fields, options: ManageOptions & { to?: Plenum } = {}): Promise<ManageAnswer> =>
  manage(options.to ?? plenum, fields, { user: 'app', password, ...options })

async function open(id: string, options: InitOptions & { to?: Plenum } = {}): Promise<DocumentClient> {
  const client = new DocumentClient(options.to ?? plenum)
  clients.push(client)
  await client.opened()
  client.send(initMessage(id, options))
  await client.hears('append')
  return client
}

let refusals = 0
async function refused(id: string, options: InitOptions & { to?: Plenum } = {}): Promise<string> {
  // From an address of its own: who is refused often from one is told late.
  const headers = { 'x-forwarded-for': `192.0.2.${++refusals}` }
  const client = new DocumentClient(options.to ?? plenum, { headers })
  clients.push(client)
  await client.opened()
  client.send(initMessage(id, options))
  const { code, text } = await client.hears('error')
  assert.equal(await client.ended(), 1006)
  assert.equal(client.heard.length, 1)
  return `${code} ${text}`
}

const inFuture = (seconds: number): string => new Date(Date.now() + seconds * 1000).toUTCString()

/** The fields of a token that is good for an hour. */
function tokenFields(fields: Fields): Fields {
  const usual = { method: 'addToken', userID: newId(), permissions: 'rw', expiration: inFuture(3600) }
  return { ...usual, ...fields }
}

async function newToken(fields: Fields, to: Plenum = plenum): Promise<string> {
  const token = newId()
  assert.equal((await ask(tokenFields({ token, ...fields }), { to })).status, 200)
  return token
}

function jwt(claims: object, { alg = 'HS256', key = jwtKey }: { alg?: string; key?: Buffer } = {}): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const signed = `${part({ alg, typ: 'JWT' })}.${part(claims)}`
  const hash = { HS256: 'sha256', HS384: 'sha384', HS512: 'sha512' }[alg]
  return `${signed}.${hash ? createHmac(hash, key).update(signed).digest('base64url') : ''}`
}

const urlencoded = 'application/x-www-form-urlencoded'

function multipart(fields: Record<string, string>, contents: Buffer): FormData {
  const form = new FormData()
  for (const [name, value] of Object.entries(fields)) form.set(name, value)
  form.set('contents', new Blob([new Uint8Array(contents)]), 'file.bin')
  return form
}

const now = (): number => Math.floor(Date.now() / 1000)

suite('the management', () => {
  test('method, then credentials, then fields; errors have no body and say why in a header', async () => {
    const wrong = { user: 'app', password: 'wrong' }
    for (const [fields, options, status, reason] of [
      [{}, {}, 400, "Unknown 'method' parameter"],
      [{ method: 'nothing' }, wrong, 400, "Unknown 'method' parameter"],
      [{ method: 'toString' }, {}, 400, "Unknown 'method' parameter"],
      [{ method: 'createDocument' }, wrong, 401, 'Unauthorized'],
      [{ method: 'createDocument' }, { user: null }, 401, 'Unauthorized'],
      [{ method: 'createDocument' }, { user: 'App', password }, 401, 'Unauthorized'],
      [
        { method: 'createDocument' },
        { user: null, headers: { authorization: 'Bearer x' } },
        401,
        'Unauthorized',
      ],
      [{ method: 'createDocument' }, {}, 400, 'Missing documentID'],
      [{ method: 'createDocument', documentID: 'x' }, {}, 400, 'Missing contents'],
      [{ method: 'deleteDocument' }, {}, 400, 'Missing documentID'],
      [{ method: 'dumpDocument' }, {}, 400, 'Missing documentID'],
      [{ method: 'checkDocument' }, {}, 400, 'Missing documentID'],
      [{ method: 'checkDocument', documentID: 'a\0b' }, {}, 400, 'Incorrect documentID'],
      [{ method: 'checkDocument', documentID: 'x'.repeat(1025) }, {}, 400, 'Incorrect documentID'],
      [{ method: 'addToken' }, {}, 400, 'Missing token'],
      [{ method: 'addToken', token: 'x' }, {}, 400, 'Missing documentID'],
      [{ method: 'addToken', token: 'x', documentID: 'x' }, {}, 400, 'Missing userID'],
      [{ method: 'addToken', token: 'x', documentID: 'x', userID: 'x' }, {}, 400, 'Missing expiration'],
      [
        tokenFields({ token: 'x', documentID: 'x', expiration: 'tomorrow' }),
        {},
        400,
        'Incorrect expires format',
      ],
      [
        tokenFields({ token: 'x', documentID: 'x', expiration: '1893456000' }),
        {},
        400,
        'Incorrect expires format',
      ],
      [{ method: 'updateUser' }, {}, 400, 'Missing userID'],
    ] as const) {
      const answer = await ask(fields, options)
      assert.deepEqual([answer.status, answer.reason], [status, reason], JSON.stringify(fields))
      assert.equal(answer.body.length, 0)
    }
  })

  test('every method asks for credentials, also where none are configured', async (t) => {
    const open = await startPlenum({ database: db.url, flags: ['-document'], ready: false })
    t.after(() => open.kill())
    const methods = [
      'createDocument',
      'deleteDocument',
      'dumpDocument',
      'checkDocument',
      'addToken',
      'updateUser',
    ]
    for (const method of methods)
      assert.equal((await ask({ method, documentID: 'x' }, { password: '' })).status, 401)
    await open.logged(({ event }) => event === 'waiting', 10_000)
    // A process that waits serves no documents, and says so; that it runs and has a database it says too.
    const standby = await manage(open, { method: 'createDocument' }, { user: '', password: '' })
    assert.deepEqual([standby.status, standby.reason], [503, 'The documents are not served here now'])
    assert.equal((await open.get('/socket?ping')).body, 'OK')
    assert.equal(await new DocumentClient(open).ended(), 1006)
  })

  test('create, check, dump and delete; contents as text or as a file, of any bytes', async () => {
    const any = Buffer.from(Array.from({ length: 1000 }, (_, n) => n % 256))
    for (const multipart of [false, true]) {
      const documentID = newId()
      const create = { method: 'createDocument', documentID, contents: any }
      assert.equal((await ask({ method: 'checkDocument', documentID })).status, 404)
      assert.equal((await ask({ method: 'dumpDocument', documentID })).status, 404)
      assert.equal((await ask(create, { multipart })).status, 200)
      assert.deepEqual(
        await ask(create, { multipart }).then(({ status, body }) => [status, body.length]),
        [409, 0],
      )
      assert.equal((await ask({ method: 'checkDocument', documentID })).status, 200)
      const dump = await ask({ method: 'dumpDocument', documentID })
      assert.deepEqual([dump.status, dump.body], [200, any])
      const client = await open(documentID)
      assert.deepEqual(client.all('append')[0]?.data, any)
      for (let n = 0; n < 2; n++)
        assert.equal((await ask({ method: 'deleteDocument', documentID })).status, 200)
      assert.deepEqual(await client.hears('error'), { type: 'error', code: 1, text: 'does not exist' })
      assert.equal(await client.ended(), 1006)
      assert.equal(await refused(documentID, { mode: 1 }), '1 does not exist')
    }
    const text = await ask(
      { method: 'createDocument', documentID: newId(), contents: '' },
      { multipart: true },
    )
    assert.equal(text.status, 200)
  })

  test('a document that is deleted while it is being sent: what has begun ends, then error 1', async () => {
    const documentID = newId()
    await open(documentID, { data: randomBytes(900_000) })
    const slow = new DocumentClient(plenum)
    clients.push(slow)
    await slow.opened()
    slow.ws.pause()
    for (let n = 1; n < 12; n++) {
      const writer = await open(documentID, { offset: n * 900_000 })
      writer.send(appendMessage(n * 900_000, randomBytes(900_000)))
      assert.equal((await writer.hears('answer')).status, 1)
      writer.leave()
    }
    const isEntry = ({ event }: LogLine): boolean => event === 'documentEntered'
    const entries = plenum.logs.filter(isEntry).length
    slow.send(initMessage(documentID, { mode: 1 }))
    await until('it is being sent', () => plenum.logs.filter(isEntry).length > entries)
    // Until the network takes no more.
    await wait(200)
    assert.equal((await ask({ method: 'deleteDocument', documentID })).status, 200)
    slow.ws.resume()
    assert.equal((await slow.hears('error')).code, 1)
    assert.equal(await slow.ended(), 1006)
  })

  test('a request that is too large is refused, before it is read where it is nobody’s', async () => {
    const fields = { method: 'createDocument', documentID: newId(), contents: Buffer.alloc(1_200_000) }
    const strangers = await ask(fields, { multipart: true, user: 'x' }).catch(() => ({ status: 401 }))
    assert.equal(strangers.status, 401)
    const answer = await ask(fields, { multipart: true }).catch(() => ({ status: 413 }))
    assert.equal(answer.status, 413)
    const fits = { ...fields, contents: Buffer.alloc(1_000_000) }
    assert.equal((await ask(fits, { multipart: true })).status, 200)
  })

  test('of a body in chunks from somebody unknown nothing is read', async () => {
    const sent = request(plenum.url('/socket'), {
      method: 'POST',
      headers: { 'transfer-encoding': 'chunked' },
    })
    sent.on('error', () => {})
    // Without an end.
    sent.write('m')
    const [answer] = (await once(sent, 'response')) as [IncomingMessage]
    assert.equal(answer.statusCode, 401)
    sent.destroy()
  })

  test('a body and a dump live as long as bytes move, and no longer', async (t) => {
    const fixture = await openServerFixture(t, {
      flags: ['-document', '-document-user', 'app', '-document-maxmessage', '40', '-requesttimeout', '0.5'],
      env: { PLENUM_DOCUMENT_PASSWORD: password },
    })
    const to = await fixture.start()
    const contents = randomBytes(24 * 1024 * 1024)
    const form = Buffer.from(
      await new Response(multipart({ method: 'createDocument', documentID: 'x' }, contents)).arrayBuffer(),
    )
    const type = `multipart/form-data; boundary=${form.subarray(2, form.indexOf('\r\n')).toString()}`
    const headers = {
      authorization: `Basic ${Buffer.from(`app:${password}`).toString('base64')}`,
      'content-type': type,
    }
    /** Sends so many bytes at a time; gives the status, or null where the connection was cut. */
    const upload = async (body: Buffer, step: number, known = true): Promise<number | null> =>
      await new Promise((resolve) => {
        const length = { 'content-length': String(body.length) }
        const sent = request(
          to.url('/socket'),
          {
            method: 'POST',
            headers: { ...(known ? headers : { 'content-type': type }), ...length },
            agent: false,
          },
          (response) => resolve(response.statusCode ?? 0),
        )
        let at = 0
        const timer = setInterval(() => {
          sent.write(body.subarray(at, (at += step)))
          if (at < body.length) return
          clearInterval(timer)
          sent.end()
        }, 100)
        sent.on('error', () => {
          clearInterval(timer)
          resolve(null)
        })
      })
    const [steady, trickle, stranger] = await Promise.all([
      upload(form, 1024 * 1024),
      upload(form.subarray(0, 60_000), 100),
      upload(form.subarray(0, 60_000), 2500, false),
    ])
    assert.deepEqual([steady, trickle, stranger], [200, null, null])
    const dump = request(to.url('/socket'), {
      method: 'POST',
      headers: { ...headers, 'content-type': urlencoded },
      agent: false,
    })
    dump.end('method=dumpDocument&documentID=x')
    const [response] = (await once(dump, 'response')) as [IncomingMessage]
    const hash = createHash('sha256')
    for await (const part of response as AsyncIterable<Buffer>) {
      hash.update(part)
      await wait(part.length / 8000)
    }
    assert.equal(hash.digest('hex'), createHash('sha256').update(contents).digest('hex'))
  })

  test('an empty field of contents is as if it were not there', async () => {
    const documentID = newId()
    await open(documentID, { data: 'there' })
    const token = newId()
    assert.equal((await ask(tokenFields({ token, documentID, contents: '' }))).status, 200)
    assert.equal((await open(token)).all('append')[0]?.data.toString(), 'there')
  })

  test('a failure of the database is 500, and is not told in detail', async () => {
    const lock = await holdTransaction(db.url, (tx) => tx`lock table plenum.document`)
    const answer = ask({ method: 'checkDocument', documentID: 'x' })
    await lock.waitedFor()
    await sql`
      select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and wait_event_type = 'Lock'`
    await lock.rollback()
    assert.deepEqual(await answer.then(({ status, reason }) => [status, reason]), [
      500,
      'The database does not answer',
    ])
  })

  test('GET, ping, CORS and OPTIONS', async () => {
    const running = 'Zwibbler collaboration Server is running.'
    const { status, body, headers } = await plenum.get('/socket')
    assert.deepEqual([status, body, headers['access-control-allow-origin']], [200, running, undefined])
    assert.equal((await plenum.get('/socket?ping=1')).body, 'OK')
    assert.equal((await plenum.get('/socket/other')).status, 404)
    for (const [to, origin, allowed] of [
      [plenum, 'https://any.example', '*'],
      [guarded, 'https://draw.example', 'https://draw.example'],
      [guarded, 'https://evil.example', undefined],
    ] as const) {
      for (const httpMethod of ['OPTIONS', 'GET', 'POST']) {
        const answer = await ask({ method: 'x' }, { to, httpMethod, headers: { origin } })
        assert.equal(answer.headers['access-control-allow-origin'], allowed)
        if (httpMethod === 'OPTIONS') assert.equal(answer.body.length, 0)
        if (!allowed) continue
        assert.match(answer.headers['access-control-allow-headers'] ?? '', /Authorization/)
        assert.match(answer.headers['access-control-allow-methods'] ?? '', /POST/)
        assert.match(answer.headers['access-control-expose-headers'] ?? '', /Status/)
      }
    }
    const foreign = new DocumentClient(guarded, { headers: { origin: 'https://evil.example' } })
    assert.equal(await foreign.ended(), 1006)
    const page = new DocumentClient(guarded, { headers: { origin: 'https://draw.example' } })
    clients.push(page)
    await page.opened()
    const off = await plenum.get('/socket/')
    assert.equal(off.status, 404)
  })
})

suite('tokens', () => {
  test('a token stands for its document, with its permissions', async () => {
    const documentID = newId()
    const [writer, reader, nobody] = [
      await newToken({ documentID, contents: 'abc' }),
      await newToken({ documentID, permissions: 'r' }),
      await newToken({ documentID, permissions: 'wa' }),
    ]
    const ann = await open(writer)
    const bob = await open(reader, { version: 2, mode: 1 })
    assert.equal(ann.all('append')[0]?.data.toString(), 'abc')
    assert.equal(await refused(nobody), '4 access denied')
    assert.equal(await refused(reader, { mode: 2 }), '4 access denied')
    assert.equal(await refused(writer, { mode: 2 }), '2 already exists')
    bob.send(appendMessage(3, 'x', 2), appendMessage(9, 'x', 2))
    await bob.hears('answer', 2)
    assert.deepEqual(
      bob.all('answer').map(({ status, length }) => [status, length]),
      [
        [2, 3],
        [0, 3],
      ],
    )
    bob.send(
      setKeyMessage({ request: 1, old: 0, version: 1, name: 'k', value: 'v' }),
      setKeyMessage({ request: 2, stored: false, old: 0, version: 1, name: 'cursor', value: 'v' }),
      setKeyMessage({ request: 3, stored: false, old: 0, version: 1, name: 'admin:x', value: 'v' }),
      broadcastMessage('pointer'),
    )
    assert.equal((await ann.hears('broadcast')).data, 'pointer')
    await bob.hears('keyAnswer', 3)
    assert.deepEqual(
      bob.all('keyAnswer').map(({ status }) => status),
      [0, 1, 0],
    )
    const admin = await open(await newToken({ documentID, permissions: 'rwa' }))
    admin.send(setKeyMessage({ old: 0, version: 1, name: 'admin:x', value: 'v' }))
    assert.equal((await admin.hears('keyAnswer')).status, 1)
    const missing = newId()
    const [readsMissing, writesMissing] = [
      await newToken({ documentID: missing, permissions: 'r' }),
      await newToken({ documentID: missing }),
    ]
    assert.equal(await refused(readsMissing), '4 access denied')
    assert.equal(await refused(readsMissing, { mode: 1 }), '1 does not exist')
    await open(writesMissing, { data: 'made' })
    assert.equal((await open(readsMissing)).all('append')[0]?.data.toString(), 'made')
  })

  test('both or nothing: a token that is known, a document that is there', async () => {
    const [documentID, token] = [newId(), newId()]
    assert.equal((await ask(tokenFields({ token, documentID, contents: 'first' }))).status, 200)
    const second = await ask(tokenFields({ token, documentID: newId(), contents: 'x' }))
    assert.equal(second.status, 409)
    const other = newId()
    assert.equal((await ask(tokenFields({ token: other, documentID, contents: 'again' }))).status, 409)
    // It was not stored, so that it is a document's id like any other.
    assert.equal(await refused(other, { mode: 1 }), '1 does not exist')
    // Without contents nothing of the document is touched.
    assert.equal((await ask(tokenFields({ token: other, documentID }))).status, 200)
    assert.equal((await open(other)).all('append')[0]?.data.toString(), 'first')
    const racing = await Promise.all(
      Array.from({ length: 8 }, () => ask(tokenFields({ token: `${token}x`, documentID }))),
    )
    assert.equal(racing.filter(({ status }) => status === 200).length, 1)
  })

  test('an expired token is denied and makes no document; connections end when theirs expires', async () => {
    const [documentID, token] = [newId(), newId()]
    const other = await open(documentID)
    await ask(tokenFields({ token, documentID, expiration: inFuture(3) }))
    const client = await open(token)
    assert.equal((await client.hears('error', 1, 6000)).code, 4)
    assert.equal(await client.ended(), 1006)
    assert.equal(await refused(token), '4 access denied')
    assert.equal(await refused(token, { mode: 2 }), '4 access denied')
    const past = await newToken({ documentID, expiration: 'Fri, 01 Jan 2010 00:00:00 GMT' })
    assert.equal(await refused(past), '4 access denied')
    for (const id of [token, past])
      assert.equal((await ask({ method: 'checkDocument', documentID: id })).status, 404)
    // It may be given again.
    assert.equal((await ask(tokenFields({ token, documentID }))).status, 200)
    await open(token)
    assert.equal(other.closeCode, null)
  })

  test('updateUser changes tokens that are stored and connections that there are, at once', async () => {
    const [documentID, userID] = [newId(), newId()]
    const token = await newToken({ documentID, userID, contents: '' })
    const [ann, bob] = [await open(token), await open(documentID)]
    assert.equal((await ask({ method: 'updateUser', userID, permissions: 'r' })).status, 200)
    ann.send(appendMessage(0, 'x'))
    assert.equal((await ann.hears('answer')).status, 2)
    const again = await open(token)
    again.send(appendMessage(0, 'x'))
    assert.equal((await again.hears('answer')).status, 2)
    await ask({ method: 'updateUser', userID, permissions: 'rw' })
    ann.send(appendMessage(0, 'x'))
    assert.equal((await ann.hears('answer', 2)).status, 1)
    await bob.hears('append', 2)
    await ask({ method: 'updateUser', userID })
    assert.equal((await ann.hears('error')).code, 4)
    assert.deepEqual(await Promise.all([ann.ended(), again.ended()]), [1006, 1006])
    assert.equal(await refused(token), '4 access denied')
    bob.send(appendMessage(1, 'y'))
    assert.equal((await bob.hears('answer')).status, 1)
    const [row] = await sql<{ found: number }[]>`
      select count(*)::int found from plenum.document_token where hash = ${token} or document = ${token}`
    assert.equal(row?.found, 0, 'a token is stored by its hash only')
  })
})

suite('with a key for JWTs', () => {
  test('a JWT stands for its document, with its permissions, until it expires', async () => {
    const sub = newId()
    const exp = now() + 3600
    const ann = await open(jwt({ sub, u: 'ann', p: 'rw', exp }), { to: guarded, data: 'abc' })
    const bob = await open(jwt({ sub, u: 'bob', p: 'r', exp, iat: now() - 5, nbf: now() - 5 }), {
      to: guarded,
    })
    ann.send(appendMessage(3, 'd'))
    assert.equal((await bob.hears('append', 2)).data.toString(), 'd')
    bob.send(appendMessage(4, 'e'))
    assert.equal((await bob.hears('answer')).status, 2)
    const short = await open(jwt({ sub, u: 'cid', p: 'rw', exp: now() + 2 }), { to: guarded })
    assert.equal((await short.hears('error')).code, 4)
    assert.equal(await short.ended(), 1006)
  })

  test('who is not let in hears it at the beginning of a long first message, and no more of that is read', async () => {
    const client = await new DocumentClient(guarded).opened()
    const init = initMessage(newId(), { data: Buffer.alloc(16 * 2 ** 20 - 100) })
    const frames = cut(init, 1000)
    // The last frame never comes.
    client.send(...frames.slice(0, -1))
    assert.equal((await client.hears('error')).code, 4)
    assert.equal(await client.ended(), 1006)
    // Byte by byte: until the id is known.
    const slow = await new DocumentClient(guarded).opened()
    slow.send(
      Buffer.from([1, 1]),
      ...Array.from(init.subarray(2, 60), (byte) => Buffer.from([0xff, 1, byte])),
    )
    assert.equal((await slow.hears('error')).code, 4)
  })

  test('everything else is denied: documents’ ids, and JWTs that are not right in any way', async () => {
    const sub = newId()
    const exp = now() + 3600
    await open(jwt({ sub, u: 'ann', p: 'rw', exp }), { to: guarded })
    const good = jwt({ sub, u: 'x', p: 'rw', exp })
    const [head = '', claims = ''] = good.split('.')
    const none = Buffer.from('{"alg":"none","typ":"JWT"}').toString('base64url')
    for (const [name, id] of Object.entries({
      'an id': sub,
      'an unknown one': newId(),
      expired: jwt({ sub, u: 'x', p: 'rw', exp: now() - 1 }),
      'no exp': jwt({ sub, u: 'x', p: 'rw' }),
      'exp is a text': jwt({ sub, u: 'x', p: 'rw', exp: String(exp) }),
      'exp is null': jwt({ sub, u: 'x', p: 'rw', exp: null }),
      'no sub': jwt({ u: 'x', p: 'rw', exp }),
      'an empty sub': jwt({ sub: '', u: 'x', p: 'rw', exp }),
      'sub is a number': jwt({ sub: 7, u: 'x', p: 'rw', exp }),
      'no permissions': jwt({ sub, u: 'x', exp }),
      'no r': jwt({ sub, u: 'x', p: 'wa', exp }),
      'not valid yet': jwt({ sub, u: 'x', p: 'rw', exp, nbf: now() + 600 }),
      'issued later': jwt({ sub, u: 'x', p: 'rw', exp, iat: now() + 600 }),
      'another key': jwt({ sub, u: 'x', p: 'rw', exp }, { key: Buffer.from('other') }),
      'the key as text': jwt({ sub, u: 'x', p: 'rw', exp }, { key: Buffer.from(jwtKey.toString('base64')) }),
      'with padding': `${good}=`,
      'with padding in it': `${head}=.${claims}.${good.split('.')[2]}`,
      HS384: jwt({ sub, u: 'x', p: 'rw', exp }, { alg: 'HS384' }),
      HS512: jwt({ sub, u: 'x', p: 'rw', exp }, { alg: 'HS512' }),
      none: jwt({ sub, u: 'x', p: 'rw', exp }, { alg: 'none' }),
      'none, signed': `${none}.${claims}.${good.split('.')[2]}`,
      'no signature': `${head}.${claims}.`,
      'two parts': `${head}.${claims}`,
      "another's signature": `${head}.${claims}.${jwt({ sub, u: 'y', p: 'rw', exp }).split('.')[2]}`,
    }))
      assert.equal(await refused(id, { to: guarded }), '4 access denied', name)
  })

  test('tokens are taken too; updateUser holds for JWTs that were issued before, also when they come back', async () => {
    const [documentID, userID] = [newId(), newId()]
    await open(await newToken({ documentID, userID, contents: 'abc' }, guarded), { to: guarded })
    const exp = now() + 3600
    const old = jwt({ sub: documentID, u: userID, p: 'rw', exp, iat: now() - 10 })
    const ann = await open(old, { to: guarded })
    await ask({ method: 'updateUser', userID, permissions: 'r' }, { to: guarded })
    ann.send(appendMessage(3, 'x'))
    assert.equal((await ann.hears('answer')).status, 2)
    ann.leave()
    const again = await open(old, { to: guarded })
    again.send(appendMessage(3, 'x'))
    assert.equal((await again.hears('answer')).status, 2)
    await ask({ method: 'updateUser', userID, permissions: '' }, { to: guarded })
    assert.equal((await again.hears('error')).code, 4)
    assert.equal(await refused(old, { to: guarded }), '4 access denied')
    await open(jwt({ sub: documentID, u: userID, p: 'rw', exp, iat: now() }), { to: guarded })
  })
})

suite('guessing', () => {
  /** A server behind a proxy, so that clients have addresses. */
  const behindProxy = async (t: TestContext, ...flags: string[]): Promise<Plenum> => {
    const fixture = await openServerFixture(t, { flags: ['-document', '-behindproxy', ...flags] })
    return await fixture.start()
  }
  const from = (address: string) => ({ headers: { 'x-forwarded-for': address } })

  test('of wrong passwords that come at once ten are looked at; who knows it is not locked out', async (t) => {
    const to = await behindProxy(t, '-document-user', 'app', '-document-password', password)
    const check = async (address: string, given = 'a wrong password', times = 1): Promise<number[]> => {
      const once = () =>
        ask({ method: 'checkDocument', documentID: 'x' }, { to, password: given, ...from(address) })
      const answers = await Promise.all(Array.from({ length: times }, once))
      for (const { status, reason = '', headers } of answers) {
        if (status !== 429) continue
        assert.match(reason, /^Too many wrong passwords from this address: wait \d+ seconds$/)
        assert.match(headers['retry-after'] ?? '', /^(?:[1-5]?\d|60)$/)
      }
      return answers.map(({ status }) => status).sort((a, b) => a - b)
    }
    const expected = [...Array<number>(10).fill(401), ...Array<number>(110).fill(429)]
    assert.deepEqual(await check('203.0.113.1', undefined, 120), expected)
    // It does not say that this one is right.
    assert.deepEqual(await check('203.0.113.1', password), [429])
    assert.deepEqual(await check('203.0.113.2', password), [404])
    // Where it is known others who guess do not keep it out.
    assert.deepEqual(await check('203.0.113.2', undefined, 40), Array(40).fill(401))
    assert.deepEqual(await check('203.0.113.2', password), [404])
    // A request without credentials guesses nothing.
    const nobody = { to, user: null, ...from('203.0.113.3') }
    for (let n = 0; n < 12; n++) assert.equal((await ask({ method: 'checkDocument' }, nobody)).status, 401)
    assert.deepEqual(await check('203.0.113.3', password), [404])
    const told = to.logs.filter(({ event }) => event === 'guessing')
    assert.deepEqual(
      told.map(({ secret, address }) => [secret, address]),
      [['password', '203.0.113.1']],
    )
  })

  test('of short wrong tokens that come at once ten are answered; JWTs and long tokens always enter', async (t) => {
    const to = await behindProxy(
      t,
      ...['-document-user', 'app', '-document-password', password],
      ...['-document-jwtkey', jwtKey.toString('base64'), '-document-jwtkey-base64'],
    )
    const [short, long] = [newId(), `${newId()}${newId()}`]
    for (const token of [short, long])
      assert.equal((await ask(tokenFields({ token, documentID: 'x' }), { to })).status, 200)
    const guess = async (id: string): Promise<number | null> => {
      const client = new DocumentClient(to, from('203.0.113.1'))
      await client.opened()
      client.send(initMessage(id))
      await client.ended()
      return client.all('error')[0]?.code ?? null
    }
    const answers = await Promise.all(Array.from({ length: 60 }, () => guess(newId())))
    assert.equal(answers.filter((code) => code === 4).length, 10)
    assert.equal(answers.filter((code) => code === null).length, 50, 'without a word: they come back')
    assert.equal(await guess(short), null)
    const enter = async (id: string, address: string): Promise<void> => {
      const client = new DocumentClient(to, from(address))
      clients.push(client)
      await client.opened()
      client.send(initMessage(id))
      await client.hears('append')
    }
    await enter(short, '203.0.113.2')
    await enter(long, '203.0.113.1')
    await enter(jwt({ sub: 'x', u: 'x', p: 'rw', exp: now() + 3600 }), '203.0.113.1')
  })
})

suite('secrets', () => {
  test('no token, JWT, id or password is in the log or in the metrics', async () => {
    const token = await newToken({ documentID: 'a-document-with-a-name', contents: '' })
    await open(token)
    await refused(jwt({ sub: 'a-document-with-a-name' }), { to: guarded })
    await ask({ method: 'checkDocument', documentID: 'x' }, { password: 'a-wrong-password' })
    for (const server of [plenum, guarded]) {
      const metrics = (await server.get('/metrics')).body
      for (const secret of [...secrets, token, 'a-document-with-a-name', 'a-wrong-password', 'eyJ'])
        assert.ok(!`${server.stderr.join('\n')}${metrics}`.includes(secret), secret)
      assert.match(metrics, /plenum_documents /)
    }
  })

  test('a setting that cannot be used is named, and its value is not repeated', async () => {
    const secret = 'https://user:hidden@hook.example'
    for (const [flags, expected] of [
      [['-document-webhook', secret], /-document-webhook takes an http or https URL/],
      [['-document-user', 'hidden:x'], /-document-user takes/],
      [['-document-password', 'hidden of the app'], /-document-user takes .* go together/],
      [['-document-user', 'hidden'], /-document-password takes .* go together/],
      [['-document-jwtkey', '%hidden', '-document-jwtkey-base64'], /-document-jwtkey takes Base64/],
      [['-document-expiration', '0'], /never, or seconds/],
      [['-document-maxsize', '0'], /mebibytes/],
    ] as const) {
      const { code, stderr } = await runPlenum(['-origin', '*', '-document', ...flags])
      const [line = ''] = stderr.split('\n')
      assert.equal(code, 2)
      assert.match(line, expected)
      assert.doesNotMatch(stderr, /hidden/)
    }
  })
})
