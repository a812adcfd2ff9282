// Preloaded into a server: measures how much processor time its main thread takes in one turn of the event loop, and tells
// the longest since it was asked last to whoever connects to the abstract Unix socket LOOP_PROBE. Processor time and not the
// clock's, so that a busy machine makes no difference; threads of the runtime that collect garbage do not count.
import { openSync, readSync } from 'node:fs'
import { createServer } from 'node:net'

const times = openSync(`/proc/self/task/${process.pid}/schedstat`, 'r')
const buffer = Buffer.alloc(64)

/** Processor time of the main thread in milliseconds. */
function used() {
  // Brings what the kernel has counted of this thread up to date.
  process.cpuUsage()
  const length = readSync(times, buffer, 0, buffer.length, 0)
  return Number(buffer.toString('latin1', 0, length).split(' ', 1)[0]) / 1e6
}

let at = used()
let longestMs = 0
let turns = 0
let askedAt = at

// Runs once in each turn, behind what came from sockets, and does not itself make the loop turn.
function turn() {
  const now = used()
  longestMs = Math.max(longestMs, now - at)
  at = now
  turns++
  setImmediate(turn).unref()
}
turn()

createServer((socket) => {
  socket.on('error', () => {})
  const now = used()
  socket.end(JSON.stringify({ longestMs, turns, cpuMs: now - askedAt }))
  longestMs = 0
  turns = 0
  askedAt = now
})
  .listen(`\0${process.env.LOOP_PROBE}`)
  .unref()
