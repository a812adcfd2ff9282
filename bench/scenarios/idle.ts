import { setTimeout as wait } from 'node:timers/promises'
import type { Target } from '../client.ts'
import type { Crowd, Guest } from '../crowd.ts'
import { cpuSeconds, heldBytes, residentBytes } from '../process.ts'
import type { Scenario } from '../scenario.ts'
import { bareGuests, guestsOf, type Stage, targetOf } from '../stage.ts'

const attendees = 5000
const seconds = 10

/** What a connection costs in memory, in bytes: what is held for it, and how much more the process has. */
async function memoryEach(
  stage: Stage,
  { pid, target }: { pid: number; target: Target },
  guests: Guest[],
): Promise<{ held: number; resident: number; crowd: Crowd }> {
  const crowd = stage.crowd(target)
  const empty = await heldBytes(pid)
  await crowd.connect(guests)
  await wait(2000)
  const resident = (residentBytes(pid) - empty) / guests.length
  return { resident, held: ((await heldBytes(pid)) - empty) / guests.length, crowd }
}

export const idle: Scenario = {
  name: 'idle',
  about: '5,000 attendees who are silent',
  async play(stage) {
    const bare = await memoryEach(stage, await stage.floor(), bareGuests(attendees))
    const meeting = await stage.meeting(attendees)
    const plenum = await stage.plenum()
    const { pid } = plenum
    const { crowd, ...each } = await memoryEach(stage, { pid, target: targetOf(plenum) }, guestsOf(meeting))
    const after = await stage.lastId(meeting.id)
    await crowd.measure({ 0: after })
    const before = cpuSeconds(plenum.pid)
    await wait(seconds * 1000)
    const share = (cpuSeconds(plenum.pid) - before) / seconds
    const { lost, repeated, ended } = await crowd.report({ 0: await stage.expected(meeting.id, after) })
    return {
      figures: {
        'KiB a connection': each.held / 1024,
        'KiB a connection, floor': bare.held / 1024,
        'KiB a connection, with garbage': each.resident / 1024,
        'KiB a connection, with garbage, floor': bare.resident / 1024,
        'cpu of a core, %': share * 100,
        'memory MB': residentBytes(plenum.pid) / 2 ** 20,
        'connections that ended': ended,
      },
      goals: [
        { name: 'memory a connection, of the floor', value: each.held / bare.held, atMost: 1.3 },
        { name: 'cpu of a core, %', value: share * 100, atMost: 2 },
      ],
      lost,
      repeated,
    }
  },
}
