import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RecordingSocket } from '../../test/support/recording-socket.ts'
import { textFrame } from '../edge/frame.ts'
import { Replica } from './replica.ts'
import type { Format } from './subscriber.ts'
import { Tail } from './tail.ts'
import type { Listening, Telling } from './telling.ts'

type Audience = 'readers'
type View = { newest: number }
/** `late`: told without being the newest; the others have ids of their own. */
type Fact =
  | { type: 'said'; id: number; newest?: number }
  | { type: 'set'; key: string; value: string; by?: number }
  | { type: 'unset'; keys: string[] }
  | { type: 'long'; text: string }
  | { type: 'missed'; after: number; newest: number }

const reads = ['readers'] as const
const lags = [] as const
const line = (id: number): string => `l${id}`
const frames = (text: string) => ({ stock: textFrame(text), v1: textFrame(`${text} v1`) })
const all = (text: string) => ({ type: 'all', to: 'readers', ...frames(text) }) as const

class One implements Listening<Audience, string> {
  readonly socket = new RecordingSocket()
  readonly format: Format
  audiences: readonly Audience[] = []
  behind: number | null
  isOnlooker = false

  constructor(behind: number | null, format: Format) {
    this.behind = behind
    this.format = format
  }

  joined(): void {}

  end(): void {
    this.socket.end(null)
  }
}

const turns = async (): Promise<void> => {
  for (let n = 0; n < 10; n++) await new Promise(setImmediate)
}

function tell(_: View, fact: Fact): Telling<Audience, string, One>[] {
  switch (fact.type) {
    case 'said':
      return [{ ...all(line(fact.id)), type: 'line', id: fact.id, item: line(fact.id) }]
    case 'set': {
      const { key, value, by } = fact
      const except = by === undefined ? {} : { except: { subscriber: by, frame: textFrame('done') } }
      return [{ ...all(`${key}=${value}`), newestOf: key, ...except }]
    }
    case 'unset':
      return [{ ...all(`${fact.keys.join()}=`), lastOf: fact.keys }]
    case 'long':
      return [{ ...all(fact.text), long: fact.text.length }]
    case 'missed':
      return [{ type: 'missed', after: fact.after }]
  }
}

/** A room at the position 10, and the pages that are read, one after the other. */
function play() {
  const pages: (() => Promise<{ frame: Buffer; last: number }>)[] = []
  const seen: string[] = []
  const replica = new Replica<View, Fact, Audience, string, One>(
    {
      apply(view, fact) {
        if (fact.type === 'said') view.newest = Math.max(view.newest, fact.newest ?? fact.id)
        else if (fact.type === 'missed') view.newest = fact.newest
      },
      audiences: (_, { behind, isOnlooker }) => (isOnlooker || behind !== null ? lags : reads),
      readsRecord: ({ isOnlooker }) => !isOnlooker,
      changesAudience: () => false,
      tell,
      sums: () => [],
      newest: ({ newest }) => newest,
      dismissal: () => undefined,
      gone: 'gone',
      looksSame: () => true,
      reloaded: () => [],
    },
    {
      clock: () => 0,
      tail: new Tail(() => 0),
      fannedOut: () => undefined,
      read(_, after, upTo) {
        seen.push(`read ${after} ${upTo}`)
        const page = pages.shift()
        assert.ok(page, 'a page is read without need')
        return page()
      },
      sendPage: ({ socket }, { frame }) => socket.write([frame]),
      sendTail: ({ socket }, lines) => socket.write(lines.map(textFrame)),
      late: ({ socket }, id) => seen.push(`${socket.id} late ${id}`),
      live: () => seen.push('live'),
      onFailedRead: () => seen.push('failed'),
      onError: (error, { socket }) => seen.push(`${socket.id} ${String(error)}`),
    },
    { newest: 10 },
  )
  const join = (behind: number | null, upTo = 10, format: Format = 'stock'): One => {
    const one = new One(behind, format)
    replica.subscribe(one, upTo)
    return one
  }
  const publish = (...facts: Fact[]): void => replica.onFacts(facts)
  return { replica, join, publish, pages, seen }
}

const said = (id: number): Fact => ({ type: 'said', id })

test('who joins without a fact hears of what comes, in the form they take', async () => {
  const { replica, join, publish } = play()
  const [old, newer] = [join(null), join(null, 10, 'v1')]
  publish(said(11), said(12))
  await turns()
  assert.deepEqual(
    [old.socket.heard(), newer.socket.heard()],
    [
      ['l11', 'l12'],
      ['l11 v1', 'l12 v1'],
    ],
  )
  replica.end(old.socket.id, null)
  publish(said(13))
  await turns()
  assert.deepEqual([old.socket.heard(), newer.socket.heard()], [[], ['l13 v1']])
})

test('who lacks little gets it from memory in the same turn; who lacks more, page by page', async () => {
  const { join, publish, pages, seen } = play()
  publish(said(11), said(12))
  const near = join(11, 11)
  assert.deepEqual([near.socket.heard(), near.behind, seen], [['l12'], null, ['live']])
  let answer = (): void => undefined
  pages.push(() => new Promise((resolve) => (answer = () => resolve({ frame: textFrame('page'), last: 10 }))))
  const far = join(3)
  publish(said(13))
  await turns()
  assert.deepEqual(far.socket.heard(), [])
  answer()
  await turns()
  assert.deepEqual(far.socket.heard(), ['page', 'l11', 'l12', 'l13'])
  publish(said(14))
  await turns()
  assert.deepEqual(far.socket.heard(), ['l14'])
  assert.deepEqual(seen, ['live', 'read 3 10', `${far.socket.id} late 13`, 'live'])
})

test('what is missed is read by those who had all before it; who reads already goes on', async () => {
  const { join, publish, pages, seen } = play()
  const page = (text: string, last: number) => () => Promise.resolve({ frame: textFrame(text), last })
  let answer = (): void => undefined
  pages.push(() => new Promise((resolve) => (answer = () => resolve({ frame: textFrame('old'), last: 10 }))))
  const slow = join(3)
  const one = join(null)
  publish(said(11))
  pages.push(page('missed', 5000), page('the rest', 5000))
  publish({ type: 'missed', after: 11, newest: 5000 }, said(5001))
  await turns()
  assert.deepEqual(one.socket.heard(), ['l11', 'missed', 'l5001'])
  answer()
  await turns()
  assert.deepEqual(slow.socket.heard(), ['old', 'the rest', 'l5001'])
  publish(said(5002))
  await turns()
  assert.deepEqual([one.socket.heard(), slow.socket.heard()], [['l5002'], ['l5002']])
  const reads = seen.filter((what) => what.startsWith('read'))
  assert.deepEqual(reads, ['read 3 10', 'read 11 5000', 'read 10 10'])
})

test('a line that appears late is told, and memory begins anew behind all that is known', async () => {
  const { join, publish, pages, seen } = play()
  const { socket } = join(null)
  publish(said(12), { type: 'said', id: 11, newest: 15 })
  await turns()
  assert.deepEqual(socket.heard(), ['l12', 'l11'])
  pages.push(() => Promise.resolve({ frame: textFrame('page'), last: 15 }))
  join(14)
  await turns()
  assert.deepEqual(seen, ['read 14 10', 'live'])
})

test('who has fallen behind with all others reads from there', async () => {
  const { replica, join, publish, pages, seen } = play()
  const { socket } = join(null)
  pages.push(() => Promise.resolve({ frame: textFrame('page'), last: 5000 }))
  replica.reload({ newest: 5000 })
  publish(said(5001))
  await turns()
  assert.deepEqual(socket.heard(), ['page', 'l5001'])
  assert.deepEqual(
    seen.filter((event) => event.startsWith('read')),
    ['read 10 5000'],
  )
})

test('whom the record does not concern never reads what was missed', async () => {
  const { replica, join, publish, seen } = play()
  const one = join(null)
  one.isOnlooker = true
  publish({ type: 'missed', after: 10, newest: 20 })
  replica.reload({ newest: 5000 })
  publish(said(5001))
  await turns()
  assert.deepEqual([one.socket.heard(), one.behind, seen], [[], null, []])
})

test('an error of ours while somebody recovers is theirs', async () => {
  const { join, pages, seen } = play()
  pages.push(() => Promise.reject(new Error('ours')))
  const { socket } = join(3)
  await turns()
  assert.deepEqual(seen, ['read 3 10', `${socket.id} Error: ours`])
})

test('of what changes more than once in a turn the newest is told; that it is gone, always', async () => {
  const { join, publish } = play()
  const [ann, bob] = [join(null), join(null)]
  const set = (key: string, value: string): Fact => ({ type: 'set', key, value, by: ann.socket.id })
  publish(
    set('a', '1'),
    set('b', '1'),
    set('a', '2'),
    { type: 'unset', keys: ['b'] },
    set('b', '2'),
    set('b', '3'),
  )
  await turns()
  assert.deepEqual(bob.socket.heard(), ['b=1', 'a=2', 'b=', 'b=3'])
  assert.deepEqual(ann.socket.heard(), ['done', 'done', 'done', 'b=', 'done', 'done'])
  publish(set('b', '4'))
  await turns()
  assert.deepEqual(bob.socket.heard(), ['b=4'])
})

test('what is long goes by itself, after all that was before it', () => {
  const { join, publish } = play()
  const { socket } = join(null)
  const backlogs: number[] = []
  socket.allowBacklog = (...bytes: number[]) => void backlogs.push(...bytes)
  publish(
    { type: 'set', key: 'a', value: '1' },
    { type: 'long', text: 'long' },
    { type: 'set', key: 'a', value: '2' },
  )
  assert.deepEqual([socket.heard(), backlogs], [['a=1', 'long'], [4]])
})
