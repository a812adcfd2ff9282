import { readFileSync } from 'node:fs'
import { builtinModules } from 'node:module'
import { build } from 'esbuild'
import { patchPostgres } from './patch-postgres.js'

const { version, engines } = JSON.parse(readFileSync('package.json', 'utf8'))
const oldestNode = Number.parseInt(engines.node.replace('>=', ''), 10)

// Runs before anything of the bundle does. Syntax is kept at what Node 14 can parse (target below), so that an
// older runtime reaches this line and says so instead of dying of a syntax error.
const runtimeCheck = `
if (!globalThis.Deno && Number.parseInt(process.versions.node, 10) < ${oldestNode}) {
  console.error('plenum needs Node ${oldestNode} or newer, or Deno 2; this is Node ' + process.versions.node)
  process.exit(1)
}
if (globalThis.Deno && Number.parseInt(globalThis.Deno.version.deno, 10) < 2) {
  console.error('plenum needs Deno 2 or newer, or Node ${oldestNode}; this is Deno ' + globalThis.Deno.version.deno)
  globalThis.Deno.exit(1)
}`

patchPostgres()

await build({
  entryPoints: ['src/main.ts'],
  outfile: 'dist/plenum.js',
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node14.18',
  // Deno knows Node's modules by their full names only.
  alias: Object.fromEntries(
    builtinModules.filter((name) => !name.startsWith('node:')).map((name) => [name, `node:${name}`]),
  ),
  define: { PLENUM_VERSION: JSON.stringify(version) },
  banner: {
    js: `#!/usr/bin/env node
import process from 'node:process'
import { createRequire } from 'node:module'${runtimeCheck}
const require = createRequire(import.meta.url)`,
  },
  legalComments: 'none',
  logLevel: 'warning',
})
