import type { Random } from './random.ts'
import { clientFrame, opcodes, upgradeRequest } from './raw-connection.ts'

/** What a hostile client knows of the meeting that it is in. */
export interface Knowledge {
  users: readonly number[]
  /** Of the poll under way, or of any. */
  question: string
}

export interface HostileFrames {
  bytes: Buffer
  /** Whether a server has to end the connection after these. */
  fatal: boolean
}

const longest = 64 * 1024
const bracketed = 60 * 1024
const commandTypes = words('message vote open finish newpoll abortpoll kick')
const prototypeNames = words('__proto__ constructor prototype toString valueOf hasOwnProperty')

// Text of JSON, not values: most of these have no value that JSON.stringify would write so.
const wildNumbers = words(`
  1e999 -1e999 1e-999 -0 0.5 -1 1.0 4e0 1E+2 2147483647 2147483648 -2147483649 9007199254740992 9007199254740993
  18446744073709551616 1${'0'.repeat(400)}`)
const wildStrings = [
  ...words(String.raw`
    "" "\u0000" "a\u0000b" "\ud800" "\udc00\ud800" "\uffff" "\u202e\u200b\ufeff" "\\u0000\b\f\n\r\t" "1" "null" "%s%n"
    "<script>" "ﷺ" "👩‍👩‍👧‍👦"`),
  '" "',
  `"'; drop table plenum.vote; --"`,
  `"${'x'.repeat(10_001)}"`,
  ...prototypeNames.map(quote),
]
const wildOthers = [
  ...words(`
    true false null [] {} [[]] [null] [{}] ["a","b"] ["a","a"] [1,2] {"length":2} {"toString":1}
    {"__proto__":{"type":"message"}} {"constructor":{"prototype":{}}}`),
  `[${'"a",'.repeat(2000)}"b"]`,
  `${'['.repeat(500)}${']'.repeat(500)}`,
]
const notJson = [
  ...words(String.raw`
    { } {"type" {'type':'message'} {"type":undefined} {"type":"open",} {"a":1}{"a":2} NaN Infinity - 01 0x10 " "\u00"
    "\x" [1,] // message open`),
  ...['', ' ', '\ufeff{}', '\0', '\u2028', '{"type":"message","message":"a\nb"}'],
]

const wildValue = (random: Random): string => random.pick(random.pick([wildNumbers, wildStrings, wildOthers]))

function quote(text: string): string {
  return JSON.stringify(text)
}

function words(text: string): string[] {
  return text.trim().split(/\s+/)
}

/** The fields of each command as a well-behaved client might send them, as JSON text. */
function wellFormedFields(random: Random, type: string, { users, question }: Knowledge): [string, string][] {
  switch (type) {
    case 'message':
      return [['message', quote(`hello ${random.below(1e6)}`)]]
    case 'vote':
      return [
        ['question', quote(question)],
        ['vote', String(random.below(3))],
      ]
    case 'newpoll':
      return [
        ['question', quote(`Shall we ${random.below(1e6)}?`)],
        ['answers', '["yes","no"]'],
        ['minutes', String(1 + random.below(120))],
      ]
    case 'kick':
      return [
        ['user', String(random.pick(users))],
        ['canrejoin', random.chance(0.9) ? 'true' : 'false'],
      ]
    default:
      return []
  }
}

function object(fields: readonly (readonly [string, string])[]): string {
  return `{${fields.map(([name, value]) => `${quote(name)}:${value}`).join(',')}}`
}

/** A command of which something is not as it should be, or nothing. */
function wildCommand(random: Random, knowledge: Knowledge): string {
  const type = random.pick(commandTypes)
  const fields: [string, string][] = [['type', quote(type)], ...wellFormedFields(random, type, knowledge)]
  const any = random.below(fields.length)
  switch (random.below(8)) {
    case 0:
      return object(fields)
    case 1:
      return object(fields.filter((_, index) => index !== any))
    case 2: // the same name twice
      return object([...fields, [fields[any]?.[0] ?? '', wildValue(random)]])
    case 3:
      return object([...fields, [random.pick(prototypeNames), wildValue(random)]])
    case 4: {
      const whole = object(fields)
      return whole.slice(0, random.below(whole.length))
    }
    case 5:
      return object([['type', wildValue(random)], ...fields.slice(1)])
    default:
      return object(fields.map(([name, value], index) => [name, index === any ? wildValue(random) : value]))
  }
}

function wildText(random: Random, knowledge: Knowledge): string {
  const kind = random.below(1000)
  if (kind < 750) return wildCommand(random, knowledge)
  if (kind < 850) return random.pick(notJson)
  if (kind < 920) return wildValue(random)
  if (kind < 960) return object([['type', quote(random.pick(prototypeNames))]])
  if (kind < 980) {
    const text = random.pick([
      'This meeting is now open',
      'THIS meeting is  now\tfinished',
      'Ｔhis meeting is now open',
    ])
    return object([
      ['type', '"message"'],
      ['message', quote(text)],
    ])
  }
  const deep = random.pick(['[', '{"a":', '[{"a":', '{"type":"message","message":['])
  const depth = Math.floor(random.pick([100, 3000, bracketed]) / deep.length)
  return random.chance(0.5) ? deep.repeat(depth) : '['.repeat(depth / 2) + ']'.repeat(depth / 2)
}

/** Frames that are allowed by the websocket protocol, whatever they contain; the connection stays. */
function allowedFrames(random: Random, knowledge: Knowledge): Buffer {
  const kind = random.below(100)
  if (kind < 80) return clientFrame(wildText(random, knowledge))
  if (kind < 85) return clientFrame(random.bytes(random.below(300)), { opcode: opcodes.binary })
  // The server's answer to bytes that are no text is an error, as to any other nonsense.
  if (kind < 87)
    return clientFrame(Buffer.from([0x22, random.pick([0xff, 0xc0, 0xed, 0xf8]), 0xa0, 0x80, 0x22]))
  if (kind < 90)
    return clientFrame(random.bytes(random.below(126)), { opcode: random.pick([opcodes.ping, opcodes.pong]) })
  const bytes = Buffer.from(wildText(random, knowledge))
  const parts: Buffer[] = []
  let at = 0
  do {
    const end = random.chance(0.3) ? bytes.length : at + random.below(bytes.length - at + 1)
    const opcode = at === 0 && parts.length === 0 ? opcodes.text : opcodes.continuation
    // Opening with an empty fragment is allowed too.
    parts.push(clientFrame(bytes.subarray(at, end), { opcode, fin: end === bytes.length }))
    if (random.chance(0.3)) parts.push(clientFrame('between', { opcode: opcodes.ping }))
    at = end
  } while (at < bytes.length)
  return Buffer.concat(parts)
}

const closeCodes = words(`
  0 1 999 1000 1001 1004 1005 1006 1009 1015 1016 2999 3000 4000 4999 5000 65535`).map(Number)

/** Frames after which the websocket protocol or our limits leave nothing but to end the connection. */
function fatalFrames(random: Random, knowledge: Knowledge): Buffer {
  const text = wildText(random, knowledge)
  switch (random.below(13)) {
    case 0:
      return clientFrame(text, { opcode: random.pick([3, 4, 5, 6, 7, 11, 12, 13, 14, 15]) })
    case 1:
      return clientFrame(text, { reserved: 1 + random.below(7) })
    case 2:
      return clientFrame(text, { masked: false })
    case 3:
      return clientFrame(Buffer.alloc(126 + random.below(1000)), {
        opcode: random.pick([opcodes.ping, opcodes.pong, opcodes.close]),
      })
    case 4:
      return clientFrame('', { opcode: random.pick([opcodes.ping, opcodes.close]), fin: false })
    case 5:
      return clientFrame(text, { opcode: opcodes.continuation })
    case 6:
      return Buffer.concat([clientFrame('{', { fin: false }), clientFrame(text)])
    case 7:
      return clientFrame('x', {
        announced: random.pick([2n ** 63n, 2n ** 63n - 1n, 2n ** 53n, 2n ** 64n - 1n]),
      })
    case 8:
      return clientFrame(Buffer.alloc(longest + 1 + random.below(1000), ' '))
    case 9: {
      const half = clientFrame(Buffer.alloc(longest / 2 + 1, ' '), { fin: false })
      const rest = clientFrame(Buffer.alloc(longest / 2, ' '), { opcode: opcodes.continuation })
      return Buffer.concat([half, rest])
    }
    case 10:
      return clientFrame(random.bytes(1), { opcode: opcodes.close })
    case 11: {
      const payload = Buffer.from('..a reason that is not UTF-8: \u00e9', 'latin1')
      payload.writeUInt16BE(1000)
      return clientFrame(payload, { opcode: opcodes.close })
    }
    default: {
      const payload = Buffer.alloc(2)
      payload.writeUInt16BE(random.pick(closeCodes))
      return clientFrame(payload, { opcode: opcodes.close })
    }
  }
}

/** One hostile message of a client that has been admitted, or what goes for one. */
export function hostileFrames(random: Random, knowledge: Knowledge): HostileFrames {
  const fatal = random.chance(0.01)
  return { fatal, bytes: fatal ? fatalFrames(random, knowledge) : allowedFrames(random, knowledge) }
}

export interface HostileRequest {
  bytes: Buffer
  /** What the client does next: wait for an answer, end its side, reset the connection, or keep it open in silence. */
  next: 'wait' | 'finish' | 'reset' | 'hold'
}

const methods = words('GET HEAD POST PUT DELETE OPTIONS TRACE CONNECT PATCH PROPFIND')
const noMethods = ['get', 'GE T', 'FOO', '', '\0', 'GET\t', 'G'.repeat(20_000)]
const targets = [
  ...words(String.raw`
    / // //[ //[::1 /% /%00 /%ff%fe * ? # /# /\\[ foo: localhost:80 data:,x javascript:alert(1) foo://localhost/livez
    http:// http://[/ http://localhost/livez http://localhost:99999/ http://user:password@localhost/livez
    //user@localhost/ /../../etc/passwd /..%2f..%2fetc/passwd /%2e%2e/livez /./livez /livez/ /livez /readyz
    /__meetingstatus /__proto__ /constructor /toString /ws/meeting/../../livez /ws/meeting/__proto__/x/0
    /ws/meeting/1/short/0`),
  ...['', ' ', '/ /', '/\0', '/\u00ff', `/${'a'.repeat(16_384)}`],
  ...[`/${'../'.repeat(4000)}`, `/?${'a=b&'.repeat(3000)}`],
]
const oddHeaders = [
  ...String.raw`
    Content-Length: -1
    Content-Length: 5
    Content-Length: 99999999999999999999
    Transfer-Encoding: chunked
    Transfer-Encoding: identity, chunked
    Expect: 100-continue
    Expect: nothing
    Connection: close
    Connection: Upgrade, close
    Upgrade: h2c
    Upgrade: websocket, h2c
    Upgrade: WEBSOCKET
    HTTP2-Settings: AAAA
    Host: other
    Host: a b[
    Host:
    : empty
    No colon
    A b: c
    __proto__: x
    constructor: x
    Origin: null
    Origin: x
    Origin: http://[
    Origin: http://localhost
    X-Forwarded-For: 1.2.3.4
    Sec-WebSocket-Key: x
    Sec-WebSocket-Key: =
    Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==
    Sec-WebSocket-Version: 8
    Sec-WebSocket-Version: 13, 8
    Sec-WebSocket-Version: 1e1
    Sec-WebSocket-Protocol: ,,
    Sec-WebSocket-Protocol: a,a
    Sec-WebSocket-Protocol: plenum.v1
    Sec-WebSocket-Extensions: ;;=
    Sec-WebSocket-Extensions: permessage-deflate`
    .trim()
    .split(/\n\s*/),
  'Content-Length: 1\r\nTransfer-Encoding: chunked',
  'Cookie: a\r\nCookie: b',
  'Folded: a\r\n b',
  'Nul: \0',
  'Latin: \u00ff\u00fe',
  'X-Forwarded-For: \u00ff,,',
  'Sec-WebSocket-Protocol: "\u00ff"',
  `Long: ${'x'.repeat(20_000)}`,
  'Many: x\r\n'.repeat(1500).trimEnd(),
]
const garbage = [
  '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
  'SSH-2.0-x\r\n',
  'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  '\r\n\r\n',
  '\0',
  '\xff\xfe\xfd',
  'GET / HTTP/9.9\r\n\r\n',
  'GET /\r\n\r\n',
  'GET / HTTP/1.1\n\n',
  'HTTP/1.1 200 OK\r\n\r\n',
]

/** Bytes that are, or begin as, or should be, a request. `path` leads into a meeting. */
export function hostileRequest(random: Random, path: () => string): HostileRequest {
  const next = random.pick(['wait', 'wait', 'wait', 'finish', 'reset'] as const)
  const kind = random.below(100)
  if (kind < 5) return { bytes: Buffer.from(random.pick(garbage), 'latin1'), next: 'finish' }
  if (kind < 8) return { bytes: random.bytes(random.below(2000)), next: 'finish' }
  const whole = request(random, path)
  // Neither is anything to wait for: the server does, for ten seconds and more.
  if (kind < 25) return { bytes: whole.subarray(0, random.below(whole.length)), next: pickEnd(random) }
  return { bytes: whole, next: next === 'wait' && kind > 98 ? 'hold' : next }
}

const pickEnd = (random: Random): 'finish' | 'reset' | 'hold' =>
  random.pick(['finish', 'finish', 'reset', 'reset', 'reset', 'hold'])

function request(random: Random, path: () => string): Buffer {
  const method = random.chance(0.7) ? 'GET' : random.pick(random.chance(0.7) ? methods : noMethods)
  const target = random.chance(0.5) ? random.pick(targets) : pathOrLike(random, path)
  const odd = random.chance(0.6) ? [random.pick(oddHeaders)] : []
  if (random.chance(0.2)) odd.push(random.pick(oddHeaders))
  const leaveOut = ['Host', 'Connection', 'Upgrade', 'Sec-WebSocket-Key', 'Sec-WebSocket-Version']
  const headers = random.chance(0.3) ? { [random.pick(leaveOut)]: null } : {}
  const whole = upgradeRequest(target, { method, headers })
  const lines = odd.map((line) => Buffer.from(`${line}\r\n`, 'latin1'))
  const first = whole.indexOf('\r\n') + 2
  const before = random.chance(0.1) ? [Buffer.from('GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n')] : []
  const after = random.chance(0.4) ? Array.from({ length: 1 + random.below(5) }, () => behind(random)) : []
  return Buffer.concat([...before, whole.subarray(0, first), ...lines, whole.subarray(first), ...after])
}

/** What a client sends without waiting for the answer to its upgrade request. */
function behind(random: Random): Buffer {
  switch (random.below(4)) {
    case 0:
      return Buffer.from('GET /livez HTTP/1.1\r\nHost: x\r\n\r\n')
    case 1:
      return random.bytes(random.below(200))
    default: {
      const knowledge = { users: [1], question: 'Which?' }
      return hostileFrames(random, knowledge).bytes
    }
  }
}

function pathOrLike(random: Random, path: () => string): string {
  const right = path()
  switch (random.below(6)) {
    case 0:
      return right.replace(
        /\/\d+$/,
        `/${random.pick(['-1', '1e3', '99999999999999999999', '', '0/', '0?x', '%30'])}`,
      )
    case 1:
      return right.replace(
        /\/meeting\/\d+/,
        `/meeting/${random.pick(['0', '-1', '2147483648', '9'.repeat(30), '1%31'])}`,
      )
    case 2:
      return `${random.pick(['http://localhost', 'http://user:password@localhost', '/.', '//x', 'ws://x'])}${right}`
    case 3:
      return right.replace(/[\w-]{54}/, random.bytes(40).toString('base64url'))
    default:
      return right
  }
}
