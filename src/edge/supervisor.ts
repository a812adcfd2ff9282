import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** What systemd says in the environment of a service of Type=notify (sd_notify(3), sd_watchdog_enabled(3)). */
export type SupervisorTerms = Readonly<{ socket: string | null; watchdogMs: number | null }>

/**
 * Tells systemd how things stand. Neither runtime can write to the datagram socket that systemd listens on: so its own
 * program does, and the unit needs NotifyAccess=all.
 */
export class Supervisor {
  readonly #terms: SupervisorTerms
  readonly #onError: (error: unknown) => void
  #timer: NodeJS.Timeout | null = null
  #failed = false
  #told: Promise<void> = Promise.resolve()

  /** `onError` hears of the first message that could not be sent. */
  constructor(terms: SupervisorTerms, onError: (error: unknown) => void) {
    this.#terms = terms
    this.#onError = onError
  }

  /** We listen. From here on the watchdog is told in time that we live, as long as the event loop turns. */
  ready(): void {
    void this.#send('--ready')
    const { watchdogMs } = this.#terms
    if (watchdogMs !== null)
      this.#timer = setInterval(() => void this.#send('WATCHDOG=1'), Math.max(1, watchdogMs / 2)).unref()
  }

  /** A word for `systemctl status`: of several at once the last one stays. */
  status(text: string): void {
    this.#told = this.#told.then(() => this.#send(`--status=${text}`))
  }

  stopping(): void {
    if (this.#timer) clearInterval(this.#timer)
    // systemd may end the messenger with the service.
    this.#failed = true
    // What it did is over, also in "systemctl status" of a service that has ended.
    void this.#send('STOPPING=1', 'STATUS=')
  }

  async #send(...message: string[]): Promise<void> {
    const { socket } = this.#terms
    if (socket === null) return
    try {
      await run('systemd-notify', message, { env: { NOTIFY_SOCKET: socket, PATH: '/usr/bin:/bin' } })
    } catch (error) {
      if (!this.#failed) this.#onError(error)
      this.#failed = true
    }
  }
}
