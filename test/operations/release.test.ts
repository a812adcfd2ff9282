import assert from 'node:assert/strict'
import { execFile, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { appendFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Metafile } from 'esbuild'
import { bundledPackages } from '../../release/packages.ts'
import { commands } from '../../src/config/commands.ts'
import { flags } from '../../src/config/flags.ts'
import { DebianMachine, noDebianMachine } from '../support/debian-machine.ts'
import { builtBundle, currentRuntime } from '../support/server.ts'

const run = promisify(execFile)
const root = fileURLToPath(new URL('../..', import.meta.url))
const lacks = (program: string): string | false =>
  spawnSync('sh', ['-c', `command -v ${program}`]).status === 0 ? false : `there is no ${program}`
const readJson = (path: string): unknown => JSON.parse(readFileSync(path, 'utf8'))

const { version, dependencies, devDependencies } = readJson(join(root, 'package.json')) as {
  version: string
  dependencies: Record<string, string>
  devDependencies: Record<string, string>
}

type Bom = {
  bomFormat: string
  specVersion: string
  serialNumber: string
  metadata: { component: BomComponent }
  components: BomComponent[]
  dependencies: { ref: string; dependsOn: string[] }[]
}
type BomComponent = {
  group?: string
  name: string
  version: string
  purl: string
  'bom-ref': string
  hashes: { alg: string; content: string }[]
  licenses: { license: { id: string } }[]
}

const fullName = ({ group, name }: BomComponent): string => (group ? `${group}/${name}` : name)

const twice = currentRuntime() === 'deno' ? 'a release is the same for both runtimes' : false

/** Makes a release as another account would elsewhere: with another umask, in another zone. */
async function release(folder: string, env: Record<string, string> = {}, umask = '022'): Promise<void> {
  const command = `umask ${umask}; exec "$0" --import tsx release/release.ts "$1"`
  await run('sh', ['-c', command, process.execPath, folder], { cwd: root, env: { ...process.env, ...env } })
}

suite('a release', { skip: twice || lacks('dpkg-deb') }, () => {
  let base: string
  let dist: string
  let bom: Bom
  let metafile: Metafile
  const deb = `plenum_${version}_all.deb`

  before(async () => {
    base = await mkdtemp(join(tmpdir(), 'plenum-release-'))
    dist = join(base, 'dist')
    await release(dist)
    bom = readJson(join(dist, 'plenum.cdx.json')) as Bom
    const [bundle, contents] = [join(base, 'plenum.js'), join(base, 'contents.json')]
    await run(process.execPath, ['build.js', bundle, contents], { cwd: root })
    metafile = readJson(contents) as Metafile
  })
  after(() => rm(base, { recursive: true, force: true }))

  test('all its files are there, with sums that sha256sum finds right', async () => {
    const files = ['SHA256SUMS', 'plenum.1', 'plenum.cdx.json', 'plenum.js', 'plenum.licences.txt', deb]
    assert.deepEqual((await readdir(dist)).sort(), files.sort())
    const { stdout } = await run('sha256sum', ['--check', '--strict', 'SHA256SUMS'], { cwd: dist })
    assert.deepEqual(
      stdout.trim().split('\n').sort(),
      files.filter((file) => file !== 'SHA256SUMS').map((file) => `${file}: OK`),
    )
  })

  test('its program is the one that is built and tested', async () => {
    assert.ok((await readFile(join(dist, 'plenum.js'))).equals(await readFile(builtBundle)))
  })

  test('made again, elsewhere and later, it has the same bytes', async () => {
    const again = join(base, 'again')
    await release(again, { TZ: 'Asia/Tokyo', LC_ALL: 'C', TMPDIR: base }, '077')
    for (const file of await readdir(dist))
      assert.ok((await readFile(join(again, file))).equals(await readFile(join(dist, file))), file)
  })

  test('its dates are those that SOURCE_DATE_EPOCH says', async () => {
    const dated = join(base, 'dated')
    await release(dated, { SOURCE_DATE_EPOCH: '4102444800' })
    assert.match(await readFile(join(dated, 'plenum.1'), 'utf8'), /^\.TH PLENUM 1 2100-01-01 /)
    assert.match(await readFile(join(dated, 'plenum.cdx.json'), 'utf8'), /"2100-01-01T00:00:00.000Z"/)
    const { stdout } = await run('dpkg-deb', ['--contents', join(dated, deb)], {
      env: { ...process.env, TZ: 'UTC' },
    })
    for (const line of stdout.trim().split('\n')) assert.match(line, / 2100-01-01 00:00 /)
  })

  test('the bill of materials names the program by its hash', async () => {
    assert.deepEqual([bom.bomFormat, bom.specVersion], ['CycloneDX', '1.6'])
    const { name, version: said, hashes } = bom.metadata.component
    const content = createHash('sha256')
      .update(await readFile(join(dist, 'plenum.js')))
      .digest('hex')
    assert.deepEqual(
      { name, said, hashes },
      { name: 'plenum', said: version, hashes: [{ alg: 'SHA-256', content }] },
    )
  })

  test('the bill of materials lists what esbuild has put into the bundle, and nothing else', async () => {
    const [output] = Object.values(metafile.outputs)
    const inside = new Set(
      Object.entries(output?.inputs ?? {}).flatMap(([file, { bytesInOutput }]) => {
        const [, name] = /^node_modules\/((?:@[^/]+\/)?[^/]+)\/(?!.*node_modules)/.exec(file) ?? []
        assert.ok(name || file.startsWith('src/'), file)
        return name && bytesInOutput > 0 ? [name] : []
      }),
    )
    assert.deepEqual(bom.components.map(fullName), [...inside].sort())
    for (const name of Object.keys(dependencies)) assert.ok(inside.has(name), `${name} is in the bundle`)
    for (const name of Object.keys(devDependencies)) assert.ok(!inside.has(name), name)
  })

  test('the bill of materials has the versions that are installed, and the hashes that they were installed by', () => {
    const lock = readJson(join(root, 'package-lock.json')) as {
      packages: Record<string, { version?: string; integrity?: string }>
    }
    for (const one of bom.components) {
      const name = fullName(one)
      const installed = readJson(join(root, 'node_modules', name, 'package.json')) as Record<string, string>
      const locked = lock.packages[`node_modules/${name}`]
      assert.equal(one.version, installed['version'])
      assert.equal(one.version, locked?.version)
      assert.equal(one.purl, `pkg:npm/${name.replace('@', '%40')}@${one.version}`)
      assert.deepEqual(one.licenses, [{ license: { id: installed['license'] } }])
      const [hash] = one.hashes
      const base64 = Buffer.from(hash?.content ?? '', 'hex').toString('base64')
      assert.equal(`${hash?.alg.replace('SHA-', 'sha')}-${base64}`, locked?.integrity)
    }
  })

  test('the bill of materials says what needs what', () => {
    const refs = [bom.metadata.component, ...bom.components].map((one) => one['bom-ref'])
    assert.deepEqual(bom.dependencies.map(({ ref }) => ref).sort(), refs.sort())
    const needs = new Map(bom.dependencies.map(({ ref, dependsOn }) => [ref, dependsOn]))
    const reached = new Set<string>()
    const visit = (ref: string): void => {
      if (reached.has(ref)) return
      reached.add(ref)
      for (const next of needs.get(ref) ?? []) visit(next)
    }
    visit(bom.metadata.component['bom-ref'])
    assert.deepEqual([...reached].sort(), refs)
  })

  test('the licence of each package in the bundle is there, in full', async () => {
    const text = await readFile(join(dist, 'plenum.licences.txt'), 'utf8')
    for (const one of bom.components) {
      const name = fullName(one)
      assert.ok(text.includes(`\n${name} ${one.version} (${one.licenses[0]?.license.id})\n`), name)
      const folder = join(root, 'node_modules', name)
      const own = (await readdir(folder)).find((file) => /^licen[cs]e/i.test(file))
      const from = own ? join(folder, own) : join(root, 'release/licences', `${name.replace('/', '__')}.txt`)
      assert.ok(text.includes((await readFile(from, 'utf8')).replaceAll('\r\n', '\n').trimEnd()), name)
    }
  })

  test('a licence that is not known, or whose text is missing or another one, ends it', async () => {
    const attempt = async (license: string, text: string | null): Promise<unknown> => {
      const scratch = await mkdtemp(join(base, 'licence-'))
      const folder = join(scratch, 'node_modules/some')
      await mkdir(folder, { recursive: true })
      await writeFile(
        join(folder, 'package.json'),
        JSON.stringify({ name: 'some', version: '1.0.0', license }),
      )
      if (text !== null) await writeFile(join(folder, 'LICENSE'), text)
      await writeFile(join(scratch, 'package-lock.json'), '{"packages":{}}')
      const input = { bytesInOutput: 1 }
      const contents = {
        inputs: {},
        outputs: { 'plenum.js': { inputs: { 'node_modules/some/index.js': input } } },
      } as unknown as Metafile
      return await bundledPackages(contents, scratch)
    }
    const mit = await readFile(join(root, 'LICENSE'), 'utf8')
    await attempt('MIT', mit)
    await assert.rejects(attempt('BUSL-1.1', mit), /has the licence "BUSL-1.1", which is not a known one/)
    await assert.rejects(attempt('MIT', null), /comes without the text of its licence/)
    await assert.rejects(attempt('Apache-2.0', mit), /but the text is another/)
  })

  test('the manual page names every command, flag and variable of the program', async () => {
    const page = (await readFile(join(dist, 'plenum.1'), 'utf8')).replaceAll('\\-', '-')
    const sections = Array.from(page.matchAll(/^\.SH (.*)$/gm), ([, name]) => name)
    assert.deepEqual(sections, [
      'NAME',
      'SYNOPSIS',
      'DESCRIPTION',
      'COMMANDS',
      'OPTIONS',
      'ENVIRONMENT',
      'SIGNALS',
      'FILES',
      'EXIT STATUS',
      'EXAMPLES',
      'SEE ALSO',
    ])
    for (const { name } of commands) assert.match(page, new RegExp(`^\\.TP\n\\\\fB${name}\\\\fR`, 'm'))
    const { stdout: usage } = await run(process.execPath, [builtBundle, '--help'])
    const named = Array.from(usage.matchAll(/^ {2}-([\w-]+)/gm), ([, name]) => name)
    assert.deepEqual(
      named,
      flags.map(({ name }) => name),
    )
    for (const { name, env } of flags) {
      assert.match(page, new RegExp(`^\\.TP\n\\\\fB-${name}\\\\fR`, 'm'))
      assert.ok(page.includes(env), env)
    }
  })

  for (const [program, ...args] of [
    ['mandoc', '-Tlint'],
    ['groff', '-man', '-ww', '-z', '-Tutf8'],
    ['man', '--warnings', '--encoding=UTF-8', '--local-file', '-Tutf8', '--ditroff'],
  ] as const)
    test(`${program} has nothing to say against the manual page`, { skip: lacks(program) }, async () => {
      // Else man asks groff not to warn of what it cannot break.
      const env = { ...process.env, MANROFFSEQ: '', LC_ALL: 'C.UTF-8' }
      const { status, stdout, stderr } = spawnSync(program, [...args, join(dist, 'plenum.1')], { env })
      assert.equal(String(stderr) + (program === 'mandoc' ? String(stdout) : ''), '')
      assert.equal(status, 0)
    })

  test('the package says what it is and what it needs', async () => {
    const { stdout } = await run('dpkg-deb', ['--field', join(dist, deb)])
    const fields = new Map(Array.from(stdout.matchAll(/^(\S+): (.*)$/gm), ([, name, value]) => [name, value]))
    assert.equal(fields.get('Package'), 'plenum')
    assert.equal(fields.get('Version'), version)
    assert.equal(fields.get('Architecture'), 'all')
    assert.equal(fields.get('Depends'), 'nodejs (>= 20), adduser')
    assert.equal(fields.get('Recommends'), 'nginx')
    assert.equal(fields.get('Suggests'), 'postgresql')
  })

  test("the package has its files, all of them root's, and only the settings are not for everybody", async () => {
    const { stdout } = await run('dpkg-deb', ['--contents', join(dist, deb)])
    const lines = stdout.trim().split('\n')
    const entries = lines.map((line) => line.split(/\s+/)).filter(([mode]) => !mode?.startsWith('d'))
    assert.deepEqual(
      entries.map(([mode, owner, , , , path]) => [mode, owner, path]),
      [
        ['-rw-------', 'root/root', './etc/default/plenum'],
        ['-rw-r--r--', 'root/root', './usr/lib/systemd/system/plenum.service'],
        ['-rw-r--r--', 'root/root', './usr/lib/systemd/system/plenum.socket'],
        ['-rw-r--r--', 'root/root', './usr/share/doc/plenum/changelog.gz'],
        ['-rw-r--r--', 'root/root', './usr/share/doc/plenum/copyright'],
        ['-rw-r--r--', 'root/root', './usr/share/lintian/overrides/plenum'],
        ['-rw-r--r--', 'root/root', './usr/share/man/man1/plenum.1.gz'],
        ['-rwxr-xr-x', 'root/root', './usr/share/plenum/plenum.js'],
        ['lrwxrwxrwx', 'root/root', './usr/bin/plenum'],
      ],
    )
    for (const line of lines) if (line.startsWith('d')) assert.match(line, /^drwxr-xr-x root\/root /)
    const tree = join(base, 'tree')
    await run('dpkg-deb', ['--raw-extract', join(dist, deb), tree])
    assert.equal(await readFile(join(tree, 'DEBIAN/conffiles'), 'utf8'), '/etc/default/plenum\n')
    assert.ok((await readFile(join(tree, 'usr/share/plenum/plenum.js'))).equals(await readFile(builtBundle)))
    const unit = await readFile(join(tree, 'usr/lib/systemd/system/plenum.service'), 'utf8')
    assert.match(unit, /^ExecStart=\/usr\/bin\/plenum -config \/etc\/default\/plenum$/m)
    assert.equal(unit.includes('/usr/local'), false)
    await run('md5sum', ['--check', '--strict', 'DEBIAN/md5sums'], { cwd: tree })
  })

  test('lintian has nothing to say against the package', { skip: lacks('lintian') }, async () => {
    const { status, stdout } = spawnSync('lintian', ['--allow-root', '--fail-on=warning', join(dist, deb)])
    assert.equal(String(stdout), '')
    assert.equal(status, 0)
  })

  test(
    'the package installs, upgrades, goes and is purged; edited settings stay until then',
    {
      skip: noDebianMachine() || lacks('dpkg') || lacks('adduser'),
    },
    async (t) => {
      const installedHere = existsSync('/usr/share/plenum')
      await newerPackage(join(dist, deb), join(base, 'newer.deb'))
      const machine = await DebianMachine.open(t, base)
      const ask = async (command: string): Promise<string> => {
        const { status, output } = await machine.run(command)
        assert.equal(status, 0, `${command}: ${output}`)
        return output
      }
      // The index of all manual pages takes seconds, and is made anew at each step.
      await ask('rm -f /var/lib/man-db/auto-update')
      // Node may have come here in another way than as a package.
      const dpkg = 'DEBIAN_FRONTEND=noninteractive dpkg --ignore-depends=nodejs --force-confold'
      const path = `PATH="${dirname(process.execPath)}:$PATH"`
      const settings = '/etc/default/plenum'

      await ask(`${dpkg} --install /mnt/dist/${deb}`)
      assert.equal(
        await ask(`${path} plenum --version`),
        `plenum ${version} (node ${process.versions.node})\n`,
      )
      assert.match(await ask('getent passwd plenum'), /^plenum:.*:\/nonexistent:\/usr\/sbin\/nologin$/m)
      assert.equal(await ask('dpkg --verify plenum'), '')
      assert.match(await ask(`ls -l ${settings}`), /^-rw-r----- 1 root plenum /)
      // As an older package left it.
      await ask(`chown plenum:root ${settings} && chmod 600 ${settings}`)
      assert.notEqual((await machine.run('ls /etc/systemd/system/*/plenum.service')).status, 0)

      await ask(`sed -i s/www.example.org/site.example.org/ ${settings}`)
      await ask(`${dpkg} --install /mnt/newer.deb`)
      assert.equal(await ask("dpkg-query --show --showformat='${Version}' plenum"), '99.0.0')
      assert.match(await ask(`cat ${settings}`), /^PLENUM_ORIGIN=https:\/\/site\.example\.org,/m)
      assert.match(await ask(`cat ${settings}.dpkg-dist`), /^#PLENUM_NEW=$/m)
      assert.match(await ask(`ls -l ${settings}`), /^-rw-r----- 1 root plenum /)

      // What `systemctl enable` does: who installs the package again is to find it so, and who purges it is not.
      const enabled = '/etc/systemd/system/multi-user.target.wants/plenum.service'
      await ask(`mkdir -p $(dirname ${enabled}) && ln -s /usr/lib/systemd/system/plenum.service ${enabled}`)
      await ask(`${dpkg} --remove plenum`)
      assert.notEqual((await machine.run('ls /usr/bin/plenum')).status, 0)
      assert.match(await ask(`cat ${settings}`), /meetings\.example\.org/)

      await ask(`${dpkg} --install /mnt/newer.deb`)
      assert.match(await ask(`cat ${settings}`), /meetings\.example\.org/)
      await ask(`test -L ${enabled} && test ! -e /etc/systemd/system/plenum.service`)
      await ask(`${dpkg} --purge plenum`)
      const left = await ask("find /etc /usr /var/lib -xdev -path '*/plenum*' -not -path '/usr/src/*'")
      assert.equal(left, '')
      assert.equal(existsSync('/usr/share/plenum'), installedHere)
    },
  )
})

/** The same package, of a higher version and with other settings. */
async function newerPackage(deb: string, newer: string): Promise<void> {
  const tree = `${newer}.tree`
  await run('dpkg-deb', ['--raw-extract', deb, tree])
  const control = join(tree, 'DEBIAN/control')
  await writeFile(control, (await readFile(control, 'utf8')).replace(/^Version: .*$/m, 'Version: 99.0.0'))
  await appendFile(join(tree, 'etc/default/plenum'), '#PLENUM_NEW=\n')
  await run('dpkg-deb', ['--root-owner-group', '--build', tree, newer])
}
