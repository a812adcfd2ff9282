import { randomBytes } from 'node:crypto'
import type { Sql } from 'postgres'

const users = ['Ada', 'Ben'] as const
const room = 1

/** Sees to it that two may chat, once the server has made the chat's tables. Returns their keys. */
export async function ensureChat(sql: Sql): Promise<{ user: string; key: string }[]> {
  for (const user of users)
    await sql`
      insert into chat.sessions (key, "user", room)
      select ${randomBytes(24).toString('base64url')}, ${user}, ${room}
      where not exists (select from chat.sessions where "user" = ${user} and room = ${room})`
  return await sql<{ user: string; key: string }[]>`
    select "user", key from chat.sessions where "user" = any(${[...users]}) and room = ${room} order by "user"`
}
