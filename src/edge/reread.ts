import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { TLSSocket } from 'node:tls'

/** Whether a request asks for a websocket (RFC 6455, 4.2.1), perhaps among other things. */
export function wantsWebSocket({ headers }: Pick<IncomingMessage, 'headers'>): boolean {
  return (headers.upgrade ?? '').split(',').some((name) => name.trim().toLowerCase() === 'websocket')
}

/**
 * Returns what has `server` read a request once more that came as an upgrade, as if it had not asked for one (RFC 9110,
 * 7.8): with its body, and with what follows on the connection. Once a server has listeners for upgrades the runtimes hand
 * it all of them.
 */
export function plainReader(
  server: Server,
): (request: IncomingMessage, socket: Duplex, head: Buffer) => void {
  const answers = new WeakMap<Duplex, ServerResponse>()
  server.on('request', ({ socket }: IncomingMessage, response: ServerResponse) =>
    answers.set(socket, response),
  )
  return function rereadPlain(request, socket, head) {
    const { method, url, httpVersion, rawHeaders } = request
    // Deno has read what came of a body at once.
    const body = (request.read() as Buffer | null) ?? Buffer.alloc(0)
    const lines = [`${method} ${url} HTTP/${httpVersion}`]
    for (let at = 0; at < rawHeaders.length; at += 2)
      if (rawHeaders[at]?.toLowerCase() !== 'upgrade') lines.push(`${rawHeaders[at]}: ${rawHeaders[at + 1]}`)
    const reread = (): void => {
      if (socket.destroyed) return
      // It was to end a connection on which nothing more is asked.
      if ('setTimeout' in socket) (socket as TLSSocket).setTimeout(0)
      socket.unshift(Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), body, head]))
      server.emit(socket instanceof TLSSocket ? 'secureConnection' : 'connection', socket)
    }
    // Whoever reads anew knows nothing of answers that are under way, and would write into them.
    const answer = answers.get(socket)
    if (answer && !answer.closed) answer.once('close', reread)
    else reread()
  }
}
