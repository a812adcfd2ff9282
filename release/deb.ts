import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmod, lutimes, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { thirdPartyLicences } from './licences.ts'
import type { BundledPackage } from './packages.ts'

const run = promisify(execFile)
const compress = promisify(gzip)

export type PackageContents = Readonly<{
  version: string
  maintainer: string
  oldestNode: number
  date: Date
  bundle: Uint8Array
  manual: string
  ownLicence: string
  packages: readonly BundledPackage[]
}>

type Entry = Readonly<{ path: string; content: string | Uint8Array; mode?: number }>

const debian = new URL('debian/', import.meta.url)
const deploy = new URL('../deploy/', import.meta.url)
const scripts = ['postinst', 'prerm', 'postrm'] as const
/** It may hold a password. */
const settings = { path: 'etc/default/plenum', mode: 0o600 }
const program = 'usr/share/plenum/plenum.js'
const overrides = `# It may hold a password.
plenum: non-standard-file-perm 0600 != 0644 [${settings.path}]
`
const handmade = '/usr/local/bin/plenum'

/** Debian sorts 1.0~rc.1 before 1.0, as npm does 1.0-rc.1. */
export function debianVersion(version: string): string {
  return version.replace('-', '~')
}

/** Makes the Debian package: the same bytes for the same contents, wherever and whenever. */
export async function makePackage(file: string, contents: PackageContents): Promise<void> {
  const { date } = contents
  const stage = await mkdtemp(join(tmpdir(), 'plenum-deb-'))
  try {
    const entries = await packageEntries(contents)
    for (const entry of [...entries, ...(await controlEntries(contents, entries))]) await place(stage, entry)
    await mkdir(join(stage, 'usr/bin'))
    await symlink('../share/plenum/plenum.js', join(stage, 'usr/bin/plenum'))
    await settle(stage, date)
    await run('dpkg-deb', ['--root-owner-group', '-Zxz', '--build', stage, file], {
      env: {
        ...process.env,
        SOURCE_DATE_EPOCH: String(date.getTime() / 1000),
        // xz writes something else where it may use several threads.
        DPKG_DEB_THREADS_MAX: '1',
      },
    })
  } finally {
    await rm(stage, { recursive: true, force: true })
  }
}

async function packageEntries(contents: PackageContents): Promise<Entry[]> {
  const { bundle, manual, ownLicence, packages, version } = contents
  const changelog = await readFile(new URL('changelog', debian), 'utf8')
  if (!changelog.startsWith(`plenum (${debianVersion(version)}) `))
    throw new Error(`release/debian/changelog does not begin with version ${debianVersion(version)}`)
  return [
    { path: program, content: bundle, mode: 0o755 },
    { ...settings, content: await readFile(new URL('plenum.default', deploy), 'utf8') },
    { path: 'usr/lib/systemd/system/plenum.service', content: await unit('plenum.service') },
    { path: 'usr/lib/systemd/system/plenum.socket', content: await unit('plenum.socket') },
    { path: 'usr/share/man/man1/plenum.1.gz', content: await compress(manual, { level: 9 }) },
    { path: 'usr/share/doc/plenum/changelog.gz', content: await compress(changelog, { level: 9 }) },
    {
      path: 'usr/share/doc/plenum/copyright',
      content: `${ownLicence}\n${thirdPartyLicences(packages, licenceOnDebian)}`,
    },
    { path: 'usr/share/lintian/overrides/plenum', content: overrides },
  ]
}

/** Debian has the text of the Apache licence on each machine, and its packages refer to it. */
function licenceOnDebian({ licence, licenceText }: BundledPackage): string {
  if (licence !== 'Apache-2.0') return licenceText
  const holders = licenceText.match(/^ *Copyright \d.*$/gm) ?? []
  const reference =
    'Licensed under the Apache License, Version 2.0; the text is in /usr/share/common-licenses/Apache-2.0.'
  return [...holders.map((holder) => holder.trim()), reference].join('\n')
}

/** A unit of deploy/ for where the package has the program, without the words on where to copy it by hand. */
async function unit(name: string): Promise<string> {
  const text = await readFile(new URL(name, deploy), 'utf8')
  if (name.endsWith('.service') && !text.includes(`ExecStart=${handmade} `))
    throw new Error(`deploy/${name} does not start ${handmade}`)
  return text.slice(text.indexOf('[Unit]')).replaceAll(handmade, '/usr/bin/plenum')
}

async function controlEntries(contents: PackageContents, entries: readonly Entry[]): Promise<Entry[]> {
  const sums = entries
    .filter(({ path }) => path !== settings.path)
    .map(({ path, content }) => `${createHash('md5').update(content).digest('hex')}  ${path}\n`)
  const kibibytes = entries.reduce(
    (sum, { content }) => sum + Math.ceil(Buffer.byteLength(content) / 1024),
    0,
  )
  const maintainerScripts = scripts.map(async (name) => ({
    path: `DEBIAN/${name}`,
    content: await readFile(new URL(name, debian)),
    mode: 0o755,
  }))
  return [
    { path: 'DEBIAN/control', content: control(contents, kibibytes) },
    { path: 'DEBIAN/conffiles', content: `/${settings.path}\n` },
    { path: 'DEBIAN/md5sums', content: sums.sort().join('') },
    ...(await Promise.all(maintainerScripts)),
  ]
}

function control({ version, maintainer, oldestNode }: PackageContents, kibibytes: number): string {
  return `Package: plenum
Version: ${debianVersion(version)}
Architecture: all
Maintainer: ${maintainer}
Installed-Size: ${kibibytes}
Depends: nodejs (>= ${oldestNode}), adduser
Recommends: nginx
Suggests: postgresql
Section: web
Priority: optional
Description: web meetings for pgeu-system
 The server behind the web meetings of an association that runs pgeu-system:
 members talk, vote in polls, and what is said in an open meeting becomes its
 record, in the association's own PostgreSQL database.
`
}

async function place(stage: string, { path, content, mode = 0o644 }: Entry): Promise<void> {
  const file = join(stage, path)
  await mkdir(dirname(file), { recursive: true })
  await writeFile(file, content)
  await chmod(file, mode)
}

/** What a file system adds by itself, the umask and the time of writing, is made the same everywhere. */
async function settle(stage: string, date: Date): Promise<void> {
  const entries = await readdir(stage, { recursive: true, withFileTypes: true })
  for (const entry of entries) {
    const path = join(entry.parentPath, entry.name)
    if (entry.isDirectory()) await chmod(path, 0o755)
    await lutimes(path, date, date)
  }
  await chmod(stage, 0o755)
  await lutimes(stage, date, date)
}
