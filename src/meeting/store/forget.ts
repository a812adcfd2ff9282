import type { ISql } from 'postgres'
import { rememberedMs } from '../rules/view.ts'

/** So many at once: a deletion is not to hold up for long who remembers new ones. */
const mostForgotten = 10_000

/** Deletes the ids of commands that were done too long ago to be asked for. True where there may be more of them. */
export async function forgetCommands(sql: ISql): Promise<boolean> {
  const { count } = await sql`
    delete from plenum.command where ctid = any(array(
      select ctid from plenum.command where done_at < now() - ${rememberedMs} * interval '1 ms' limit ${mostForgotten}))`
  return count === mostForgotten
}
