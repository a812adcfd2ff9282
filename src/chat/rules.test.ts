import assert from 'node:assert/strict'
import { test } from 'node:test'
import { announcer, tell } from './announce.ts'
import {
  apply,
  type Fact,
  type Identity,
  isSessionGone,
  type Job,
  rules,
  startOf,
  type View,
} from './rules.ts'

const job = (n: number, id: string | null = null): Job => ({
  subscriber: n,
  user: `u${n}`,
  message: `m${n}`,
  id,
})
const json = (id: number): string => `{"time":"t","user":"u","message":"m${id}","id":${id}}`

test('up to five hundred lines share a commit', () => {
  for (const [queued, share] of [
    [1, 1],
    [500, 500],
    [501, 500],
    [20_000, 500],
  ] as const)
    assert.equal(rules.batch(Array.from({ length: queued }, (_, n) => job(n))), share)
})

test('all that is said is written as it came; those are answered who gave an id', () => {
  const run = [job(1, 'a'), job(2), job(1, 'b')]
  const decision = rules.decide({ seen: 10 }, run, 0)
  assert.deepEqual(decision, {
    taken: 3,
    write: run,
    facts: [],
    answers: [
      { subscriber: 1, id: 'a' },
      { subscriber: 1, id: 'b' },
    ],
    regardless: null,
  })
  // What was written is told when it is seen in the log.
  assert.deepEqual(rules.facts({ seen: 10 }, decision, undefined), [])
  assert.deepEqual([rules.due({ seen: 10 }, 0, new Map(), { of: (all) => all }), decision.facts], [null, []])
})

test('facts say how far the log was told', () => {
  const view: View = { seen: 10 }
  const facts: Fact[] = [
    { type: 'said', lines: [{ id: 11, room: 7, json: json(11) }], seen: 12 },
    { type: 'missed', after: 12, seen: 5000 },
  ]
  for (const fact of JSON.parse(JSON.stringify(facts)) as Fact[]) apply(view, fact)
  assert.deepEqual([view, announcer.newest(view)], [{ seen: 5000 }, 5000])
  assert.deepEqual(
    facts.map((fact) => announcer.changesAudience(fact)),
    [false, true],
  )
})

test('lines are told in their order, in both forms; what is missed is read', () => {
  const lines = [11, 9, 12].map((id) => ({ id, room: 7, json: json(id) }))
  const tellings = tell({ type: 'said', lines, seen: 12 })
  const texts = (frame: unknown): string => (frame as Buffer).subarray(2).toString()
  assert.deepEqual(
    tellings.map((telling) =>
      telling.type === 'line'
        ? [telling.to, telling.id, telling.item, texts(telling.stock), texts(telling.v1)]
        : [],
    ),
    [11, 9, 12].map((id) => [
      'readers',
      id,
      json(id),
      `{"time":"t","user":"u","message":"m${id}"}`,
      json(id),
    ]),
  )
  assert.deepEqual(tell({ type: 'missed', after: 10, seen: 5000 }), [{ type: 'missed', after: 10 }])
})

test('who joins begins where they ask for, and reads from memory what is there', () => {
  const query = { after: null, since: null, limit: null }
  const none = (): boolean => false
  const recent = (after: number): boolean => after >= 8
  for (const [given, isAtHand, start] of [
    [{}, none, { behind: 0, upTo: 10 }],
    [{ after: 7 }, recent, { behind: 7, upTo: 10 }],
    [{ after: 8 }, recent, { behind: 8, upTo: 8 }],
    [{ after: 8 }, none, { behind: 8, upTo: 10 }],
    // What has not been there yet will come like everything else.
    [{ after: 4711 }, recent, { behind: 10, upTo: 10 }],
    // It is looked up where these begin.
    [{ after: 9, limit: 2 }, recent, { behind: 9, upTo: 10 }],
    [{ after: 9, since: '2016-08-08T00:00:00.000Z' }, recent, { behind: 9, upTo: 10 }],
  ] as const)
    assert.deepEqual(startOf({ ...query, ...given }, 10, isAtHand), start, JSON.stringify(given))
})

test('a session is gone where its key is, or stands for another user or room; of others nobody knows', () => {
  const alice: Identity = { key: 'k', user: 'Alice', room: 7 }
  const asked = new Set(['k'])
  for (const [found, gone] of [
    [null, true],
    [alice, false],
    [{ ...alice, user: 'Bob' }, true],
    [{ ...alice, room: 8 }, true],
  ] as const) {
    const map = new Map(found ? [['k', found]] : [])
    assert.equal(isSessionGone(alice, map, asked), gone)
    assert.equal(isSessionGone(alice, map, new Set(['other'])), false)
  }
})
