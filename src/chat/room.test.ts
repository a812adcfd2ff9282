import assert from 'node:assert/strict'
import { afterEach, test } from 'node:test'
import postgres from 'postgres'
import { RecordingSocket } from '../../test/support/recording-socket.ts'
import type { Metrics } from '../edge/metrics.ts'
import { PageCache } from '../hub/page-cache.ts'
import { Feed, type FeedRoom } from './feed.ts'
import type { HistoryQuery } from './query.ts'
import { ChatRoom } from './room.ts'
import { ChatClient } from './client.ts'
import type { Fact, Line } from './rules.ts'
import type { Store } from './store.ts'

type Page = { lines: string[]; last: number; full: boolean }

const json = (id: number): string => `{"time":"t","user":"u","message":"m${id}","id":${id}}`
const line = (id: number): Line => ({ id, room: 7, json: json(id) })
const bare = (id: number): string => `{"time":"t","user":"u","message":"m${id}"}`

/** As the driver throws what PostgreSQL reports. */
function refusedBy(code: string): Error {
  const error = Object.create(postgres.PostgresError.prototype) as Error
  return Object.assign(error, { message: 'refused', severity: 'ERROR', code })
}
const live = '{"live":true}'

const lost = Object.assign(new Error('lost'), { code: 'ECONNRESET' })

const turns = async (): Promise<void> => {
  for (let n = 0; n < 10; n++) await new Promise(setImmediate)
}

let close = (): void => undefined
afterEach(() => close())

/** A room at the id 10, and what the database makes of what is written and read, one after the other. */
async function play() {
  const commits: (Error | null)[] = []
  const news: { lines: Line[]; top: number; gaps: number[]; full: boolean }[] = [
    { lines: [], top: 10, gaps: [], full: false },
  ]
  const pages: (() => Promise<Page>)[] = []
  const logged: string[] = []
  const seen = { idle: 0, commits: 0 }
  const rooms = new Map<number, FeedRoom>()
  const common = {
    store: {} as Store,
    clock: () => 0,
    log: ({ event }: { event: string }) => void logged.push(event),
    metrics: {
      fannedOut: () => undefined,
      committed: () => undefined,
      rejected: () => undefined,
      databaseFailed: () => undefined,
    } as unknown as Metrics,
  }
  const feed = new Feed({
    ...common,
    retry: <T>(): Promise<T> => {
      const next = news.shift() ?? { lines: [], top: feed.seen, gaps: [], full: false }
      return Promise.resolve(next as T)
    },
    rooms: () => rooms,
  })
  close = () => feed.close()
  await feed.prepare(0)
  const room = new ChatRoom(7, {
    ...common,
    feed,
    pages: new PageCache(null),
    retry: <T>(): Promise<T> => {
      seen.commits++
      const failure = commits.shift()
      return failure ? Promise.reject(failure) : Promise.resolve(undefined as T)
    },
    retryReading: <T>(): Promise<T> => {
      const next = pages.shift()
      assert.ok(next, 'a page is read without need')
      return next() as Promise<T>
    },
    onIdle: () => seen.idle++,
  })
  // As if they came from another process.
  const onFacts = (facts: readonly Fact[]): void => room.onFacts(JSON.parse(JSON.stringify(facts)) as Fact[])
  rooms.set(7, { onFacts })
  const take = (lines: Line[]): void => onFacts([{ type: 'said', lines, seen: feed.seen }])
  const join = (user: string, { ids = false, ...query }: Partial<HistoryQuery> & { ids?: boolean } = {}) => {
    const socket = new RecordingSocket()
    const client = new ChatClient(
      socket,
      { key: `key of ${user}`, ids, after: 10, since: null, limit: null, ...query },
      { ...common, ratePerSecond: () => 0 },
    )
    room.join(client, { key: `key of ${user}`, user, room: 7 })
    const send = (message: string, id?: string): void =>
      client.frame(Buffer.from(JSON.stringify({ message, id })), false)
    return { client, socket, send }
  }
  return { room, take, feed, news, commits, pages, logged, seen, join, rooms }
}

test('who has all gets nothing but what is said, in the form they asked for', async () => {
  const { take, join } = await play()
  const old = join('Alice')
  const newer = join('Bob', { ids: true })
  await turns()
  assert.deepEqual(old.socket.heard(), ['{"authenticated":true}'])
  assert.match(
    newer.socket.heard().join(),
    /^\{"authenticated":true,"user":"Bob","room":7,"now":\d+\},\{"live":true\}$/,
  )
  take([line(11), line(12)])
  await turns()
  assert.deepEqual(old.socket.heard(), [bare(11), bare(12)])
  assert.deepEqual(newer.socket.heard(), [json(11), json(12)])
})

test('who has nearly all gets the rest from memory; who lacks more, page by page', async () => {
  const { take, feed, news, pages, join } = await play()
  join('Alice')
  news.push({ lines: [line(11), line(12)], top: 12, gaps: [], full: false })
  await feed.look()
  const near = join('Bob', { ids: true, after: 11 })
  await turns()
  assert.deepEqual(near.socket.heard().slice(1), [json(12), live])
  pages.push(
    () => Promise.resolve({ lines: [json(3), json(5)], last: 5, full: true }),
    () => Promise.resolve({ lines: [json(8)], last: 12, full: false }),
  )
  const far = join('Eve', { ids: true, after: 2 })
  take([line(13)])
  await turns()
  assert.deepEqual(far.socket.heard().slice(1), [json(3), json(5), json(8), json(13), live])
})

test('an id higher than all there is: they get what comes', async () => {
  const { take, join } = await play()
  const { socket } = join('Alice', { after: 4711, ids: true })
  take([line(11)])
  await turns()
  assert.deepEqual(socket.heard().slice(1), [live, json(11)])
})

test('a limit or a time is looked up first, and history begins there', async () => {
  for (const query of [{ limit: 2 }, { since: '2016-08-08T00:00:00.000Z' }]) {
    const { pages, join } = await play()
    pages.push(
      () => Promise.resolve(7 as unknown as Page),
      () => Promise.resolve({ lines: [json(8), json(10)], last: 10, full: false }),
    )
    const { socket } = join('Alice', { after: null, ids: true, ...query })
    await turns()
    assert.deepEqual(socket.heard().slice(1), [json(8), json(10), live])
    assert.equal(pages.length, 0)
  }
})

test('a line that appears while older ones are being read comes once, whether its page has passed or not', async () => {
  const { feed, news, pages, join } = await play()
  join('Alice')
  news.push({ lines: [], top: 12, gaps: [11, 12], full: false })
  await feed.look()
  let answer: (page: Page) => void = () => undefined
  const later = () => new Promise<Page>((resolve) => (answer = resolve))
  pages.push(later, later)
  const { socket } = join('Bob', { ids: true, after: 2 })
  await turns()
  // 11 appears while the page is being read that it belongs to, and may be in it or not: it was left out.
  news.push({ lines: [line(11)], top: 12, gaps: [], full: false })
  await feed.look()
  answer({ lines: [json(3)], last: 11, full: true })
  await turns()
  // 12 belongs to the next one.
  news.push({ lines: [line(12)], top: 12, gaps: [], full: false })
  await feed.look()
  answer({ lines: [], last: 12, full: false })
  await turns()
  assert.deepEqual(socket.heard().slice(1), [json(3), json(11), json(12), live])
})

test('lines come before the word that they are stored, to the sender too', async () => {
  const { news, join } = await play()
  const alice = join('Alice', { ids: true })
  const bob = join('Bob', { ids: true })
  await turns()
  alice.socket.heard()
  bob.socket.heard()
  news.push({ lines: [line(11), line(12)], top: 12, gaps: [], full: false })
  alice.send('m11', 'a')
  alice.send('m12')
  await turns()
  assert.deepEqual(alice.socket.heard(), [json(11), json(12), '{"ack":"a"}'])
  assert.deepEqual(bob.socket.heard(), [json(11), json(12)])
})

test('what the database refuses of one is told to them alone, in its own words; the others are stored', async () => {
  const { commits, seen, logged, join } = await play()
  const people = ['Alice', 'Bob', 'Eve', 'Dan'].map((user) => join(user, { ids: true }))
  await turns()
  for (const { socket } of people) socket.heard()
  // The first one goes alone. Then three, two, one of them; then the next one, and the last.
  const refused = refusedBy('22021')
  commits.push(null, refused, refused, refused, null, null)
  for (const [n, { send }] of people.entries()) send('text', `i${n}`)
  await turns()
  const answers = people.map(({ socket }) => socket.heard())
  assert.deepEqual(answers, [
    ['{"ack":"i0"}'],
    ['{"error":"The database lacks one of these characters: please leave it out","id":"i1"}'],
    ['{"ack":"i2"}'],
    ['{"ack":"i3"}'],
  ])
  assert.equal(logged.filter((event) => event === 'chatNotStored').length, 1)
  assert.equal(seen.commits, 6)
})

test('where the database is lost nobody knows, and they may try again', async () => {
  const { commits, join } = await play()
  const { socket, send } = join('Alice', { ids: true })
  await turns()
  socket.heard()
  commits.push(lost)
  send('text', 'a')
  await turns()
  assert.deepEqual(socket.heard(), [
    '{"error":"The database is not available: the message may not have been stored","id":"a","again":true}',
  ])
})

test('sessions that were deleted, or are somebody else’s now, end; those that were not asked for stay', async () => {
  const { room, join, seen } = await play()
  const [alice, bob, eve, dan, tim] = ['Alice', 'Bob', 'Eve', 'Dan', 'Tim'].map((user) => join(user))
  const key = (user: string): string => `key of ${user}`
  const identity = (user: string, as: string, room = 7) =>
    [key(user), { key: key(user), user: as, room }] as const
  room.endInvalid(
    new Map([identity('Alice', 'Alice'), identity('Bob', 'Robert'), identity('Eve', 'Eve', 8)]),
    new Set(['Alice', 'Bob', 'Eve', 'Dan'].map(key)),
  )
  assert.deepEqual(
    [alice, bob, eve, dan, tim].map((one) => one?.socket.endedBy),
    [undefined, 4401, 4401, 4401, undefined],
  )
  assert.equal(seen.idle, 0)
  room.endInvalid(new Map(), new Set(['Alice', 'Tim'].map(key)))
  assert.equal(seen.idle, 1)
  assert.deepEqual(room.identities(), [])
})

test('a room without anyone is given up, once what was said there is stored', async () => {
  const { join, seen } = await play()
  const { client, send } = join('Alice')
  await turns()
  send('last words')
  client.ended('left')
  assert.equal(seen.idle, 0)
  await turns()
  assert.deepEqual([seen.idle, seen.commits], [1, 1])
})

test('at the end what was said is stored, nothing more is taken, and everyone is told when to come back', async () => {
  const { room, join, seen } = await play()
  const { socket, send } = join('Alice')
  await turns()
  send('said')
  const drained = room.drain()
  send('too late')
  await drained
  room.close()
  assert.deepEqual([seen.commits, socket.endedBy], [1, 1012])
})

test('who has fallen behind reads from there, and misses nothing that is said meanwhile', async () => {
  const { take, feed, news, pages, join } = await play()
  const { socket } = join('Alice', { ids: true })
  await turns()
  socket.heard()
  pages.push(() => Promise.resolve({ lines: [json(11), json(5000)], last: 5000, full: false }))
  news.push({ lines: [], top: 5000, gaps: [], full: true })
  await feed.look()
  take([line(5001)])
  await turns()
  assert.deepEqual(socket.heard(), [json(11), json(5000), json(5001)])
})
