import { type DatabaseOptions, describeDatabase } from './conninfo.ts'
import { codeOf, describeError } from './pool.ts'
import { SetupError } from './schema.ts'

const isItPostgres = 'is it PostgreSQL that listens there, and what does its log say?'

/** What to do, by the code with which a database lets nobody in (SQLSTATE, or the driver's). */
const advice: Readonly<Record<string, string>> = {
  '28P01': 'give the right password (-dburl, PLENUM_DBURL, or a password file), or set it there (ALTER ROLE)',
  '28000': 'make the role there, or let it in from this machine (pg_hba.conf)',
  '3D000': 'make that database there, or give the name of the right one (-dburl)',
  '53300': 'too many are connected: raise max_connections there, or end some',
  '57P03': 'try again when it is up',
  CONNECTION_CLOSED: isItPostgres,
  CONNECT_TIMEOUT: isItPostgres,
  ECONNRESET: isItPostgres,
  EPIPE: isItPostgres,
}

/**
 * An error of a database that let us not in, in words for an operator: which database was meant, and what to do, in one
 * line without the password. Any other error as it is.
 */
export function withAdvice(error: unknown, options: DatabaseOptions): unknown {
  const told = describeError(error)
  // What the way to it has to say is advice already.
  const text = told.endsWith('?') ? undefined : advice[codeOf(error) ?? '']
  return text === undefined
    ? error
    : new SetupError(`${told} (${describeDatabase(options)}): ${text}`, { cause: error })
}
