import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import * as fc from 'fast-check'
import { createAssociation, createDatabase } from '../support/database.ts'
import type { Fellow } from '../support/database.ts'
import { always } from '../support/concurrently.ts'
import type { Model } from '../support/model.ts'
import { runScripts } from '../support/member-scripts.ts'
import type { Deed } from '../support/member-scripts.ts'
import { startPlenum } from '../support/server.ts'
import { ModelRunner } from '../support/model-runner.ts'
import type { Setting, World } from '../support/model-runner.ts'
import { describe, entrance, resolve, steps } from '../support/steps.ts'
import { Difference } from '../support/frame-oracle.ts'

const isLong = process.env['PLENUM_LONG'] === '1'
// Many steps in few meetings: to open a meeting costs as much as several steps.
const counts = isLong ? { steps: 4000, rushes: 1000 } : { steps: 400, rushes: 100 }

const [long, none] = await Promise.all([openWorld(true), openWorld(false)])
/** What the spec has the server say, but for what depends on what was said to it. */
const spoken = [
  'You are not allowed to enter this meeting',
  'This meeting is already finished and can no longer be joined.',
  'This meeting is already in progress and can no longer be joined.',
  'You have connected from a different session. This session is disconnected.',
  'Member N joined the meeting',
  'Member N joined the meeting (through proxy Petra)',
  'Member N re-joined the meeting',
  'Member N re-joined the meeting (through proxy Petra)',
  'Member N left the meeting',
  'User N has been disconnected by N',
  'This meeting is being re-opened by N',
  'This meeting is now open',
  'Anything sent from now on will be part of the permanent record',
  'This meeting is now finished',
  'N voted A',
  'N changed their vote to A',
  'All attendees have voted, poll has completed.',
  'Poll has completed',
  'Answer "A": 0 votes',
  'Answer "A": 1 vote',
  'Answer "A": 2 votes',
  'The current poll has been aborted',
  'This text is reserved for the meeting record',
  'There is no active poll',
  'There is already an active poll',
  'This question was just asked, please word it differently or wait a moment',
  'Vote for the wrong question received',
  'Invalid vote',
  'Meeting is already open',
  'Meeting is not open',
  'Meeting is already finished',
  'User to kick not found',
  'Permission denied',
]

const worlds = { long, none }

async function openWorld(forgiving: boolean): Promise<World> {
  const database = await createDatabase()
  const plenum = await startPlenum({
    database: database.url,
    grace: forgiving ? 600 : 0,
    // The model closes a finished meeting with its last departure.
    closeAfter: 0,
    poll: 0.5,
    flags: ['-rate', '0', '-behindproxy'],
  })
  after(async () => {
    assert.ok(!plenum.hasExited, `the server has ended:\n${plenum.stderr.slice(-20).join('\n')}`)
    await plenum.stop()
    await database.drop()
  })
  return { plenum, sql: database.sql, fellows: await createAssociation(database.sql, 6), forgiving }
}

const beginning = {
  grace: fc.constantFrom<('long' | 'none')[]>('long', 'none'),
  open: fc.oneof(fc.constant(true), fc.boolean()),
  /** Which fellows that are no admins may enter an open meeting. */
  invited: fc.oneof(fc.constant<number[]>([2, 3, 4, 5]), fc.subarray([2, 3, 4, 5])),
}
type Beginning = { grace: 'long' | 'none'; open: boolean; invited: number[] }

/** Runs `body` in a meeting; a difference is reported with how it began and what was done, as `body` has written down. */
async function inMeeting(
  { grace, open, invited }: Beginning,
  body: (world: World, setting: Omit<Setting, 'patienceMs'>, done: string[]) => Promise<void>,
): Promise<void> {
  const world = worlds[grace]
  const guests = invited.map((index) => world.fellows[index]!)
  const done: string[] = []
  try {
    await body(world, { open, invited: guests }, done)
  } catch (error) {
    if (!(error instanceof Difference)) throw error
    const names = (fellows: Fellow[]): string => fellows.map(({ name }) => name).join(', ') || 'nobody'
    done.unshift(
      `grace time: ${grace}; meeting: ${open ? 'open' : 'pending'}; admins: ${names(world.fellows.slice(0, 2))}; invited: ${names(guests)}`,
    )
    throw new Difference(`${done.join('\n  ')}\n${error.message}`)
  }
}

/** All that the models have been through, without names. */
const covered = new Set<string>()

function cover(model: Model): void {
  const told = model.connections.flatMap((connection) => connection.told)
  const answers = told.flatMap((one) => (one.type === 'error' || one.type === 'disconnect' ? [one.text] : []))
  for (const text of [...answers, ...model.lines.map((line) => line.text)])
    if (text)
      covered.add(
        text
          .replaceAll(/Member \d+/g, 'N')
          .replace(/^(N voted|N changed their vote to) .+/, '$1 A')
          .replace(/^Answer ".+": /, 'Answer "A": '),
      )
}

test('whatever members do one after another, each is told exactly what the model says, and so say the tables', async () => {
  const plays = fc.record({
    ...beginning,
    /** Who enters first of all. */
    there: fc.shuffledSubarray([0, 1, 2, 3, 4, 5]),
    list: fc.array(steps, { minLength: 1, maxLength: 45, size: 'max' }),
  })
  const isWhole = await always('steps', counts.steps, plays, ({ there, list, ...play }, patienceMs) =>
    inMeeting(play, async (world, setting, done) => {
      const stage = await ModelRunner.open(world, { ...setting, patienceMs })
      // For the model no poll is old, but after ten seconds the server takes its question again.
      const until = Date.now() + 8000
      try {
        for (const step of [...there.map(entrance), ...list]) {
          const action = Date.now() < until ? resolve(step, stage.model) : null
          if (!action) continue
          const how = 'how' in step ? step.how : 'no code'
          done.push(describe(action, stage.model, how))
          await stage.perform(action, how)
        }
        done.push('then all is compared')
        await stage.finish()
      } finally {
        await stage.close()
      }
      cover(stage.model)
    }),
  )
  if (!isWhole) return
  const missing = spoken.filter((text) => !covered.has(text))
  assert.deepEqual(missing, [], 'the steps never led to these')
})

test('whatever members do at the same time, the record can be explained by the model, and all else agrees with it', async () => {
  const who = fc.nat(5)
  const deed = (weight: number, deed: Record<string, fc.Arbitrary<unknown>>) => ({
    weight,
    arbitrary: fc.record(deed) as fc.Arbitrary<unknown> as fc.Arbitrary<Deed>,
  })
  const endings = fc.constantFrom('no code', 1000, 1001, 'fin', 'rst')
  const deeds: fc.Arbitrary<Deed> = fc.oneof(
    deed(6, { do: fc.constant('say') }),
    deed(8, { do: fc.constant('vote'), poll: fc.oneof(fc.constant(0), fc.nat(3)), answer: fc.nat(2) }),
    deed(4, { do: fc.constant('newpoll'), poll: fc.nat(5) }),
    deed(3, {
      do: fc.constant('reenter'),
      how: fc.oneof(endings, fc.constant('takeover')),
      having: fc.constantFrom('all', 'nothing'),
    }),
    deed(1, { do: fc.constant('leave'), how: endings }),
    deed(1, { do: fc.constant('kick'), user: who, canrejoin: fc.boolean() }),
    deed(2, { do: fc.constantFrom('open', 'finish', 'abortpoll', 'pause', 'pause', 'pause') }),
  )
  const six = (list: fc.Arbitrary<Deed[]>): fc.Arbitrary<Deed[][]> =>
    fc.array(list, { minLength: 6, maxLength: 6 })
  const mixed = fc.array(deeds, { maxLength: 12, size: 'max' })
  const vote = (answer: number): Deed[] => [{ do: 'vote', poll: 0, answer }, { do: 'pause' }]
  const votes = fc
    .array(fc.nat(1), { minLength: 1, maxLength: 6, size: 'max' })
    .map((all) => all.flatMap(vote))
  const rushes = fc.oneof(
    { arbitrary: fc.record({ ...beginning, hasPoll: fc.boolean(), deeds: six(mixed) }), weight: 3 },
    // All do nothing but vote: their poll ends while more votes wait to be taken.
    { arbitrary: fc.record({ ...beginning, hasPoll: fc.constant(true), deeds: six(votes) }), weight: 1 },
  )
  await always('rush', counts.rushes, rushes, ({ deeds, hasPoll, ...play }, patienceMs) =>
    inMeeting(play, async (world, setting, done) => {
      const names = world.fellows.map(({ name }) => name)
      if (hasPoll) done.push('with a poll under way')
      done.push(
        ...deeds.map((list, index) => `${names[index]}: ${list.map((one) => JSON.stringify(one)).join(' ')}`),
      )
      await runScripts(world, { ...setting, patienceMs }, { deeds, hasPoll })
    }),
  )
})
