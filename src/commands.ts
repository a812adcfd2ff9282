import { get } from 'node:http'
import { get as getSecurely } from 'node:https'
import type { Sql } from 'postgres'
import { checkChat, migrateChat } from './chat/schema.ts'
import { anonymousDocuments, type Config, type ListenAddress, publicStatus } from './config.ts'
import { describeDatabase } from './db/conninfo.ts'
import { openPool } from './db/pool.ts'
import { refuseSharedSessions } from './db/pooler.ts'
import { checkRights, migrate } from './db/schema.ts'
import type { Certificate } from './edge/tls.ts'
import { deleteBan } from './meeting/store.ts'

/** What a command has to say, and whether it did what it was asked. */
export type Outcome = { text: string; ok: boolean }

const healthTimeoutMs = 5000

async function withDatabase<T>(config: Config, work: (sql: Sql) => Promise<T>): Promise<T> {
  const open = (): Sql => openPool(config.database, { timezone: config.timezone, max: 1 })
  const sql = open()
  try {
    await refuseSharedSessions(sql, open)
    return await work(sql)
  } finally {
    await sql.end({ timeout: 1 })
  }
}

/** `plenum migrate`: brings schema plenum up to date, and makes the chat's tables where they are asked for and missing. */
export async function runMigrate(config: Config): Promise<Outcome> {
  const { chat } = config
  const { steps, made } = await withDatabase(config, async (sql) => ({
    steps: await migrate(sql),
    made: chat !== null && (await migrateChat(sql, chat.schema)),
  }))
  const text =
    steps > 0 ? `schema plenum is up to date now (steps done: ${steps})` : 'schema plenum is up to date'
  return { text: made ? `${text}; the chat's tables were made in schema ${chat?.schema}` : text, ok: true }
}

/**
 * `plenum check`: the configuration has been read, the certificate too; the database answers, is migrated, and grants what
 * is needed.
 */
export async function runCheck(config: Config, certificate: Certificate | null): Promise<Outcome> {
  const { chat } = config
  const advice = await withDatabase(config, async (sql) => {
    await migrate(sql)
    await checkRights(sql)
    if (!chat) return []
    await migrateChat(sql, chat.schema)
    return await checkChat(sql, chat.schema)
  })
  const until = certificate ? `; the certificate is valid until ${certificate.validTo.toISOString()}` : ''
  if (certificate && certificate.validTo.getTime() < Date.now())
    return { text: `-tlscert: the certificate has expired, ${certificate.validTo.toISOString()}`, ok: false }
  const advised = advice.map((statement) => `\nnot needed, but faster: ${statement}`).join('')
  const warned = [
    publicStatus({ ...config, adminApart: config.adminListen !== null }),
    anonymousDocuments(config),
  ]
    .map((exposure) => (exposure === null ? '' : `\nbut ${exposure}`))
    .join('')
  return {
    text: `configuration and database are fine: ${describeDatabase(config.database)}${until}${advised}${warned}`,
    ok: true,
  }
}

/** `plenum unban`: lets a member who was kicked without return enter again. */
export async function runUnban(config: Config, meeting: number, member: number): Promise<Outcome> {
  const found = await withDatabase(config, (sql) => deleteBan(sql, meeting, member))
  return found
    ? { text: `member ${member} may enter meeting ${meeting} again`, ok: true }
    : { text: `member ${member} is not banned from meeting ${meeting}`, ok: false }
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
  return await new Promise((resolve) => {
    const request = ask({ ...options, ...(secured ? { rejectUnauthorized: false } : {}) }, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => (text += chunk))
      response.on('end', () => resolve({ text: text.trim(), ok: response.statusCode === 200 }))
    })
    request.on('timeout', () => request.destroy(new Error('no answer in time')))
    request.on('error', (error) => resolve({ text: `no answer: ${error.message}`, ok: false }))
  })
}

/** Who listens on all addresses is asked on this machine's own. */
function reachable(host: string): string {
  if (host === '' || host === '0.0.0.0') return '127.0.0.1'
  return host === '::' ? '::1' : host
}
