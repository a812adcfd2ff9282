import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { networkInterfaces, tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { setTimeout as wait } from 'node:timers/promises'
import { freePort } from '../../demo/port.ts'
import { tether } from '../../demo/tether.ts'
import { makeCertificate } from './certificate.ts'
import { until } from './until.ts'

/** Whether this machine has nginx; where it has none, its tests have to be skipped. */
export const hasNginx = spawnSync('nginx', ['-v']).status === 0

/** Whether this machine has an IPv6 address of its own: then nginx listens there, too. */
export const hasIpv6 = Object.values(networkInterfaces()).some((all) =>
  all?.some(({ address }) => address === '::1'),
)

/** The project's nginx.conf in a real nginx, with names, certificate and addresses of a test. */
export interface Nginx {
  readonly port: number
  readonly plainPort: number
  /** The certificate that clients have to trust. */
  readonly certificate: Buffer
  /** For the `ws` package. */
  socketUrl(path: string): string
  /** Has it read its configuration again, as `systemctl reload nginx` does; resolves when new workers are there. */
  reload(): Promise<void>
  /** How many worker processes there are, those among them that serve only what they have. */
  workers(): Promise<number>
  /** All that it has logged, by file; what it said on stderr is under that name. */
  logs(): Promise<Record<string, string>>
  stop(): Promise<void>
}

/** `upstreams`: what stands in place of the `server` lines. */
export async function startNginx(
  upstreams: string[],
  change: (site: string) => string = (site) => site,
): Promise<Nginx> {
  const folder = await mkdtemp(join(tmpdir(), 'plenum-nginx-'))
  const [port, plainPort] = [await freePort(), await freePort()]
  const { cert: certificate, key } = makeCertificate(folder, 'ec')
  const logs = join(folder, 'logs')
  await mkdir(logs)

  const original = await readFile(fileURLToPath(new URL('../../nginx.conf', import.meta.url)), 'utf8')
  const replace = (site: string, pattern: RegExp, by: string): string => {
    if (!pattern.test(site)) throw new Error(`nginx.conf has no ${String(pattern)}`)
    return site.replace(pattern, by)
  }
  let site = hasIpv6 ? original : original.replace(/^ *listen \[::\].*\n/gm, '')
  site = replace(site, /server unix:.*\n/, upstreams.map((one) => `server ${one} max_fails=0;\n`).join(''))
  site = replace(site, /listen 80;/, `listen 127.0.0.1:${plainPort};`)
  site = replace(site, /listen 443 /, `listen 127.0.0.1:${port} `)
  site = site.replace('[::]:80', `[::1]:${plainPort}`).replace('[::]:443', `[::1]:${port}`)
  site = replace(site, /\/var\/log\/nginx\//g, `${logs}/`)
  site = replace(site, /ssl_certificate .*;/, `ssl_certificate ${certificate};`)
  site = replace(site, /ssl_certificate_key .*;/, `ssl_certificate_key ${key};`)
  site = change(site.replaceAll('meetings.example.org', 'localhost'))
  const config = join(folder, 'nginx.conf')
  await writeFile(join(folder, 'site.conf'), site)
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${join(folder, name)};`)
    .join('\n')
  await writeFile(
    config,
    `${userInfo().uid === 0 ? 'user root;' : ''}
    worker_processes 2;
    pid ${join(folder, 'pid')};
    error_log ${join(logs, 'error.log')} info;
    events { worker_connections 4096; }
    http {
      # As a distribution's own nginx.conf has it.
      access_log ${join(logs, 'access.log')};
      ${temporary}
      include ${join(folder, 'site.conf')};
    }`,
  )
  const args = ['-p', folder, '-c', config]
  const child = spawn('nginx', [...args, '-g', 'daemon off;'], { stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  child.stderr.on('data', (data) => (said += String(data)))
  tether(child, 'KILL')
  const workerIds = async (): Promise<string[]> => {
    const children = await readFile(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8')
    return children.split(' ').filter(Boolean)
  }
  await until(`nginx runs: ${said}`, async () => {
    if (child.exitCode !== null) throw new Error(`nginx ended: ${said}`)
    return (await workerIds()).length === 2
  })
  return {
    port,
    plainPort,
    certificate: await readFile(certificate),
    socketUrl: (path) => `wss://localhost:${port}${path}`,
    async reload() {
      const before = new Set(await workerIds())
      child.kill('SIGHUP')
      await until(
        'new workers are there',
        async () => (await workerIds()).filter((id) => !before.has(id)).length === 2,
      )
    },
    workers: async () => (await workerIds()).length,
    async logs() {
      const files = (await readdir(logs)).map(
        async (name) => [name, await readFile(join(logs, name), 'utf8')] as const,
      )
      return { ...Object.fromEntries(await Promise.all(files)), stderr: said }
    },
    async stop() {
      child.kill('SIGTERM')
      await Promise.race([once(child, 'exit'), wait(3000)])
      child.kill('SIGKILL')
      await rm(folder, { recursive: true, force: true })
    },
  }
}
