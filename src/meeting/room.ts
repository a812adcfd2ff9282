import type { Sql } from 'postgres'
import type { Retry } from '../db/contention.ts'
import { explainRefusal, isRefused, isSchemaFault, whereRefused } from '../db/failure.ts'
import { codeOf, describeError } from '../db/pool.ts'
import { fencedState, outdatedState } from '../db/schema.ts'
import { type Log, stackOf } from '../edge/log.ts'
import type { Metrics } from '../edge/metrics.ts'
import { refusalEveryMs, Seldom } from '../edge/seldom.ts'
import type { Ending, Socket } from '../edge/socket.ts'
import { catchUp, type Page, type PageCache, Tail } from '../hub/history.ts'
import { Mailbox } from '../hub/mailbox.ts'
import { Outbox, type Recipient } from '../hub/outbox.ts'
import { Portion } from '../hub/portion.ts'
import {
  apply,
  type Attendee,
  authorise,
  type Command,
  type Credential,
  decide,
  type Decision,
  due,
  endConnections,
  type DoneCommand,
  doneKey,
  enter,
  type Event,
  followSite,
  isDone,
  type LineDraft,
  type Meeting,
  nextDue,
  type Person,
  refusal,
  remember,
  say,
  vote,
} from './meeting.ts'
import type { MemberId, Poll } from './poll.ts'
import {
  addUserFrame,
  encodeLine,
  isRejection,
  meetingFrame,
  messageFrame,
  messagesFrame,
  type MessageData,
  noPollFrame,
  pollEndFrame,
  pollFrame,
  removeUserFrame,
  statusFrame,
  usersFrame,
  welcomeFrame,
} from './protocol.ts'
import { closeCodes, type DisconnectText, disconnects, reject, type Rejection } from './rejection.ts'
import type { Session, SessionRoom } from './session.ts'
import {
  beginReading,
  commit,
  Conflict,
  type Fence,
  readMeeting,
  readPage,
  type SiteReport,
  type StoredLine,
  type StoredMeeting,
  type Zone,
} from './store.ts'

/** Someone who may enter, as far as the database knows, and his connection. `first`: the highest id that he has. */
export type Entrant = { session: Session; credential: Credential; first: number }

/** `readers`: everyone but those who still lack older lines. */
type Audience = 'readers' | 'admins' | 'members'

const audiences = {
  admin: { reads: ['admins', 'readers'], lags: ['admins'] },
  member: { reads: ['members', 'readers'], lags: ['members'] },
} as const satisfies Record<string, Record<string, readonly Audience[]>>

/** A connection of someone who is in the meeting. */
class Seat implements Recipient<Audience> {
  readonly session: Session
  readonly member: MemberId
  admin: boolean
  /** The id after which he lacks lines; null if he has all. */
  behind: number | null

  constructor(session: Session, member: MemberId, { admin, behind }: Pick<Seat, 'admin' | 'behind'>) {
    this.session = session
    this.member = member
    this.admin = admin
    this.behind = behind
  }

  get socket(): Socket {
    return this.session.socket
  }

  get newer(): boolean {
    return this.session.newer
  }

  get audiences(): readonly Audience[] {
    return audiences[this.admin ? 'admin' : 'member'][this.behind === null ? 'reads' : 'lags']
  }
}

type CommandJob = { type: 'command'; session: Session; command: Command; id: string | null }

/** A command of one who is in. */
type SeatedCommand = { job: CommandJob; attendee: Attendee }

type Job =
  | ({ type: 'enter' } & Entrant)
  | { type: 'ended'; session: Session; how: Ending }
  | CommandJob
  | { type: 'site'; report: SiteReport; revision: number }
  | { type: 'wake' }

export type RoomDeps = {
  sql: Sql
  /** For what this room writes. */
  retry: Retry
  /** Shared by all who read the record. */
  retryReading: Retry
  epoch: string
  clock: () => number
  graceMs: number
  closeAfterMs: number
  joinWindowMs: number | null
  ratePerSecond: () => number
  version: string
  zone: () => Zone
  log: Log
  metrics: Metrics
  /** Shared by all rooms. */
  pages: PageCache
  /** A write was refused because another process serves the meetings. */
  onFenced: () => void
  /** Nobody is here and nothing is under way: the room may be forgotten. */
  onIdle: () => void
  /** The room has ended by an error of ours; its connections are gone. */
  onFailed: () => void
}

const unavailable = reject('The meeting database is not available, please try again', { again: true })
const busy = reject('The meeting is very busy, please try again', { again: true })
const maxQueued = 20_000
/**
 * From this many people who come or go at once, if they are a tenth of all, one `users` frame tells it. In a large
 * meeting the list is so long that fewer are told one by one.
 */
const manyPeople = 3
const pollEveryMs = 100
const retryMs = 1000
/** A view that is read anew and brings nothing new is told at most so often. */
const tellAnewEveryMs = 10_000
/** A commit that lasts for more ticks is no delay any more: new commands are refused until it ends. */
const patienceTicks = 5
const tickMs = 1000
/** What is due by itself and is refused by the database is tried again after so long: twice as long each time. */
const postponeMs = { first: 1000, most: 60_000 } as const

/** One meeting in this process: its view, its mailbox and its connections. */
export class Room implements SessionRoom {
  readonly id: number
  readonly #deps: RoomDeps
  readonly #mailbox: Mailbox<Job>
  readonly #outbox: Outbox<Audience>
  /** By the id of the socket. */
  readonly #seats = new Map<number, Seat>()
  readonly #tail: Tail
  #view: Meeting | null = null
  #stale = true
  /** What belongs to the view, and is named by what is written on its ground. */
  #fence: Fence | null = null
  #readsFail = false
  /** How many jobs share a commit, and how many departures. */
  readonly #portion = new Portion()
  readonly #departures = new Portion()
  /** What is due by itself and was refused by the database, by its name, and until when it waits. */
  readonly #postponed = new Map<string, number>()
  readonly #delays = new Map<string, number>()
  readonly #refusals: Seldom
  #followed = { fingerprint: '', revision: -1 }
  #busyTicks = 0
  #timer: NodeJS.Timeout | null = null
  #pollTimer: NodeJS.Timeout | null = null
  #pollToldAt = -Infinity
  #toldAnewAt = -Infinity
  #draining = false
  #closed = false

  constructor(id: number, deps: RoomDeps) {
    this.id = id
    this.#deps = deps
    this.#refusals = new Seldom(refusalEveryMs, deps.clock)
    this.#tail = new Tail(deps.clock)
    this.#outbox = new Outbox(this.#seats, (milliseconds, deliveries) =>
      deps.metrics.fannedOut(milliseconds, deliveries),
    )
    this.#mailbox = new Mailbox<Job>({
      consume: (jobs) => this.#consume(jobs),
      onError: (error) => this.#fail(error),
      limit: maxQueued,
    })
  }

  /** What is known of the meeting; null before it has been read. */
  get view(): Meeting | null {
    return this.#view
  }

  /** How many jobs wait. */
  get queued(): number {
    return this.#mailbox.size
  }

  /** Grows with every change of what the site could change too. */
  get revision(): number {
    return this.#view?.revision ?? 0
  }

  enter(entrants: readonly Entrant[]): void {
    if (this.#mailbox.full) {
      for (const { session } of entrants) session.end()
      return
    }
    for (const { session } of entrants) session.assign(this)
    this.#mailbox.push(...entrants.map((entrant): Job => ({ type: 'enter', ...entrant })))
  }

  ended(session: Session, how: Ending): void {
    this.#mailbox.push({ type: 'ended', session, how })
  }

  command(session: Session, command: Command, id: string | null): void {
    // As if it had come after the end: nobody was told that it was heard.
    if (this.#draining) return
    if (this.#mailbox.full) return session.reply(busy, id)
    if (this.#busyTicks >= patienceTicks) return session.reply(unavailable, id)
    this.#mailbox.push({ type: 'command', session, command, id })
  }

  /** The fingerprint of what was last followed of the site; '' when more has changed since than that says. */
  get siteFingerprint(): string {
    return this.#followed.revision === this.revision ? this.#followed.fingerprint : ''
  }

  /** Brings the view in line with `report`, which was asked for when the room was at `revision`. */
  followSite(report: SiteReport, revision: number): void {
    this.#mailbox.push({ type: 'site', report, revision })
  }

  /** Looks at what is due. */
  wake(): void {
    this.#mailbox.push({ type: 'wake' })
  }

  /** Takes no more commands, and resolves when all that is queued has been done and sent. */
  async drain(): Promise<void> {
    this.#draining = true
    await this.#mailbox.idle()
    if (this.#pollTimer && this.#view) this.#tellPoll(this.#view)
    this.#outbox.flush()
  }

  /** Ends all connections without a word, some by the close code `code`, and forgets everything. */
  close(code: number): void {
    this.#closed = true
    if (this.#timer) clearTimeout(this.#timer)
    if (this.#pollTimer) clearTimeout(this.#pollTimer)
    for (const job of this.#mailbox.close()) if (job.type === 'enter') job.session.end(code)
    for (const { session } of this.#seats.values()) session.end(code)
    this.#seats.clear()
  }

  /**
   * Does one run, or gives up all that is queued. Whatever becomes of it, it is done: who sent it has been told if it
   * failed.
   */
  async #consume(jobs: readonly Job[]): Promise<number> {
    // Counted, not measured: while this process is halted (SIGSTOP, a suspended machine) the database waits for us.
    const ticking = setInterval(() => this.#busyTicks++, tickMs)
    let done = 0
    try {
      done = await this.#carryThrough(jobs)
    } finally {
      clearInterval(ticking)
      this.#busyTicks = 0
    }
    if (!this.#closed) this.#schedule(done)
    return done
  }

  async #carryThrough(jobs: readonly Job[]): Promise<number> {
    const run = takeRun(jobs)
    let done = 0
    while (done === 0) {
      const part = this.#portion.of(run)
      try {
        done = await this.#performTwice(part)
        this.#portion.done()
      } catch (error) {
        // What the database refuses of one must not take the others along.
        if (isRefused(error) && !this.#stale && this.#portion.refused(part.length)) continue
        // Where the view cannot be read, what is queued would wait for the same, one after the other.
        const given = this.#stale ? [...jobs] : part
        this.#handleFailure(error, given)
        done = given.length
      }
    }
    try {
      await this.#settle()
    } catch (error) {
      this.#handleFailure(error, [])
    }
    return done
  }

  async #performTwice(run: readonly Job[]): Promise<number> {
    try {
      return await this.#perform(run)
    } catch (error) {
      if (!isConflict(error)) throw error
      // Decided on a view that no longer held: once more, on one that is read anew.
      this.#distrustView(error)
      return await this.#perform(run)
    }
  }

  /** Does what is due by itself. */
  async #settle(): Promise<void> {
    const view = this.#view
    if (!view || this.#stale || this.#closed) return
    for (;;) {
      const now = this.#deps.clock()
      for (const [name, until] of this.#postponed) if (until <= now) this.#postponed.delete(name)
      const next = due(view, now, this.#postponed, this.#departures, this.#deps.closeAfterMs)
      if (!next) return
      try {
        await this.#carryOut(view, next.decision)
        this.#departures.done()
        for (const name of next.names) this.#delays.delete(name)
      } catch (error) {
        if (!isRefused(error)) throw error
        if (this.#departures.refused(next.names.length)) continue
        this.#logRefused(error)
        for (const name of next.names) {
          const delay = Math.min(postponeMs.most, 2 * (this.#delays.get(name) ?? postponeMs.first / 2))
          this.#delays.set(name, delay)
          this.#postponed.set(name, now + delay)
        }
      }
    }
  }

  /** Carries out what has happened already: where the database refuses to have it written, that is due from now on. */
  async #carryOutAnyway(view: Meeting, decision: Decision, now: number): Promise<void> {
    try {
      await this.#carryOut(view, decision)
    } catch (error) {
      if (!isRefused(error)) throw error
      this.#logRefused(error)
      const events = decision.events({ poll: null }).map((event): Event => {
        if (event.type !== 'departed') return event
        this.#outbox.flush()
        this.#dismissFor(view, event)
        return { type: 'away', member: event.member, until: now }
      })
      this.#tell(view, events)
    }
  }

  /** A run is one job, or as many of the same kind as can share a commit. */
  async #perform(run: readonly Job[]): Promise<number> {
    const [job] = run
    if (!job) return 0
    if (this.#stale) await this.#load()
    const view = this.#view
    if (!view) {
      for (const one of run) if (one.type === 'enter') this.#refuse(one.session, disconnects.notAllowed)
      return run.length
    }
    const now = this.#deps.clock()
    switch (job.type) {
      case 'enter':
        await this.#admit(view, run as (Job & { type: 'enter' })[])
        return run.length
      case 'ended': {
        const ended = (run as (Job & { type: 'ended' })[]).flatMap(({ session, how }) => {
          const attendee = this.#unseat(view, session)
          if (!attendee) return []
          this.#logEnd(attendee.id, session, how)
          return [{ attendee, how }]
        })
        await this.#carryOutAnyway(view, endConnections(ended, this.#deps.graceMs, now), now)
        return run.length
      }
      case 'site': {
        const { site, fingerprint } = job.report
        if (site === undefined) return 1
        const upToDate = job.revision === view.revision
        const decision = followSite(view, site, job.revision)
        if (decision) await this.#carryOutAnyway(view, decision, now)
        if (upToDate) this.#followed = { fingerprint, revision: view.revision }
        return 1
      }
      case 'wake':
        return 1
      case 'command':
        return await this.#obey(view, run as CommandJob[], now)
    }
  }

  /** Commands of those who have been removed are dropped: they have no seat. */
  async #obey(view: Meeting, run: readonly CommandJob[], now: number): Promise<number> {
    const seated = run.flatMap((job) => {
      const attendee = view.attendees.get(this.#seats.get(job.session.socket.id)?.member ?? -1)
      return attendee ? [{ job, attendee }] : []
    })
    const asked = seated.filter(
      ({ job: { id }, attendee }) => id === null || !isDone(view, { member: attendee.id, id }),
    )
    const answers = await this.#do(view, asked, now)
    const next = asked[answers.length]?.job
    const rejections = new Map<CommandJob, Rejection>()
    for (const [n, { job }] of asked.entries()) {
      const answer = answers[n]
      if (answer) rejections.set(job, answer)
    }
    // Lines come before the word that they are said.
    if (seated.some(({ job }) => job.id !== null)) this.#outbox.flush()
    for (const { job } of seated) {
      if (job === next) break
      const rejection = rejections.get(job)
      if (rejection) job.session.reply(rejection, job.id)
      else if (job.id !== null) job.session.acknowledge(job.id)
    }
    return next ? run.indexOf(next) : run.length
  }

  /** Does the first of `asked`, and those after it that can share its commit: gives the answer to each of these. */
  async #do(view: Meeting, asked: readonly SeatedCommand[], now: number): Promise<(Rejection | null)[]> {
    const [first] = asked
    if (!first) return []
    const { command } = first.job
    switch (command.type) {
      case 'say': {
        const lines = asked.flatMap(({ attendee, job: { command } }) =>
          command.type === 'say' ? [{ by: attendee.id, text: command.text }] : [],
        )
        const outcome = say(view, lines)
        if (isRejection(outcome)) return asked.map(() => outcome)
        await this.#carryOut(view, remember(outcome, named(asked), now))
        return asked.map(() => null)
      }
      case 'vote': {
        const votes = asked.flatMap(({ attendee, job: { command } }) =>
          command.type === 'vote' ? [{ ...command, by: attendee.id }] : [],
        )
        const { answers, decision } = vote(view, votes, now)
        const done = named(asked.filter((_, n) => answers[n] === null))
        await this.#carryOut(view, remember(decision, done, now))
        return answers
      }
      case 'open':
      case 'finish':
      case 'newPoll':
      case 'abortPoll':
      case 'kick': {
        const outcome = authorise(first.attendee, command) ?? decide(view, first.attendee, command, now)
        if (isRejection(outcome)) return [outcome]
        await this.#carryOut(view, remember(outcome, named([first]), now))
        return [null]
      }
    }
  }

  async #admit(view: Meeting, run: readonly (Job & { type: 'enter' })[]): Promise<void> {
    const admitted: { entrant: Entrant; decision: Decision }[] = []
    for (const entrant of run) {
      const { session, credential } = entrant
      if (!session.open) continue
      const refused = refusal(credential, view, this.#deps.joinWindowMs)
      if (refused) this.#refuse(session, refused)
      else {
        const { id, remote } = session.socket
        admitted.push({ entrant, decision: enter(view, credential, id, remote) })
      }
    }
    if (admitted.length === 0) return

    const upTo = view.lastLine.id
    const { events, lines } = await this.#commit(view, merge(admitted.map(({ decision }) => decision)))

    this.#outbox.flush()
    const appeared: Person[] = []
    for (const event of events) {
      if (event.type !== 'entered') continue
      const { attendee } = event
      const before = view.attendees.get(attendee.id)
      if (before?.presence.type === 'here') this.#dismiss(before.presence.socket, disconnects.takenOver)
      if (!before) appeared.push(attendee)
      apply(view, event)
    }
    const users = usersFrame(view)
    this.#tellPresence(view, appeared.map(addUserFrame), users)
    if (admitted.some(({ entrant }) => entrant.credential.admin)) this.#tellMeeting(view)
    const rests = new Map<string, { rest: Buffer; isBehind: boolean }>()
    const restOf = (admin: boolean, first: number, newer: boolean): { rest: Buffer; isBehind: boolean } => {
      const frames = [statusFrame(view), noPollFrame]
      if (view.poll) frames.push(this.#pollFrame(view.poll, admin ? 'admins' : 'members', newer))
      const isBehind = !this.#tail.covers(first)
      if (!isBehind) frames.push(messagesFrame(this.#tail.since(first).join(',')))
      return { rest: Buffer.concat(frames), isBehind }
    }
    const greeted = admitted.map(({ entrant }) => {
      const { session, credential, first } = entrant
      const { id, admin } = credential
      const { newer } = session
      const kind = `${first} ${admin} ${newer}`
      const known = rests.get(kind) ?? restOf(admin, first, newer)
      rests.set(kind, known)
      const behind = known.isBehind ? Math.min(first, upTo) : null
      return { seat: new Seat(session, id, { admin, behind }), rest: known.rest }
    })
    // Those who were here get the new names and their lines in one write, those who come get the lines after the rest.
    const joined = this.#encode(lines)
    for (const frame of joined) this.#outbox.send('readers', frame)
    this.#outbox.flush()
    for (const { seat, rest } of greeted) {
      const { socket, behind } = seat
      this.#seats.set(socket.id, seat)
      socket.allowBacklog(users.length + rest.length)
      socket.write([
        ...(seat.newer ? [this.#welcomeFrame(view, seat.member)] : []),
        users,
        rest,
        ...(behind === null ? joined : []),
      ])
      if (behind !== null) void this.#catchUp(seat, upTo)
    }
    for (const [index, { entrant }] of admitted.entries()) {
      const event = events[index]
      const { session, credential } = entrant
      this.#deps.log({
        level: 'info',
        event: 'entered',
        meeting: this.id,
        member: credential.id,
        address: session.socket.remote,
        request: session.socket.request,
        arrival: event?.type === 'entered' ? event.arrival : '',
      })
      session.admitted()
    }
  }

  /** Tells one who lacks older lines what there is up to the id `upTo`, and lets him in among the readers. */
  async #catchUp(seat: Seat, upTo: number): Promise<void> {
    try {
      await catchUp(seat, {
        upTo,
        tail: this.#tail,
        isHere: () => this.#seats.get(seat.socket.id) === seat,
        read: async (after) => {
          const page = await this.#readPage(after, upTo)
          this.#readsFail = false
          return page
        },
        toFrame: messageFrame,
        beforeLive: () => this.#outbox.flush(),
        onFailedRead: (error) => {
          this.#logFailedRead(error)
          if (isRefused(error) && seat.session.open) this.#refuse(seat.session, disconnects.refused)
        },
      })
    } catch (error) {
      this.#fail(error)
    }
  }

  /** What comes after the line `after`: up to about `upTo`, or to the newest line if that has been passed already. */
  #readPage(after: number, upTo: number): Promise<Page> {
    const { sql, pages, retryReading } = this.#deps
    const end = after < upTo ? upTo : (this.#view?.lastLine.id ?? upTo)
    // Whoever reads the meeting anew may find another record, after a failover for example.
    return pages.get(`${this.id} ${this.#fence?.reading} ${after}`, async () => {
      const { json, last, full } = await retryReading(() => readPage(sql, this.id, after, end))
      return { frame: messagesFrame(json), last, full }
    })
  }

  #logFailedRead(error: unknown): void {
    if (!this.#readsFail)
      this.#deps.log({ level: 'warn', event: 'readFailed', meeting: this.id, error: describeError(error) })
    this.#readsFail = true
  }

  #refuse(session: Session, text: DisconnectText): void {
    this.#deps.log({
      level: 'info',
      event: 'refused',
      meeting: this.id,
      address: session.socket.remote,
      request: session.socket.request,
      reason: text,
    })
    session.disconnect(text, this.#deps.zone().utcOffset)
  }

  async #carryOut(view: Meeting, decision: Decision): Promise<void> {
    const { events, lines } = await this.#commit(view, decision)
    this.#tell(view, events)
    this.#sayLines(lines)
  }

  async #commit(view: Meeting, decision: Decision): Promise<{ events: Event[]; lines: MessageData[] }> {
    const { sql, retry, clock, metrics } = this.#deps
    const { write } = decision
    const fence = this.#fence
    if (!fence) throw new Error('a meeting was written before it was read')
    const begun = clock()
    let asked = begun
    const stored = await retry(async () => {
      this.#checkOpen()
      asked = clock()
      return await commit(sql, fence, write, view.lastLine.time)
    })
    metrics.committed(clock() - begun, { lines: stored.lines.length, votes: write.votes?.cast.length ?? 0 })
    this.#checkOpen()
    const poll = stored.poll && { id: stored.poll.id, endsAt: asked + stored.poll.endsInMs }
    const lines = stored.lines.map((line, index) => lineOf(view, write.lines[index], line))
    const last = stored.lines.at(-1)
    if (last) view.lastLine = { id: last.id, time: last.t }
    return { events: decision.events({ poll }), lines }
  }

  #sayLines(lines: readonly MessageData[]): void {
    for (const frame of this.#encode(lines)) this.#outbox.send('readers', frame)
  }

  /** The frames of new lines, which are history from here on. */
  #encode(lines: readonly MessageData[]): Buffer[] {
    return lines.map((data) => {
      const line = encodeLine(data)
      this.#tail.append(data.id, line)
      return messageFrame(line)
    })
  }

  /** Tells who came or went, by a frame for each; by `users` where these would be many for the size of the meeting. */
  #tellPresence(view: Meeting, changes: readonly Buffer[], users?: Buffer): void {
    if (changes.length >= Math.max(manyPeople, view.attendees.size / 10))
      this.#outbox.send('everyone', users ?? usersFrame(view))
    else for (const frame of changes) this.#outbox.send('everyone', frame)
  }

  #tell(view: Meeting, events: readonly Event[]): void {
    const gone = events.flatMap((event) => {
      const attendee = event.type === 'departed' && view.attendees.get(event.member)
      return attendee ? [removeUserFrame(attendee)] : []
    })
    for (const event of events) {
      // Frames that are on their way go to those who were here, in the roles that they had.
      this.#outbox.flush()
      if (event.type === 'departed' || event.type === 'vanished') this.#dismissFor(view, event)
      // Who departs takes his role along.
      const changesMeeting =
        ['stateChanged', 'renamed', 'attendeeChanged'].includes(event.type) ||
        (event.type === 'departed' && view.attendees.get(event.member)?.admin)
      apply(view, event)
      if (changesMeeting) this.#tellMeeting(view)
      switch (event.type) {
        case 'stateChanged':
          this.#outbox.send('everyone', statusFrame(view))
          this.#deps.log({ level: 'info', event: 'stateChanged', meeting: this.id, state: event.state })
          break
        case 'attendeeChanged': {
          const presence = view.attendees.get(event.member)?.presence
          const seat = presence?.type === 'here' ? this.#seats.get(presence.socket) : undefined
          if (!seat) break
          seat.admin = event.admin
          if (view.poll)
            seat.socket.write([this.#pollFrame(view.poll, event.admin ? 'admins' : 'members', seat.newer)])
          break
        }
        case 'pollEnded':
          if (view.result) this.#outbox.send('everyone', null, pollEndFrame(view.result))
          this.#tellPoll(view)
          break
        case 'pollOpened':
          this.#tellPoll(view)
          break
        case 'voted':
          this.#tellPollSoon(view)
          break
        case 'entered':
        case 'away':
        case 'departed':
        case 'banned':
        case 'unbanned':
        case 'renamed':
        case 'commandsDone':
          break
        case 'vanished':
          this.#view = null
          this.#stale = true
          break
      }
    }
    if (events.some((event) => event.type === 'attendeeChanged' && event.isRenamed))
      this.#outbox.send('everyone', usersFrame(view))
    else this.#tellPresence(view, gone)
  }

  #tellPoll(view: Meeting): void {
    if (this.#pollTimer) clearTimeout(this.#pollTimer)
    this.#pollTimer = null
    this.#pollToldAt = this.#deps.clock()
    const { poll } = view
    if (!poll) return this.#outbox.send('everyone', noPollFrame)
    for (const audience of ['admins', 'members'] as const)
      this.#outbox.send(audience, pollFrame(poll, audience), this.#pollFrame(poll, audience, true))
  }

  #pollFrame(poll: Poll, audience: 'admins' | 'members', newer: boolean): Buffer {
    if (!newer) return pollFrame(poll, audience)
    const now = Date.now()
    return pollFrame(poll, audience, { closesAt: now + Math.round(poll.endsAt - this.#deps.clock()), now })
  }

  #tellMeeting(view: Meeting): void {
    this.#outbox.send('everyone', null, meetingFrame(view))
  }

  #welcomeFrame(view: Meeting, member: MemberId): Buffer {
    return welcomeFrame(view, member, { ...this.#deps, ...this.#deps.zone(), now: Date.now() })
  }

  /** Sums are told at most ten times a second; the last one always is. */
  #tellPollSoon(view: Meeting): void {
    if (this.#pollTimer) return
    const wait = this.#pollToldAt + pollEveryMs - this.#deps.clock()
    if (wait <= 0) return this.#tellPoll(view)
    this.#pollTimer = setTimeout(() => {
      if (this.#view) this.#tellPoll(this.#view)
    }, wait)
  }

  #dismissFor(view: Meeting, event: Event & { type: 'departed' | 'vanished' }): void {
    if (event.type === 'vanished') {
      for (const socket of this.#seats.keys()) this.#dismiss(socket, disconnects.deleted)
      return
    }
    const presence = view.attendees.get(event.member)?.presence
    if (presence?.type === 'here') this.#dismiss(presence.socket, event.told)
  }

  /** Takes a seat and ends its connection, for good where there is a word to tell. */
  #dismiss(socket: number, text: DisconnectText | null): void {
    const seat = this.#seats.get(socket)
    if (!seat) return
    this.#seats.delete(socket)
    this.#logEnd(seat.member, seat.session, text ?? 'dismissed')
    if (text) seat.session.disconnect(text, this.#deps.zone().utcOffset)
    else seat.session.end()
  }

  /** The attendee whose connection this was, if it was the one that counts. */
  #unseat(view: Meeting, session: Session): ReturnType<Meeting['attendees']['get']> {
    const seat = this.#seats.get(session.socket.id)
    if (!seat) return undefined
    this.#outbox.flush()
    this.#seats.delete(session.socket.id)
    return view.attendees.get(seat.member)
  }

  #logEnd(member: MemberId, session: Session, how: string): void {
    const { remote: address, request } = session.socket
    this.#deps.log({ level: 'info', event: 'ended', meeting: this.id, member, address, request, how })
  }

  /** Reads the view anew, and tells those who are here what they may have missed. */
  async #load(): Promise<void> {
    const { sql, retry, epoch, clock, graceMs } = this.#deps
    const before = this.#view
    this.#fence = await retry(() => beginReading(sql, epoch, this.id))
    const stored = await retry(() => readMeeting(sql, this.id))
    this.#checkOpen()
    if (!stored) {
      for (const socket of this.#seats.keys()) this.#dismiss(socket, disconnects.deleted)
      this.#view = null
      return
    }
    const view = buildView(this.id, stored, before, this.#seats, clock(), graceMs)
    this.#outbox.flush()
    this.#view = view
    this.#stale = false
    this.#postponed.clear()
    this.#delays.clear()
    this.#tail.restart(view.lastLine.id)
    for (const [socket, seat] of this.#seats) {
      const attendee = view.attendees.get(seat.member)
      if (!attendee) {
        this.#dismiss(socket, view.banned.has(seat.member) ? disconnects.kicked : null)
        continue
      }
      seat.admin = attendee.admin
      if (!before || seat.behind !== null || before.lastLine.id === view.lastLine.id) continue
      seat.behind = before.lastLine.id
      void this.#catchUp(seat, view.lastLine.id)
    }
    if (!before) return
    this.#deps.log({ level: 'info', event: 'viewReadAnew', meeting: this.id })
    // Where reading works and writing does not, each command that fails has the view read anew.
    const now = clock()
    if (now - this.#toldAnewAt < tellAnewEveryMs && pictureOf(view).equals(pictureOf(before))) return
    this.#toldAnewAt = now
    this.#outbox.send('everyone', usersFrame(view))
    this.#outbox.send('everyone', statusFrame(view))
    this.#tellMeeting(view)
    if (view.result && view.result.id !== before.result?.id)
      this.#outbox.send('everyone', null, pollEndFrame(view.result))
    this.#outbox.send('everyone', noPollFrame)
    if (view.poll) this.#tellPoll(view)
  }

  #distrustView(error: unknown): void {
    if (!this.#stale)
      this.#deps.log({
        level: 'warn',
        event: 'viewDistrusted',
        meeting: this.id,
        reason: error instanceof Conflict ? error.message : describeError(error),
      })
    this.#stale = true
  }

  /** Nothing of the run was done, as far as we know. The view is read anew before anything else. */
  #handleFailure(error: unknown, run: readonly Job[]): void {
    if (isRefused(error)) return this.#handleRefusal(error, run)
    // The page of one who wanted to enter comes back by itself and asks again.
    for (const job of run) if (job.type === 'enter') job.session.end()
    if (error instanceof RoomClosed) return
    if (codeOf(error) === fencedState) return this.#deps.onFenced()
    // What has a code comes from the database or from the way to it; all else is an error of ours.
    if (!isConflict(error) && codeOf(error) === null) throw error
    if (!isConflict(error)) this.#deps.metrics.databaseFailed()
    this.#distrustView(error)
    for (const job of run) {
      if (job.type === 'command' && job.session.open) job.session.reply(unavailable, job.id)
      if (job.type === 'ended') this.#seats.delete(job.session.socket.id)
    }
  }

  /** Nothing of the run was done, and would not be if it were tried again: who sent it is told so. */
  #handleRefusal(error: unknown, run: readonly Job[]): void {
    this.#logRefused(error)
    const rejection = reject(explainRefusal(error))
    for (const job of run) {
      if (job.type === 'enter' && job.session.open) this.#refuse(job.session, disconnects.refused)
      if (job.type === 'command' && job.session.open) job.session.reply(rejection, job.id)
      if (job.type === 'ended') this.#seats.delete(job.session.socket.id)
    }
  }

  #logRefused(error: unknown): void {
    if (isSchemaFault(error)) this.#deps.metrics.databaseFailed()
    const count = this.#refusals.happened()
    if (count === null) return
    this.#deps.log({
      level: 'warn',
      event: 'notStored',
      meeting: this.id,
      count,
      error: describeError(error),
      ...whereRefused(error),
    })
  }

  /** Another process may have taken over, and this room been closed, while something was on its way. */
  #checkOpen(): void {
    if (this.#closed) throw new RoomClosed()
  }

  #schedule(taken: number): void {
    if (this.#timer) clearTimeout(this.#timer)
    this.#timer = null
    const view = this.#view
    const now = this.#deps.clock()
    const wake =
      view && (this.#stale ? now + retryMs : nextDue(view, this.#postponed, this.#deps.closeAfterMs))
    if (wake !== null) this.#timer = setTimeout(() => this.wake(), Math.max(0, Math.ceil(wake - now)))
    else if (this.#mailbox.size <= taken && this.#seats.size === 0 && (!view || view.attendees.size === 0))
      this.#deps.onIdle()
  }

  #fail(error: unknown): void {
    this.#deps.log({ level: 'error', event: 'roomFailed', meeting: this.id, error: stackOf(error) })
    this.close(closeCodes.forNow)
    this.#deps.onFailed()
  }
}

class RoomClosed extends Error {}

function isConflict(error: unknown): boolean {
  return error instanceof Conflict || codeOf(error) === outdatedState
}

/** What is shown of a meeting apart from its lines, and to whom. */
function pictureOf(view: Meeting): Buffer {
  const admins = Array.from(view.attendees.values(), ({ admin }) => Number(admin))
  return Buffer.concat([
    usersFrame(view),
    statusFrame(view),
    pollFrame(view.poll, 'admins'),
    Buffer.from(admins),
  ])
}

/**
 * The jobs at the front that can share a commit: lines, votes, entries of different members, ends. What is sent twice
 * under the same id is not in one.
 */
function takeRun(jobs: readonly Job[]): readonly Job[] {
  const kind = (job: Job): string => (job.type === 'command' ? job.command.type : job.type)
  const first = jobs[0]
  if (!first || !['say', 'vote', 'enter', 'ended'].includes(kind(first))) return jobs.slice(0, 1)
  const seen = new Set<string>()
  const end = jobs.findIndex((job) => {
    if (kind(job) !== kind(first)) return true
    const name =
      job.type === 'enter'
        ? `${job.credential.id}`
        : job.type === 'command' && job.id !== null
          ? `${job.session.socket.id} ${job.id}`
          : null
    if (name === null) return false
    const again = seen.has(name)
    seen.add(name)
    return again
  })
  return end === -1 ? [...jobs] : jobs.slice(0, end)
}

/** Those that are to be remembered. */
function named(commands: readonly SeatedCommand[]): DoneCommand[] {
  return commands.flatMap(({ attendee, job: { id } }) => (id === null ? [] : [{ member: attendee.id, id }]))
}

function merge(decisions: readonly Decision[]): Decision {
  return {
    write: {
      lines: decisions.flatMap(({ write }) => write.lines),
      attend: decisions.flatMap(({ write }) => write.attend ?? []),
    },
    events: (committed) => decisions.flatMap(({ events }) => events(committed)),
  }
}

function lineOf(view: Meeting, draft: LineDraft | undefined, stored: StoredLine): MessageData {
  if (!draft) throw new Error('the database stored more lines than were written')
  const { id, time, date, message } = stored
  const from = draft.sender ?? -1
  const sender = view.attendees.get(from) ?? view.departed.get(from)
  const color = draft.sender === null ? 'sys' : (sender?.color ?? 'sys')
  return { id, time, date, from, fromname: sender?.name ?? '', color, message }
}

/**
 * The view of what is stored. Who is present there but has no connection here is away, and has the grace time to come
 * back: so it is after a restart, for everyone.
 */
function buildView(
  id: number,
  stored: StoredMeeting,
  before: Meeting | null,
  seats: ReadonlyMap<number, Seat>,
  now: number,
  graceMs: number,
): Meeting {
  const socketOf = new Map(Array.from(seats, ([socket, { member }]) => [member, socket]))
  // Above all that was asked of the site before.
  const revision = (before?.revision ?? 0) + 1
  const view: Meeting = {
    id,
    name: stored.name,
    state: stored.state,
    attendees: new Map(),
    departed: new Map(),
    banned: new Set(stored.banned),
    poll: null,
    endedPolls: new Map(stored.endedPolls.map(({ question, endedAgoMs }) => [question, now - endedAgoMs])),
    result: stored.lastPoll && {
      ...stored.lastPoll,
      tally: stored.lastPoll.ending === 'aborted' ? null : stored.lastPoll.tally,
    },
    done: new Map(stored.done.map(({ doneAgoMs, ...command }) => [doneKey(command), now - doneAgoMs])),
    lastLine: stored.lastLine,
    revision,
    stateRevision: revision,
    banRevision: revision,
  }
  if (stored.poll) {
    const { endsInMs, votes, ...poll } = stored.poll
    view.poll = { ...poll, votes: new Map(votes), endsAt: now + endsInMs }
  }
  for (const { present, proxyName, ...person } of stored.attendance) {
    const known = before?.attendees.get(person.id)
    const remote = known?.remote ?? before?.departed.get(person.id)?.remote ?? ''
    if (!present) {
      const gone = before?.departed.get(person.id)
      view.departed.set(person.id, { ...person, remote, lostAt: gone?.lostAt === null ? null : now })
      continue
    }
    const socket = socketOf.get(person.id)
    // Counted from here: as long as the database was away nobody could come back.
    const until = now + graceMs
    view.attendees.set(person.id, {
      ...person,
      proxyName,
      key: known?.key ?? null,
      remote,
      presence: socket === undefined ? { type: 'away', until } : { type: 'here', socket },
      revision,
    })
  }
  return view
}
