import type { ISql } from 'postgres'
import type { Retry } from '../db/contention.ts'
import { doInPortions } from './portion.ts'

/** So many at once: a deletion is not to hold up for long who remembers new ones. */
const maxForgotten = 10_000

export type ForgetOptions = {
  /** A door's table of idempotency keys, with the time of each in `done_at`. */
  table: 'plenum.command' | 'plenum.chat_command'
  rememberedMs: number
  retry: Retry
  /** Asked after each part. */
  isClosed: () => boolean
}

/** How many ids the database refuses to delete, and why the last of them. */
export type Unforgotten = { count: number; error: unknown }

/**
 * Deletes the ids of commands that were done too long ago to be asked for, but those that the database refuses to delete: of
 * these it tells, null where there are none. Rejects with what concerns all of them.
 */
export async function forgetCommands(sql: ISql, options: ForgetOptions): Promise<Unforgotten | null> {
  const { rememberedMs, retry, isClosed } = options
  let refused: Unforgotten | null = null
  const table = sql(options.table)
  const isOld = sql`done_at < now() - ${rememberedMs}::float8 * interval '1 ms'`
  for (let after: string | undefined = '(0,0)'; after !== undefined && !isClosed();) {
    const from: string = after
    const found = await retry(
      async () =>
        await sql<{ row: string }[]>`
        select ctid::text as row from ${table} where ${isOld} and ctid > ${from}::text::tid
        order by ctid limit ${maxForgotten}`,
    )
    const remove = async (part: readonly { row: string }[]): Promise<void> => {
      const rows = part.map(({ row }) => row)
      await retry(
        async () => await sql`delete from ${table} where ctid = any(${rows}::text[]::tid[]) and ${isOld}`,
      )
    }
    await doInPortions(found, remove, (_, error) => {
      refused = { count: (refused?.count ?? 0) + 1, error }
    })
    after = found.length === maxForgotten ? found.at(-1)?.row : undefined
  }
  return refused
}
