import { Buffer } from 'node:buffer'
import { gunzipSync } from 'node:zlib'
import { type Context, Hono } from 'hono'
import { documentHeaders } from '../edge/document.ts'

/** What build-pages.js makes of each page of `client/`. */
type BuiltPage = {
  policy: string
  /** Of the document's bytes. */
  tag: string
  size: number
  brotli: string
  gzip: string
}

/** By the folders of `client/` that have a main.tsx. */
declare const PLENUM_PAGES: Readonly<Record<string, BuiltPage>>

/** The page for the operator: to be served where status and health are. */
export function statusPageRoutes(): Hono {
  const app = new Hono()
  app.get('/status', servePage('status'))
  return app
}

type Encoding = 'br' | 'gzip' | 'identity'

/** Serves a built page, of which there is one document for everyone, by the name of its folder. */
export function servePage(name: string): (c: Context) => Response {
  const built = PLENUM_PAGES[name]
  if (!built) throw new Error(`there is no page ${name}`)
  const { policy, tag, size, brotli, gzip } = built
  const bodies: { [E in Exclude<Encoding, 'identity'>]: Uint8Array<ArrayBuffer> } = {
    br: Uint8Array.from(Buffer.from(brotli, 'base64')),
    gzip: Uint8Array.from(Buffer.from(gzip, 'base64')),
  }
  // Nearly nobody asks for it. Once somebody has it is kept: to make it anew costs more than the request.
  let kept: Uint8Array<ArrayBuffer> | null = null
  const plain = (): Uint8Array<ArrayBuffer> => (kept ??= Uint8Array.from(gunzipSync(bodies.gzip)))

  return function page(c) {
    const encoding = chooseEncoding(c.req.header('accept-encoding') ?? '')
    const headers = {
      ...documentHeaders(policy),
      // Asked for each time, and mostly answered by 304: a new build is there at the next reload.
      'cache-control': 'no-cache',
      vary: 'accept-encoding',
      etag: `"${tag}-${encoding}"`,
    }
    // Any encoding's will do: it is the same document.
    if (c.req.header('if-none-match')?.includes(`"${tag}-`)) return c.body(null, 304, headers)
    const body = encoding === 'identity' ? plain() : bodies[encoding]
    return c.body(body, 200, {
      ...headers,
      ...(encoding === 'identity' ? {} : { 'content-encoding': encoding }),
      'content-length': String(encoding === 'identity' ? size : body.length),
    })
  }
}

/** The smallest body that an Accept-Encoding takes (RFC 9110, 12.5.3). */
export function chooseEncoding(accepted: string): Encoding {
  const weights = new Map(
    accepted.split(',').map((item) => {
      const [coding = '', ...parameters] = item.split(';').map((part) => part.trim().toLowerCase())
      const weight = parameters.find((part) => part.startsWith('q='))?.slice(2) ?? '1'
      return [coding, Number(weight)]
    }),
  )
  const takes = (coding: string): boolean => (weights.get(coding) ?? weights.get('*') ?? 0) > 0
  return takes('br') ? 'br' : takes('gzip') ? 'gzip' : 'identity'
}
