import type { IncomingMessage, ServerResponse } from 'node:http'
import process from 'node:process'
import { GrowingBuffer } from './growing.ts'

/** For an answer to arrive while the rest of a body is still on its way: a reset would overtake it. */
const lingerMs = 1000

/**
 * Has the chunks of a request's body read once in a turn of the event loop, 64 KiB at most, and handed over in one piece: the runtimes
 * read up to 32 times as much in one go, and each chunk of it, of one byte perhaps, would go its own way through the streams.
 * A connection whose request was answered before its body had been read whole ends: nobody reads on for nothing.
 * On Node only.
 */
export function boundBody(request: IncomingMessage, response: ServerResponse): void {
  // Deno's requests do not go on after such a pause.
  if ('deno' in process.versions) return
  const { headers, socket } = request
  // A body of a known length comes in as large pieces as there are.
  if (headers['transfer-encoding'] === undefined) return
  joinChunks(request)
  const { shouldKeepAlive } = response
  response.shouldKeepAlive = false
  const destroySoon = socket.destroySoon.bind(socket)
  request.once('end', () => {
    response.shouldKeepAlive = shouldKeepAlive
    socket.destroySoon = destroySoon
  })
  socket.destroySoon = () => {
    // What was not asked for stays where it is.
    request._read = () => undefined
    socket.pause()
    socket.end()
    setTimeout(() => socket.destroy(), lingerMs).unref()
  }
}

/** Has all that comes of a body in a turn pushed in the next one, and nothing more read until then. */
function joinChunks(request: IncomingMessage): void {
  const push = request.push.bind(request)
  const read = request._read.bind(request)
  const chunks = new GrowingBuffer(Infinity)
  let pending: NodeJS.Immediate | null = null
  let isLast = false
  let wanted: number | null = null
  // It would have the socket go on in this very turn.
  request._read = (size) => {
    if (pending) wanted = size
    else read(size)
  }
  request.push = (chunk: Buffer | null) => {
    if (chunk === null) isLast = true
    else chunks.append(chunk)
    if (pending) return true
    request.socket.pause()
    pending = setImmediate(() => {
      pending = null
      if (chunks.length > 0) push(chunks.take())
      if (isLast) push(null)
      if (wanted !== null) read(wanted)
      wanted = null
    })
    return true
  }
}
