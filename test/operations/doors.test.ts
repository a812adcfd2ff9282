import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, test } from 'node:test'
import { ChatClient, invite } from '../support/chat-client.ts'
import { createDatabase } from '../support/database.ts'
import { gather } from '../support/meeting-fixture.ts'
import { startPlenum } from '../support/server.ts'
import { until } from '../support/until.ts'
import { appendMessage, initMessage, DocumentClient } from '../support/document-client.ts'

// One path of each door, in seconds: what `npm test -- --quick` plays beside the unit tests.

const db = await createDatabase()
const { sql } = db
const plenum = await startPlenum({ database: db.url, flags: ['-chat', '-document'] })
after(async () => {
  await plenum.kill()
  await db.drop()
})

test('a meeting is opened, talks, votes and ends, and its record is what was said', async () => {
  const meeting = await gather(sql, plenum, 2)
  const [chair, member] = await meeting.enterAll(0, 1)
  chair.send({ type: 'open' })
  await member.line('This meeting is now open')
  member.say('Hello')
  const { id, from } = await chair.line('Hello')
  assert.equal(from, meeting.user(1))
  chair.send({ type: 'newpoll', question: 'Shall we?', answers: ['yes', 'no'], minutes: 5 })
  await member.next('poll', ({ data }) => data?.question === 'Shall we?')
  for (const who of [chair, member]) who.send({ type: 'vote', question: 'Shall we?', vote: 0 })
  await member.line('Answer "yes": 2 votes')
  chair.send({ type: 'finish' })
  await member.line('This meeting is now finished')
  assert.ok((await meeting.record()).some((line) => line.id === id && line.text === 'Hello'))
  const record = await plenum.get(`/meeting/${meeting.id}/${meeting.key(1)}/record.json`)
  assert.match(record.body, /"Hello"/)
  const page = await plenum.get(`/meeting/${meeting.id}/${meeting.key(1)}`)
  assert.equal(page.status, 200)
})

test('what is said in a chat room is heard there, and by who comes later', async () => {
  const [ann, bob] = [
    await new ChatClient(plenum, await invite(sql, 'Ann', 1)).entered(),
    await new ChatClient(plenum, await invite(sql, 'Bob', 1)).entered(),
  ]
  ann.say('Hello')
  assert.equal((await bob.hears('Hello')).user, 'Ann')
  const late = await new ChatClient(plenum, await invite(sql, 'Eve', 1)).entered()
  await late.hears('Hello')
})

test('what is appended to a document is had by who is there, and by who comes later', async () => {
  const id = randomBytes(9).toString('base64url')
  const open = async (): Promise<DocumentClient> => {
    const client = await new DocumentClient(plenum).opened()
    client.send(initMessage(id))
    await client.hears('append')
    return client
  }
  const [ann, bob] = [await open(), await open()]
  ann.send(appendMessage(0, 'drawn'))
  assert.equal((await ann.hears('answer')).status, 1)
  await until('the other one has it', () => bob.all('append').at(-1)?.data.toString() === 'drawn')
  const late = await open()
  assert.equal(late.all('append')[0]?.data.toString(), 'drawn')
})
