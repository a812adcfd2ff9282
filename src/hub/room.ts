import type { Retry } from '../db/contention.ts'
import { isRefused } from '../db/failure.ts'
import { codeOf } from '../db/pool.ts'
import { fencedState, outdatedState } from '../db/schema.ts'
import { Mailbox } from './mailbox.ts'
import { Portion } from './portion.ts'
import type { Millis } from './replica.ts'

/** What is decided about jobs at the front: plain data. */
export type Decision<Write, Fact, Answer> = {
  /** How many jobs it is about. */
  taken: number
  /** What has to be durable before anything is told; null where nothing has. */
  write: Write | null
  /** What is true once that is durable, but for what only the commit knows. */
  facts: readonly Fact[]
  /** What those are told who have asked, after the facts. */
  answers: readonly Answer[]
  /**
   * What is true even if the database refuses to store it: a connection has ended, the site has changed. Null where
   * nothing is: then the jobs are rejected.
   */
  regardless: readonly Fact[] | null
}

/** What is due by itself, and by which names it is put off where the database refuses it. */
export type Due<Write, Fact, Answer> = { names: readonly string[]; decision: Decision<Write, Fact, Answer> }

/** What the database refused of what is due, and until when it waits. */
export type Postponed = ReadonlyMap<string, Millis>

/** What a door says about the owner half of its rooms; all of it is pure. */
export type RoomRules<View, Job, Write, Committed, Fact, Answer> = {
  /** How many jobs at the front can share a commit: one at least. */
  batch: (jobs: readonly Job[]) => number
  decide: (view: View, run: readonly Job[], now: Millis) => Decision<Write, Fact, Answer>
  /** The facts of a decision once it is durable, with what only the commit knows. */
  facts: (view: View, decision: Decision<Write, Fact, Answer>, committed: Committed | null) => readonly Fact[]
  /** What is due by itself and not postponed, no more than `portion` gives at once; null where nothing is. */
  due: (
    view: View,
    now: Millis,
    postponed: Postponed,
    portion: Pick<Portion, 'of'>,
  ) => Due<Write, Fact, Answer> | null
  /** When `due` is next to be asked, or null. */
  nextDue: (view: View, postponed: Postponed) => Millis | null
}

/** The database no longer is as the view says: the commit was undone, and the view must be loaded anew. */
export class Conflict extends Error {}

export type RoomStore<View, Write, Committed> = {
  /** Makes all writes fail that were decided on what was loaded before, and loads the room; null where there is none. */
  load: (before: View | null) => Promise<View | null>
  /** Writes all or nothing. Throws `Conflict`, or what the database says. */
  commit: (write: Write, view: View) => Promise<Committed>
}

/** The room's other half, as far as the owner needs it. */
type Listening<View, Fact> = {
  readonly view: View | null
  onFacts: (facts: readonly Fact[]) => void
  reload: (view: View | null) => void
  flush: () => void
  finish: () => void
}

/** What a door does and logs of what happens in its rooms. */
export type RoomHooks<View, Job, Write, Committed, Fact, Answer> = {
  answer: (answers: readonly Answer[]) => void
  /** There is no such room. */
  absent: (jobs: readonly Job[]) => void
  /** The database refused these for good; each hears so. */
  refused: (jobs: readonly Job[], error: unknown) => void
  /** Nothing of these was done as far as we know; they may be sent again. */
  unavailable: (jobs: readonly Job[]) => void
  /** A job is given up without an answer: the room has been closed. */
  dropped: (jobs: readonly Job[]) => void
  committed: (milliseconds: number, write: Write, committed: Committed) => void
  /** These are true from now on, and have been told. */
  published: (facts: readonly Fact[]) => void
  /** The database failed; not for a refusal. */
  databaseFailed: () => void
  /** The database refused a write. */
  notStored: (error: unknown) => void
  /** The view does not hold any more. */
  invalidated: (error: unknown) => void
  reloaded: (view: View) => void
  /** Another process owns the rooms. */
  fenced: () => void
  /** Nothing is under way: the room may be forgotten if nobody is in it. */
  idle: () => void
  /** An error of ours: the room cannot go on. */
  failed: (error: unknown) => void
}

export type RoomDeps<View, Job, Write, Committed, Fact, Answer> = {
  rules: RoomRules<View, Job, Write, Committed, Fact, Answer>
  store: RoomStore<View, Write, Committed>
  replica: Listening<View, Fact>
  hooks: RoomHooks<View, Job, Write, Committed, Fact, Answer>
  retry: Retry
  clock: () => Millis
}

const maxQueued = 20_000
const retryMs = 1000
/** A commit that lasts for more ticks is no delay any more: new commands are refused until it ends. */
const patienceTicks = 5
const tickMs = 1000
/** What is due by itself and is refused by the database is tried again after so long: twice as long each time. */
const postponeMs = { first: 1000, most: 60_000 } as const

class RoomClosed extends Error {}

/**
 * The owner half of a room: its mailbox, its batches and its timers. The only place that commits. What is decided on the
 * view becomes durable first, then facts for the listening half, then answers. Where it is not known what became of a
 * commit, the view is invalidated and loaded anew before anything else.
 */
export class Room<View, Job, Write, Committed, Fact, Answer> {
  readonly #deps: RoomDeps<View, Job, Write, Committed, Fact, Answer>
  readonly #mailbox: Mailbox<Job | null>
  #isValid = false
  /** How many jobs share a commit, and how much of what is due. */
  readonly #portion = new Portion()
  readonly #duePortion = new Portion()
  readonly #postponed = new Map<string, Millis>()
  readonly #delays = new Map<string, number>()
  #busyTicks = 0
  #timer: NodeJS.Timeout | null = null
  #draining = false
  #closed = false

  constructor(deps: RoomDeps<View, Job, Write, Committed, Fact, Answer>) {
    this.#deps = deps
    this.#mailbox = new Mailbox<Job | null>({
      consume: (jobs) => this.#consume(jobs),
      onError: (error) => deps.hooks.failed(error),
      limit: maxQueued,
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
    this.#mailbox.push(null)
  }

  /** Resolves when all that is queued has been done and sent. */
  async drain(): Promise<void> {
    this.#draining = true
    await this.#mailbox.idle()
    this.#deps.replica.finish()
  }

  /** Does nothing more; gives up what is queued. */
  close(): void {
    this.#closed = true
    if (this.#timer) clearTimeout(this.#timer)
    this.#deps.hooks.dropped(this.#mailbox.close().filter((job) => job !== null))
  }

  /**
   * Does one run, or gives up all that is queued. Whatever becomes of it, it is done: who sent it has been told if it
   * failed.
   */
  async #consume(jobs: readonly (Job | null)[]): Promise<number> {
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
  async #doRun(queued: readonly (Job | null)[]): Promise<number> {
    if (queued[0] === null) {
      await this.#ensureValid().catch((error: unknown) => this.#handleFailure(error, []))
      return 1
    }
    const jobs = frontOf(queued)
    const run = jobs.slice(0, this.#deps.rules.batch(jobs))
    for (;;) {
      const part = this.#portion.of(run)
      try {
        const done = await this.#tryTwice(part)
        this.#portion.done()
        return done
      } catch (error) {
        // What the database refuses of one must not take the others along.
        if (isRefused(error) && this.#isValid && this.#portion.refused(part.length)) continue
        // Where the view cannot be loaded, what is queued would wait for the same, one after the other.
        const given = this.#isValid ? part : frontOf(queued)
        this.#handleFailure(error, given)
        return given.length
      }
    }
  }

  async #tryTwice(run: readonly Job[]): Promise<number> {
    try {
      return await this.#perform(run)
    } catch (error) {
      if (!isConflict(error)) throw error
      // Decided on a view that no longer held: once more, on one that is loaded anew.
      this.#invalidate(error)
      return await this.#perform(run)
    }
  }

  async #perform(run: readonly Job[]): Promise<number> {
    const { rules, hooks, clock } = this.#deps
    const view = await this.#ensureValid()
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
    const { rules, replica, hooks } = this.#deps
    const { write, regardless } = decision
    try {
      const committed = write === null ? null : await this.#commit(view, write)
      this.#publish(rules.facts(view, decision, committed))
    } catch (error) {
      if (regardless === null || !isRefused(error)) throw error
      hooks.notStored(error)
      this.#publish(regardless)
    }
    // The room is no more.
    if (replica.view === null) this.#isValid = false
  }

  #publish(facts: readonly Fact[]): void {
    const { replica, hooks } = this.#deps
    replica.onFacts(facts)
    hooks.published(facts)
  }

  async #commit(view: View, write: Write): Promise<Committed> {
    const { store, retry, clock, hooks } = this.#deps
    const begun = clock()
    const committed = await retry(async () => {
      this.#checkOpen()
      return await store.commit(write, view)
    })
    hooks.committed(clock() - begun, write, committed)
    this.#checkOpen()
    return committed
  }

  /** Does what is due by itself. */
  async #doDue(): Promise<void> {
    const { rules, replica, clock, hooks } = this.#deps
    try {
      for (;;) {
        const { view } = replica
        if (!view || !this.#isValid || this.#closed) return
        const now = clock()
        for (const [name, until] of this.#postponed) if (until <= now) this.#postponed.delete(name)
        const next = rules.due(view, now, this.#postponed, this.#duePortion)
        if (!next) return
        try {
          await this.#carryOut(view, next.decision)
          this.#duePortion.done()
          for (const name of next.names) this.#delays.delete(name)
        } catch (error) {
          if (!isRefused(error)) throw error
          if (this.#duePortion.refused(next.names.length)) continue
          hooks.notStored(error)
          this.#postpone(next.names, now)
        }
      }
    } catch (error) {
      this.#handleFailure(error, [])
    }
  }

  #postpone(names: readonly string[], now: Millis): void {
    for (const name of names) {
      const delay = Math.min(postponeMs.most, 2 * (this.#delays.get(name) ?? postponeMs.first / 2))
      this.#delays.set(name, delay)
      this.#postponed.set(name, now + delay)
    }
  }

  /** The view, loaded anew if it does not hold; null where there is no such room. */
  async #ensureValid(): Promise<View | null> {
    const { store, replica, hooks } = this.#deps
    const before = replica.view
    if (this.#isValid) return before
    const view = await store.load(before)
    this.#checkOpen()
    this.#isValid = view !== null
    if (view) {
      this.#postponed.clear()
      this.#delays.clear()
    }
    if (view && before) hooks.reloaded(view)
    replica.reload(view)
    return view
  }

  #invalidate(error: unknown): void {
    if (this.#isValid) this.#deps.hooks.invalidated(error)
    this.#isValid = false
  }

  /** Nothing of `jobs` was done, as far as we know. */
  #handleFailure(error: unknown, jobs: readonly Job[]): void {
    const { hooks } = this.#deps
    if (isRefused(error)) {
      hooks.notStored(error)
      return hooks.refused(jobs, error)
    }
    if (error instanceof RoomClosed) return hooks.dropped(jobs)
    if (codeOf(error) === fencedState) {
      hooks.dropped(jobs)
      return hooks.fenced()
    }
    // What has a code comes from the database or from the way to it; all else is an error of ours.
    if (!isConflict(error) && codeOf(error) === null) {
      hooks.dropped(jobs)
      throw error
    }
    if (!isConflict(error)) hooks.databaseFailed()
    this.#invalidate(error)
    hooks.unavailable(jobs)
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
    const wake = view && (this.#isValid ? rules.nextDue(view, this.#postponed) : now + retryMs)
    if (wake !== null) this.#timer = setTimeout(() => this.wake(), Math.max(0, Math.ceil(wake - now)))
    else if (this.#mailbox.size <= taken) hooks.idle()
  }
}

/** The jobs before the next look at what is due. */
function frontOf<Job>(queued: readonly (Job | null)[]): readonly Job[] {
  const end = queued.indexOf(null)
  return queued.slice(0, end === -1 ? queued.length : end) as Job[]
}

const isConflict = (error: unknown): boolean => error instanceof Conflict || codeOf(error) === outdatedState
