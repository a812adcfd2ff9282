import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

type Listener = (request: IncomingMessage, response: ServerResponse) => void

/** More than anything asks for at once that does not want to do harm: browsers and proxies wait for each answer. */
const maxAtOnce = 32

/** Who sends still more is not waited for: what has come already would be read on in this very turn. */
const maxIgnored = 1000

/**
 * Hands on what a server is asked, but for those of more than 32 requests that one connection sends in one go (RFC 9112,
 * 9.3.2), which would all be answered in one turn of the event loop: 64 KiB hold 1,300. The next one gets 429, and the
 * connection ends once what came before has been answered; `onRefused` hears of it.
 */
export function limitPipelining(listener: Listener, onRefused: (peer: string) => void): Listener {
  /** How many have come in this turn, or since one was refused. */
  const counts = new WeakMap<Socket, number>()
  return function limited(request, response) {
    const { socket } = request
    const count = (counts.get(socket) ?? 0) + 1
    counts.set(socket, count)
    if (count === 1)
      setImmediate(() => {
        if ((counts.get(socket) ?? 0) <= maxAtOnce) counts.delete(socket)
      })
    if (count <= maxAtOnce) return listener(request, response)
    if (count > maxIgnored) socket.destroy()
    if (count > maxAtOnce + 1) return
    onRefused(socket.remoteAddress ?? 'unix')
    response.writeHead(429, { connection: 'close', 'content-type': 'text/plain; charset=utf-8' })
    response.end('too many requests at once: wait for the answers\n')
    socket.pause()
  }
}
