import assert from 'node:assert/strict'
import { test } from 'node:test'
import { History, type Page } from './history.ts'

const line = (text: string): Buffer => Buffer.from(text)
const texts = (lines: Buffer[]): string[] => lines.map(String)

/** A record of the ids 1 to `end`, read in pages of ten. */
function record(end: number) {
  const reads: { after: number; upTo: number }[] = []
  const history = new History(async (after, upTo): Promise<Page> => {
    reads.push({ after, upTo })
    await new Promise((resolve) => setImmediate(resolve))
    const last = Math.min(after + 10, upTo)
    return { frame: Buffer.alloc(1024, `${after}-${last}`), last, full: last < upTo }
  })
  history.restart(end)
  return { reads, history }
}

test('what was said since the beginning is there, from any line on', () => {
  const { history } = record(100)
  for (const id of [103, 104, 109]) history.append(id, line(`l${id}`))
  assert.deepEqual(texts(history.since(100)), ['l103', 'l104', 'l109'])
  assert.deepEqual(texts(history.since(103)), ['l104', 'l109'])
  assert.deepEqual(texts(history.since(105)), ['l109'])
  assert.deepEqual(texts(history.since(109)), [])
  assert.deepEqual(texts(history.since(2 ** 53)), [])
  assert.deepEqual(
    [99, 100, 101, 2 ** 53].map((after) => history.covers(after)),
    [false, true, true, true],
  )
})

test('only so much is kept, and it says from where on', () => {
  const { history } = record(0)
  const long = Buffer.alloc(10_000)
  for (let id = 1; id <= 1000; id++) history.append(id, long)
  assert.equal(history.covers(0), false)
  let from = 999
  while (history.covers(from - 1)) from--
  const kept = history.since(from)
  assert.equal(kept.length, 1000 - from)
  assert.ok(kept.length >= 20 && kept.length <= 60, `${kept.length} lines are kept`)
})

test('a line longer than all that is kept leaves nothing but where it ends', () => {
  const { history } = record(5)
  history.append(6, Buffer.alloc(600 * 1024))
  assert.equal(history.covers(5), false)
  assert.equal(history.covers(6), true)
  history.append(7, line('seven'))
  assert.deepEqual(texts(history.since(6)), ['seven'])
})

test('a page is read once for all who need it, and again only if it can have grown', async () => {
  const { reads, history } = record(25)
  const [one, other] = await Promise.all([history.page(0, 25), history.page(0, 25)])
  assert.equal(one.last, 10)
  assert.equal(one, other)
  assert.equal(await history.page(0, 25), one)
  assert.equal((await history.page(20, 25)).last, 25)
  assert.equal((await history.page(20, 26)).last, 26)
  assert.deepEqual(reads, [
    { after: 0, upTo: 25 },
    { after: 20, upTo: 25 },
    { after: 20, upTo: 26 },
  ])
})

test('pages that were not asked for of late make room', async () => {
  const { reads, history } = record(200_000)
  // Each is a KiB, so that some 8,000 are kept.
  for (let after = 0; after < 100_000; after += 10) await history.page(after, 200_000)
  const before = reads.length
  await history.page(99_990, 200_000)
  assert.equal(reads.length, before)
  await history.page(0, 25)
  assert.equal(reads.length, before + 1)
})

test('a read that fails is not remembered', async () => {
  let fails = true
  const history = new History((_, upTo) =>
    fails ? Promise.reject(new Error('away')) : Promise.resolve({ frame: line(''), last: upTo, full: false }),
  )
  history.restart(3)
  await assert.rejects(history.page(0, 3), /away/)
  fails = false
  assert.equal((await history.page(0, 3)).last, 3)
})
