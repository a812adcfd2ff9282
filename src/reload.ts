import type { Config } from './config/config.ts'
import { UsageError } from './config/flag.ts'
import { compareSettings, type Settings } from './config/settings.ts'
import { type Brand, BrandError } from './edge/brand.ts'
import { type Log, stackOf } from './edge/log.ts'
import { type Certificate, CertificateError, type CertificateFiles } from './edge/tls.ts'

export type ReloadDeps = {
  /** The settings as they are now; throws `UsageError` where they cannot be used. */
  read: () => { config: Config; settings: Settings }
  /** Throws `CertificateError`. */
  readCertificate: (files: CertificateFiles) => Certificate
  /** Throws `BrandError`. */
  readBrand: (path: string) => Brand
  running: {
    adjust: (config: Config) => void
    certify: (certificate: Certificate) => void
    show: (brand: Brand | null) => void
  }
  log: Log
}

const certificateFlags = new Set(['tlscert', 'tlskey'])

/**
 * What SIGHUP asks for: gives a function that reads the settings, the certificate and the brand again and has the server
 * take what it can take while it runs. The log says what came of it. Settings that cannot be used change nothing; a
 * certificate or a brand that cannot be used leaves the old one in its place.
 */
export function createReload(started: Settings, deps: ReloadDeps): () => void {
  const { log, running } = deps
  let current = started

  const reload = (): void => {
    const tls = current.tlscert.value !== null
    if (current.config.value === null && current.brand.value === null && !tls) {
      const reason = 'neither -config nor -tlscert nor -brand is given'
      return log({ level: 'info', event: 'nothingToReload', reason })
    }
    const { config, settings } = deps.read()
    const { taken, later, settings: next } = compareSettings(current, settings)
    running.adjust(config)
    // A server that speaks TLS and is to be started without it goes on with what it has.
    const certificate = tls && config.tls ? renew(config.tls, deps) : null
    const kept = tls && !certificate
    const rebranded = rebrand(config.brand, deps)
    current = {
      ...next,
      ...(kept ? { tlscert: current.tlscert, tlskey: current.tlskey } : {}),
      ...(rebranded ? {} : { brand: current.brand }),
    }
    log({
      level: 'info',
      event: 'reloaded',
      settings: Object.fromEntries(
        Object.entries(taken).filter(
          ([name]) => (!kept || !certificateFlags.has(name)) && (rebranded || name !== 'brand'),
        ),
      ),
      ...(certificate ? { certificate: `valid until ${certificate.validTo.toISOString()}` } : {}),
    })
    if (later.length > 0)
      log({
        level: 'warn',
        event: 'restartNeeded',
        settings: later,
        reason: 'takes effect at the next start',
      })
  }

  return () => {
    try {
      reload()
    } catch (error) {
      const known = error instanceof UsageError
      log({
        level: 'error',
        event: 'reloadFailed',
        error: known ? `${error.message}; nothing is changed` : stackOf(error),
      })
    }
  }
}

/** Null where the old one stays. */
function renew(files: CertificateFiles, { readCertificate, running, log }: ReloadDeps): Certificate | null {
  try {
    const certificate = readCertificate(files)
    running.certify(certificate)
    return certificate
  } catch (error) {
    if (!(error instanceof CertificateError)) throw error
    log({ level: 'error', event: 'reloadFailed', error: `${error.message}; the old certificate stays` })
    return null
  }
}

/** False where the old one stays. */
function rebrand(path: string | null, { readBrand, running, log }: ReloadDeps): boolean {
  try {
    running.show(path === null ? null : readBrand(path))
    return true
  } catch (error) {
    if (!(error instanceof BrandError)) throw error
    log({ level: 'error', event: 'reloadFailed', error: `${error.message}; the pages stay as they are` })
    return false
  }
}
