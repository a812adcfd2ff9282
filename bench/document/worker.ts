import { setTimeout as wait } from 'node:timers/promises'
import { type Door, DocumentClient, type Listeners, stampedChange } from './client.ts'
import type { Answer, Work } from './crowd.ts'
import { Times } from './times.ts'

// Clients of documents, in a process of their own.

const clients: DocumentClient[] = []
let connecting = new Set<DocumentClient>()
let waiting: DocumentClient[] = []
let whenConnected: () => void = () => undefined
let ended = 0

const listeners: Listeners = {
  times: new Times(),
  admitted: done,
  gone(client) {
    ended++
    done(client)
  },
}

function done(client: DocumentClient): void {
  if (!connecting.delete(client)) return
  waiting.shift()?.connect()
  if (connecting.size === 0) whenConnected()
}

async function work(order: Work): Promise<Answer> {
  switch (order.do) {
    case 'connect':
      return await connect(order.door, order.ids, order.atOnce)
    case 'teach': {
      const until = performance.now() + order.seconds * 1000
      await Promise.all(clients.map((client) => teach(client, until, order)))
      return { length: Math.max(...clients.map(({ length }) => length)) }
    }
    case 'pipeline':
      return await pipeline(clientAt(order.client), order)
    case 'pump':
      return await pump(clientAt(order.client), order)
    case 'alone':
      return await alone(order.clients.map(clientAt), order)
    case 'fill': {
      const client = clientAt(order.client)
      for (let left = order.bytes; left > 0; left -= order.piece)
        await client.change(Buffer.alloc(Math.min(left, order.piece), 'y'))
      return { length: client.length }
    }
    case 'measure':
      listeners.times.clear()
      ended = 0
      for (const client of clients) client.measure()
      return {}
    case 'report':
      return await report(order.length)
    case 'close':
      for (const client of clients.splice(0)) client.close()
      return {}
  }
}

function clientAt(index: number): DocumentClient {
  const client = clients[index]
  if (!client) throw new Error(`there is no client ${index}`)
  return client
}

async function connect(door: Door, ids: string[], atOnce: number): Promise<Answer> {
  if (ids.length === 0) return { length: 0 }
  const fresh = ids.map((id) => new DocumentClient(door, id, listeners))
  clients.push(...fresh)
  connecting = new Set(fresh)
  const connected = new Promise<void>((resolve) => (whenConnected = resolve))
  waiting = fresh.slice(atOnce)
  const begun = performance.now()
  for (const client of fresh.slice(0, atOnce)) client.connect()
  await connected
  const milliseconds = [performance.now() - begun]
  const refused = fresh.filter((client) => !client.isAdmitted).length
  return { refused, milliseconds, length: Math.max(...fresh.map(({ length }) => length)) }
}

/** A change of `size` bytes after delays that are normally distributed (Box and Muller). */
async function teach(
  client: DocumentClient,
  until: number,
  { size, mean, deviation }: { size: number; mean: number; deviation: number },
): Promise<void> {
  for (;;) {
    const normal = Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random())
    await wait(Math.max(0, mean + deviation * normal))
    if (performance.now() >= until || !client.isAdmitted) return
    await client.change(stampedChange(size))
  }
}

/** Open loop: so many a second, whether the last ones are answered or not. */
async function pipeline(
  client: DocumentClient,
  { perSecond, size, seconds }: { perSecond: number; size: number; seconds: number },
): Promise<Answer> {
  const total = perSecond * seconds
  const times: number[] = []
  const answers: Promise<void>[] = []
  const begun = performance.now()
  for (let sent = 0; sent < total; await wait(1))
    for (const due = ((performance.now() - begun) / 1000) * perSecond; sent < Math.min(due, total); sent++) {
      const at = performance.now()
      answers.push(client.append(stampedChange(size)).then((taken) => noteTaken(taken, times, at)))
    }
  await Promise.all(answers)
  return { milliseconds: times, seconds: (performance.now() - begun) / 1000 }
}

/** Closed loop: as many in flight as are said, until the time is over. */
async function pump(
  client: DocumentClient,
  { inFlight, size, seconds }: { inFlight: number; size: number; seconds: number },
): Promise<Answer> {
  const times: number[] = []
  const begun = performance.now()
  const lane = async (): Promise<void> => {
    while (performance.now() - begun < seconds * 1000) {
      const at = performance.now()
      noteTaken(await client.append(stampedChange(size)), times, at)
    }
  }
  await Promise.all(Array.from({ length: inFlight }, lane))
  return { milliseconds: times, seconds: (performance.now() - begun) / 1000 }
}

function noteTaken(taken: boolean, times: number[], at: number): void {
  if (!taken) throw new Error('an append of the only writer was refused')
  times.push(performance.now() - at)
}

/** One append at a time, at the clients in turn. Times by client. */
async function alone(
  these: readonly DocumentClient[],
  { count, size }: { count: number; size: number },
): Promise<Answer> {
  const rounds = these.map((): number[] => [])
  for (let round = 0; round < count; round++)
    for (const [index, client] of these.entries()) {
      const at = performance.now()
      noteTaken(await client.append(stampedChange(size)), rounds[index] ?? [], at)
    }
  return { rounds }
}

/** Waits until the document has come to everyone as it is, for at most five seconds. */
async function report(length: number): Promise<Answer> {
  for (const deadline = performance.now() + 5000; performance.now() < deadline; await wait(10))
    if (clients.every((client) => client.length >= length)) break
  const sum = (pick: (client: DocumentClient) => number): number =>
    clients.reduce((all, client) => all + pick(client), 0)
  return {
    report: {
      delivered: sum(({ delivered }) => delivered),
      lost: sum((client) => Math.max(client.lost, Number(client.length < length))),
      repeated: sum(({ repeated }) => repeated),
      refused: sum(({ refused }) => refused),
      ended,
      checksums: [...new Set(clients.map(({ checksum }) => checksum))],
      spread: listeners.times.spread,
    },
  }
}

process.on('message', ({ number, order }: { number: number; order: Work }) => {
  work(order).then(
    (answer) => process.send?.({ number, answer }),
    (error: unknown) =>
      process.send?.({ number, error: error instanceof Error ? error.stack : String(error) }),
  )
})
process.on('disconnect', () => process.exit())
