import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import postgres from 'postgres'
import { Room } from './room.ts'
import { Conflict, type FailurePolicy, RoomClosed } from './room-rules.ts'

const lost = Object.assign(new Error('lost'), { code: 'ECONNRESET' })
/** As the driver throws what PostgreSQL reports. */
const refused = Object.assign(Object.create(postgres.PostgresError.prototype) as Error, {
  message: 'refused',
  severity: 'ERROR',
  code: '22021',
})
const fenced = Object.assign(new Error('fenced'), { code: 'PL001' })

const turns = async (): Promise<void> => {
  for (let n = 0; n < 10; n++) await new Promise(setImmediate)
}

const rooms: { close: () => void }[] = []
// A room that cannot load its view tries again for as long as it is there.
after(() => rooms.forEach((room) => room.close()))

/** A room of words: what is written and told, and what its commits meet one after the other. */
function play(onUnknown: FailurePolicy, { view = [] as string[] | null, batch = Infinity } = {}) {
  const seen: string[] = []
  const commits: (Error | null)[] = []
  const stored: string[] = []
  let load = (): Promise<string[] | null> => Promise.resolve([...stored])
  const replica = {
    view,
    onFacts: (facts: readonly string[]) => replica.view?.push(...facts),
    reload: (loaded: string[] | null) => void (replica.view = loaded),
    flush: () => undefined,
    finish: () => undefined,
  }
  const jobs = (verb: string) => (some: readonly string[]) => {
    if (some.length > 0) seen.push(`${verb} ${some.join()}`)
  }
  const room: Room<string[], string, string[], null, string, string> = new Room({
    rules: {
      batch: ({ length }) => Math.min(length, batch),
      decide: (_, run) => ({
        taken: run.length,
        write: [...run],
        facts: run,
        answers: run,
        regardless: null,
      }),
      facts: (_, { facts }) => facts,
      due: () => null,
      nextDue: () => null,
    },
    store: {
      load: () => {
        seen.push('load')
        return load()
      },
      commit: (write, _, retry) =>
        retry(async () => {
          await new Promise(setImmediate)
          const failure = commits.shift()
          if (failure) throw failure
          stored.push(...write)
          return null
        }),
    },
    replica,
    hooks: {
      answer: jobs('done'),
      absent: jobs('absent'),
      refused: jobs('refused'),
      unavailable: jobs('unavailable'),
      dropped: jobs('dropped'),
      committed: () => undefined,
      published: () => undefined,
      databaseFailed: () => seen.push('database failed'),
      notStored: () => seen.push('not stored'),
      invalidated: () => {
        seen.push('invalidated')
        if (onUnknown === 'close') room.close()
      },
      reloaded: () => seen.push('reloaded'),
      fenced: () => seen.push('fenced'),
      idle: () => undefined,
      failed: (error) => seen.push(String(error)),
    },
    retry: (transaction) => transaction(),
    clock: () => 0,
    maxQueued: 5,
    onUnknown,
  })
  rooms.push(room)
  return {
    room,
    seen,
    commits,
    stored,
    replica,
    loads: (how: typeof load) => (load = how),
    say: async (...words: string[]) => {
      room.push(...words)
      await turns()
    },
  }
}

test('reload: the view is loaded anew before the next decision; a conflict is decided about once more', async () => {
  const { seen, commits, stored, replica, say, loads } = play('reload', { view: null })
  await say('a')
  commits.push(lost)
  await say('b')
  await say('c')
  commits.push(new Conflict('it has changed'))
  await say('d')
  assert.deepEqual(seen, [
    ...['load', 'done a'],
    ...['database failed', 'invalidated', 'unavailable b'],
    ...['load', 'reloaded', 'done c'],
    ...['invalidated', 'load', 'reloaded', 'done d'],
  ])
  assert.deepEqual(replica.view, ['a', 'c', 'd'])
  commits.push(lost)
  await say('e')
  seen.length = 0
  loads(() => Promise.reject(lost))
  // All wait for the same.
  await say('f', 'g')
  assert.deepEqual(seen, ['load', 'database failed', 'unavailable f,g'])
  assert.deepEqual(stored, ['a', 'c', 'd'])
})

test('close: the room is closed, and gives back each job once, those under way too', async () => {
  for (const failure of [lost, new Conflict('it has changed')]) {
    const { room, seen, commits, say } = play('close')
    commits.push(failure)
    room.push('a', 'b')
    const work = assert.rejects(
      room.alone(() => Promise.resolve()),
      RoomClosed,
    )
    await say('c')
    await work
    assert.deepEqual(
      seen.filter((event) => event !== 'database failed'),
      ['invalidated', 'dropped a,b,c'],
    )
    await say('d')
    assert.equal(seen.length, failure === lost ? 3 : 2)
    await assert.rejects(
      room.alone(() => Promise.resolve()),
      RoomClosed,
    )
  }
})

test('close: nothing is loaded but by work that goes alone', async () => {
  const { room, seen, stored, say } = play('close', { view: null })
  await say('a')
  assert.deepEqual(seen, ['absent a'])
  stored.push('old')
  assert.deepEqual(await room.alone(() => room.load()), ['old'])
  await room.alone(() => room.load())
  await say('b')
  assert.deepEqual(seen, ['absent a', 'load', 'done b'])
})

test('reject: who asked hears so, and the room goes on', async () => {
  const { seen, commits, say } = play('reject')
  commits.push(lost)
  await say('a')
  await say('b')
  assert.deepEqual(seen, ['database failed', 'unavailable a', 'done b'])
})

test('what the database refuses of one does not take the others along, by any policy', async () => {
  for (const onUnknown of ['reload', 'close', 'reject'] as const) {
    const { seen, commits, say } = play(onUnknown)
    commits.push(refused, refused, refused)
    await say('a', 'b', 'c')
    assert.deepEqual(seen, ['not stored', 'refused a', 'done b', 'done c'])
  }
})

test('where another process owns the rooms jobs are dropped without an answer', async () => {
  const { seen, commits, say } = play('close')
  commits.push(fenced)
  await say('a')
  assert.deepEqual(seen, ['fenced', 'dropped a'])
})

test('an error of ours ends the room', async () => {
  const { room, seen, commits, say } = play('reject')
  commits.push(new Error('ours'))
  await say('a')
  room.close()
  assert.deepEqual(seen, ['Error: ours', 'dropped a'])
})

test('work that goes alone comes after all that was before it, and before all that comes', async () => {
  const { room, seen, replica, say } = play('close')
  room.push('a')
  const made = room.alone(async () => {
    seen.push('begun')
    await turns()
    room.publish(['made'])
    seen.push('ended')
    return 7
  })
  const failing = assert.rejects(
    room.alone(() => Promise.reject(lost)),
    /lost/,
  )
  await say('b')
  await turns()
  assert.equal(await made, 7)
  await failing
  assert.deepEqual(seen, ['done a', 'begun', 'ended', 'done b'])
  assert.deepEqual(replica.view, ['a', 'made', 'b'])
})

test('a room that is closed, or ends in order, takes no work any more; what it has given up is answered once', async () => {
  for (const failure of [null, lost, refused]) {
    const { room, seen, commits } = play('reject')
    commits.push(failure)
    room.push('a')
    room.close()
    await turns()
    assert.deepEqual(
      seen.filter((event) => event.endsWith(' a')),
      ['dropped a'],
    )
  }
  const { room, seen } = play('close')
  room.push('a')
  const drained = room.drain()
  await assert.rejects(
    room.alone(() => Promise.resolve()),
    RoomClosed,
  )
  await drained
  assert.deepEqual(seen, ['done a'])
})
