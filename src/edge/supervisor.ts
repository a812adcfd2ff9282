import { execFile } from 'node:child_process'

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

  /** `onError` hears of the first message that could not be sent. */
  constructor(terms: SupervisorTerms, onError: (error: unknown) => void) {
    this.#terms = terms
    this.#onError = onError
  }

  /** We listen. From here on the watchdog is told in time that we live, as long as the event loop turns. */
  ready(): void {
    this.#send('--ready')
    const { watchdogMs } = this.#terms
    if (watchdogMs !== null)
      this.#timer = setInterval(() => this.#send('WATCHDOG=1'), Math.max(1, watchdogMs / 2)).unref()
  }

  /** A word for `systemctl status`. */
  status(text: string): void {
    this.#send(`--status=${text}`)
  }

  stopping(): void {
    if (this.#timer) clearInterval(this.#timer)
    // systemd may end the messenger with the service.
    this.#failed = true
    // What it did is over, also in "systemctl status" of a service that has ended.
    this.#send('STOPPING=1', 'STATUS=')
  }

  #send(...message: string[]): void {
    const { socket } = this.#terms
    if (socket === null) return
    const failed = (error: unknown): void => {
      if (!this.#failed) this.#onError(error)
      this.#failed = true
    }
    try {
      const env = { NOTIFY_SOCKET: socket, PATH: '/usr/bin:/bin' }
      execFile('systemd-notify', message, { env }, (error) => error && failed(error))
    } catch (error) {
      failed(error)
    }
  }
}
