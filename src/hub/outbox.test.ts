import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Socket } from '../edge/socket.ts'
import { Outbox, type Recipient } from './outbox.ts'

type Audience = 'readers' | 'admins' | 'members'

function room(people: Record<string, Omit<Recipient<Audience>, 'socket'>>) {
  const writes: Record<string, string[]> = {}
  const recipients = Object.entries(people).map(([name, person]): [string, Recipient<Audience>] => {
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
  const seats = new Map(recipients)
  return { writes, seats, outbox: new Outbox(seats, () => undefined) }
}

const frame = (text: string): Buffer => Buffer.from(text)
const admin = { audiences: ['admins', 'readers'], newer: false } as const
const member = { audiences: ['members', 'readers'], newer: false } as const

test('all frames of a turn reach each socket in one write, in their order', async () => {
  const { writes, outbox } = room({ ann: admin, bob: member })
  outbox.send('everyone', frame('1'))
  outbox.send('admins', frame('2a'))
  outbox.send('members', frame('2m'))
  outbox.send('readers', frame('3'))
  await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(writes, { ann: ['12a3'], bob: ['12m3'] })
})

test('who still lacks older lines gets all but the new ones', () => {
  const { writes, outbox } = room({
    ann: { ...admin, audiences: ['admins'] },
    bob: member,
    cid: { ...member, audiences: ['members'] },
  })
  outbox.send('everyone', frame('1'))
  outbox.send('readers', frame('2'))
  outbox.send('admins', frame('3a'))
  outbox.send('members', frame('3m'))
  outbox.flush()
  assert.deepEqual(writes, { ann: ['13a'], bob: ['123m'], cid: ['13m'] })
})

test('a frame goes to those who were there when it was sent, if the room is flushed before it changes', () => {
  const { writes, seats, outbox } = room({ ann: admin, bob: member })
  outbox.send('everyone', frame('1'))
  outbox.flush()
  seats.delete('bob')
  outbox.send('everyone', frame('2'))
  outbox.flush()
  assert.deepEqual(writes, { ann: ['1', '2'], bob: ['1'] })
})

test('nothing is written where there is nothing to say', async () => {
  const { writes, outbox } = room({ ann: admin, bob: member, cid: { ...member, audiences: ['members'] } })
  outbox.send('admins', frame('a'))
  outbox.flush()
  outbox.send('readers', frame('r'))
  outbox.flush()
  outbox.flush()
  await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(writes, { ann: ['a', 'r'], bob: ['r'], cid: [] })
})

test('those who speak the newer form get that, and what is for them alone', () => {
  const { writes, outbox } = room({ ann: admin, bob: { ...member, newer: true } })
  outbox.send('everyone', frame('1'))
  outbox.send('everyone', frame('2'), frame('2n'))
  outbox.send('everyone', null, frame('3n'))
  outbox.send('everyone', frame('4'), null)
  outbox.flush()
  assert.deepEqual(writes, { ann: ['124'], bob: ['12n3n'] })
})

test('one gets something else than all others, or something of his own, in the same order', () => {
  const { writes, seats, outbox } = room({ ann: admin, bob: { ...member, newer: true }, cid: member })
  const [ann, cid] = ['ann', 'cid'].map((name) => (seats.get(name) as Recipient<Audience>).socket) as [
    Socket,
    Socket,
  ]
  outbox.send('everyone', frame('1'), frame('I'))
  outbox.sendExcept('everyone', frame('2'), frame('II'), { socket: ann, frame: frame('a') })
  outbox.sendExcept('members', frame('3'), frame('III'), { socket: cid, frame: null })
  outbox.sendTo(ann, frame('b'))
  outbox.send('everyone', frame('4'), frame('IV'))
  outbox.flush()
  assert.deepEqual(writes, { ann: ['1ab4'], bob: ['IIIIIIIV'], cid: ['124'] })
})

test('what is withdrawn reaches nobody but the one who gets something else', () => {
  const { writes, seats, outbox } = room({ ann: admin, bob: member })
  const { socket } = seats.get('ann') as Recipient<Audience>
  const entry = outbox.sendExcept('everyone', frame('1'), frame('1'), { socket, frame: frame('a') })
  outbox.send('everyone', frame('2'))
  outbox.withdraw(entry)
  outbox.flush()
  assert.deepEqual(writes, { ann: ['a2'], bob: ['2'] })
})

test('a message is cut for those who take no long pieces', () => {
  const cut = (longest: number): Buffer => frame(`<${longest}>`)
  const { writes, outbox } = room({ ann: { ...member, longest: 64 }, bob: { ...member, longest: 100 } })
  outbox.send('everyone', cut)
  outbox.flush()
  assert.deepEqual(writes, { ann: ['<64>'], bob: ['<100>'] })
})
