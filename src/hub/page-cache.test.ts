import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Page, PageCache } from './page-cache.ts'

function cacheOf(size: number, full: (key: string) => boolean = () => true, clock: () => number = () => 0) {
  const reads: string[] = []
  const cache = new PageCache(clock)
  const get = (key: string): Promise<Page> =>
    cache.get(key, async () => {
      reads.push(key)
      await new Promise((resolve) => setImmediate(resolve))
      return { frame: Buffer.alloc(size), last: 1, full: full(key) }
    })
  return { cache, reads, get }
}

test('a page is read once for all who need it, and again only if it can have grown', async () => {
  const { reads, get } = cacheOf(10, (key) => key === 'full')
  const [one, other] = await Promise.all([get('full'), get('full')])
  assert.equal(one, other)
  assert.equal(await get('full'), one)
  const [growing, shared] = await Promise.all([get('growing'), get('growing')])
  assert.equal(growing, shared)
  assert.notEqual(await get('growing'), growing)
  assert.deepEqual(reads, ['full', 'growing', 'growing'])
})

test('pages that were not asked for of late make room', async () => {
  const { reads, get } = cacheOf(1024 * 1024)
  for (let n = 0; n < 32; n++) await get(`page ${n}`)
  await get('page 0')
  await get('one more')
  const before = reads.length
  await get('page 0')
  await get('page 2')
  assert.equal(reads.length, before)
  await get('page 1')
  assert.equal(reads.length, before + 1)
})

test('a read that fails is not remembered', async () => {
  const cache = new PageCache(() => 0)
  await assert.rejects(
    cache.get('key', () => Promise.reject(new Error('away'))),
    /away/,
  )
  const page = { frame: Buffer.alloc(0), last: 3, full: false }
  assert.equal(await cache.get('key', () => Promise.resolve(page)), page)
})

test('what was read is told from memory for a few seconds only', async () => {
  let now = 1
  const { reads, get } = cacheOf(10, undefined, () => now)
  await get('page')
  now += 4000
  await get('page')
  assert.equal(reads.length, 1)
  // However often it is asked for.
  now += 2000
  await Promise.all([get('page'), get('page')])
  assert.equal(reads.length, 2)
})

test('a page is as old as its read was when it began, however long that took', async () => {
  let now = 1
  const { reads, get } = cacheOf(10, undefined, () => now)
  const slow = get('page')
  now += 4000
  await slow
  now += 900
  await get('page')
  assert.equal(reads.length, 1)
  now += 200
  await get('page')
  assert.equal(reads.length, 2)
})

test('whoever waits for a page gets it, also where others have made no room for it meanwhile', async () => {
  const { cache, reads, get } = cacheOf(1024 * 1024)
  let answer: (page: Page) => void = () => undefined
  const slow = cache.get('slow', () => new Promise((resolve) => (answer = resolve)))
  for (let n = 0; n < 40; n++) await get(`page ${n}`)
  const page = { frame: Buffer.alloc(1), last: 9, full: true }
  answer(page)
  assert.equal(await slow, page)
  assert.ok(cache.bytes <= 32 * 1024 * 1024, `${cache.bytes} bytes`)
  assert.equal(reads.length, 40)
})

test('pages that are told to nobody any more take no memory', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  let now = 1
  const { cache, get } = cacheOf(1000, undefined, () => now)
  await get('one')
  now += 3000
  t.mock.timers.tick(3000)
  await get('two')
  assert.equal(cache.bytes, 2000)
  for (const left of [1000, 0]) {
    now += 3000
    t.mock.timers.tick(3000)
    assert.equal(cache.bytes, left)
  }
})
