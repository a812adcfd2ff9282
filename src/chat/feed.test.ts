import assert from 'node:assert/strict'
import { afterEach, test } from 'node:test'
import type { Metrics } from '../edge/metrics.ts'
import { Feed, type FeedRoom } from './feed.ts'
import type { Fact, Line } from './rules.ts'
import type { Store } from './store.ts'

type News = { lines: Line[]; top: number; gaps: number[]; full: boolean }

const line = (id: number, room = 7): Line => ({ id, room, json: `{"id":${id}}` })
const news = (top: number, changes: Partial<News> = {}): News => ({
  lines: [],
  top,
  gaps: [],
  full: false,
  ...changes,
})

let close = (): void => undefined
afterEach(() => close())

/** A feed, of which `answers` are what the log says, one after the other; an error is thrown. */
function play() {
  const answers: (News | Error)[] = []
  const rooms = new Map<number, FeedRoom>()
  const told: string[] = []
  const logged: string[] = []
  const seen = { now: 0, reads: 0, failures: 0 }
  const feed = new Feed({
    store: {} as Store,
    retry: async <T>(): Promise<T> => {
      seen.reads++
      // What asks it goes on as if it had been asked in the meantime.
      await Promise.resolve()
      const answer = answers.shift()
      assert.ok(answer, 'the log is read without need')
      if (answer instanceof Error) throw answer
      return answer as T
    },
    clock: () => seen.now,
    log: ({ event }) => void logged.push(event),
    metrics: { databaseFailed: () => seen.failures++ } as unknown as Metrics,
    rooms: () => rooms,
  })
  close = () => feed.close()
  const open = (id: number): void => {
    rooms.set(id, {
      onFacts(facts: readonly Fact[]) {
        for (const fact of facts) {
          assert.equal(fact.seen, feed.seen)
          told.push(
            fact.type === 'said'
              ? `${id} takes ${fact.lines.map((line) => line.id).join(' ')}`
              : `${id} lacks what came after ${fact.after}`,
          )
        }
      },
    })
  }
  return { feed, answers, rooms, open, told, logged, seen }
}

/** A feed that has begun at the id 10, with room 7 open. */
async function begun(gaps: number[] = []) {
  const played = play()
  played.answers.push(news(10, { gaps }))
  await played.feed.prepare(0)
  played.open(7)
  return played
}

test('it begins at the end of the log, when somebody comes and nobody is there', async () => {
  const { feed, answers, open, told } = play()
  answers.push(news(10, { gaps: [8] }))
  await feed.prepare(10)
  assert.equal(feed.seen, 10)
  assert.deepEqual(
    [feed.missing(0, 10), feed.missing(8, 10), feed.missing(0, 7), feed.missing(7, 8)],
    [[8], [], [], [8]],
  )
  open(7)
  // Who has nothing that was not seen here needs no look.
  await feed.prepare(7)
  // Who has more, or may have what is missing, has got it from another process.
  for (const [after, top, gaps] of [
    [8, 10, []],
    [11, 12, []],
    [13, 13, []],
  ] as const) {
    answers.push(news(top, { lines: after === 8 ? [line(8, 99)] : [], gaps: [...gaps] }))
    await feed.prepare(after)
    assert.deepEqual([feed.seen, feed.missing(0, 13), answers.length], [top, [], 0])
  }
  await feed.prepare(13)
  assert.deepEqual(told, [])
})

test('what is new is told to its room, once, in order', async () => {
  const { feed, answers, open, told } = await begun()
  open(8)
  answers.push(news(13, { lines: [line(11), line(12, 8), line(13), line(13, 99)] }))
  await feed.look()
  assert.deepEqual(told.splice(0), ['7 takes 11 13', '8 takes 12'])
  answers.push(news(13))
  await feed.look()
  assert.deepEqual(told, [])
  assert.equal(feed.seen, 13)
})

test('an id that nobody could see is looked for again, and told when it appears', async () => {
  const { feed, answers, told } = await begun()
  answers.push(news(13, { lines: [line(13)], gaps: [11, 12] }))
  await feed.look()
  assert.deepEqual(feed.missing(0, 13), [11, 12])
  answers.push(news(14, { lines: [line(12), line(14)] }))
  await feed.look()
  assert.deepEqual(told, ['7 takes 13', '7 takes 12 14'])
  assert.deepEqual(feed.missing(0, 14), [11])
})

test('after a minute an id that is missing was never written', async () => {
  const { feed, answers, seen } = await begun([9])
  for (const [now, missing] of [
    [60_000, [9]],
    [60_001, []],
  ] as const) {
    seen.now = now
    answers.push(news(10))
    await feed.look()
    assert.deepEqual(feed.missing(0, 10), missing)
  }
})

test('a notification is followed by a look, unless what it names has been told', async () => {
  const { feed, answers, seen } = await begun([9])
  for (const known of [10, 8, 1]) feed.heard(known)
  await new Promise(setImmediate)
  assert.equal(seen.reads, 1)
  for (const [id, top] of [
    [9, 10],
    [11, 11],
    [null, 11],
  ] as const) {
    const before: number = seen.reads
    answers.push(news(top, { lines: id === 9 ? [line(9)] : [] }))
    feed.heard(id)
    await new Promise(setImmediate)
    assert.equal(seen.reads, before + 1, String(id))
  }
})

test('a thousand notifications are a few looks', async () => {
  const { feed, answers, seen, told } = await begun()
  answers.push(news(1010, { lines: [line(11), line(1010)] }))
  for (let id = 11; id <= 1010; id++) feed.heard(id)
  await new Promise(setImmediate)
  assert.equal(seen.reads, 2)
  assert.deepEqual(told, ['7 takes 11 1010'])
})

test('where there is more than can be told at once each room reads by itself', async () => {
  const { feed, answers, told } = await begun()
  answers.push(news(5000, { full: true }))
  await feed.look()
  assert.deepEqual(told, ['7 lacks what came after 10'])
  assert.equal(feed.seen, 5000)
})

test('a room that was opened while the log was being read was not asked for', async () => {
  const { feed, answers, open, told } = await begun()
  answers.push(news(12, { lines: [line(11)] }))
  const looked = feed.look()
  await Promise.resolve()
  await Promise.resolve()
  open(8)
  await looked
  assert.deepEqual(told.splice(0), ['7 takes 11', '8 lacks what came after 10'])
  // Where nothing was new it lacks nothing.
  answers.push(news(12))
  const again = feed.look()
  await Promise.resolve()
  await Promise.resolve()
  open(9)
  await again
  assert.deepEqual(told, [])
})

test('nobody there: nothing is read', async () => {
  const { feed, rooms, seen } = await begun()
  rooms.clear()
  feed.heard(11)
  await feed.look()
  assert.equal(seen.reads, 1)
})

test('a look that fails is tried again a second later, and the log says once that it failed and that it is over', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const { feed, answers, told, logged, seen } = await begun()
  answers.push(new Error('gone'), new Error('gone'), news(11, { lines: [line(11)] }))
  await assert.rejects(feed.look(), /gone/)
  assert.deepEqual([feed.failing, feed.seen, logged], [true, 10, ['databaseLost']])
  for (const failing of [true, false]) {
    t.mock.timers.tick(1000)
    await new Promise(setImmediate)
    assert.equal(feed.failing, failing)
  }
  assert.deepEqual(told, ['7 takes 11'])
  assert.deepEqual(logged, ['databaseLost', 'databaseBack'])
  assert.equal(seen.failures, 2)
})

test('who has closed it hears of nothing more', async () => {
  const { feed, answers, told, seen } = await begun()
  answers.push(news(11, { lines: [line(11)] }))
  const looked = feed.look()
  await Promise.resolve()
  feed.close()
  await looked
  await feed.look()
  assert.deepEqual([told, feed.seen, seen.reads], [[], 10, 2])
})
