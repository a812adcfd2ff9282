import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { Server } from 'node:http'
import type { SampleMeeting } from './association.ts'

/**
 * Serves the demo's meeting page, and what it must know about the person whose link was opened. The key stands
 * behind the # of a link, as nothing that a browser tells to others contains that part.
 */
export async function servePage(port: number, meeting: SampleMeeting, serverPort: number): Promise<Server> {
  const html = await readFile(new URL('page.html', import.meta.url))
  const server = createServer((request, response) => {
    const path = request.url ?? '/'
    const [, asked, key] = /^\/seat\/(\d+)\/([\w-]+)$/.exec(path) ?? []
    const seat =
      Number(asked) === meeting.id ? meeting.seats.find((candidate) => candidate.key === key) : undefined
    response.setHeader('cache-control', 'no-store')
    if (seat) {
      const { memberId, name, isChair, proxyName } = seat
      const socketBase = `ws://127.0.0.1:${serverPort}`
      response.setHeader('content-type', 'application/json')
      response.end(
        JSON.stringify({ memberId, name, isChair, proxyName, meetingName: meeting.name, socketBase }),
      )
    } else if (/^\/meeting\/\d+$/.test(path)) {
      response.setHeader('content-type', 'text/html; charset=utf-8')
      response.end(html)
    } else {
      response.statusCode = 404
      response.end('There is nothing here: open one of the links that npm start has printed.\n')
    }
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  return server
}

/** The link by which one member enters. */
export function linkFor(port: number, meetingId: number, key: string): string {
  return `http://127.0.0.1:${port}/meeting/${meetingId}#${key}`
}
