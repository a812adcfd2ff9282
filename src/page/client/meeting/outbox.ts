import type { Command } from './protocol.ts'

/**
 * A command that has not been answered yet. It outlives the page, so that its age is told by the server's clock: the page's
 * own begins anew with each page, and the device's may be set.
 */
export type Entry = {
  id: string
  command: Command
  /** By the server's clock, in milliseconds since 1970. */
  madeAt: number
  /** When it was sent for the first time, by the server's clock. */
  sentAt: number | null
  /** Since when it is under way on the connection that there is now, by the page's steady clock. */
  underWaySince: number | null
  /** Not to be sent before, by the page's steady clock. */
  waitUntil: number
  /** Whether it waits for the user to say that it is to be sent. */
  asks: boolean
}

export type Outbox = readonly Entry[]

/** One moment by the page's steady clock and by the server's. */
export type Moment = { steady: number; server: number }

/** For how long a chair's command that was lost on its way is worth to be done without being asked for again. */
const deskMs = 60_000
const againMs = 2000

/** Puts a command in line. Of votes that have not gone out the last one counts. */
export function enqueue(outbox: Outbox, id: string, command: Command, { server }: Moment): Outbox {
  const others =
    command.type === 'vote'
      ? outbox.filter((entry) => entry.command.type !== 'vote' || entry.sentAt !== null)
      : outbox
  const entry = { id, command, madeAt: server, sentAt: null, underWaySince: null, waitUntil: 0, asks: false }
  return [...others, entry]
}

/**
 * What is to be sent now: one after the other has been answered. Of two under way the first may be the one that has to
 * be sent again, and then a vote would overrule the one that was given after it.
 */
export function due(outbox: Outbox, { steady }: Moment): Entry | null {
  const next = outbox.find(({ asks }) => !asks)
  return next && next.underWaySince === null && next.waitUntil <= steady ? next : null
}

export function sent(outbox: Outbox, id: string, { steady, server }: Moment): Outbox {
  return change(outbox, id, (entry) => ({
    ...entry,
    underWaySince: steady,
    sentAt: entry.sentAt ?? server,
  }))
}

/** The connection has ended: nobody knows what became of what was under way. */
export function lost(outbox: Outbox): Outbox {
  return outbox.map((entry) => ({ ...entry, underWaySince: null }))
}

/**
 * One is in again. What the server may have forgotten asks before it is sent, and so does what has grown old unsent:
 * nobody expects his words of yesterday to be said now.
 */
export function entered(outbox: Outbox, { server }: Moment, rememberedMs: number): Outbox {
  return outbox.map((entry) => {
    const limit = isDesk(entry.command) ? Math.min(deskMs, rememberedMs) : rememberedMs
    const isOld = server - (entry.sentAt ?? entry.madeAt) > limit
    return { ...entry, underWaySince: null, waitUntil: 0, asks: entry.asks || isOld }
  })
}

export function answered(outbox: Outbox, id: string): Outbox {
  return outbox.filter((entry) => entry.id !== id)
}

/** The server could not do it, or does not know whether it has. */
export function again(outbox: Outbox, id: string, { steady }: Moment): Outbox {
  return change(outbox, id, (entry) => ({ ...entry, underWaySince: null, waitUntil: steady + againMs }))
}

/** The user wants it sent: as something new, as the server may not know any more that it was done. */
export function insisted(outbox: Outbox, id: string, newId: string, { server }: Moment): Outbox {
  return change(outbox, id, (entry) => ({
    ...entry,
    id: newId,
    madeAt: server,
    sentAt: null,
    waitUntil: 0,
    asks: false,
  }))
}

/**
 * Votes that have come too late, now that this poll is under way, or none. One that was sent is not: the server knows
 * whether it has counted it, and says so when it gets it again.
 */
export function lateVotes(outbox: Outbox, poll: number | null): Entry[] {
  return outbox.filter(
    ({ command, sentAt, asks }) =>
      command.type === 'vote' && command.poll !== poll && (sentAt === null || asks),
  )
}

/** Since when a command is under way on this connection, by the page's steady clock. */
export function waitingSince(outbox: Outbox): number | null {
  return outbox.find(({ underWaySince }) => underWaySince !== null)?.underWaySince ?? null
}

const isDesk = ({ type }: Command): boolean => type !== 'message' && type !== 'vote'

const change = (outbox: Outbox, id: string, by: (entry: Entry) => Entry): Outbox =>
  outbox.map((entry) => (entry.id === id ? by(entry) : entry))
