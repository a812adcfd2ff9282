import type { Command } from './protocol.ts'

/** A command that has not been answered yet. */
export type Entry = {
  id: string
  command: Command
  madeAt: number
  /** When it was sent for the first time. */
  sentAt: number | null
  /** Whether it was sent on the connection that there is now. */
  onWire: boolean
  /** Not to be sent before. */
  waitUntil: number
  /** Whether it waits for the user to say that it is to be sent. */
  asks: boolean
}

export type Outbox = readonly Entry[]

/** For how long a chair's command that was lost on its way is worth to be done without being asked for again. */
const deskMs = 60_000
const againMs = 2000

/** Puts a command in line. Of votes that have not gone out the last one counts. */
export function enqueue(outbox: Outbox, id: string, command: Command, now: number): Outbox {
  const others =
    command.type === 'vote'
      ? outbox.filter((entry) => entry.command.type !== 'vote' || entry.sentAt !== null)
      : outbox
  return [...others, { id, command, madeAt: now, sentAt: null, onWire: false, waitUntil: now, asks: false }]
}

/**
 * What is to be sent now: one after the other has been answered. Of two under way the first may be the one that has to
 * be sent again, and then a vote would overrule the one that was given after it.
 */
export function due(outbox: Outbox, now: number): Entry | null {
  const next = outbox.find(({ asks }) => !asks)
  return next && !next.onWire && next.waitUntil <= now ? next : null
}

export function sent(outbox: Outbox, id: string, now: number): Outbox {
  return change(outbox, id, (entry) => ({ ...entry, onWire: true, sentAt: entry.sentAt ?? now }))
}

/** The connection has ended: nobody knows what became of what was under way. */
export function lost(outbox: Outbox): Outbox {
  return outbox.map((entry) => (entry.onWire ? { ...entry, onWire: false } : entry))
}

/**
 * One is in again. What the server may have forgotten asks before it is sent, and so does what has grown old unsent:
 * nobody expects his words of yesterday to be said now.
 */
export function entered(outbox: Outbox, now: number, rememberedMs: number): Outbox {
  return outbox.map((entry) => {
    const limit = isDesk(entry.command) ? Math.min(deskMs, rememberedMs) : rememberedMs
    const age = now - (entry.sentAt ?? entry.madeAt)
    return age > limit ? { ...entry, onWire: false, asks: true } : { ...entry, onWire: false, waitUntil: now }
  })
}

export function answered(outbox: Outbox, id: string): Outbox {
  return outbox.filter((entry) => entry.id !== id)
}

/** The server could not do it, or does not know whether it has. */
export function again(outbox: Outbox, id: string, now: number): Outbox {
  return change(outbox, id, (entry) => ({ ...entry, onWire: false, waitUntil: now + againMs }))
}

/** The user wants it sent: as something new, as the server may not know any more that it was done. */
export function insisted(outbox: Outbox, id: string, newId: string, now: number): Outbox {
  return change(outbox, id, (entry) => ({
    ...entry,
    id: newId,
    madeAt: now,
    sentAt: null,
    waitUntil: now,
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

/** Since when the oldest command that was sent on this connection has been waiting for its answer. */
export function waitingSince(outbox: Outbox): number | null {
  return outbox.find(({ onWire }) => onWire)?.sentAt ?? null
}

const isDesk = ({ type }: Command): boolean => type !== 'message' && type !== 'vote'

const change = (outbox: Outbox, id: string, by: (entry: Entry) => Entry): Outbox =>
  outbox.map((entry) => (entry.id === id ? by(entry) : entry))
