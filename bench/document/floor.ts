import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type WebSocket, WebSocketServer } from 'ws'

// The least that a server of the document protocol can do: it holds documents in memory, lets one append through at each
// length, and passes it on to all others. It takes version 3 only and no message in several frames, and prints its port.

type Document = { parts: Buffer[]; length: number; members: Set<WebSocket> }

const documents = new Map<string, Document>()
const dataAt = { init: 25, append: 14 }
const server = createServer()
const sockets = new WebSocketServer({ server, clientTracking: false, perMessageDeflate: false })

function append(offset: number, data: Buffer): Buffer {
  const head = Buffer.alloc(dataAt.append)
  head[0] = 0x05
  head.writeBigUInt64BE(BigInt(offset), 6)
  return Buffer.concat([head, data])
}

function answer(result: number, length: number): Buffer {
  const message = Buffer.alloc(12)
  message[0] = 0x81
  message[3] = result
  message.writeBigUInt64BE(BigInt(length), 4)
  return message
}

function enter(socket: WebSocket, message: Buffer): Document {
  const id = message.toString('latin1', dataAt.init, dataAt.init + message.readUInt32BE(21))
  const document = documents.get(id) ?? { parts: [], length: 0, members: new Set() }
  documents.set(id, document)
  document.members.add(socket)
  socket.send(append(0, Buffer.concat(document.parts)))
  return document
}

sockets.on('connection', (socket) => {
  let document: Document | null = null
  socket.on('error', () => undefined)
  socket.on('close', () => document?.members.delete(socket))
  socket.on('message', (message: Buffer) => {
    if (!document) {
      document = enter(socket, message)
      return
    }
    if (message[0] !== 0x05) return
    const offset = Number(message.readBigUInt64BE(6))
    if (offset !== document.length) {
      socket.send(answer(0, document.length))
      return
    }
    const data = message.subarray(dataAt.append)
    document.parts.push(data)
    document.length += data.length
    socket.send(answer(1, document.length))
    const frame = append(offset, data)
    for (const one of document.members) if (one !== socket) one.send(frame)
  })
})

server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 })
await once(server, 'listening')
console.log((server.address() as AddressInfo).port)
