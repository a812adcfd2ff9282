import assert from 'node:assert/strict'
import { test } from 'node:test'
import { understand } from '../../test/support/document-client.ts'
import { readServerFrames } from '../../test/support/raw-connection.ts'
import { Tail } from '../hub/tail.ts'
import { announcer, bytesSince, type Listener, prepare, tell } from './announce.ts'
import { fault, type Key } from './protocol.ts'
import { apply, type Fact, type View, viewOf } from './view.ts'

const [ann, bob] = [1, 2]
const opened = (length = 0, keys: readonly Key[] = []): View =>
  viewOf({ number: '7', counted: true, length, keys })

/** The messages in a frame of the broadcaster, for a client that takes frames of up to 4096 bytes. */
function heard(frame: Buffer | ((longest: number) => Buffer) | null) {
  const bytes = typeof frame === 'function' ? frame(4096) : (frame ?? Buffer.alloc(0))
  const { frames } = readServerFrames(bytes)
  const messages: Buffer[] = []
  for (const { payload } of frames) {
    if (payload[0] === 0xff) messages.push(Buffer.concat([messages.pop()!, payload.subarray(2)]))
    else messages.push(payload)
  }
  return messages.map((message) => ({ kind: message[0], ...understand(message) }))
}

/** What a fact has all told, with the view that it makes. */
function toldToAll(view: View, fact: Fact) {
  apply(view, fact)
  const [told, ...others] = tell(view, fact)
  assert.ok(told && (told.type === 'all' || told.type === 'line'))
  assert.equal(others.length, 0)
  assert.equal(told.to, 'live')
  return told
}

test('an append is told in the form of each version, and answered to its sender; it is a part of the record', () => {
  const told = toldToAll(opened(3), { type: 'appended', by: ann, at: 3, data: Buffer.from('abc') })
  assert.deepEqual([told.type, told.type === 'line' && told.id], ['line', 6])
  assert.deepEqual(heard(told.stock), [{ kind: 2, type: 'append', offset: 3, data: Buffer.from('abc') }])
  assert.deepEqual(heard(told.v1), [{ kind: 5, type: 'append', offset: 3, data: Buffer.from('abc') }])
  assert.equal(told.except?.subscriber, ann)
  assert.deepEqual(heard(told.except?.frame ?? null), [{ kind: 0x81, type: 'answer', status: 1, length: 6 }])
  assert.equal(told.long, undefined)
})

test('an append of nothing is told, and is no part of the record', () => {
  const told = toldToAll(opened(3), { type: 'appended', by: ann, at: 3, data: Buffer.alloc(0) })
  assert.equal(told.type, 'all')
  assert.deepEqual(heard(told.except?.frame ?? null), [{ kind: 0x81, type: 'answer', status: 1, length: 3 }])
})

test('of a key its newest value is enough; that it is gone is told as it was', () => {
  const view = opened()
  const key = { name: Buffer.from('k'), value: Buffer.from('new'), version: 4 }
  const set = toldToAll(view, { type: 'keySet', by: bob, request: 9, key, stored: false })
  assert.deepEqual([set.newestOf, set.lastOf], ['k', undefined])
  assert.deepEqual(heard(set.stock), [
    { kind: 0x82, type: 'keys', keys: [{ name: 'k', value: 'new', version: 4 }] },
  ])
  assert.deepEqual(heard(set.except?.frame ?? null), [
    { kind: 0x83, type: 'keyAnswer', status: 1, request: 9 },
  ])
  const again = toldToAll(view, { type: 'keySet', by: bob, request: null, key, stored: false })
  assert.deepEqual(again.except, { subscriber: bob, frame: null })
  const gone = toldToAll(view, { type: 'keysRemoved', keys: [{ name: key.name, version: 5 }] })
  assert.deepEqual([gone.newestOf, gone.lastOf, gone.except], [undefined, ['k'], undefined])
  assert.deepEqual(heard(gone.stock), [
    { kind: 0x82, type: 'keys', keys: [{ name: 'k', value: '', version: 5 }] },
  ])
})

test('a broadcast is told to all but its sender; what is refused to its sender, the reason first', () => {
  const told = toldToAll(opened(), { type: 'broadcast', by: ann, data: Buffer.from('here') })
  assert.deepEqual(told.except, { subscriber: ann, frame: null })
  const refusal = { fault: fault('no'), answer: { type: 'append', result: 'refused', length: 3 } } as const
  const tellings = tell(opened(3), { type: 'refused', to: bob, refusal })
  assert.deepEqual(
    tellings.map((telling) => telling.type === 'one' && [telling.subscriber, heard(telling.stock)]),
    [
      [bob, [{ kind: 0x80, type: 'error', code: 0, text: 'no' }]],
      [bob, [{ kind: 0x81, type: 'answer', status: 0, length: 3 }]],
    ],
  )
  assert.deepEqual(tell(opened(), { type: 'deleted' }), [{ type: 'gone' }])
})

test('who still gets the document hears of nothing else', () => {
  const behind = (position: number | null) => ({ behind: position }) as Listener
  assert.deepEqual(announcer.audiences(opened(), behind(0)), [])
  assert.deepEqual(announcer.audiences(opened(), behind(null)), ['live'])
})

test('what is long is made ready for those who are to get it, in their form, and is told as it was made', async () => {
  const data = Buffer.alloc(300 * 1024, 'x')
  const fact: Fact = { type: 'appended', by: ann, at: 0, data }
  const one = (id: number, version: 2 | 3, behind: number | null) =>
    [id, { version, longest: 4096, behind } as Listener] as const
  const listeners = new Map([one(1, 2, null), one(2, 3, 0)])
  await prepare([fact], listeners, () => true)
  const told = toldToAll(opened(), fact)
  assert.equal(told.long, data.length + 10)
  assert.deepEqual(heard(told.stock), [{ kind: 2, type: 'append', offset: 0, data }])
  assert.deepEqual(heard(told.v1), [{ kind: 5, type: 'append', offset: 0, data }])
  const short: Fact = { type: 'appended', by: ann, at: 0, data: Buffer.alloc(200 * 1024) }
  assert.equal(
    prepare([short, { type: 'deleted' }], listeners, () => true),
    null,
  )
})

test('from each offset in memory on, the bytes that are behind it', () => {
  const tail = new Tail<Buffer>(null, 10)
  let end = 10
  for (const text of ['abc', '', 'd', 'efgh']) tail.append((end += text.length), Buffer.from(text))
  for (let offset = 10; offset <= end; offset++)
    assert.equal(bytesSince(tail.since(offset), offset, end).toString(), 'abcdefgh'.slice(offset - 10))
})
