import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Metafile } from 'esbuild'
import { billOfMaterials } from './bom.ts'
import { debianVersion, makePackage } from './deb.ts'
import { thirdPartyLicences } from './licences.ts'
import { manual } from './manual.ts'
import { bundledPackages } from './packages.ts'

// Arguments: [folder, dist if not given]
const run = promisify(execFile)
const root = fileURLToPath(new URL('..', import.meta.url))
const folder = resolve(process.argv[2] ?? join(root, 'dist'))
const { name, version, description, license, author, engines } = JSON.parse(
  await readFile(join(root, 'package.json'), 'utf8'),
) as Record<'name' | 'version' | 'description' | 'license' | 'author', string> & { engines: { node: string } }

const date = await releaseDate()
await mkdir(folder, { recursive: true })
const { bundle, metafile } = await build()
const contents = await bundledPackages(metafile, root)
const page = manual({ version, date })
const deb = `plenum_${debianVersion(version)}_all.deb`

await writeFile(
  join(folder, 'plenum.cdx.json'),
  billOfMaterials({ name, version, description, licence: license, bundle, date }, contents),
)
await writeFile(join(folder, 'plenum.licences.txt'), thirdPartyLicences(contents.packages))
await writeFile(join(folder, 'plenum.1'), page)
await makePackage(join(folder, deb), {
  version,
  maintainer: author,
  oldestNode: Number.parseInt(engines.node.replace('>=', ''), 10),
  date,
  bundle,
  manual: page,
  ownLicence: await readFile(join(root, 'LICENSE'), 'utf8'),
  packages: contents.packages,
})
await writeSums(['plenum.1', 'plenum.cdx.json', 'plenum.js', 'plenum.licences.txt', deb])

/** The bundle is that of `npm run build`, together with esbuild's word on what is in it. */
async function build(): Promise<{ bundle: Uint8Array; metafile: Metafile }> {
  const scratch = await mkdtemp(join(tmpdir(), 'plenum-release-'))
  try {
    const [file, said] = [join(folder, 'plenum.js'), join(scratch, 'contents.json')]
    await run(process.execPath, ['build.js', file, said], { cwd: root })
    return { bundle: await readFile(file), metafile: JSON.parse(await readFile(said, 'utf8')) as Metafile }
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}

/** Not of today: the same source makes the same release at any time. */
async function releaseDate(): Promise<Date> {
  const seconds = process.env['SOURCE_DATE_EPOCH'] || (await commitSeconds())
  if (!/^\d+$/.test(seconds)) throw new Error('SOURCE_DATE_EPOCH takes seconds since 1970')
  return new Date(Number(seconds) * 1000)
}

async function commitSeconds(): Promise<string> {
  try {
    return (await run('git', ['log', '-1', '--format=%ct'], { cwd: root })).stdout.trim()
  } catch (error) {
    throw new Error('outside of a git checkout a release needs SOURCE_DATE_EPOCH', { cause: error })
  }
}

async function writeSums(files: readonly string[]): Promise<void> {
  const lines = files.map(async (file) => {
    const sum = createHash('sha256').update(await readFile(join(folder, file)))
    return `${sum.digest('hex')}  ${file}\n`
  })
  await writeFile(join(folder, 'SHA256SUMS'), (await Promise.all(lines)).join(''))
}
