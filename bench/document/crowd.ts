import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { tether } from '../../demo/tether.ts'
import type { Door } from './client.ts'
import type { Spread } from './times.ts'

export type Work =
  | { do: 'connect'; door: Door; ids: string[]; atOnce: number }
  | { do: 'teach'; seconds: number; size: number; mean: number; deviation: number }
  | { do: 'pipeline'; client: number; perSecond: number; size: number; seconds: number }
  | { do: 'pump'; client: number; inFlight: number; size: number; seconds: number }
  | { do: 'alone'; clients: number[]; count: number; size: number }
  | { do: 'fill'; client: number; bytes: number; piece: number }
  | { do: 'measure' }
  /** Once everyone's document is as long. */
  | { do: 'report'; length: number }
  | { do: 'close' }

export type Answer = {
  refused?: number
  length?: number
  milliseconds?: number[]
  rounds?: number[][]
  seconds?: number
  report?: Report
}

export type Report = {
  delivered: number
  lost: number
  repeated: number
  refused: number
  ended: number
  /** Those of the whole document, as each has received it: one, if all have the same. */
  checksums: number[]
  spread: Spread
}

/** Clients of documents in a process of their own. */
export class DocumentCrowd {
  readonly #child: ChildProcess
  readonly #open = new Map<number, { resolve: (answer: Answer) => void; reject: (error: Error) => void }>()
  readonly #door: Door
  #lastNumber = 0

  constructor(door: Door) {
    this.#door = door
    const worker = fileURLToPath(new URL('worker.ts', import.meta.url))
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

  /** Opens a document for each of the ids. Says how long it took in milliseconds, and how long the longest is. */
  async connect(ids: string[], atOnce = 100): Promise<{ milliseconds: number; length: number }> {
    const answer = await this.#ask({ do: 'connect', door: this.#door, ids, atOnce })
    if (answer.refused) throw new Error(`${answer.refused} of ${ids.length} were refused`)
    return { milliseconds: answer.milliseconds?.[0] ?? NaN, length: answer.length ?? NaN }
  }

  /** All change the document now and then. Returns how long it is when all is taken. */
  async teach(given: { seconds: number; size: number; mean: number; deviation: number }): Promise<number> {
    return (await this.#ask({ do: 'teach', ...given })).length ?? NaN
  }

  async pipeline(given: Omit<Extract<Work, { do: 'pipeline' }>, 'do'>): Promise<Taken> {
    return takenOf(await this.#ask({ do: 'pipeline', ...given }))
  }

  async pump(given: Omit<Extract<Work, { do: 'pump' }>, 'do'>): Promise<Taken> {
    return takenOf(await this.#ask({ do: 'pump', ...given }))
  }

  /** One append at a time, at the clients in turn: milliseconds until it was answered, by client. */
  async alone(clients: number[], count: number, size: number): Promise<number[][]> {
    return (await this.#ask({ do: 'alone', clients, count, size })).rounds ?? []
  }

  async fill(client: number, bytes: number, piece: number): Promise<void> {
    await this.#ask({ do: 'fill', client, bytes, piece })
  }

  async measure(): Promise<void> {
    await this.#ask({ do: 'measure' })
  }

  async report(length: number): Promise<Report> {
    const { report } = await this.#ask({ do: 'report', length })
    if (!report) throw new Error('the crowd did not report')
    return report
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

/** How many a second were taken, and how long each waited for its answer (milliseconds). */
export type Taken = { perSecond: number; milliseconds: number[] }

function takenOf({ milliseconds = [], seconds = NaN }: Answer): Taken {
  return { perSecond: milliseconds.length / seconds, milliseconds }
}
