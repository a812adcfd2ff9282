import postgres from 'postgres'
import { codeOf, UnreadableNumber } from './pool.ts'
import { fencedState, outdatedState } from './schema.ts'

const unavailableCodes = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EAI_FAIL',
  'EHOSTUNREACH',
  'EHOSTDOWN',
  'ENETUNREACH',
  'ENETDOWN',
  'EADDRNOTAVAIL',
  'ENOENT', // the file of a Unix socket
  'EMFILE',
  'ENFILE',
  'ERR_SOCKET_CLOSED',
  'ERR_STREAM_DESTROYED',
  'ERR_STREAM_WRITE_AFTER_END',
  'CONNECT_TIMEOUT',
])
// SQLSTATE: lost connections, lacking resources, shutdown, cancelled or waited too long, a system that fails, read-only,
// and what has to be done again. 25P02 and 26000: a statement that was prepared before its table was changed, in a
// transaction; the driver prepares it anew.
const unavailableStates = /^(?:08...|40...|53...|57...|58...|25006|25P0[234]|26000|55006|55P03)$/

/**
 * Says whether an error means that the database cannot be had now, so that the same may succeed later; nothing of
 * the statement or transaction is known to have been done.
 */
export function isUnavailable(error: unknown): boolean {
  const code = codeOf(error)
  if (code === null) return false
  // A statement was prepared before the site changed its table's types: it is prepared anew the next time.
  if (error instanceof postgres.PostgresError && error.routine === 'RevalidateCachedQuery') return true
  return unavailableCodes.has(code) || unavailableStates.test(code) || code.startsWith('CONNECTION_')
}

/**
 * Says whether PostgreSQL refuses what it was asked for, and would refuse it again: for its content (a character that the
 * database's encoding lacks, a constraint or trigger), or for what has become of the table or of the role's rights.
 * Nothing was done, and what was known of the database before holds. What ends a whole connection, as a wrong password
 * does, is no refusal of what was to be done by it.
 */
export function isRefused(error: unknown): boolean {
  if (error instanceof UnreadableNumber) return true
  return (
    error instanceof postgres.PostgresError &&
    error.severity === 'ERROR' &&
    !isUnavailable(error) &&
    error.code !== fencedState &&
    error.code !== outdatedState
  )
}

/** What is read of a refusal, by what it is for. */
export const refusalTexts = {
  character: 'The database lacks one of these characters: please leave it out',
  length: 'The database refuses this as too long: please make it shorter',
  other: 'The database refuses this: please change it, or tell the organisers',
} as const

/**
 * What they read whose command the database refuses; `other` where it is not for what they wrote. Of its own words there is
 * nothing in it: these can hold names of tables, or what others have written.
 */
export function explainRefusal(error: unknown, other: string = refusalTexts.other): string {
  switch (codeOf(error) ?? '') {
    case '22021':
    case '22P05':
      return refusalTexts.character
    case '22001':
      return refusalTexts.length
    default:
      return other
  }
}

/**
 * Whether a refusal is for what has become of a table or of the role's rights (SQLSTATE class 42), which concerns everybody and
 * the operator; not for what one has sent.
 */
export const isSchemaFault = (error: unknown): boolean =>
  isRefused(error) && codeOf(error)?.startsWith('42') === true

/** What of a refusal helps an operator besides its code and message; '' where the database does not say it. */
export function whereRefused(error: unknown): { table: string; constraint: string } {
  const { table_name: table = '', constraint_name: constraint = '' } =
    error instanceof postgres.PostgresError ? error : {}
  return { table, constraint }
}
