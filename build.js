import { readFileSync } from 'node:fs'
import { chmod, writeFile } from 'node:fs/promises'
import { builtinModules } from 'node:module'
import { build } from 'esbuild'
import { buildPages } from './build-pages.js'
import { checkPatches } from './check-patches.js'

// Arguments: [file of the bundle [file that is to say what is in it]]
const [, , bundle = 'dist/plenum.js', contents] = process.argv
const { version, engines } = JSON.parse(readFileSync('package.json', 'utf8'))
const oldestNode = Number.parseInt(engines.node.replace('>=', ''), 10)

// The file has neither static imports nor top-level await: so it runs as an ES module and as a plain script, wherever
// it was copied and whatever package.json says nearby. Syntax is kept at what Node 14 can parse (target below), so that an
// older runtime reaches the check and says what it lacks instead of dying of a syntax error.
const head = `#!/usr/bin/env node
(async () => {
'use strict'
if (globalThis.Deno ? Number.parseInt(Deno.version.deno, 10) < 2 : Number.parseInt(process.versions.node, 10) < ${oldestNode}) {
  const found = globalThis.Deno ? 'Deno ' + Deno.version.deno : 'Node ' + process.versions.node
  console.error('plenum needs Node ${oldestNode} or newer, or Deno 2; this is ' + found)
  globalThis.Deno ? Deno.exit(1) : process.exit(1)
}
const { createRequire } = await import('node:module')
const require = createRequire('file:///');
`

checkPatches()
const { pages, metafiles } = await buildPages()

const { metafile } = await build({
  entryPoints: ['src/main.ts'],
  outfile: bundle,
  bundle: true,
  platform: 'node',
  format: 'iife',
  target: 'node14.18',
  // Deno knows Node's modules by their full names only.
  alias: Object.fromEntries(
    builtinModules.filter((name) => !name.startsWith('node:')).map((name) => [name, `node:${name}`]),
  ),
  define: { PLENUM_VERSION: JSON.stringify(version), PLENUM_PAGES: JSON.stringify(pages) },
  banner: { js: head },
  footer: { js: '})()' },
  legalComments: 'none',
  metafile: true,
  logLevel: 'warning',
})
await chmod(bundle, 0o755)
if (contents) {
  const [whole] = Object.values(metafile.outputs)
  delete whole.inputs['<define:PLENUM_PAGES>']
  for (const { inputs, outputs } of metafiles) {
    Object.assign(metafile.inputs, inputs)
    for (const part of Object.values(outputs)) Object.assign(whole.inputs, part.inputs)
  }
  await writeFile(contents, JSON.stringify(metafile))
}
