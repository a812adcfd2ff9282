import type { Retry } from '../db/contention.ts'
import { isRefused } from '../db/failure.ts'
import { codeOf } from '../db/pool.ts'
import { fencedState, outdatedState } from '../db/schema.ts'
import { Mailbox } from './mailbox.ts'
import { Portion } from './portion.ts'
import { Postponement } from './postponement.ts'
import {
  Conflict,
  type Decision,
  type FailurePolicy,
  RoomClosed,
  type RoomHooks,
  type RoomRules,
  type RoomStore,
} from './room-rules.ts'
import type { Millis } from './telling.ts'

/** The room's other half, as far as the owner needs it. */
type Listening<View, Fact> = {
  readonly view: View | null
  onFacts: (facts: readonly Fact[]) => void
  reload: (view: View | null) => void
  flush: () => void
  finish: () => void
}

export type RoomDeps<View, Job, Write, Committed, Fact, Answer> = {
  rules: RoomRules<View, Job, Write, Committed, Fact, Answer>
  store: RoomStore<View, Write, Committed>
  replica: Listening<View, Fact>
  hooks: RoomHooks<View, Job, Write, Committed, Fact, Answer>
  retry: Retry
  clock: () => Millis
  /** From so many waiting jobs on those are to be refused who can be. */
  maxQueued: number
  onUnknown: FailurePolicy
}

const retryMs = 1000
/** A commit that lasts for more ticks is no delay any more: new commands are refused until it ends. */
const patienceTicks = 5
const tickMs = 1000

/** Work that is done in order with all jobs, and by itself. It never rejects. */
class Alone {
  readonly work: () => Promise<void>
  readonly dropped: () => void

  constructor(work: () => Promise<void>, dropped: () => void) {
    this.work = work
    this.dropped = dropped
  }
}

/**
 * The owner half of a room: its mailbox, its batches and its timers. The only place that commits. What is decided on the
 * view becomes durable first, then facts for the listening half, then answers. What follows where it is not known what
 * became of a commit is the door's choice (`FailurePolicy`).
 */
export class Room<View, Job, Write, Committed, Fact, Answer> {
  readonly #deps: RoomDeps<View, Job, Write, Committed, Fact, Answer>
  readonly #mailbox: Mailbox<Job | Alone>
  /** A look at what is due, which is taken after all that is done. */
  readonly #look = new Alone(
    () => this.#loadAhead(),
    () => undefined,
  )
  /** How much of what is queued goes alone. */
  #alone = 0
  readonly #retry: Retry
  #isInvalidated = false
  /** How many jobs share a commit, and how much of what is due. */
  readonly #portion = new Portion()
  readonly #duePortion = new Portion()
  readonly #postponement = new Postponement()
  #busyTicks = 0
  #timer: NodeJS.Timeout | null = null
  #draining = false
  #closed = false

  constructor(deps: RoomDeps<View, Job, Write, Committed, Fact, Answer>) {
    this.#deps = deps
    this.#mailbox = new Mailbox<Job | Alone>({
      consume: (jobs) => this.#consume(jobs),
      onError: (error) => deps.hooks.failed(error),
      limit: deps.maxQueued,
    })
    this.#retry = (transaction) =>
      deps.retry(async () => {
        this.#checkOpen()
        return await transaction()
      })
  }

  /** How many jobs wait. */
  get queued(): number {
    return this.#mailbox.size
  }

  /** Whether those should be refused who can be. */
  get full(): boolean {
    return this.#mailbox.full
  }

  /** Whether a commit lasts so long that the database cannot be said to be available. */
  get stalled(): boolean {
    return this.#busyTicks >= patienceTicks
  }

  get draining(): boolean {
    return this.#draining
  }

  /** Jobs that are pushed together are decided together if they can share a commit. */
  push(...jobs: Job[]): void {
    this.#mailbox.push(...jobs)
  }

  /** Looks at what is due. */
  wake(): void {
    this.#pushAlone(this.#look)
  }

  /**
   * Does `work` after all that is queued and before all that comes, and says what it says. Rejects as it does, or with
   * `RoomClosed` where the room takes no more, or is closed before the work is done.
   */
  alone<Result>(work: () => Promise<Result>): Promise<Result> {
    return new Promise((resolve, reject) => {
      const refuse = (): void => reject(new RoomClosed('it is not served here now'))
      if (this.#closed || this.#draining) return refuse()
      const asked = async (): Promise<void> => work().then(resolve, reject)
      this.#pushAlone(new Alone(asked, refuse))
    })
  }

  /** For work that goes alone: the view, loaded if it is not there or does not hold; null where there is no such room. */
  async load(): Promise<View | null> {
    const { store, replica, hooks } = this.#deps
    const before = replica.view
    if (this.#holds) return before
    const view = await store.load(before)
    this.#checkOpen()
    this.#isInvalidated = false
    if (view) this.#postponement.clear()
    if (view && before) hooks.reloaded(view)
    replica.reload(view)
    return view
  }

  /** Has facts told that are true already. */
  publish(facts: readonly Fact[]): void {
    const { replica, hooks } = this.#deps
    replica.onFacts(facts)
    hooks.published(facts)
  }

  /** Resolves when all that is queued has been done and sent. */
  async drain(): Promise<void> {
    this.#draining = true
    await this.#mailbox.idle()
    this.#deps.replica.finish()
  }

  /** Does nothing more; gives up what is queued or under way. */
  close(): void {
    this.#closed = true
    if (this.#timer) clearTimeout(this.#timer)
    const jobs: Job[] = []
    for (const entry of this.#mailbox.close())
      if (entry instanceof Alone) entry.dropped()
      else jobs.push(entry)
    this.#deps.hooks.dropped(jobs)
  }

  #pushAlone(alone: Alone): void {
    this.#alone++
    this.#mailbox.push(alone)
  }

  /** Whether there is a view, and it can be decided on. */
  get #holds(): boolean {
    return !this.#isInvalidated && this.#deps.replica.view !== null
  }

  /**
   * Does one run, or gives up all that is queued. Whatever becomes of it, it is done: who sent it has been told if it
   * failed.
   */
  async #consume(jobs: readonly (Job | Alone)[]): Promise<number> {
    // Counted, not measured: while this process is halted (SIGSTOP, a suspended machine) the database waits for us.
    const ticking = setInterval(() => this.#busyTicks++, tickMs)
    let done = 0
    try {
      done = await this.#doRun(jobs)
      await this.#doDue()
    } finally {
      clearInterval(ticking)
      this.#busyTicks = 0
    }
    if (!this.#closed) this.#schedule(done)
    return done
  }

  /** `queued` grows while it is being done: what is looked at before and after is taken from it each time. */
  async #doRun(queued: readonly (Job | Alone)[]): Promise<number> {
    const [first] = queued
    if (first instanceof Alone) {
      this.#alone--
      await first.work()
      return 1
    }
    const jobs = this.#alone === 0 ? (queued as readonly Job[]) : frontOf(queued)
    const run = jobs.slice(0, this.#deps.rules.batch(jobs))
    for (;;) {
      const part = this.#portion.of(run)
      try {
        const done = await this.#tryTwice(part)
        this.#portion.done()
        return done
      } catch (error) {
        // What the database refuses of one must not take the others along.
        if (isRefused(error) && this.#canDecide && this.#portion.refused(part.length)) continue
        // Where the view cannot be loaded, what is queued would wait for the same, one after the other.
        const given = this.#canDecide ? part : frontOf(queued)
        this.#handleFailure(error, given)
        return given.length
      }
    }
  }

  async #tryTwice(run: readonly Job[]): Promise<number> {
    try {
      return await this.#perform(run)
    } catch (error) {
      if (!isConflict(error) || this.#deps.onUnknown !== 'reload') throw error
      // Decided on a view that no longer held: once more, on one that is loaded anew.
      this.#invalidate(error)
      return await this.#perform(run)
    }
  }

  async #perform(run: readonly Job[]): Promise<number> {
    const { rules, replica, hooks, clock, onUnknown } = this.#deps
    const view = onUnknown === 'reload' ? await this.load() : replica.view
    if (!view) {
      hooks.absent(run)
      return run.length
    }
    const decision = rules.decide(view, run, clock())
    await this.#carryOut(view, decision)
    hooks.answer(decision.answers)
    return decision.taken
  }

  async #carryOut(view: View, decision: Decision<Write, Fact, Answer>): Promise<void> {
    const { rules, hooks } = this.#deps
    const { write, regardless } = decision
    try {
      const committed = write === null ? null : await this.#commit(view, write)
      const facts = rules.facts(view, decision, committed)
      const preparing = hooks.prepare?.(facts) ?? null
      if (preparing) {
        await preparing
        this.#checkOpen()
      }
      this.publish(facts)
    } catch (error) {
      if (regardless === null || !isRefused(error)) throw error
      hooks.notStored(error)
      this.publish(regardless)
    }
  }

  async #commit(view: View, write: Write): Promise<Committed> {
    const { store, clock, hooks } = this.#deps
    const begun = clock()
    const committed = await store.commit(write, view, this.#retry)
    hooks.committed(clock() - begun, write, committed)
    this.#checkOpen()
    return committed
  }

  /** Loads the view, if it does not hold, before somebody waits for it. */
  async #loadAhead(): Promise<void> {
    try {
      await this.load()
    } catch (error) {
      this.#handleFailure(error, [])
    }
  }

  /** Does what is due by itself. */
  async #doDue(): Promise<void> {
    const { rules, replica, clock, hooks } = this.#deps
    try {
      for (;;) {
        const { view } = replica
        if (!view || !this.#holds || this.#closed) return
        const now = clock()
        const next = rules.due(view, now, this.#postponement.at(now), this.#duePortion)
        if (!next) return
        try {
          await this.#carryOut(view, next.decision)
          this.#duePortion.done()
          this.#postponement.done(next.names)
        } catch (error) {
          if (!isRefused(error)) throw error
          if (this.#duePortion.refused(next.names.length)) continue
          hooks.notStored(error)
          this.#postponement.postpone(next.names, now)
        }
      }
    } catch (error) {
      this.#handleFailure(error, [])
    }
  }

  /** Whether the next decision needs nothing to be loaded before. */
  get #canDecide(): boolean {
    return this.#deps.onUnknown !== 'reload' || this.#holds
  }

  #invalidate(error: unknown): void {
    if (this.#holds) this.#deps.hooks.invalidated(error)
    this.#isInvalidated = true
  }

  /** Nothing of `run` was done, as far as we know. */
  #handleFailure(error: unknown, run: readonly Job[]): void {
    const { hooks, onUnknown } = this.#deps
    // All that a closed room had has been given up by `close`.
    const jobs = this.#closed ? [] : run
    if (isRefused(error)) {
      hooks.notStored(error)
      return hooks.refused(jobs, error)
    }
    if (error instanceof RoomClosed) return
    if (codeOf(error) === fencedState) {
      hooks.fenced(error)
      return this.#closed ? undefined : hooks.dropped(jobs)
    }
    // What has a code comes from the database or from the way to it; all else is an error of ours.
    if (!isConflict(error) && codeOf(error) === null) throw error
    if (!isConflict(error)) hooks.databaseFailed(error)
    if (onUnknown !== 'reject') this.#invalidate(error)
    if (onUnknown !== 'close') hooks.unavailable(jobs, error)
  }

  /** Another process may have taken over, and this room been closed, while something was on its way. */
  #checkOpen(): void {
    if (this.#closed) throw new RoomClosed()
  }

  #schedule(taken: number): void {
    if (this.#timer) clearTimeout(this.#timer)
    this.#timer = null
    const { rules, replica, clock, hooks } = this.#deps
    const { view } = replica
    const now = clock()
    const wake = view && (this.#holds ? rules.nextDue(view, this.#postponement.names) : now + retryMs)
    if (wake !== null) this.#timer = setTimeout(() => this.wake(), Math.max(0, Math.ceil(wake - now)))
    else if (this.#mailbox.size <= taken) hooks.idle()
  }
}

/** The jobs before the next work that goes alone. */
function frontOf<Job>(queued: readonly (Job | Alone)[]): readonly Job[] {
  const end = queued.findIndex((entry) => entry instanceof Alone)
  return queued.slice(0, end === -1 ? queued.length : end) as Job[]
}

const isConflict = (error: unknown): boolean => error instanceof Conflict || codeOf(error) === outdatedState
