import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { after, suite, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import type { Sql } from 'postgres'
import { ChatClient, type ChatLine, invite } from '../support/chat-client.ts'
import { createCluster, createDatabase, createRole } from '../support/database.ts'
import { slowness } from '../support/patience.ts'
import { runPlenum, startPlenum } from '../support/server.ts'
import type { Plenum } from '../support/server.ts'
import { holdTables } from '../support/tables.ts'
import { until } from '../support/until.ts'
import { openRawWebSocket, RawWebSocket } from '../support/raw-connection.ts'

const db = await createDatabase()
const { sql } = db
const poll = 0.5
const plenum = await startPlenum({ database: db.url, poll, flags: ['-chat'] })
after(async () => {
  await plenum.kill()
  await db.drop()
})

let lastRoom = 0
const newRoom = (): number => ++lastRoom

async function join(
  user: string,
  room: number,
  options: { path?: string; query?: string } = {},
): Promise<ChatClient> {
  return await new ChatClient(plenum, await invite(sql, user, room), options).entered()
}

/** As an application says something. */
async function post(room: number, user: string, message: string, on: Sql = sql): Promise<void> {
  await on`select chat.new_message(${room}::int, now(), ${user}, ${message})`
}

async function fill(room: number, count: number, length = 20): Promise<void> {
  await sql`
    insert into chat.log (room, "time", "user", message)
    select ${room}::int, timestamp '2020-01-01' + n * interval '1 second', 'Past', n || repeat('.', ${length}::int)
    from generate_series(1, ${count}::int) n order by n`
}

async function stored(room: number): Promise<ChatLine[]> {
  const rows = await sql<ChatLine[]>`
    select message_id::int id, to_char("time", 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as time, "user", message
    from chat.log where room = ${room} order by message_id`
  return [...rows]
}

const withoutIds = (lines: readonly ChatLine[]): ChatLine[] =>
  lines.map(({ time, user, message }) => ({ time, user, message }))

suite('what clients of nodejschat know', () => {
  test('a key lets one in, by the path of old clients and by our own; history, then what is said', async () => {
    const room = newRoom()
    await post(room, 'Bob', 'earlier')
    const alice = await join('Alice', room)
    const bob = await join('Bob', room, { path: '/ws/chat' })
    await alice.hears('earlier')
    alice.say('hi')
    const line = await bob.hears('hi')
    await alice.hears('hi')
    assert.equal(alice.texts[0], '{"authenticated":true}')
    assert.deepEqual(Object.keys(line), ['time', 'user', 'message'])
    assert.equal(line.user, 'Alice')
    assert.match(line.time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
    assert.ok(Math.abs(Date.parse(line.time) - Date.now()) < 60_000, `${line.time} is UTC`)
    for (const one of [alice, bob]) assert.deepEqual(one.lines, withoutIds(await stored(room)))
  })

  test('a key may be used several times at once', async () => {
    const key = await invite(sql, 'Twin', newRoom())
    const both = await Promise.all([1, 2].map(() => new ChatClient(plenum, key).entered()))
    both[0]?.say('to both')
    for (const one of both) await one.hears('to both')
  })

  test('without a good key the upgrade succeeds and the connection ends with 4401', async () => {
    for (const [key, path] of [
      ['nobody', '/'],
      ['', '/'],
      ['nobody', '/ws/chat'],
    ] as const) {
      const stranger = new ChatClient(plenum, key, { path })
      assert.equal(await stranger.ended(), 4401)
      assert.deepEqual(stranger.frames, [])
    }
    const keyless = await openRawWebSocket(plenum.port, '/ws/chat')
    await keyless.untilEnded()
    assert.equal(keyless.closeCode, 4401)
  })

  test('numbers are their decimal text, other fields are ignored, what is said too early is', async () => {
    const room = newRoom()
    const key = await invite(sql, 'Test', room)
    const release = await holdTables(sql, ['chat.sessions'])
    const early = new ChatClient(plenum, key)
    await once(early.ws, 'open')
    early.say('too early')
    early.ws.ping()
    await once(early.ws, 'pong')
    await release()
    await early.entered()
    early.say(0.125)
    early.say(7)
    early.ws.send(JSON.stringify({ message: 'x', session_key: key, user: 'Mallory', room: 999 }))
    await early.hears('x')
    assert.deepEqual(early.messages, ['0.125', '7', 'x'])
    assert.equal(early.lines[2]?.user, 'Test')
    assert.deepEqual(early.errors, [])
  })

  test('without an upgrade it is 426; without a key nothing of the chat is at /', async () => {
    assert.equal((await plenum.get('/?session_key=x')).status, 426)
    assert.equal((await plenum.get('/ws/chat?session_key=x')).status, 426)
    assert.equal((await plenum.get('/')).body, 'Plenum\n')
    await assert.rejects(openRawWebSocket(plenum.port, '/'), /404/)
    const foreign = new ChatClient(plenum, await invite(sql, 'X', newRoom()), {
      headers: { origin: 'http://evil.example' },
    })
    assert.equal(await foreign.ended(), 1006)
  })
})

suite('what an application does in SQL', () => {
  test('what it says by new_message is told, with its time in UTC whatever the zone of its session', async () => {
    const room = newRoom()
    const alice = await join('Alice', room)
    await sql.begin(async (tx) => {
      await tx`set local timezone = 'Asia/Tokyo'`
      await tx`select chat.new_message(${room}::int, '2016-08-08T19:20:32.421+02', 'App', 'from afar')`
    })
    const line = await alice.hears('from afar')
    assert.deepEqual(line, { time: '2016-08-08T17:20:32.421Z', user: 'App', message: 'from afar' })
    const [row] = await sql<{ time: string }[]>`select "time"::text from chat.log where room = ${room}`
    assert.equal(row?.time, '2016-08-08 17:20:32.421')
    assert.deepEqual(await (await join('Bob', room)).hears('from afar'), line)
  })

  test('a row that nobody was notified of comes with the next look', async () => {
    const room = newRoom()
    const alice = await join('Alice', room)
    await fill(room, 1)
    await alice.hears(`1${'.'.repeat(20)}`, poll * 1000 + 2000)
  })

  test('a notification of nothing, or of something else, harms nobody', async () => {
    const room = newRoom()
    const alice = await join('Alice', room)
    for (const payload of ['999999999', '-1', '', 'hello', '1e400'])
      await sql`select pg_notify('nodejschat', ${payload})`
    await post(room, 'App', 'still here')
    await alice.hears('still here')
  })

  test('deleting a session ends its connections within the poll interval, with 4401', async () => {
    const room = newRoom()
    const key = await invite(sql, 'Gone', room)
    const [one, two, other] = [
      new ChatClient(plenum, key),
      new ChatClient(plenum, key),
      await join('Stays', room),
    ]
    await Promise.all([one.entered(), two.entered()])
    await sql`delete from chat.sessions where key = ${key}`
    assert.deepEqual(await Promise.all([one.ended(), two.ended()]), [4401, 4401])
    assert.equal(await new ChatClient(plenum, key).ended(), 4401)
    await post(room, 'App', 'after')
    await other.hears('after')
    assert.ok(!one.messages.includes('after'))
    // A key that has become somebody else's is another session.
    const moved = await invite(sql, 'Before', room)
    const before = await new ChatClient(plenum, moved).entered()
    await sql`update chat.sessions set "user" = 'After' where key = ${moved}`
    assert.equal(await before.ended(), 4401)
    assert.equal(other.closeCode, null)
  })

  test('lines are in order of message_id, also those of the same instant', async () => {
    const room = newRoom()
    const alice = await join('Alice', room)
    await sql`
      select chat.new_message(${room}::int, timestamptz '2020-01-01', 'App', n::text)
      from generate_series(1, 300) n`
    await alice.hears('300')
    const bob = await join('Bob', room)
    await bob.hears('300')
    const expected = Array.from({ length: 300 }, (_, n) => String(n + 1))
    assert.deepEqual(alice.messages, expected)
    assert.deepEqual(bob.messages, expected)
  })

  test('who writes to a room waits for who is writing to it, so that ids are committed in order', async () => {
    const room = newRoom()
    const alice = await join('Alice', room, { query: 'ids=1' })
    let written: Promise<void> | undefined
    await sql.begin(async (tx) => {
      await tx`select chat.new_message(${room}::int, now(), 'App', 'first')`
      written = post(room, 'App', 'second')
      alice.say('third')
      await wait(300)
      assert.deepEqual(alice.messages, [])
    })
    await written
    await until('all is told', () => alice.lines.length === 3)
    assert.equal(alice.messages[0], 'first')
    assert.deepEqual(alice.lines, await stored(room))
  })

  test('a line whose id was given early and committed late is told late, once, to all', async () => {
    const room = newRoom()
    const alice = await join('Alice', room, { query: 'ids=1' })
    let bob: ChatClient | undefined
    await sql.begin(async (tx) => {
      // Past new_message, which would not let the others write.
      await tx`insert into chat.log (room, "time", "user", message) values (${room}, now(), 'App', 'late')`
      await post(room, 'App', 'early')
      await alice.hears('early')
      bob = await join('Bob', room, { query: 'ids=1' })
      await bob.hears('early')
      await wait(poll * 1500)
      assert.deepEqual(alice.messages, ['early'])
    })
    for (const one of [alice, bob]) await one?.hears('late')
    await post(room, 'App', 'end')
    for (const one of [alice, bob]) await one?.hears('end')
    assert.deepEqual(alice.messages, ['early', 'late', 'end'])
    assert.deepEqual(bob?.messages, alice.messages)
    const later = await join('Dora', room)
    await later.hears('end')
    await until('Dora has all', () => later.lines.length === 3)
    assert.deepEqual(later.lines, withoutIds(await stored(room)))
  })
})

suite('history', () => {
  for (const count of [1, 999, 1000, 1001, 3500])
    test(`of ${count} lines each comes once and in order`, async () => {
      const room = newRoom()
      await fill(room, count)
      const alice = await join('Alice', room)
      await until('it has all', () => alice.lines.length >= count)
      assert.deepEqual(alice.lines, withoutIds(await stored(room)))
    })

  test('after, since and limit say what of it; ids=1 has the ids', async () => {
    const room = newRoom()
    await fill(room, 30)
    const all = await stored(room)
    const wanted = async (query: string): Promise<ChatLine[]> => {
      const one = await join('Reader', room, { query: `ids=1&${query}` })
      await post(room, 'App', 'mark')
      await one.hears('mark')
      one.leave()
      return one.lines.filter(({ message }) => message !== 'mark')
    }
    const at = all[9] as Required<ChatLine>
    assert.deepEqual(await wanted(`after=${at.id}`), all.slice(10))
    assert.deepEqual(await wanted(`since=${at.time}&limit=1000`), [...all.slice(10)])
    assert.deepEqual(await wanted('since=2020-01-01T02:00:10%2B02:00'), all.slice(10))
    assert.deepEqual(await wanted('since=2020-01-01T02:00:10+02:00'), all.slice(10))
    assert.deepEqual(await wanted('limit=0'), [])
    assert.deepEqual((await wanted('limit=40')).slice(0, 30), all)
    assert.deepEqual(await wanted(`after=${at.id}&since=2020-01-01T00:00:20&limit=1000`), all.slice(20))
    assert.deepEqual(await wanted('after=2000000000'), [])
    const two = await join('Reader', room, { query: 'limit=2' })
    await until('it has two', () => two.lines.length === 2)
    const last = (await stored(room)).slice(-2)
    assert.deepEqual(two.lines, withoutIds(last))
  })

  test('who asks for ids learns when all has come that was said before', async () => {
    const room = newRoom()
    await post(room, 'App', 'of old')
    const old = await join('Old', room)
    // What the server has not seen yet is news when it comes.
    await until('it has been seen', () => old.frames.length === 2)
    const alice = await join('Alice', room, { query: 'ids=1' })
    await until('she has what was said', () => alice.frames.length === 3)
    await post(room, 'App', 'news')
    await until('both have the news', () => alice.frames.length === 4 && old.frames.length === 3)
    assert.deepEqual(
      alice.frames.slice(1).map(({ message, live }) => message ?? live),
      ['of old', true, 'news'],
    )
  })

  test('who asks for ids learns who they are; what cannot be understood is said, and 4400', async () => {
    const room = newRoom()
    const alice = await join('Alice', room, { query: 'ids=1' })
    const { now, ...first } = alice.frames[0] ?? {}
    assert.deepEqual(first, { authenticated: true, user: 'Alice', room })
    assert.ok(Math.abs(Number(now) - Date.now()) < 60_000)
    const key = await invite(sql, 'Bob', room)
    for (const query of [
      'after=x',
      'after=-1',
      'limit=1.5',
      'since=yesterday',
      'since=2020-02-30',
      'ids=2',
    ]) {
      const bob = new ChatClient(plenum, key, { query })
      assert.equal(await bob.ended(), 4400, query)
      assert.match(bob.errors[0] ?? '', /^Invalid (after|limit|since|ids), /)
    }
  })

  test('a slow reader of a long history gets what is said meanwhile, in its place', async () => {
    const room = newRoom()
    await fill(room, 20_000, 200)
    const slow = await join('Slow', room)
    slow.ws.pause()
    for (let n = 0; n < 3000; n += 100)
      await sql`select chat.new_message(${room}::int, now(), 'App', 'new ' || g) from generate_series(${n}::int, ${n + 99}::int) g`
    slow.ws.resume()
    await slow.hears('new 2999', 20_000)
    assert.deepEqual(slow.lines, withoutIds(await stored(room)))
    assert.equal(slow.closeCode, null)
  })

  test('more than can be told at once is read by each at his pace', async () => {
    const room = newRoom()
    const [alice, bob] = [await join('Alice', room), await join('Bob', room, { query: 'ids=1' })]
    await fill(room, 5000, 500)
    await post(room, 'App', 'end')
    for (const one of [alice, bob]) await one.hears('end', 10_000)
    assert.deepEqual(alice.lines, withoutIds(await stored(room)))
    assert.deepEqual(bob.lines, await stored(room))
  })

  test('what the application deletes is in nobody’s history after a while', async () => {
    const room = newRoom()
    await fill(room, 2500)
    const alice = await join('Alice', room)
    await until('it has all', () => alice.lines.length === 2500)
    await sql`delete from chat.log where room = ${room} and message_id % 2 = 0`
    await until(
      'a new history is without it',
      async () => {
        const one = await join('New', room)
        await until(
          'it has the last line',
          () => one.messages.at(-1) === '2499....................' || one.lines.length >= 2500,
          2000,
        ).catch(() => {})
        one.leave()
        return one.lines.length < 2500
      },
      15_000,
    )
  })
})

suite('the defects of the old server', () => {
  test('who leaves shifts nobody: speakers keep their names and rooms', async () => {
    const [a, b] = [newRoom(), newRoom()]
    const one = await join('One', a)
    const two = await join('Two', b)
    const three = await join('Three', a)
    three.leave()
    await wait(100)
    const four = await join('Four', b)
    two.leave()
    await wait(100)
    one.say('by One')
    four.say('by Four')
    await one.hears('by One')
    await four.hears('by Four')
    assert.deepEqual(
      [await stored(a), await stored(b)].map((lines) =>
        lines.map(({ user, message }) => `${user}: ${message}`),
      ),
      [['One: by One'], ['Four: by Four']],
    )
    assert.deepEqual([one.messages, four.messages], [['by One'], ['by Four']])
  })

  test('a socket that ends while it is looked up leaves nothing behind', async () => {
    const key = await invite(sql, 'Brief', newRoom())
    for (let n = 0; n < 30; n++) {
      const one = new ChatClient(plenum, key)
      one.ws.once('open', () => one.ws.terminate())
    }
    const rooms = async (): Promise<string | undefined> =>
      /^plenum_connections (\d+)$/m.exec((await plenum.get('/metrics')).body)?.[1]
    const before = plenum.logs.length
    await wait(400)
    const entered = plenum.logs.slice(before).filter(({ event }) => event === 'chatEntered').length
    const ended = () => plenum.logs.slice(before).filter(({ event }) => event === 'chatEnded').length
    await until('all have ended', () => ended() >= entered)
    assert.ok(Number(await rooms()) < 200)
  })

  test('a bad frame is answered, and ends nothing', async () => {
    const room = newRoom()
    const alice = await join('Alice', room)
    const raw = ['{', 'null', '[]', '"x"', '7', '{}', '{"message":null}', '{"message":{}}', '{"message":""}']
    for (const text of raw) alice.ws.send(text)
    alice.say(' \n ')
    alice.say('x'.repeat(10_001))
    alice.say('\u0000')
    alice.ws.send(Buffer.from([1, 2, 3]), { binary: true })
    await until('each is answered', () => alice.errors.length === raw.length + 4)
    alice.say('with NUL \u0000 and half a \ud800 pair')
    await alice.hears('with NUL  and half a \ufffd pair')
    alice.say('🎉'.repeat(10_000))
    await until('the longest is told', () => alice.lines.length === 2)
    assert.equal(alice.closeCode, null)
  })

  test('nobody floods: 20 at once, then as many a second as -rate says; too long a frame ends the connection', async () => {
    const room = newRoom()
    const alice = await join('Alice', room)
    for (let n = 0; n < 100; n++) alice.say(`flood ${n}`)
    await alice.refused(/^You are sending too fast$/)
    await until('all is answered', () => alice.lines.length + alice.errors.length === 100)
    assert.ok(alice.lines.length >= 20 && alice.lines.length < 40, `${alice.lines.length}`)
    const bob = await join('Bob', room)
    bob.say('x'.repeat(70_000))
    await bob.ended()
  })

  test('neither keys nor what is said are in the log', async () => {
    const room = newRoom()
    const key = `secret${randomBytes(40).toString('hex')}`
    const short = 'k7'
    const server = await startPlenum({
      database: db.url,
      flags: ['-chat', '-loglevel', 'debug'],
      ready: false,
    })
    try {
      await server.logged(({ event }) => event === 'chatServing', 10_000)
      for (const one of [key, short]) {
        await invite(sql, 'Ann', room, { key: one })
        const ann = await new ChatClient(server, one).entered()
        ann.say('nobody else hears this')
        await ann.hears('nobody else hears this')
        await server.get(`/?session_key=${one}`)
        await server.get(`/chat?session_key=${one}`)
        await server.get(`/elsewhere?session_key=${one}`)
        const bad = new ChatClient(server, one, { query: 'after=x' })
        await bad.ended()
        ann.leave()
      }
      const metrics = (await server.get('/metrics')).body
      await server.stop()
      const all = server.stderr.join('\n') + metrics
      assert.match(all, /chatEnded/)
      assert.ok(!all.includes(key) && !/\bk7\b/.test(all) && !all.includes('nobody else'))
    } finally {
      await server.kill()
    }
  })

  test('each is pinged, and who is silent is cut', async () => {
    const server = await startPlenum({ database: db.url, flags: ['-chat', '-ping', '0.5'], ready: false })
    try {
      await server.logged(({ event }) => event === 'chatServing', 10_000)
      const key = await invite(sql, 'Ann', newRoom())
      let pings = 0
      const ann = await new ChatClient(server, key).entered()
      ann.ws.on('ping', () => pings++)
      const silent = await openRawWebSocket(server.port, `/?session_key=${key}`)
      assert.ok(silent instanceof RawWebSocket)
      await silent.untilEnded()
      assert.ok(pings >= 1)
      assert.equal(ann.closeCode, null)
    } finally {
      await server.kill()
    }
  })

  test('a lost LISTEN is made again, and what was said meanwhile is told', async () => {
    const room = newRoom()
    const alice = await join('Alice', room)
    for (let n = 0; n < 5; n++) {
      await sql`
        select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and query ilike 'listen %'`
      await post(room, 'App', `after ${n}`)
      await alice.hears(`after ${n}`)
    }
    assert.deepEqual(
      alice.messages,
      [0, 1, 2, 3, 4].map((n) => `after ${n}`),
    )
    await plenum.logged(({ event }) => event === 'listenLost')
    // Without waiting for the next look.
    await until('it listens again', async () => {
      const begun = performance.now()
      await post(room, 'App', 'soon')
      await alice.hears('soon')
      return performance.now() - begun < 200 * slowness()
    })
  })
})

suite('lines with an id of their speaker’s', () => {
  const ids = { query: 'ids=1' }

  test('one that is sent again is said once, to whichever process it comes, and acknowledged each time', async (t) => {
    const other = await startPlenum({ database: db.url, poll, flags: ['-chat'], ready: false })
    t.after(() => other.kill())
    await other.logged(({ event }) => event === 'chatServing', 10_000)
    const room = newRoom()
    const key = await invite(sql, 'Alice', room)
    const [here, there] = await Promise.all(
      [plenum, other].map((server) => new ChatClient(server, key, ids).entered()),
    )
    for (let n = 0; n < 10; n++) for (const alice of [here, there, here]) alice?.say(`line ${n}`, `id-${n}`)
    await until('all is acknowledged', () => here?.acks.length === 20 && there?.acks.length === 10)
    const lines = await stored(room)
    assert.deepEqual(
      lines.map(({ message }) => message).sort(),
      [...Array(10).keys()].map((n) => `line ${n}`),
    )
    // In her place the line comes before the word that it is stored.
    assert.ok(here && there)
    for (const { frames } of [here, there])
      for (let n = 0; n < 10; n++) {
        const told = frames.findIndex(({ message }) => message === `line ${n}`)
        const acknowledged = frames.findIndex(({ ack }) => ack === `id-${n}`)
        assert.ok(told >= 0 && told < acknowledged, `line ${n}: ${told}, ${acknowledged}`)
      }
    assert.deepEqual(here.lines, lines)
    assert.deepEqual(there.lines, lines)
  })

  test('an id is its speaker’s: of others, and in other rooms, it is another', async () => {
    const [room, nextDoor] = [newRoom(), newRoom()]
    const [alice, bob, away] = await Promise.all([
      join('Alice', room, ids),
      join('Bob', room, ids),
      join('Alice', nextDoor, ids),
    ])
    alice.say('of Alice', 'same')
    bob.say('of Bob', 'same')
    away.say('elsewhere', 'same')
    for (const one of [alice, bob, away]) await until('it is stored', () => one.acks.length === 1)
    assert.equal((await stored(room)).length, 2)
    assert.equal((await stored(nextDoor)).length, 1)
  })

  test('a refusal names the line, and whether it may be tried again; whoever gives no id gets no answer', async () => {
    const room = newRoom()
    const alice = await join('Alice', room, ids)
    alice.say('\u0007', 'empty')
    alice.say('x', 'not an id!')
    alice.say('without')
    await alice.hears('without')
    for (let n = 0; n < 30; n++) alice.say(`flood ${n}`, `flood-${n}`)
    await until('all is answered', () => alice.acks.length + alice.errors.length === 32)
    const errors = alice.frames.filter(({ error }) => error !== undefined)
    assert.deepEqual(errors.slice(0, 2), [
      { error: 'The message is empty', id: 'empty' },
      { error: 'Invalid id' },
    ])
    assert.deepEqual(errors.at(-1), { error: 'You are sending too fast', id: 'flood-29', again: true })
    assert.equal(alice.acks.length, (await stored(room)).length - 1)
  })

  test('a ping is answered, above the rate too; to clients without ids none of this exists', async () => {
    const room = newRoom()
    const alice = await join('Alice', room, ids)
    for (let n = 0; n < 50; n++) alice.ws.send('{"ping":true}')
    await until('all are answered', () => alice.frames.filter(({ pong }) => pong).length === 50)
    const old = await join('Old', room)
    old.ws.send('{"ping":true}')
    await old.refused(/^Invalid or no message$/)
    old.say('one', 'same')
    old.say('two', 'same')
    await old.hears('two')
    for (const frame of old.frames.slice(2)) assert.deepEqual(Object.keys(frame), ['time', 'user', 'message'])
  })
})

suite('tables', () => {
  const check = async (url: string, schema: string) =>
    await runPlenum(['check', '-chat', '-chat-schema', schema, '-origin', '*', '-dburl', url])

  test('those of a nodejschat are taken as they are', async (t) => {
    const own = await createDatabase()
    t.after(() => own.drop())
    await own.sql.unsafe(nodejschat)
    await own.sql`select new_message(3, '2016-08-08T17:20:32.421Z', 'Bob', 'of old')`
    const tables = async () =>
      await own.sql`
        select c.relname, a.attname, a.atttypid::int from pg_class c join pg_attribute a on a.attrelid = c.oid
        where c.relnamespace = 'public'::regnamespace and relname in ('log', 'sessions', 'message_id_sequence')
        order by 1, 2`
    const before = await tables()
    const checked = await check(own.url, 'public')
    assert.equal(checked.code, 0, checked.stderr)
    assert.match(checked.stdout, /CREATE INDEX CONCURRENTLY ON "public".log \(room, message_id\);/)
    const old = await startPlenum({ database: own.url, poll, flags: ['-chat', '-chat-schema', 'public'] })
    t.after(() => old.kill())
    const key = await invite(own.sql, 'Alice', 3, { schema: 'public' })
    const alice = await new ChatClient(old, key).entered()
    await alice.hears('of old')
    alice.say('of today')
    const line = await alice.hears('of today')
    assert.ok(Math.abs(Date.parse(line.time) - Date.now()) < 60_000, `${line.time} is UTC`)
    const other = await new ChatClient(old, key).entered()
    await other.hears('of today')
    assert.deepEqual(other.lines, alice.lines)
    assert.deepEqual(await tables(), before)
    await old.logged(({ event }) => event === 'indexRecommended')
  })

  test('a schema with other tables of these names is left alone', async (t) => {
    const own = await createDatabase()
    t.after(() => own.drop())
    await own.sql`create table log (id integer)`
    const { code, stderr } = await check(own.url, 'public')
    assert.equal(code, 1)
    assert.match(stderr, /schema public has tables like the chat's, but not all of it: missing .*log\.room/)
    assert.equal((await check(own.url, 'chat')).code, 0)
    assert.equal((await check(own.url, 'Chat"; drop')).code, 2)
    assert.equal((await check(own.url, 'plenum')).code, 2)
  })

  test('which rights are missing is said, and they will do', async (t) => {
    const own = await createDatabase()
    t.after(() => own.drop())
    const { role, url } = await createRole(own)
    assert.equal((await runPlenum(['migrate', '-chat', '-dburl', own.url])).code, 0)
    await own.sql.unsafe(`
      grant usage, create on schema plenum to ${role};
      grant select, insert, update, delete on all tables in schema plenum, public to ${role};
      revoke execute on all functions in schema chat from public`)
    for (const wanted of [
      /GRANT USAGE ON SCHEMA "chat"/,
      /GRANT SELECT ON "chat".sessions .*GRANT USAGE ON SEQUENCE/,
    ]) {
      const { code, stderr } = await check(url, 'chat')
      assert.equal(code, 1)
      assert.match(stderr, wanted)
      await own.sql.unsafe(/run: (.*)/.exec(stderr)?.[1] ?? '')
    }
    const checked = await check(url, 'chat')
    assert.equal(checked.code, 0, checked.stderr)
    const server = await startPlenum({ database: url, flags: ['-chat'] })
    t.after(() => server.kill())
    const one = await new ChatClient(server, await invite(own.sql, 'Ann', 1)).entered()
    one.say('with these rights')
    await one.hears('with these rights')
  })

  test('without -chat there is none', async (t) => {
    const own = await createDatabase()
    t.after(() => own.drop())
    const server = await startPlenum({ database: own.url })
    t.after(() => server.kill())
    await assert.rejects(openRawWebSocket(server.port, '/?session_key=x'), /404/)
    for (const path of ['/ws/chat?session_key=x', '/chat']) assert.equal((await server.get(path)).status, 404)
    const [schema] = await own.sql`select from pg_namespace where nspname = 'chat'`
    assert.equal(schema, undefined)
  })
})

suite('the end, and what befalls the database', () => {
  test('a process that ends stores and tells what was said, and ends connections with 1012', async (t) => {
    const server = await startPlenum({ database: db.url, flags: ['-chat', '-rate', '0'], ready: false })
    t.after(() => server.kill())
    await server.logged(({ event }) => event === 'chatServing', 10_000)
    const room = newRoom()
    const ann = await new ChatClient(server, await invite(sql, 'Ann', room)).entered()
    for (let n = 0; n < 200; n++) ann.say(`last words ${n}`)
    await until('some are told', () => ann.lines.length > 0)
    assert.equal(await server.stop(), 0)
    assert.equal(await ann.ended(), 1012)
    assert.deepEqual(ann.lines, withoutIds(await stored(room)))
  })

  test('while the database is away nobody is let in (1013) and nothing is said to be stored; then it goes on', async (t) => {
    const cluster = await createCluster()
    const own = await cluster.createDatabase()
    const server: Plenum = await startPlenum({ database: own.url, poll, flags: ['-chat'] })
    t.after(async () => {
      await server.kill()
      await cluster.remove()
    })
    const key = await invite(own.sql, 'Ann', 1)
    const ann = await new ChatClient(server, key).entered()
    ann.say('before')
    await ann.hears('before')
    await cluster.postgres.stop('immediate')
    ann.say('into the void')
    await ann.refused(/^The database is not available: the message may not have been stored$/)
    assert.equal(await new ChatClient(server, key).ended(), 1013)
    await cluster.postgres.start()
    await until(
      'it can be said again',
      async () => {
        ann.say('after')
        await wait(200)
        return ann.messages.includes('after')
      },
      15_000,
    )
    assert.equal(ann.closeCode, null)
    const bob = await new ChatClient(server, key).entered()
    await until('it has all', () => bob.lines.length === ann.lines.length)
    assert.deepEqual(bob.lines, ann.lines)
  })
})

/** The schema of nodejschat, and its function, which knows no lock and no zone. */
const nodejschat = `
  create sequence message_id_sequence;
  create table sessions (key text not null unique, "user" text not null, room integer not null);
  create table log (
    message_id integer not null unique default nextval('message_id_sequence'),
    room integer not null, "time" timestamp not null, "user" text not null, message text not null
  );
  create function new_message(room integer, message_time timestamp with time zone, message_user text, message text)
  returns void language plpgsql as $$
  declare
    id integer;
  begin
    insert into log (room, "time", "user", message) values (room, message_time, message_user, message)
      returning message_id into id;
    perform pg_notify('nodejschat', id::text);
  end $$`
