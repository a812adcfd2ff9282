import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import type { Permissions } from './draft.ts'
import { type Command, fault, type Key, type SetKey, type TooLong, types } from './protocol.ts'
import {
  type Answer,
  batch,
  type CommandJob,
  decide,
  fullFault,
  type Job,
  refusedBy,
  tooLargeFault,
} from './rules.ts'
import { apply, type Fact, type View, viewOf } from './view.ts'

const [ann, bob] = [1, 2]
const writer: Permissions = { read: true, write: true, admin: false }
const reader: Permissions = { read: true, write: false, admin: false }
const limits = { maxSize: 100, maxTotal: 5000, left: Infinity }

const opened = (length = 0, keys: readonly Key[] = []): View =>
  viewOf({ number: '7', counted: true, length, keys })

const append = (offset: number, text: string): Command => ({
  type: 'append',
  offset,
  data: Buffer.from(text),
})
const setting = (name: string, oldVersion: number, newVersion: number, stored = true): SetKey => ({
  type: 'setKey',
  request: 9,
  stored,
  oldVersion,
  newVersion,
  name: Buffer.from(name),
  value: Buffer.from('v'),
})
const broadcast = (text: string): Command => ({ type: 'broadcast', data: Buffer.from(text) })
const tooLong = (kind: number): TooLong => ({ type: 'tooLong', kind, limit: 50 })

const job = (
  subscriber: number,
  command: Command | TooLong,
  { permissions = writer, cost = 1 } = {},
): CommandJob => ({
  type: 'command',
  subscriber,
  sender: { permissions, answered: () => undefined },
  command,
  cost,
})

/** As facts may come from another process: bytes go as base64. */
function throughJson(fact: Fact): Fact {
  const text = JSON.stringify(fact, (_key, value: unknown) =>
    isBuffer(value) ? { base64: Buffer.from(value.data).toString('base64') } : value,
  )
  return JSON.parse(text, (_key, value: unknown) =>
    value !== null && typeof value === 'object' && 'base64' in value
      ? Buffer.from(value.base64 as string, 'base64')
      : value,
  ) as Fact
}

/** As buffers come to a replacer. */
const isBuffer = (value: unknown): value is { data: number[] } =>
  value !== null && typeof value === 'object' && 'type' in value && value.type === 'Buffer'

/** What somebody is refused. */
const refusals = (facts: readonly Fact[]) =>
  facts.flatMap((fact) => (fact.type === 'refused' ? [[fact.to, fact.refusal] as const] : []))

test('an append is written behind the end, and told with its place', () => {
  const { write, facts, answers, taken } = decide(
    opened(3),
    [job(ann, append(3, 'abc')), job(bob, append(6, 'de'))],
    limits,
  )
  assert.equal(taken, 2)
  assert.deepEqual([write?.data.toString(), write?.appends, write?.keys], ['abcde', 2, []])
  assert.deepEqual(facts, [
    { type: 'appended', by: ann, at: 3, data: Buffer.from('abc') },
    { type: 'appended', by: bob, at: 6, data: Buffer.from('de') },
  ])
  assert.deepEqual(
    answers.map((answer) => answer.type === 'answered' && answer.job.subscriber),
    [ann, bob],
  )
})

test('each append that is not done: what its sender is told, and nothing is written', () => {
  const cases: [what: string, CommandJob, left: number, refusal: object][] = [
    [
      'at another offset',
      job(ann, append(4, 'x')),
      Infinity,
      { fault: null, answer: { type: 'append', result: 'refused', length: 3 } },
    ],
    [
      'without the right',
      job(ann, append(3, 'x'), { permissions: reader }),
      Infinity,
      { fault: null, answer: { type: 'append', result: 'notPermitted', length: 3 } },
    ],
    [
      'past the longest',
      job(ann, append(3, '.'.repeat(98))),
      Infinity,
      { fault: tooLargeFault(100), answer: { type: 'append', result: 'refused', length: 3 } },
    ],
    [
      'past the quota',
      job(ann, append(3, 'x')),
      10,
      { fault: fullFault(5000), answer: { type: 'append', result: 'refused', length: 3 } },
    ],
    [
      'a message that was too long',
      job(ann, tooLong(types.append2)),
      Infinity,
      {
        fault: fault('a message of more than 50 bytes is not taken'),
        answer: { type: 'append', result: 'refused', length: 3 },
      },
    ],
    [
      'one of the newer form',
      job(ann, tooLong(types.append3)),
      Infinity,
      {
        fault: fault('a message of more than 50 bytes is not taken'),
        answer: { type: 'append', result: 'refused', length: 3 },
      },
    ],
  ]
  for (const [what, one, left, refusal] of cases) {
    const { write, facts } = decide(opened(3), [one], { ...limits, left })
    assert.equal(write, null, what)
    assert.deepEqual(refusals(facts), [[ann, refusal]], what)
  }
})

test('keys: those that are stored are written, all are told; what is refused is answered by its request', () => {
  const { write, facts } = decide(
    opened(),
    [
      job(ann, setting('kept', 0, 1)),
      job(ann, setting('cursor', 0, 1, false)),
      job(bob, setting('kept', 0, 5)),
      job(bob, setting('kept', 1, 1)),
    ],
    limits,
  )
  assert.deepEqual(
    write?.keys.map(({ name }) => name.toString()),
    ['kept'],
  )
  assert.deepEqual(
    facts.map((fact) => (fact.type === 'keySet' ? [fact.by, fact.request, fact.stored] : fact.type)),
    // Who sets a key to the version that it has is not answered, as the reference has it.
    [[ann, 9, true], [ann, 9, false], 'refused', [bob, null, true]],
  )
  assert.deepEqual(refusals(facts), [[bob, { fault: null, answer: { type: 'setKey', request: 9 } }]])
  const full = decide(opened(), [job(ann, setting('k', 0, 1))], { ...limits, left: 10 })
  assert.deepEqual(refusals(full.facts), [
    [ann, { fault: fullFault(5000), answer: { type: 'setKey', request: 9 } }],
  ])
})

test('a broadcast is kept nowhere; of one that was too long its sender hears', () => {
  const { write, facts } = decide(
    opened(),
    [job(ann, broadcast('here')), job(ann, tooLong(types.broadcast))],
    limits,
  )
  assert.equal(write, null)
  assert.deepEqual(facts[0], { type: 'broadcast', by: ann, data: Buffer.from('here') })
  assert.deepEqual(refusals(facts), [
    [ann, { fault: fault('a message of more than 50 bytes is not taken'), answer: null }],
  ])
})

test('who has gone takes their keys along, a thousand at a time', () => {
  const view = opened()
  const set = decide(
    view,
    Array.from({ length: 1500 }, (_, n) => job(ann, setting(String(n), 0, 1, false))),
    limits,
  )
  for (const fact of set.facts) apply(view, fact)
  const leave: Job = { type: 'leave', subscriber: ann }
  const first = decide(view, [leave], limits)
  assert.deepEqual(first.answers, [{ type: 'leaving', subscriber: ann }] satisfies Answer[])
  for (const fact of first.facts) apply(view, fact)
  assert.equal(view.keys.size, 500)
  const last = decide(view, [leave], limits)
  assert.deepEqual([last.answers, last.write], [[], null])
  for (const fact of last.facts) apply(view, fact)
  assert.deepEqual([view.keys.size, view.keyBytes, view.owned.size], [0, 0, 0])
  assert.deepEqual(decide(view, [leave], limits).facts, [])
})

test('what shares a commit is bounded in number and in cost, and is one job at least', () => {
  const many = Array.from({ length: 1000 }, () => job(ann, broadcast('x'), { cost: 400_000 }))
  assert.equal(batch(many), 250)
  assert.equal(batch(many.slice(0, 3)), 3)
  assert.equal(decide(opened(), many, limits).taken, 3)
  assert.equal(decide(opened(), [job(ann, broadcast('x'), { cost: 1e9 }), ...many], limits).taken, 1)
})

test('what the database refuses for good is refused to each sender in the form of their command', () => {
  const why = fault('no')
  const jobs: Job[] = [
    job(ann, append(0, 'x')),
    job(bob, setting('k', 0, 1)),
    job(bob, broadcast('x')),
    { type: 'leave', subscriber: ann },
  ]
  assert.deepEqual(refusals(refusedBy(jobs, why, 5)), [
    [ann, { fault: why, answer: { type: 'append', result: 'notPermitted', length: 5 } }],
    [bob, { fault: why, answer: { type: 'setKey', request: 9 } }],
    [bob, { fault: why, answer: null }],
  ])
})

/** What somebody may do next in a short document with few keys. */
const step = fc.record({
  by: fc.constantFrom(ann, bob),
  at: fc.nat({ max: 12 }),
  text: fc.string({ maxLength: 3 }),
  name: fc.constantFrom('a', 'b', 'admin:c'),
  version: fc.nat({ max: 2 }),
  stored: fc.boolean(),
  what: fc.constantFrom('append', 'end', 'set', 'leave', 'tell'),
  who: fc.constantFrom(writer, reader),
})

test('whatever happens: a replica that hears the facts as JSON has what the owner and the database have', () => {
  fc.assert(
    fc.property(fc.array(fc.array(step, { minLength: 1, maxLength: 4 }), { maxLength: 20 }), (runs) => {
      const [owner, replica] = [opened(), opened()]
      let stored = Buffer.alloc(0)
      const storedKeys = new Map<string, Key>()
      for (const run of runs) {
        let end = owner.length
        const jobs = run.map(({ by, at, text, name, version, stored, what, who: permissions }): Job => {
          if (what === 'leave') return { type: 'leave', subscriber: by }
          if (what === 'tell') return job(by, broadcast(text))
          if (what === 'set') return job(by, setting(name, version, version + 1, stored), { permissions })
          const offset = what === 'end' ? end : at
          if (offset === end && permissions.write) end += Buffer.byteLength(text)
          return job(by, append(offset, text), { permissions })
        })
        const { write, facts, taken } = decide(owner, jobs, limits)
        assert.equal(taken, jobs.length)
        for (const fact of facts) {
          apply(owner, fact)
          apply(replica, throughJson(fact))
        }
        if (!write) continue
        stored = Buffer.concat([stored, write.data])
        for (const key of write.keys) storedKeys.set(key.name.toString(), key)
      }
      assert.deepEqual(replica, owner)
      assert.equal(owner.length, stored.length)
      const kept = Array.from(owner.keys.values()).filter((key) => key.owner === null)
      assert.deepEqual(kept.map(({ name }) => name.toString()).sort(), Array.from(storedKeys.keys()).sort())
      for (const { name, version } of kept)
        assert.equal(storedKeys.get(name.toString())?.version, version, name.toString())
      const sizes = Array.from(owner.keys.values(), ({ name, value }) => name.length + value.length)
      assert.equal(
        owner.keyBytes,
        sizes.reduce((sum, size) => sum + size, 0),
      )
    }),
  )
})
