import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { ada, away, bob, eve, meetingOf, teaPoll } from '../../test/support/view.ts'
import { isRejection, reject } from '../hub/rejection.ts'
import { closeCodeOf, closeCodes, disconnects, kickedForGood, toldText } from './disconnects.ts'
import {
  ackFrame,
  addUserFrame,
  disconnectFrame,
  encodeLine,
  errorFrame,
  meetingFrame,
  messageFrame,
  messagesFrame,
  noPollFrame,
  parseRequest,
  pollEndFrame,
  pollFrame,
  removeUserFrame,
  statusFrame,
  subprotocol,
  usersFrame,
  welcomeFrame,
} from './protocol.ts'
import type { Meeting } from './rules/view.ts'

/** An unmasked text frame in one piece (RFC 6455, 5.2) of less than 64 KiB. */
function textFrame(text: string): Buffer {
  const payload = Buffer.from(text)
  const { length } = payload
  const header = length < 126 ? [0x81, length] : [0x81, 126, length >> 8, length & 255]
  return Buffer.concat([Buffer.from(header), payload])
}

const told = (frame: Buffer, text: string): void => {
  // For people, who read no bytes.
  assert.equal(frame.subarray(frame[1] === 126 ? 4 : 2).toString(), text)
  assert.deepEqual(frame, textFrame(text))
}

test('adduser, removeuser: name, color and id of a member, and nothing else', () => {
  told(addUserFrame(ada).stock, '{"type":"adduser","data":{"name":"Ada","color":"1","id":1}}')
  told(removeUserFrame(ada).stock, '{"type":"removeuser","data":{"name":"Ada","color":"1","id":1}}')
  const odd = { id: 12, name: 'Zoë "Zed" 😀\n', color: '0', proxyName: null }
  told(
    addUserFrame(odd).stock,
    '{"type":"adduser","data":{"name":"Zoë \\"Zed\\" 😀\\n","color":"0","id":12}}',
  )
})

test('who is represented by a proxy is told in the newer format, and only there', () => {
  const zoe = { id: 12, name: 'Zoë', color: '0', proxyName: 'Ivan' }
  const { stock, v1 } = addUserFrame(zoe)
  told(stock, '{"type":"adduser","data":{"name":"Zoë","color":"0","id":12}}')
  told(v1, '{"type":"adduser","data":{"name":"Zoë","color":"0","id":12,"proxy":"Ivan"}}')
  const users = usersFrame(meetingOf({ attendees: [{ ...ada, proxyName: 'Ivan' }, bob] }))
  const others = '{"name":"Bob","color":"2","id":2}]}}'
  told(users.stock, `{"type":"users","data":{"users":[{"name":"Ada","color":"1","id":1},${others}`)
  told(
    users.v1,
    `{"type":"users","data":{"users":[{"name":"Ada","color":"1","id":1,"proxy":"Ivan"},${others}`,
  )
  const alone = usersFrame(meetingOf({ attendees: [ada] }))
  assert.equal(alone.stock, alone.v1)
})

test('the bytes of a frame are those of an unmasked text frame', () => {
  assert.equal(
    noPollFrame.toString('hex'),
    '811b' + Buffer.from('{"type":"poll","data":null}').toString('hex'),
  )
  assert.equal(errorFrame(reject('é'), null).toString('latin1'), '\x81\x1b{"type":"error","msg":"Ã©"}')
})

test('users: those who are in, away or not, in the order in which they came', () => {
  told(
    usersFrame(meetingOf({ attendees: [eve, away(ada, 1), bob] })).stock,
    '{"type":"users","data":{"users":[{"name":"Eve","color":"3","id":3},' +
      '{"name":"Ada","color":"1","id":1},{"name":"Bob","color":"2","id":2}]}}',
  )
  told(usersFrame(meetingOf({ attendees: [] })).stock, '{"type":"users","data":{"users":[]}}')
})

test('status: a pending meeting has neither, nor has a closed one', () => {
  for (const [state, isopen, isfinished] of [
    ['pending', false, false],
    ['open', true, false],
    ['finished', false, true],
    ['closed', false, false],
  ] as const)
    told(
      statusFrame(meetingOf({ state })),
      `{"type":"status","data":{"isopen":${isopen},"isfinished":${isfinished}}}`,
    )
})

test('poll: admins see who has voted; newer clients its id and times, before all else', () => {
  const poll = teaPoll([
    [3, 1],
    [1, 1],
  ])
  const sums = '"question":"Tea or coffee?","answers":["Tea","Coffee"],"tally":[0,2]'
  told(pollFrame(poll, 'members'), `{"type":"poll","data":{${sums},"voted":null}}`)
  told(pollFrame(poll, 'admins'), `{"type":"poll","data":{${sums},"voted":[3,1]}}`)
  const times = { closesAt: 1773515231000, now: 1773514931123 }
  const first = '"id":5,"closesAt":1773515231000,"now":1773514931123'
  told(pollFrame(poll, 'members', times), `{"type":"poll","data":{${first},${sums},"voted":null}}`)
  told(pollFrame(poll, 'admins', times), `{"type":"poll","data":{${first},${sums},"voted":[3,1]}}`)
  told(
    pollFrame(teaPoll(), 'admins'),
    '{"type":"poll","data":{"question":"Tea or coffee?","answers":["Tea","Coffee"],"tally":[0,0],"voted":[]}}',
  )
})

test('poll, where there is none: null, for everyone', () => {
  const nothing = '{"type":"poll","data":null}'
  told(noPollFrame, nothing)
  told(pollFrame(null, 'admins'), nothing)
  told(pollFrame(null, 'members', { closesAt: 1, now: 1 }), nothing)
})

test('pollend: an aborted poll has no sums', () => {
  const result = { id: 8, question: 'Q', answers: ['a', 'b'] }
  told(
    pollEndFrame({ ...result, tally: [40, 2], ending: 'time' }),
    '{"type":"pollend","data":{"id":8,"question":"Q","answers":["a","b"],"tally":[40,2],"ending":"time"}}',
  )
  told(
    pollEndFrame({ ...result, tally: null, ending: 'aborted' }),
    '{"type":"pollend","data":{"id":8,"question":"Q","answers":["a","b"],"tally":null,"ending":"aborted"}}',
  )
})

test('error: a text; an id and whether to try again where the command had an id', () => {
  told(errorFrame(reject('Invalid vote'), null), '{"type":"error","msg":"Invalid vote"}')
  told(errorFrame(reject('Busy', { again: true }), null), '{"type":"error","msg":"Busy"}')
  told(errorFrame(reject('Invalid vote'), 'a-1'), '{"type":"error","msg":"Invalid vote","id":"a-1"}')
  told(
    errorFrame(reject('Busy', { again: true }), 'a-1'),
    '{"type":"error","msg":"Busy","id":"a-1","again":true}',
  )
})

test('ack', () =>
  told(ackFrame('pQ3x0-1', 1773514931123), '{"type":"ack","data":{"id":"pQ3x0-1","now":1773514931123}}'))

test('message, messages: lines of the record', () => {
  const line = encodeLine({
    id: 70412,
    time: '19:02:11',
    date: '2026-03-14',
    from: 117,
    fromname: 'Ada Example',
    color: '4',
    message: 'Good evening',
  })
  const data =
    '{"id":70412,"time":"19:02:11","date":"2026-03-14","from":117,"fromname":"Ada Example","color":"4","message":"Good evening"}'
  assert.equal(line, data)
  told(messageFrame(line), `{"type":"message","data":${data}}`)
  told(messagesFrame(''), '{"type":"messages","data":[]}')
  told(messagesFrame(`${line},${line}`), `{"type":"messages","data":[${data},${data}]}`)
})

test('disconnect: a line that is not in the record', () => {
  told(
    disconnectFrame('You have been forcibly disconnected from this meeting', {
      date: '2026-03-14',
      time: '19:40:00',
    }),
    '{"type":"disconnect","data":{"id":-1,"time":"19:40:00","date":"2026-03-14","from":-1,"fromname":"","color":"sys",' +
      '"message":"You have been forcibly disconnected from this meeting"}}',
  )
})

test('a frame of more than 64 KiB has its length in eight bytes', () => {
  const line = JSON.stringify('x'.repeat(70_000))
  const frame = messageFrame(line)
  assert.deepEqual([...frame.subarray(0, 10)], [0x81, 127, 0, 0, 0, 0, 0, 1, 0x11, 0x72 + 26])
  assert.equal(frame.length, 10 + 70_002 + 26)
})

test('meeting: state, and the admins who are in', () => {
  assert.equal(subprotocol, 'plenum.v1')
  for (const state of ['pending', 'open', 'finished', 'closed'] as const)
    told(
      meetingFrame(meetingOf({ state, attendees: [bob, ada, away({ ...eve, admin: true }, 1)] })),
      `{"type":"meeting","data":{"id":7,"name":"Assembly","state":"${state}","admins":[1,3]}}`,
    )
  told(
    meetingFrame(meetingOf({ attendees: [bob] })),
    '{"type":"meeting","data":{"id":7,"name":"Assembly","state":"open","admins":[]}}',
  )
})

test('welcome: who one is, and what one may do', () => {
  const server = {
    version: '0.1.0',
    now: 1773514931123,
    timezone: 'Europe/Paris',
    utcOffset: 3600,
    graceMs: 10_000,
    ratePerSecond: () => 5,
  }
  const welcome = (meeting: Meeting, member: number, ratePerSecond = 5): Buffer =>
    welcomeFrame(meeting, member, { ...server, ratePerSecond: () => ratePerSecond })
  const begin =
    '{"type":"welcome","data":{"version":"0.1.0","now":1773514931123,"timezone":"Europe/Paris","utcOffset":3600,'
  const limits =
    '"graceSeconds":10,"rememberedSeconds":3600,' +
    '"limits":{"message":10000,"question":500,"answer":200,"answers":5,"minutes":120,"burst":20,"perSecond":'
  const meeting = '"meeting":{"id":7,"name":"Assembly","state":"open","admins":[1]},'
  told(
    welcome(meetingOf(), 2),
    `${begin}"you":{"name":"Bob","color":"2","id":2},${meeting}"vote":null,"result":null,${limits}5}}}`,
  )
  const result = {
    id: 4,
    question: 'Q',
    answers: ['Yes', 'No'],
    tally: [31, 2],
    ending: 'voted',
  } as const
  told(
    welcome(
      meetingOf({
        poll: teaPoll([[1, 0]]),
        result: { ...result, answers: [...result.answers], tally: [31, 2] },
      }),
      1,
      0,
    ),
    `${begin}"you":{"name":"Ada","color":"1","id":1},${meeting}"vote":0,` +
      '"result":{"id":4,"question":"Q","answers":["Yes","No"],"tally":[31,2],"ending":"voted"},' +
      `${limits}0}}}`,
  )
})

test('how connections end: each text for good has a close code from 4500 on, those for now one below', () => {
  const expected: Record<keyof typeof disconnects, [text: string, code: number]> = {
    notAllowed: ['You are not allowed to enter this meeting', 4500],
    finished: ['This meeting is already finished and can no longer be joined.', 4501],
    inProgress: ['This meeting is already in progress and can no longer be joined.', 4502],
    notYet: ['This meeting cannot be entered yet.', 4503],
    takenOver: ['You have connected from a different session. This session is disconnected.', 4504],
    kicked: ['You have been forcibly disconnected from this meeting', 4505],
    deleted: ['This meeting no longer exists', 4506],
    refused: ['The meeting database refuses to let you in. Please tell the organisers.', 4507],
  }
  assert.deepEqual(
    Object.fromEntries(Object.entries(disconnects).map(([name, text]) => [name, [text, closeCodeOf(text)]])),
    expected,
  )
  assert.deepEqual([toldText(kickedForGood), closeCodeOf(kickedForGood)], [disconnects.kicked, 4508])
  assert.deepEqual(closeCodes, { stopping: 1012, forNow: 4000, notLookedUp: 4001 })
})

/** What a frame asks for; a rejection as its text. What is wrong in an admin's command stands inside it. */
function understood(text: string, newer = false): { id: string | null; command: unknown } {
  const { id, command } = parseRequest(text, newer)
  return { id, command: isRejection(command) ? command.text : command }
}
const asked = (message: unknown): unknown => understood(JSON.stringify(message)).command

test('what is no JSON object with a type is refused in words', () => {
  const cases: [text: string, why: string][] = [
    ['', 'Invalid JSON'],
    ['{', 'Invalid JSON'],
    ['{"type":"open"}{"type":"open"}', 'Invalid JSON'],
    ["{'type':'open'}", 'Invalid JSON'],
    ['\ufeff{"type":"open"}', 'Invalid JSON'],
    ['NaN', 'Invalid JSON'],
    ['['.repeat(10_000), 'Invalid JSON'],
    ['null', 'A JSON object is expected'],
    ['true', 'A JSON object is expected'],
    ['7', 'A JSON object is expected'],
    ['"open"', 'A JSON object is expected'],
    ['[{"type":"open"}]', 'A JSON object is expected'],
    ['[]', 'A JSON object is expected'],
    ['{}', 'Invalid or no type'],
    ['{"type":null}', 'Invalid or no type'],
    ['{"type":7}', 'Invalid or no type'],
    ['{"type":["open"]}', 'Invalid or no type'],
    ['{"type":{"toString":"open"}}', 'Invalid or no type'],
    ['{"Type":"open"}', 'Invalid or no type'],
    ['{"type":""}', 'Unknown command'],
    ['{"type":"Open"}', 'Unknown command'],
    ['{"type":"open "}', 'Unknown command'],
    ['{"type":"welcome"}', 'Unknown command'],
    ['{"type":"constructor"}', 'Unknown command'],
    ['{"type":"__proto__"}', 'Unknown command'],
    ['{"__proto__":{"type":"open"}}', 'Invalid or no type'],
  ]
  for (const [text, why] of cases)
    for (const newer of [false, true])
      assert.deepEqual(understood(text, newer), { id: null, command: why }, text.slice(0, 40))
})

test('commands without fields: others are ignored, and of a field that is there twice the last one counts', () => {
  assert.deepEqual(asked({ type: 'open' }), { type: 'open' })
  assert.deepEqual(asked({ type: 'finish', force: true }), { type: 'finish' })
  assert.deepEqual(asked({ type: 'abortpoll', question: 7 }), { type: 'abortPoll' })
  assert.deepEqual(understood('{"type":"open","type":"finish"}').command, { type: 'finish' })
})

test('message: trimmed and cleaned; nothing left is ignored', () => {
  const say = (message: unknown): unknown => asked({ type: 'message', message })
  const saying = (text: string) => ({ type: 'say', text })
  const cases: [message: unknown, expected: unknown][] = [
    ['Good evening', saying('Good evening')],
    [' \t\n Good\n\tevening \r\n', saying('Good\n\tevening')],
    ['a\u0000b\u0007c\u001bd\u007fe\u0085f\u009fg\u000bh\ri', saying('abcdefghi')],
    ['\u202eturned', saying('\u202eturned')],
    ['half \ud83d', saying('half \ufffd')],
    ['😀', saying('😀')],
    ['<b>&amp;</b>', saying('<b>&amp;</b>')],
    ['', null],
    [' \n\t\u00a0\u3000 ', null],
    ['\u0000\u0001', null],
    ['x'.repeat(10_000), saying('x'.repeat(10_000))],
    ['😀'.repeat(10_000), saying('😀'.repeat(10_000))],
    [` ${'x'.repeat(10_000)}\n`, saying('x'.repeat(10_000))],
    ['x'.repeat(10_001), 'Message too long, at most 10000 characters'],
    ['😀'.repeat(10_001), 'Message too long, at most 10000 characters'],
    ['This meeting is now open', 'This text is reserved for the meeting record'],
    [' this Meeting\u200b is now FINISHED\u0007 ', 'This text is reserved for the meeting record'],
    [undefined, 'Invalid or no message'],
    [null, 'Invalid or no message'],
    [7, 'Invalid or no message'],
    [true, 'Invalid or no message'],
    [['Good evening'], 'Invalid or no message'],
    [{ length: 3 }, 'Invalid or no message'],
  ]
  for (const [message, expected] of cases)
    assert.deepEqual(say(message), expected, String(message).slice(0, 40))
})

test('vote: what cannot be an answer is passed on as none, for that is said only where there is a poll', () => {
  const vote = (vote: unknown, question: unknown = 'Q'): unknown => asked({ type: 'vote', question, vote })
  const voting = (answer: number | null) => ({ type: 'vote', question: 'Q', poll: null, answer })
  for (const answer of [0, 4, -1, 2 ** 53 - 1]) assert.deepEqual(vote(answer), voting(answer))
  for (const wrong of [undefined, null, 0.5, '0', true, [0], {}, 2 ** 53, 1e300, ''])
    assert.deepEqual(vote(wrong), voting(null), JSON.stringify(wrong))
  assert.deepEqual(understood('{"type":"vote","question":"Q","vote":1e999}').command, voting(null))
  for (const question of [undefined, null, 7, ['Q'], {}])
    assert.deepEqual(asked({ type: 'vote', question, vote: 0 }), 'Invalid or no question')
  assert.deepEqual(vote(0, ''), { ...voting(0), question: '' })
  // Only newer clients say for which poll it is.
  assert.deepEqual(asked({ type: 'vote', question: 'Q', vote: 0, poll: 'x' }), voting(0))
})

test('newpoll: folded, and within its limits; what is wrong stands inside it', () => {
  const right = { type: 'newpoll', question: 'Q', answers: ['Yes', 'No'], minutes: 3 }
  const draft = (changes: object): unknown => {
    const command = asked({ ...right, ...changes }) as { type: string; draft: object }
    assert.equal(command.type, 'newPoll')
    return isRejection(command.draft) ? command.draft.text : command.draft
  }
  const ok = { question: 'Q', answers: ['Yes', 'No'], minutes: 3 }
  const cases: [changes: object, expected: unknown][] = [
    [{}, ok],
    [{ question: '  What \n\t now? ' }, { ...ok, question: 'What now?' }],
    [{ answers: [' Yes,\u00a0 please ', 'N\u0000o'] }, { ...ok, answers: ['Yes, please', 'No'] }],
    [{ question: 'a\u202eb\u2069' }, { ...ok, question: 'ab' }],
    [{ question: 'x'.repeat(500) }, { ...ok, question: 'x'.repeat(500) }],
    [{ question: '😀'.repeat(500) }, { ...ok, question: '😀'.repeat(500) }],
    [{ question: 'x'.repeat(501) }, 'Question too long, at most 500 characters'],
    [{ question: ` ${'x'.repeat(500)} ` }, { ...ok, question: 'x'.repeat(500) }],
    [{ question: '' }, 'Invalid or no question'],
    [{ question: ' \u202e\n' }, 'Invalid or no question'],
    [{ question: 7 }, 'Invalid or no question'],
    [{ question: null }, 'Invalid or no question'],
    [{ question: undefined }, 'Invalid or no question'],
    [{ answers: ['1', '2', '3', '4', '5'] }, { ...ok, answers: ['1', '2', '3', '4', '5'] }],
    [{ answers: ['1', '2', '3', '4', '5', '6'] }, 'Too many answers, at most 5'],
    [{ answers: Array.from({ length: 10_000 }, () => 7) }, 'Too many answers, at most 5'],
    [{ answers: ['1'] }, 'Too few answers, at least 2'],
    [{ answers: [] }, 'Too few answers, at least 2'],
    [{ answers: ['Yes', ''] }, 'Invalid or unparsable answer'],
    [{ answers: ['Yes', ' '] }, 'Invalid or unparsable answer'],
    [{ answers: ['Yes', 7] }, 'Invalid or unparsable answer'],
    [{ answers: ['Yes', null] }, 'Invalid or unparsable answer'],
    [{ answers: ['Yes', ['No']] }, 'Invalid or unparsable answer'],
    [{ answers: ['x'.repeat(200), 'y'] }, { ...ok, answers: ['x'.repeat(200), 'y'] }],
    [{ answers: ['x'.repeat(201), 'y'] }, 'Answer too long, at most 200 characters'],
    [{ answers: ['Yes', 'Yes'] }, 'The answers must be different'],
    [{ answers: ['Yes', ' Yes\n'] }, 'The answers must be different'],
    [{ answers: ['Yes', 'yes'] }, { ...ok, answers: ['Yes', 'yes'] }],
    [{ answers: 'Yes' }, 'Invalid or no answers'],
    [{ answers: { 0: 'Yes', 1: 'No', length: 2 } }, 'Invalid or no answers'],
    [{ answers: null }, 'Invalid or no answers'],
    [{ answers: undefined }, 'Invalid or no answers'],
    [{ minutes: 1 }, { ...ok, minutes: 1 }],
    [{ minutes: 120 }, { ...ok, minutes: 120 }],
    [{ minutes: 0 }, 'Invalid or no minutes, from 1 to 120'],
    [{ minutes: -1 }, 'Invalid or no minutes, from 1 to 120'],
    [{ minutes: 121 }, 'Invalid or no minutes, from 1 to 120'],
    [{ minutes: 2e8 }, 'Invalid or no minutes, from 1 to 120'],
    [{ minutes: 0.9 }, 'Invalid or no minutes'],
    [{ minutes: '3' }, 'Invalid or no minutes'],
    [{ minutes: null }, 'Invalid or no minutes'],
    [{ minutes: undefined }, 'Invalid or no minutes'],
  ]
  for (const [changes, expected] of cases)
    assert.deepEqual(draft(changes), expected, JSON.stringify(changes).slice(0, 60))
})

test('kick: a member, and whether they may return; what is wrong stands inside it', () => {
  const target = (fields: object): unknown => {
    const command = asked({ type: 'kick', ...fields }) as { type: string; target: object }
    assert.equal(command.type, 'kick')
    return isRejection(command.target) ? command.target.text : command.target
  }
  const cases: [fields: object, expected: unknown][] = [
    [
      { user: 3, canrejoin: true },
      { member: 3, canRejoin: true },
    ],
    [
      { user: -1, canrejoin: false },
      { member: -1, canRejoin: false },
    ],
    [{ canrejoin: true }, 'Invalid or no user'],
    [{ user: '3', canrejoin: true }, 'Invalid or no user'],
    [{ user: 3.5, canrejoin: true }, 'Invalid or no user'],
    [{ user: 2 ** 53, canrejoin: true }, 'Invalid or no user'],
    [{ user: null, canrejoin: true }, 'Invalid or no user'],
    [{ user: 3 }, 'Invalid or no canrejoin'],
    [{ user: 3, canrejoin: 1 }, 'Invalid or no canrejoin'],
    [{ user: 3, canrejoin: 'false' }, 'Invalid or no canrejoin'],
    [{ user: 3, canrejoin: null }, 'Invalid or no canrejoin'],
  ]
  for (const [fields, expected] of cases) assert.deepEqual(target(fields), expected, JSON.stringify(fields))
})

test('ids are those of newer clients: others may have such a field, and it means nothing', () => {
  const open = { type: 'open' }
  for (const id of ['a', 'pQ3x0-1', '_', '-', 'x'.repeat(64)])
    assert.deepEqual(understood(JSON.stringify({ ...open, id }), true), { id, command: open })
  for (const id of [null, undefined])
    assert.deepEqual(understood(JSON.stringify({ ...open, id }), true), { id: null, command: open })
  for (const id of ['', 'x'.repeat(65), 'a b', 'é', 'a\n', 'a.b', 7, true, ['a'], {}]) {
    const text = JSON.stringify({ ...open, id })
    assert.deepEqual(understood(text, true), { id: null, command: 'Invalid id' }, text)
    assert.deepEqual(understood(text), { id: null, command: open }, text)
  }
})

test('what is refused or ignored has its id all the same, to be answered', () => {
  const id = 'a-1'
  for (const [fields, command] of [
    [{ type: 'message', message: ' ' }, null],
    [{ type: 'message' }, 'Invalid or no message'],
    [{ type: 'dance' }, 'Unknown command'],
    [{}, 'Invalid or no type'],
  ] as const)
    assert.deepEqual(understood(JSON.stringify({ ...fields, id }), true), { id, command })
})

test('a vote of a newer client may name its poll', () => {
  const vote = (poll: unknown): unknown =>
    understood(JSON.stringify({ type: 'vote', question: 'Q', vote: 1, poll }), true).command
  const voting = (poll: number | null) => ({ type: 'vote', question: 'Q', poll, answer: 1 })
  assert.deepEqual([vote(8), vote(null), vote(undefined)], [voting(8), voting(null), voting(null)])
  for (const wrong of ['8', true, [8], {}]) assert.equal(vote(wrong), 'Invalid poll')
})

test('whatever text comes, it is a command, to be ignored, or refused', () => {
  const types = fc.constantFrom('message', 'vote', 'open', 'finish', 'newpoll', 'abortpoll', 'kick')
  const fields = ['id', 'message', 'question', 'vote', 'poll', 'answers', 'minutes', 'user', 'canrejoin']
  const message = fc.record(
    { type: types, ...Object.fromEntries(fields.map((name) => [name, fc.jsonValue({ maxDepth: 2 })])) },
    { requiredKeys: [] },
  )
  const text = fc.oneof(
    message.map((one) => JSON.stringify(one)),
    fc.json(),
    fc.string({ unit: 'binary' }),
  )
  fc.assert(
    fc.property(text, fc.boolean(), (text, newer) => {
      const { id, command } = parseRequest(text, newer)
      assert.ok(id === null || (newer && /^[\w-]{1,64}$/.test(id)))
      if (command === null || isRejection(command)) return
      if (command.type === 'say') assert.ok(command.text !== '' && command.text === command.text.trim())
      if (command.type === 'vote') assert.ok(command.answer === null || Number.isSafeInteger(command.answer))
      if (command.type === 'newPoll' && !isRejection(command.draft)) {
        const { answers, minutes } = command.draft
        assert.ok(new Set(answers).size === answers.length && answers.length >= 2 && answers.length <= 5)
        assert.ok(minutes >= 1 && minutes <= 120)
      }
    }),
    { numRuns: 1000 },
  )
})
