import assert from 'node:assert/strict'
import { beforeEach, suite, test } from 'node:test'
import { Heartbeat } from './heartbeat.ts'

suite('the heartbeat of a connection', () => {
  let now = 0
  let asked: number[] = []
  let lost: number[] = []
  let isAwaiting = false
  let heartbeat: Heartbeat

  beforeEach(() => {
    now = 0
    asked = []
    lost = []
    isAwaiting = false
    heartbeat = new Heartbeat(
      {
        ask: () => asked.push(now),
        awaits: () => isAwaiting,
        lost: () => {
          lost.push(now)
          heartbeat.ended()
        },
      },
      () => now,
    )
    heartbeat.began()
  })

  /** Lets so many seconds go by; `everySeconds` is how often the page has a turn. */
  function pass(seconds: number, everySeconds = 1): void {
    for (const end = now + seconds * 1000; now < end;) {
      now += everySeconds * 1000
      heartbeat.look()
    }
  }

  test('whoever is silent is asked, and lost without an answer, all within 40 s', () => {
    heartbeat.entered()
    pass(25)
    assert.deepEqual(asked, [])
    pass(30)
    assert.deepEqual(asked, [26_000])
    assert.equal(lost.length, 1)
    assert.ok(Number(lost[0]) < 40_000)
  })

  test('whatever comes is a sign of life', () => {
    heartbeat.entered()
    for (let times = 0; times < 20; times++) {
      pass(20)
      heartbeat.heard()
    }
    assert.deepEqual([asked, lost], [[], []])
    pass(27)
    heartbeat.heard()
    pass(24)
    assert.deepEqual([asked.length, lost], [1, []])
  })

  test('an answer that is awaited is asked for sooner', () => {
    heartbeat.entered()
    isAwaiting = true
    pass(20)
    assert.deepEqual(asked, [6000])
    assert.ok(Number(lost[0]) < 20_000)
  })

  test('a server that answers and takes its time for the rest is not given up', () => {
    heartbeat.entered()
    isAwaiting = true
    for (let times = 0; times < 100; times++) {
      pass(7)
      if (asked.length > 0) heartbeat.heard()
    }
    assert.deepEqual(lost, [])
  })

  test('where the network may have been away it has little time, however often that is said', () => {
    heartbeat.entered()
    for (let times = 0; times < 8; times++) {
      heartbeat.check()
      pass(1)
    }
    assert.equal(asked.length, 1)
    assert.deepEqual(lost, [7000])
  })

  test('what was on its way before a sleep is no sign of life after it', () => {
    heartbeat.entered()
    heartbeat.check()
    now += 100
    heartbeat.heard()
    pass(8)
    assert.equal(asked.length, 2)
    assert.deepEqual([lost.length, Number(lost[0]) <= 8000], [1, true])
  })

  test('an answer that comes at once after a sleep is asked for once more, and then believed', () => {
    heartbeat.entered()
    heartbeat.check()
    heartbeat.heard()
    pass(1)
    assert.equal(asked.length, 2)
    heartbeat.heard()
    pass(24)
    assert.deepEqual([asked.length, lost], [2, []])
    // One that comes later is believed at once.
    heartbeat.check()
    pass(2)
    heartbeat.heard()
    pass(24)
    assert.deepEqual([asked.length, lost], [3, []])
  })

  test('a page that has a turn a minute gives up nothing that answers', () => {
    heartbeat.entered()
    for (let times = 0; times < 10; times++) {
      pass(60, 60)
      heartbeat.heard()
    }
    assert.deepEqual([asked.length, lost], [10, []])
    pass(180, 60)
    assert.equal(lost.length, 1)
  })

  test('what came while the page was stopped is heard before it is judged', () => {
    heartbeat.entered()
    pass(26)
    now += 3_600_000
    heartbeat.look()
    assert.deepEqual(lost, [])
    heartbeat.heard()
    pass(20)
    assert.deepEqual(lost, [])
  })

  test('a connection that is being made has 20 seconds from one word to the next', () => {
    pass(19)
    heartbeat.heard()
    pass(20)
    assert.deepEqual([asked, lost], [[], []])
    pass(3)
    assert.equal(lost.length, 1)
    heartbeat.began()
    heartbeat.check()
    pass(12)
    assert.deepEqual([asked.length, lost.length], [0, 2])
    pass(100)
    assert.equal(lost.length, 2)
  })
})
