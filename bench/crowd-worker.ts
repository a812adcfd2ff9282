import { setTimeout as wait } from 'node:timers/promises'
import { Client, type Listeners } from './client.ts'
import type { Answer, Report, Work } from './crowd.ts'
import { Histogram } from '../src/edge/histogram.ts'

// The clients of one crowd, in a process of their own.

const clients: Client[] = []
const retryMs = 2000
let returns = false
let connecting = new Set<Client>()
let whenConnected: () => void = () => undefined
let waiting: Client[] = []
let pumped: { until: number; length: number; lines: number; underWay: number } | null = null
let whenPumped: () => void = () => undefined
let ended = 0

const listeners: Listeners = {
  latencies: new Histogram(),
  admitted(client) {
    if (!connecting.delete(client)) return
    waiting.shift()?.connect()
    if (connecting.size === 0) whenConnected()
  },
  returned(client) {
    if (!pumped) return
    if (performance.now() < pumped.until) {
      pumped.lines++
      client.say(pumped.length)
    } else if (--pumped.underWay === 0) whenPumped()
  },
  gone(client) {
    ended++
    if (returns) setTimeout(() => client.connect(), retryMs)
    else if (connecting.delete(client) && connecting.size === 0) whenConnected()
  },
}

async function work(order: Work): Promise<Answer> {
  switch (order.do) {
    case 'connect': {
      returns = order.returns
      const fresh = order.clients.map((one) => new Client({ ...one, target: order.target }, listeners))
      clients.push(...fresh)
      connecting = new Set(fresh)
      const connected = new Promise<void>((resolve) => (whenConnected = resolve))
      waiting = fresh.slice(order.atOnce)
      for (const client of fresh.slice(0, order.atOnce)) client.connect()
      await connected
      return { times: timesOf(fresh), refused: fresh.filter((client) => !client.isAdmitted).length }
    }
    case 'speak': {
      const speakers = order.speakers.flatMap((index) => clients[index] ?? [])
      const gap = order.everyMs / speakers.length
      const begun = performance.now()
      let said = 0
      for (;;) {
        const elapsed = performance.now() - begun
        if (elapsed >= order.seconds * 1000) break
        for (; said * gap <= elapsed; said++) speakers[said % speakers.length]?.say(order.length)
        await wait(Math.max(1, said * gap - (performance.now() - begun)))
      }
      return { said }
    }
    case 'pump': {
      const underWay = clients.length * order.inFlight
      pumped = { until: performance.now() + order.seconds * 1000, length: order.length, lines: 0, underWay }
      const done = new Promise<void>((resolve) => (whenPumped = resolve))
      for (const client of clients) for (let i = 0; i < order.inFlight; i++) client.say(order.length)
      await done
      return { said: pumped.lines }
    }
    case 'command':
      clients[order.client]?.send(order.command)
      return {}
    case 'measure':
      listeners.latencies.clear()
      ended = 0
      for (const client of clients) client.measure(order.after[client.room] ?? order.after[0] ?? 0)
      return {}
    case 'pause':
      for (const index of order.clients) clients[index]?.pause()
      return {}
    case 'awaitReturn': {
      const allBack = (): boolean => clients.every((client) => client.isAdmitted && client.connects > 1)
      for (
        const deadline = performance.now() + order.seconds * 1000;
        performance.now() < deadline;
        await wait(5)
      )
        if (allBack()) break
      return { times: timesOf(clients), refused: clients.filter((client) => !client.isAdmitted).length }
    }
    case 'report':
      return { report: await report(order.expected, new Set(order.except)) }
    case 'close':
      returns = false
      for (const client of clients.splice(0)) client.close()
      return {}
  }
}

function timesOf(some: readonly Client[]): { startedAt: number; firstFrameAt: number; admittedAt: number }[] {
  return some.map(({ startedAt, firstFrameAt, admittedAt }) => ({ startedAt, firstFrameAt, admittedAt }))
}

/** Waits until everything has come that is to come, for at most five seconds. */
async function report(
  expected: Record<number, { count: number; sum: number; last: number }>,
  except: ReadonlySet<number>,
): Promise<Report> {
  const judged = clients.filter(({ index }) => !except.has(index))
  const due = (client: Client) => expected[client.room] ?? expected[0] ?? { count: 0, sum: 0, last: 0 }
  for (const deadline = performance.now() + 5000; performance.now() < deadline; await wait(10))
    if (judged.every((client) => client.cursor >= due(client).last)) break
  const result: Report = { delivered: 0, lost: 0, repeated: 0, ended, bytes: 0, latencies: [] }
  for (const client of judged) {
    const { count, sum } = due(client)
    result.delivered += client.count
    result.repeated += client.repeated
    result.bytes += client.bytes
    result.lost += client.sum === sum ? 0 : Math.max(1, count - client.count)
  }
  result.latencies = listeners.latencies.counts
  return result
}

process.on('message', ({ number, order }: { number: number; order: Work }) => {
  work(order).then(
    (answer) => process.send?.({ number, answer }),
    (error: unknown) =>
      process.send?.({ number, error: error instanceof Error ? error.stack : String(error) }),
  )
})
process.on('disconnect', () => process.exit())
