import { cpus } from 'node:os'

/** Tells, each time it is called, which share of all cores' time nobody has used since the last call: 0 to 1. */
export function idleMeter(): () => number {
  let before = coreTimes()
  return () => {
    const now = coreTimes()
    const all = now.all - before.all
    const idle = all > 0 ? (now.idle - before.idle) / all : 0
    before = now
    return idle
  }
}

function coreTimes(): { idle: number; all: number } {
  let idle = 0
  let all = 0
  for (const { times } of cpus()) {
    idle += times.idle
    all += times.user + times.nice + times.sys + times.irq + times.idle
  }
  return { idle, all }
}
