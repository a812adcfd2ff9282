import type { Plenum } from './server.ts'

export interface StatusPerson {
  uid: number
  name: string
  admin: boolean
  remote: string
}

export interface MeetingStatus {
  id: number
  state: 'pending' | 'open' | 'finished' | 'closed'
  members: StatusPerson[]
  disconnectedmembers: StatusPerson[]
}

export interface ServerStatus {
  upsince: string
  timestamp: string
  runtime: Record<string, unknown>
  meetings: MeetingStatus[]
}

/** What pgeu-system's status page reads. */
export async function serverStatus(plenum: Plenum): Promise<ServerStatus> {
  const { body } = await plenum.get('/__meetingstatus')
  return JSON.parse(body) as ServerStatus
}

/** One meeting of it; undefined where the server has no room for the meeting. */
export async function meetingStatus(plenum: Plenum, meeting: number): Promise<MeetingStatus | undefined> {
  const { meetings } = await serverStatus(plenum)
  return meetings.find(({ id }) => id === meeting)
}
