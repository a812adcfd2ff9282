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
  /** Whether it was sent on the connection that there is now, and is not answered. */
  onWire: boolean
  /** Not to be sent before, by the page's steady clock. */
  waitUntil: number
  /** Whether it waits for the user to say that it is to be sent. */
  asks: boolean
  /** How often the server has answered on this connection that it is to be sent again. */
  tries: number
}

export type Outbox = readonly Entry[]

/** One moment by the page's steady clock and by the server's. */
export type Moment = { steady: number; server: number }

/** For how long a chair's command that was lost on its way is worth to be done without being asked for again. */
const deskMs = 60_000
/** It is tried again soon, and less often once it is stuck: still within the five seconds in which all goes on again. */
const againMs = 2000
const stuckMs = 4000
/** After so many tries it is shown as what cannot be sent now, and holds up nothing but what is of its kind. */
const stuckTries = 3

/** Puts a command in line. Of votes that have not gone out the last one counts. */
export function enqueue(outbox: Outbox, id: string, command: Command, { server }: Moment): Outbox {
  const others =
    command.type === 'vote'
      ? outbox.filter((entry) => entry.command.type !== 'vote' || entry.sentAt !== null)
      : outbox
  return [...others, { id, command, madeAt: server, sentAt: null, ...untried }]
}

const untried = { onWire: false, waitUntil: 0, asks: false, tries: 0 } as const

/** Whether the server has been asked several times in vain, so that nobody knows when it will be done. */
export const isStuck = ({ tries }: Entry): boolean => tries >= stuckTries

/**
 * What is to be sent now: one after the other has been answered. Of two under way the first may be the one that has to
 * be sent again, and then a vote would overrule the one that was given after it. What is stuck is overtaken by all that is
 * of another kind: no line keeps its speaker from voting.
 */
export function due(outbox: Outbox, { steady }: Moment): Entry | null {
  if (isUnderWay(outbox)) return null
  const stuck = new Set<Command['type']>()
  for (const entry of outbox) {
    if (entry.asks || stuck.has(entry.command.type)) continue
    if (entry.waitUntil <= steady) return entry
    if (!isStuck(entry)) return null
    stuck.add(entry.command.type)
  }
  return null
}

/** The command with this id has just been sent; the first time counts. */
export function sent(outbox: Outbox, id: string, { server }: Moment): Outbox {
  return change(outbox, id, (entry) => ({ ...entry, onWire: true, sentAt: entry.sentAt ?? server }))
}

/** The connection has ended: nobody knows what became of what was under way. */
export function lost(outbox: Outbox): Outbox {
  return outbox.map((entry) => ({ ...entry, onWire: false }))
}

/** One is in again. */
export function entered(outbox: Outbox, { server }: Moment, rememberedMs: number): Outbox {
  return outbox.map((entry) => ({
    ...entry,
    ...untried,
    asks: entry.asks || isOld(entry, server, rememberedMs),
  }))
}

/**
 * What the server may have forgotten asks before it is sent, and so does what has grown old unsent: nobody expects their
 * words of yesterday to be said now.
 */
function isOld({ command, sentAt, madeAt }: Entry, server: number, rememberedMs: number): boolean {
  const limit = isDesk(command) ? Math.min(deskMs, rememberedMs) : rememberedMs
  return server - (sentAt ?? madeAt) > limit
}

export function answered(outbox: Outbox, id: string): Outbox {
  return outbox.filter((entry) => entry.id !== id)
}

/** The server could not do it, or does not know whether it has. It is tried again while it is not too old for that. */
export function again(outbox: Outbox, id: string, { steady, server }: Moment, rememberedMs: number): Outbox {
  return change(outbox, id, (entry) => {
    const tries = entry.tries + 1
    return {
      ...entry,
      tries,
      onWire: false,
      waitUntil: steady + (tries < stuckTries ? againMs : stuckMs),
      asks: isOld(entry, server, rememberedMs),
    }
  })
}

/** The user wants it sent: as something new, as the server may not know any more that it was done. */
export function insisted(outbox: Outbox, id: string, newId: string, { server }: Moment): Outbox {
  return change(outbox, id, ({ command }) => ({
    id: newId,
    command,
    madeAt: server,
    sentAt: null,
    ...untried,
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

/** Whether the answer to a command is awaited. */
export const isUnderWay = (outbox: Outbox): boolean => outbox.some(({ onWire }) => onWire)

const isDesk = ({ type }: Command): boolean => type !== 'message' && type !== 'vote'

const change = (outbox: Outbox, id: string, by: (entry: Entry) => Entry): Outbox =>
  outbox.map((entry) => (entry.id === id ? by(entry) : entry))
