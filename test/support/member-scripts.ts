import { isDeepStrictEqual } from 'node:util'
import { setImmediate as turn, setTimeout as wait } from 'node:timers/promises'
import type { Fellow } from './database.ts'
import { join } from './meeting-client.ts'
import type { Member } from './meeting-client.ts'
import { pollOf } from './model.ts'
import type { Model } from './model.ts'
import { replay } from './replay.ts'
import { endConnection, fromElsewhere, openMeeting } from './model-runner.ts'
import type { Ending, Setting, World } from './model-runner.ts'
import { meetingStatus } from './status.ts'
import { compareTables, readTables, withdrawMeeting } from './stored-tables.ts'
import type { Tables } from './stored-tables.ts'
import { Difference } from './frame-oracle.ts'
import { Deadline } from './patience.ts'

/** What one member does, without waiting for anything but his own connections. */
export type Deed =
  | { do: 'say' | 'open' | 'finish' | 'abortpoll' | 'pause' }
  | { do: 'vote'; poll: number; answer: number }
  | { do: 'newpoll'; poll: number }
  | { do: 'kick'; user: number; canrejoin: boolean }
  | { do: 'reenter'; how: Ending | 'takeover'; having: 'all' | 'nothing' }
  | { do: 'leave'; how: Ending }

const polls = ['First?', 'Second?', 'Third?', 'Fourth?', 'Fifth?', 'Sixth?'].map((question, index) => ({
  question,
  answers: ['yes', 'no', 'abstain', 'later'].slice(0, 2 + (index % 3)),
}))

interface Connection {
  first: number
  member: Member
}

interface Actor {
  fellow: Fellow
  connections: Connection[]
  said: number
}

/**
 * Lets all fellows do their deeds at the same time, perhaps with a poll under way from the start, and then compares what has come of it: the record must be one that
 * the model can explain, the tables must be the model's, and what each connection has been told must agree with both.
 */
export async function runScripts(
  world: World,
  setting: Setting,
  { deeds, hasPoll }: { deeds: Deed[][]; hasPoll: boolean },
): Promise<Model> {
  const { sql, plenum, fellows } = world
  const { meeting, ...given } = await openMeeting(world, setting)
  const begun = Date.now()
  const actors = fellows.map((fellow): Actor => ({ fellow, connections: [], said: 0 }))

  const enter = async ({ fellow, connections }: Actor, having: 'all' | 'nothing'): Promise<void> => {
    const ids = connections.flatMap(({ member }) => member.lines().map(({ id }) => id))
    const first = having === 'all' ? Math.max(0, ...ids) : 0
    const options = { first, headers: fromElsewhere() }
    connections.push({ first, member: await join(plenum, meeting.id, meeting.keys.get(fellow.id), options) })
  }
  const speak = (actor: Actor, deed: Deed): void => {
    const member = actor.connections.at(-1)?.member
    if (!member || member.isClosed) return
    switch (deed.do) {
      case 'say':
        return member.say(`${actor.fellow.name}, ${++actor.said}`)
      case 'vote':
        return member.send({ type: 'vote', question: polls[deed.poll]!.question, vote: deed.answer })
      case 'newpoll':
        // After ten seconds a question may be asked again; the model knows of none so old.
        if (Date.now() > begun + 8000) return
        return member.send({ type: 'newpoll', ...polls[deed.poll]!, minutes: 5 })
      case 'kick':
        return member.send({ type: 'kick', user: fellows[deed.user]!.id, canrejoin: deed.canrejoin })
      case 'open':
      case 'finish':
      case 'abortpoll':
        return member.send({ type: deed.do })
      case 'reenter':
      case 'leave':
      case 'pause':
    }
  }
  const perform = async (actor: Actor, deed: Deed): Promise<void> => {
    speak(actor, deed)
    if (deed.do === 'pause') await turn()
    if (deed.do !== 'leave' && deed.do !== 'reenter') return
    const member = actor.connections.at(-1)?.member
    if (member && deed.how !== 'takeover') await endConnection(member, deed.how)
    if (deed.do === 'reenter') await enter(actor, deed.having)
  }

  try {
    await Promise.all(actors.map((actor) => enter(actor, 'nothing')))
    if (hasPoll) {
      const chair = actors[0]!
      for (const deed of [{ do: 'open' }, { do: 'newpoll', poll: 0 }] as const) speak(chair, deed)
      await chair.connections[0]!.member.next('poll', ({ data }) => data !== null, setting.patienceMs)
    }
    await Promise.all(
      actors.map(async (actor, index) => {
        for (const deed of deeds[index] ?? []) await perform(actor, deed)
        // One's own last word comes back when all is done that one has sent.
        speak(actor, { do: 'say' })
      }),
    )
    // What the server has not done yet is no difference.
    for (const deadline = new Deadline(setting.patienceMs); ; await wait(20)) {
      try {
        const tables = await readTables(sql, meeting.id)
        const model = replay(tables, { ...given, polls })
        compareTables(model, tables, [])
        await compareStatus(world, meeting.id, actors)
        for (const actor of actors) compareActor(actor, model, tables)
        return model
      } catch (error) {
        if (!(error instanceof Difference) || deadline.isOver) throw error
      }
    }
  } finally {
    for (const { member } of actors.flatMap(({ connections }) => connections)) member.ws.terminate()
    await withdrawMeeting(sql, meeting.id)
  }
}

/** Whoever has a connection is in the meeting, and nobody else is, but for those who are away. */
async function compareStatus({ plenum }: World, meeting: number, actors: Actor[]): Promise<void> {
  const status = await meetingStatus(plenum, meeting)
  const shown = (status?.members ?? []).map(({ uid }) => uid).toSorted((a, b) => a - b)
  const open = actors.filter(({ connections }) => connections.some(({ member }) => !member.isClosed))
  const connected = open.map(({ fellow }) => fellow.id).toSorted((a, b) => a - b)
  if (isDeepStrictEqual(shown, connected)) return
  throw new Difference(`the status page shows ${shown.join()}, but connected are ${connected.join()}`)
}

function compareActor({ fellow, connections, said }: Actor, model: Model, { record }: Tables): void {
  const fail = (what: string, found: unknown, expected: unknown): never => {
    throw new Difference(
      `${fellow.name} ${what}\n  ${JSON.stringify(found)}\nbut it was to be\n  ${JSON.stringify(expected)}`,
    )
  }
  for (const [index, { first, member }] of connections.entries()) {
    const place = `on connection ${index + 1} of ${connections.length}`
    const lines = member.lines().map(({ id, from, message, time, date }) => {
      return { id, from: from === -1 ? null : from, text: message, time, date }
    })
    const from = record.filter(({ id }) => id > first)
    const expected = member.isClosed ? from.slice(0, lines.length) : from
    if (!isDeepStrictEqual(lines, expected))
      fail(`was told, ${place}, of the record after ${first},`, lines, expected)
    const farewell = member.frames.findIndex(({ type }) => type === 'disconnect')
    if (farewell !== -1 && farewell < member.frames.length - 1)
      fail(`was told, ${place}, after a farewell,`, member.frames.slice(farewell + 1), [])
  }
  const frames = connections.flatMap(({ member }) => member.frames)
  const failures = frames.filter((frame) => frame.type === 'error' && frame.msg.includes('database'))
  if (failures.length > 0) fail('was told, though the database was there all the time,', failures, [])
  const last = connections.at(-1)!.member
  const own = record.flatMap(({ from, text }) => (from === fellow.id ? [Number(text.split(', ')[1])] : []))
  if (own.some((n, index) => n <= (own[index - 1] ?? 0))) fail('said, in this order,', own, 'ascending')
  if (last.isClosed) return
  if (!record.some(({ text }) => text === `${fellow.name}, ${said}`))
    fail('has the record, without his last word,', record.at(-1), `${fellow.name}, ${said}`)
  compareView(last, model, fail)
}

/** What a page shows at the end, from all the frames that it was sent. */
function compareView(
  { frames }: Member,
  model: Model,
  fail: (what: string, found: unknown, expected: unknown) => never,
): void {
  const people = new Set<number>()
  let poll: unknown = null
  let status: unknown
  for (const frame of frames)
    if (frame.type === 'users') {
      people.clear()
      for (const { id } of frame.data.users) people.add(id)
    } else if (frame.type === 'adduser') people.add(frame.data.id)
    else if (frame.type === 'removeuser') people.delete(frame.data.id)
    else if (frame.type === 'status') status = frame.data
    else if (frame.type === 'poll')
      poll = frame.data && { question: frame.data.question, tally: frame.data.tally }
  const present = [...model.present.keys()].toSorted((a, b) => a - b)
  if (
    !isDeepStrictEqual(
      [...people].toSorted((a, b) => a - b),
      present,
    )
  )
    fail('is shown as members', [...people], present)
  const expected = { isopen: model.state === 'open', isfinished: model.state === 'finished' }
  if (!isDeepStrictEqual(status, expected)) fail('is shown as state', status, expected)
  const underWay = pollOf(model)
  const tally = underWay?.answers.map(
    (_, answer) => [...underWay.votes.values()].filter((vote) => vote === answer).length,
  )
  const sum = underWay ? { question: underWay.question, tally } : null
  if (!isDeepStrictEqual(poll, sum)) fail('is shown as poll', poll, sum)
}
