import assert from 'node:assert/strict'
import type { Rejection } from '../../src/hub/rejection.ts'
import type { Credential } from '../../src/meeting/rules/attendance.ts'
import type { Change } from '../../src/meeting/rules/facts.ts'
import type { Poll } from '../../src/meeting/rules/poll.ts'
import type { Attendee, Meeting } from '../../src/meeting/rules/view.ts'

/** An attendee who is connected. Their name says who they are; nobody but Ada is an admin. */
export function attendeeOf(id: number, changes: Partial<Attendee> = {}): Attendee {
  return {
    id,
    name: ['Ada', 'Bob', 'Eve', 'Dan'][id - 1] ?? `Member ${id}`,
    color: String(id % 10),
    admin: id === 1,
    proxyName: null,
    key: `key of ${id}`,
    remote: `192.0.2.${id}`,
    presence: { type: 'here', subscriber: 100 + id },
    revision: 0,
    ...changes,
  }
}

export const ada: Attendee = attendeeOf(1)
export const bob: Attendee = attendeeOf(2)
export const eve: Attendee = attendeeOf(3)
export const dan: Attendee = attendeeOf(4)

/** The same attendee, whose connection was lost: they have until then to come back. */
export const away = (attendee: Attendee, until: number): Attendee => ({
  ...attendee,
  presence: { type: 'away', until },
})

/** An open meeting of Ada, Bob and Eve at revision 10, in which nothing is under way. */
export function meetingOf(
  changes: Partial<Omit<Meeting, 'attendees' | 'departed' | 'banned'>> & {
    attendees?: Attendee[]
    departed?: { who: Attendee; lostAt: number | null }[]
    banned?: number[]
  } = {},
): Meeting {
  const { attendees = [ada, bob, eve], departed = [], banned = [], ...others } = changes
  return {
    id: 7,
    name: 'Assembly',
    state: 'open',
    poll: null,
    endedPolls: new Map(),
    result: null,
    done: new Map(),
    lastLine: { id: 0, time: null },
    revision: 10,
    stateRevision: 0,
    banRevision: 0,
    followed: { fingerprint: '', revision: -1 },
    ...others,
    attendees: new Map(attendees.map((one) => [one.id, structuredClone(one)])),
    departed: new Map(
      departed.map(({ who: { id, name, color, admin, remote }, lostAt }) => [
        id,
        { id, name, color, admin, remote, lostAt },
      ]),
    ),
    banned: new Set(banned),
  }
}

/** A poll that ends at 100,000; `votes`: an answer's index by member. */
export const teaPoll = (
  votes: [member: number, answer: number][] = [],
  changes: Partial<Poll> = {},
): Poll => ({
  id: 5,
  question: 'Tea or coffee?',
  answers: ['Tea', 'Coffee'],
  votes: new Map(votes),
  endsAt: 100_000,
  ...changes,
})

/** What the database knows of `attendee`, who may enter the open meeting. */
export function credentialOf(attendee: Attendee, changes: Partial<Credential> = {}): Credential {
  const { id, name, color, admin, proxyName } = attendee
  return {
    id,
    name,
    color,
    admin,
    proxyName,
    key: `key of ${id}`,
    meeting: 7,
    allowRejoin: true,
    banned: false,
    state: 'open',
    startsInMs: 0,
    ...changes,
  }
}

/** What was decided, which must be that something is done. */
export function outcomeOf(decided: Change | Rejection | null): Change {
  assert.ok(decided && 'write' in decided, `decided: ${JSON.stringify(decided)}`)
  return decided
}

/** A line of the system. */
export const system = (text: string): { sender: null; text: string } => ({ sender: null, text })

/** Runs `decide`, which must not change the view. */
export function onlyLooking<Outcome>(meeting: Meeting, decide: (meeting: Meeting) => Outcome): Outcome {
  const before = structuredClone(meeting)
  const outcome = decide(meeting)
  assert.deepEqual(meeting, before, 'a decision has changed the view')
  return outcome
}

/** The texts of unmasked text frames, one behind the other (RFC 6455, 5.2). */
export function textsOf(bytes: Buffer): string[] {
  const texts: string[] = []
  for (let at = 0; at < bytes.length;) {
    assert.equal(bytes[at], 0x81)
    const short = bytes.readUInt8(at + 1)
    const begin = at + (short === 127 ? 10 : short === 126 ? 4 : 2)
    const length =
      short === 127
        ? Number(bytes.readBigUInt64BE(at + 2))
        : short === 126
          ? bytes.readUInt16BE(at + 2)
          : short
    at = begin + length
    texts.push(bytes.toString('utf8', begin, at))
  }
  return texts
}
