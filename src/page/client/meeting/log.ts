import type { WallClock } from '../kit/zone.ts'
import type { Line } from './protocol.ts'

/** How a line of the system looks; what members say is `said`. */
export type LineKind = 'said' | 'milestone' | 'poll' | 'vote' | 'presence' | 'system'

export type LogLine = {
  id: number
  /** Milliseconds since 1970. */
  at: number
  /** As it came: the meeting's own wall clock. */
  date: string
  time: string
  from: number
  name: string
  color: string
  text: string
  kind: LineKind
  /** Whether the speaker's name is to stand above: not for what somebody goes on saying. */
  named: boolean
  /** Whether it is the first one of a day in the reader's zone. */
  newDay: boolean
}

/** So many lines that a browser lays out and skips as one. */
export type Chunk = { readonly key: number; readonly lines: readonly LogLine[] }

export type Log = {
  readonly chunks: readonly Chunk[]
  /** The highest id, with which one comes back. */
  readonly last: number
  readonly count: number
}

export const emptyLog: Log = { chunks: [], last: 0, count: 0 }

const chunkSize = 100
/** A pause after which a speaker is named again. */
const pauseMs = 300_000

/** Which day an instant is on for the reader. */
export type DayOf = (instant: number) => string

/** A line as it may come: a database that has its ids as bigint may give them as texts. */
export type ToldLine = Omit<Line, 'id' | 'from'> & { id: number | string; from: number | string }

/**
 * Adds lines in the order of their ids; those that it has are left out. Ids are compared as numbers, whatever came: as
 * texts "10" would be less than "9", and be left out.
 */
export function addLines(log: Log, lines: readonly ToldLine[], clock: WallClock, dayOf: DayOf): Log {
  const chunks = [...log.chunks]
  let { last, count } = log
  let before = chunks.at(-1)?.lines.at(-1)
  let open: LogLine[] = []
  let isOurs = false
  for (const told of lines) {
    const line = { ...told, id: Number(told.id), from: Number(told.from) }
    if (line.id <= last) continue
    const added = read(line, before, clock, dayOf)
    if (!isOurs || open.length >= chunkSize) {
      // What others hold is not changed: the first chunk that is added to is a copy.
      const current = chunks.at(-1)
      if (!isOurs && current && current.lines.length < chunkSize) {
        open = [...current.lines]
        chunks[chunks.length - 1] = { key: current.key, lines: open }
      } else {
        open = []
        chunks.push({ key: line.id, lines: open })
      }
      isOurs = true
    }
    open.push(added)
    before = added
    last = line.id
    count++
  }
  return count === log.count ? log : { chunks, last, count }
}

function read(line: Line, before: LogLine | undefined, clock: WallClock, dayOf: DayOf): LogLine {
  const { id, date, time, from, fromname, color, message } = line
  const at = clock.instant(date, time, before?.at)
  const newDay = !before || dayOf(before.at) !== dayOf(at)
  const kind = kindOf(line)
  const goesOn = !newDay && before?.kind === 'said' && before.from === from && at - before.at < pauseMs
  return {
    id,
    at,
    date,
    time,
    from,
    name: fromname,
    color,
    text: message,
    kind,
    named: kind === 'said' && !goesOn,
    newDay,
  }
}

function kindOf({ from, message }: Line): LineKind {
  if (from !== -1) return 'said'
  if (/^This meeting is now (open|finished)$/.test(message)) return 'milestone'
  if (
    /^(A new poll has been posted for |All attendees have voted|Poll has completed|Answer "|The current poll has)/.test(
      message,
    )
  )
    return 'poll'
  if (/^Member .*( joined the meeting| left the meeting|\(through proxy .*\))$/s.test(message))
    return 'presence'
  if (/ (voted|changed their vote to) /.test(message)) return 'vote'
  return 'system'
}

/** The id of the last line that somebody has said; 0 where nobody has, as far as the newest lines know. */
export const lastSaid = ({ chunks }: Log): number =>
  chunks.at(-1)?.lines.findLast(({ kind }) => kind === 'said')?.id ?? 0

/** Lines that are shown together: folded where many come and go. */
export type Run = { readonly lines: readonly LogLine[]; readonly isFolded: boolean }

/** From so many on they are folded. */
const minFolded = 3

/**
 * Divides lines into those that come and go, one after the other, and those between. A day, and the mark of what is new,
 * begin another run.
 */
export function runsOf(lines: readonly LogLine[], marked: LogLine | undefined): Run[] {
  const runs: { lines: LogLine[]; isFolded: boolean }[] = []
  let run: LogLine[] = []
  const end = (): void => {
    if (run.length >= minFolded) runs.push({ lines: run, isFolded: true })
    else for (const line of run) runs.push({ lines: [line], isFolded: false })
    run = []
  }
  for (const line of lines) {
    if (line.kind !== 'presence') {
      end()
      runs.push({ lines: [line], isFolded: false })
      continue
    }
    if (line.newDay || line === marked) end()
    run.push(line)
  }
  end()
  return runs
}

/** Who is in after these lines, and who has gone, by name. */
export function comingsOf(lines: readonly LogLine[]): { came: string[]; went: string[] } {
  const last = new Map<string, boolean>()
  for (const { text } of lines) {
    const [, name, verb] = /^Member (.*) (joined|re-joined|left) the meeting/s.exec(text) ?? []
    if (name !== undefined) last.set(name, verb !== 'left')
  }
  const namesOf = (isIn: boolean): string[] =>
    Array.from(last).flatMap(([name, here]) => (here === isIn ? [name] : []))
  return { came: namesOf(true), went: namesOf(false) }
}

/** The lines after an id, oldest first, as far back as they are many. */
export function linesAfter(log: Log, id: number): LogLine[] {
  const found: LogLine[] = []
  for (let index = log.chunks.length - 1; index >= 0; index--) {
    const lines = log.chunks[index]?.lines ?? []
    const newer = lines.filter((line) => line.id > id)
    found.unshift(...newer)
    if (newer.length < lines.length) break
  }
  return found
}
