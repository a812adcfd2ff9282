import { setTimeout as wait } from 'node:timers/promises'
import type { Crowd, Guest } from '../crowd.ts'
import { cpuSeconds, residentBytes } from '../process.ts'
import type { Scenario } from '../scenario.ts'
import { bareGuests, guestsOf, targetOf } from '../stage.ts'

const attendees = 5000
const seconds = 10

/** What one more connection costs in memory, in bytes: the second half of the crowd, when the process is warm. */
async function memoryEach(pid: number, crowd: Crowd, guests: Guest[]): Promise<number> {
  const half = guests.length / 2
  await crowd.connect(guests.slice(0, half))
  await wait(3000)
  const before = residentBytes(pid)
  await crowd.connect(guests.slice(half))
  await wait(3000)
  return (residentBytes(pid) - before) / half
}

export const idle: Scenario = {
  name: 'idle',
  about: '5,000 attendees who are silent',
  async play(stage) {
    const floor = await stage.floor()
    const floorEach = await memoryEach(floor.pid, stage.crowd(floor.target), bareGuests(attendees))
    const meeting = await stage.meeting(attendees)
    const plenum = await stage.plenum()
    const crowd = stage.crowd(targetOf(plenum))
    const each = await memoryEach(plenum.pid, crowd, guestsOf(meeting))
    const after = await stage.lastId(meeting.id)
    await crowd.measure({ 0: after })
    const before = cpuSeconds(plenum.pid)
    await wait(seconds * 1000)
    const share = (cpuSeconds(plenum.pid) - before) / seconds
    const { lost, repeated, ended } = await crowd.report({ 0: await stage.expected(meeting.id, after) })
    return {
      figures: {
        'KiB a connection': each / 1024,
        'KiB a connection, floor': floorEach / 1024,
        'cpu of a core, %': share * 100,
        'memory MB': residentBytes(plenum.pid) / 2 ** 20,
        'connections that ended': ended,
      },
      goals: [
        { name: 'memory a connection, of the floor', value: each / floorEach, atMost: 1.3 },
        { name: 'cpu of a core, %', value: share * 100, atMost: 2 },
      ],
      lost,
      repeated,
    }
  },
}
