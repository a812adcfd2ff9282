import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'

/** Processor seconds that the threads of a process have used so far, as its scheduler counts them (Linux). */
export function cpuSeconds(pid: number): number {
  const tasks = `/proc/${pid}/task`
  const nanoseconds = readdirSync(tasks).map((task) =>
    Number(readFileSync(`${tasks}/${task}/schedstat`, 'latin1').split(' ')[0]),
  )
  return nanoseconds.reduce((sum, one) => sum + one, 0) / 1e9
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
