import type { ISql, Sql } from 'postgres'
import { codeOf } from './pool.ts'
import { SetupError } from './schema.ts'

const reason =
  'there is a pooler before the database that gives a session to others between transactions: who serves the meetings, and ' +
  'what is heard of the chat, belongs to a session. Connect to PostgreSQL itself, or to a pool in session mode (PgBouncer: ' +
  'pool_mode = session)'

/**
 * Throws `SetupError` where a connection does not have a database session of its own, as with PgBouncer in the modes
 * transaction and statement. `sql` has one connection at most; `openAnother` gives a second one, which is ended here.
 */
export async function refuseSharedSessions(sql: Sql, openAnother: () => Sql): Promise<void> {
  const own = await askPid(sql)
  // The server has named itself when the connection was made. A pooler gives a number of its own there.
  if (own.pid === own.announced) return
  const other = openAnother()
  try {
    // While this transaction has a session, it is not for others: it is ours, or we get another one.
    await other.begin(async (tx) => {
      if ((await askPid(tx)).pid === own.pid || (await askPid(sql)).pid !== own.pid)
        throw new SetupError(reason)
    })
  } catch (error) {
    if (codeOf(error) === '08P01' && error instanceof Error && /statement pooling/.test(error.message))
      throw new SetupError(reason, { cause: error })
    throw error
  } finally {
    await other.end({ timeout: 1 })
  }
}

async function askPid(sql: ISql): Promise<{ pid: number; announced: number | undefined }> {
  const rows = await sql<{ pid: number }[]>`select pg_backend_pid() pid`
  return { pid: rows[0]?.pid ?? 0, announced: rows.state?.pid }
}
