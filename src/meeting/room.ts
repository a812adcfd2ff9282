import type { Sql } from 'postgres'
import type { Retry } from '../db/contention.ts'
import { explainRefusal, isRefused, isSchemaFault, whereRefused } from '../db/failure.ts'
import { describeError } from '../db/pool.ts'
import { stackOf } from '../edge/log.ts'
import type { Metrics } from '../edge/metrics.ts'
import { refusalEveryMs, Seldom } from '../edge/seldom.ts'
import type { Ending } from '../edge/socket.ts'
import type { Page, PageCache } from '../hub/page-cache.ts'
import { reject, type Rejection } from '../hub/rejection.ts'
import { Replica } from '../hub/replica.ts'
import { Room } from '../hub/room.ts'
import { Conflict, type RoomHooks, type RoomRules } from '../hub/room-rules.ts'
import { Tail } from '../hub/tail.ts'
import type { Log } from './events.ts'
import type { Client, ClientRoom } from './client.ts'
import { closeCodes, type DisconnectWord, disconnects } from './disconnects.ts'
import { messageFrame, messagesFrame } from './protocol.ts'
import { announcer, type Audience, greetScreen, type Server } from './rules/announce.ts'
import type { Credential } from './rules/attendance.ts'
import {
  type Answer,
  batch,
  decideRun,
  decisionOf,
  type Job,
  type JoinJob,
  type ScreenJob,
  type Timing,
} from './rules/batch.ts'
import type { Command } from './rules/commands.ts'
import { factsOf } from './rules/committed.ts'
import { due, nextDue } from './rules/due.ts'
import type { Fact, Write } from './rules/facts.ts'
import type { MemberId } from './rules/poll.ts'
import { type Meeting, siteFingerprint } from './rules/view.ts'
import { Screens } from './screens.ts'
import { type Committed, MeetingStore } from './store/meeting-store.ts'
import { readPage } from './store/page.ts'
import type { SiteReport, Zone } from './store/site.ts'

/** Somebody who may join, as far as the database knows, and their connection. `first`: the highest id that they have. */
export type Joining = { client: Client; credential: Credential; first: number }

export type MeetingRoomDeps = Timing & {
  sql: Sql
  /** For what this room writes. */
  retry: Retry
  /** Shared by all who read the record. */
  retryReading: Retry
  epoch: string
  clock: () => number
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

const maxQueued = 20_000
const unavailable = reject('The meeting database is not available, please try again', { again: true })
const onlyShown = reject('Permission denied')
const busy = reject('The meeting is very busy, please try again', { again: true })

/** The rules of the owner half, with the settings that they take. */
function ownerRules(timing: Timing): RoomRules<Meeting, Job, Write, Committed, Fact, Answer> {
  return {
    batch,
    decide: (meeting, run, now) => decideRun(meeting, run, now, timing),
    facts: factsOf,
    due(meeting, now, postponed, portion) {
      const next = due(meeting, now, postponed, portion, timing.closeAfterMs)
      return next && { names: next.names, decision: decisionOf(next.change) }
    },
    nextDue: (meeting, postponed) => nextDue(meeting, postponed, timing.closeAfterMs),
  }
}

const isEntry = (job: Job): job is JoinJob | ScreenJob => job.type === 'join' || job.type === 'screen'

/** One meeting in this process: its owner half, its listening half, and what both have to do with the world. */
export class MeetingRoom implements ClientRoom {
  readonly id: number
  readonly #deps: MeetingRoomDeps
  readonly #store: MeetingStore
  readonly #replica: Replica<Meeting, Fact, Audience, DisconnectWord, Client>
  readonly #room: Room<Meeting, Job, Write, Committed, Fact, Answer>
  readonly #server: Server
  readonly #screens = new Screens((subscriber, word) => this.#replica.end(subscriber, word))
  readonly #refusals: Seldom
  #readsFail = false

  constructor(id: number, deps: MeetingRoomDeps) {
    this.id = id
    this.#deps = deps
    const { sql, epoch, clock, retry } = deps
    this.#refusals = new Seldom(refusalEveryMs, clock)
    this.#server = {
      ...deps,
      // Its zone may change while the server runs.
      get timezone() {
        return deps.zone().timezone
      },
      get utcOffset() {
        return deps.zone().utcOffset
      },
      wallClock: Date.now,
    }
    this.#replica = new Replica<Meeting, Fact, Audience, DisconnectWord, Client>(announcer(this.#server), {
      clock,
      tail: new Tail(clock),
      fannedOut: (milliseconds, deliveries) => deps.metrics.fannedOut(milliseconds, deliveries),
      read: (_, after, upTo) => this.#readPage(after, upTo),
      sendPage: ({ socket }, { frame }) => socket.write([frame]),
      sendTail: ({ socket }, lines) => socket.write(lines.map(messageFrame)),
      onFailedRead: (client, error) => this.#readFailed(client, error),
      onError: (error) => this.#fail(error),
    })
    this.#store = new MeetingStore({ sql, retry, epoch, meeting: id, clock, graceMs: deps.graceMs }, () =>
      this.#here(),
    )
    this.#room = new Room({
      rules: ownerRules(deps),
      store: this.#store,
      replica: this.#replica,
      hooks: this.#hooks(),
      retry,
      clock,
      maxQueued,
      onUnknown: 'reload',
    })
  }

  /** What is known of the meeting; null before it has been loaded. */
  get view(): Meeting | null {
    return this.#replica.view
  }

  /** How many jobs wait. */
  get queued(): number {
    return this.#room.queued
  }

  /** Grows with every change of what the site could change too. */
  get revision(): number {
    return this.view?.revision ?? 0
  }

  /** The fingerprint of what was last followed of the site; '' when more has changed since than that says. */
  get siteFingerprint(): string {
    return this.view ? siteFingerprint(this.view) : ''
  }

  join(joining: readonly Joining[]): void {
    if (this.#room.full) {
      for (const { client } of joining) client.close()
      return
    }
    const jobs = joining.map(({ client, credential, first }): JoinJob | ScreenJob => {
      const { id: subscriber, remote } = client.socket
      client.assign(this, { member: credential.id, first })
      this.#replica.expect(client)
      return {
        type: client.isScreen ? 'screen' : 'join',
        subscriber,
        credential,
        remote,
        get gone() {
          return !client.open
        },
      }
    })
    this.#room.push(...jobs)
  }

  ended(client: Client, how: Ending): void {
    const { member } = client
    const subscriber = client.socket.id
    // What the end does may be stored later; that it has come is said now.
    if (this.#replica.subscribers.has(subscriber)) this.#logEnd(client, how)
    if (client.isScreen) {
      this.#replica.end(subscriber, null)
      return this.#room.wake()
    }
    this.#room.push({ type: 'ended', subscriber, member, how })
  }

  command(client: Client, command: Command, id: string | null): void {
    // As if it had come after the end: nobody was told that it was heard.
    if (this.#room.draining) return
    if (client.isScreen) return client.reply(onlyShown, id)
    if (this.#room.full) return client.reply(busy, id)
    if (this.#room.stalled) return client.reply(unavailable, id)
    this.#room.push({ type: 'command', subscriber: client.socket.id, member: client.member, command, id })
  }

  /** Brings the view in line with `report`, which was asked for when the room was at `revision`. */
  followSite({ site, fingerprint }: SiteReport, revision: number): void {
    this.#room.push({ type: 'site', site, fingerprint, revision })
  }

  /** The screens that show the meeting, each with its key. */
  get screens(): readonly (readonly [Client, string])[] {
    return this.#screens.keys
  }

  /** `credential`: what the database knows of the screen's key by now. */
  followScreen(client: Client, credential: Credential | null): void {
    this.#screens.follow(client, credential, this.view)
  }

  /** Looks at what is due. */
  wake(): void {
    this.#room.wake()
  }

  /** Takes no more commands, and resolves when all that is queued has been done and sent. */
  async drain(): Promise<void> {
    await this.#room.drain()
  }

  /** Ends all connections without a word, some by the close code `code`, and forgets everything. */
  close(code: number): void {
    this.#room.close()
    const { subscribers, waiting } = this.#replica.close()
    for (const client of [...waiting, ...subscribers]) client.close(code)
  }

  joined(client: Client, arrival: string): void {
    const { member, ending, socket } = client
    const { remote: address, request } = socket
    this.#deps.log({ level: 'info', event: 'entered', meeting: this.id, member, address, request, arrival })
    // It has ended while that became durable.
    if (ending !== null) this.#logEnd(client, ending)
  }

  dismissed(client: Client, word: DisconnectWord | null): void {
    this.#screens.ended(client)
    if (client.ending === null) this.#logEnd(client, word ?? 'dismissed')
    if (word) client.disconnect(word, this.#deps.zone().utcOffset)
    else client.close()
  }

  #logEnd(client: Client, how: string): void {
    const { member, socket } = client
    const { remote: address, request } = socket
    this.#deps.log({ level: 'info', event: 'ended', meeting: this.id, member, address, request, how })
  }

  /** Who is here, and by which connection. */
  #here(): Map<MemberId, number> {
    const here = Array.from(this.#replica.subscribers).filter(([, { isScreen }]) => !isScreen)
    return new Map(here.map(([subscriber, { member }]) => [member, subscriber]))
  }

  #hooks(): RoomHooks<Meeting, Job, Write, Committed, Fact, Answer> {
    const { log, metrics, onFenced, onIdle } = this.#deps
    const meeting = this.id
    return {
      answer: (answers) => this.#answer(answers),
      absent: (jobs) => this.#refuseJoins(jobs, disconnects.notAllowed),
      refused: (jobs, error) => {
        this.#refuseJoins(jobs, disconnects.refused)
        this.#giveUp(jobs, reject(explainRefusal(error)))
      },
      // The page of those who wanted to join comes back by itself and asks again.
      unavailable: (jobs) => this.#giveUp(jobs, unavailable),
      dropped: (jobs) => {
        for (const job of jobs) if (isEntry(job)) this.#replica.forget(job.subscriber)?.close()
      },
      committed: (milliseconds, write, { lines }) =>
        metrics.committed(milliseconds, { lines: lines.length, votes: write.votes?.cast.length ?? 0 }),
      published: (facts) => {
        for (const fact of facts) {
          if (fact.type === 'stateChanged')
            log({ level: 'info', event: 'stateChanged', meeting, state: fact.state })
          if (fact.type === 'banned') this.#screens.banned(fact.members)
        }
      },
      databaseFailed: () => metrics.databaseFailed(),
      notStored: (error) => this.#logRefused(error),
      invalidated(error) {
        const reason = error instanceof Conflict ? error.message : describeError(error)
        log({ level: 'warn', event: 'viewDistrusted', meeting, reason })
      },
      reloaded: () => log({ level: 'info', event: 'viewReadAnew', meeting }),
      fenced: onFenced,
      idle: () => {
        if (this.#replica.subscribers.size === 0 && (this.view?.attendees.size ?? 0) === 0) onIdle()
      },
      failed: (error) => this.#fail(error),
    }
  }

  /** After the facts: lines come before the word that they are said. */
  #answer(answers: readonly Answer[]): void {
    if (answers.some(({ type }) => type === 'done' || type === 'rejected')) this.#replica.flush()
    for (const answer of answers) {
      const { subscriber } = answer.job
      switch (answer.type) {
        case 'done':
          this.#replica.subscribers.get(subscriber)?.acknowledge(answer.id)
          break
        case 'rejected':
          this.#replica.subscribers.get(subscriber)?.reply(answer.rejection, answer.job.id)
          break
        case 'shown':
          this.#show(answer.job)
          break
        case 'refused':
          this.#refuseJoins([answer.job], answer.text)
          break
        case 'dropped':
          this.#replica.forget(subscriber)
          break
      }
    }
  }

  #show({ subscriber, credential }: ScreenJob): void {
    const client = this.#replica.forget(subscriber)
    const { view } = this
    if (!client || !view) return
    this.#screens.begun(client, credential)
    this.#replica.subscribe(client, view.lastLine.id)
    client.socket.write(greetScreen(this.#server, view, client.format, this.#deps.clock()))
    client.joined('screen')
  }

  #refuseJoins(jobs: readonly Job[], text: DisconnectWord): void {
    for (const job of jobs) {
      const client = isEntry(job) ? this.#replica.forget(job.subscriber) : undefined
      if (client?.open) this.#refuse(client, text)
    }
  }

  #refuse(client: Client, reason: DisconnectWord): void {
    const { remote: address, request } = client.socket
    this.#deps.log({ level: 'info', event: 'refused', meeting: this.id, address, request, reason })
    client.disconnect(reason, this.#deps.zone().utcOffset)
  }

  /** Nothing of these was done. */
  #giveUp(jobs: readonly Job[], rejection: Rejection): void {
    for (const job of jobs) {
      if (isEntry(job)) this.#replica.forget(job.subscriber)?.close()
      if (job.type === 'ended') this.#replica.end(job.subscriber, null)
      if (job.type !== 'command') continue
      const client = this.#replica.subscribers.get(job.subscriber)
      if (client?.open) client.reply(rejection, job.id)
    }
  }

  /** What comes after the line `after`: up to about `upTo`, or to the newest line if that has been passed already. */
  async #readPage(after: number, upTo: number): Promise<Page> {
    const { sql, pages, retryReading } = this.#deps
    const end = after < upTo ? upTo : (this.view?.lastLine.id ?? upTo)
    // Whoever loads the meeting anew may find another record, after a failover for example.
    const page = await pages.get(`${this.id} ${this.#store.generation} ${after}`, async () => {
      const { json, last, full } = await retryReading(() => readPage(sql, this.id, after, end))
      return { frame: messagesFrame(json), last, full }
    })
    this.#readsFail = false
    return page
  }

  #readFailed(client: Client, error: unknown): void {
    if (!this.#readsFail)
      this.#deps.log({ level: 'warn', event: 'readFailed', meeting: this.id, error: describeError(error) })
    this.#readsFail = true
    if (isRefused(error) && client.open) this.#refuse(client, disconnects.refused)
  }

  #logRefused(error: unknown): void {
    const { log, metrics } = this.#deps
    if (isSchemaFault(error)) metrics.databaseFailed()
    const count = this.#refusals.happened()
    if (count === null) return
    const told = { level: 'warn', event: 'notStored', meeting: this.id, count } as const
    log({ ...told, error: describeError(error), ...whereRefused(error) })
  }

  #fail(error: unknown): void {
    this.#deps.log({ level: 'error', event: 'roomFailed', meeting: this.id, error: stackOf(error) })
    this.close(closeCodes.forNow)
    this.#deps.onFailed()
  }
}
