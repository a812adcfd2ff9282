import assert from 'node:assert/strict'
import { suite, test, type TestContext } from 'node:test'
import { type Bus, BusRefusal } from '../../src/hub/bus.ts'
import { until } from './until.ts'

/** Two processes on one bus. */
export type BusPair = {
  here: Bus
  there: Bus
  /** From now on nothing comes to `here` or goes from it, until `restore`. */
  lose: () => void | Promise<void>
  restore: () => void | Promise<void>
  close: () => void | Promise<void>
}

/** Subscribes, and notes what a subscriber is told. */
function listen(bus: Bus, topic: string) {
  const told: string[] = []
  const end = bus.subscribe(topic, {
    heard: ({ seq, body }) => void told.push(body === '' ? `${seq}` : `${seq} ${body}`),
    back: () => void told.push('back'),
    lost: (reason) => void told.push(reason === '' ? 'no reason' : 'lost'),
  })
  /** What it has been told last. */
  const hears = (...last: string[]): Promise<void> =>
    until(`a listener on "${topic}" is told ${last.join(', ').slice(0, 100)}`, () =>
      last.every((one, n) => told.at(n - last.length) === one),
    )
  return { told, end, hears }
}

/** What every bus has to pass. `open` gives a new pair for each test, of topics that nobody else uses. */
export function busContract(name: string, open: () => Promise<BusPair>): void {
  const play = (title: string, body: (pair: BusPair, t: TestContext) => Promise<void>): void =>
    void test(title, async (t) => {
      const pair = await open()
      try {
        await body(pair, t)
      } finally {
        await pair.close()
      }
    })

  suite(`the contract of a bus: ${name}`, () => {
    play('all who subscribe to a topic hear it, here and there, and nobody else', async ({ here, there }) => {
      const all = [listen(here, 'room.1'), listen(here, 'room.1'), listen(there, 'room.1')]
      const other = listen(here, 'room.2')
      for (const { hears } of [...all, other]) await hears('back')
      await here.publish('room.1', { seq: 1, body: 'from here' })
      for (const { hears } of all) await hears('back', '1 from here')
      await there.publish('room.1', { seq: 1, body: 'from there' })
      await there.publish('room.2', { seq: 7, body: '' })
      for (const { hears } of all) await hears('back', '1 from here', '1 from there')
      await other.hears('back', '7')
    })

    play('one publisher’s messages come in its order, each once', async ({ here, there }) => {
      const listeners = [listen(here, 'room'), listen(there, 'room')]
      for (const { hears } of listeners) await hears('back')
      const sent = Array.from({ length: 300 }, (_, n) => `${n} m${n}`)
      await Promise.all(sent.map((_, n) => here.publish('room', { seq: n, body: `m${n}` })))
      for (const { told, hears } of listeners) {
        await hears('299 m299')
        assert.deepEqual(told, ['back', ...sent])
      }
    })

    play('nobody hears before "publish" and "subscribe" have returned', async ({ here }) => {
      const first = listen(here, 'room')
      assert.deepEqual(first.told, [])
      await first.hears('back')
      const published = here.publish('room', { seq: 1, body: '' })
      const second = listen(here, 'room')
      assert.deepEqual([first.told, second.told], [['back'], []])
      await published
      await first.hears('back', '1')
      await until('the second is told', () => second.told.includes('back'))
    })

    play('any text arrives as it was, up to the longest', async ({ here, there }) => {
      const { told, hears } = listen(there, 'room')
      await hears('back')
      const longest = 'ä'.repeat(here.maxBodyBytes / 2)
      const bodies = ['1 2', ' ', '{"a":"\\u0000\'\\"\\n"}', 'two\nlines', '日本 🎉', longest]
      for (const body of bodies) await here.publish('room', { seq: Number.MAX_SAFE_INTEGER, body })
      await hears(`${Number.MAX_SAFE_INTEGER} ${longest}`)
      assert.deepEqual(
        told.slice(1),
        bodies.map((body) => `${Number.MAX_SAFE_INTEGER} ${body}`),
      )
    })

    play('what cannot be carried is refused, and nobody hears a part of it', async ({ here, there }) => {
      const { told, hears } = listen(there, 'room')
      await hears('back')
      const tooLong = 'ä'.repeat(here.maxBodyBytes / 2) + 'a'
      for (const [topic, seq, body] of [
        ['room', 1, tooLong],
        ['room', 1, 'a\0b'],
        ['room', -1, ''],
        ['room', 1.5, ''],
        ['room', 2 ** 53, ''],
        ['', 1, ''],
        ['two words', 1, ''],
        ['a'.repeat(64), 1, ''],
      ] as const)
        await assert.rejects(here.publish(topic, { seq, body }), BusRefusal, `${topic} ${seq}`)
      assert.throws(() => listen(here, 'a'.repeat(64)), BusRefusal)
      assert.throws(() => listen(here, 'a"b'), BusRefusal)
      await here.publish('room', { seq: 2, body: 'fits' })
      await hears('2 fits')
      assert.deepEqual(told, ['back', '2 fits'])
    })

    play('who has left hears nothing more; the others do, and may come again', async ({ here, there }) => {
      const [leaves, stays] = [listen(here, 'room'), listen(here, 'room')]
      for (const { hears } of [leaves, stays]) await hears('back')
      leaves.end()
      await there.publish('room', { seq: 1, body: '' })
      await stays.hears('back', '1')
      assert.deepEqual(leaves.told, ['back'])
      stays.end()
      stays.end()
      const again = listen(here, 'room')
      await again.hears('back')
      await there.publish('room', { seq: 2, body: '' })
      await again.hears('back', '2')
      assert.deepEqual(stays.told, ['back', '1'])
    })

    play('a loss is said once to each, and its end; then nothing is missed', async (pair) => {
      const { here, there } = pair
      const listeners = [listen(here, 'room.1'), listen(here, 'room.2')]
      const far = listen(there, 'room.1')
      for (const { hears } of [...listeners, far]) await hears('back')
      await pair.lose()
      for (const { hears } of listeners) await hears('back', 'lost')
      const late = listen(here, 'room.1')
      await late.hears('lost')
      // What is told in the meantime is missed, or is not told at all.
      await there.publish('room.1', { seq: 1, body: '' })
      await far.hears('back', '1')
      await assert.rejects(here.publish('room.1', { seq: 1, body: '' }))
      await pair.restore()
      for (const { hears } of listeners) await hears('back', 'lost', 'back')
      await late.hears('lost', 'back')
      await there.publish('room.1', { seq: 2, body: '' })
      await here.publish('room.2', { seq: 3, body: '' })
      await listeners[0]?.hears('back', 'lost', 'back', '2')
      await listeners[1]?.hears('back', 'lost', 'back', '3')
      await late.hears('lost', 'back', '2')
      assert.deepEqual(far.told, ['back', '1', '2'])
    })

    play('after its end a bus takes nothing and says nothing', async (pair) => {
      const { told, hears } = listen(pair.here, 'room')
      await hears('back')
      const far = listen(pair.there, 'room')
      await far.hears('back')
      await pair.close()
      await assert.rejects(pair.here.publish('room', { seq: 1, body: '' }))
      assert.deepEqual([told, far.told], [['back'], ['back']])
    })
  })
}
