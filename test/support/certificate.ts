import { execFileSync } from 'node:child_process'
import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'

export type CertificateKind = 'rsa' | 'ec'

/** The files of a new certificate for this machine, which is its own authority, and of its key. */
export function makeCertificate(
  folder: string,
  kind: CertificateKind = 'rsa',
): { cert: string; key: string } {
  const place = mkdtempSync(join(folder, 'certificate-'))
  const [cert, key] = [join(place, 'certificate.pem'), join(place, 'key.pem')]
  const how = kind === 'rsa' ? ['rsa:2048'] : ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256']
  const what = ['-nodes', '-days', '2', '-subj', '/CN=localhost']
  const names = ['-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1']
  execFileSync(
    'openssl',
    ['req', '-x509', '-newkey', ...how, ...what, ...names, '-keyout', key, '-out', cert],
    { stdio: 'pipe' },
  )
  return { cert, key }
}
