import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { WebSocketServer } from 'ws'
import { clientFrame, opcodes, openRaw, upgradeRequest } from '../../test/support/raw-connection.ts'
import { receiverOf, takeInParts } from './receiver.ts'

test('long frames and fragments come in parts, a part in a turn; whole ones, pings and their order are as ever', async (t) => {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  t.after(() => {
    for (const ws of server.clients) ws.terminate()
    server.close()
  })
  const messages: { bytes: Buffer; parts: number }[] = []
  let parts: Buffer[] = []
  let maxInTurn = 0
  let inTurn = 0
  server.on('connection', (ws) => {
    takeInParts(receiverOf(ws), (data) => {
      parts.push(Buffer.from(data))
      maxInTurn = Math.max(maxInTurn, ++inTurn)
      setImmediate(() => (inTurn = 0))
    })
    ws.on('message', (data: Buffer) => {
      messages.push({ bytes: Buffer.concat([...parts, data]), parts: parts.length })
      parts = []
    })
    ws.on('ping', (data) => messages.push({ bytes: data, parts: -1 }))
  })
  await once(server, 'listening')
  const client = await openRaw((server.address() as AddressInfo).port)
  t.after(() => client.socket.destroy())
  client.write(upgradeRequest('/'))
  await client.until(() => client.received.includes('\r\n\r\n'))
  const binary = (bytes: Buffer, fin = true, opcode: number = opcodes.binary): Buffer =>
    clientFrame(bytes, { opcode, fin, mask: [...randomBytes(4)] })
  const [small, large, long] = [randomBytes(50), randomBytes(300_001), randomBytes(70_003)]
  const ping = clientFrame('between', { opcode: opcodes.ping, mask: [1, 2, 3, 4] })
  const { continuation } = opcodes
  const stream = Buffer.concat([
    binary(small),
    binary(large),
    binary(Buffer.alloc(0)),
    // A message of four fragments, one of them empty, with a ping in it; then many of one byte.
    binary(long, false),
    ping,
    binary(Buffer.alloc(0), false, continuation),
    binary(small, false, continuation),
    binary(Buffer.from([7]), true, continuation),
    ...Array.from({ length: 50 }, (_, n) => binary(Buffer.from([n]), n === 49, n === 0 ? 2 : 0)),
    binary(small),
  ])
  // In segments of any size, so that each border of a frame is met.
  for (let at = 0; at < stream.length;) {
    const end = at + 1 + (randomBytes(3).readUIntBE(0, 3) % (at < 60_000 ? 20_000 : 150))
    client.write(stream.subarray(at, end))
    if (at % 7 === 0) await new Promise((resolve) => setImmediate(resolve))
    at = end
  }
  for (let n = 0; messages.length < 7 && n < 500; n++) await new Promise((resolve) => setTimeout(resolve, 10))
  const expected = [
    small,
    large,
    Buffer.alloc(0),
    Buffer.from('between'),
    Buffer.concat([long, small, Buffer.from([7])]),
    Buffer.from(Array.from({ length: 50 }, (_, n) => n)),
    small,
  ]
  assert.deepEqual(
    messages.map(({ bytes }) => bytes.toString('hex')),
    expected.map((bytes) => bytes.toString('hex')),
  )
  assert.deepEqual([messages[0]?.parts, (messages[1]?.parts ?? 0) > 1, messages[3]?.parts], [0, true, -1])
  assert.equal(maxInTurn, 1)
})
