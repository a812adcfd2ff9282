import { createHash } from 'node:crypto'
import { existsSync, readdirSync } from 'node:fs'
import { brotliCompressSync, constants, gzipSync } from 'node:zlib'
import { build } from 'esbuild'

const folder = 'src/page/client'

/** What a page says whose script does not run, or fails before it has shown anything: nobody knows in which language. */
const unready = {
  en: 'This page could not start. It needs JavaScript, and a browser of 2023 or later. Load it again; if that does not help, try another browser.',
  de: 'Diese Seite konnte nicht starten. Sie braucht JavaScript und einen Browser von 2023 oder später. Laden Sie sie noch einmal; hilft das nicht, versuchen Sie es mit einem anderen Browser.',
  fr: 'Cette page n’a pas pu démarrer. Elle a besoin de JavaScript et d’un navigateur de 2023 ou plus récent. Rechargez-la ; si cela n’aide pas, essayez un autre navigateur.',
  sv: 'Sidan kunde inte starta. Den behöver JavaScript och en webbläsare från 2023 eller senare. Läs in den igen; hjälper det inte, prova en annan webbläsare.',
}

/**
 * Builds each page of src/page/client that has a main.tsx (its style.css beside it) into one HTML document that asks for
 * nothing else, compressed, with the Content-Security-Policy that lets its own script and style run and no others.
 * `metafiles` say what is in them.
 */
export async function buildPages() {
  const names = readdirSync(folder)
    .filter((name) => existsSync(`${folder}/${name}/main.tsx`))
    .sort()
  const built = await Promise.all(names.map(buildPage))
  return {
    pages: Object.fromEntries(built.map(({ page }, index) => [names[index], page])),
    metafiles: built.map(({ metafile }) => metafile),
  }
}

async function buildPage(name) {
  const { outputFiles, metafile } = await build({
    entryPoints: { script: `${folder}/${name}/main.tsx`, style: `${folder}/${name}/style.css` },
    outdir: 'out',
    write: false,
    metafile: true,
    bundle: true,
    minify: true,
    format: 'iife',
    target: ['chrome111', 'firefox115', 'safari16.4'],
    // The element, not the text, says where each ends: esbuild escapes both end tags inside them.
    charset: 'utf8',
    jsx: 'automatic',
    jsxImportSource: 'preact',
    define: { 'process.env.NODE_ENV': '"production"' },
    legalComments: 'none',
    logLevel: 'warning',
  })
  const textOf = (file) => outputFiles.find(({ path }) => path.endsWith(file)).text.trim()
  const [script, style] = [textOf('script.js'), textOf('style.css')]
  const html = Buffer.from(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1, interactive-widget=resizes-content">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<title>Plenum</title>
<link rel="icon" href="data:,">
<style>${style}</style>
</head>
<body>
<div id="page"></div>
<div id="unready">
${Object.entries(unready)
  .map(([language, words]) => `<p lang="${language}">${words}</p>`)
  .join('\n')}
</div>
<script type="module">${script}</script>
</body>
</html>
`)
  const page = {
    policy: policyFor(script, style),
    tag: createHash('sha256').update(html).digest('base64url').slice(0, 22),
    size: html.length,
    brotli: brotliCompressSync(html, {
      params: {
        [constants.BROTLI_PARAM_MODE]: constants.BROTLI_MODE_TEXT,
        [constants.BROTLI_PARAM_SIZE_HINT]: html.length,
      },
    }).toString('base64'),
    gzip: gzipSync(html, { level: 9 }).toString('base64'),
  }
  return { page, metafile }
}

/** 'self' in connect-src is this host by http(s) and ws(s), where the page's websocket is. */
function policyFor(script, style) {
  const hash = (text) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`
  return [
    "default-src 'none'",
    `script-src ${hash(script)}`,
    `style-src ${hash(style)}`,
    "connect-src 'self'",
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join('; ')
}
