import type { Crowd, Expected } from '../crowd.ts'
import { cpuSeconds } from '../process.ts'
import { bareGuests, guestsOf, type Stage, targetOf } from '../stage.ts'

export const rounds = 3

export type Talk = { speakers: number; perSecond: number; seconds: number; length: number }
export type Round = {
  cpu: number
  p50: number
  p99: number
  delivered: number
  lost: number
  repeated: number
  ended: number
}

/** One window of talk: what it cost the server for each line that reached somebody (microseconds), and how late. */
export async function talk(
  given: {
    pid: number
    crowd: Crowd
    expected: (said: number) => Promise<Expected>
    from: number
    except?: number[]
  },
  { speakers, perSecond, seconds, length }: Talk,
): Promise<Round> {
  const { pid, crowd, expected, from, except } = given
  await crowd.measure({ 0: from })
  const before = cpuSeconds(pid)
  const said = await crowd.speak(
    Array.from({ length: speakers }, (_, index) => index),
    perSecond,
    length,
    seconds,
  )
  const { delivered, lost, repeated, p50, p99, ended } = await crowd.report(
    { 0: await expected(said) },
    except,
  )
  const cpu = ((cpuSeconds(pid) - before) / delivered) * 1e6
  return { cpu, p50, p99, delivered, lost, repeated, ended }
}

/** The same talk in a meeting and on a bare server, in turn. */
export async function sideBySide(
  stage: Stage,
  attendees: number,
  given: Talk,
): Promise<{ ours: Round[]; floors: Round[] }> {
  const floor = await stage.floor()
  const bare = stage.crowd(floor.target)
  await bare.connect(bareGuests(attendees))
  const plenum = await stage.plenum()
  const meeting = await stage.meeting(attendees)
  const crowd = stage.crowd(targetOf(plenum))
  await crowd.connect(guestsOf(meeting))

  const ours: Round[] = []
  const floors: Round[] = []
  // The floor's ids are its own count.
  let told = 100_000
  for (let round = 0; round < rounds; round++) {
    const from = told
    const expected = async (said: number): Promise<Expected> => {
      told += said
      return { count: said, sum: sumOf(from + 1, said), last: told }
    }
    floors.push(await talk({ pid: floor.pid, crowd: bare, expected, from }, given))
    const after = await stage.lastId(meeting.id)
    ours.push(
      await talk(
        { pid: plenum.pid, crowd, expected: (said) => stage.expected(meeting.id, after, said), from: after },
        given,
      ),
    )
  }
  return { ours, floors }
}

const sumOf = (first: number, count: number): number => count * first + (count * (count - 1)) / 2
