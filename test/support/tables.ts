import type { Sql } from 'postgres'
import type { Member } from './meeting-client.ts'

/** Locks tables, against everything or only against being written, until the function that it returns is called. */
export async function holdTables(
  sql: Sql,
  tables: string[],
  against: 'all' | 'writes' = 'all',
): Promise<() => Promise<void>> {
  const session = await sql.reserve()
  const mode = against === 'all' ? 'access exclusive' : 'share'
  await session.unsafe(`begin; lock table ${tables.join(', ')} in ${mode} mode`)
  return async () => {
    await session.unsafe('rollback')
    session.release()
  }
}

/** Waits until the server has read everything that this member has sent. */
export async function roundTrip(member: Member): Promise<void> {
  const answered = new Promise((resolve) => member.ws.once('pong', resolve))
  member.ws.ping()
  const first = await Promise.race([answered.then(() => 'answered'), member.closed.then(() => 'ended')])
  if (first === 'ended') throw new Error('the connection ended')
}
