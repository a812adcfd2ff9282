import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { PassedSocketError, takePassedSockets } from './passed-sockets.ts'

const pid = 42
const take = (fds: string, names?: string, open = 100) =>
  takePassedSockets(
    {
      LISTEN_PID: String(pid),
      LISTEN_FDS: fds,
      ...(names === undefined ? {} : { LISTEN_FDNAMES: names }),
    },
    pid,
    (descriptor) => descriptor < 3 + open,
  )

suite('passed sockets', () => {
  test('all of them are taken, by their names', () => {
    assert.deepEqual(take('0'), { listen: [], admin: [], profile: [] })
    assert.deepEqual(take('2'), { listen: [3, 4], admin: [], profile: [] })
    assert.deepEqual(take('2', 'plenum.socket:plenum.socket'), { listen: [3, 4], admin: [], profile: [] })
    assert.deepEqual(take('2', 'unknown:unknown').listen, [3, 4])
    assert.deepEqual(take('5', 'admin:listen:profile::plenum-v6.socket'), {
      listen: [4, 6, 7],
      admin: [3],
      profile: [5],
    })
  })

  test('those of another process are not, and nobody else gets the variables', () => {
    const others = { LISTEN_PID: '41', LISTEN_FDS: '2', LISTEN_FDNAMES: 'nobody:knows' }
    assert.deepEqual(takePassedSockets(others, pid).listen, [])
    assert.deepEqual(takePassedSockets({ LISTEN_FDS: '2' }, pid).listen, [])
    const ours = { LISTEN_PID: '42', LISTEN_FDS: '1', LISTEN_FDNAMES: 'admin', HOME: '/' }
    assert.deepEqual(takePassedSockets(ours, pid, () => true).admin, [3])
    assert.deepEqual(ours, { HOME: '/' })
  })

  test('what cannot be used is refused in words', () => {
    for (const [fds, names, words] of [
      ['1', 'status', /has the name "status": FileDescriptorName= takes listen, admin, profile$/],
      ['1', 'Admin', /has the name "Admin"/],
      ['1', '\u001b[2J', /has the name "\\u001b\[2J"/],
      ['2', 'admin', /^LISTEN_FDNAMES has 1 names for 2 sockets$/],
      ['1', 'admin:listen', /^LISTEN_FDNAMES has 2 names for 1 sockets$/],
      ['two', undefined, /^LISTEN_FDS is no number of sockets$/],
      ['-1', undefined, /^LISTEN_FDS/],
      ['9999999', undefined, /^LISTEN_FDS/],
    ] as const)
      assert.throws(
        () => take(fds, names),
        (error) => error instanceof PassedSocketError && words.test(error.message),
        `${fds} ${names}`,
      )
    assert.throws(() => take('3', 'listen:admin:admin', 2), /^Error: descriptor 5, passed .* is no socket$/)
  })
})
