import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { hex, initMessage, setKeyMessage, understand } from '../../test/support/document-client.ts'
import {
  appendAnswer,
  appendHead,
  broadcastHeadOf,
  encodeKeys,
  errorMessage,
  fault,
  faults,
  keysHead,
  parseCommand,
  parseInit,
  parseInitHead,
  setKeyAnswer,
} from './protocol.ts'

const bytes = fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array))

test('there are few lengths of frames: a client gets the longest that it takes', () => {
  const asked = [0, 1, 64, 4096, 16_383, 16_384, 102_399, 102_400, 262_143, 262_144, 2 ** 32 - 1]
  assert.deepEqual(
    asked.map((longest) => {
      const init = parseInit(initMessage('d', { longest }))
      return init.type === 'init' ? init.longest : null
    }),
    [102_400, 4096, 4096, 4096, 4096, 16_384, 65_536, 102_400, 102_400, 262_144, 262_144],
  )
})

test('init is read as it was written, in both versions', () => {
  const cases = fc.record({
    id: fc.uint8Array({ minLength: 1, maxLength: 255 }),
    version: fc.constantFrom(2, 3),
    offset: fc.bigInt(0n, 2n ** 64n - 1n),
    longest: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
    data: bytes,
  })
  fc.assert(
    fc.property(cases, ({ id, version, offset, longest, data }) => {
      const init = parseInit(initMessage(Buffer.from(id), { version, offset, longest, data }))
      assert.ok(init.type === 'init')
      assert.deepEqual([...init.id], [...id])
      assert.deepEqual(init.data, data)
      assert.equal(init.version, version)
      assert.equal(init.offset, offset > BigInt(Number.MAX_SAFE_INTEGER) ? Infinity : Number(offset))
      assert.ok(init.longest >= 4096 && (longest < 4096 || init.longest <= longest))
    }),
  )
})

test('whatever bytes come, they are a command or a fault', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 2, maxLength: 60 }), (array) => {
      const message = Buffer.from(array)
      assert.ok(['append', 'setKey', 'broadcast', 'fault'].includes(parseCommand(message).type))
      assert.ok(['init', 'fault'].includes(parseInit(message).type))
    }),
    { numRuns: 2000 },
  )
  const key = setKeyMessage({ old: 1, version: 2 ** 32 - 1, name: 'name', value: 'value' })
  for (let length = 2; length < key.length; length++)
    assert.equal(parseCommand(key.subarray(0, length)).type, 'fault')
  const parsed = parseCommand(Buffer.concat([key, Buffer.from('behind')]))
  assert.ok(parsed.type === 'setKey')
  assert.deepEqual([parsed.newVersion, parsed.value.toString()], [2 ** 32 - 1, 'value'])
})

test('keys are written one behind the other', () => {
  const keys = ['a', 'bc'].map((name, index) => ({
    name: Buffer.from(name),
    value: Buffer.from(name.repeat(index)),
    version: 2 ** 32 - 1 - index,
  }))
  assert.deepEqual(understand(Buffer.concat([keysHead, encodeKeys(keys)])), {
    type: 'keys',
    keys: [
      { name: 'a', value: '', version: 2 ** 32 - 1 },
      { name: 'bc', value: 'bc', version: 2 ** 32 - 2 },
    ],
  })
})

/** A frame of a client or a message of ours, as the hex that stands in docs/document.md. */
const said = (message: Buffer): string => message.toString('hex')

test('the worked examples, from the client: understood byte for byte', () => {
  const init = { type: 'init', longest: 102_400, mode: 'openOrCreate', offset: 0, id: Buffer.from('d') }
  assert.deepEqual(parseInit(hex('01 00 0002 00000000 00 0000000000000000 01 64')), {
    ...init,
    version: 2,
    data: Buffer.alloc(0),
  })
  assert.deepEqual(parseInit(hex('01 00 0003 00000000 00 00000000 0000000000000000 00000001 64 6869')), {
    ...init,
    version: 3,
    data: Buffer.from('hi'),
  })
  for (const [bytes, offset] of [
    ['05 00 00000000 0000000000000002 616263', 2],
    ['02 00 0000000000000002 616263', 2],
    ['02 00 001fffffffffffff 616263', 2 ** 53 - 1],
    ['02 00 0020000000000000 616263', Infinity],
    ['05 00 00000007 ffffffffffffffff 616263', Infinity],
  ] as const)
    assert.deepEqual(parseCommand(hex(bytes)), { type: 'append', offset, data: Buffer.from('abc') })
  const key = { type: 'setKey', request: 7, stored: true, oldVersion: 0, newVersion: 1 }
  const texts = { name: Buffer.from('k'), value: Buffer.from('v') }
  for (const [lifetime, stored] of [
    ['00', false],
    ['01', true],
    ['02', true],
    ['ff', true],
  ] as const)
    assert.deepEqual(parseCommand(hex(`03 00 0007 ${lifetime} 00000000 00000001 00000001 6b 00000001 76`)), {
      ...key,
      ...texts,
      stored,
    })
  for (const length of ['00000001', '00000000', 'ffffffff'])
    assert.deepEqual(parseCommand(hex(`04 00 ${length} 78`)), { type: 'broadcast', data: Buffer.from('x') })
})

test('the worked examples, from the server: byte for byte', () => {
  const cases: [message: Buffer, bytes: string][] = [
    [appendHead(2, 0), '02 00 0000000000000000'],
    [appendHead(3, 2), '05 00 00000000 0000000000000002'],
    [appendHead(2, 2 ** 53 - 1), '02 00 001fffffffffffff'],
    [appendAnswer('accepted', 5), '81 00 0001 0000000000000005'],
    [appendAnswer('refused', 5), '81 00 0000 0000000000000005'],
    [appendAnswer('notPermitted', 2 ** 40), '81 00 0002 0000010000000000'],
    [setKeyAnswer(true, 7), '83 00 0001 0007'],
    [setKeyAnswer(false, 65_535), '83 00 0000 ffff'],
    [broadcastHeadOf(Buffer.from('x')), '04 00 00000001'],
    [keysHead, '82 00'],
    [
      encodeKeys([{ name: Buffer.from('k'), value: Buffer.from('v'), version: 1 }]),
      '00000001 00000001 6b 00000001 76',
    ],
    [
      encodeKeys([{ name: Buffer.alloc(0), value: Buffer.alloc(0), version: 2 ** 32 - 1 }]),
      'ffffffff 00000000 00000000',
    ],
    [encodeKeys([]), ''],
    [errorMessage(faults.missing), `80 00 0001 ${said(Buffer.from('does not exist'))}`],
    [errorMessage(faults.exists), `80 00 0002 ${said(Buffer.from('already exists'))}`],
    [errorMessage(faults.offset), `80 00 0003 ${said(Buffer.from('invalid offset'))}`],
    [errorMessage(faults.denied), `80 00 0004 ${said(Buffer.from('access denied'))}`],
    [errorMessage(fault('é')), '80 00 0000 c3a9'],
  ]
  for (const [message, bytes] of cases) assert.equal(said(message), said(hex(bytes)))
})

test('init: what is wrong is said, and creation modes beyond the known ones are the first', () => {
  const faulty = (bytes: string): string => {
    const init = parseInit(hex(bytes))
    return init.type === 'fault' ? `${init.code} ${init.text}` : init.type
  }
  const short = '0 the message is shorter than its fields'
  const cases: [bytes: string, why: string][] = [
    ['02 00 0000000000000000', '0 the first message has to be init'],
    ['ff 00', '0 the first message has to be init'],
    ['80 00', '0 the first message has to be init'],
    ['01 00', short],
    ['01 00 00', short],
    ['01 00 0000', '0 protocol versions 2 and 3 are understood'],
    ['01 00 0001', '0 protocol versions 2 and 3 are understood'],
    ['01 00 0004 00000000', '0 protocol versions 2 and 3 are understood'],
    ['01 00 0302', '0 protocol versions 2 and 3 are understood'],
    ['01 00 0002 00000000 00 0000000000000000', short],
    ['01 00 0002 00000000 00 0000000000000000 02 64', short],
    ['01 00 0003 00000000 00 00000000 0000000000000000 00000002 64', short],
    ['01 00 0002 00000000 00 0000000000000000 00', '0 an id has 1 to 255 bytes in version 2'],
    ['01 00 0003 00000000 00 00000000 0000000000000000 00000000', '0 an id has 1 to 1024 bytes in version 3'],
    ['01 00 0003 00000000 00 00000000 0000000000000000 00000401', '0 an id has 1 to 1024 bytes in version 3'],
    [
      '01 00 0003 00000000 00 00000000 0000000000000000 ffffffff 64',
      '0 an id has 1 to 1024 bytes in version 3',
    ],
  ]
  for (const [bytes, why] of cases) assert.equal(faulty(bytes), why, bytes)
  for (const [mode, meaning] of [
    ['00', 'openOrCreate'],
    ['01', 'open'],
    ['02', 'create'],
    ['03', 'openOrCreate'],
    ['ff', 'openOrCreate'],
  ]) {
    const init = parseInit(hex(`01 00 0002 00000000 ${mode} 0000000000000000 01 64`))
    assert.equal(init.type === 'init' && init.mode, meaning, mode)
  }
  const longest = initMessage('x'.repeat(1024))
  const init = parseInit(longest)
  assert.equal(init.type === 'init' && init.id.length, 1024)
})

test('the beginning of init is understood as soon as its id is there, and its data is not waited for', () => {
  for (const version of [2, 3]) {
    const message = initMessage('doc', { version, data: 'the data of it' })
    const end = message.length - 'the data of it'.length
    for (let length = 0; length < end; length++)
      assert.equal(parseInitHead(message.subarray(0, length)), null, String(length))
    for (const length of [end, end + 3, message.length]) {
      const head = parseInitHead(message.subarray(0, length))
      assert.ok(head?.type === 'init')
      assert.deepEqual([head.id.toString(), head.length, 'data' in head], ['doc', end, false])
    }
  }
})

test('commands: what is too short for its fields, unknown, or out of place', () => {
  const short = 'the message is shorter than its fields'
  const unknown = 'a message of an unknown type'
  const cases: [bytes: string, why: string][] = [
    ['02 00 00000000000000', short],
    ['05 00 00000000 00000000000000', short],
    ['05 00 0000000000000000', short],
    ['04 00 000000', short],
    ['03 00 0007 01 00000000 00000001 000000', short],
    ['03 00 0007 01 00000000 00000001 00000002 6b', short],
    ['03 00 0007 01 00000000 00000001 00000001 6b 00000002 76', short],
    ['03 00 0007 01 00000000 00000001 ffffffff 6b 00000001 76', short],
    ['03 00 0007 01 00000000 00000001 00000001 6b ffffffff 76', short],
    ['01 00 0002 00000000 00 0000000000000000 01 64', 'the document is open already'],
    ['00 00', unknown],
    ['06 00', unknown],
    ['80 00 0000', unknown],
    ['81 00 0001 0000000000000005', unknown],
    ['82 00', unknown],
    ['', unknown],
  ]
  for (const [bytes, text] of cases)
    assert.deepEqual(parseCommand(hex(bytes)), { type: 'fault', code: 0, text }, bytes)
})
