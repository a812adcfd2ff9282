import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ada, bob, credentialOf, eve, meetingOf, outcomeOf, teaPoll } from '../../../test/support/view.ts'
import { join, leftLine } from '../rules/attendance.ts'
import { decide, endPoll, kickLine, vote } from '../rules/commands.ts'
import type { LineDraft } from '../rules/facts.ts'
import { findLine, translate, translations } from './system-lines.ts'

/** Each line that the rules can make. */
function allLines(): LineDraft[] {
  const absent = meetingOf({ attendees: [ada], departed: [{ who: bob, lostAt: null }] })
  const joining = [bob, eve].flatMap((who) =>
    [null, 'Ivan Petrov'].map((proxyName) =>
      join(absent, [{ credential: credentialOf(who, { proxyName }), subscriber: 1, remote: '' }]),
    ),
  )
  const polling = meetingOf({ poll: teaPoll([[3, 1]]) })
  const votes = [
    { by: 2, question: 'Tea or coffee?', poll: null, answer: 0 },
    { by: 3, question: 'Tea or coffee?', poll: null, answer: 0 },
  ]
  const draft = { question: 'More?', answers: ['Yes', 'No'], minutes: 3 }
  const changes = [
    ...joining,
    outcomeOf(decide(meetingOf({ state: 'pending' }), ada, { type: 'open' }, 0)),
    outcomeOf(decide(meetingOf({ state: 'finished' }), ada, { type: 'open' }, 0)),
    outcomeOf(decide(meetingOf(), ada, { type: 'newPoll', draft }, 0)),
    ...votes.map((one) => vote(polling, [one], 50_000).change),
    ...(['voted', 'time', 'aborted'] as const).map((ending) => endPoll(teaPoll([[3, 1]]), ending)),
    outcomeOf(decide(meetingOf(), ada, { type: 'finish' }, 0)),
  ]
  return [
    ...changes.flatMap(({ write }) => write.lines),
    leftLine(bob),
    kickLine(bob.name, ada.name),
    kickLine(bob.name, 'the operator'),
  ]
}

test('whatever the system says is known, and is put together again as it was', () => {
  const found = new Set<string>()
  for (const { sender, text } of allLines()) {
    assert.equal(sender, null)
    const known = findLine(text)
    assert.ok(known, text)
    found.add(known.line)
    const { values } = known
    assert.equal(
      known.line.replaceAll('{}', () => values.shift() ?? ''),
      text,
    )
  }
  assert.deepEqual([...found].sort(), Object.keys(translations['de'] ?? {}).sort())
})

test('a translation has the same values in the same order', () => {
  for (const lines of Object.values(translations))
    for (const [line, translated] of Object.entries(lines ?? {}))
      assert.equal(translated.split('{}').length, line.split('{}').length, translated)
})

test('what could be read in several ways, or is not known, is left as it is', () => {
  for (const text of [
    'Ada voted No voted Yes',
    'User A has been disconnected by B has been disconnected by C',
    ' voted Yes',
    'Member  left the meeting',
    'Member left the meeting',
    'The server is moved',
    'Answer "',
    '',
  ])
    assert.equal(findLine(text), null, text)
})

test('a line comes in pieces, of which every second one is somebody’s', () => {
  assert.deepEqual(translate('Answer "Yes": 2 votes', 'de'), ['Antwort „', 'Yes', '“: ', '2', ' Stimmen'])
  assert.deepEqual(translate('Member Ada left the meeting', 'fr'), ['', 'Ada', ' a quitté la réunion'])
  assert.deepEqual(translate('This meeting is now open', 'sv'), ['Mötet är öppnat'])
  for (const language of ['en', 'fi', '']) assert.equal(translate('This meeting is now open', language), null)
  assert.equal(translate('The server is moved', 'de'), null)
})
