import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import type { Sql } from 'postgres'
import { setTimeout as wait } from 'node:timers/promises'
import { createAssociation, createMeeting } from './database.ts'
import type { Fellow, MeetingOptions, TestMeeting } from './database.ts'
import { join } from './meeting-client.ts'
import type { Frame, JoinOptions, Line, Member, PollState, Target } from './meeting-client.ts'
import { until } from './until.ts'
import { Deadline } from './patience.ts'

export type MeetingFixtureOptions = Omit<MeetingOptions, 'members' | 'admins' | 'proxynames'> & {
  /** How many of the members are admins: the first ones. */
  admins?: number
}

/** A meeting with members of its own, who are named by their number here: 0 is the chair unless there are no admins. */
export class MeetingFixture {
  readonly members: Fellow[]
  readonly #sql: Sql
  readonly #target: Target
  readonly #meeting: TestMeeting

  constructor(sql: Sql, target: Target, members: Fellow[], meeting: TestMeeting) {
    this.#sql = sql
    this.#target = target
    this.members = members
    this.#meeting = meeting
  }

  get id(): number {
    return this.#meeting.id
  }

  /** The member's user id, by which all frames name him. */
  user(index: number): number {
    return this.#fellow(index).id
  }

  name(index: number): string {
    return this.#fellow(index).name
  }

  key(index: number): string {
    return this.#meeting.keys.get(this.user(index)) ?? ''
  }

  keyId(index: number): number {
    return this.#meeting.keyIds.get(this.user(index)) ?? -1
  }

  /** Connects, and does not wait for more. */
  connect(index: number, options: JoinOptions = {}): Promise<Member> {
    return join(this.#target, this.id, this.key(index), options)
  }

  /** Connects and waits until he is in. */
  async enter(index: number, options: JoinOptions = {}): Promise<Member> {
    const member = await this.connect(index, options)
    await member.next('messages')
    return member
  }

  /** Has these enter one after the other; each of them has been told of all the others. */
  async enterAll<const Indexes extends number[]>(
    ...indexes: Indexes
  ): Promise<{ [Place in keyof Indexes]: Member }> {
    const entered: Member[] = []
    for (const index of indexes) entered.push(await this.enter(index))
    const last = await entered.at(-1)?.next('message')
    for (const member of entered) await member.line(last?.data.message ?? '')
    return entered as { [Place in keyof Indexes]: Member }
  }

  /** The record as it is stored. */
  async record(): Promise<{ id: number; text: string; sender: number | null }[]> {
    const sql = this.#sql
    return await sql<{ id: number; text: string; sender: number | null }[]>`
      select id, message as text, sender_id sender from membership_meetingmessagelog
      where meeting_id = ${this.id} order by id`
  }

  /** Its texts, without the marks of `settle`. */
  async texts(): Promise<string[]> {
    return (await this.record()).map(({ text }) => text).filter((text) => !isMark(text))
  }

  /** The state as it is stored: 0 pending, 1 open, 2 finished, 3 closed. */
  async state(): Promise<number | undefined> {
    const sql = this.#sql
    const [row] = await sql<{ state: number }[]>`select state from membership_meeting where id = ${this.id}`
    return row?.state
  }

  #fellow(index: number): Fellow {
    const fellow = this.members[index]
    if (!fellow) throw new Error(`the meeting has ${this.members.length} members, there is no ${index}`)
    return fellow
  }
}

export async function gather(
  sql: Sql,
  target: Target,
  size: number,
  { admins = 1, ...options }: MeetingFixtureOptions = {},
): Promise<MeetingFixture> {
  const members = await createAssociation(sql, size)
  const meeting = await createMeeting(sql, { ...options, members, admins: members.slice(0, admins) })
  return new MeetingFixture(sql, target, members, meeting)
}

const isMark = (text: string): boolean => text.startsWith('mark ')

/** Waits until each has been told all that was done before: `speaker` says a line, and all see it. */
export async function settle(speaker: Member, ...others: Member[]): Promise<void> {
  const mark = `mark ${randomUUID()}`
  speaker.say(mark)
  for (const member of [speaker, ...others]) await member.line(mark)
}

/** What `watcher` is told of what happens in `action`, which `speaker` ends with a line. */
export async function toldDuring(
  speaker: Member,
  watcher: Member,
  action: () => Promise<unknown>,
): Promise<Frame[]> {
  await settle(speaker, watcher)
  const from = watcher.frames.length
  await action()
  await settle(speaker, watcher)
  return watcher.frames.slice(from).filter((frame) => frame.type !== 'message' || !isMark(frame.data.message))
}

/** The next poll that a member is shown, and for which `predicate` holds. */
export async function shown(
  member: Member,
  predicate: (poll: PollState) => boolean = () => true,
): Promise<PollState> {
  const { data } = await member.next('poll', ({ data }) => data !== null && predicate(data))
  assert.ok(data)
  return data
}

let addresses = 0

/** A page at another address, for a server that is behind a proxy: who fails often at one address is answered late. */
export function elsewhere(): JoinOptions {
  const n = ++addresses
  return { headers: { 'x-forwarded-for': `203.0.${n >> 8}.${n & 255}` } }
}

/** The text with which the server ends a connection for good. */
export async function farewell(member: Member): Promise<string> {
  const { data } = await member.next('disconnect')
  await until('the connection ends after the word', () => member.isClosed)
  const { code } = await member.closed
  assert.equal(code, 1006, 'the stock page takes any close frame as final, so there is none')
  assert.equal(member.frames.at(-1)?.type, 'disconnect', 'nothing comes after it')
  return data.message
}

/** How the server answers one who connects; fails when it leaves him without a word. */
export async function answerTo(member: Member): Promise<'entered' | 'refused' | 'dropped'> {
  for (const deadline = new Deadline(10_000); !deadline.isOver; await wait(5)) {
    if (member.frames.some(({ type }) => type === 'messages')) return 'entered'
    if (member.frames.some(({ type }) => type === 'disconnect')) return 'refused'
    if (member.isClosed) return 'dropped'
  }
  throw new Error(`neither let in nor refused nor dropped: ${JSON.stringify(member.frames)}`)
}

/** The lines among frames. */
export function linesOf(frames: Frame[]): Line[] {
  return frames.flatMap((frame) => (frame.type === 'message' ? [frame.data] : []))
}
