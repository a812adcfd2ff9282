import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { WebSocketServer } from 'ws'

// The least that a websocket server can do: it takes everyone in and passes each message on to all. It prints its port,
// or listens on the Unix socket that it is given.

const frame = (id: number, text: string): string =>
  JSON.stringify({
    type: 'message',
    data: {
      id,
      time: '12:00:00',
      date: '2000-01-01',
      from: 1000,
      fromname: 'Member 1000',
      color: '3',
      message: text,
    },
  })

const server = createServer()
const sockets = new WebSocketServer({ server, clientTracking: true, perMessageDeflate: false })
let lastId = 100_000

sockets.on('connection', (socket) => {
  socket.on('error', () => undefined)
  socket.on('message', (data: Buffer) => {
    const { message } = JSON.parse(data.toString()) as { message: string }
    const bytes = Buffer.from(frame(++lastId, message))
    for (const one of sockets.clients) one.send(bytes, { binary: false })
  })
})

const [path] = process.argv.slice(2)
server.listen(path === undefined ? { port: 0, host: '127.0.0.1', backlog: 4096 } : { path, backlog: 4096 })
await once(server, 'listening')
console.log(path ?? (server.address() as AddressInfo).port)
