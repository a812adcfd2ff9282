import { setTimeout as wait } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import type { Sql } from 'postgres'
import { newKey } from '../../demo/association.ts'
import { createMeeting } from './database.ts'
import type { Fellow, TestMeeting } from './database.ts'
import { join } from './meeting-client.ts'
import type { Member } from './meeting-client.ts'
import { act, createModel } from './model.ts'
import type { Action, Command, Model, Person } from './model.ts'
import type { Plenum } from './server.ts'
import { meetingStatus } from './status.ts'
import type { MeetingStatus } from './status.ts'
import { Difference, isGathered, FrameOracle } from './frame-oracle.ts'
import type { LineFacts } from './frame-oracle.ts'
import { compareTables, withdrawMeeting, readTables } from './stored-tables.ts'
import { Deadline } from './patience.ts'

/** A server and its database, shared by many meetings. It runs with -behindproxy and -rate 0. */
export interface World {
  plenum: Plenum
  sql: Sql
  /** The first two are the admins of each meeting, the last one has a proxy. */
  fellows: Fellow[]
  /** Whether the grace time forgives every loss of a connection, or none. */
  forgiving: boolean
}

export interface Setting {
  open: boolean
  /** Who may enter an open meeting, besides the admins. */
  invited: Fellow[]
  /** How long to wait for what does not come. */
  patienceMs: number
}

/** How a client ends its connection: with a close frame or without. */
export type Ending = 'no code' | 1000 | 1001 | 'fin' | 'rst'

/** The key of this one was given to nobody. */
export const stranger = 1
const proxyName = 'Petra'
const beyondAllIds = 2 ** 31 - 1
let addresses = 0

/** Makes a connection one from elsewhere: the server slows down addresses that are often refused. */
export function fromElsewhere(): Record<string, string> {
  const n = ++addresses
  return { 'x-forwarded-for': `10.${(n >> 16) & 255}.${(n >> 8) & 255}.${n & 255}` }
}

/** Makes a meeting, and what the model has to know of it. */
export async function openMeeting(
  { fellows, sql, forgiving }: World,
  { open, invited }: Setting,
): Promise<{
  meeting: TestMeeting
  people: Person[]
  forgiving: boolean
  open: boolean
  mayRejoin: number[]
}> {
  const admins = fellows.slice(0, 2)
  const proxied = fellows.at(-1)!
  const meeting = await createMeeting(sql, {
    members: fellows,
    admins,
    state: open ? 1 : 0,
    allowrejoin: invited,
    proxynames: { [proxied.id]: proxyName },
  })
  const people = fellows.map((fellow): Person => ({
    ...fellow,
    color: String(meeting.keyIds.get(fellow.id)).slice(-1),
    admin: admins.includes(fellow),
    known: true,
    proxy: fellow === proxied ? proxyName : null,
  }))
  people.push({ id: stranger, name: 'A stranger', color: '', admin: false, known: false, proxy: null })
  return { meeting, people, forgiving, open, mayRejoin: invited.map(({ id }) => id) }
}

/** One meeting on a real server, and the model beside it. */
export class ModelRunner {
  readonly model: Model
  readonly meeting: TestMeeting
  readonly #world: World
  readonly #patienceMs: number
  readonly #lines: LineFacts = []
  readonly #connections: { who: number; member: Member; witness: FrameOracle }[] = []
  #wake = (): void => {}

  private constructor(world: World, meeting: TestMeeting, model: Model, patienceMs: number) {
    this.#world = world
    this.meeting = meeting
    this.model = model
    this.#patienceMs = patienceMs
  }

  static async open(world: World, setting: Setting): Promise<ModelRunner> {
    const { meeting, ...given } = await openMeeting(world, setting)
    return new ModelRunner(world, meeting, createModel(given.people, given), setting.patienceMs)
  }

  /** Does one action on the server and in the model, and compares what everyone is told. */
  async perform(action: Action, how: Ending): Promise<void> {
    if (action.type === 'enter') await this.#enter(action)
    else if (action.type === 'leave' || action.type === 'lose') await this.#end(action, how)
    else await this.#send(action)
  }

  /** Looks for what nobody has expected, the newest sum of a poll, and what the tables and the status page say. */
  async finish(): Promise<void> {
    for (const who of this.#connected()) this.#ask(who)
    await this.#untilTold(true)
    await this.#untilSeen(() => this.#statusDifference())
    compareTables(this.model, await readTables(this.#world.sql, this.meeting.id), this.#lines)
    await this.#untilTold(true)
    for (const [index, { member, who }] of this.#connections.entries()) {
      if (this.model.connections[index]!.told.at(-1)?.type !== 'disconnect') continue
      const { code } = await member.closed
      const { name } = this.model.people.get(who)!
      if (code !== 1006) throw new Difference(`the connection of ${name} ended with close code ${code}`)
    }
  }

  /** Ends all connections and the meeting itself. */
  async close(): Promise<void> {
    for (const { member } of this.#connections) member.ws.terminate()
    await withdrawMeeting(this.#world.sql, this.meeting.id)
  }

  async #enter(action: Action & { type: 'enter' }): Promise<void> {
    const { who, has } = action
    const key = this.meeting.keys.get(who) ?? newKey()
    const first = await this.#idOfLast(has)
    act(this.model, action)
    const witness = new FrameOracle(this.model, this.#connections.length, this.#lines)
    const member = await join(this.#world.plenum, this.meeting.id, key, { first, headers: fromElsewhere() })
    for (const event of ['message', 'close']) member.ws.on(event, () => this.#wake())
    this.#connections.push({ who, member, witness })
    await this.#untilTold(false)
  }

  /** The id of the last one of the first `n` lines. */
  async #idOfLast(n: number): Promise<number> {
    if (n === 0) return 0
    if (n > this.model.lines.length) return beyondAllIds
    const told = this.#lines[n - 1]
    if (told) return told.id
    // Nobody was there to be told.
    const { record } = await readTables(this.#world.sql, this.meeting.id)
    return record[n - 1]!.id
  }

  async #end(action: Action & { type: 'leave' | 'lose' }, how: Ending): Promise<void> {
    const member = this.#memberOf(action.who)
    act(this.model, action)
    await endConnection(member, how)
    await this.#untilTold(false)
    // Nobody is told that someone is away, and nobody may be left to be told that someone has left.
    if (this.model.present.has(action.who)) await this.#untilSeen(() => this.#statusDifference())
    else if (this.#connected().length === 0) await this.#untilSeen(() => this.#attendanceDifference())
  }

  async #send(action: Command): Promise<void> {
    const member = this.#memberOf(action.who)
    const { told } = this.model.connections[this.model.present.get(action.who)!]!
    const before = told.length
    act(this.model, action)
    member.send(frameOf(action))
    // What tells its sender nothing is followed by something that does, on the same way through the server.
    if (told.slice(before).every(isGathered)) this.#ask(action.who)
    await this.#untilTold(false)
  }

  #ask(who: number): void {
    const question = { type: 'vote', who, question: 'Is it done?', answer: 0 } as const
    act(this.model, question)
    this.#memberOf(who).send(frameOf(question))
  }

  #connected(): number[] {
    return [...this.model.present].flatMap(([who, connection]) => (connection === null ? [] : [who]))
  }

  #memberOf(who: number): Member {
    return this.#connections[this.model.present.get(who)!]!.member
  }

  /** What has not been told or ended yet. `last`: the newest sums of polls, too. */
  #told(last: boolean): string | null {
    for (const [index, { who, member, witness }] of this.#connections.entries()) {
      witness.compare(member.frames)
      const isIn = this.model.present.get(who) === index
      const missing = witness.missing(last && isIn)
      if (missing !== null) return missing
      const { name } = this.model.people.get(who)!
      if (isIn && member.isClosed) throw new Difference(`${name} lost the connection`)
      const isDismissed = this.model.connections[index]!.told.at(-1)?.type === 'disconnect'
      if (isDismissed && !member.isClosed) return `the connection of ${name} was to end`
    }
    return null
  }

  async #statusDifference(): Promise<string | null> {
    return compareStatus(this.model, await meetingStatus(this.#world.plenum, this.meeting.id))
  }

  async #attendanceDifference(): Promise<string | null> {
    const { state, present } = await readTables(this.#world.sql, this.meeting.id)
    const expected = { state: this.model.state, present: sorted(this.model.present.keys()) }
    if (isDeepStrictEqual({ state, present }, expected)) return null
    return `the tables were to have ${JSON.stringify(expected)}, they have ${JSON.stringify({ state, present })}`
  }

  /** Waits for frames, and for ends of connections. */
  async #untilTold(last: boolean): Promise<void> {
    const deadline = new Deadline(this.#patienceMs)
    for (let missing = this.#told(last); missing !== null; missing = this.#told(last)) {
      const { left } = deadline
      if (left <= 0) throw new Difference(`${missing}\nwithin ${this.#patienceMs} ms`)
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left)
        this.#wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
  }

  /** Asks until there is no difference. */
  async #untilSeen(difference: () => Promise<string | null>): Promise<void> {
    for (const deadline = new Deadline(this.#patienceMs); ; await wait(3)) {
      const found = await difference()
      if (found === null) return
      if (deadline.isOver) throw new Difference(found)
    }
  }
}

const sorted = (ids: Iterable<number>): number[] => [...ids].toSorted((a, b) => a - b)

export async function endConnection(member: Member, how: Ending): Promise<void> {
  if (how === 'fin' || how === 'rst') await member.reset(how)
  else await member.close(how === 'no code' ? undefined : how)
}

/** The frame of a command, as the stock page sends it. */
export function frameOf(command: Command): object | string | Buffer {
  switch (command.type) {
    case 'garble':
      return command.frame
    case 'say':
      return { type: 'message', message: command.text }
    case 'vote':
      return { type: 'vote', question: command.question, vote: command.answer }
    case 'newpoll': {
      const { type, question, answers, minutes } = command
      return { type, question, answers, minutes }
    }
    case 'kick': {
      const { type, user, canrejoin } = command
      return { type, user, canrejoin }
    }
    case 'open':
    case 'finish':
    case 'abortpoll':
      return { type: command.type }
  }
}

/** Those who are away are among the disconnected ones; who else is, is left to the server. */
function compareStatus(model: Model, shown: MeetingStatus | undefined): string | null {
  const here: { uid: number; admin: boolean }[] = []
  const away: number[] = []
  for (const [uid, connection] of model.present)
    if (connection === null) away.push(uid)
    else here.push({ uid, admin: model.people.get(uid)!.admin })
  const found = {
    here: (shown?.members ?? []).map(({ uid, admin }) => ({ uid, admin })),
    away: (shown?.disconnectedmembers ?? []).map(({ uid }) => uid).filter((uid) => away.includes(uid)),
  }
  const byId = (a: { uid: number }, b: { uid: number }): number => a.uid - b.uid
  const same =
    isDeepStrictEqual(found.here.toSorted(byId), here.toSorted(byId)) &&
    isDeepStrictEqual(sorted(found.away), sorted(away)) &&
    (!shown || shown.state === model.state)
  if (same) return null
  const expected = { state: model.state, here, away }
  return `the status page was to show ${JSON.stringify(expected)}, it has ${JSON.stringify(shown ?? null)}`
}
