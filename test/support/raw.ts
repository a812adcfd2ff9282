import { randomBytes } from 'node:crypto'
import { connect } from 'node:net'
import type { Socket } from 'node:net'

/** The bytes of an upgrade request; `headers` adds to what a browser sends or replaces it. */
export function upgradeRequest(path: string, headers: Record<string, string> = {}): string {
  const all = {
    Host: 'localhost',
    Upgrade: 'websocket',
    Connection: 'Upgrade',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': randomBytes(16).toString('base64'),
    ...headers,
  }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
  return `GET ${path} HTTP/1.1\r\n${lines.join('')}\r\n`
}

/** One text frame of a client, masked by zeros. */
export function clientFrame(content: object | string | Buffer): Buffer {
  const payload = Buffer.isBuffer(content)
    ? content
    : Buffer.from(typeof content === 'string' ? content : JSON.stringify(content))
  if (payload.length > 65_535) throw new Error('longer frames are not needed here')
  const short = payload.length < 126
  const header = Buffer.alloc(short ? 6 : 8)
  header[0] = 0x81
  header[1] = 0x80 | (short ? payload.length : 126)
  if (!short) header.writeUInt16BE(payload.length, 2)
  return Buffer.concat([header, payload])
}

/** Sends the bytes in one write; `ended` settles with all that came back once the server has ended the connection. */
export function rawConnection(
  port: number,
  bytes: readonly (Buffer | string)[],
): { socket: Socket; ended: Promise<string> } {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  socket.write(Buffer.concat(bytes.map((part) => Buffer.from(part))))
  const ended = new Promise<string>((resolve) => {
    let received = ''
    socket.on('data', (data) => (received += data.toString('latin1')))
    socket.on('error', () => {})
    socket.setTimeout(10_000, () => socket.destroy())
    for (const event of ['end', 'close'])
      socket.on(event, () => {
        socket.destroy()
        resolve(received)
      })
  })
  return { socket, ended }
}
