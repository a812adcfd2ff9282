import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import { type Log, shortHeader } from './log.ts'
import { transportOf } from './tls.ts'

/** Of a request's line and headers, in bytes, at every listener: cookies of a single sign-on in front may be large. */
export const maxHeaderBytes = 64 * 1024

/** What becomes of a request before any route has seen it. */
export const refusalReasons = [
  'headers too large',
  'malformed',
  'no websocket',
  'too slow',
  'too many pending',
  'too many pending from this address',
  'too many at once',
  'no TLS',
  'foreign host',
  'foreign page',
] as const
export type RefusalReason = (typeof refusalReasons)[number]

/** By the flag that gives its address. */
export type ListenerName = 'listen' | 'adminlisten' | 'profilelisten'

type Refused = Readonly<{ listener: ListenerName; peer?: string; host?: string }>

/** The last of `times` that were refused alike. */
type Told = Refused & Readonly<{ reason: RefusalReason; times: number }>

/** A stranger may cause as many refusals as they like, and this many milliseconds pass between two lines of one kind. */
const quietMs = 60_000
/** For an answer to arrive while the rest of what was refused is still on its way: a reset would overtake it. */
const lingerMs = 1000

/** Those whose cause is seldom a person who wants to come in: a public port is scanned all day. */
const usual: ReadonlySet<RefusalReason> = new Set<RefusalReason>([
  'malformed',
  'no websocket',
  'too slow',
  'too many pending',
  'too many pending from this address',
  'too many at once',
  'no TLS',
])

/**
 * Counts and logs what is refused before any route has seen it, by the runtime, for its Host or by a limit. The first of its kind is
 * logged at once, those of the following minute in one line at its end.
 */
export class Refusals {
  readonly #log: Log
  readonly #count: (reason: RefusalReason) => void
  /** By kind; what it holds is the last of those that were not logged yet. */
  readonly #quiet = new Map<string, { held: Told | null; timer: NodeJS.Timeout }>()

  constructor({ log, count }: { log: Log; count: (reason: RefusalReason) => void }) {
    this.#log = log
    this.#count = count
  }

  refused(reason: RefusalReason, refused: Refused): void {
    this.#count(reason)
    const quiet = this.#quiet.get(kindOf({ reason, ...refused }))
    if (quiet) quiet.held = { reason, ...refused, times: (quiet.held?.times ?? 0) + 1 }
    else this.#tell({ reason, ...refused, times: 1 })
  }

  /** Hears what `server` refuses by itself, and answers it in words. */
  watch(server: Server, listener: ListenerName): void {
    server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
      const code = error.code ?? ''
      const reason = reasonOf(code)
      // Not a request, but the end of a connection; or one that was refused before, of which more comes.
      if (reason === null || (reason !== 'no TLS' && !socket.writable)) return void socket.destroy()
      this.refused(reason, { listener, peer: transportOf(socket).remoteAddress ?? 'unix' })
      if (reason === 'no TLS' || isAnswering(socket)) return void socket.destroy()
      socket.end(answers[reason])
      setTimeout(() => socket.destroy(), lingerMs).unref()
    })
  }

  /** Logs what is held back. */
  close(): void {
    for (const { held, timer } of this.#quiet.values()) {
      clearTimeout(timer)
      if (held) this.#write(held)
    }
    this.#quiet.clear()
  }

  #tell(told: Told): void {
    this.#write(told)
    const kind = kindOf(told)
    const timer = setTimeout(() => {
      const held = this.#quiet.get(kind)?.held
      if (held) this.#tell(held)
      else this.#quiet.delete(kind)
    }, quietMs).unref()
    this.#quiet.set(kind, { held: null, timer })
  }

  #write({ host, ...told }: Told): void {
    this.#log({
      level: usual.has(told.reason) ? 'info' : 'warn',
      event: 'requestRefused',
      ...told,
      ...(host === undefined ? {} : { host: shortHeader(host) }),
    })
  }
}

function kindOf({ listener, reason }: Pick<Told, 'listener' | 'reason'>): string {
  return `${listener} ${reason}`
}

/** What has happened, by the code of the runtime's error; null where nobody asked for anything. */
function reasonOf(code: string): 'headers too large' | 'malformed' | 'too slow' | 'no TLS' | null {
  if (code === 'HPE_HEADER_OVERFLOW') return 'headers too large'
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return 'too slow'
  // A request that ends in the middle is one whose client has gone.
  if (code === 'HPE_INVALID_EOF_STATE') return null
  if (code.startsWith('HPE_')) return 'malformed'
  return /^ERR_(SSL|TLS)_/.test(code) ? 'no TLS' : null
}

/** Whether an answer is under way, into which another one would be written. The runtimes have no public name for it. */
function isAnswering(socket: Socket): boolean {
  const { _httpMessage: answer } = socket as { _httpMessage?: { headersSent: boolean } | null }
  return answer?.headersSent ?? false
}

function answer(status: string, text: string): string {
  return `HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: ${text.length}\r\n\r\n${text}`
}

const answers = {
  'headers too large': answer(
    '431 Request Header Fields Too Large',
    `The headers are larger than ${maxHeaderBytes / 1024} KiB: is it the cookies of this site?\n`,
  ),
  malformed: answer('400 Bad Request', 'This is no request of HTTP/1.1.\n'),
  'too slow': answer('408 Request Timeout', 'The request did not come in time.\n'),
}
