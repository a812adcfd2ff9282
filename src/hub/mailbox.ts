/**
 * A serial queue. Its consumer is handed everything that has piled up and says how many jobs from the front it took,
 * so that one commit can carry many commands (group commit) while a lone one never waits for company. It is handed one
 * portion in a turn of the event loop: what bounds a portion bounds what a turn costs.
 */
export class Mailbox<Job> {
  readonly #jobs: Job[] = []
  readonly #consume: (jobs: readonly Job[]) => Promise<number>
  readonly #onError: (error: unknown) => void
  readonly #limit: number
  /** Until the turn ends in which a portion was handed over. */
  #turn: Promise<void> | null = null
  #running = false
  #closed = false
  #whenIdle: (() => void)[] = []

  /**
   * `consume` gets one job or more and resolves to how many of them are done; what is left it gets again. When it rejects, nothing
   * more is taken, and `onError` has to close the mailbox and to decide what becomes of its jobs and of the room.
   */
  constructor(deps: {
    consume: (jobs: readonly Job[]) => Promise<number>
    onError: (error: unknown) => void
    limit: number
  }) {
    this.#consume = deps.consume
    this.#onError = deps.onError
    this.#limit = deps.limit
  }

  /** Whether callers that can refuse should. What must not be lost (a departure, a timer) is pushed all the same. */
  get full(): boolean {
    return this.#jobs.length >= this.#limit
  }

  get size(): number {
    return this.#jobs.length
  }

  /** Jobs that are pushed together are handed over together. */
  push(...jobs: Job[]): void {
    if (this.#closed || jobs.length === 0) return
    this.#jobs.push(...jobs)
    if (!this.#running) void this.#run()
  }

  /** Resolves when nothing is queued or under way. */
  idle(): Promise<void> {
    if (!this.#running) return Promise.resolve()
    return new Promise((resolve) => this.#whenIdle.push(resolve))
  }

  /** Takes nothing more and gives back what is queued, the jobs under way among them: they end by themselves. */
  close(): Job[] {
    this.#closed = true
    return this.#jobs.splice(0)
  }

  async #run(): Promise<void> {
    this.#running = true
    try {
      while (this.#jobs.length > 0) {
        if (this.#turn) {
          await this.#turn
          continue
        }
        this.#turn = this.#nextTurn()
        const taken = await this.#consume(this.#jobs)
        this.#jobs.splice(0, taken)
      }
    } catch (error) {
      this.#onError(error)
    } finally {
      this.#running = false
      for (const resolve of this.#whenIdle.splice(0)) resolve()
    }
  }

  /** Resolves in the next turn of the event loop. */
  #nextTurn(): Promise<void> {
    return new Promise((resolve) => {
      setImmediate(() => {
        this.#turn = null
        resolve()
      })
    })
  }
}
