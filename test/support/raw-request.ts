import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { patience } from './patience.ts'

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
    socket.setTimeout(patience(10_000), () => socket.destroy())
    for (const event of ['end', 'close'])
      socket.on(event, () => {
        socket.destroy()
        resolve(received)
      })
  })
  return { socket, ended }
}
