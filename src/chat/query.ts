import * as v from 'valibot'
import { reject, type Rejection } from '../hub/rejection.ts'

/** What a client asks to be told of what was said before it came; null: not asked for. */
export type HistoryQuery = Readonly<{
  /** Lines with a higher id. */
  after: number | null
  /** Lines with a later time, in ISO 8601 and UTC. */
  since: string | null
  /** So many of them, the last ones. */
  limit: number | null
}>

export type ChatQuery = HistoryQuery & Readonly<{ key: string; ids: boolean }>

const maxId = Number.MAX_SAFE_INTEGER
const isoTime = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)(Z|[ +-]\d\d:?\d\d)?)?$/

const wholeNumber = (name: string) =>
  v.optional(
    v.nullable(
      v.pipe(
        v.string(),
        v.regex(/^\d+$/, `Invalid ${name}, a whole number is expected`),
        v.transform((digits) => Math.min(Number(digits), maxId)),
      ),
    ),
    null,
  )

const Query = v.object({
  session_key: v.optional(v.string(), ''),
  after: wholeNumber('after'),
  limit: wholeNumber('limit'),
  since: v.optional(
    v.nullable(
      v.pipe(
        v.string(),
        v.check((text) => toUtc(text) !== null, 'Invalid since, an ISO 8601 time is expected'),
        v.transform(toUtc),
      ),
    ),
    null,
  ),
  ids: v.optional(v.picklist(['0', '1'], 'Invalid ids, 0 or 1 is expected'), '0'),
})

/** Reads the query of the address by which a client comes. */
export function parseQuery(query: Record<string, string>): ChatQuery | Rejection {
  const parsed = v.safeParse(Query, query, { abortEarly: true })
  if (!parsed.success) return reject(parsed.issues[0].message)
  const { session_key: key, ids, ...history } = parsed.output
  return { key, ids: ids === '1', ...history }
}

/** A time without a zone is UTC, as those in the log are; a plus sign that was not encoded has become a space. */
function toUtc(text: string): string | null {
  const [, day, time = '00:00', zone = 'Z'] = isoTime.exec(text) ?? []
  const at = new Date(`${day}T${time}${zone.replace(' ', '+')}`)
  // A day that its month does not have would be taken for one of the next.
  if (Number.isNaN(at.getTime()) || new Date(`${day}T00:00Z`).toISOString().slice(0, 10) !== day) return null
  const utc = at.toISOString()
  // PostgreSQL has no year 0, and writes those of more than four digits in another way.
  return /^(?!0000)\d{4}-/.test(utc) ? utc : null
}
