import type { HttpBindings } from '@hono/node-server'
import { create as contentDisposition } from 'content-disposition'
import { type Context, Hono } from 'hono'
import pLimit from 'p-limit'
import type { Sql } from 'postgres'
import type { Retry } from '../../db/contention.ts'
import { isRefused, isUnavailable } from '../../db/failure.ts'
import { describeError } from '../../db/pool.ts'
import type { ConnectionLimits } from '../../edge/connection-limits.ts'
import { type Brand, brandOf } from '../../edge/brand.ts'
import { streamOf } from '../../edge/body.ts'
import { documentHeaders, privateHeaders } from '../../edge/document.ts'
import type { AuthThrottle } from '../../edge/auth-throttle.ts'
import { refuseRequest } from '../../edge/notice.ts'
import type { Caller } from '../../edge/remote.ts'
import type { Log } from '../events.ts'
import { baseName } from './file-name.ts'
import { type MeetingRecord, openRecord, type RecordHead } from './record.ts'
import { recordData } from './data.ts'
import { notice, recordPage, recordPolicy } from './page.ts'
import { lineTable, pollTable } from './table.ts'
import { chooseWords, type Words } from './words.ts'
import { findCredentials } from '../store/credentials.ts'

export type RecordRouteDeps = {
  sql: Sql
  retrier: () => Retry
  log: Log
  authThrottle: AuthThrottle
  connectionLimits: ConnectionLimits
  callerOf: (context: Context) => Caller
  /** Whether the database has answered, and has the tables. */
  prepared: () => boolean
}

const address = '/meeting/:meeting{[0-9]+}/:key{[A-Za-z0-9_-]{54}}'
/** Of the door's connections, which are there for those who meet: so many look up keys, and so many read records. */
const lookUps = 1
const readings = 1

type Form = {
  path: string
  /** How its name ends, after that of the meeting and the day; null for the page, which is shown and not saved. */
  file: string | null
  type: string
  write: (record: MeetingRecord, words: Words, brand: Brand | null) => AsyncGenerator<string>
}

const forms: readonly Form[] = [
  { path: 'record', file: null, type: 'text/html; charset=utf-8', write: recordPage },
  {
    path: 'record.csv',
    file: 'record.csv',
    type: 'text/csv; charset=utf-8; header=present',
    write: lineTable,
  },
  {
    path: 'record.polls.csv',
    file: 'polls.csv',
    type: 'text/csv; charset=utf-8; header=present',
    write: pollTable,
  },
  { path: 'record.json', file: 'record.json', type: 'application/json', write: recordData },
]

/**
 * The permanent record of a meeting, for whoever has a key to it, as a page and as files (docs/record.md). It is read from
 * the database alone, so that a process which does not serve the meetings gives it out as well.
 */
export function recordRoutes(deps: RecordRouteDeps): Hono {
  const { sql, retrier, log, authThrottle, connectionLimits, callerOf, prepared } = deps
  const retry = retrier()
  const keys = pLimit(lookUps)
  const pages = pLimit(readings)
  const read: Retry = (page) => pages(() => retry(page))
  const app = new Hono()

  const mayRead = async (meeting: number, key: string): Promise<boolean> => {
    const [credential] = await keys(() => retry(() => findCredentials(sql, [{ meeting, key }])))
    return credential ? !credential.banned : false
  }

  for (const { path, file, type, write } of forms)
    app.get(`${address}/${path}`, async function record(c) {
      const { meeting: digits, key } = c.req.param() as Record<'meeting' | 'key', string>
      const meeting = Math.min(Number(digits), Number.MAX_SAFE_INTEGER)
      const words = chooseWords(c.req.header('accept-language') ?? '')
      const brand = brandOf(c)
      const refuse = (status: 404 | 500 | 503, title: string, text: string): Response =>
        file === null
          ? c.body(notice(words, [title, text], brand), status, pageHeaders(words, brand))
          : c.text(`${text}\n`, status, fileHeaders)
      const unavailable = (): Response => {
        c.header('retry-after', '5')
        return refuse(503, words.unavailableTitle, words.unavailable)
      }
      const fail = (error: unknown): void =>
        log({ level: 'warn', event: 'recordFailed', meeting, error: describeError(error) })

      if (!prepared()) return unavailable()
      let found: MeetingRecord | null
      try {
        found = (await mayRead(meeting, key)) ? await openRecord(sql, read, meeting) : null
      } catch (error) {
        if (!isUnavailable(error) && !isRefused(error)) throw error
        fail(error)
        return isRefused(error) ? refuse(500, words.unreadableTitle, words.unreadable) : unavailable()
      }
      if (!found) {
        if (await authThrottle.refused(callerOf(c).address))
          return refuse(404, words.refusedTitle, words.refused)
        c.header('retry-after', '60')
        return refuseRequest(c, 429, 'too many wrong keys come from this address: wait a minute', fileHeaders)
      }
      const { socket, httpVersion } = (c.env as HttpBindings).incoming
      const body = streamOf(write(found, words, brand), {
        // Who goes on reading is not taken for one who has nothing more to ask for.
        onRead: () => connectionLimits.requested(socket),
        // Cut off, so that nobody takes a part for the whole.
        onError(error) {
          fail(error)
          socket.destroy()
        },
      })
      const isChunked = httpVersion !== '1.0'
      return c.body(body, 200, headersOf({ head: found.head, words, brand, file, type, isChunked }))
    })
  return app
}

type Given = {
  head: RecordHead
  words: Words
  brand: Brand | null
  file: string | null
  type: string
  isChunked: boolean
}

const headersOf = ({ head, words, brand, file, type, isChunked }: Given): Record<string, string> => ({
  ...(file === null ? pageHeaders(words, brand) : fileHeaders),
  'content-type': type,
  // Without it the adapter reads ahead. HTTP/1.0 knows no chunks: there the end of the connection is the end.
  ...(isChunked ? { 'transfer-encoding': 'chunked' } : {}),
  ...(file === null ? {} : { 'content-disposition': contentDisposition(`${baseName(head)} ${file}`) }),
})

/** A record is for one reader, and another one the next minute. */
const fileHeaders = { ...privateHeaders, 'cache-control': 'no-store', vary: 'accept-language' }

const pageHeaders = ({ language }: Words, brand: Brand | null): Record<string, string> => ({
  ...fileHeaders,
  ...documentHeaders(recordPolicy(brand)),
  'content-language': language,
})
