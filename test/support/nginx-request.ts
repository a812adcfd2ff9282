import { connect as connectHttp2 } from 'node:http2'
import { request as plainRequest } from 'node:http'
import { request as secureRequest } from 'node:https'
import type { Nginx } from './nginx.ts'

export type Answer = Readonly<{
  status: number
  headers: Readonly<Record<string, string | string[] | undefined>>
  body: string
}>

export type Question = Readonly<{
  method?: string
  headers?: Record<string, string>
  /** `1` over TLS, `2` over TLS, or in clear. */
  http?: '1' | '2' | 'clear'
  ipv6?: boolean
  /** Goes away so many milliseconds after it could ask, without an answer or in the middle of it. */
  abortMs?: number
}>

/** Asks nginx, on a connection of its own. Rejects when there is no whole answer. */
export function ask(nginx: Nginx, path: string, question: Question = {}): Promise<Answer> {
  const { method = 'GET', headers = {}, http = '1', ipv6 = false, abortMs } = question
  const host = ipv6 ? '::1' : '127.0.0.1'
  if (http === '2') return askHttp2(nginx, path, question)
  const clear = http === 'clear'
  return new Promise((resolve, reject) => {
    const options = { host, path, method, agent: false as const, headers: { host: 'localhost', ...headers } }
    const request = clear
      ? plainRequest({ ...options, port: nginx.plainPort })
      : secureRequest({ ...options, port: nginx.port, ca: nginx.certificate, servername: 'localhost' })
    request.on('response', (response) => {
      let body = ''
      response.setEncoding('utf8')
      response.on('data', (text: string) => (body += text))
      response.on('error', reject)
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }))
    })
    request.on('upgrade', (response, socket) => {
      socket.destroy()
      resolve({ status: response.statusCode ?? 0, headers: response.headers, body: '' })
    })
    request.on('error', reject)
    request.end()
    request.on('socket', (socket) =>
      socket.once(clear ? 'connect' : 'secureConnect', () => {
        if (abortMs !== undefined) setTimeout(() => request.destroy(), abortMs)
      }),
    )
  })
}

function askHttp2(
  nginx: Nginx,
  path: string,
  { method = 'GET', headers = {}, ipv6 = false, abortMs }: Question,
): Promise<Answer> {
  const session = connectHttp2(`https://localhost:${nginx.port}`, {
    ca: nginx.certificate,
    servername: 'localhost',
    host: ipv6 ? '::1' : '127.0.0.1',
  })
  const answer = new Promise<Answer>((resolve, reject) => {
    session.on('error', reject)
    const stream = session.request({ ':path': path, ':method': method, ...headers })
    let answered: Record<string, string | string[] | undefined> = {}
    let body = ''
    stream.on('response', (all) => (answered = all as typeof answered))
    stream.setEncoding('utf8')
    stream.on('data', (text: string) => (body += text))
    stream.on('error', reject)
    stream.on('close', () => {
      const status = Number(answered[':status'])
      if (status > 0) resolve({ status, headers: answered, body })
      else reject(new Error(`no answer to ${path}: closed with code ${stream.rstCode}`))
    })
    stream.end()
    session.once('connect', () => {
      if (abortMs !== undefined) setTimeout(() => session.destroy(), abortMs)
    })
  })
  return answer.finally(() => session.destroy())
}
