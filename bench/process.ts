import { readFileSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'

/** Processor time is counted in ticks of this many seconds, on all common Linux systems. */
const tick = 0.01

/** Processor seconds that a process has used so far, as the operating system counts them (Linux). */
export function cpuSeconds(pid: number): number {
  // The name of the program, in parentheses, may hold anything.
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ').at(-1)?.split(' ') ?? []
  return (Number(fields[11]) + Number(fields[12])) * tick
}

/** Resident memory of a process in bytes (Linux). */
export function residentBytes(pid: number): number {
  const kilobytes = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]
  return Number(kilobytes) * 1024
}

/** What a server started by the stage holds in memory, in bytes, its garbage collected. */
export async function heldBytes(pid: number): Promise<number> {
  process.kill(pid, 'SIGUSR2')
  await wait(1500)
  return residentBytes(pid)
}

/** The most resident memory that was seen while `work` was done, in bytes, and what came of the work. */
export async function peakResident<Result>(
  pid: number,
  work: Promise<Result>,
): Promise<{ peak: number; result: Result }> {
  let peak = residentBytes(pid)
  let done = false
  const watch = async (): Promise<void> => {
    while (!done) {
      peak = Math.max(peak, residentBytes(pid))
      await wait(20)
    }
  }
  const watching = watch()
  try {
    return { result: await work, peak }
  } finally {
    done = true
    await watching
  }
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1
    ? (sorted[middle] ?? NaN)
    : ((sorted[middle - 1] ?? NaN) + (sorted[middle] ?? NaN)) / 2
}
