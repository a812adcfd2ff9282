import { execFile, execFileSync, spawn, spawnSync } from 'node:child_process'
import { cp, mkdir, mkdtemp, readFile, realpath, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { currentRuntime, denoBinary, Plenum } from './server.ts'

/** Why there can be no container here, in words, or what runs it. */
export type Found = { podman: Podman; lack?: never } | { podman?: never; lack: string }

/** What a program said before it ended. */
export interface Said {
  code: number
  stdout: string
  stderr: string
}

const checkout = fileURLToPath(new URL('../..', import.meta.url))
const buildBase = 'localhost/build-base'
const runtimeBase = 'localhost/runtime-base'

/** podman asks for more than a root without all capabilities may give. */
export const limits = ['--ulimit=nofile=4096:4096', '--ulimit=nproc=4096:4096']

/** What a container is kept from, wherever this suite runs one. */
export const confined = ['--read-only', '--cap-drop=all', '--security-opt=no-new-privileges']

/**
 * podman with a storage of its own, in which there are two base images made of this machine's files: one to build in,
 * with Node and npm, and one with the runtime and its libraries alone, as the public ones have it.
 */
export class Podman {
  readonly #folder: string
  readonly #globals: string[]

  private constructor(folder: string, driver: string) {
    this.#folder = folder
    const place = (name: string): string => join(folder, name)
    this.#globals = [
      ...['--root', place('root'), '--runroot', place('run'), '--tmpdir', place('tmp')],
      ...['--storage-driver', driver, '--cgroup-manager', 'cgroupfs', '--events-backend', 'none'],
    ]
  }

  /** Finds out by trying: what a machine lacks for a container, only a container tells. */
  static async find(): Promise<Found> {
    if (spawnSync('podman', ['--version']).status !== 0) return { lack: 'there is no podman' }
    if (process.getuid?.() !== 0) return { lack: 'podman is tried as root only' }
    let lack = ''
    for (const driver of ['overlay', 'vfs']) {
      const podman = new Podman(await mkdtemp(join(tmpdir(), 'plenum-podman-')), driver)
      try {
        await podman.#importBases()
        await podman.#chooseRuntime()
        return { podman }
      } catch (error) {
        lack = `podman cannot run a container here: ${String(error)}`
        await podman.remove()
      }
    }
    return { lack }
  }

  /** The image that a target of Containerfile says, in the format that keeps HEALTHCHECK. */
  async build(image: string, target: string): Promise<void> {
    const cache = npm('config', 'get', 'cache')
    await this.must(
      ...['build', '--format=docker', '--layers=false', '--network=host', ...limits],
      ...[`--target=${target}`, `--tag=${image}`, `--volume=${cache}:/root/.npm`],
      `--build-arg=BUILD_IMAGE=${buildBase}`,
      `--build-arg=${target.toUpperCase()}_IMAGE=${runtimeBase}`,
      checkout,
    )
  }

  /** Every file of an image that is not one of its base's. */
  async filesBesidesBase(image: string): Promise<string[]> {
    const [base, all] = [await this.#files(runtimeBase), await this.#files(image)]
    return [...all].filter((file) => !base.has(file))
  }

  /** One file of an image. */
  async file(image: string, path: string): Promise<string> {
    const root = (await this.must('image', 'mount', image)).trim()
    try {
      return await readFile(join(root, path), 'utf8')
    } finally {
      await this.must('image', 'unmount', image)
    }
  }

  /**
   * `podman run` in the foreground, with what the server says; it ends by itself if this process cannot end it.
   * `passedSocket` is the descriptor of a listening socket, which is passed as systemd does.
   */
  run(listen: string, args: string[], passedSocket?: number): Plenum {
    const command = ['podman', ...this.#globals, 'run', '--timeout=240', ...args]
    const activation = passedSocket === undefined ? '' : 'LISTEN_PID=$$ LISTEN_FDS=1 '
    const child = spawn('/bin/sh', ['-c', `${activation}exec "$@"`, 'sh', ...command], {
      stdio: ['ignore', 'pipe', 'pipe', ...(passedSocket === undefined ? [] : [passedSocket])],
    })
    return new Plenum(child, listen)
  }

  /** Runs a podman command to its end. */
  ask(...args: string[]): Promise<Said> {
    return new Promise((resolve) => {
      execFile('podman', [...this.#globals, ...args], { maxBuffer: 1 << 26 }, (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1
        resolve({ code, stdout, stderr })
      })
    })
  }

  /** The same, where anything but success is an error. */
  async must(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.ask(...args)
    if (code !== 0) throw new Error(`podman ${args[0]} ended with ${code}: ${stderr.trim().slice(-2000)}`)
    return stdout
  }

  /** Ends what runs and removes everything. */
  async remove(): Promise<void> {
    await this.ask('rm', '--all', '--force', '--time=0')
    await this.ask('image', 'unmount', '--all')
    spawnSync('umount', [join(this.#folder, 'root', 'overlay')]) // which the driver mounts on itself
    await rm(this.#folder, { recursive: true, force: true })
  }

  /** On some arrangements of control groups one of them works and the other does not. */
  async #chooseRuntime(): Promise<void> {
    const installed = ['crun', 'runc'].filter((name) => spawnSync(name, ['--version']).status === 0)
    const tries: Said[] = []
    for (const name of installed) {
      const command = ['run', '--rm', '--network=none', ...limits, runtimeBase, runtime().path, '--version']
      this.#globals.push('--runtime', name)
      const said = await this.ask(...command)
      if (said.code === 0) return
      tries.push(said)
      this.#globals.splice(-2)
    }
    throw new Error(tries.map(({ stderr }) => stderr.trim()).join('; ') || 'there is neither crun nor runc')
  }

  async #importBases(): Promise<void> {
    const node = await realpath(process.execPath)
    const npmFolder = dirname(
      dirname(await realpath(execFileSync('which', ['npm'], { encoding: 'utf8' }).trim())),
    )
    const certificates = process.env['NODE_EXTRA_CA_CERTS']
    await this.#import(buildBase, {
      programs: { '/usr/bin/node': node, '/usr/bin/env': '/usr/bin/env' },
      files: {
        '/usr/lib/node_modules/npm': npmFolder,
        ...(certificates ? { '/etc/certificates.pem': certificates } : {}),
      },
      links: { '/usr/bin/npm': '../lib/node_modules/npm/bin/npm-cli.js' },
      env: {
        npm_config_registry: npm('config', 'get', 'registry'),
        ...(certificates ? { NODE_EXTRA_CA_CERTS: '/etc/certificates.pem' } : {}),
      },
    })
    const { path, binary } = runtime()
    await this.#import(runtimeBase, {
      programs: { [path]: await realpath(binary) },
      files: {},
      links: { '/var/run': '/run' },
      env: {},
    })
  }

  async #import(image: string, { programs, files, links, env }: Contents): Promise<void> {
    const root = await mkdtemp(join(this.#folder, 'files-'))
    const put = async (target: string, source: string): Promise<void> => {
      await mkdir(join(root, dirname(target)), { recursive: true })
      await cp(source, join(root, target), { recursive: true, dereference: true, force: false })
    }
    for (const [target, source] of Object.entries(programs)) {
      await put(target, source)
      const libraries = execFileSync('ldd', [source], { encoding: 'utf8' }).match(/\/\S+/g) ?? []
      for (const library of libraries) await put(library, library)
    }
    for (const [target, source] of Object.entries(files)) await put(target, source)
    for (const [path, target] of Object.entries(links)) {
      await mkdir(join(root, dirname(path)), { recursive: true })
      await symlink(target, join(root, path))
    }
    const archive = `${root}.tar`
    execFileSync('tar', ['-C', root, '--owner=0', '--group=0', '--mode=go=u-w', '-cf', archive, '.'])
    const settings = Object.entries(env).map(([name, value]) => `--change=ENV ${name}=${value}`)
    await this.must('import', '--quiet', ...settings, archive, image)
    await rm(root, { recursive: true })
    await rm(archive)
  }

  async #files(image: string): Promise<Set<string>> {
    const root = (await this.must('image', 'mount', image)).trim()
    try {
      const found = execFileSync('find', [root, '-mindepth', '1', '-printf', '/%P\n'], { encoding: 'utf8' })
      return new Set(found.split('\n').filter((line) => line !== ''))
    } finally {
      await this.must('image', 'unmount', image)
    }
  }
}

type Contents = {
  /** With the libraries that they need. */
  programs: Record<string, string>
  files: Record<string, string>
  links: Record<string, string>
  env: Record<string, string>
}

/** The runtime that this run is about, and where the public images keep it. */
function runtime(): { path: string; binary: string } {
  return currentRuntime() === 'deno'
    ? { path: '/bin/deno', binary: denoBinary }
    : { path: '/nodejs/bin/node', binary: process.execPath }
}

function npm(...args: string[]): string {
  return execFileSync('npm', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
}
