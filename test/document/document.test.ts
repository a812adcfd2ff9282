import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, suite, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { createDatabase } from '../support/database.ts'
import { holdTransaction } from '../support/held-transaction.ts'
import { manage } from '../support/manage.ts'
import type { Fields } from '../support/manage.ts'
import { startPlenum } from '../support/server.ts'
import type { Plenum } from '../support/server.ts'
import { until } from '../support/until.ts'
import { openRawWebSocket } from '../support/raw-connection.ts'
import {
  appendMessage,
  broadcastMessage,
  cut,
  hex,
  initMessage,
  setKeyMessage,
  DocumentClient,
} from '../support/document-client.ts'
import type { Heard, InitOptions } from '../support/document-client.ts'

const db = await createDatabase()
const { sql } = db
const credentials = ['-document-user', 'app', '-document-password', 'secret of the app']
const plenum = await startPlenum({
  database: db.url,
  flags: ['-document', ...credentials, '-document-maxmessage', '2', '-document-maxsize', '110'],
})
after(async () => {
  await plenum.kill()
  await db.drop()
})

const newId = (): string => randomBytes(9).toString('base64url')

const clients: DocumentClient[] = []
after(() => clients.forEach((client) => client.leave()))

async function connect(to: Plenum = plenum): Promise<DocumentClient> {
  const client = new DocumentClient(to)
  clients.push(client)
  return await client.opened()
}

async function open(
  id: string | Buffer,
  options: InitOptions & { to?: Plenum } = {},
): Promise<DocumentClient> {
  const client = await connect(options.to)
  client.send(initMessage(id, options))
  await client.hears('append')
  return client
}

/** Sends frames given in hex and expects the frames that answer them, in hex. */
async function exchange(client: DocumentClient, sent: string[], expected: string[]): Promise<void> {
  client.send(...sent)
  for (const frame of expected) assert.equal(await client.nextFrame(), hex(frame).toString('hex'))
}

const ask = (fields: Fields, options: Parameters<typeof manage>[2] = {}) =>
  manage(plenum, fields, { user: 'app', password: 'secret of the app', ...options })

/** The document as it is stored. */
async function stored(id: string): Promise<string> {
  const { body } = await ask({ method: 'dumpDocument', documentID: id })
  return body.toString()
}

/** Opens, and expects to be refused with this. */
async function refused(id: string | Buffer, options: InitOptions & { to?: Plenum } = {}): Promise<string> {
  const client = await connect(options.to)
  client.send(initMessage(id, options))
  const { code, text } = await client.hears('error')
  assert.equal(await client.ended(), 1006)
  assert.equal(client.heard.length, 1)
  return `${code} ${text}`
}

const ascii = (text: string): string => Buffer.from(text).toString('hex')

suite('the examples of the protocol, byte by byte', () => {
  test('those of our own description', async () => {
    const one = await connect()
    await exchange(one, ['01 00 0002 00000000 00 0000000000000000 01 64'], ['02 00 0000000000000000'])
    await sql`delete from plenum.document where id = 'd'`
    one.leave()
    await wait(100)
    const ann = await connect()
    await exchange(
      ann,
      ['01 00 0003 00000000 00 00000000 0000000000000000 00000001 64 6869'],
      ['05 00 00000000 0000000000000002'],
    )
    const bob = await connect()
    await exchange(bob, ['01 00 0002 00000000 00 0000000000000000 01 64'], ['02 00 0000000000000000 6869'])
    await exchange(ann, ['05 00 00000000 0000000000000002 616263'], ['81 00 0001 0000000000000005'])
    await exchange(bob, [], ['02 00 0000000000000002 616263'])
    await exchange(bob, ['02 00 0000000000000002 78'], ['81 00 0000 0000000000000005'])
    await exchange(ann, ['03 00 0007 01 00000000 00000001 00000001 6b 00000001 76'], ['83 00 0001 0007'])
    await exchange(bob, [], ['82 00 00000001 00000001 6b 00000001 76'])
    await exchange(ann, ['04 00 00000001 78'], [])
    await exchange(bob, [], ['04 00 00000001 78'])
    const cid = await connect()
    await exchange(
      cid,
      ['01 00 0002 00000000 01 0000000000000000 01 65'],
      [`80 00 0001 ${ascii('does not exist')}`],
    )
    assert.equal(await cid.ended(), 1006)
    assert.deepEqual(
      [ann, bob].map(({ frames }) => frames),
      [[], []],
    )
  })

  test('those that were captured from the reference', async () => {
    const v3 = '01 00 0003 00000000'
    const doc1 = '00000004 646f6331'
    const ann = await connect()
    await exchange(
      ann,
      [`${v3} 00 00000000 0000000000000000 ${doc1} 4869`],
      ['05 00 00000000 0000000000000002'],
    )
    const bob = await connect()
    await exchange(
      bob,
      ['01 00 0002 00000000 00 0000000000000000 04 646f6331'],
      ['02 00 0000000000000000 4869'],
    )
    await exchange(ann, ['05 00 00000000 0000000000000002 58595a'], ['81 00 0001 0000000000000005'])
    await exchange(bob, [], ['02 00 0000000000000002 58595a'])
    await exchange(bob, ['02 00 0000000000000002 71'], ['81 00 0000 0000000000000005'])
    await exchange(bob, ['02 00 0000000000000005 71'], ['81 00 0001 0000000000000006'])
    await exchange(ann, [], ['05 00 00000000 0000000000000005 71'])
    await exchange(bob, ['02 00 0000000000000006'], ['81 00 0001 0000000000000006'])
    await exchange(ann, [], ['05 00 00000000 0000000000000006'])
    const same = await connect()
    await exchange(same, [`${v3} 00 00000000 0000000000000006 ${doc1}`], ['05 00 00000000 0000000000000006'])
    for (const [mode, offset, error] of [
      ['00', '0000000000000063', '80 00 0003 696e76616c6964206f6666736574'],
      ['02', '0000000000000000', '80 00 0002 616c726561647920657869737473'],
    ] as const) {
      const client = await connect()
      await exchange(client, [`${v3} ${mode} 00000000 ${offset} ${doc1}`], [error])
      assert.equal(await client.ended(), 1006)
    }
    const none = await connect()
    await exchange(
      none,
      [`${v3} 01 00000000 0000000000000000 00000004 6e6f7065`],
      ['80 00 0001 646f6573206e6f74206578697374'],
    )
    const key = (rest: string): string => `03 00 ${rest}`
    await exchange(
      ann,
      [key('0007 00 00000000 00000001 00000003 637572 00000005 31302c3130')],
      ['83 00 0001 0007'],
    )
    await exchange(bob, [], ['82 00 00000001 00000003 637572 00000005 31302c3130'])
    await exchange(ann, [key('0008 00 00000001 00000001 00000003 637572 00000005 31312c3131')], [])
    await exchange(bob, [], ['82 00 00000001 00000003 637572 00000005 31312c3131'])
    await exchange(ann, [key('0009 00 00000000 00000001 00000003 637572 00000001 78')], ['83 00 0000 0009'])
    await exchange(
      ann,
      [key('000b 01 00000000 00000001 00000007 61646d696e3a78 00000001 31')],
      ['83 00 0000 000b'],
    )
    await exchange(
      ann,
      [key('000c 01 00000000 00000001 00000004 6e616d65 00000002 7631')],
      ['83 00 0001 000c'],
    )
    await exchange(bob, [], ['82 00 00000001 00000004 6e616d65 00000002 7631'])
    same.leave()
    const cid = await connect()
    await exchange(
      cid,
      [`${v3} 00 00000000 0000000000000006 ${doc1}`],
      [
        '05 00 00000000 0000000000000006',
        '82 00 00000001 00000003 637572 00000005 31312c3131 00000001 00000004 6e616d65 00000002 7631',
      ],
    )
    await exchange(ann, ['04 00 00000003 686579'], [])
    await exchange(bob, [], ['04 00 00000003 686579'])
    await exchange(ann, ['04 00 000003e7 686579'], [])
    await exchange(bob, [], ['04 00 00000003 686579'])
    ann.leave()
    await exchange(bob, [], ['82 00 00000002 00000003 637572 00000000'])
    const pieces = await connect()
    await exchange(
      pieces,
      ['01 01 0003 00000000', 'ff 01 00000000', `ff 00 00 0000000000000006 ${doc1}`],
      ['05 00 00000000 0000000000000006'],
    )
  })

  test('a document longer than a frame: 102,400 bytes to a client that says nothing of it, 4,096 at least', async () => {
    const id = newId()
    const data = randomBytes(102_400)
    await open(id, { data })
    const usual = await open(id)
    assert.deepEqual(
      usual.frames.map(({ length }) => length),
      [102_400, 16],
    )
    assert.equal(usual.frames[0]?.subarray(0, 2).toString('hex'), '0501')
    assert.equal(usual.frames[1]?.subarray(0, 2).toString('hex'), 'ff00')
    for (const longest of [1, 64, 4096, 5000]) {
      const small = await open(id, { longest, version: 2 })
      assert.ok(small.frames.every(({ length }) => length <= 4096))
      assert.deepEqual(small.all('append')[0]?.data, data)
    }
  })
})

suite('entering', () => {
  test('what comes first has to be init, of version 2 or 3, and whole', async () => {
    for (const [frames, text] of [
      [['04 00 00000001 78'], /first message has to be init/],
      [['84 00 0003'], /first message has to be init/],
      [['01'], /two bytes/],
      [[''], /two bytes/],
      [['ff 00 01'], /continuation/],
      [['01 00 0004 00000000 00'], /versions 2 and 3/],
      [['01 00 0003 00000000 00'], /shorter/],
      [['01 00 0003 00000000 00 00000000 0000000000000000 00000002 64'], /shorter/],
      [['01 00 0003 00000000 00 00000000 0000000000000000 ffffffff 64'], /1 to 1024 bytes/],
      [['01 00 0003 00000000 00 00000000 0000000000000000 00000000'], /1 to 1024 bytes/],
      [['01 01 0003', '01 00 0003'], /had ended/],
    ] as const) {
      const client = await connect()
      client.send(...frames)
      const { code, text: told } = await client.hears('error')
      assert.equal(code, 0)
      assert.match(told, text)
      assert.equal(await client.ended(), 1006)
    }
    assert.match(await refused(Buffer.from([0xff, 0xfe])), /^0 .*UTF-8/)
    assert.match(await refused(Buffer.from('a\0b')), /^0 .*UTF-8/)
    assert.match(await refused('x'.repeat(1025)), /^0 .*1024/)
    await open('ä'.repeat(512))
    assert.match(await refused('x'.repeat(255) + 'y', { version: 2 }), /^0 /)
    const text = await connect()
    text.ws.send(initMessage(newId(), { data: 'x' }).toString('latin1'))
    await text.hears('append')
  })

  test('what each creation mode does; any other number is the first', async () => {
    const id = newId()
    assert.equal(await refused(id, { mode: 1 }), '1 does not exist')
    const made = await open(id, { mode: 2, data: 'abc', offset: 99 })
    assert.equal(made.all('append')[0]?.offset, 3)
    assert.equal(await refused(id, { mode: 2 }), '2 already exists')
    for (const mode of [0, 1, 77]) {
      const client = await open(id, { mode, data: 'ignored', offset: 1 })
      const [{ offset, data } = { offset: 0, data: '' }] = client.all('append')
      assert.deepEqual([offset, data.toString()], [1, 'bc'])
    }
    for (const offset of [4n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n])
      assert.equal(await refused(id, { offset }), '3 invalid offset')
    assert.equal(await stored(id), 'abc')
  })

  test('many who open the same new document at once: one makes it', async () => {
    const id = newId()
    const all = await Promise.all(Array.from({ length: 30 }, (_, n) => open(id, { data: `made by ${n}` })))
    const texts = all.map((client) => client.all('append')[0])
    assert.equal(texts.filter((append) => append?.data.length === 0).length, 1)
    const text = await stored(id)
    for (const append of texts) if (append?.data.length) assert.equal(append.data.toString(), text)
  })

  test('frames that come before the document does wait for it', async () => {
    const id = newId()
    await open(id, { data: 'abc' })
    const early = await connect()
    early.send(initMessage(id), appendMessage(3, 'd'), broadcastMessage('x'))
    const { status, length } = await early.hears('answer')
    assert.deepEqual([status, length], [1, 4])
    assert.deepEqual(
      early.heard.map(({ type }) => type),
      ['append', 'answer'],
    )
  })

  test('who opens a document while others write has every byte once', async () => {
    const id = newId()
    const writer = new Writer(await open(id, { data: randomBytes(600_000) }))
    writer.length = 600_000
    let writing = true
    const work = (async () => {
      while (writing) await writer.append(randomBytes(2000))
    })()
    const readers: DocumentClient[] = []
    for (let n = 0; n < 40; n++) {
      readers.push(await open(id, { version: n % 2 === 0 ? 2 : 3, longest: n % 3 === 0 ? 1000 : 0 }))
      await wait(5)
    }
    writing = false
    await work
    const whole = Buffer.from((await ask({ method: 'dumpDocument', documentID: id })).body)
    assert.equal(whole.length, writer.length)
    for (const reader of readers) {
      await until('it has all', () => bytesOf(reader).length === whole.length)
      assert.ok(bytesOf(reader).equals(whole))
    }
  })
})

/** What a client has, from appends alone; fails where there is a gap or an overlap. */
function bytesOf({ heard }: { heard: readonly Heard[] }): Buffer {
  const parts: Buffer[] = []
  let end: number | null = null
  for (const message of heard) {
    if (message.type !== 'append') continue
    if (end !== null) assert.equal(message.offset, end, 'a gap or an overlap')
    end = message.offset + message.data.length
    parts.push(message.data)
  }
  return Buffer.concat(parts)
}

/** A client who appends, one at a time. */
class Writer {
  readonly client: DocumentClient
  length = 0

  constructor(client: DocumentClient) {
    this.client = client
  }

  async append(data: Buffer): Promise<void> {
    const count = this.client.all('answer').length
    this.client.send(appendMessage(this.length, data))
    const { status, length } = await this.client.hears('answer', count + 1)
    assert.equal(status, 1)
    this.length = length
  }
}

suite('what comes later', () => {
  test('of appends at one offset that come at once exactly one is accepted', async () => {
    const id = newId()
    const all = await Promise.all(Array.from({ length: 20 }, (_, n) => open(id, { version: 2 + (n % 2) })))
    all.forEach((client, n) => client.send(appendMessage(0, `<${n}>`, 2 + (n % 2))))
    const answers = await Promise.all(all.map((client) => client.hears('answer')))
    assert.equal(answers.filter(({ status }) => status === 1).length, 1)
    const text = await stored(id)
    const winner = answers.findIndex(({ status }) => status === 1)
    assert.equal(text, `<${winner}>`)
    for (const [n, client] of all.entries()) {
      if (n === winner) continue
      const append = await client.hears('append', 2)
      assert.deepEqual([append.offset, append.data.toString()], [0, text])
      // What he lacks has come before he hears that he was too late.
      assert.ok(client.heard.indexOf(append) < client.heard.indexOf(answers[n] as Heard))
    }
  })

  test('nothing is acknowledged or told before it is stored', async () => {
    const id = newId()
    const [ann, bob] = [await open(id), await open(id)]
    const lock = await holdTransaction(
      db.url,
      (tx) => tx`select from plenum.document where id = ${id} for update`,
    )
    ann.send(appendMessage(0, 'x'))
    await lock.waitedFor()
    assert.deepEqual([ann.heard.length, bob.heard.length], [1, 1])
    await lock.commit()
    assert.equal((await ann.hears('answer')).status, 1)
    await bob.hears('append', 2)
  })

  test('an append costs what it appends: what is there is not written again', async () => {
    const id = newId()
    const writer = new Writer(await open(id, { data: randomBytes(1_000_000) }))
    writer.length = 1_000_000
    // What is written again stays beside what was there before.
    const stored = async () => {
      const [row] = await sql<{ bytes: number }[]>`
        select sum(pg_total_relation_size(format('plenum.%I', tablename)::regclass))::float8 bytes
        from pg_tables where schemaname = 'plenum' and tablename like 'document%'`
      return Number(row?.bytes)
    }
    const before = await stored()
    assert.ok(before > 1_000_000)
    for (let n = 0; n < 20; n++) await writer.append(Buffer.from('ten bytes!'))
    const written = (await stored()) - before
    assert.ok(written < 1_000_000, `${written} bytes were written for 200`)
  })

  test('a message that comes in frames of any size is one', async () => {
    const id = newId()
    const [ann, bob] = [await open(id), await open(id, { version: 2, longest: 100 })]
    const data = randomBytes(300)
    for (const longest of [2, 3, 50, 313]) {
      const before = bytesOf(bob).length
      ann.send(...cut(appendMessage(before, data), Math.max(longest, 3)))
      await ann.hears('answer', ann.all('answer').length + 1)
      await until('it has it', () => bytesOf(bob).length === before + 300)
    }
    assert.ok(bob.frames.every(({ length }) => length <= 4096))
  })

  test('what is too long, too short or unknown', async () => {
    const id = newId()
    const ann = await open(id)
    ann.send(...cut(appendMessage(0, Buffer.alloc(2 * 1024 * 1024)), 100_000))
    const { code, text } = await ann.hears('error')
    assert.deepEqual([code, /2097152/.test(text)], [0, true])
    assert.deepEqual(await ann.hears('answer'), { type: 'answer', status: 0, length: 0 })
    ann.send(appendMessage(0, Buffer.alloc(2 * 1024 * 1024 - 14)))
    assert.equal((await ann.hears('answer', 2)).status, 1)
    ann.send(...cut(broadcastMessage(Buffer.alloc(3_000_000)), 60_000))
    await ann.hears('error', 2)
    for (const frame of [
      '06 00',
      '01 00 0003',
      '84 00',
      'ff 00',
      '05 00 0000',
      '02 00 00',
      '04 00 00',
      '03 00 00',
    ]) {
      const client = await open(id, { offset: 2 * 1024 * 1024 - 14 })
      client.send(frame)
      assert.equal((await client.hears('error')).code, 0, frame)
      assert.equal(await client.ended(), 1006)
    }
    ann.send(appendMessage(0, 'x'))
    assert.equal((await ann.hears('answer', 3)).status, 0)
    assert.equal(ann.closeCode, null)
    const large = await openRawWebSocket(plenum.port, '/socket')
    large.connection.write(Buffer.from([0x82, 0xff, 0, 0, 0, 0, 0x40, 0, 0, 0, 0, 0, 0, 0]))
    await large.untilEnded()
  })

  test('a document has an end', async () => {
    const id = newId()
    await ask({ method: 'createDocument', documentID: id, contents: 'x' })
    await sql`update plenum.document set length = ${110 * 1024 * 1024 - 5} where id = ${id}`
    const ann = await open(id, { offset: 110 * 1024 * 1024 - 5 })
    ann.send(appendMessage(110 * 1024 * 1024 - 5, '123456'))
    assert.match((await ann.hears('error')).text, /a document of more than/)
    assert.equal((await ann.hears('answer')).status, 0)
    ann.send(appendMessage(110 * 1024 * 1024 - 5, '12345'))
    assert.deepEqual(await ann.hears('answer', 2), { type: 'answer', status: 1, length: 110 * 1024 * 1024 })
  })

  test('a document that is gone from the database: error 1', async () => {
    const id = newId()
    const ann = await open(id)
    await sql`delete from plenum.document where id = ${id}`
    ann.send(appendMessage(0, 'x'))
    assert.equal((await ann.hears('error')).code, 1)
    assert.equal(await ann.ended(), 1006)
    assert.equal(await refused(id, { mode: 1 }), '1 does not exist')
  })

  test('a document that somebody else has written to: everyone begins anew from what is stored', async () => {
    const id = newId()
    const [ann, bob] = [await open(id), await open(id)]
    const [row] = await sql<{ number: string }[]>`
      update plenum.document set length = 3 where id = ${id} returning number::text`
    await sql`insert into plenum.document_part values (${row?.number ?? ''}::bigint, 0, ${Buffer.from('abc')})`
    ann.send(appendMessage(0, 'x'))
    assert.deepEqual(await Promise.all([ann.ended(), bob.ended()]), [1006, 1006])
    assert.deepEqual([ann.all('answer').length, bob.all('append').length], [0, 1])
    assert.equal(bytesOf(await open(id)).toString(), 'abc')
  })
})

suite('keys', () => {
  test('stored keys stay, those of a connection go; names and values may be any bytes', async () => {
    const id = newId()
    const ann = await open(id)
    const name = Buffer.from([0, 0xff, 0xc3]).toString('latin1')
    const any = hex('03 00 0001 01 00000000 ffffffff 00000003 00ffc3 00000002 00fe')
    ann.send(any, setKeyMessage({ stored: false, old: 0, version: 5, name: 'cursor', value: '1,1' }))
    await ann.hears('keyAnswer', 2)
    const bob = await open(id)
    assert.deepEqual((await bob.hears('keys')).keys, [
      { name, value: Buffer.from('00fe', 'hex').toString('latin1'), version: 2 ** 32 - 1 },
      { name: 'cursor', value: '1,1', version: 5 },
    ])
    ann.leave()
    assert.deepEqual((await bob.hears('keys', 2)).keys, [{ name: 'cursor', value: '', version: 6 }])
    bob.leave()
    await wait(100)
    const cid = await open(id)
    assert.deepEqual(
      (await cid.hears('keys')).keys.map((key) => key.name),
      [name],
    )
    await ask({ method: 'deleteDocument', documentID: id })
    const dan = await open(id)
    await wait(50)
    assert.deepEqual(dan.all('keys'), [])
  })

  test('a key that is removed and made again comes in that order, its newest value only where it is set often', async () => {
    const id = newId()
    const [ann, bob, cid] = [await open(id), await open(id), await open(id)]
    ann.send(setKeyMessage({ stored: false, old: 0, version: 9, name: 'k', value: 'ann' }))
    await cid.hears('keys')
    ann.leave()
    await bob.hears('keys', 2)
    bob.send(setKeyMessage({ stored: false, old: 0, version: 1, name: 'k', value: 'bob' }))
    await cid.hears('keys', 3)
    assert.deepEqual(
      cid.all('keys').map(({ keys }) => keys.map(({ value, version }) => `${value} ${version}`).join()),
      ['ann 9', ' 10', 'bob 1'],
    )
    const count = 2000
    const frames = Array.from({ length: count }, (_, n) =>
      setKeyMessage({ stored: false, old: n + 1, version: n + 2, name: 'k', value: String(n) }),
    )
    bob.send(...frames)
    await bob.hears('keyAnswer', count + 1)
    await until('the newest has come', () => cid.all('keys').at(-1)?.keys[0]?.value === String(count - 1))
    const versions = cid.all('keys').flatMap(({ keys }) => keys.map(({ version }) => version))
    assert.deepEqual(
      versions.slice(2),
      [...versions.slice(2)].sort((a, b) => a - b),
    )
    assert.ok(versions.length < count, `${versions.length} notices of ${count} changes`)
    assert.equal(bob.all('keys').length, 2)
  })

  test('a stale version is refused, also at versions beyond what fits a signed number', async () => {
    const id = newId()
    const [ann, bob] = [await open(id), await open(id)]
    ann.send(setKeyMessage({ request: 1, old: 0, version: 2 ** 31, name: 'k', value: '1' }))
    await bob.hears('keys')
    bob.send(setKeyMessage({ request: 2, old: 0, version: 1, name: 'k', value: '2' }))
    bob.send(setKeyMessage({ request: 3, old: 2 ** 31, version: 2 ** 32 - 1, name: 'k', value: '3' }))
    bob.send(setKeyMessage({ request: 4, old: 7, version: 8, name: 'missing', value: '' }))
    bob.send(setKeyMessage({ request: 5, stored: false, old: 2 ** 32 - 1, version: 1, name: 'k', value: '' }))
    await bob.hears('keyAnswer', 4)
    assert.deepEqual(
      bob.all('keyAnswer').map(({ status, request }) => [request, status]),
      [
        [2, 0],
        [3, 1],
        [4, 0],
        [5, 0],
      ],
    )
    await ann.hears('keys')
    assert.equal((await (await open(id)).hears('keys')).keys[0]?.value, '3')
  })
})
