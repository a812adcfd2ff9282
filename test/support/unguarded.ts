import { createAdaptorServer } from '@hono/node-server'
import { createNodeWebSocket } from '@hono/node-ws'
import { Hono } from 'hono'

// A server as the documentation of its libraries says, with none of our guards: what the attacks that the tests make
// really do is shown on it.
const app = new Hono()
const adapter = createNodeWebSocket({ app })

app.get(
  '/slow',
  async (_c, next) => {
    await new Promise((resolve) => {
      setTimeout(resolve, 500)
    })
    await next()
  },
  adapter.upgradeWebSocket(() => ({})),
)
app.get(
  '/ws',
  adapter.upgradeWebSocket(() => ({
    // oxlint-disable-next-line typescript/no-misused-promises -- the mistake that is shown
    async onMessage(event, ws) {
      await Promise.resolve()
      if (event.data === 'fail') throw new Error('a handler that rejects')
      ws.send(String((event.data as string).length))
    },
  })),
)

const server = createAdaptorServer({ fetch: app.fetch })
adapter.injectWebSocket(server)
server.listen(Number(process.argv[2]), '127.0.0.1', () => console.log('listening'))
