import postgres from 'postgres'
import type { TransactionSql } from 'postgres'
import { until } from './until.ts'

/** A transaction that is under way and keeps what it has locked. */
export interface HeldTransaction {
  /** Resolves when somebody waits for what is held. */
  waitedFor(): Promise<void>
  commit(): Promise<void>
  rollback(): Promise<void>
}

/**
 * Does `work` in a transaction and leaves that open: whoever wants the same rows stops in the middle of his own. With it
 * a test sees what a server says before its commit is done, or lets the site's change come first by a hair.
 */
export async function holdTransaction(
  url: string,
  work: (tx: TransactionSql) => Promise<unknown>,
): Promise<HeldTransaction> {
  const sql = postgres(url, { max: 1, onnotice: () => {} })
  let release = (_how: 'commit' | 'rollback'): void => {}
  const released = new Promise<'commit' | 'rollback'>((resolve) => (release = resolve))
  let transaction = Promise.resolve()
  const pid = await new Promise<number>((resolve, reject) => {
    const stayOpen = async (): Promise<void> => {
      try {
        await sql.begin(async (tx) => {
          await work(tx)
          const [own] = await tx<{ pid: number }[]>`select pg_backend_pid() pid`
          resolve(own?.pid ?? 0)
          if ((await released) === 'rollback') throw new RolledBack()
        })
      } catch (error) {
        if (!(error instanceof RolledBack)) throw error
      } finally {
        await sql.end({ timeout: 1 })
      }
    }
    transaction = stayOpen()
    // Whoever ends it hears of an error; here of one that came before anything was held.
    transaction.catch(reject)
  })
  const end = async (how: 'commit' | 'rollback'): Promise<void> => {
    release(how)
    await transaction
  }
  return {
    async waitedFor() {
      const look = postgres(url, { max: 1, onnotice: () => {} })
      try {
        await until('somebody waits for what is held', async () => {
          const waiting = await look`
            select from pg_locks where not granted and ${pid}::int = any(pg_blocking_pids(pid))`
          return waiting.length > 0
        })
      } finally {
        await look.end({ timeout: 1 })
      }
    },
    commit: () => end('commit'),
    rollback: () => end('rollback'),
  }
}

class RolledBack extends Error {}
