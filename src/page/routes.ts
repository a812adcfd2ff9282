import { Buffer } from 'node:buffer'
import { createHash } from 'node:crypto'
import { promisify } from 'node:util'
import { brotliCompress, gunzipSync, gzip } from 'node:zlib'
import { type Context, Hono } from 'hono'
import { type Brand, brandOf, brandStyle } from '../edge/brand.ts'
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

/** A page with its bodies. */
type Page = {
  policy: string
  tag: string
  size: number
  bodies: { [E in Exclude<Encoding, 'identity'>]: Uint8Array<ArrayBuffer> }
  plain: () => Uint8Array<ArrayBuffer>
}

/** Serves a built page, of which there is one document for everyone, by the name of its folder. */
export function servePage(name: string): (c: Context) => Promise<Response> {
  const own = builtPage(name)
  const branded = new WeakMap<Brand, Promise<Page>>()
  const pageFor = (brand: Brand | null): Page | Promise<Page> => {
    if (!brand) return own
    const found = branded.get(brand)
    if (found) return found
    const made = brandPage(own, brand)
    branded.set(brand, made)
    // Whoever asks next tries again; this one is told by the promise itself.
    made.catch(() => branded.delete(brand))
    return made
  }

  return async function page(c) {
    const { policy, tag, size, bodies, plain } = await pageFor(brandOf(c))
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

function builtPage(name: string): Page {
  const built = PLENUM_PAGES[name]
  if (!built) throw new Error(`there is no page ${name}`)
  const { policy, tag, size, brotli, gzip } = built
  const bodies = {
    br: Uint8Array.from(Buffer.from(brotli, 'base64')),
    gzip: Uint8Array.from(Buffer.from(gzip, 'base64')),
  }
  // Nearly nobody asks for it. Once somebody has it is kept: to make it anew costs more than the request.
  let kept: Uint8Array<ArrayBuffer> | null = null
  return { policy, tag, size, bodies, plain: () => (kept ??= Uint8Array.from(gunzipSync(bodies.gzip))) }
}

const compress = { br: promisify(brotliCompress), gzip: promisify(gzip) }

/**
 * The page with a brand: its colors as a style element more, its name and logo as data for the page's script
 * (client/kit/brand.tsx). It is compressed once, beside the event loop.
 */
async function brandPage(own: Page, brand: Brand): Promise<Page> {
  const style = brandStyle(brand)
  const data = JSON.stringify({ name: brand.name, logo: brand.logo?.url ?? null })
  const head = [
    style === '' ? '' : `<style>${style}</style>\n`,
    `<script type="application/json" id="brand">${data.replaceAll('<', '\\u003c')}</script>\n`,
  ].join('')
  const html = Buffer.from(
    Buffer.from(own.plain())
      .toString('utf8')
      .replace('</head>\n<body>', () => `${head}</head>\n<body>`),
  )
  const hash = (text: string | Buffer): string => createHash('sha256').update(text).digest('base64')
  const [br, gzipped] = await Promise.all([compress.br(html), compress.gzip(html)])
  return {
    policy: own.policy.replace(/style-src [^;]*/, (sources) =>
      style === '' ? sources : `${sources} 'sha256-${hash(style)}'`,
    ),
    tag: hash(html).slice(0, 22).replaceAll('+', '-').replaceAll('/', '_'),
    size: html.length,
    bodies: { br: Uint8Array.from(br), gzip: Uint8Array.from(gzipped) },
    plain: () => Uint8Array.from(html),
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
