import type { Sql } from 'postgres'
import { UsageError } from '../config/flag.ts'
import { printable } from '../edge/printable.ts'
import type { DoorCommand, Outcome } from '../hub/door.ts'
import type { MeetingState } from './rules/view.ts'
import {
  allowEntry,
  type Candidate,
  deleteBan,
  findMeeting,
  findMembers,
  insertOperatorsBan,
  listMeetings,
  type MemberName,
} from './operate.ts'

/** Of members that a name may mean. */
const maxCandidates = 20
const maxId = Number.MAX_SAFE_INTEGER

async function list(sql: Sql): Promise<Outcome> {
  const meetings = await listMeetings(sql)
  const width = Math.max(...meetings.map(({ id }) => String(id).length))
  const lines = meetings.flatMap(({ id, name, state, at, people }) => [
    `${String(id).padStart(width)}  ${state.padEnd(8)}  ${at}  ${printable(name)}  ${people.length === 1 ? '1 person' : `${people.length} people`}`,
    ...people.map(
      (person) =>
        `${' '.repeat(width)}    ${person.id} ${printable(person.name)}${person.admin ? ' (admin)' : ''}`,
    ),
  ])
  return { text: lines.length > 0 ? lines.join('\n') : 'there is no meeting on the web', ok: true }
}

type Named = { meeting: number; member: MemberName }
type Meeting = { id: number; name: string; state: MeetingState }

/** Finds the member, by id or by name, and does `act` to them. */
async function toMember(
  sql: Sql,
  { meeting, member }: Named,
  act: (sql: Sql, meeting: Meeting, member: Candidate) => Promise<Outcome>,
): Promise<Outcome> {
  const found = await findMeeting(sql, meeting)
  if (!found)
    return { text: `there is no meeting ${meeting} on the web: "plenum meetings" lists them`, ok: false }
  const [one, ...others] = await findMembers(sql, meeting, member)
  const asked = typeof member === 'number' ? `the id ${member}` : `the name ${printable(member)}`
  if (!one) return { text: `no member with ${asked} has a key of meeting ${meeting}`, ok: false }
  if (others.length > 0) {
    const shown = [one, ...others].slice(0, maxCandidates).map(({ id, name }) => `${id} ${printable(name)}`)
    const more = others.length >= maxCandidates ? ', and more' : ''
    return {
      text: `several members go by ${asked}, give the id of one: ${shown.join(', ')}${more}`,
      ok: false,
    }
  }
  return await act(sql, { id: meeting, ...found }, one)
}

const nameOf = ({ id, name }: Candidate): string => `${printable(name)}, member ${id}`

const acts = {
  async unban(sql: Sql, meeting: Meeting, member: Candidate): Promise<Outcome> {
    return (await deleteBan(sql, meeting.id, member.id))
      ? { text: `${nameOf(member)} may enter meeting ${meeting.id} again`, ok: true }
      : { text: `${nameOf(member)} is not banned from meeting ${meeting.id}`, ok: false }
  },
  async kick(sql: Sql, meeting: Meeting, member: Candidate): Promise<Outcome> {
    if (!(await insertOperatorsBan(sql, meeting.id, member.id)))
      return { text: `${nameOf(member)} is banned from meeting ${meeting.id} already`, ok: false }
    const end = member.present ? '; who is in is disconnected within seconds' : ''
    return {
      text: `${nameOf(member)} may enter meeting ${meeting.id} no more (plenum unban undoes it)${end}`,
      ok: true,
    }
  },
  async admit(sql: Sql, { id, state }: Meeting, member: Candidate): Promise<Outcome> {
    const no = (text: string): Outcome => ({ text: `${nameOf(member)} ${text}`, ok: false })
    if (member.banned) return no(`is banned from meeting ${id}: "plenum unban" lets them in again`)
    if (state === 'closed') return no(`cannot enter meeting ${id}: it is closed, for good`)
    if (state === 'finished')
      return no(`cannot enter meeting ${id}: it is finished, and only admins can enter it`)
    if (state === 'pending') return no(`needs no admission to meeting ${id}: it is not open yet`)
    if (member.allowRejoin) return no(`may enter meeting ${id} as it is`)
    await allowEntry(sql, id, member.id)
    return { text: `${nameOf(member)} may enter meeting ${id} now`, ok: true }
  },
}

/** A name may be several arguments. */
function parseMember(command: string, [first = '', ...others]: readonly string[]): Named {
  const meeting = parseId(first)
  const text = others.join(' ').trim()
  const member = /^[-+.\d\s]+$/.test(text) ? parseId(text) : text
  if (meeting === 0 || member === 0 || member === '')
    throw new UsageError(
      `${command} takes MEETING (its id) and MEMBER (the user id, or the name); "plenum meetings" lists them`,
    )
  return { meeting, member }
}

/** 0 for what is no id. */
function parseId(text: string): number {
  const id = /^\d{1,16}$/.test(text) ? Number(text) : 0
  return id <= maxId ? id : 0
}

const onMember = (name: keyof typeof acts, help: string, manual: string): DoorCommand<Named> => ({
  name,
  args: 'MEETING MEMBER',
  help,
  manual,
  parse: (positional) => parseMember(name, positional),
  run: (sql, named) => toMember(sql, named, acts[name]),
})

/** What an operator can see and do of meetings. */
export const meetingCommands: readonly DoorCommand[] = [
  {
    name: 'meetings',
    args: '',
    help: 'list meetings, their states, and who is in them',
    manual: 'Lists the meetings on the web with their ids and states, and who is in them.',
    run: list,
  },
  onMember(
    'kick',
    'disconnect a member, without return',
    'Disconnects a member from a meeting, without return, as an admin of the meeting can. It takes the id of the meeting, and the id (user id) or the name of the member. A running server does it within seconds.',
  ),
  onMember(
    'unban',
    'let a member enter who was kicked without return',
    'Lets in again who was kicked without return. It takes the same.',
  ),
  onMember(
    'admit',
    'let a member into an open meeting who comes late',
    "Lets a member into an open meeting who was not there when it was opened. It takes the same, and sets the member's allowrejoin on the site.",
  ),
]
