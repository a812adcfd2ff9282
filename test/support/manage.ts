import { request } from 'node:http'
import type { IncomingHttpHeaders } from 'node:http'
import type { Plenum } from './server.ts'

export type Fields = Record<string, string | Buffer>

export interface ManageAnswer {
  status: number
  /** Why, in the header that says it. */
  reason: string | undefined
  headers: IncomingHttpHeaders
  body: Buffer
}

export interface ManageOptions {
  user?: string | null
  password?: string
  /** As a file of a multipart form, or urlencoded. */
  multipart?: boolean
  httpMethod?: string
  headers?: Record<string, string>
  path?: string
}

/** Asks the management of documents, as an application does. */
export async function manage(
  plenum: Plenum,
  fields: Fields,
  options: ManageOptions = {},
): Promise<ManageAnswer> {
  const { user = null, password = '', multipart = false, httpMethod = 'POST', path = '/socket' } = options
  const escape = (value: string | Buffer): string =>
    Array.from(Buffer.from(value), (byte) => `%${byte.toString(16).padStart(2, '0')}`).join('')
  let type = 'application/x-www-form-urlencoded'
  let body: Buffer
  if (multipart) {
    const form = new FormData()
    for (const [name, value] of Object.entries(fields))
      if (typeof value === 'string') form.set(name, value)
      else form.set(name, new Blob([new Uint8Array(value)]), 'file.bin')
    const made = new Request('http://localhost', { method: 'POST', body: form })
    type = made.headers.get('content-type') ?? ''
    body = Buffer.from(await made.arrayBuffer())
  } else {
    const pairs = Object.entries(fields).map(([name, value]) => `${name}=${escape(value)}`)
    body = Buffer.from(pairs.join('&'))
  }
  const authorization = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`
  const headers = {
    ...(httpMethod === 'POST' ? { 'content-type': type, 'content-length': body.length } : {}),
    ...(user === null ? {} : { authorization }),
    ...options.headers,
  }
  return await new Promise((resolve, reject) => {
    const sent = request(plenum.url(path), { method: httpMethod, headers, agent: false }, (response) => {
      const parts: Buffer[] = []
      response.on('data', (part: Buffer) => parts.push(part))
      response.on('error', reject)
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          reason: response.headers['status'] as string | undefined,
          headers: response.headers,
          body: Buffer.concat(parts),
        }),
      )
    })
    sent.on('error', reject)
    sent.end(httpMethod === 'POST' ? body : undefined)
  })
}
