import type { Sql } from 'postgres'
import { type Config, servedDoors } from './config/config.ts'
import { checkRights } from './db/rights.ts'
import { migrate } from './db/schema.ts'
import { tryWrites } from './db/trial.ts'
import { doors } from './doors.ts'

/** Brings schema plenum up to date, for all doors. Returns how many steps were done. Throws `SetupError`. */
export async function migrateDoors(sql: Sql): Promise<number> {
  return await migrate(
    sql,
    doors.map(({ schema }) => schema.migrations),
  )
}

/** Throws `SetupError` with what the role lacks on the tables of others that the doors need, and on our own. */
export async function checkDoors(sql: Sql, config: Config): Promise<void> {
  await checkRights(
    sql,
    servedDoors(config).flatMap(({ door }) => door.schema.foreign ?? []),
  )
}

/** Makes what the doors need outside of schema plenum, where that is not there. Says in words what was made. */
export async function makeTables(sql: Sql, config: Config): Promise<string[]> {
  const made: string[] = []
  for (const { door, config: own } of servedDoors(config))
    made.push((await door.schema.make?.(sql, own)) ?? '')
  return made.filter((words) => words !== '')
}

/** Throws `SetupError` where one of these is not as it has to be. Returns statements that would make it faster. */
export async function checkTables(sql: Sql, config: Config): Promise<string[]> {
  const advice: string[] = []
  for (const { door, config: own } of servedDoors(config))
    advice.push(...((await door.schema.check?.(sql, own)) ?? []))
  return advice
}

/** Tries to write whatever the doors write, and takes it back. Throws `SetupError`. */
export async function tryDoors(sql: Sql, config: Config): Promise<void> {
  await tryWrites(
    sql,
    servedDoors(config).map(
      ({ door, config: own }) =>
        async (tx, attempt) =>
          await door.schema.trial?.(tx, attempt, own),
    ),
  )
}
