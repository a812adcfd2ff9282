import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'

/** A TCP port that leads to another one, with somebody in between who can keep back answers and cut. */
export interface TcpProxy {
  readonly port: number
  /** What the other side says from now on does not arrive, on any connection that there is. */
  holdAnswers(): void
  /** Nothing arrives any more on the connections that there are, either way, and no side is told of it. */
  swallow(): void
  /** Ends all connections at once. New ones are forwarded as before, answers included. */
  cut(): void
  close(): Promise<void>
}

/** `port` is for one that opens again after `close`. */
export async function openTcpProxy(target: number, port = 0): Promise<TcpProxy> {
  const pairs = new Set<{ near: Socket; far: Socket; isSwallowed: boolean }>()
  const server = createServer((near) => {
    const far = connect(target, '127.0.0.1')
    const pair = { near, far, isSwallowed: false }
    pairs.add(pair)
    for (const side of [near, far]) {
      side.on('error', () => {}) // 'close' follows
      side.on('close', () => {
        if (pair.isSwallowed && !(near.closed && far.closed)) return
        pairs.delete(pair)
        near.destroy()
        far.destroy()
      })
    }
    near.pipe(far)
    far.pipe(near)
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  const cut = () => {
    for (const { near, far } of pairs) for (const side of [near, far]) side.destroy()
  }
  return {
    port: (server.address() as AddressInfo).port,
    holdAnswers() {
      for (const { near, far } of pairs) {
        far.unpipe(near)
        far.resume() // read, and thrown away
      }
    },
    swallow() {
      for (const pair of pairs) {
        pair.isSwallowed = true
        for (const side of [pair.near, pair.far]) {
          side.unpipe()
          side.resume() // read, and thrown away
        }
      }
    },
    cut,
    async close() {
      cut()
      server.close()
      await once(server, 'close')
    },
  }
}
