import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  ada,
  away,
  bob,
  dan,
  eve,
  meetingOf,
  onlyLooking,
  outcomeOf,
  system,
  teaPoll,
} from '../../../test/support/view.ts'
import { reject, type Rejection } from '../../hub/rejection.ts'
import { authorise, type Command, decide, remember, say, vote } from './commands.ts'
import { factsOf } from './committed.ts'
import type { Change, Fact } from './facts.ts'
import { apply, type Attendee, isDone, type Meeting } from './view.ts'

const now = 50_000
const question = 'Tea or coffee?'
const answers = ['Tea', 'Coffee']

/** What becomes of one command, as the room asks for it: first whether they may, then what it does. */
function judge(meeting: Meeting, by: Attendee, command: Command): Change | Rejection {
  const denied = authorise(by, command)
  if (denied) return denied
  switch (command.type) {
    case 'say':
      return say(meeting, [{ by: by.id, text: command.text }])
    case 'vote': {
      const { answers, change } = vote(meeting, [{ ...command, by: by.id }], now)
      return answers[0] ?? change
    }
    case 'open':
    case 'finish':
    case 'newPoll':
    case 'abortPoll':
    case 'kick':
      return decide(meeting, by, command, now)
  }
}

const states = {
  pending: () => meetingOf({ state: 'pending' }),
  open: () => meetingOf(),
  polling: () => meetingOf({ poll: teaPoll([[3, 1]]) }),
  finished: () => meetingOf({ state: 'finished' }),
  closed: () => meetingOf({ state: 'closed' }),
} as const satisfies Record<string, () => Meeting>
type State = keyof typeof states

const commands = {
  message: { type: 'say', text: 'Good evening' },
  vote: { type: 'vote', question, poll: null, answer: 0 },
  open: { type: 'open' },
  finish: { type: 'finish' },
  newpoll: { type: 'newPoll', draft: { question: 'More?', answers: ['Yes', 'No'], minutes: 3 } },
  abortpoll: { type: 'abortPoll' },
  kick: { type: 'kick', target: { member: 3, canRejoin: false } },
} as const satisfies Record<string, Command>

/** What is true once it is durable, where the commit gave the poll that it opened this id, and three minutes. */
const factsAfter = (meeting: Meeting, change: Change): Fact[] =>
  factsOf(meeting, change, { lines: [], poll: change.write.openPoll ? { id: 6, endsInMs: 180_000 } : null })

const said = (sender: number): Change => ({ write: { lines: [{ sender, text: 'Good evening' }] }, facts: [] })
const counted = (member: number, name: string): Change => ({
  write: { lines: [system(`${name} voted Tea`)], votes: { poll: 5, cast: [{ member, answer: 0 }] } },
  facts: [{ type: 'voted', votes: [{ member, answer: 0 }] }],
})
const opened: Change = {
  write: {
    lines: [
      system('This meeting is now open'),
      system('Anything sent from now on will be part of the permanent record'),
    ],
    state: { from: 'pending', to: 'open' },
  },
  facts: [{ type: 'stateChanged', state: 'open' }],
}
const reopened: Change = {
  write: {
    lines: [system('This meeting is being re-opened by Ada'), ...opened.write.lines],
    state: { from: 'finished', to: 'open' },
  },
  facts: [{ type: 'stateChanged', state: 'open' }],
}
const finished: Change = {
  write: { lines: [system('This meeting is now finished')], state: { from: 'open', to: 'finished' } },
  facts: [{ type: 'stateChanged', state: 'finished' }],
}
const finishedWithPoll: Change = {
  write: {
    lines: [
      system('Poll has completed'),
      system('Answer "Tea": 0 votes'),
      system('Answer "Coffee": 1 vote'),
      system('This meeting is now finished'),
    ],
    endPoll: { id: 5, ending: 'finished' },
    state: { from: 'open', to: 'finished' },
  },
  facts: [
    { type: 'pollEnded', ending: 'finished' },
    { type: 'stateChanged', state: 'finished' },
  ],
}
const posted: Change = {
  write: {
    lines: [system('A new poll has been posted for More?')],
    openPoll: { question: 'More?', answers: ['Yes', 'No'], minutes: 3, by: 1 },
  },
  facts: [
    { type: 'pollOpened', poll: { id: 6, endsInMs: 180_000, question: 'More?', answers: ['Yes', 'No'] } },
  ],
}
const aborted: Change = {
  write: {
    lines: [system('The current poll has been aborted')],
    endPoll: { id: 5, ending: 'aborted' },
  },
  facts: [{ type: 'pollEnded', ending: 'aborted' }],
}
const kicked: Change = {
  write: {
    lines: [system('User Eve has been disconnected by Ada')],
    depart: [3],
    ban: { member: 3, by: 1 },
  },
  facts: [
    {
      type: 'departed',
      people: [
        {
          member: 3,
          subscriber: 103,
          told: 'kicked without return',
          lost: false,
        },
      ],
    },
    { type: 'banned', members: [3] },
  ],
}

const closed = 'This meeting is closed'
const noPoll = 'There is no active poll'
const denied = 'Permission denied'
const everywhere = <Outcome>(outcome: Outcome): Record<State, Outcome> => ({
  pending: outcome,
  open: outcome,
  polling: outcome,
  finished: outcome,
  closed: outcome,
})
const notOpen = 'Meeting is not open'

/** What an admin's command comes to in each state: a rejection's text, or what is done. */
const ofAdmin: Record<keyof typeof commands, Record<State, string | Change>> = {
  message: { ...everywhere(said(1)), closed },
  vote: { ...everywhere(noPoll), polling: counted(1, 'Ada') },
  open: {
    pending: opened,
    open: 'Meeting is already open',
    polling: 'Meeting is already open',
    finished: reopened,
    closed,
  },
  finish: {
    pending: notOpen,
    open: finished,
    polling: finishedWithPoll,
    finished: 'Meeting is already finished',
    closed,
  },
  newpoll: {
    pending: notOpen,
    open: posted,
    polling: 'There is already an active poll',
    finished: notOpen,
    closed,
  },
  abortpoll: { pending: noPoll, open: noPoll, polling: aborted, finished: noPoll, closed },
  kick: { ...everywhere(kicked), closed },
}
const ofMember: typeof ofAdmin = {
  message: { ...everywhere(said(2)), closed },
  vote: { ...everywhere(noPoll), polling: counted(2, 'Bob') },
  open: everywhere(denied),
  finish: everywhere(denied),
  newpoll: everywhere(denied),
  abortpoll: everywhere(denied),
  kick: everywhere(denied),
}

for (const [role, by, table] of [
  ['an admin', ada, ofAdmin],
  ['a member', bob, ofMember],
] as const)
  for (const [name, command] of Object.entries(commands) as [keyof typeof commands, Command][])
    test(`${name} of ${role}, in each state of the meeting`, () => {
      for (const [state, make] of Object.entries(states) as [State, () => Meeting][]) {
        const meeting = make()
        const outcome = onlyLooking(meeting, (meeting) => judge(meeting, by, command))
        const expected = table[name][state]
        if (typeof expected === 'string') {
          assert.deepEqual(outcome, reject(expected), state)
          continue
        }
        const change = outcomeOf(outcome)
        assert.deepEqual({ write: change.write, facts: factsAfter(meeting, change) }, expected, state)
      }
    })

test('a member is told that they may not before what is wrong in the command; an admin is told that', () => {
  const wrong = reject('Too few answers, at least 2')
  for (const command of [
    { type: 'newPoll', draft: wrong },
    { type: 'kick', target: wrong },
  ] as const) {
    assert.deepEqual(judge(meetingOf(), bob, command), reject(denied))
    for (const state of ['pending', 'open', 'polling', 'finished'] as const)
      assert.deepEqual(judge(states[state](), ada, command), wrong, state)
    assert.deepEqual(judge(states.closed(), ada, command), reject(closed))
  }
})

test('rights are those of the attendee at this moment, whatever they were before', () => {
  assert.deepEqual(authorise({ ...ada, admin: false }, { type: 'open' }), reject(denied))
  assert.equal(authorise({ ...bob, admin: true }, { type: 'open' }), null)
})

test('the question of a poll that ended less than ten seconds ago is not asked again', () => {
  const meeting = meetingOf({ endedPolls: new Map([['Tea or coffee?', 20_000]]) })
  const ask = (now: number, question = 'Tea or coffee?'): Change | Rejection =>
    decide(meeting, ada, { type: 'newPoll', draft: { question, answers, minutes: 1 } }, now)
  const refused = reject('This question was just asked, please word it differently or wait a moment')
  for (const now of [20_000, 29_999]) assert.deepEqual(ask(now), refused)
  for (const decision of [ask(30_000), ask(20_000, 'Tea or coffee')])
    assert.equal(factsAfter(meeting, outcomeOf(decision)).length, 1)
})

test('a poll that is committed without an id is an error of ours', () => {
  const decision = outcomeOf(decide(meetingOf(), ada, commands.newpoll, now))
  for (const committed of [null, { lines: [], poll: null }])
    assert.throws(() => factsOf(meetingOf(), decision, committed), /without an id/)
})

test('who is kicked: someone in the meeting, here or away, and nobody else', () => {
  const meeting = meetingOf({
    attendees: [ada, bob, away(eve, 60_000)],
    departed: [{ who: dan, lostAt: null }],
  })
  const kick = (member: number, canRejoin = false): Change | Rejection =>
    decide(meeting, ada, { type: 'kick', target: { member, canRejoin } }, now)
  for (const nobody of [4, 99, -1, 0]) assert.deepEqual(kick(nobody), reject('User to kick not found'))
  assert.deepEqual(kick(1), reject('You cannot disconnect yourself'))
  const [departed, ...others] = kicked.facts
  assert.ok(departed?.type === 'departed')
  // Eve is away: there is no connection to end.
  const people = departed.people.map((one) => ({ ...one, subscriber: null }))
  assert.deepEqual(outcomeOf(kick(3)), { ...kicked, facts: [{ ...departed, people }, ...others] })
})

test('who is kicked with leave to return is not banned; an admin may be kicked', () => {
  const boss = { ...bob, admin: true }
  const kick = { type: 'kick', target: { member: 2, canRejoin: true } } as const
  assert.deepEqual(outcomeOf(decide(meetingOf({ attendees: [ada, boss] }), ada, kick, now)), {
    write: { lines: [system('User Bob has been disconnected by Ada')], depart: [2] },
    facts: [
      {
        type: 'departed',
        people: [
          {
            member: 2,
            subscriber: 102,
            told: 'You have been forcibly disconnected from this meeting',
            lost: false,
          },
        ],
      },
    ],
  })
})

test('lines are said in their order, several of one member among them', () => {
  const lines = [
    { by: 2, text: 'one' },
    { by: 3, text: 'two' },
    { by: 2, text: 'three' },
  ]
  assert.deepEqual(outcomeOf(say(meetingOf(), lines)), {
    write: {
      lines: [
        { sender: 2, text: 'one' },
        { sender: 3, text: 'two' },
        { sender: 2, text: 'three' },
      ],
    },
    facts: [],
  })
})

test('an aborted poll has no sums in the record, whatever was voted', () => {
  const meeting = meetingOf({
    poll: teaPoll([
      [1, 0],
      [2, 1],
    ]),
  })
  assert.deepEqual(outcomeOf(decide(meeting, ada, { type: 'abortPoll' }, now)), aborted)
})

test('a command with an id is written with what it does, and known from then on: by its member and its id', () => {
  const meeting = meetingOf()
  const change = remember(outcomeOf(say(meeting, [{ by: 2, text: 'hi' }])), [{ member: 2, id: 'a-1' }])
  assert.deepEqual(change, {
    write: { lines: [{ sender: 2, text: 'hi' }], done: [{ member: 2, id: 'a-1' }] },
    facts: [{ type: 'commandsDone', commands: [{ member: 2, id: 'a-1' }] }],
  })
  assert.equal(isDone(meeting, { member: 2, id: 'a-1' }), false)
  for (const fact of change.facts) apply(meeting, fact, now)
  assert.deepEqual(
    [
      { member: 2, id: 'a-1' },
      { member: 3, id: 'a-1' },
      { member: 2, id: 'a-2' },
      { member: 2, id: 'A-1' },
      { member: 22, id: 'a-1' },
    ].map((command) => isDone(meeting, command)),
    [true, false, false, false, false],
  )
})

test('what a command does is known after what it has done; without ids nothing is remembered', () => {
  const finish = outcomeOf(decide(meetingOf(), ada, { type: 'finish' }, now))
  assert.deepEqual(remember(finish, []), finish)
  assert.deepEqual(
    remember(finish, [{ member: 1, id: 'x' }]).facts.map(({ type }) => type),
    ['stateChanged', 'commandsDone'],
  )
})
