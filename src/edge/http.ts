import { getRequestListener, RequestError } from '@hono/node-server'
import type { Hono } from 'hono'
import { createServer, type Server } from 'node:http'
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https'
import { limitPipelining } from './pipelining.ts'
import { type ListenerName, maxHeaderBytes, type Refusals } from './refusals.ts'
import { type Certificate, tlsOptions } from './tls.ts'
import { boundBody } from './unread.ts'

/**
 * A server for `app`, over TLS with a certificate, that does not listen yet. What it refuses by itself, before the app has
 * seen it, is told to `refusals` under the name `listener`.
 */
export function createHttpServer(
  app: Hono,
  {
    listener,
    certificate,
    refusals,
  }: { listener: ListenerName; certificate: Certificate | null; refusals: Refusals },
): Server | TlsServer {
  const errorHandler = (error: unknown): Response => {
    // The app answers its own errors.
    if (!(error instanceof RequestError)) return new Response(null, { status: 500 })
    refusals.refused('malformed', { listener })
    return new Response(null, { status: 400 })
  }
  const listening = getRequestListener(app.fetch, { errorHandler })
  // HTTP/1.0 has no Host: load balancers' own checks ask so (HAProxy's httpchk). The name goes into a URL and nowhere else.
  const withoutHost = getRequestListener(app.fetch, { errorHandler, hostname: 'localhost' })
  const handle = limitPipelining(
    (request, response) => {
      boundBody(request, response)
      void (request.httpVersion === '1.0' ? withoutHost : listening)(request, response)
    },
    (peer) => refusals.refused('too many at once', { listener, peer }),
  )
  const options = {
    maxHeaderSize: maxHeaderBytes,
    // The adapter refuses it, so that it is heard of.
    requireHostHeader: false,
  }
  const server = certificate
    ? createTlsServer({ ...options, ...toTls(certificate) }, handle)
    : createServer(options, handle)
  refusals.watch(server, listener)
  return server
}

/** What a server over TLS is given of a certificate, at its start or later. */
export function toTls({ cert, key }: Certificate): { cert: string; key: string } & typeof tlsOptions {
  return { cert, key, ...tlsOptions }
}
