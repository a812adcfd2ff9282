import { isDeepStrictEqual } from 'node:util'
import { setTimeout as wait } from 'node:timers/promises'
import type { Sql } from 'postgres'
import type { MeetingFixture } from './meeting-fixture.ts'
import type { Line } from './meeting-client.ts'
import type { StockPage } from './stock-page.ts'
import type { Random } from './random.ts'
import { comparePolls, compareSums, recount } from './poll-recount.ts'
import type { Recount } from './poll-recount.ts'
import { readTables } from './stored-tables.ts'
import type { Tables } from './stored-tables.ts'
import { until } from './until.ts'
import { Difference } from './frame-oracle.ts'
import { Deadline, patience } from './patience.ts'

export interface ScriptedMeetingOptions {
  random: Random
  /** Milliseconds between two moments at which each may say or do something. */
  paceMs?: number
}

type Fate = 'voted' | 'aborted' | 'left'

/** How many lines one says ahead of what he hears. */
const ahead = 5
const answerLists = [
  ['yes', 'no'],
  ['yes', 'no', 'abstain'],
  ['Ann', 'Ben', 'Cleo', 'Dora', 'nobody'],
]

/** One who says numbered lines, and knows of each what has become of it. */
class Speaker {
  readonly index: number
  readonly name: string
  page: StockPage
  said = 0
  /** What was not stored, for something that was said later is shown without it. */
  readonly lost: string[] = []
  lostInAll = 0
  repeated = 0
  readonly #user: number
  /** In the order in which it was said, with the attempt to connect at which it was. */
  readonly #awaited = new Map<string, number>()
  #read = 0
  #enteredAt = 0

  constructor(meeting: MeetingFixture, index: number, page: StockPage) {
    this.index = index
    this.name = meeting.name(index)
    this.#user = meeting.user(index)
    this.page = page
  }

  /** Whether he is in, as far as he knows. */
  get isIn(): boolean {
    this.read()
    return this.page.state === 'open' && this.#enteredAt === this.page.attempts.length
  }

  get awaits(): boolean {
    return this.#awaited.size > 0
  }

  /** Goes on with another page, in place of one that has been left. */
  moveTo(page: StockPage): void {
    this.read()
    this.page = page
    this.#read = 0
    this.#enteredAt = 0
    // Nothing of the former page is known to be under way.
    for (const text of this.#awaited.keys()) this.#awaited.set(text, 0)
  }

  /** Says the next line, or once more one that was lost. */
  speak(random: Random): void {
    const { length } = this.page.attempts
    const underWay = [...this.#awaited.values()].filter((attempt) => attempt === length)
    if (underWay.length >= ahead) return
    const again = random.chance(0.5) ? this.lost.shift() : undefined
    if (again !== undefined) this.repeated++
    this.say(again ?? `${this.name}, ${++this.said}`)
  }

  say(text: string): void {
    this.#awaited.set(text, this.page.attempts.length)
    this.page.say(text)
  }

  read(): void {
    const { frames, attempts } = this.page
    for (; this.#read < frames.length; this.#read++) {
      const frame = frames[this.#read]!
      if (frame.type === 'message') this.#hear(frame.data)
      if (frame.type !== 'messages') continue
      for (const line of frame.data) this.#hear(line)
      this.#enteredAt = attempts.length
    }
  }

  #hear({ from, message }: Line): void {
    if (from !== this.#user || !this.#awaited.has(message)) return
    // Lines come in the order of their ids, and one's own in that in which they were said: what is skipped is lost.
    for (const text of this.#awaited.keys()) {
      this.#awaited.delete(text)
      if (text === message) return
      this.lost.push(text)
      this.lostInAll++
    }
  }
}

/** What a page has shown, kept when it is left for another one. */
interface Life {
  index: number
  page: StockPage
  /** The highest id that it began with. */
  first: number
}

/**
 * A meeting in full swing: its members talk, vote and change their votes as chance has it, and its chair, the first of
 * them, opens polls and ends them. What they were told is compared with what is stored.
 */
export class ScriptedMeeting {
  readonly pages: StockPage[]
  readonly speakers: Speaker[]
  readonly #sql: Sql
  readonly #meeting: MeetingFixture
  readonly #random: Random
  readonly #paceMs: number
  readonly #lives: Set<Life>
  /** Of pages that have been left and looked at. */
  readonly #former = { lines: 0, attempts: 0 }
  readonly #answers = new Map<string, string[]>()
  readonly #fates = new Map<string, Fate>()
  /** Of each poll the time at which it is to end, and how it ended, as they were found first. */
  readonly #closings = new Map<number, { closesAt: string; ending: string | null }>()
  #timer: NodeJS.Timeout | undefined
  #askedAt = 0
  #marks = 0
  #votesSent = 0

  /** The pages are those of the first members; all of them are in. */
  constructor(sql: Sql, meeting: MeetingFixture, pages: StockPage[], options: ScriptedMeetingOptions) {
    this.#sql = sql
    this.#meeting = meeting
    this.#random = options.random
    this.#paceMs = options.paceMs ?? 5
    this.pages = pages
    this.speakers = pages.map((page, index) => new Speaker(meeting, index, page))
    this.#lives = new Set(pages.map((page, index) => ({ index, page, first: page.attempts[0] ?? 0 })))
  }

  resume(): void {
    this.#timer ??= setInterval(() => this.#step(), this.#paceMs)
  }

  pause(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  /** All pages are left, as they are at the end. */
  leave(): void {
    for (const { page } of this.#lives) page.leave()
  }

  /** A page of somebody who is no speaker, or a speaker's new one. */
  watch(index: number, page: StockPage): void {
    this.#lives.add({ index, page, first: page.attempts[0] ?? 0 })
    this.speakers[index]?.moveTo(page)
    if (this.pages[index]) this.pages[index] = page
  }

  /** Ends the talk when all that was said is shown, or known to be lost, to everybody who is here. */
  async settle(milliseconds = 20_000): Promise<void> {
    this.pause()
    await until('all are in', () => this.speakers.every(({ isIn }) => isIn), milliseconds)
    const marks = this.speakers.map((speaker) => {
      const mark = `${speaker.name}, mark ${++this.#marks}`
      speaker.say(mark)
      return mark
    })
    const shown = new Map(this.pages.map((page) => [page, 0]))
    await until(
      `all have been shown ${marks.join('; ')}`,
      () =>
        this.pages.every((page) => {
          const texts = page.lines.slice(-500).map(({ message }) => message)
          shown.set(page, marks.filter((mark) => texts.includes(mark)).length)
          return shown.get(page) === marks.length
        }),
      milliseconds,
    ).catch((error: unknown) => {
      throw new Error(`shown were ${[...shown.values()].join()}`, { cause: error })
    })
    for (const speaker of this.speakers) speaker.read()
    await this.#untilSame(milliseconds)
    if (this.speakers.some(({ awaits }) => awaits)) throw new Difference('somebody waits for what was said')
  }

  /** Throws unless what was told so far is what is stored; there may be more. To be called at any time. Says whether a poll is under way. */
  async check(): Promise<boolean> {
    return await this.#compare(false)
  }

  /** The poll under way ends so many seconds from now. To be called while no server has read it. */
  async hasten(seconds: number): Promise<void> {
    const hastened = await this.#sql<{ id: number; closesAt: string }[]>`
      update plenum.poll set closes_at = now() + ${seconds} * interval '1 second'
      where meeting_id = ${this.#meeting.id} and ended_at is null
      returning id, closes_at::text as "closesAt"`
    for (const { id, closesAt } of hastened) this.#closings.set(id, { closesAt, ending: null })
  }

  /** What has been done, in numbers. */
  async figures(): Promise<Record<string, number>> {
    const tables = await readTables(this.#sql, this.#meeting.id)
    const { polls } = this.#recount(tables)
    const endings = Object.fromEntries(
      (['voted', 'time', 'aborted'] as const).map((ending) => [
        `polls ended by ${ending}`,
        polls.filter((poll) => poll.ending === ending).length,
      ]),
    )
    const sum = (count: (speaker: Speaker) => number): number =>
      this.speakers.reduce((total, speaker) => total + count(speaker), 0)
    const total = (count: (life: Life) => number): number =>
      [...this.#lives].reduce((total, life) => total + count(life), 0)
    return {
      'lines in the record': tables.record.length,
      'lines of members': tables.record.filter(({ from }) => from !== null).length,
      'lines shown': this.#former.lines + total(({ page }) => page.lines.length),
      'lines said and not stored': sum(({ lostInAll }) => lostInAll),
      'of these said again': sum(({ repeated }) => repeated),
      'votes sent': this.#votesSent,
      'votes and changes stored': tables.record.filter(
        ({ from, text }) => from === null && / (voted|changed their vote to) /.test(text),
      ).length,
      polls: polls.length,
      ...endings,
      'times a page connected': this.#former.attempts + total(({ page }) => page.attempts.length),
    }
  }

  /** What the system said that is of no poll. */
  async comings(): Promise<string[]> {
    return this.#recount(await readTables(this.#sql, this.#meeting.id)).others
  }

  #step(): void {
    for (const speaker of this.speakers) {
      if (!speaker.isIn) continue
      const { page, index } = speaker
      if (this.#random.chance(0.4)) speaker.speak(this.#random)
      const { poll } = page
      if (index === 0) this.#chair(page)
      else if (poll && this.#random.chance(0.2)) this.#vote(page, poll.answers.length)
    }
  }

  #vote(page: StockPage, answers: number): void {
    this.#votesSent++
    page.vote(this.#random.below(answers))
  }

  /** A poll is ended by the chair, or by the chair's vote, which is the last one that is missing, or is left to its time. */
  #chair(page: StockPage): void {
    const { poll } = page
    if (!poll) {
      if (Date.now() < this.#askedAt + 200) return
      this.#askedAt = Date.now()
      const question = `Question ${this.#answers.size + 1}?`
      const answers = this.#random.pick(answerLists)
      this.#answers.set(question, answers)
      this.#fates.set(question, this.#random.pick(['voted', 'voted', 'aborted', 'left']))
      page.send({ type: 'newpoll', question, answers, minutes: 5 })
      return
    }
    const fate = this.#fates.get(poll.question)
    const hasVoted = poll.voted?.includes(this.#meeting.user(0)) ?? false
    // What goes on for long outlives a server, and a guest who never votes must not keep it going for ever.
    if (!this.#random.chance(fate === 'left' || hasVoted ? 0.004 : 0.02)) return
    if (fate === 'voted' && !hasVoted) this.#vote(page, poll.answers.length)
    else page.send({ type: 'abortpoll' })
  }

  #recount({ record }: Tables): Recount {
    const members = new Map(this.#meeting.members.map(({ name, id }) => [name, id]))
    return recount(record, members, this.#answers)
  }

  /** Compares until there is no difference: what is just being told is none. */
  async #untilSame(milliseconds: number): Promise<void> {
    for (const deadline = new Deadline(milliseconds); ; await wait(50))
      try {
        await this.#compare(true)
        return
      } catch (error) {
        if (!(error instanceof Difference) || deadline.isOver) throw error
      }
  }

  async #compare(complete: boolean): Promise<boolean> {
    // What arrives while the tables are read may be newer than these.
    const seen = Array.from(this.#lives, (life) => ({
      life,
      isOver: life.page.state === 'stopped' && !this.pages.includes(life.page),
      lines: [...life.page.lines],
      frames: [...life.page.frames],
    }))
    const tables = await readTables(this.#sql, this.#meeting.id)
    const counted = this.#recount(tables)
    comparePolls(counted.polls, tables)
    this.#compareWords(tables)
    for (const { life, lines, frames } of seen) {
      const { index, page, first } = life
      const name = this.#meeting.name(index)
      const record = first === 0 ? tables.record : tables.record.filter(({ id }) => id > first)
      compareLines(lines, record, name)
      compareSums(frames, counted, name)
      if (complete && page.state === 'open') compareEnd(page, lines, record, tables, counted, name)
    }
    await this.#compareClosings(complete)
    for (const { life, isOver } of seen) {
      if (!isOver) continue
      this.#former.lines += life.page.lines.length
      this.#former.attempts += life.page.attempts.length
      this.#lives.delete(life)
    }
    return counted.sums.at(-1) !== null
  }

  /** Nothing is stored twice, nor what was never said, nor what is known to be lost. */
  #compareWords({ record }: Tables): void {
    const stored = new Set<string>()
    for (const { from, text } of record) {
      if (from === null) continue
      if (stored.has(text)) throw new Difference(`stored twice: ${text}`)
      stored.add(text)
    }
    for (const { lost } of this.speakers)
      for (const text of lost) if (stored.has(text)) throw new Difference(`stored, but never shown: ${text}`)
  }

  /** A poll keeps the time at which it is to end, and ends once, while there is a server not long after that. */
  async #compareClosings(isServed: boolean): Promise<void> {
    const polls = await this.#sql<{ id: number; closesAt: string; ending: string | null; late: boolean }[]>`
      select id, closes_at::text as "closesAt", ending, ending is null and closes_at < now() - ${patience(3000)} * interval '1 millisecond' as late
      from plenum.poll where meeting_id = ${this.#meeting.id}`
    for (const { id, closesAt, ending, late } of polls) {
      if (late && isServed) throw new Difference(`poll ${id} goes on, though its time was up at ${closesAt}`)
      const before = this.#closings.get(id)
      const same = before?.closesAt === closesAt && (before.ending ?? ending) === ending
      if (before && !same)
        throw new Difference(
          `poll ${id} was ${JSON.stringify(before)}, it is ${JSON.stringify({ closesAt, ending })}`,
        )
      this.#closings.set(id, { closesAt, ending })
    }
  }
}

/** Lines are those of the record, from the first one on, each one once. */
function compareLines(lines: readonly Line[], record: Tables['record'], name: string): void {
  for (const [place, { id, from, message, time, date }] of lines.entries()) {
    const shown = { id, from: from === -1 ? null : from, text: message, time, date }
    if (isDeepStrictEqual(shown, record[place])) continue
    const around = record.slice(Math.max(0, place - 2), place + 3)
    throw new Difference(
      `${name} was shown, as line ${place + 1} of ${lines.length},\n  ${JSON.stringify(shown)}\nwhere the record has\n  ${around.map((line) => JSON.stringify(line)).join('\n  ')}`,
    )
  }
}

/** Somebody who is here has all there is. */
function compareEnd(
  page: StockPage,
  lines: readonly Line[],
  record: Tables['record'],
  { present }: Tables,
  { sums }: Recount,
  name: string,
): void {
  if (lines.length !== record.length)
    throw new Difference(`${name} was shown ${lines.length} of ${record.length} lines`)
  const sum = sums.at(-1) ?? null
  const poll = page.poll && { question: page.poll.question, tally: page.poll.tally }
  const expected = sum && { question: sum.question, tally: sum.tally }
  if (!isDeepStrictEqual(poll, expected))
    throw new Difference(
      `${name} is shown the poll ${JSON.stringify(poll)}, it is ${JSON.stringify(expected)}`,
    )
  const people = [...page.people.keys()].sort((a, b) => a - b)
  if (!isDeepStrictEqual(people, present))
    throw new Difference(`${name} is shown as present ${people.join()}, stored is ${present.join()}`)
}
