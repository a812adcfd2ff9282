import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Mailbox } from './mailbox.ts'

const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
const unexpected = (error: unknown): void => {
  throw error
}

test('a lone job is taken at once, and what comes meanwhile is taken together', async () => {
  const runs: number[][] = []
  const mailbox = new Mailbox<number>({
    async consume(jobs) {
      const run = [...jobs]
      runs.push(run)
      await tick()
      return run.length
    },
    onError: unexpected,
    limit: 10,
  })
  mailbox.push(1)
  assert.deepEqual(runs, [[1]])
  for (const job of [2, 3, 4]) mailbox.push(job)
  await mailbox.idle()
  assert.deepEqual(runs, [[1], [2, 3, 4]])
  mailbox.push(5, 6)
  assert.deepEqual(runs.at(-1), [5, 6])
  await mailbox.idle()
})

test('jobs that a run does not take come again, in their order', async () => {
  const runs: number[][] = []
  const mailbox = new Mailbox<number>({
    async consume(jobs) {
      runs.push([...jobs])
      const taken = Math.min(2, jobs.length)
      await tick()
      return taken
    },
    onError: unexpected,
    limit: 10,
  })
  for (const job of [1, 2, 3, 4, 5]) mailbox.push(job)
  await mailbox.idle()
  assert.deepEqual(runs, [[1], [2, 3, 4, 5], [4, 5]])
})

test('it says when it is full and takes what must not be lost all the same', async () => {
  let release = (): void => undefined
  const mailbox = new Mailbox<number>({
    consume: (jobs) => new Promise((resolve) => (release = () => resolve(jobs.length))),
    onError: unexpected,
    limit: 2,
  })
  mailbox.push(1)
  assert.equal(mailbox.full, false)
  mailbox.push(2)
  assert.equal(mailbox.full, true)
  mailbox.push(3)
  assert.equal(mailbox.size, 3)
  release()
})

test('a consumer that rejects is reported once and gets nothing more', async () => {
  const errors: unknown[] = []
  let runs = 0
  const mailbox = new Mailbox<number>({
    async consume() {
      runs++
      await tick()
      throw new Error('broken')
    },
    onError(error) {
      errors.push(error)
      assert.deepEqual(mailbox.close(), [1, 2])
    },
    limit: 10,
  })
  mailbox.push(1)
  mailbox.push(2)
  await mailbox.idle()
  mailbox.push(3)
  await tick()
  assert.equal(errors.length, 1)
  assert.equal(runs, 1)
})

test('in one turn of the event loop one portion is handed over, also where nothing has to be waited for', async () => {
  let turn = 0
  const turns: number[] = []
  const mailbox = new Mailbox<string>({
    async consume() {
      turns.push(turn)
      return 1
    },
    onError: unexpected,
    limit: 10,
  })
  const next = (): void => {
    turn++
    if (mailbox.size > 0) setImmediate(next)
  }
  setImmediate(next)
  mailbox.push('a', 'b')
  await Promise.resolve()
  // The mailbox has had time to run empty, and has something to do again in the same turn.
  mailbox.push('c')
  await mailbox.idle()
  assert.equal(new Set(turns).size, 3, turns.join(' '))
})
