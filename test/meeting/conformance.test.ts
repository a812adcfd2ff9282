import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { after, suite, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { createDatabase } from '../support/database.ts'
import { gather } from '../support/meeting-fixture.ts'
import type { MeetingFixture } from '../support/meeting-fixture.ts'
import { startPlenum } from '../support/server.ts'
import { clientFrame, opcodes, openRaw, readServerFrames, upgradeRequest } from '../support/raw-connection.ts'
import type { FrameOptions, RawConnection } from '../support/raw-connection.ts'
import { patience } from '../support/patience.ts'

// The cases of RFC 6455 that are a server's; numbers in names are its sections.

const db = await createDatabase()
const plenum = await startPlenum({ database: db.url, poll: 600, flags: ['-rate', '0'] })

after(async () => {
  await plenum.stop()
  await db.drop()
})

const patienceMs = 10_000
/** A server that ends a connection has no reason to wait for anything; one that waited for the client took five seconds. */
const endsWithinMs = 4000
const largest = 65_536
const notText = 'Only text frames of UTF-8 are understood'
const mask = [0x37, 0xfa, 0x21, 0x3d]

/** Everything that a server sends after the upgrade, sorted. */
class Exchange {
  readonly connection: RawConnection
  readonly said: string[] = []
  readonly errors: string[] = []
  readonly pongs: string[] = []
  readonly closes: string[] = []
  #entered = false
  #rest: Buffer

  constructor(connection: RawConnection, early: Buffer) {
    this.connection = connection
    this.#rest = early
  }

  /** Waits until `done` says so; false when the connection has ended before, or after so long. */
  async until(done: () => boolean, milliseconds = patienceMs): Promise<boolean> {
    const timeout = new AbortController()
    const came = this.connection.until(() => {
      this.#read()
      return done()
    })
    const result = await Promise.race([came, wait(patience(milliseconds), false, { signal: timeout.signal })])
    timeout.abort()
    return result
  }

  async entered(): Promise<void> {
    assert.ok(await this.until(() => this.#entered), 'he is let in')
  }

  async ended(): Promise<void> {
    await this.until(() => false, endsWithinMs)
    assert.ok(this.connection.hasEnded, 'the server ends the connection')
    this.#read()
  }

  #read(): void {
    const { frames, rest } = readServerFrames(Buffer.concat([this.#rest, this.connection.take()]))
    this.#rest = rest
    for (const { opcode, payload, isPlain } of frames) {
      assert.ok(
        isPlain,
        'what a server sends is not masked (5.1), and here neither fragmented nor compressed',
      )
      assert.equal(this.closes.length, 0, 'nothing follows a close frame (5.5.1)')
      if (opcode === opcodes.pong) this.pongs.push(payload.toString())
      else if (opcode === opcodes.close) this.closes.push(payload.toString('hex'))
      else if (opcode === opcodes.text) this.#take(JSON.parse(payload.toString()) as Told)
      else assert.equal(opcode, opcodes.ping)
    }
  }

  #take({ type, msg, data }: Told): void {
    if (type === 'messages') this.#entered = true
    if (type === 'error') this.errors.push(msg)
    if (type === 'message' && data.from > 0) this.said.push(data.message)
  }
}

type Told = { type: string; msg: string; data: { from: number; message: string } }

async function enter(meeting: MeetingFixture): Promise<Exchange> {
  const connection = await openRaw(plenum.port)
  connection.write(upgradeRequest(`/ws/meeting/${meeting.id}/${meeting.key(0)}/0`))
  await connection.until(() => connection.received.includes('\r\n\r\n'))
  const answer = connection.take()
  const exchange = new Exchange(connection, answer.subarray(answer.indexOf('\r\n\r\n') + 4))
  await exchange.entered()
  return exchange
}

interface Case {
  name: string
  /** A string: a pong with this payload is waited for before the next bytes are sent. */
  send: (Buffer | string)[]
  /** What is then in the record, said by this member. */
  says?: string[]
  errors?: string[]
  pongs?: string[]
  /**
   * How the connection ends, if it does: answered by a close frame with this code, or with none in it, or cut without a
   * close frame.
   */
  end?: number | 'no code' | 'cut'
}

const command = (message: string): string => JSON.stringify({ type: 'message', message })
/** A command of so many bytes. */
const sized = (message: string, bytes: number): string => command(message).padEnd(bytes, ' ')
const say = (message: string, options: FrameOptions = {}): Buffer => clientFrame(command(message), options)
const ping = (payload: string): Buffer => clientFrame(payload, { opcode: opcodes.ping })

/** A text message in these parts; what is in `between` is sent before each but the first. */
function fragments(parts: readonly (Buffer | string)[], between: Buffer = Buffer.alloc(0)): Buffer {
  return Buffer.concat(
    parts.flatMap((part, index) => [
      index === 0 ? Buffer.alloc(0) : between,
      clientFrame(part, {
        opcode: index === 0 ? opcodes.text : opcodes.continuation,
        fin: index === parts.length - 1,
        mask,
      }),
    ]),
  )
}

function cut(text: string | Buffer, ...at: number[]): Buffer[] {
  const bytes = Buffer.from(text)
  return [0, ...at].map((from, index) => bytes.subarray(from, at[index] ?? bytes.length))
}

const bytesOf = (text: string | Buffer): Buffer[] =>
  Array.from(Buffer.from(text), (byte) => Buffer.from([byte]))

function closeFrame(code: number, reason: string | Buffer = ''): Buffer {
  const payload = Buffer.concat([Buffer.alloc(2), Buffer.from(reason)])
  payload.writeUInt16BE(code)
  return clientFrame(payload, { opcode: opcodes.close, mask })
}

const emptyClose = clientFrame('', { opcode: opcodes.close })
/** The first part of a message, and the last one. */
const [begin, finish] = cut(command('in parts'), 10).map((part, index) =>
  clientFrame(part, { opcode: index === 0 ? opcodes.text : opcodes.continuation, fin: index === 1, mask }),
) as [Buffer, Buffer]

const fragmentation: Case[] = [
  { name: 'two fragments', send: [begin, finish], says: ['in parts'] },
  { name: 'three fragments', send: [fragments(cut(command('three'), 7, 20))], says: ['three'] },
  { name: 'one byte a fragment', send: [fragments(bytesOf(command('many')))], says: ['many'] },
  {
    name: 'fragments of no bytes: first, in the middle, last',
    send: [fragments(['', command('hollow').slice(0, 9), '', command('hollow').slice(9), ''])],
    says: ['hollow'],
  },
  { name: 'nothing but fragments of no bytes', send: [fragments(['', '', ''])], errors: ['Invalid JSON'] },
  {
    name: 'two messages in fragments, one after the other',
    send: [fragments(cut(command('one'), 5)), fragments(cut(command('two'), 6))],
    says: ['one', 'two'],
  },
  {
    name: 'the data of a binary message in fragments is not taken for text',
    send: [
      clientFrame(command('no').slice(0, 5), { opcode: opcodes.binary, fin: false }),
      clientFrame(command('no').slice(5), { opcode: opcodes.continuation }),
    ],
    errors: [notText],
  },
  { name: 'a text frame inside a message in fragments', send: [begin, say('inside')], end: 1002 },
  {
    name: 'a binary frame inside a message in fragments',
    send: [begin, clientFrame('x', { opcode: opcodes.binary })],
    end: 1002,
  },
  { name: 'a continuation of nothing', send: [finish], end: 1002 },
  {
    name: 'a continuation of nothing, with more to come',
    send: [clientFrame('x', { opcode: opcodes.continuation, fin: false })],
    end: 1002,
  },
  {
    name: 'a continuation behind a whole message',
    send: [say('whole'), finish],
    says: ['whole'],
    end: 1002,
  },
  {
    name: 'a continuation behind the last fragment',
    send: [begin, finish, finish],
    says: ['in parts'],
    end: 1002,
  },
]

const control: Case[] = [
  {
    name: 'a ping between fragments is answered before the message is complete',
    send: [begin, ping('between'), 'between', finish],
    pongs: ['between'],
    says: ['in parts'],
  },
  {
    name: 'pings between many fragments',
    send: [fragments(cut(command('pinged'), 1, 2, 30), ping('p'))],
    pongs: ['p', 'p', 'p'],
    says: ['pinged'],
  },
  {
    name: 'pongs between fragments, unasked for (5.5.3)',
    send: [fragments(cut(command('ponged'), 8, 9), clientFrame('p', { opcode: opcodes.pong }))],
    says: ['ponged'],
  },
  { name: 'a close between fragments', send: [begin, closeFrame(1000)], end: 1000 },
  { name: 'a ping without payload', send: [ping('')], pongs: [''] },
  { name: 'a ping of 125 bytes', send: [ping('p'.repeat(125))], pongs: ['p'.repeat(125)] },
  {
    name: 'a masked ping is answered by its bare payload',
    send: [clientFrame('masked', { opcode: opcodes.ping, mask })],
    pongs: ['masked'],
  },
  {
    name: 'pings in a row are answered in their order',
    send: [ping('1'), ping('2'), ping('3')],
    pongs: ['1', '2', '3'],
  },
  ...(['ping', 'pong', 'close'] as const).flatMap((name): Case[] => [
    {
      name: `a ${name} of 126 bytes`,
      send: [clientFrame(Buffer.alloc(126, 3), { opcode: opcodes[name] })],
      end: 1002,
    },
    {
      name: `a ${name} with a length in 16 bits`,
      send: [clientFrame(Buffer.from([3, 232]), { opcode: opcodes[name], lengthBytes: 2 })],
      end: 1002,
    },
    {
      name: `a ${name} of 65,536 bytes`,
      send: [clientFrame('', { opcode: opcodes[name], announced: 65_536n })],
      end: 1002,
    },
    {
      name: `a ${name} in fragments`,
      send: [clientFrame('', { opcode: opcodes[name], fin: false })],
      end: 1002,
    },
  ]),
]

/** The least and the greatest of each length (RFC 3629, 3), and those next to what is not allowed. */
const characters = '\u007e\u00a1\u07ff\u0800\ud7ff\ue000\ufffd\uffff\u{10000}\u{10ffff}'
const emoji = 'a\u{1f600}b'

/** Text of a message with these bytes in it. */
function withBytes(...bytes: number[]): Buffer {
  const [before = '', behind = ''] = command('*').split('*')
  return Buffer.concat([Buffer.from(before), Buffer.from(bytes), Buffer.from(behind)])
}

const invalidBytes: [string, number[]][] = [
  ['a continuation byte alone', [0x80]],
  ['the last continuation byte alone', [0xbf]],
  ['an overlong slash in two bytes', [0xc0, 0xaf]],
  ['an overlong letter', [0xc1, 0xbf]],
  ['an overlong NUL in three bytes', [0xe0, 0x80, 0x80]],
  ['an overlong character in three bytes', [0xe0, 0x9f, 0xbf]],
  ['an overlong character in four bytes', [0xf0, 0x8f, 0xbf, 0xbf]],
  ['the first surrogate', [0xed, 0xa0, 0x80]],
  ['the last surrogate', [0xed, 0xbf, 0xbf]],
  ['a pair of surrogates', [0xed, 0xa0, 0xbd, 0xed, 0xb8, 0x80]],
  ['beyond the last character', [0xf4, 0x90, 0x80, 0x80]],
  ['five bytes', [0xf8, 0x88, 0x80, 0x80, 0x80]],
  ['six bytes', [0xfc, 0x84, 0x80, 0x80, 0x80, 0x80]],
  ['FE', [0xfe]],
  ['FF', [0xff]],
  ['two of three bytes', [0xe2, 0x82]],
  ['three of four bytes', [0xf0, 0x9f, 0x98]],
]

const utf8: Case[] = [
  { name: 'characters of each length', send: [say(characters, { mask })], says: [characters] },
  {
    name: 'characters of each length, one byte a fragment',
    send: [fragments(bytesOf(command(characters)))],
    says: [characters],
  },
  ...[1, 2, 3].map((at): Case => {
    const text = command(emoji)
    const border = text.indexOf('a\u{1f600}') + 1 + at
    return {
      name: `a character whose byte ${at + 1} is in the next fragment`,
      send: [fragments(cut(text, border), ping('p'))],
      says: [emoji],
      pongs: ['p'],
    }
  }),
  // The RFC lets a server fail the connection; this one tells the member, who keeps his place (docs/protocol.md).
  ...invalidBytes.flatMap(([name, bytes]): Case[] => [
    { name: `not UTF-8: ${name}`, send: [clientFrame(withBytes(...bytes), { mask })], errors: [notText] },
    {
      name: `not UTF-8, one byte a fragment: ${name}`,
      send: [fragments(bytesOf(withBytes(...bytes)))],
      errors: [notText],
    },
  ]),
  {
    name: 'not UTF-8: a message that ends within a character',
    send: [clientFrame(Buffer.from([0x22, 0xe2, 0x82]), { mask })],
    errors: [notText],
  },
]

const closing: Case[] = [
  { name: 'a close without a code', send: [emptyClose], end: 'no code' },
  ...[1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999].map(
    (code): Case => ({ name: `a close with ${code}`, send: [closeFrame(code)], end: code }),
  ),
  // 1004 is reserved, 1005, 1006 and 1015 never stand in a frame, what is below 3000 and not above is not defined (7.4).
  ...[0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535].map((code): Case => ({
    name: `a close with ${code}, which is no code`,
    send: [closeFrame(code)],
    end: 1002,
  })),
  { name: 'a close with a reason', send: [closeFrame(1000, 'good night')], end: 1000 },
  { name: 'a close with the longest reason', send: [closeFrame(4000, 'r'.repeat(123))], end: 4000 },
  {
    name: 'a close with half a code',
    send: [clientFrame(Buffer.from([3]), { opcode: opcodes.close })],
    end: 1002,
  },
  // Nobody reads a reason here, so that its bytes may be any, but they are not repeated.
  {
    name: 'a close with a reason that is not UTF-8',
    send: [closeFrame(1000, Buffer.from([0xc0, 0xaf, 0xff]))],
    end: 1000,
  },
  { name: 'a command behind the close', send: [emptyClose, say('too late')], end: 'no code' },
  { name: 'a ping behind the close', send: [closeFrame(1001), ping('too late')], end: 1001 },
  { name: 'a second close', send: [closeFrame(1000), closeFrame(1001)], end: 1000 },
  { name: 'broken frames behind the close', send: [closeFrame(1000), Buffer.alloc(50, 0xff)], end: 1000 },
  {
    name: 'a command before the close is done',
    send: [say('in time'), closeFrame(1000)],
    says: ['in time'],
    end: 1000,
  },
]

const framing: Case[] = [
  ...[1, 2, 3, 4, 5, 6, 7].flatMap((reserved): Case[] => [
    { name: `reserved bits ${reserved} in a text`, send: [say('bits', { reserved })], end: 1002 },
    {
      name: `reserved bits ${reserved} in a ping`,
      send: [clientFrame('bits', { opcode: opcodes.ping, reserved })],
      end: 1002,
    },
    {
      name: `reserved bits ${reserved} in a continuation`,
      send: [begin, clientFrame('bits', { opcode: opcodes.continuation, reserved })],
      end: 1002,
    },
  ]),
  {
    name: 'a compressed text, which was not negotiated (RFC 7692, 6)',
    send: [clientFrame(Buffer.from('f248cdc9c90700', 'hex'), { reserved: 4, mask })],
    end: 1002,
  },
  ...[3, 4, 5, 6, 7, 11, 12, 13, 14, 15].flatMap((opcode): Case[] => [
    { name: `opcode ${opcode}`, send: [say('opcode', { opcode })], end: 1002 },
    { name: `opcode ${opcode} without payload`, send: [clientFrame('', { opcode })], end: 1002 },
    { name: `opcode ${opcode} between fragments`, send: [begin, clientFrame('', { opcode })], end: 1002 },
  ]),
  { name: 'a text without a mask', send: [say('bare', { masked: false })], end: 1002 },
  {
    name: 'a ping without a mask',
    send: [clientFrame('bare', { opcode: opcodes.ping, masked: false })],
    end: 1002,
  },
  {
    name: 'a close without a mask',
    send: [clientFrame('', { opcode: opcodes.close, masked: false })],
    end: 1002,
  },
  {
    name: 'a continuation without a mask',
    send: [begin, clientFrame('bare', { opcode: opcodes.continuation, masked: false })],
    end: 1002,
  },
  {
    name: 'a command before what breaks the protocol is done, one behind it is not',
    send: [say('before'), clientFrame('', { opcode: 3 }), say('behind')],
    says: ['before'],
    end: 1002,
  },
  {
    name: 'masks of any bytes',
    send: [
      say('one', { mask: [255, 255, 255, 255] }),
      say('two', { mask: [0, 0, 0, 1] }),
      say('three', { mask }),
    ],
    says: ['one', 'two', 'three'],
  },
]

const lengths: Case[] = [
  { name: 'a text without payload', send: [clientFrame('')], errors: ['Invalid JSON'] },
  {
    name: 'a binary frame without payload',
    send: [clientFrame('', { opcode: opcodes.binary })],
    errors: [notText],
  },
  ...[125, 126, 127, 255, 256, 65_535, largest].map((bytes): Case => ({
    name: `a text of ${bytes} bytes`,
    send: [clientFrame(sized('sized', bytes), { mask })],
    says: ['sized'],
  })),
  {
    name: 'a text of 65,536 bytes in two fragments',
    send: [fragments(cut(sized('sized', largest), 40_000))],
    says: ['sized'],
  },
  { name: 'a text of 65,537 bytes', send: [clientFrame(sized('too long', largest + 1))], end: 'cut' },
  {
    name: 'a binary frame of 65,537 bytes',
    send: [clientFrame(Buffer.alloc(largest + 1), { opcode: opcodes.binary })],
    end: 'cut',
  },
  {
    name: 'fragments of together 65,537 bytes',
    send: [fragments(cut(sized('too long', largest + 1), 40_000))],
    end: 'cut',
  },
  {
    name: 'a length of 65,537, and none of it',
    send: [clientFrame('', { announced: BigInt(largest + 1) })],
    end: 'cut',
  },
  // The top bit of a length of 64 bits must be 0 (5.2); it is past the limit all the more.
  ...[2n ** 31n, 2n ** 32n, 2n ** 53n, 2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 1n].map((announced): Case => ({
    name: `a length of ${announced}`,
    send: [clientFrame('', { announced }), Buffer.alloc(100)],
    end: 'cut',
  })),
  {
    name: 'a length of 64 bits with the top bit set, and a small one below it',
    send: [clientFrame(command('small'), { announced: 2n ** 63n + BigInt(command('small').length) })],
    end: 'cut',
  },
  // The shortest form is the sender's duty (5.2); there is only one way to read the others.
  { name: 'a small length in 16 bits', send: [say('wide', { lengthBytes: 2 })], says: ['wide'] },
  { name: 'a small length in 64 bits', send: [say('wider', { lengthBytes: 8 })], says: ['wider'] },
  {
    name: 'a length of 16 bits in 64',
    send: [clientFrame(sized('wide', 200), { lengthBytes: 8, mask })],
    says: ['wide'],
  },
  {
    name: 'as many fragments as are taken',
    send: [fragments(bytesOf(sized('shredded', 256)))],
    says: ['shredded'],
  },
  // None of these breaks the protocol, so that no close frame may keep the stock page away.
  { name: 'too many fragments', send: [fragments(bytesOf(sized('shredded', 257)))], end: 'cut' },
  {
    name: 'too many fragments without payload',
    send: [fragments(Array.from({ length: 257 }, () => ''))],
    end: 'cut',
  },
]

const sections: [string, Case[]][] = [
  ['5.4 fragmentation', fragmentation],
  ['5.5 control frames', control],
  ['5.6 and 8.1 UTF-8', utf8],
  ['5.5.1 and 7 closing', closing],
  ['5.2 bits, opcodes and masks', framing],
  ['5.2 lengths', lengths],
]

const deliveries: Record<string, (connection: RawConnection, bytes: Buffer) => Promise<void>> = {
  async 'in one write'(connection, bytes) {
    connection.write(bytes)
  },
  async 'byte by byte'(connection, bytes) {
    for (const byte of bytes) {
      connection.write(Buffer.from([byte]))
      await new Promise(setImmediate)
    }
  },
}

const closePayload = (code: number): string => code.toString(16).padStart(4, '0')

for (const [section, cases] of sections)
  suite(section, { concurrency: 8 }, () => {
    for (const { name, send, says = [], errors = [], pongs = [], end } of cases) {
      const bytes = send.reduce((sum, part) => sum + part.length, 0)
      for (const [delivery, deliver] of Object.entries(deliveries)) {
        if (delivery === 'byte by byte' && bytes > 2000) continue
        test(`${name}, ${delivery}`, async () => {
          const meeting = await gather(db.sql, plenum, 1)
          const exchange = await enter(meeting)
          const whole: Buffer[] = []
          for (const part of send) {
            if (typeof part !== 'string') whole.push(part)
            else {
              await deliver(exchange.connection, Buffer.concat(whole.splice(0)))
              assert.ok(await exchange.until(() => exchange.pongs.includes(part)), `a pong '${part}'`)
            }
          }
          await deliver(exchange.connection, Buffer.concat(whole))
          if (end !== undefined) await exchange.ended()

          // Commands are done in their order: when this one is, those before it are.
          const last = end === undefined ? exchange : await enter(meeting)
          last.connection.write(say('still here'))
          const answered = await last.until(() => last.said.includes('still here'))
          assert.ok(answered, `the connection stays; close frames: ${exchange.closes.join()}`)
          last.connection.socket.destroy()

          assert.deepEqual(exchange.errors, errors)
          assert.deepEqual(exchange.pongs, pongs)
          const code = typeof end === 'number' ? closePayload(end) : ''
          assert.deepEqual(exchange.closes, end === undefined || end === 'cut' ? [] : [code])
          const record = await meeting.record()
          assert.deepEqual(
            record.filter(({ sender }) => sender !== null).map(({ text }) => text),
            [...says, 'still here'],
          )
        })
      }
    }
  })

test('5.2 frames that are cut at any byte border are the same frames', async () => {
  const meeting = await gather(db.sql, plenum, 1)
  const exchange = await enter(meeting)
  const said: string[] = []
  // Lengths in 7, 16 and 64 bits, a fragment, a control frame between two, and a character across a border.
  const shape = (text: string): Buffer =>
    Buffer.concat([
      fragments(cut(command(`${text} ${emoji}`), 25), clientFrame(text, { opcode: opcodes.ping, mask })),
      clientFrame(sized(`${text} in 16`, 130), { mask }),
      say(`${text} in 64`, { lengthBytes: 8, mask }),
    ])
  const length = shape('100').length
  for (let at = 1; at < length; at++) {
    const text = String(100 + at)
    const bytes = shape(text)
    exchange.connection.write(bytes.subarray(0, at))
    await wait(1)
    exchange.connection.write(bytes.subarray(at))
    said.push(`${text} ${emoji}`, `${text} in 16`, `${text} in 64`)
    assert.ok(
      await exchange.until(() => exchange.said.length === said.length),
      `cut at byte ${at} of ${length}`,
    )
  }
  assert.deepEqual(exchange.said, said)
  assert.equal(exchange.pongs.length, length - 1)
  exchange.connection.socket.destroy()
})

// The opening handshake

interface Handshake {
  name: string
  /** Replaces headers of a good request, or adds to them; null leaves one out. */
  headers?: Record<string, string | null>
  /** In place of all that. */
  request?: (path: string) => string
  status: 101 | 400 | 426
}

const acceptFor = (key: string): string =>
  createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')

/** A request line and these header lines, as they stand. */
const lines =
  (version: string, ...headers: string[]) =>
  (path: string): string =>
    [`GET ${path} HTTP/${version}`, ...headers, '', ''].join('\r\n')

const key = 'dGhlIHNhbXBsZSBub25jZQ=='
const keyOf = (bytes: number): string => randomBytes(bytes).toString('base64')

const handshakes: Handshake[] = [
  { name: 'a good request', status: 101 },
  {
    name: 'names of headers in lower case',
    request: lines(
      '1.1',
      'host: localhost',
      'upgrade: websocket',
      'connection: upgrade',
      `sec-websocket-key: ${key}`,
      'sec-websocket-version: 13',
    ),
    status: 101,
  },
  {
    name: 'names of headers in upper case',
    request: lines(
      '1.1',
      'HOST: localhost',
      'UPGRADE: websocket',
      'CONNECTION: Upgrade',
      `SEC-WEBSOCKET-KEY: ${key}`,
      'SEC-WEBSOCKET-VERSION: 13',
    ),
    status: 101,
  },
  { name: 'Upgrade: WebSocket', headers: { Upgrade: 'WebSocket' }, status: 101 },
  { name: 'Upgrade: WEBSOCKET', headers: { Upgrade: 'WEBSOCKET' }, status: 101 },
  { name: 'Connection: upgrade', headers: { Connection: 'upgrade' }, status: 101 },
  { name: 'Connection with several words', headers: { Connection: 'keep-alive, Upgrade' }, status: 101 },
  { name: 'Connection without spaces', headers: { Connection: 'keep-alive,upgrade' }, status: 101 },
  {
    name: 'Connection in two headers',
    request: lines(
      '1.1',
      'Host: localhost',
      'Connection: keep-alive',
      'Connection: Upgrade',
      'Upgrade: websocket',
      `Sec-WebSocket-Key: ${key}`,
      'Sec-WebSocket-Version: 13',
    ),
    status: 101,
  },
  {
    name: 'permessage-deflate is offered (9.1)',
    headers: { 'Sec-WebSocket-Extensions': 'permessage-deflate; client_max_window_bits' },
    status: 101,
  },
  {
    name: 'extensions are offered that nobody knows',
    headers: { 'Sec-WebSocket-Extensions': 'x-unknown; a="b", permessage-deflate' },
    status: 101,
  },
  {
    name: 'subprotocols are offered (1.9)',
    headers: { 'Sec-WebSocket-Protocol': 'chat, superchat' },
    status: 101,
  },
  {
    name: 'other headers',
    headers: { Cookie: 'a=b', 'X-Whatever': 'c', Origin: 'http://localhost' },
    status: 101,
  },
  { name: 'no Connection', headers: { Connection: null }, status: 426 },
  { name: 'Connection: keep-alive', headers: { Connection: 'keep-alive' }, status: 426 },
  { name: 'Connection: Upgrader', headers: { Connection: 'Upgrader' }, status: 426 },
  { name: 'no Upgrade', headers: { Upgrade: null }, status: 426 },
  { name: 'Upgrade: h2c', headers: { Upgrade: 'h2c' }, status: 426 },
  { name: 'Upgrade: websockets', headers: { Upgrade: 'websockets' }, status: 426 },
  { name: 'no Sec-WebSocket-Version', headers: { 'Sec-WebSocket-Version': null }, status: 426 },
  ...['', '0', '8', '12', '14', '013', '13.0', '13, 8', '13, 13'].map((version): Handshake => ({
    name: `Sec-WebSocket-Version: ${version}`,
    headers: { 'Sec-WebSocket-Version': version },
    status: 426,
  })),
  { name: 'no Sec-WebSocket-Key', headers: { 'Sec-WebSocket-Key': null }, status: 400 },
  ...['', 'x', keyOf(15), keyOf(17), keyOf(32), `${key} ${key}`, key.slice(0, -2), key.replace('d', '!')].map(
    (key): Handshake => ({
      name: `Sec-WebSocket-Key: '${key}', which is not 16 bytes`,
      headers: { 'Sec-WebSocket-Key': key },
      status: 400,
    }),
  ),
  {
    name: 'two Sec-WebSocket-Keys (11.3.1)',
    request: lines(
      '1.1',
      'Host: localhost',
      'Connection: Upgrade',
      'Upgrade: websocket',
      `Sec-WebSocket-Key: ${key}`,
      `Sec-WebSocket-Key: ${key}`,
      'Sec-WebSocket-Version: 13',
    ),
    status: 400,
  },
  { name: 'no Host', headers: { Host: null }, status: 400 },
  {
    // The RFC asks for 1.1; nginx speaks 1.0 where nobody told it otherwise, and works with the Go server.
    name: 'HTTP/1.0, as some proxies speak it',
    request: lines(
      '1.0',
      'Host: localhost',
      'Connection: Upgrade',
      'Upgrade: websocket',
      `Sec-WebSocket-Key: ${key}`,
      'Sec-WebSocket-Version: 13',
    ),
    status: 101,
  },
  ...['POST', 'PUT', 'OPTIONS'].map((method): Handshake => ({
    name: `method ${method}`,
    request: (path) => upgradeRequest(path, { method }).toString(),
    status: 426,
  })),
]

/** Sends a request; gives the head of the answer, and the texts that come within a moment. */
async function shakeHands(bytes: Buffer): Promise<{ status: number; headers: Map<string, string> }> {
  const connection = await openRaw(plenum.port)
  connection.write(bytes)
  const timer = setTimeout(() => connection.socket.destroy(), patience(patienceMs))
  await connection.until(() => connection.received.includes('\r\n\r\n'))
  clearTimeout(timer)
  const [head = ''] = connection.received.toString('latin1').split('\r\n\r\n')
  connection.socket.destroy()
  const [status = '', ...rest] = head.split('\r\n')
  const headers = rest.map((line): [string, string] => {
    const colon = line.indexOf(':')
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()]
  })
  return { status: Number(/^HTTP\/1\.1 (\d{3})/.exec(status)?.[1]), headers: new Map(headers) }
}

suite('4.2 the opening handshake', { concurrency: 8 }, () => {
  for (const { name, headers = {}, request, status } of handshakes)
    test(`${name}: ${status}`, async () => {
      const meeting = await gather(db.sql, plenum, 1)
      const path = `/ws/meeting/${meeting.id}/${meeting.key(0)}/0`
      const answer = await shakeHands(
        request ? Buffer.from(request(path)) : upgradeRequest(path, { headers }),
      )
      assert.equal(answer.status, status)
      if (status === 101)
        assert.deepEqual(
          answer.headers,
          new Map([
            ['upgrade', 'websocket'],
            ['connection', 'Upgrade'],
            ['sec-websocket-accept', acceptFor(key)],
          ]),
        )
      else assert.equal(answer.headers.get('sec-websocket-accept'), undefined)
    })

  test('a version that is not spoken is answered by the one that is (4.4)', async () => {
    const request = upgradeRequest('/ws/meeting/1/x/0', { headers: { 'Sec-WebSocket-Version': '25' } })
    const { status, headers } = await shakeHands(request)
    assert.deepEqual([status, headers.get('sec-websocket-version')], [426, '13'])
  })

  test('the accept value is that of the key, for the example of the RFC and for any other', async () => {
    const meeting = await gather(db.sql, plenum, 1)
    assert.equal(acceptFor(key), 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=')
    for (const own of [key, ...Array.from({ length: 20 }, () => keyOf(16))]) {
      const headers = { 'Sec-WebSocket-Key': own }
      const path = `/ws/meeting/${meeting.id}/${meeting.key(0)}/0`
      const answer = await shakeHands(upgradeRequest(path, { headers }))
      assert.equal(answer.headers.get('sec-websocket-accept'), acceptFor(own))
    }
  })

  test('a request in single bytes is the same request', async () => {
    const meeting = await gather(db.sql, plenum, 1)
    const connection = await openRaw(plenum.port)
    await deliveries['byte by byte']!(
      connection,
      upgradeRequest(`/ws/meeting/${meeting.id}/${meeting.key(0)}/0`),
    )
    await connection.until(() => connection.received.includes('\r\n\r\n'))
    assert.match(connection.received.toString('latin1'), /^HTTP\/1\.1 101 /)
    connection.socket.destroy()
  })
})
