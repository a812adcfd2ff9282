export type SignalHandlers = { reload: () => void; stop: (signal: NodeJS.Signals) => void }

/**
 * What the operator or the supervisor asks this process for by signals, from now on: they end it unheard. Who asks before it can
 * be done has it done as soon as there are handlers; who asks a second time to stop does not want to wait.
 */
export class Signals {
  #handlers: SignalHandlers | null = null
  #reload = false
  #stop: NodeJS.Signals | null = null

  constructor() {
    process.on('SIGHUP', () => {
      if (this.#handlers) this.#handlers.reload()
      else this.#reload = true
    })
    for (const name of ['SIGTERM', 'SIGINT'] as const)
      process.on(name, () => {
        if (this.#stop) process.exit(1)
        this.#stop = name
        this.#handlers?.stop(name)
      })
  }

  /** To be called once. */
  handle(handlers: SignalHandlers): void {
    this.#handlers = handlers
    if (this.#reload) handlers.reload()
    if (this.#stop) handlers.stop(this.#stop)
  }
}
