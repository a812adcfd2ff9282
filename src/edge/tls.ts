import { createPrivateKey, X509Certificate } from 'node:crypto'
import type { Socket } from 'node:net'
import { createSecureContext } from 'node:tls'

/** Where a certificate with its chain, and its key, are to be read. */
export type CertificateFiles = Readonly<{ cert: string; key: string }>

/** What a server shows of itself, in PEM, and until when that is believed. */
export type Certificate = Readonly<{ cert: string; key: string; validTo: Date }>

/** A certificate or its key cannot be used; the message is one line and repeats nothing of them. */
export class CertificateError extends Error {}

/** How TLS is spoken. */
export const tlsOptions = { minVersion: 'TLSv1.2' } as const

/**
 * Reads a certificate and its key and makes sure that a server can use them. `readFile` gives null for a file that cannot
 * be read, and `cannotRead` says so in words.
 *
 * @throws CertificateError that names the flag and the file
 */
export function readCertificate(
  files: CertificateFiles,
  readFile: (path: string) => string | null,
  cannotRead: (path: string) => string,
): Certificate {
  const read = (flag: 'tlscert' | 'tlskey', path: string): string => {
    const text = readFile(path)
    if (text === null) throw new CertificateError(`-${flag}: ${cannotRead(path)}`)
    return text
  }
  const cert = read('tlscert', files.cert)
  const key = read('tlskey', files.key)
  // Each by itself: a runtime may take a chain for granted that it has not looked at.
  const chain = cert.match(/-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----/gs) ?? []
  const [own] = chain.map((one) =>
    tried(
      () => new X509Certificate(one),
      `-tlscert: ${files.cert} has a certificate that cannot be understood`,
    ),
  )
  if (!own) throw new CertificateError(`-tlscert: ${files.cert} has no certificate in PEM`)
  const secret = tried(
    () => createPrivateKey(key),
    `-tlskey: ${files.key} has no key in PEM, or one with a passphrase`,
  )
  const matches = tried(
    () => own.checkPrivateKey(secret),
    `-tlskey: ${files.key} has a key of an unknown kind`,
  )
  if (!matches)
    throw new CertificateError(
      `-tlskey: ${files.key} has not the key of the first certificate in ${files.cert}`,
    )
  tried(
    () => createSecureContext({ cert, key, ...tlsOptions }),
    `-tlscert: ${files.cert} and ${files.key} cannot be used`,
  )
  return { cert, key, validTo: new Date(own.validTo) }
}

/**
 * The socket of the TCP connection below one that speaks TLS, or `socket` itself: what the two runtimes have no public
 * name for. The connection is one for whoever counts or cuts it, from before its handshake to its end.
 */
export function transportOf(socket: Socket): Socket {
  return (socket as { _parent?: Socket | null })._parent ?? socket
}

function tried<T>(work: () => T, otherwise: string): T {
  try {
    return work()
  } catch (error) {
    throw new CertificateError(otherwise, { cause: error })
  }
}
