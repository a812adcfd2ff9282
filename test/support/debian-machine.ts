import { spawn, spawnSync } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rmdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { tether } from '../../demo/tether.ts'

export type Answer = Readonly<{ status: number; output: string }>

// A layer in memory over this machine's own files, in a mount namespace that ends with its last process. Nothing in it
// reaches this machine's services: /run, with the sockets of systemd and others, is empty.
const enter = `
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
mount -t tmpfs tmpfs "$1/root/run"
mount -t proc proc "$1/root/proc"
mount --bind /dev "$1/root/dev"
mount --bind "$2" "$1/root/mnt"
exec chroot "$1/root" /bin/sh
`
const namespaces = ['--mount', '--pid', '--ipc', '--net', '--fork', '--kill-child']

/** Why there cannot be a machine of one's own here, or false. */
export function noDebianMachine(): string | false {
  if (process.platform !== 'linux' || process.getuid?.() !== 0)
    return 'only root on Linux can have a root of its own'
  const works = spawnSync('unshare', [
    ...namespaces,
    'sh',
    '-ec',
    'mount -t tmpfs tmpfs /mnt && mkdir /mnt/a /mnt/b /mnt/c && mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/a,workdir=/mnt/b /mnt/c',
  ])
  return works.status === 0 ? false : 'no overlay can be mounted here'
}

/** This machine as it would be after some commands, which do nothing to it. A folder of it is at /mnt. */
export class DebianMachine {
  readonly #shell: ChildProcess
  #output = ''
  #heard: () => void = () => {}

  static async open(t: TestContext, folder: string): Promise<DebianMachine> {
    const place = await mkdtemp(join(tmpdir(), 'plenum-root-'))
    const machine = new DebianMachine(place, folder)
    t.after(async () => {
      await machine.#close()
      await rmdir(place)
    })
    return machine
  }

  private constructor(place: string, folder: string) {
    const shell = spawn('unshare', [...namespaces, 'sh', '-c', enter, 'sh', place, folder], {
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    for (const stream of [shell.stdout, shell.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.#output += text
        this.#heard()
      })
    shell.once('close', () => this.#heard())
    tether(shell, 'KILL')
    this.#shell = shell
  }

  /** One at a time. */
  async run(command: string): Promise<Answer> {
    const mark = randomUUID()
    this.#output = ''
    this.#shell.stdin?.write(`( ${command}\n) 2>&1 </dev/null; echo "${mark} $?"\n`)
    const end = new RegExp(`^([^]*)${mark} (\\d+)\\n`)
    for (;;) {
      const [, output, status] = end.exec(this.#output) ?? []
      if (output !== undefined) return { status: Number(status), output }
      if (this.#shell.exitCode !== null || this.#shell.signalCode !== null)
        throw new Error(`the machine has ended: ${this.#output}`)
      await new Promise<void>((resolve) => {
        this.#heard = resolve
      })
    }
  }

  async #close(): Promise<void> {
    if (this.#shell.exitCode !== null || this.#shell.signalCode !== null) return
    const closed = once(this.#shell, 'close')
    this.#shell.kill('SIGKILL')
    await closed
  }
}
