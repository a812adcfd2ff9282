import type { Sql, TransactionSql } from 'postgres'
import { codeOf, describeError } from './pool.ts'
import { quoteName, SetupError } from './schema.ts'

class RolledBack extends Error {}

/** Throws `SetupError` where nothing can be written at all: in a read replica, or where transactions are read-only. */
export async function checkWritable(sql: Sql): Promise<void> {
  const [session] = await sql<{ role: string; replica: boolean; read_only: boolean }[]>`
    select current_user as role, pg_is_in_recovery() replica, current_setting('transaction_read_only')::boolean read_only`
  if (!session) throw new Error('the database did not say what it is')
  const { role, replica, read_only: readOnly } = session
  if (replica)
    throw new SetupError(
      'this server is a read replica (standby) and takes no writes: -dburl has to name the primary, or several servers with target_session_attrs=read-write',
    )
  if (readOnly)
    throw new SetupError(
      `transactions of the role ${role} are read-only (default_transaction_read_only is on): turn it off where it is set, ALTER ROLE ${quoteName(role)} RESET default_transaction_read_only; or for the database or the server`,
    )
}

/** Tries one write, or says what cannot be written: `what`. */
export type Attempt = (what: string, write: (tx: TransactionSql) => Promise<unknown>) => Promise<void>

/** Writes to each table that a door writes to. */
export type Trial = (tx: TransactionSql, attempt: Attempt) => Promise<void>

/**
 * Writes to each table that the server writes to, and takes it back: the rights alone do not say what a trigger, a
 * constraint or a policy has against it. Nothing stays but numbers that sequences have given.
 *
 * @throws SetupError that names what could not be written
 */
export async function tryWrites(sql: Sql, trials: readonly Trial[]): Promise<void> {
  const tryAll = async (tx: TransactionSql): Promise<void> => {
    const attempt: Attempt = async (what, write) => {
      try {
        await tx.savepoint(write)
      } catch (error) {
        if (codeOf(error) === null) throw error
        throw new SetupError(`${what} cannot be written: ${describeError(error)}`)
      }
    }
    for (const trial of trials) await trial(tx, attempt)
    const own = await tx<{ name: string }[]>`
      select relname as name from pg_class
      where relnamespace = to_regnamespace('plenum') and relkind = 'r' and relname <> 'migration' order by relname`
    for (const { name } of own)
      await attempt(`table plenum.${name}`, (tx) => tx`delete from plenum.${tx(name)} where false`)
    throw new RolledBack()
  }
  await sql.begin(tryAll).catch((error: unknown) => {
    if (!(error instanceof RolledBack)) throw error
  })
}
