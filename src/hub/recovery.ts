import { setTimeout as wait } from 'node:timers/promises'
import { codeOf } from '../db/pool.ts'
import type { Socket } from '../edge/socket.ts'
import { turn } from '../edge/turns.ts'
import type { Tail } from './tail.ts'

const retryMs = 1000

/** A subscriber that may lack a part of the record: all after the position `behind`, or nothing where that is null. */
export type Recovering = { readonly socket: Socket; behind: number | null }

/**
 * Tells a recovering subscriber what the record has up to the position `upTo`, page by page and as fast as it reads; then
 * what has been said since, from where on it hears of everything with the others: `behind` is null then. A page that the
 * database fails to give is read again. Rejects with what is no error of the database.
 */
export async function recover<Item extends { readonly length: number }, Page extends { last: number }>(
  subscriber: Recovering,
  record: {
    upTo: number
    tail: Tail<Item>
    isHere: () => boolean
    /** The page after the position; `last`: how far it goes. */
    read: (after: number) => Promise<Page>
    sendPage: (page: Page) => void
    /** Sends the items, from memory; before them what the subscriber must not get twice. */
    sendTail: (items: Item[]) => void
    /** It lacks nothing any more, in the same turn. */
    onLive?: () => void
    onFailedRead: (error: unknown) => void
  },
): Promise<void> {
  const { socket } = subscriber
  const { upTo, tail, isHere } = record
  while (isHere() && subscriber.behind !== null) {
    if (subscriber.behind >= upTo && tail.covers(subscriber.behind)) {
      record.sendTail(tail.since(subscriber.behind))
      subscriber.behind = null
      record.onLive?.()
      return
    }
    try {
      const page = await record.read(subscriber.behind)
      if (!isHere()) return
      record.sendPage(page)
      subscriber.behind = page.last
    } catch (error) {
      // What has no code is an error of ours.
      if (codeOf(error) === null) throw error
      record.onFailedRead(error)
      await wait(retryMs)
    }
    await socket.drained()
    await turn()
  }
}
