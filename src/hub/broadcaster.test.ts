import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Socket } from '../edge/socket.ts'
import { Broadcaster } from './broadcaster.ts'
import type { Subscriber } from './subscriber.ts'

type Audience = 'readers' | 'admins' | 'members'

function room(people: Record<string, Omit<Subscriber<Audience>, 'socket'>>) {
  const writes: Record<string, string[]> = {}
  const subscribers = Object.entries(people).map(([name, person]): [string, Subscriber<Audience>] => {
    writes[name] = []
    const socket: Socket = {
      id: 0,
      remote: '',
      request: '',
      protocol: '',
      unsentBytes: 0,
      write: (frames) => writes[name]?.push(Buffer.concat(frames).toString()),
      allowBacklog: () => undefined,
      drained: () => Promise.resolve(),
      pause: () => undefined,
      resume: () => undefined,
      end: () => undefined,
      destroy: () => undefined,
    }
    return [name, { socket, ...person }]
  })
  const seats = new Map(subscribers)
  return { writes, seats, broadcaster: new Broadcaster(seats, () => undefined) }
}

const frame = (text: string): Buffer => Buffer.from(text)
const admin = { audiences: ['admins', 'readers'], format: 'stock' } as const
const member = { audiences: ['members', 'readers'], format: 'stock' } as const

test('all frames of a turn reach each socket in one write, in their order', async () => {
  const { writes, broadcaster } = room({ ann: admin, bob: member })
  broadcaster.send('everyone', frame('1'))
  broadcaster.send('admins', frame('2a'))
  broadcaster.send('members', frame('2m'))
  broadcaster.send('readers', frame('3'))
  await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(writes, { ann: ['12a3'], bob: ['12m3'] })
})

test('who still lacks older lines gets all but the new ones', () => {
  const { writes, broadcaster } = room({
    ann: { ...admin, audiences: ['admins'] },
    bob: member,
    cid: { ...member, audiences: ['members'] },
  })
  broadcaster.send('everyone', frame('1'))
  broadcaster.send('readers', frame('2'))
  broadcaster.send('admins', frame('3a'))
  broadcaster.send('members', frame('3m'))
  broadcaster.flush()
  assert.deepEqual(writes, { ann: ['13a'], bob: ['123m'], cid: ['13m'] })
})

test('a frame goes to those who were there when it was sent, if the room is flushed before it changes', () => {
  const { writes, seats, broadcaster } = room({ ann: admin, bob: member })
  broadcaster.send('everyone', frame('1'))
  broadcaster.flush()
  seats.delete('bob')
  broadcaster.send('everyone', frame('2'))
  broadcaster.flush()
  assert.deepEqual(writes, { ann: ['1', '2'], bob: ['1'] })
})

test('nothing is written where there is nothing to say', async () => {
  const { writes, broadcaster } = room({
    ann: admin,
    bob: member,
    cid: { ...member, audiences: ['members'] },
  })
  broadcaster.send('admins', frame('a'))
  broadcaster.flush()
  broadcaster.send('readers', frame('r'))
  broadcaster.flush()
  broadcaster.flush()
  await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(writes, { ann: ['a', 'r'], bob: ['r'], cid: [] })
})

test('those who speak the newer form get that, and what is for them alone', () => {
  const { writes, broadcaster } = room({ ann: admin, bob: { ...member, format: 'v1' } })
  broadcaster.send('everyone', frame('1'))
  broadcaster.send('everyone', frame('2'), frame('2n'))
  broadcaster.send('everyone', null, frame('3n'))
  broadcaster.send('everyone', frame('4'), null)
  broadcaster.flush()
  assert.deepEqual(writes, { ann: ['124'], bob: ['12n3n'] })
})

test('one gets something else than all others, or something of his own, in the same order', () => {
  const { writes, seats, broadcaster } = room({ ann: admin, bob: { ...member, format: 'v1' }, cid: member })
  const [ann, cid] = ['ann', 'cid'].map((name) => (seats.get(name) as Subscriber<Audience>).socket) as [
    Socket,
    Socket,
  ]
  broadcaster.send('everyone', frame('1'), frame('I'))
  broadcaster.sendExcept('everyone', frame('2'), frame('II'), { socket: ann, frame: frame('a') })
  broadcaster.sendExcept('members', frame('3'), frame('III'), { socket: cid, frame: null })
  broadcaster.sendTo(ann, frame('b'))
  broadcaster.send('everyone', frame('4'), frame('IV'))
  broadcaster.flush()
  assert.deepEqual(writes, { ann: ['1ab4'], bob: ['IIIIIIIV'], cid: ['124'] })
})

test('what is withdrawn reaches nobody but the one who gets something else', () => {
  const { writes, seats, broadcaster } = room({ ann: admin, bob: member })
  const { socket } = seats.get('ann') as Subscriber<Audience>
  const entry = broadcaster.sendExcept('everyone', frame('1'), frame('1'), { socket, frame: frame('a') })
  broadcaster.send('everyone', frame('2'))
  broadcaster.withdraw(entry)
  broadcaster.flush()
  assert.deepEqual(writes, { ann: ['a2'], bob: ['2'] })
})

test('a message is cut for those who take no long pieces', () => {
  const cut = (longest: number): Buffer => frame(`<${longest}>`)
  const { writes, broadcaster } = room({ ann: { ...member, longest: 64 }, bob: { ...member, longest: 100 } })
  broadcaster.send('everyone', cut)
  broadcaster.flush()
  assert.deepEqual(writes, { ann: ['<64>'], bob: ['<100>'] })
})
