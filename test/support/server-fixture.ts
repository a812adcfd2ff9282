import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { createDatabase } from './database.ts'
import type { Database } from './database.ts'
import type { MeetingFixture } from './meeting-fixture.ts'
import type { Line, Target } from './meeting-client.ts'
import { StockPage } from './stock-page.ts'
import { startPlenum } from './server.ts'
import type { Plenum, PlenumOptions } from './server.ts'

/** What its servers are started with; `database` is the house's own if not given. */
export type ServerFixtureOptions = Partial<PlenumOptions>

/** A database with servers of its own, for tests that end and start them. All of it goes when the test ends. */
export class ServerFixture {
  readonly db: Database
  readonly #options: ServerFixtureOptions
  readonly #servers: Plenum[] = []

  constructor(t: TestContext, db: Database, options: ServerFixtureOptions) {
    this.db = db
    this.#options = options
    t.after(async () => {
      await Promise.all(this.#servers.map((server) => server.kill()))
      await db.drop()
    })
  }

  async start(options: ServerFixtureOptions = {}): Promise<Plenum> {
    const server = await startPlenum({ database: this.db.url, ...this.#options, ...options })
    this.#servers.push(server)
    return server
  }

  /** Starts another server at the address of one that has ended. */
  restart(former: Plenum, options: ServerFixtureOptions = {}): Promise<Plenum> {
    return this.start({ ...options, listen: former.listen })
  }
}

export async function openServerFixture(
  t: TestContext,
  options: ServerFixtureOptions = {},
  db?: Promise<Database>,
): Promise<ServerFixture> {
  return new ServerFixture(t, await (db ?? createDatabase()), {
    poll: 0.5,
    flags: ['-rate', '0'],
    ...options,
  })
}

/**
 * Has these members open the stock page, one after the other; all of them are in when it resolves. `target` may make one
 * for each page.
 */
export async function openPages<const Indexes extends number[]>(
  t: TestContext,
  meeting: MeetingFixture,
  target: Target | (() => Target),
  indexes: Indexes,
  retryAfter?: number,
): Promise<{ [Place in keyof Indexes]: StockPage }> {
  const pages: StockPage[] = []
  t.after(() => pages.forEach((page) => page.leave()))
  for (const index of indexes) {
    const page = new StockPage(typeof target === 'function' ? target() : target, {
      meetingId: meeting.id,
      key: meeting.key(index),
      ...(retryAfter === undefined ? {} : { retryAfter }),
    })
    pages.push(page)
    await page.until(({ people }) => people.has(meeting.user(index)))
  }
  for (const page of pages) await page.until(({ people }) => people.size === pages.length)
  return pages as { [Place in keyof Indexes]: StockPage }
}

/** Waits until the page has lost its connection `times` times and is in again. */
export async function returned(page: StockPage, times = 1, milliseconds = 15_000): Promise<void> {
  const entries = ({ frames }: StockPage) => frames.filter(({ type }) => type === 'messages').length
  await page.until(
    (page) => page.closeCodes.length >= times && page.state === 'open' && entries(page) > times,
    milliseconds,
  )
}

/** Fails unless what was shown is the record: each line once, in its order. */
export function assertShows(
  shown: readonly Line[],
  record: readonly { id: number; text: string }[],
  who = 'somebody',
): void {
  assert.deepEqual(
    shown.map(({ id, message }) => ({ id, text: message })),
    record.map(({ id, text }) => ({ id, text })),
    `what was shown to ${who} is not the record`,
  )
}
