import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Socket } from '../edge/socket.ts'
import { Outbox } from './outbox.ts'

function room(roles: Record<string, 'admin' | 'member'>) {
  const writes: Record<string, string[]> = {}
  const sockets: Record<string, Socket> = {}
  const recipients = Object.entries(roles).map(([name, role]) => {
    writes[name] = []
    const socket: Socket = {
      id: 0,
      remote: '',
      write: (frames) => writes[name]?.push(Buffer.concat(frames).toString()),
      allowBacklog: () => undefined,
      end: () => undefined,
      destroy: () => undefined,
    }
    sockets[name] = socket
    return { socket, admin: role === 'admin' }
  })
  return { writes, sockets, outbox: new Outbox(() => recipients) }
}

const frame = (text: string): Buffer => Buffer.from(text)

test('all frames of a turn reach each socket in one write, in their order', async () => {
  const { writes, outbox } = room({ ann: 'admin', bob: 'member' })
  outbox.send('everyone', frame('1'))
  outbox.send('admins', frame('2a'))
  outbox.send('members', frame('2m'))
  outbox.send('everyone', frame('3'))
  await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(writes, { ann: ['12a3'], bob: ['12m3'] })
})

test('what is for one goes to that one, between what is for all', () => {
  const { writes, sockets, outbox } = room({ ann: 'admin', bob: 'member' })
  outbox.send('everyone', frame('1'))
  outbox.send(sockets['bob'] as Socket, frame('b'))
  outbox.send('everyone', frame('2'))
  outbox.flush()
  assert.deepEqual(writes, { ann: ['12'], bob: ['1b2'] })
})

test('nothing is written where there is nothing to say', async () => {
  const { writes, outbox } = room({ ann: 'admin', bob: 'member' })
  outbox.send('admins', frame('a'))
  outbox.flush()
  outbox.flush()
  await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(writes, { ann: ['a'], bob: [] })
})
