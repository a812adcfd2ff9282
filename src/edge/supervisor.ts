import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)
/** systemd may be busy, but a messenger that never comes back is not to be followed by more and more of them. */
const maxMs = 5000

/** What systemd says in the environment of a service of Type=notify (sd_notify(3), sd_watchdog_enabled(3)). */
export type SupervisorOptions = Readonly<{ socket: string | null; watchdogMs: number | null }>

/**
 * Tells systemd how things stand. Neither runtime can write to the datagram socket that systemd listens on: so its own
 * program does, and the unit needs NotifyAccess=all.
 */
export class Supervisor {
  readonly #options: SupervisorOptions
  readonly #onError: (error: unknown) => void
  #timer: NodeJS.Timeout | null = null
  #failing = false
  #silent = false
  #beating = false
  #told: Promise<void> = Promise.resolve()

  /** `onError` hears of the first message that could not be sent, and of the next one after others could. */
  constructor(options: SupervisorOptions, onError: (error: unknown) => void) {
    this.#options = options
    this.#onError = onError
  }

  /** We listen. From here on the watchdog is told in time that we live, as long as the event loop turns. */
  ready(): void {
    void this.#send('--ready')
    const { watchdogMs } = this.#options
    // Three times, so that one may be lost.
    if (watchdogMs !== null)
      this.#timer = setInterval(() => void this.#beat(), Math.max(1, watchdogMs / 3)).unref()
  }

  /** A word for `systemctl status`: of several at once the last one stays. */
  status(text: string): void {
    if (this.#silent) return
    this.#told = this.#told.then(() => this.#send(`--status=${text}`))
  }

  stopping(): void {
    if (this.#timer) clearInterval(this.#timer)
    // systemd may end the messenger with the service.
    this.#silent = true
    // What it did is over, also in "systemctl status" of a service that has ended.
    void this.#send('STOPPING=1', 'STATUS=')
  }

  async #beat(): Promise<void> {
    if (this.#beating) return
    this.#beating = true
    await this.#send('WATCHDOG=1')
    this.#beating = false
  }

  async #send(...message: string[]): Promise<void> {
    const { socket } = this.#options
    if (socket === null) return
    try {
      const env = { NOTIFY_SOCKET: socket, PATH: '/usr/bin:/bin' }
      await run('systemd-notify', message, { env, timeout: maxMs, killSignal: 'SIGKILL' })
      this.#failing = false
    } catch (error) {
      if (!this.#failing && !this.#silent) this.#onError(error)
      this.#failing = true
    }
  }
}
