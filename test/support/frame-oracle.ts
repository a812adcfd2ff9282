import { isDeepStrictEqual } from 'node:util'
import type { Frame, Line } from './meeting-client.ts'
import type { Model, Told } from './model.ts'

/** The server did what the model did not expect. */
export class Difference extends Error {}

/** What the frames have told of the lines of a record, by their places in it. */
export type LineFacts = Pick<Line, 'id' | 'time' | 'date'>[]

type PollTold = Told & { type: 'poll' }

/** A poll's sum is gathered with later ones, so that it may come late or not at all. */
export const isGathered = (told: Told): boolean => told.type === 'poll' && told.gathered

/**
 * Compares the frames of one connection with what the model says that it is told. Frames must be exactly those, in
 * their order; only polls are looked at apart, because nothing says between which other frames a gathered sum comes.
 */
export class FrameOracle {
  readonly #model: Model
  readonly #connection: number
  readonly #lines: LineFacts
  #frames = 0
  /** How many frames of the entry have come. */
  #entered = 0
  #others = 0
  /** How many of the expected polls may have come: several numbers where the same sum is expected twice. */
  #polls = new Set([0])

  constructor(model: Model, connection: number, lines: LineFacts) {
    this.#model = model
    this.#connection = connection
    this.#lines = lines
  }

  /** Compares the frames that are new since last time; throws a `Difference`. */
  compare(frames: readonly Frame[]): void {
    const { others, polls, entry } = this.#expected()
    for (const frame of frames.slice(this.#frames)) {
      this.#frames++
      // A sum may come while a history is being read.
      const early = frame.type === 'poll' && entry[this.#entered] === 'messages'
      const type = early ? undefined : entry[this.#entered++]
      const difference =
        type !== undefined && type !== frame.type
          ? `one of type ${type}`
          : frame.type === 'poll'
            ? this.#comparePoll(frame, polls, others)
            : this.#compareOther(frame, others[this.#others++])
      if (difference === null) continue
      throw new Difference(
        `${this.#name()} got, as frame ${this.#frames} of the connection,\n  ${JSON.stringify(frame)}\nbut was to get\n  ${difference}`,
      )
    }
  }

  /**
   * What has not come yet, or null. `last`: nor may the newest sum of a poll be missing.
   */
  missing(last: boolean): string | null {
    const { others, polls } = this.#expected()
    const other = others[this.#others]
    if (other) return `${this.#name()} was to get\n  ${this.#show(other)}`
    const newest = polls.at(-1)
    const done = [...this.#polls].some((came) => {
      const left = polls.slice(came)
      const isNewest = isDeepStrictEqual(polls[came - 1]?.poll, newest?.poll)
      return left.length === 0 || (left.every(isGathered) && (!last || isNewest))
    })
    return done || !newest ? null : `${this.#name()} was to get\n  ${this.#show(newest)}`
  }

  #expected(): { others: Told[]; polls: PollTold[]; entry: string[] } {
    const { told } = this.#model.connections[this.#connection]!
    const entered = told.findIndex(({ type }) => type === 'messages')
    return {
      others: told.filter(({ type }) => type !== 'poll'),
      polls: told.filter((one) => one.type === 'poll'),
      // For one who enters the place of the polls is said, too.
      entry: told
        .slice(0, entered + 1)
        .filter((one) => !isGathered(one))
        .map(({ type }) => type),
    }
  }

  #comparePoll(frame: Frame, polls: PollTold[], others: Told[]): string | null {
    const next = new Set<number>()
    for (const came of this.#polls)
      for (const [index, told] of polls.entries()) {
        if (index < came) continue
        if (isDeepStrictEqual(this.#render(told), strip(frame))) next.add(index + 1)
        if (!told.gathered) break
      }
    const expected = polls.slice(Math.min(...this.#polls)).map((told) => this.#show(told))
    this.#polls = next
    if (next.size > 0) return null
    const other = others[this.#others]
    return [...expected, other ? this.#show(other) : 'nothing'].join('\nor\n  ')
  }

  #compareOther(frame: Frame, told: Told | undefined): string | null {
    if (!told) return 'nothing'
    const expected = this.#render(told)
    const got = strip(frame)
    if (told.type === 'error' && told.text === null && got.type === 'error') return null
    if (!isDeepStrictEqual(got, expected)) return this.#show(told)
    const known =
      told.type === 'message' && frame.type === 'message'
        ? this.#learn(told.line, frame.data)
        : told.type === 'messages' && frame.type === 'messages'
          ? frame.data.map((line, index) => this.#learn(told.from + index, line)).find((one) => one !== null)
          : null
    return known ? `the same line as before\n  ${JSON.stringify(known)}` : null
  }

  /** What is already known of a line, if it is something else. */
  #learn(place: number, { id, time, date }: Line): LineFacts[number] | null {
    const known = (this.#lines[place] ??= { id, time, date })
    return isDeepStrictEqual(known, { id, time, date }) ? null : known
  }

  #name(): string {
    const { people, connections } = this.#model
    return people.get(connections[this.#connection]!.who)!.name
  }

  #show(told: Told): string {
    return JSON.stringify(this.#render(told))
  }

  /** The frame that is meant, without what the model does not know. */
  #render(told: Told): Record<string, unknown> & { type: string } {
    const { people, lines } = this.#model
    const person = (id: number): object => {
      const { name, color } = people.get(id)!
      return { name, color, id }
    }
    const line = (place: number): object => {
      const { from, text } = lines[place]!
      if (from === null) return { from: -1, fromname: '', color: 'sys', message: text }
      const { name, color } = people.get(from)!
      return { from, fromname: name, color, message: text }
    }
    const { type } = told
    switch (told.type) {
      case 'message':
        return { type, data: line(told.line) }
      case 'messages': {
        const places = Array.from({ length: told.to - told.from }, (_, index) => told.from + index)
        return { type, data: places.map(line) }
      }
      case 'adduser':
      case 'removeuser':
        return { type, data: person(told.who) }
      case 'users':
        return { type, data: { users: told.who.toSorted(ascending).map(person) } }
      case 'status':
        return { type, data: { isopen: told.isopen, isfinished: told.isfinished } }
      case 'poll': {
        const voted = told.poll?.voted?.toSorted(ascending) ?? null
        return { type, data: told.poll && { ...told.poll, voted } }
      }
      case 'error':
        return { type, msg: told.text ?? 'any text' }
      case 'disconnect':
        return { type, data: { id: -1, from: -1, fromname: '', color: 'sys', message: told.text } }
    }
  }
}

const ascending = (a: number, b: number): number => a - b

/** A frame without ids and times of lines, and with sets in one order. */
function strip(frame: Frame): Record<string, unknown> & { type: string } {
  const { type } = frame
  const line = ({ from, fromname, color, message }: Line): object => ({ from, fromname, color, message })
  switch (frame.type) {
    case 'message':
      return { type, data: line(frame.data) }
    case 'messages':
      return { type, data: frame.data.map(line) }
    case 'users':
      return { type, data: { users: frame.data.users.toSorted((a, b) => a.id - b.id) } }
    case 'poll': {
      const voted = frame.data?.voted?.toSorted(ascending) ?? null
      return { type, data: frame.data && { ...frame.data, voted } }
    }
    case 'disconnect':
      return { type, data: { id: frame.data.id, ...line(frame.data) } }
    case 'adduser':
    case 'removeuser':
    case 'status':
    case 'error':
    case 'welcome':
    case 'meeting':
    case 'pollend':
    case 'ack':
    case 'here':
      return { ...frame }
  }
}
