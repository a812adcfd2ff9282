import { cannotRead, type Host, type Settings } from './place.ts'

/** What the client shows of itself, in PEM. */
export type ClientCertificate = Readonly<{ cert: string; key: string }>

/**
 * How a connection is protected: `prefer` takes TLS where the server offers it, `require` insists on it without
 * looking at the certificate, `verify-ca` checks who signed it and `verify-full` its host name too. `ca` is PEM;
 * null means the authorities that the runtime or the system trusts.
 */
export type Tls =
  | { type: 'disable' }
  | { type: 'prefer' | 'require'; client: ClientCertificate | null }
  | { type: 'verify-ca' | 'verify-full'; ca: string | null; client: ClientCertificate | null }

const modes = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'] as const

/**
 * Reads `sslmode`, `sslrootcert`, `sslcert`, `sslkey` and lib/pq's `sslinline`. As in lib/pq the mode is `require`
 * where none is given, and `require` with a root certificate checks it like `verify-ca`. `allow` is read as `prefer`:
 * it differs only in what is tried first.
 *
 * @throws Error naming the keyword, and the path of a file that cannot be read, never a value of another kind
 */
export function readTls(settings: Settings, host: Host): Tls {
  const normal = settings.get('sslrootcert') === 'system' ? 'verify-full' : 'require'
  const wished = settings.get('sslmode') ?? normal
  const mode = modes.find((mode) => mode === wished)
  if (!mode) throw new Error(`sslmode takes ${modes.join(', ')}`)
  switch (mode) {
    case 'disable':
      return { type: 'disable' }
    case 'allow':
    case 'prefer':
      return { type: 'prefer', client: readClient(settings, host) }
    case 'require':
    case 'verify-ca':
    case 'verify-full':
      return readVerifying(mode, settings, host)
  }
}

function readVerifying(mode: 'require' | 'verify-ca' | 'verify-full', settings: Settings, host: Host): Tls {
  const client = readClient(settings, host)
  if (settings.get('sslrootcert') === 'system') {
    // Anybody can get a certificate from a public authority, so that only the host name says anything.
    if (mode !== 'verify-full') throw new Error('sslrootcert=system takes sslmode=verify-full')
    return { type: mode, ca: null, client }
  }
  const ca = readRoot(settings, host)
  if (mode !== 'require') return { type: mode, ca, client }
  return ca === null ? { type: 'require', client } : { type: 'verify-ca', ca, client }
}

function readRoot(settings: Settings, host: Host): string | null {
  const given = settings.has('sslrootcert')
  const pem = given ? readPem('sslrootcert', settings, host) : host.readFile(inHome(host, 'root.crt'))
  if (pem !== null && !pem.includes('-----BEGIN'))
    throw new Error('sslrootcert takes a file with certificates in PEM')
  return pem
}

function readClient(settings: Settings, host: Host): ClientCertificate | null {
  const cert = settings.has('sslcert')
    ? readPem('sslcert', settings, host)
    : host.readFile(inHome(host, 'postgresql.crt'))
  if (cert === null) return null
  const key = settings.has('sslkey')
    ? readPem('sslkey', settings, host)
    : host.readFile(inHome(host, 'postgresql.key'))
  if (key === null)
    throw new Error(`sslkey is not given, and ${cannotRead(inHome(host, 'postgresql.key'), host)}`)
  return { cert, key }
}

function readPem(keyword: string, settings: Settings, host: Host): string {
  const value = settings.get(keyword) ?? ''
  if (isTrue(settings.get('sslinline'))) return value
  // A whole certificate here, for want of sslinline, would be neither a good path nor a good message.
  if (value.includes('\n')) throw new Error(`${keyword} takes a path, or PEM with sslinline=true`)
  const pem = host.readFile(value)
  if (pem === null) throw new Error(`${keyword}: ${cannotRead(value, host)}`)
  return pem
}

function isTrue(text: string | undefined): boolean {
  return text === 'true' || text === '1' || text === 'yes' || text === 'on'
}

function inHome(host: Host, name: string): string {
  return `${host.home}/.postgresql/${name}`
}
