import { X509Certificate } from 'node:crypto'
import { get } from 'node:http'
import { get as getSecurely } from 'node:https'
import type { Sql } from 'postgres'
import { type Config, servedDoors } from './config/config.ts'
import { publicStatus } from './config/server-flags.ts'
import { withAdvice } from './db/advice.ts'
import { describeDatabase } from './db/conninfo.ts'
import { openPool } from './db/pool.ts'
import { refuseSharedSessions } from './db/pooler.ts'
import { checkWritable } from './db/trial.ts'
import type { ListenAddress } from './edge/address.ts'
import { describeAddress, obstacle } from './edge/listen.ts'
import { type Brand, describeBrand } from './edge/brand.ts'
import type { Certificate } from './edge/tls.ts'
import type { Outcome } from './hub/door.ts'
import { checkDoors, checkTables, makeTables, migrateDoors, tryDoors } from './setup.ts'

const healthTimeoutMs = 5000

/** Opens one connection for `work`. */
export async function withDatabase<T>(config: Config, work: (sql: Sql) => Promise<T>): Promise<T> {
  const open = (): Sql => openPool(config.database, { timezone: config.timezone, max: 1 })
  const sql = open()
  try {
    await refuseSharedSessions(sql, open)
    return await work(sql)
  } catch (error) {
    throw withAdvice(error, config.database)
  } finally {
    await sql.end({ timeout: 1 })
  }
}

/** `plenum migrate`: brings schema plenum up to date, and makes tables of doors where they are asked for and missing. */
export async function runMigrate(config: Config): Promise<Outcome> {
  const { steps, made } = await withDatabase(config, async (sql) => ({
    steps: await migrateDoors(sql),
    made: await makeTables(sql, config),
  }))
  const text =
    steps > 0 ? `schema plenum is up to date now (steps done: ${steps})` : 'schema plenum is up to date'
  return { text: [text, ...made].join('; '), ok: true }
}

/**
 * `plenum check`: the configuration has been read, the certificate and the brand too; sockets can be made; the database answers, is
 * migrated, grants what is needed, and takes what is to be written.
 */
export async function runCheck(
  config: Config,
  { certificate, brand }: { certificate: Certificate | null; brand: Brand | null },
): Promise<Outcome> {
  const seen = await checkPlaces(config)
  if (seen.failures.length > 0) return { text: seen.failures.join('\n'), ok: false }
  const advice = await withDatabase(config, async (sql) => {
    await checkWritable(sql)
    await migrateDoors(sql)
    await checkDoors(sql, config)
    await makeTables(sql, config)
    const advice = await checkTables(sql, config)
    await tryDoors(sql, config)
    return advice
  })
  const until = certificate ? `; the certificate is valid until ${certificate.validTo.toISOString()}` : ''
  if (certificate && certificate.validTo.getTime() < Date.now())
    return { text: `-tlscert: the certificate has expired, ${certificate.validTo.toISOString()}`, ok: false }
  const advised = advice.map((statement) => `\nnot needed, but faster: ${statement}`).join('')
  const shown = brand ? [describeBrand(brand)] : []
  const notes = [...shown, ...seen.notes, ...noteOrigins(config, certificate)]
    .map((note) => `\n${note}`)
    .join('')
  const warned = [
    publicStatus({ ...config, adminApart: config.adminListen !== null }),
    ...servedDoors(config).map(({ door, config: own }) => door.exposure?.(own)?.reason ?? null),
  ]
    .map((exposure) => (exposure === null ? '' : `\nbut ${exposure}`))
    .join('')
  return {
    text: `configuration and database are fine: ${describeDatabase(config.database)}${until}${advised}${warned}${notes}`,
    ok: true,
  }
}

/** Whether Unix sockets can be made where flags want them. What systemd makes may be missing while the service is down. */
async function checkPlaces(config: Config): Promise<{ failures: string[]; notes: string[] }> {
  const found: { failures: string[]; notes: string[] } = { failures: [], notes: [] }
  for (const [flag, address] of [
    ['-listen', config.listen],
    ['-adminlisten', config.adminListen],
    ['-profilelisten', config.profileListen],
  ] as const) {
    const reason = address && (await obstacle(address))
    if (!reason) continue
    const bySystemd = address.type === 'unix' && /^\/(?:var\/)?run\//.test(address.path)
    if (bySystemd)
      found.notes.push(
        `but as things are ${flag} would fail, unless systemd makes it at the start: ${reason}`,
      )
    else found.failures.push(`${flag}: ${reason}`)
  }
  return found
}

/** What to compare with the address in members' browsers; a page of another origin may not connect. */
function noteOrigins({ origins }: Config, certificate: Certificate | null): string[] {
  if (origins.type === 'any') return []
  const hosts = Array.from(origins.origins, (origin) => /\/\/(.*):\d*$/.exec(origin)?.[1] ?? '')
  const own = certificate && new X509Certificate(certificate.cert)
  // A page that this server shows itself is at one of these names.
  if (
    own &&
    !hosts.some((host) => own.checkHost(host.replace('*', 'any')) ?? own.checkIP(host.replace(/[[\]]/g, '')))
  )
    return [
      `but the certificate is for ${own.subjectAltName ?? own.subject}, and none of it is in -origin: pages that this server shows may not connect`,
    ]
  const shown = Array.from(origins.origins, (origin) =>
    origin.replace(/^(https:.*):443$|^(http:.*):80$/, '$1$2'),
  )
  return [`pages may connect from ${shown.join(', ')}: that has to be the address in members' browsers`]
}

/** `plenum health`: asks the server that listens at the configured address whether it is ready. */
export async function runHealth(config: Config): Promise<Outcome> {
  const address: ListenAddress = config.adminListen ?? config.listen
  const where =
    address.type === 'unix'
      ? { socketPath: address.path }
      : { host: reachable(address.host), port: address.port }
  // The certificate names no address of this machine, and nothing secret is asked or told.
  const secured = config.tls !== null && config.adminListen === null
  const options = { ...where, path: '/readyz', timeout: healthTimeoutMs }
  const ask = secured ? getSecurely : get
  const place = `${config.adminListen ? '-adminlisten' : '-listen'} ${describeAddress(address)}`
  if (address.type === 'tcp' && address.port === 0)
    return {
      text: `no answer: with ${place} the system chooses a port: the server's log has it, in "started"; give it here`,
      ok: false,
    }
  return await new Promise((resolve) => {
    const no = (text: string): void => resolve({ text, ok: false })
    const request = ask({ ...options, ...(secured ? { rejectUnauthorized: false } : {}) }, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => (text += chunk))
      response.on('end', () => {
        const said = text.trim()
        if (response.statusCode !== 404) return resolve({ text: said, ok: response.statusCode === 200 })
        no(
          `no answer about health at ${place} (404): ${config.adminListen ? 'something else listens there' : 'a server with -adminlisten answers there; give it here too (-adminlisten, PLENUM_ADMINLISTEN or -config)'}`,
        )
      })
    })
    request.on('timeout', () => request.destroy(new Error('no answer in time')))
    request.on('error', (error) => no(`no answer: ${explainSilence(error, place)}`))
  })
}

/** `place` is where it was asked. The error's own words stay, for they have the address that was taken. */
function explainSilence(error: Error & { code?: string }, place: string): string {
  const hints: Readonly<Record<string, string>> = {
    ECONNREFUSED: 'nobody listens',
    ENOENT: 'there is no such socket, is the server up?',
    EACCES: "whoever runs this has no right to that socket: as root, or as the service's user",
  }
  const hint = hints[error.code ?? '']
  return hint ? `${hint} (${place}): ${error.message}` : error.message
}

/** Who listens on all addresses is asked on this machine's own. */
function reachable(host: string): string {
  if (host === '' || host === '0.0.0.0') return '127.0.0.1'
  return host === '::' ? '::1' : host
}
