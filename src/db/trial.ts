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

/**
 * Writes to each table that the server writes to, and takes it back: the rights alone do not say what a trigger, a
 * constraint or a policy of the site has against it. `chat` is the schema of the chat's tables, null where it is not
 * served. Nothing stays but numbers that sequences have given.
 *
 * @throws SetupError that names what could not be written
 */
export async function tryWrites(sql: Sql, chat: string | null): Promise<void> {
  const trial = async (tx: TransactionSql): Promise<void> => {
    const attempt = async (what: string, write: (tx: TransactionSql) => Promise<unknown>): Promise<void> => {
      try {
        await tx.savepoint(write)
      } catch (error) {
        if (codeOf(error) === null) throw error
        throw new SetupError(`${what} cannot be written: ${describeError(error)}`)
      }
    }
    const [meeting] = await tx<{ id: number; member: number | null }[]>`
      select m.id, (select min(k.member_id) from membership_membermeetingkey k where k.meeting_id = m.id) member
      from membership_meeting m where m.meetingtype = 1 order by m.id desc limit 1`
    const { id = null, member = null } = meeting ?? {}
    await attempt(
      'a line of the record (membership_meetingmessagelog)',
      (tx) => tx`
        with stored as (
          insert into membership_meetingmessagelog (t, message, meeting_id, sender_id)
          select now(), 'plenum check tries to write', id, ${member}::bigint from membership_meeting
          where id = ${id}::bigint returning id)
        select plenum.require_rows('membership_meetingmessagelog', count(*), ${id === null ? 0 : 1}) from stored`,
    )
    await attempt(
      "a meeting's state (membership_meeting)",
      (tx) => tx`
        with stored as (update membership_meeting set state = state where id = ${id}::bigint returning id)
        select plenum.require_rows('membership_meeting', count(*), ${id === null ? 0 : 1}) from stored`,
    )
    await attempt(
      "a member's leave to return (membership_membermeetingkey)",
      (tx) => tx`
        with stored as (
          update membership_membermeetingkey set allowrejoin = allowrejoin
          where meeting_id = ${id}::bigint and member_id = ${member}::bigint returning id)
        select plenum.require_rows('membership_membermeetingkey', count(*), ${member === null ? 0 : 1}) from stored`,
    )
    const own = await tx<{ name: string }[]>`
      select relname as name from pg_class
      where relnamespace = to_regnamespace('plenum') and relkind = 'r' and relname <> 'migration' order by relname`
    for (const { name } of own)
      await attempt(`table plenum.${name}`, (tx) => tx`delete from plenum.${tx(name)} where false`)
    await attempt(
      'table plenum.ban',
      (tx) => tx`
        with stored as (
          insert into plenum.ban (meeting_id, member_id, banned_by) values (-1, -1, -1) returning member_id)
        select plenum.require_rows('plenum.ban', count(*), 1) from stored`,
    )
    if (chat !== null)
      await attempt(
        `a line of the chat (${chat}.log)`,
        (tx) => tx`insert into ${tx(chat)}.log select * from ${tx(chat)}.log where false`,
      )
    throw new RolledBack()
  }
  await sql.begin(trial).catch((error: unknown) => {
    if (!(error instanceof RolledBack)) throw error
  })
}
