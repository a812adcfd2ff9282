import { fork, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { tether } from '../demo/tether.ts'
import type { Target } from './client.ts'
import { Histogram } from '../src/edge/histogram.ts'

/**
 * `path` may hold `{first}`. `room` tells apart those who get different lines. `historyEnd`: the id that the history at
 * entry reaches at least; -1 where the server has none and says nothing.
 */
export type Guest = { index: number; path: string; room: number; first: number; historyEnd: number }

export type Work =
  | { do: 'connect'; target: Target; clients: Guest[]; atOnce: number; returns: boolean }
  | { do: 'speak'; speakers: number[]; everyMs: number; length: number; seconds: number }
  | { do: 'pump'; inFlight: number; length: number; seconds: number }
  | { do: 'command'; client: number; command: string }
  | { do: 'measure'; after: Record<number, number> }
  | { do: 'pause'; clients: number[] }
  | { do: 'awaitReturn'; seconds: number }
  | { do: 'report'; expected: Record<number, Expected>; except: number[] }
  | { do: 'close' }

/** The lines that a client must have got: how many, the sum of their ids, and the highest. */
export type Expected = { count: number; sum: number; last: number }

export type Answer = {
  /** Microseconds of a clock that all processes share. */
  times?: { startedAt: number; firstFrameAt: number; admittedAt: number }[]
  refused?: number
  said?: number
  report?: Report
}

export type Report = {
  delivered: number
  lost: number
  repeated: number
  /** Connections that ended since the measurement began. */
  ended: number
  bytes: number
  latencies: number[]
}

/** Many clients in a process of their own. Numbers by room; where all are in one room, it is 0. */
export class Crowd {
  readonly #child: ChildProcess
  readonly #open = new Map<number, { resolve: (answer: Answer) => void; reject: (error: Error) => void }>()
  readonly #target: Target
  #lastNumber = 0

  constructor(target: Target) {
    this.#target = target
    const worker = fileURLToPath(new URL('crowd-worker.ts', import.meta.url))
    this.#child = fork(worker, { execArgv: ['--import', 'tsx'] })
    tether(this.#child, 'KILL')
    this.#child.on(
      'message',
      ({ number, answer, error }: { number: number; answer?: Answer; error?: string }) => {
        const open = this.#open.get(number)
        this.#open.delete(number)
        if (answer) open?.resolve(answer)
        else open?.reject(new Error(error))
      },
    )
    this.#child.on('exit', () => {
      for (const { reject } of this.#open.values()) reject(new Error('a crowd has ended'))
    })
  }

  /**
   * Connects them all, `atOnce` at the same time, and resolves when all have what there was. Says how long it took in
   * seconds, and how long each waited for its first frame and for everything (milliseconds).
   */
  async connect(
    clients: Guest[],
    options: { atOnce?: number; returns?: boolean } = {},
  ): Promise<{ seconds: number; first: number[]; all: number[] }> {
    const { atOnce = 100, returns = false } = options
    const { times = [], refused } = await this.#ask({
      do: 'connect',
      target: this.#target,
      clients,
      atOnce,
      returns,
    })
    if (refused) throw new Error(`${refused} of ${clients.length} were refused`)
    return summary(times)
  }

  /** Open loop: each of the speakers says a line of `length` characters `perSecond` times. */
  async speak(speakers: number[], perSecond: number, length: number, seconds: number): Promise<number> {
    const { said = 0 } = await this.#ask({
      do: 'speak',
      speakers,
      everyMs: 1000 / perSecond,
      length,
      seconds,
    })
    return said
  }

  /** Closed loop: each says its next line when one of its `inFlight` has come back. Returns how many came back. */
  async pump(inFlight: number, length: number, seconds: number): Promise<number> {
    const { said = 0 } = await this.#ask({ do: 'pump', inFlight, length, seconds })
    return said
  }

  async command(client: number, command: object): Promise<void> {
    await this.#ask({ do: 'command', client, command: JSON.stringify(command) })
  }

  /** From here on lines with ids above `after` (by room) count. */
  async measure(after: Record<number, number>): Promise<void> {
    await this.#ask({ do: 'measure', after })
  }

  async pause(clients: number[]): Promise<void> {
    await this.#ask({ do: 'pause', clients })
  }

  /** Waits until everyone has come back after a loss; `at` is when the last was (microseconds). */
  async awaitReturn(seconds: number): Promise<{ at: number; missing: number }> {
    const { times = [], refused = 0 } = await this.#ask({ do: 'awaitReturn', seconds })
    return { at: Math.max(...times.map(({ admittedAt }) => admittedAt)), missing: refused }
  }

  async report(
    expected: Record<number, Expected>,
    except: number[] = [],
  ): Promise<Omit<Report, 'latencies'> & { p50: number; p99: number }> {
    const { report } = await this.#ask({ do: 'report', expected, except })
    if (!report) throw new Error('the crowd did not report')
    const { latencies, ...counts } = report
    const histogram = new Histogram(latencies)
    return { ...counts, p50: histogram.quantile(0.5) ?? 0, p99: histogram.quantile(0.99) ?? 0 }
  }

  async close(): Promise<void> {
    await this.#ask({ do: 'close' })
    this.#child.disconnect()
  }

  #ask(order: Work): Promise<Answer> {
    const number = ++this.#lastNumber
    return new Promise((resolve, reject) => {
      this.#open.set(number, { resolve, reject })
      this.#child.send({ number, order })
    })
  }
}

function summary(times: Exclude<Answer['times'], undefined>): {
  seconds: number
  first: number[]
  all: number[]
} {
  const begun = Math.min(...times.map(({ startedAt }) => startedAt))
  const end = Math.max(...times.map(({ admittedAt }) => admittedAt))
  return {
    seconds: (end - begun) / 1e6,
    first: times.map(({ startedAt, firstFrameAt }) => (firstFrameAt - startedAt) / 1000),
    all: times.map(({ startedAt, admittedAt }) => (admittedAt - startedAt) / 1000),
  }
}
