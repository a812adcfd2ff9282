import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ada, dan, meetingOf, onlyLooking, system } from '../../../test/support/view.ts'
import { factsOf } from './committed.ts'
import type { Fact, Write } from './facts.ts'

const stored = (id: number, message: string) => ({
  id,
  t: `2026-03-14 18:02:11.00000${id}+00`,
  time: '19:02:11',
  date: '2026-03-14',
  message,
})

test('lines are told after all else, by the name and the color of who is in or has been; those of the system by none', () => {
  const meeting = meetingOf({ attendees: [ada], departed: [{ who: dan, lostAt: null }] })
  const lines = [{ sender: 1, text: 'a' }, { sender: 4, text: 'b' }, system('c'), { sender: 9, text: 'd' }]
  const committed = { lines: lines.map(({ text }, n) => stored(n + 1, text)), poll: null }
  const facts = onlyLooking(meeting, (meeting) =>
    factsOf(meeting, { write: { lines }, facts: [{ type: 'stateChanged', state: 'open' }] }, committed),
  )
  const at = { time: '19:02:11', date: '2026-03-14' }
  assert.deepEqual(facts, [
    { type: 'stateChanged', state: 'open' },
    {
      type: 'said',
      lines: [
        { id: 1, ...at, from: 1, fromname: 'Ada', color: '1', message: 'a' },
        { id: 2, ...at, from: 4, fromname: 'Dan', color: '4', message: 'b' },
        { id: 3, ...at, from: -1, fromname: '', color: 'sys', message: 'c' },
        { id: 4, ...at, from: 9, fromname: '', color: 'sys', message: 'd' },
      ],
      time: '2026-03-14 18:02:11.000004+00',
    },
  ])
})

test('a poll that was opened comes first, with what the commit says of it', () => {
  const write: Write = {
    lines: [system('A new poll has been posted for Q')],
    openPoll: { question: 'Q', answers: ['Yes', 'No'], minutes: 3, by: 1 },
  }
  const done: Fact = { type: 'commandsDone', commands: [{ member: 1, id: 'a' }] }
  const committed = { lines: [stored(1, 'x')], poll: { id: 6, endsInMs: 179_990 } }
  const [opened, ...others] = factsOf(meetingOf(), { write, facts: [done] }, committed)
  assert.deepEqual(opened, {
    type: 'pollOpened',
    poll: { id: 6, endsInMs: 179_990, question: 'Q', answers: ['Yes', 'No'] },
  })
  assert.deepEqual(
    others.map(({ type }) => type),
    ['commandsDone', 'said'],
  )
})

test('where nothing was written the facts are those of the decision; a line too many is an error of ours', () => {
  assert.deepEqual(factsOf(meetingOf(), { write: null, facts: [{ type: 'vanished' }] }, null), [
    { type: 'vanished' },
  ])
  const committed = { lines: [stored(1, 'x')], poll: null }
  assert.throws(() => factsOf(meetingOf(), { write: { lines: [] }, facts: [] }, committed), /more lines/)
})
