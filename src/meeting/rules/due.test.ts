import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  ada,
  attendeeOf,
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
import type { Portion } from '../../hub/portion.ts'
import { due, nextDue } from './due.ts'
import type { Attendee, Meeting } from './view.ts'

const closeAfterMs = 300_000
const all: Pick<Portion, 'of'> = { of: (items) => items }
const nothing: ReadonlyMap<string, number> = new Map()

/** What is due at `now`, with the names by which it is postponed. */
function dueAt(meeting: Meeting, now: number, postponed = nothing, portion = all) {
  const found = onlyLooking(meeting, (meeting) => due(meeting, now, postponed, portion, closeAfterMs))
  return found && { names: found.names, ...outcomeOf(found.change) }
}
const nextOf = (meeting: Meeting, postponed = nothing): number | null =>
  onlyLooking(meeting, (meeting) => nextDue(meeting, postponed, closeAfterMs))

test('nothing is due in a meeting in which everyone is here, whatever its state', () => {
  for (const state of ['pending', 'open', 'finished', 'closed'] as const) {
    assert.equal(dueAt(meetingOf({ state }), 1e9), null)
    assert.equal(nextOf(meetingOf({ state })), null)
  }
})

test('nothing is due where nobody is, but in a finished meeting', () => {
  for (const state of ['pending', 'open', 'closed'] as const) {
    assert.equal(dueAt(meetingOf({ state, attendees: [] }), 1e9), null)
    assert.equal(nextOf(meetingOf({ state, attendees: [] })), null)
  }
})

test('who is away when the grace time is over has left, and was lost', () => {
  const meeting = meetingOf({ attendees: [ada, away(bob, 20_000), away(eve, 20_001)] })
  assert.equal(nextOf(meeting), 20_000)
  assert.equal(dueAt(meeting, 19_999), null)
  assert.deepEqual(dueAt(meeting, 20_000), {
    names: ['departure of 2'],
    write: { lines: [system('Member Bob left the meeting')], depart: [2] },
    facts: [{ type: 'departed', people: [{ member: 2, subscriber: null, told: null, lost: true }] }],
  })
  assert.deepEqual(dueAt(meeting, 25_000)?.write, {
    lines: [system('Member Bob left the meeting'), system('Member Eve left the meeting')],
    depart: [2, 3],
  })
})

test('departures are done in portions, and what is postponed is left out until it may be tried again', () => {
  const meeting = meetingOf({ attendees: [2, 3, 4].map((id) => away(attendeeOf(id), 1000)) })
  const one: Pick<Portion, 'of'> = { of: (items) => items.slice(0, 1) }
  assert.deepEqual(dueAt(meeting, 2000, nothing, one)?.names, ['departure of 2'])
  const postponed = new Map([
    ['departure of 2', 9000],
    ['departure of 4', 8000],
  ])
  assert.deepEqual(dueAt(meeting, 2000, postponed)?.names, ['departure of 3'])
  assert.equal(nextOf(meeting, postponed), 1000)
  postponed.set('departure of 3', 7000)
  assert.equal(dueAt(meeting, 2000, postponed), null)
  assert.equal(nextOf(meeting, postponed), 7000)
})

test('a poll ends by its time, with what has been voted until then', () => {
  const meeting = meetingOf({ poll: teaPoll([[2, 1]]) })
  assert.equal(nextOf(meeting), 100_000)
  assert.equal(dueAt(meeting, 99_999), null)
  assert.deepEqual(dueAt(meeting, 100_000), {
    names: ['end of poll 5'],
    write: {
      lines: [
        system('Poll has completed'),
        system('Answer "Tea": 0 votes'),
        system('Answer "Coffee": 1 vote'),
      ],
      endPoll: { id: 5, ending: 'time' },
    },
    facts: [{ type: 'pollEnded', ending: 'time' }],
  })
})

test('a poll ends early when everyone who is in has voted, those within their grace time too', () => {
  const votes: [number, number][] = [
    [1, 0],
    [2, 1],
    [4, 1],
  ]
  const meeting = (attendees: Attendee[]): Meeting => meetingOf({ attendees, poll: teaPoll(votes) })
  for (const attendees of [[ada, bob, eve], [away(eve, 60_000)], [ada, bob, away(eve, 60_000)]])
    assert.equal(dueAt(meeting(attendees), 50_000), null)
  const voted = {
    names: ['end of poll 5'],
    write: {
      lines: [
        system('All attendees have voted, poll has completed.'),
        system('Answer "Tea": 1 vote'),
        system('Answer "Coffee": 2 votes'),
      ],
      endPoll: { id: 5, ending: 'voted' },
    },
    facts: [{ type: 'pollEnded', ending: 'voted' }],
  }
  for (const attendees of [[ada, bob], [ada, away(bob, 60_000)], [dan], [away(ada, 60_000)]])
    assert.deepEqual(dueAt(meeting(attendees), 50_000), voted)
})

test('with nobody left a poll waits for its time', () => {
  const meeting = meetingOf({ attendees: [], poll: teaPoll([[1, 0]]) })
  assert.equal(dueAt(meeting, 99_999), null)
  assert.equal(nextOf(meeting), 100_000)
  assert.equal(dueAt(meeting, 100_000)?.write.endPoll?.ending, 'time')
})

test('a departure comes before the end of a poll that it brings about', () => {
  const meeting = meetingOf({ attendees: [ada, away(bob, 1000)], poll: teaPoll([[1, 0]]) })
  assert.deepEqual(dueAt(meeting, 1000)?.names, ['departure of 2'])
  meeting.attendees.delete(2)
  assert.deepEqual(dueAt(meeting, 1000)?.names, ['end of poll 5'])
})

test('a poll ends with its meeting where the site has ended that, and by its time where that is over', () => {
  for (const state of ['pending', 'finished', 'closed'] as const) {
    const meeting = meetingOf({ state, poll: teaPoll([[1, 0]]) })
    const ended = dueAt(meeting, 50_000)
    assert.deepEqual(ended?.write, {
      lines: [
        system('Poll has completed'),
        system('Answer "Tea": 1 vote'),
        system('Answer "Coffee": 0 votes'),
      ],
      endPoll: { id: 5, ending: 'finished' },
    })
    assert.deepEqual(ended?.facts, [{ type: 'pollEnded', ending: 'finished' }])
    assert.equal(dueAt(meeting, 100_000)?.write.endPoll?.ending, 'time')
  }
})

test('the end of a poll that the database has refused waits; that of the next poll does not wait with it', () => {
  const postponed = new Map([['end of poll 5', 130_000]])
  const meeting = meetingOf({ poll: teaPoll() })
  assert.equal(dueAt(meeting, 120_000, postponed), null)
  assert.equal(nextOf(meeting, postponed), 130_000)
  meeting.poll = teaPoll([], { id: 6 })
  assert.deepEqual(dueAt(meeting, 120_000, postponed)?.names, ['end of poll 6'])
  assert.equal(nextOf(meeting, postponed), 100_000)
})

const closed = {
  names: ['closing'],
  write: { lines: [], state: { from: 'finished', to: 'closed' } },
  facts: [{ type: 'stateChanged', state: 'closed' }],
}

test('a finished meeting is closed at once when nobody is in it, and nobody was lost', () => {
  const meeting = meetingOf({
    state: 'finished',
    attendees: [],
    departed: [
      { who: ada, lostAt: null },
      { who: bob, lostAt: null },
    ],
  })
  assert.deepEqual(dueAt(meeting, 0), closed)
  assert.ok((nextOf(meeting) ?? 1) <= 0)
  assert.deepEqual(dueAt(meetingOf({ state: 'finished', attendees: [] }), 0), closed)
})

test('it waits for those who are here, away, or were lost: counted from the last of these', () => {
  const finished = (attendees: Attendee[], lost: (number | null)[] = []): Meeting =>
    meetingOf({
      state: 'finished',
      attendees,
      departed: lost.map((lostAt, n) => ({ who: attendeeOf(20 + n), lostAt })),
    })
  assert.equal(dueAt(finished([ada]), 1e9), null)
  assert.equal(dueAt(finished([away(ada, 1000)]), 999), null)
  assert.equal(nextOf(finished([away(ada, 1000)], [null])), 1000)
  const lost = finished([], [10_000, null, 40_000, 20_000])
  assert.equal(nextOf(lost), 340_000)
  assert.equal(dueAt(lost, 339_999), null)
  assert.deepEqual(dueAt(lost, 340_000), closed)
})

test('the closing that the database has refused waits', () => {
  const meeting = meetingOf({ state: 'finished', attendees: [] })
  const postponed = new Map([['closing', 5000]])
  assert.equal(dueAt(meeting, 1000, postponed), null)
  assert.equal(nextOf(meeting, postponed), 5000)
})

test('a finished meeting with a poll under way ends that before it is closed', () => {
  const meeting = meetingOf({ state: 'finished', attendees: [], poll: teaPoll() })
  assert.deepEqual(dueAt(meeting, 50_000)?.names, ['end of poll 5'])
})

test('what is next is the earliest of all', () => {
  const meeting = meetingOf({ attendees: [away(ada, 70_000), away(bob, 30_000)], poll: teaPoll() })
  assert.equal(nextOf(meeting), 30_000)
  assert.equal(nextOf(meeting, new Map([['end of poll 5', 20_000]])), 20_000)
})
