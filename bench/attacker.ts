import { once } from 'node:events'
import { request } from 'node:http'
import { setTimeout as wait } from 'node:timers/promises'
import postgres from 'postgres'
import { WebSocket } from 'ws'
import { invite } from '../test/support/chat-client.ts'
import {
  appendMessage,
  broadcastMessage,
  cut,
  initMessage,
  setKeyMessage,
} from '../test/support/document-client.ts'

// One who wants to stop a server, in a process of their own: attacker.ts WAY PORT DATABASE SECONDS

const [, , way = '', port = '', database = '', seconds = '0'] = process.argv
const end = performance.now() + Number(seconds) * 1000
const isOver = (): boolean => performance.now() > end

function open(path: string): Promise<WebSocket> {
  const ws = new WebSocket(`ws://127.0.0.1:${port}${path}`, { perMessageDeflate: false })
  ws.on('error', () => {})
  return new Promise((resolve) => {
    ws.once('open', () => resolve(ws))
    ws.once('close', () => resolve(ws))
  })
}

/** Resolves when the server has read all that was sent, or has ended the connection. */
async function isRead(ws: WebSocket): Promise<void> {
  if (ws.readyState !== ws.OPEN) return
  const ended = new AbortController()
  ws.ping()
  await Promise.race([once(ws, 'pong', ended), once(ws, 'close', ended)])
  ended.abort()
}

/** One message that never ends, in frames of one byte, on three connections. */
async function tinyFrames(): Promise<void> {
  const part = Buffer.from([0xff, 1, 0])
  const attack = async (): Promise<void> => {
    while (!isOver()) {
      const ws = await open('/socket')
      const [first = Buffer.alloc(0)] = cut(initMessage('attack', { data: Buffer.alloc(100_000) }), 64)
      ws.send(first)
      while (!isOver() && ws.readyState === ws.OPEN) {
        for (let n = 0; n < 500; n++) ws.send(part)
        for (; ws.bufferedAmount > 0 && ws.readyState === ws.OPEN && !isOver();) await wait(1)
      }
      ws.terminate()
      await wait(50)
    }
  }
  await Promise.all([attack(), attack(), attack()])
}

/** Sixty who watch, each with another longest frame, and one who sends what is as long as may be. */
async function manyLengths(): Promise<void> {
  const id = `attack-${process.pid}`
  const writer = await open('/socket')
  writer.send(initMessage(id))
  await wait(200)
  for (let n = 0; n < 60; n++) (await open('/socket')).send(initMessage(id, { longest: 64 + n }))
  const long = Buffer.alloc(15_000_000, 'x')
  for (let offset = 0; !isOver() && writer.readyState === writer.OPEN; offset += long.length) {
    for (const message of [appendMessage(offset, long), broadcastMessage(long)])
      for (const frame of cut(message, 65_536)) writer.send(frame)
    while (writer.bufferedAmount > 0 && writer.readyState === writer.OPEN && !isOver()) await wait(5)
  }
}

/** A document of many keys, which one after the other enters and leaves. */
async function manyKeys(): Promise<void> {
  const id = `attack-${process.pid}`
  const owner = await open('/socket')
  owner.send(initMessage(id))
  for (let n = 0; n < 9900; n++) {
    owner.send(setKeyMessage({ request: n % 65_536, old: 0, version: 1, name: `key ${n}`, value: 'value' }))
    if (n % 1000 === 0) await isRead(owner)
  }
  await isRead(owner)
  for (; !isOver(); await wait(65)) {
    const ws = await open('/socket')
    ws.send(initMessage(id))
    setTimeout(() => ws.terminate(), 500)
  }
}

/** An application that keeps ten rooms of the chat locked, and one in each of them who speaks. */
async function heldRooms(): Promise<void> {
  const sql = postgres(database, { max: 1, onnotice: () => {} })
  const rooms = Array.from({ length: 10 }, (_, room) => room + 1)
  const keys = await Promise.all(rooms.map((room) => invite(sql, 'Eve', room)))
  const people = await Promise.all(keys.map((key) => open(`/ws/chat?session_key=${key}`)))
  await sql.begin(async (tx) => {
    for (const room of rooms) await tx`select chat.new_message(${room}::int, now(), 'App', 'held')`
    for (; !isOver(); await wait(300))
      for (const ws of people) if (ws.readyState === ws.OPEN) ws.send(JSON.stringify({ message: 'hi' }))
  })
  await sql.end({ timeout: 1 })
}

/** Four hundred at once who guess the password of the documents' management. */
async function guesses(): Promise<void> {
  const guess = (): Promise<void> =>
    new Promise((resolve) => {
      const authorization = `Basic ${Buffer.from(`app:${Math.random()}`).toString('base64')}`
      const asked = request(
        { port, path: '/socket', method: 'POST', headers: { authorization }, agent: false },
        (answer) => answer.resume().on('close', () => resolve()),
      )
      asked.on('error', () => resolve())
      asked.end('method=dumpDocument&documentID=x')
    })
  const guesser = async (): Promise<void> => {
    for (; !isOver(); await wait(200)) await guess()
  }
  await Promise.all(Array.from({ length: 400 }, guesser))
}

const attacks = { tinyFrames, manyLengths, manyKeys, heldRooms, guesses }

process.on('disconnect', () => process.exit())
attacks[way as keyof typeof attacks]().then(
  () => process.exit(0),
  (error: unknown) => {
    console.error(error)
    process.exit(1)
  },
)
