import { randomBytes } from 'node:crypto'
import type { Sql } from 'postgres'

/**
 * Has the database refuse what the condition (on `new`, in SQL) says, until the function that is returned is called:
 * `refuseWrites(sql, 'insert on membership_meetingmessagelog', "new.message = 'x'")`. It gives `state` (SQLSTATE) as the reason.
 */
export async function refuseWrites(
  sql: Sql,
  what: string,
  condition: string,
  state = 'P0001',
): Promise<() => Promise<void>> {
  const name = `refuse_${randomBytes(4).toString('hex')}`
  await sql.unsafe(`
    create function ${name}() returns trigger language plpgsql as
      $$ begin raise exception 'refused by a test' using errcode = '${state}'; end $$;
    create trigger ${name} before ${what} for each row when (${condition}) execute function ${name}()`)
  return async () => {
    await sql.unsafe(`drop function if exists ${name} cascade`)
  }
}

/** The same without an error: a trigger leaves the rows out for which the condition holds (on `new`, or `old` of a deletion). */
export async function leaveOutRows(sql: Sql, what: string, condition = 'true'): Promise<() => Promise<void>> {
  const name = `leave_out_${randomBytes(4).toString('hex')}`
  await sql.unsafe(`
    create function ${name}() returns trigger language plpgsql as $$ begin return null; end $$;
    create trigger ${name} before ${what} for each row when (${condition}) execute function ${name}()`)
  return async () => {
    await sql.unsafe(`drop function if exists ${name} cascade`)
  }
}
