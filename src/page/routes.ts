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

/** Each folder of `client/` that has a main.tsx. */
type PageName = 'meeting' | 'status' | 'chat' | 'sketch'

/** Those for everyone but the operator. */
export type MemberPage = Exclude<PageName, 'status'>

declare const PLENUM_PAGES: Record<PageName, BuiltPage>

const paths: Readonly<Record<MemberPage, string>> = {
  meeting: '/meeting/:meeting{[0-9]+}/:key{[A-Za-z0-9_-]{54}}',
  // Its key is in the query, which the page takes out of the address.
  chat: '/chat',
  // Which sketch is behind the # of its address.
  sketch: '/document/demo',
}

/**
 * The members' pages of those in `names`. A page is one document for everyone: whose key the address holds is found out
 * when its websocket enters, so that nothing is looked up here and no address tells more than another.
 */
export function pageRoutes(names: readonly MemberPage[]): Hono {
  const app = new Hono()
  for (const name of names) app.get(paths[name], servePage(name))
  return app
}

/** The page for the operator: to be served where status and health are. */
export function statusPageRoutes(): Hono {
  const app = new Hono()
  app.get('/status', servePage('status'))
  return app
}

type Encoding = 'br' | 'gzip' | 'identity'

function servePage(name: PageName): (c: Context) => Response {
  const { policy, tag, size, brotli, gzip } = PLENUM_PAGES[name]
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
